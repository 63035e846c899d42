"""A receiver of webhooks on a real socket: keeps what it gets, and answers as it is told to."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@dataclass
class Got:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers` are sent in order, the last again and again; a number among the bytes is a pause in seconds."""

    port: int = 0
    answers: list[list[bytes | float]] = field(default_factory=lambda: [[OK]])
    got: list[Got] = field(default_factory=list)
    connections: int = 0
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    """A connection was closed while an answer was on its way."""

    def url(self, host: str = "127.0.0.1", path: str = "/hook", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.splitlines()[0].split(" ")
                pairs = (line.partition(":") for line in head.splitlines()[1:] if line)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.got.append(Got(method, target, headers, body))
                await self._answer(writer)
        except asyncio.IncompleteReadError:
            pass
        except ConnectionError:
            self.cut.set()
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        for part in self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            else:
                await asyncio.sleep(part)


def answer(status: int, body: bytes = b"", **headers: str) -> list[bytes | float]:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *lines])
    return [f"{head}\r\n\r\n".encode() + body]


@contextlib.asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    tasks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None] = begin
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the sockets close in the next turn of the loop
