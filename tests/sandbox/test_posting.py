"""The posting of webhooks meets all that a receiver may answer, and uses a connection again only where that is safe."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from app.sandbox.posting import NotPosted, Posting

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Receiver:
    """Answers each request with the next of `answers`; after an empty one it closes."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.got: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                self.got.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                writer.write(answer)
                if not answer or b"never mind" in answer:
                    break
        writer.close()


@contextlib.asynccontextmanager
async def receiving(*answers: bytes) -> AsyncIterator[tuple[Receiver, Posting]]:
    receiver, posting = Receiver(*answers), Posting()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks?a=1"
    try:
        yield receiver, posting
    finally:
        posting.close()
        server.close()


async def test_one_connection_serves_many_posts() -> None:
    """Posts to one address share its connection, and each arrives whole with its headers and its query."""
    async with receiving(OK, OK, OK) as (receiver, posting):
        for number in range(3):
            assert await posting.post(receiver.url, b"{%d}" % number, {"x-signature": "s"}) == 200
        assert receiver.connections == 1
        assert [got.endswith(b"\r\n\r\n{%d}" % number) for number, got in enumerate(receiver.got)] == [True] * 3
        assert receiver.got[0].startswith(b"POST /hooks?a=1 HTTP/1.1\r\nhost: 127.0.0.1:")
        assert b"\r\nx-signature: s\r\n" in receiver.got[0]


async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    """A receiver that closes after its answer, as servers do after a while, gets the next post on a new connection."""
    async with receiving(OK, b"", OK) as (receiver, posting):
        assert [await posting.post(receiver.url, b"1", {}) for _ in range(2)] == [200, 200]
        assert receiver.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\n\r\nas long as it takes",
        b"HTTP/1.0 202 Accepted\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\ncontent-length: 999999\r\n\r\n",
    ],
    ids=["chunked", "no length", "HTTP/1.0", "close", "long"],
)
async def test_an_answer_whose_end_is_not_waited_for_ends_its_connection(answer: bytes) -> None:
    """Only the status counts: what has no stated or a long body is not read, and nothing of it gets into the next."""
    async with receiving(answer, OK) as (receiver, posting):
        assert [await posting.post(receiver.url, b"1", {}) for _ in range(2)] == [202, 200]
        assert receiver.connections == 2


async def test_what_goes_before_an_answer_is_skipped() -> None:
    """`100 Continue` is no answer yet; a 204 has no body, whatever its headers say; 500 is an answer too."""
    early = b"HTTP/1.1 100 Continue\r\n\r\n"
    none = b"HTTP/1.1 204 No Content\r\n\r\n"
    broken = b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"
    async with receiving(early + OK, none, broken) as (receiver, posting):
        assert [await posting.post(receiver.url, b"1", {}) for _ in range(3)] == [200, 204, 500]
        assert receiver.connections == 1


@pytest.mark.parametrize(
    ("answer", "problem"),
    [(b"never mind\r\n\r\n", "RemoteProtocolError"), (b"HTTP/1.1 never mind", "RemoteProtocolError"), (b"", "Closed")],
    ids=["not HTTP", "cut", "nothing"],
)
async def test_what_is_no_answer_is_said(answer: bytes, problem: str) -> None:
    """Something else than HTTP, half a head and a closed connection are named, and never taken for a 2xx."""
    async with receiving(answer) as (receiver, posting):
        with pytest.raises(NotPosted, match=problem):
            await posting.post(receiver.url, b"1", {})


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:1/", "ConnectError"),
        ("http://no-such-host.invalid/", "ConnectError"),
        ("ftp://127.0.0.1/", "InvalidURL"),
        ("http://127.0.0.1:99999/", "InvalidURL"),
        ("http://127.0.0.1/a b", "InvalidURL"),
        ("http://127.0.0.1/ł", "InvalidURL"),
    ],
)
async def test_an_address_where_nobody_is(url: str, problem: str) -> None:
    """Nobody there, and an address that is none, are problems of this one webhook."""
    with pytest.raises(NotPosted, match=problem):
        await Posting().post(url, b"1", {})
