"""HTTP/1.1 with as little work as can be: the bench runs on the cores that it measures."""

import asyncio
import json
from typing import Any, Self
from urllib.parse import urlsplit

from scripts.lib.say import Stop


class Wire:
    """One keep-alive connection: a request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader, self._writer, self._host = reader, writer, host

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to the server of `url`."""
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        return cls(reader, writer, address.netloc)

    async def call(self, method: str, path: str, headers: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send one request and read its answer: status and body. `headers` are whole lines, each with its CRLF."""
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = head.partition("content-length:")[2].partition("\r\n")[0]
        return int(head.split(" ", 2)[1]), await self._reader.readexactly(int(length or 0))

    async def json(self, method: str, path: str, headers: str, body: Any = None) -> Any:
        """The same with JSON both ways. Raises `Stop` for an answer that is not 2xx."""
        sent = b"" if body is None else json.dumps(body).encode()
        status, answered = await self.call(method, path, f"{headers}content-type: application/json\r\n", sent)
        if not 200 <= status < 300:
            raise Stop(f"{method} {path} answered {status}: {answered[:300].decode(errors='replace')}")
        return json.loads(answered)

    @property
    def is_open(self) -> bool:
        """False once the server has closed it, as it does after some seconds without a request."""
        return not self._reader.at_eof()

    def close(self) -> None:
        self._writer.close()


def bearer(key: str) -> str:
    """The header line of one of our keys."""
    return f"authorization: Bearer {key}\r\n"
