"""② ③ Deliveries: one row per event and mapping; the lane they wait in; every attempt; every function's result."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel, UniqueConstraint, text

from app.db.base import json_field, utc_field


class Delivery(SQLModel, table=True):
    """One event for one mapping of one destination."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("event_position", "destination", "mapping"),
        Index("ix_delivery_pending", "destination", "person", "id", postgresql_where=text("status = 'pending'")),
        Index("ix_delivery_finished", "finished_at", postgresql_where=text("status IN ('delivered', 'filtered')")),
        # What an operator looks for: few among many.
        Index("ix_delivery_stuck", "status", "id", postgresql_where=text("status IN ('failed', 'unclear')")),
        Index("ix_delivery_person", "person", "id"),
        Index(
            "ix_delivery_created_at",
            "created_at",
            postgresql_using="brin",
            postgresql_with={"autosummarize": True},
        ),
        Index("ix_delivery_replay_id", "replay_id", "status", postgresql_where=text("replay_id IS NOT NULL")),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    event_position: int = Field(sa_type=BigInteger)
    destination: str
    mapping: str
    person: str
    status: str = "pending"
    """`pending`, `delivered`, `failed`, `filtered` (the function dropped it), `unclear`."""
    attempts: int = 0
    due_at: datetime = utc_field()
    held: float = 0
    """Seconds that it waited for reasons of its own; while the destination is down this clock stands still."""
    finished_at: datetime | None = utc_field(default=None)
    error: str | None = None
    passed: bool = False
    """Later rows of the person may go before this one, because it held them up too long."""
    created_at: datetime = utc_field()
    replay_id: int | None = Field(default=None, sa_type=BigInteger)
    """The replay that it was last sent again by."""
    attempts_after: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    """Attempts up to this id were made before the replay: they do not tell whether it was done since."""


class Replay(SQLModel, table=True):
    """Deliveries that are sent again: which, how, by whom, and how far it came. One worker at a time queues them."""

    __tablename__ = "replay"
    __table_args__ = (UniqueConstraint("made_by", "idempotency_key"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    destination: str
    selection: dict[str, Any] = json_field()
    """What was chosen: status, error, event, member, time."""
    function: str
    """`rerun`: the insert function runs anew. `reuse`: its kept result counts."""
    twice: bool
    """Also what would be applied twice."""
    note: str
    status: str = "running"
    """`running`, `stopped`, `done`."""
    total: int
    """Deliveries that were chosen when it began."""
    until_id: int = Field(sa_type=BigInteger)
    """The last delivery there was then."""
    at_id: int = Field(default=0, sa_type=BigInteger)
    """The last delivery that it has looked at."""
    queued: int = 0
    left_out: int = 0
    """Would have been applied twice, or changed since they were chosen."""
    made_by: str
    idempotency_key: str
    made_at: datetime = utc_field()
    finished_at: datetime | None = utc_field(default=None)


class Attempt(SQLModel, table=True):
    """One try. Written before the request leaves, completed after: one without an end may have been done."""

    __tablename__ = "attempt"
    __table_args__ = (Index(None, "delivery_id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    delivery_id: int = Field(sa_type=BigInteger, foreign_key="delivery.id", ondelete="CASCADE")
    kind: str = Field(default="send", sa_column_kwargs={"server_default": "send"})
    """`send`, or `look_up`: the question whether an earlier `send` without an answer was carried out."""
    started_at: datetime = utc_field()
    request: dict[str, Any] = json_field()
    """`{method, url, body}`; secrets masked."""
    ended_at: datetime | None = utc_field(default=None)
    outcome: str | None = None
    """Of a send: `done`, `retry`, `refused`, `unclear`, `overruled` (unclear, and sent again all the same). Of a
    look-up: `found`, `not_found`, `retry`."""
    status: int | None = None
    answer: str | None = None
    """The first 2 KB."""


class Lane(SQLModel, table=True):
    """The deliveries of one person to one destination, which go out in order. The lane is the job (rule 8)."""

    __tablename__ = "lane"
    __table_args__ = (Index("ix_lane_due", "destination", "due_at", postgresql_where=text("due_at IS NOT NULL")),)

    destination: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    due_at: datetime | None = utc_field(default=None)
    """When it may be claimed (again): a lease is a due time in the future. Null: nothing waits."""
    owner: str | None = None


class DestinationState(SQLModel, table=True):
    """How a destination is, for all workers: whether it is down, and when its next call may leave."""

    __tablename__ = "destination_state"

    destination: str = Field(primary_key=True)
    down_since: datetime | None = utc_field(default=None)
    """Null: it is up. While it is down, nothing of it is claimed and no row's clock runs (rule 8)."""
    probe_at: datetime | None = utc_field(default=None)
    """When a worker asks again whether it is up; also the lease of the one that asks."""
    failing_since: datetime | None = utc_field(default=None)
    """When it went down first without doing its work since: one may answer its test and refuse the work."""
    probes: int = 0
    """Questions to it since it last did its work."""
    reason: str | None = None
    next_slot: datetime = utc_field()
    """Where a pace is set: the first moment at which nobody has reserved a call yet."""
    rest_until: datetime | None = utc_field(default=None)
    """By its rate headers it wants no call until then: nothing is claimed, and nothing has failed."""
    paused_at: datetime | None = utc_field(default=None)
    """An operator stopped it: nothing is claimed and no clock runs until somebody resumes it."""
    paused_by: str | None = None


class Decision(SQLModel, table=True):
    """What an operator decided about something whose outcome nobody could know. Never changed, never deleted."""

    __tablename__ = "decision"
    __table_args__ = (Index(None, "subject"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    subject: str
    """`delivery:<id>` or `points:<id>`."""
    decision: str
    """`done`, `not_done`, `send_again`."""
    note: str
    """Why, in the operator's words."""
    made_by: str
    """The name of the key that signed in."""
    made_at: datetime = utc_field()


class PoisonEvent(SQLModel, table=True):
    """An event that the router could not take: the cursor passed it, and it waits here to be looked at and replayed."""

    __tablename__ = "poison_event"

    event_position: int = Field(primary_key=True, sa_type=BigInteger)
    error: str
    created_at: datetime = utc_field()


class FunctionResult(SQLModel, table=True):
    """What an insert function made of an event: stored, so that it completes once."""

    __tablename__ = "function_result"

    event_position: int = Field(primary_key=True, sa_type=BigInteger)
    destination: str = Field(primary_key=True)
    outcome: str
    """`returned`, `dropped`, or one of Segment's error kinds: `message_rejected`, `unsupported_event_type`, …"""
    event: dict[str, Any] | None = json_field(default=None, nullable=True)
    error: str | None = None
    log: str = ""
    calls: list[dict[str, Any]] = json_field(default_factory=list)
    """The calls that it made: `{method, path, status, sent, answered, ms}`."""
    milliseconds: float = 0
    started_at: datetime = utc_field()
    finished_at: datetime = utc_field()


class FunctionOnce(SQLModel, table=True):
    """The result of a side effect that a function does once per key."""

    __tablename__ = "function_once"
    __table_args__ = (Index(None, "created_at"),)

    function: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    result: Any = json_field(nullable=True)
    created_at: datetime = utc_field()
