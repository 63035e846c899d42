"""What every change of destinations, mappings and filters shares: it counts, and it holds its destination's row."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from app.db.wake import wake
from app.errors import BadInput, Conflict, NotFound
from app.text import slug_of

LONGEST_NAME = 100
LONGEST_SLUG = 60
COUNTED = 1000
"""Deliveries are counted up to here, where they only stand in the way."""
LARGEST_JSON = 64 * 1024
"""Bytes of a mapping, or of a destination's settings."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with one field of what was sent."""

    field: str
    message: str


async def changed(connection: asyncpg.Connection) -> None:
    """Tell all processes. Inside the transaction of the change."""
    await connection.execute(
        """INSERT INTO configuration (id, version) VALUES (1, 1)
           ON CONFLICT (id) DO UPDATE SET version = configuration.version + 1"""
    )
    await wake(connection, "config")


async def hold(connection: asyncpg.Connection, destination: str) -> asyncpg.Record:
    """The row of a destination, held until the transaction ends: changes of one destination happen one by one.

    Raises:
        NotFound: there is none.
    """
    row = None
    if is_text(destination):
        row = await connection.fetchrow("SELECT * FROM destination WHERE slug = $1 FOR UPDATE", destination)
    if row is None:
        raise no_destination(destination)
    return row


def no_destination(slug: str) -> NotFound:
    return NotFound(f"There is no destination {slug[:LONGEST_NAME]!r}.")


def refuse(*faults: Fault) -> BadInput:
    """All that is wrong, each named by its field; in the answer's `faults` one by one."""
    return BadInput(
        " ".join(f"{fault.field}: {fault.message}" for fault in faults),
        faults=[{"field": fault.field, "message": fault.message} for fault in faults],
    )


def checked_name(name: str, field: str = "name") -> str:
    """The name without spaces around it.

    Raises:
        BadInput: it is empty or too long, or has control characters, which Postgres or a line of a log can't take.
    """
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise refuse(Fault(field, f"give it one, of {LONGEST_NAME} printable characters at most."))
    return name


def is_text(text: str) -> bool:
    """Whether Postgres can take it: it has no NUL."""
    return "\x00" not in text


def as_json(value: Mapping[str, Any], field: str) -> str:
    """The value as JSON text.

    Raises:
        BadInput: it is too large, nested too deeply, or has what no JSON of Postgres can hold.
    """
    try:
        text = msgspec.json.encode(dict(value)).decode()
    except (RecursionError, OverflowError, ValueError, TypeError, msgspec.MsgspecError) as error:
        raise refuse(Fault(field, "it can't be written as JSON, or is nested too deeply.")) from error
    if len(text) > LARGEST_JSON:
        raise refuse(Fault(field, f"{LARGEST_JSON // 1024} KB at most."))
    if "\\u0000" in text:
        raise refuse(Fault(field, "it has the character NUL, which can't be stored."))
    return text


def free_slug(name: str, taken: Collection[str], otherwise: str) -> str:
    """A slug for the name that nothing has or ever had: what came before is still named by it."""
    base = slug_of(name)[:LONGEST_SLUG].strip("-") or otherwise
    number, slug = 1, base
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug


def somebody_else(what: str, changed_at: datetime, by: str | None = None) -> Conflict:
    """Somebody changed it since it was looked at."""
    who = f"{by} changed" if by else "Somebody has changed"
    return Conflict(
        f"{who} {what} at {changed_at:%H:%M:%S} UTC, after you looked at it. Nothing of yours was saved: look at it as "
        "it is now, and change that."
    )


def still_waiting(count: int, what: str) -> Conflict:
    """Deliveries of it wait or are unclear, so it can't go."""
    many = f"{count:,} or more" if count >= COUNTED else f"{count:,}"
    told = "1 delivery" if count == 1 else f"{many} deliveries"
    return Conflict(
        f"{told} of this {what} must go out, or be decided, first. Disable it meanwhile, so that no new ones come."
    )
