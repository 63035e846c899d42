"""A bad road to the door: a real HTTP server that passes requests on, or does to them what networks do."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

ANSWERS = {
    "429": b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n",
    "500": b"HTTP/1.1 500 Internal Server Error\r\n",
    "503": b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n",
}
LOST_BEFORE, LOST_AFTER = "cut before the door", "cut after the door"
SILENT_BEFORE, SILENT_AFTER = "silent before the door", "silent after the door"


@dataclass
class Front:
    """The next batch that it has not seen before meets the next trouble; what comes again meets the rest of it."""

    door: str
    troubles: list[list[str]]
    """For each new batch, what happens to its tries, one after the other. A try for which nothing is said passes."""
    url: str = ""
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    """Headers and decoded body of each."""
    met: list[str] = field(default_factory=list)
    _ahead: dict[str, Iterable[str]] = field(default_factory=dict)

    def trouble_of(self, body: dict[str, Any]) -> str | None:
        first = body["batch"][0]["messageId"]
        if first not in self._ahead:
            self._ahead[first] = iter(self.troubles.pop(0) if self.troubles else [])
        trouble = next(iter(self._ahead[first]), None)
        if trouble is not None:
            self.met.append(trouble)
        return trouble

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            async with httpx.AsyncClient(base_url=self.door) as door:
                while await self._one(reader, writer, door):
                    pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: httpx.AsyncClient) -> bool:
        """Take one request and do to it what is due; whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *rest = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in rest)}
        raw = await reader.readexactly(int(headers["content-length"]))
        body = json.loads(gzip.decompress(raw) if headers.get("content-encoding") == "gzip" else raw)
        self.requests.append((headers, body))
        trouble = self.trouble_of(body)
        if trouble in ANSWERS:
            text = b'{"code": "front", "message": "The front says no."}'
            writer.write(ANSWERS[trouble] + b"content-length: %d\r\n\r\n" % len(text) + text)
            return True
        passed_on = {name: value for name, value in headers.items() if name not in {"host", "connection"}}
        answer = None
        if trouble not in {LOST_BEFORE, SILENT_BEFORE}:
            answer = await door.post(line.split()[1], content=raw, headers=passed_on)
        if trouble in {SILENT_BEFORE, SILENT_AFTER}:
            await reader.read()  # until the client has had enough
            return False
        if trouble in {LOST_BEFORE, LOST_AFTER} or answer is None:
            writer.transport.abort()
            return False
        writer.write(
            b"HTTP/1.1 %d Answered\r\ncontent-length: %d\r\n\r\n" % (answer.status_code, len(answer.content))
            + answer.content
        )
        return True


@contextlib.asynccontextmanager
async def bad_road(door: str, troubles: list[list[str]]) -> AsyncIterator[Front]:
    """A front before the door, on a port of its own."""
    front = Front(door, [list(one) for one in troubles])
    server = await asyncio.start_server(front.serve, "127.0.0.1", 0)
    front.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield front
    finally:
        server.close()
