"""Which deliveries somebody means, as SQL: for lists, for replays, and for what a replay would do."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import asyncpg
import msgspec

from app.errors import BadInput

Status = Literal["pending", "delivered", "failed", "filtered", "unclear"]

MOST_IDS = 1000
LONGEST = 500
"""Characters of a text that is looked for."""
OUT_OF_ORDER = timedelta(minutes=10)
"""Ids grow with the time of making, but for transactions that were open at once; none is open for longer."""

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""No delivery is made outside; times near the ends of the calendar can't be counted with."""

FROM = "delivery JOIN event ON event.position = event_position"


class Selection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Deliveries that meet all that is said here. What is not said does not matter.

    A field that there is not is refused: with a typing error passed over, everything would be chosen.
    """

    destination: str | None = None
    """Its slug."""
    mapping: str | None = None
    """Its slug."""
    status: list[Status] = msgspec.field(default_factory=list)
    """One of these; none: any."""
    error: str | None = None
    """Text that is somewhere in the error; capitals do not matter."""
    type: str | None = None
    """Of the event: `track`, `identify`, …"""
    event: str | None = None
    """The event's name, as in `Order Completed`."""
    person: str | None = None
    """The member's id, or what else the event was by: `userId ?? anonymousId`."""
    order_id: str | None = None
    since: datetime | None = None
    """Made by the router at this moment or later."""
    until: datetime | None = None
    """Made before this moment."""
    ids: list[int] = msgspec.field(default_factory=list)
    """Single deliveries; none: any."""
    replay: int | None = None
    """Last sent again by this replay."""


def checked(selection: Selection) -> Selection:
    """The selection as it can be asked for: empty texts count as not said, times without a zone are UTC.

    Raises:
        BadInput: a text or a list is too long, or has what no row can have.
    """
    texts: dict[str, Any] = {}
    for name in ("destination", "mapping", "error", "type", "event", "person", "order_id"):
        text = getattr(selection, name)
        if text is not None and (len(text) > LONGEST or "\x00" in text):
            raise BadInput(f"{name}: {LONGEST} characters at most, and no NUL.")
        texts[name] = text.strip() or None if text else None
    if len(selection.ids) > MOST_IDS or not all(0 <= number < 2**63 for number in selection.ids):
        raise BadInput(f"ids: {MOST_IDS} at most, each an id of a delivery.")
    if selection.replay is not None and not 0 <= selection.replay < 2**63:
        raise BadInput("replay: the id of a replay.")
    return msgspec.structs.replace(selection, **texts, since=_zoned(selection.since), until=_zoned(selection.until))


def _zoned(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return min(max(moment.replace(tzinfo=moment.tzinfo or UTC), EARLIEST), LATEST)


@dataclass
class Conditions:
    """A growing `WHERE` with its arguments; only our own text gets into the SQL."""

    parts: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)

    def add(self, condition: str, *values: Any) -> None:
        """`condition` has `{0}`, `{1}`, … where the values go."""
        first = len(self.arguments) + 1
        self.arguments.extend(values)
        self.parts.append(condition.format(*(f"${first + place}" for place in range(len(values)))))

    @property
    def sql(self) -> str:
        return " AND ".join(self.parts) or "true"


async def conditions(connection: asyncpg.Connection, selection: Selection) -> Conditions:
    """What a row of `FROM` must meet. `selection` is a checked one.

    A time is turned into bounds of the id first, by which the primary key finds its rows without a look at others.
    """
    made = Conditions()
    for column, value in (
        ("delivery.destination", selection.destination),
        ("delivery.mapping", selection.mapping),
        ("delivery.person", selection.person),
        ("delivery.replay_id", selection.replay),
        ("event.type", selection.type),
        ("event.name", selection.event),
        ("event.order_id", selection.order_id),
    ):
        if value is not None:
            made.add(f"{column} = {{0}}", value)
    if len(selection.status) == 1:  # spelled out, so that the planner sees which partial index serves
        made.add(f"delivery.status = '{_known(selection.status[0])}'")
    elif selection.status:
        made.add("delivery.status IN (" + ", ".join(f"'{_known(status)}'" for status in selection.status) + ")")
    if selection.error is not None:
        made.add("strpos(lower(delivery.error), lower({0})) > 0", selection.error)
    if selection.ids:
        made.add("delivery.id = ANY({0}::bigint[])", selection.ids)
    if selection.since is not None:
        first = await first_since(connection, selection.since - OUT_OF_ORDER)
        made.add("delivery.created_at >= {0} AND delivery.id >= {1}", selection.since, first)
    if selection.until is not None:
        end = await first_since(connection, selection.until + OUT_OF_ORDER)
        made.add("delivery.created_at < {0} AND delivery.id < {1}", selection.until, end)
    return made


def _known(status: str) -> str:
    """The status, which goes into SQL as it is."""
    if status not in {"pending", "delivered", "failed", "filtered", "unclear"}:
        raise BadInput(f"status: there is none named {status[:50]!r}.")
    return status


async def first_since(connection: asyncpg.Connection, moment: datetime) -> int:
    """About the first id of those made at this moment or later, found by halving: twenty rows of a million are read."""
    found: int = await connection.fetchval(
        """WITH RECURSIVE halving AS (  -- rows up to `low` are older; those from `high` on are not
               SELECT coalesce(min(id), 0) - 1 AS low, coalesce(max(id), 0) + 1 AS high FROM delivery
               UNION ALL
               SELECT CASE WHEN found.older IS FALSE THEN low ELSE middle END,
                      CASE WHEN found.older IS FALSE THEN found.id ELSE high END
               FROM (SELECT low, high, (low + high) / 2 AS middle FROM halving WHERE high - low > 1) AS half
               LEFT JOIN LATERAL (
                   SELECT id, created_at < $1 AS older FROM delivery
                   WHERE id > low AND id <= middle ORDER BY id DESC LIMIT 1
               ) AS found ON true
           )
           SELECT min(high) FROM halving""",
        moment,
    )
    return found
