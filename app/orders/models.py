"""Places, goods, and orders. Money is in integer minor units of the order's currency."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Identity
from sqlmodel import Column, Field, Index, SQLModel, UniqueConstraint, text

from app.db.base import amount_field, json_field, utc_field


class Location(SQLModel, table=True):
    """A shop: what an order needs to know of the place where it was made."""

    __tablename__ = "location"

    id: str = Field(primary_key=True)
    name: str
    brand: str
    currency: str
    """ISO 4217."""
    tax_rate: int
    """Basis points: 700 is 7 %."""
    tax_included: bool
    """Whether catalogue prices contain the tax."""
    time_zone: str
    locale: str
    registers: int


class Product(SQLModel, table=True):
    """Something that can be bought. The id is the product's `source_id` in Voucherify."""

    __tablename__ = "product"

    id: str = Field(primary_key=True)
    name: str
    category: str
    price: int = amount_field()
    """Minor units, for one."""
    active: bool = True
    position: int = 0
    """Where it stands on the till's screen."""


class Order(SQLModel, table=True):
    """One order, from PENDING to PAID or CANCELED. The id is its `source_id` in Voucherify."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("client", "idempotency_key"),
        Index(None, "member_id", "created_at"),
        Index("ix_orders_pending", "touched_at", postgresql_where=text("status = 'PENDING'")),
        Index("ix_orders_recheck_at", "recheck_at", postgresql_where=text("recheck_at IS NOT NULL")),
        Index("ix_orders_rolled_back", "id", postgresql_where=text("jsonb_exists(redemption, 'rolled_back')")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    number: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True, start=1001), nullable=False, unique=True)
    )
    client: str
    """Who sent it: `register:<name>` or `member:<id>`. An idempotency key counts within its client."""
    idempotency_key: str
    request_hash: str
    source: str
    location_id: str = Field(foreign_key="location.id")
    register_name: str | None = None
    member_id: UUID | None = Field(default=None, foreign_key="member.id")
    status: str
    """`PENDING`, `PAID`, `CANCELED`."""
    currency: str
    lines: list[dict[str, Any]] = json_field()
    """`{product_id, name, category, quantity, price, amount}`; priced when the order was made."""
    amount: int = amount_field()
    """Before discounts."""
    discount: int = amount_field(default=0)
    tax: int = amount_field(default=0)
    total: int = amount_field(default=0)
    coupon: str | None = None
    redemption: dict[str, Any] | None = json_field(default=None, nullable=True)
    """The call that redeemed the coupon: `{sent, answered, id, discount, order_status, ended_at}`; where it was carried
    out after the order was canceled also `{looks, rolled_back: {redemption, id, at}, not_rolled_back}`."""
    refusal: str | None = None
    """Why the order was canceled, as a sentence."""
    created_at: datetime = utc_field()
    touched_at: datetime = utc_field()
    """When a checkout or the sweeper last took it up; also its lease."""
    paid_at: datetime | None = utc_field(default=None)
    recheck_at: datetime | None = utc_field(default=None)
    """Of a CANCELED order whose redemption may still be carried out late: when to look, and to roll it back."""
