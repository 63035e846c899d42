"""Points that we move ourselves: adjustments and reward purchases. Each is a row before it leaves (rule 5)."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel, UniqueConstraint, text

from app.db.base import json_field, utc_field


class PointOperation(SQLModel, table=True):
    """One movement of points that was asked of Voucherify, which has no idempotency key for it.

    `id` is sent along, so that a look-up can find it again.
    """

    __tablename__ = "point_operation"
    __table_args__ = (
        UniqueConstraint("client", "idempotency_key"),
        Index(None, "member_id", "created_at"),
        Index(
            "ix_point_operation_open", "status", "touched_at", postgresql_where=text("status IN ('PENDING', 'UNCLEAR')")
        ),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    client: str
    """Who asked: `member:<id>`, `operator:<name>`, or `house` where a canceled order had earned. An idempotency key
    counts within its client."""
    idempotency_key: str
    request_hash: str
    kind: str
    """`reward` (points for a reward) or `adjustment` (points given or taken by an operator)."""
    member_id: UUID = Field(foreign_key="member.id")
    card: str
    points: int | None = Field(default=None, sa_type=BigInteger)
    """Of an adjustment: what to add (positive) or take (negative). Of a reward: its price, once known (negative)."""
    reward_id: str | None = None
    title: str = ""
    """The reward's name, or the reason of the adjustment: what the member reads."""
    status: str
    """`PENDING`, `DONE`, `REFUSED`, `UNCLEAR`."""
    sent: dict[str, Any] = json_field()
    """The request: `{method, path, body, at, asked_before}`. `at`: when it left, null while it is yet to be sent;
    `asked_before`: how many look-ups were about an earlier sending."""
    answered: Any = json_field(default=None, nullable=True)
    """What Voucherify said, when it did the work or refused it."""
    look_ups: list[dict[str, Any]] = json_field(default_factory=list)
    """Questions whether it was done: `{at, path, found}`."""
    refusal: str | None = None
    """Why it was refused or is unclear, as a sentence."""
    coupon: str | None = None
    """The code that a reward brought."""
    created_at: datetime = utc_field()
    touched_at: datetime = utc_field()
    """When somebody last took it up; also its lease."""
    finished_at: datetime | None = utc_field(default=None)
