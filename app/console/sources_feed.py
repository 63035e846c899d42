"""What arrived from a source, accepted and refused together, newest first: read backwards by position.

`event` has no index by source or person, for each index costs the door. So a search looks through the last `SEARCHED`
positions at most, says so when it stopped there, and goes on from there when it is asked to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from app.errors import BadInput
from app.segment.sources import UNKNOWN

MOST = 500
SEARCHED = 100_000
LONGEST = 200
"""Letters of a name or id as a row shows it; the message has all of them."""

_EVENTS = """
SELECT {} position AS id, received_at AS at, type, coalesce(name, message->>'name') AS name, person, order_id,
       NULL AS code, NULL AS address, message
FROM event WHERE position > $1 AND position < $2 AND source = $3
AND ($4::text IS NULL OR type = $4)
AND ($5::text IS NULL OR strpos(lower(coalesce(name, message->>'name')), lower($5)) > 0)
AND ($6::text[] IS NULL OR person = ANY($6) OR message->>'userId' = ANY($6) OR message->>'anonymousId' = ANY($6))
AND ($7::text IS NULL OR strpos(lower(message::text), lower($7)) > 0)
ORDER BY position DESC LIMIT $8"""

_REJECTS = """
SELECT {} id, received_at AS at, message #>> '{{message,type}}' AS type,
       coalesce(message #>> '{{message,event}}', message #>> '{{message,name}}') AS name,
       coalesce(message #>> '{{message,userId}}', message #>> '{{message,anonymousId}}') AS person,
       NULL AS order_id, code, address, message
FROM reject WHERE id > $1 AND id < $2 AND source IS NOT DISTINCT FROM $3
AND ($4::text IS NULL OR message #>> '{{message,type}}' = $4)
AND ($5::text IS NULL OR strpos(lower(coalesce(message #>> '{{message,event}}', message #>> '{{message,name}}')),
                                lower($5)) > 0)
AND ($6::text[] IS NULL OR message #>> '{{message,userId}}' = ANY($6)
     OR message #>> '{{message,anonymousId}}' = ANY($6))
AND ($7::text IS NULL OR strpos(lower(code || ' ' || (message::text)), lower($7)) > 0)
AND id <> ALL($9::bigint[])
ORDER BY id DESC LIMIT $8"""

_COUNTED = "count(*) OVER () AS found,"


@dataclass(frozen=True)
class Watched:
    """What somebody looks at: a source, and of it only what fits."""

    source: str
    """`UNKNOWN`: what came under no write key."""
    type: str | None = None
    name: str | None = None
    """A part of the event's name, in small or capital letters."""
    members: tuple[str, ...] | None = None
    """User ids or anonymous ids, any of which the message has."""
    text: str | None = None
    """A part of the message as JSON."""
    refused: bool = False
    """Only what was refused."""


@dataclass(frozen=True)
class Cursor:
    """A place in the feed: a position of the log, and an id of the rejects."""

    position: int
    reject: int

    def __str__(self) -> str:
        return f"{self.position}-{self.reject}"


BEGINNING = Cursor(0, 0)


@dataclass(frozen=True)
class Arrival:
    """A message that arrived."""

    key: str
    """`e` and its position in the log, or `r` and its id among the rejects."""
    at: datetime
    type: str | None
    name: str | None
    person: str | None
    order_id: str | None
    code: str | None
    """Segment's code for why it was refused; null when it was accepted."""
    address: str | None
    """Where it came from, of what was refused."""
    message: Any
    """As stored. Of a message that was refused and long, its beginning, as text."""


@dataclass(frozen=True)
class Page:
    """Some arrivals, the newest first."""

    rows: list[Arrival]
    next: str | None
    """Ask with `before` for the older ones; null: there are none."""
    bounded: bool
    """Whether the search stopped after `SEARCHED` positions, with older ones left."""
    live: str
    """Where following begins, so that nothing is missed between this page and the stream."""


def cursor(text: str) -> Cursor:
    """A cursor from its text. Raises `BadInput`."""
    parts = text.split("-")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        raise BadInput("before: take it from the answer before, as it is.")
    return Cursor(int(parts[0]), int(parts[1]))


async def head(connection: asyncpg.Connection) -> Cursor:
    """The newest of both."""
    row = await connection.fetchrow(
        """SELECT coalesce((SELECT max(position) FROM event), 0) AS position,
                  coalesce((SELECT max(id) FROM reject), 0) AS reject"""
    )
    return Cursor(row["position"], row["reject"])


async def page(connection: asyncpg.Connection, watched: Watched, before: Cursor | None, limit: int) -> Page:
    """The newest arrivals, or those before a cursor."""
    newest = await head(connection)
    top = before or Cursor(newest.position + 1, newest.reject + 1)
    floor = Cursor(max(0, top.position - SEARCHED), max(0, top.reject - SEARCHED))
    taken = await events(connection, watched, floor.position, top.position, limit + 1)
    refused = await rejects(connection, watched, floor.reject, top.reject, limit + 1)
    rows = merged(taken, refused)
    older = await connection.fetchrow(
        """SELECT EXISTS(SELECT FROM event WHERE position <= $1) AS event,
                  EXISTS(SELECT FROM reject WHERE id <= $2) AS reject""",
        floor.position,
        floor.reject,
    )
    bounded = (older["event"] and _has_events(watched)) or older["reject"]
    following: Cursor | None = None
    if len(rows) > limit:
        rows = rows[:limit]
        following = Cursor(
            min((number(row) for row in rows if row.code is None), default=top.position),
            min((number(row) for row in rows if row.code is not None), default=top.reject),
        )
    elif bounded:
        following = Cursor(floor.position + 1, floor.reject + 1)
    return Page(rows, str(following) if following else None, bounded and len(rows) < limit, str(newest))


def merged(taken: Sequence[Arrival], refused: Sequence[Arrival]) -> list[Arrival]:
    """Two lists, each newest first, as one. Within a list the order stays, whatever its times say."""
    rows: list[Arrival] = []
    left, right = list(taken[::-1]), list(refused[::-1])
    while left and right:
        rows.append(left.pop() if left[-1].at >= right[-1].at else right.pop())
    return rows + left[::-1] + right[::-1]


async def events(
    connection: asyncpg.Connection, watched: Watched, after: int, before: int, limit: int
) -> list[Arrival]:
    """What was accepted between two positions, the newest first."""
    if not _has_events(watched) or after + 1 >= before:
        return []
    rows = await connection.fetch(_EVENTS.format(""), after, before, watched.source, *_conditions(watched), limit)
    return [_arrival(row, "e") for row in rows]


async def rejects(
    connection: asyncpg.Connection, watched: Watched, after: int, before: int, limit: int
) -> list[Arrival]:
    """What was refused between two ids, the newest first."""
    if after + 1 >= before:
        return []
    rows = await connection.fetch(
        _REJECTS.format(""), after, before, _source_of(watched), *_conditions(watched), limit, []
    )
    return [_arrival(row, "r") for row in rows]


async def arrived(
    connection: asyncpg.Connection, watched: Watched, after: Cursor, to: Cursor, limit: int, seen: Sequence[int] = ()
) -> tuple[list[Arrival], int]:
    """What arrived after a place in the feed and up to another, the newest first, and how many more there were.

    `seen`: ids of rejects to leave out. Of accepted messages `limit` are read, of refused ones `MOST`.
    """
    taken, refused = [], []
    if _has_events(watched) and to.position > after.position:
        taken = await connection.fetch(
            _EVENTS.format(_COUNTED), after.position, to.position + 1, watched.source, *_conditions(watched), limit
        )
    if to.reject > after.reject:
        refused = await connection.fetch(
            _REJECTS.format(_COUNTED),
            after.reject,
            to.reject + 1,
            _source_of(watched),
            *_conditions(watched),
            MOST,
            list(seen),
        )
    rows = merged([_arrival(row, "e") for row in taken], [_arrival(row, "r") for row in refused])
    return rows, sum(found[0]["found"] for found in (taken, refused) if found) - len(rows)


async def one(connection: asyncpg.Connection, source: str, key: str) -> Arrival | None:
    """One arrival of a source by its key."""
    kind, number = key[:1], key[1:]
    if kind not in {"e", "r"} or not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    at, watched = int(number), Watched(source)
    find = events if kind == "e" else rejects
    return next(iter(await find(connection, watched, at - 1, at + 1, 1)), None)


def _has_events(watched: Watched) -> bool:
    return not watched.refused and watched.source != UNKNOWN


def _conditions(watched: Watched) -> tuple[Any, ...]:
    return watched.type, watched.name, watched.members, watched.text


def _source_of(watched: Watched) -> str | None:
    return None if watched.source == UNKNOWN else watched.source


def _arrival(row: asyncpg.Record, kind: str) -> Arrival:
    message = row["message"]
    if kind == "r":  # kept whole, or only its beginning
        message = message.get("message", message.get("beginning"))
    return Arrival(
        key=f"{kind}{row['id']}",
        at=row["at"],
        type=_short(row["type"]),
        name=_short(row["name"]),
        person=_short(row["person"]),
        order_id=row["order_id"],
        code=row["code"],
        address=row["address"],
        message=message,
    )


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST else f"{text[:LONGEST]}…"


def number(row: Arrival) -> int:
    """Its position, or its id among the rejects."""
    return int(row.key[1:])
