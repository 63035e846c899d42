"""Connections that a server closed between two calls: a read is answered all the same, a write is sent once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pydantic import SecretStr

from app.errors import VoucherifyUnclear
from app.voucherify import wire
from app.voucherify.client import Call, Client

ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"ok":true}'
Answering = Callable[[int, asyncio.StreamWriter], Awaitable[bool]]
"""Is given the place of a request on its connection, from 1, and answers whether the connection stays."""


class Server:
    """A real server that does with each request what it is told to; it keeps what it was asked."""

    def __init__(self, answering: Answering) -> None:
        self.asked: list[tuple[int, str]] = []
        """The number of the connection and the method, in order."""
        self._answering = answering
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        connection, place = self._connections, 0
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = head.partition("content-length: ")[2].partition("\r\n")[0]
                await reader.readexactly(int(length or 0))
                place += 1
                self.asked.append((connection, head.split()[0]))
                if not await self._answering(place, writer):
                    break
        writer.close()


async def answers_once(place: int, writer: asyncio.StreamWriter) -> bool:
    """Answers the first request of a connection, and closes at the second, as if it had done so just before."""
    if place == 1:
        writer.write(ANSWER)
        await writer.drain()
    return place == 1


async def never_answers(_place: int, _writer: asyncio.StreamWriter) -> bool:
    return False


async def breaks_off(place: int, writer: asyncio.StreamWriter) -> bool:
    """Answers the first request of a connection, and half of the second."""
    writer.write(ANSWER if place == 1 else ANSWER[:-4])
    await writer.drain()
    return place == 1


@contextlib.asynccontextmanager
async def calling(answering: Answering) -> AsyncIterator[tuple[Client, Server, list[Call]]]:
    """A client with one connection to such a server, and the calls that its observer was told of."""
    server = Server(answering)
    calls: list[Call] = []
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    client = Client(url, SecretStr("id"), SecretStr("key"), observe=calls.append)
    try:
        yield client, server, calls
    finally:
        await client.close()
        listening.close()


async def test_a_read_on_a_connection_that_was_closed_is_sent_once_more() -> None:
    """It goes again, on a new connection, and is answered; both that left are counted."""
    async with calling(answers_once) as (client, server, calls):
        for _ in range(2):
            assert await client.call("GET", "/v1/orders/a%2Fb") == {"ok": True}
        assert server.asked == [(1, "get"), (1, "get"), (2, "get")]
    assert [(call.method, call.path, call.status) for call in calls] == [
        ("GET", "/v1/orders/a%2Fb", status) for status in (200, 0, 200)
    ]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_write_on_a_connection_that_was_closed_is_sent_once(method: str) -> None:
    """It may have been done: it is unclear, and says that the connection broke."""
    async with calling(answers_once) as (client, server, calls):
        await client.call("GET", "/v1/orders")
        with pytest.raises(VoucherifyUnclear, match="connection to Voucherify broke"):
            await client.call(method, "/v1/orders", {"source_id": "o-1"})
        assert server.asked == [(1, "get"), (1, method.lower())]
    assert [call.status for call in calls] == [200, 0]


async def test_a_read_that_a_new_connection_does_not_answer_is_not_sent_again() -> None:
    """A server that closes at once is in trouble: whoever asked hears of it, and it is asked once."""
    async with calling(never_answers) as (client, server, _):
        with pytest.raises(VoucherifyUnclear):
            await client.call("GET", "/v1/orders")
        assert server.asked == [(1, "get")]


async def test_a_read_whose_answer_had_begun_is_not_sent_again() -> None:
    """An answer that breaks off is no closed connection."""
    async with calling(breaks_off) as (client, server, _):
        await client.call("GET", "/v1/orders")
        with pytest.raises(VoucherifyUnclear):
            await client.call("GET", "/v1/orders")
        assert server.asked == [(1, "get"), (1, "get")]


async def test_a_connection_is_let_go_before_servers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody used for the time that it is kept is not used again, so that a write does not meet it closed."""
    assert wire.IDLE <= 3  # uvicorn and Node.js close after 5 s
    monkeypatch.setattr(wire, "IDLE", 0.0)
    async with calling(answers_once) as (client, server, _):
        await client.call("GET", "/v1/orders")
        await asyncio.sleep(0.01)
        assert await client.call("POST", "/v1/orders", {}) == {"ok": True}
        assert server.asked == [(1, "get"), (2, "post")]
