"""Posting a webhook: HTTP/1.1 with as little work as can be, for an order makes five of them.

httpx took two thirds of the sandbox's CPU for this. Of an answer only the status counts, so a connection whose answer
has no stated length, or a long one, is closed instead of read. No redirects, no proxies, no cookies: a webhook goes to
its address and nowhere else.
"""

import asyncio
import ssl
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

_KEPT_FOR_AN_ADDRESS = 8
_LONGEST_READ = 64 * 2**10
"""Bytes of an answer's body that are read so that the connection can be used again."""
_LONGEST_HEAD = 64 * 2**10


class NotPosted(Exception):
    """There was no answer that is HTTP. Its text says what there was instead."""


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_usable(self) -> bool:
        return not (self.reader.at_eof() or self.writer.is_closing())


class Posting:
    """Connections to the addresses of webhooks, each used by one post at a time and then kept."""

    def __init__(self) -> None:
        self._free: dict[tuple[str, str, int], list[_Connection]] = defaultdict(list)

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Post and answer the status. Who calls limits the time: a post that is cancelled closes its connection.

        Raises:
            NotPosted: nobody is there, the address is none, or what came back is not HTTP.
        """
        try:
            address = urlsplit(url)
            host, port = address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
            place = (address.scheme, host, port)
            path = (address.path or "/") + (f"?{address.query}" if address.query else "")
            lines = [f"POST {path} HTTP/1.1", f"host: {address.netloc.rpartition('@')[2]}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            sent = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode("ascii") + body
            if any(each in url for each in " \r\n"):
                raise NotPosted("InvalidURL")
        except (ValueError, UnicodeEncodeError) as error:
            raise NotPosted("InvalidURL") from error
        connection = self._taken(place)
        if connection is not None:
            try:
                return await self._exchanged(place, connection, sent)
            except NotPosted as error:
                if str(error) != "ConnectionClosed":
                    raise  # else it was closed between two posts, as servers do: once more, on a new one
        return await self._exchanged(place, await _opened(place), sent)

    def _taken(self, place: tuple[str, str, int]) -> _Connection | None:
        free = self._free[place]
        while free:
            connection = free.pop()
            if connection.is_usable:
                return connection
            connection.writer.close()
        return None

    async def _exchanged(self, place: tuple[str, str, int], connection: _Connection, sent: bytes) -> int:
        keep = False
        try:
            connection.writer.write(sent)
            status, keep = await _answer(connection.reader)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            nothing = isinstance(error, ConnectionError) or not error.partial
            raise NotPosted("ConnectionClosed" if nothing else "RemoteProtocolError") from error
        except (OSError, ValueError, asyncio.LimitOverrunError) as error:
            raise NotPosted("RemoteProtocolError") from error
        finally:
            if keep and len(self._free[place]) < _KEPT_FOR_AN_ADDRESS:
                self._free[place].append(connection)
            else:
                connection.writer.close()
        return status

    def close(self) -> None:
        for free in self._free.values():
            for connection in free:
                connection.writer.close()
        self._free.clear()


async def _opened(place: tuple[str, str, int]) -> _Connection:
    scheme, host, port = place
    if scheme not in {"http", "https"} or not host:
        raise NotPosted("InvalidURL")
    try:
        secure = _trusted() if scheme == "https" else None
        return _Connection(*await asyncio.open_connection(host, port, ssl=secure, limit=_LONGEST_HEAD))
    except (OSError, UnicodeError) as error:
        raise NotPosted("ConnectError") from error


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status of an answer, and whether the connection can be used again."""
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        version, _, rest = head.partition(" ")
        status = int(rest[:3])
        if not version.startswith("http/1."):
            raise ValueError(version)
        if status >= 200:
            break
    fields = dict(line.split(":", 1) for line in head.split("\r\n")[1:] if ":" in line)
    length = "0" if status in {204, 304} else fields.get("content-length", "").strip()
    keep = version == "http/1.1" and "close" not in fields.get("connection", "") and "transfer-encoding" not in fields
    if not (keep and length.isdigit() and int(length) <= _LONGEST_READ):
        return status, False
    await reader.readexactly(int(length))
    return status, True
