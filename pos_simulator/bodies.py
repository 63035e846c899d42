"""What the till's API takes and gives. Money is in integer minor units of `currency`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.orders.basket import Line
from app.orders.models import Location, Order, Product
from pos_simulator.quote import Quote
from pos_simulator.register import Register


class NewLine(BaseModel):
    """So many of one product."""

    model_config = ConfigDict(extra="forbid")

    product_id: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x20\x7f]+$")
    quantity: int = Field(ge=1, le=1000)


class Basket(BaseModel):
    """What is sold to whom. Prices are not sent: they come from the catalogue."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"lines": [{"product_id": "coffee", "quantity": 2}]}]}
    )

    lines: list[NewLine] = Field(min_length=1, max_length=100)
    member_id: UUID | None = None
    coupon: str | None = Field(default=None, min_length=1, max_length=100, pattern=r"^[^\x00-\x20\x7f]+$")

    def wanted(self) -> tuple[Line, ...]:
        return tuple(Line(line.product_id, line.quantity) for line in self.lines)


@dataclass(frozen=True)
class ShopRead:
    """Where the till stands. `tax_rate` is in basis points."""

    id: str
    name: str
    brand: str
    time_zone: str
    locale: str
    tax_rate: int
    tax_included: bool

    @classmethod
    def of(cls, location: Location) -> Self:
        return cls(
            location.id,
            location.name,
            location.brand,
            location.time_zone,
            location.locale,
            location.tax_rate,
            location.tax_included,
        )


@dataclass(frozen=True)
class ProductRead:
    id: str
    name: str
    category: str
    price: int


@dataclass(frozen=True)
class Catalogue:
    """What this till sells, in the order of its screen."""

    location: ShopRead
    register: str
    currency: str
    products: list[ProductRead]

    @classmethod
    def of(cls, register: Register, products: list[Product]) -> Self:
        return cls(
            ShopRead.of(register.location),
            register.name,
            register.location.currency,
            [ProductRead(product.id, product.name, product.category, product.price) for product in products],
        )


@dataclass(frozen=True)
class PricedLine:
    product_id: str
    name: str
    category: str
    quantity: int
    price: int
    amount: int


@dataclass(frozen=True)
class CouponRead:
    """What Voucherify said of the coupon. `valid` is null when it can't be asked now; `reason` is a sentence."""

    code: str
    valid: bool | None
    reason: str | None
    discount: int


@dataclass(frozen=True)
class QuoteRead:
    """What a basket costs now. Nothing is reserved by it."""

    currency: str
    lines: list[PricedLine]
    amount: int
    discount: int
    tax: int
    total: int
    coupon: CouponRead | None

    @classmethod
    def of(cls, quote: Quote, currency: str) -> Self:
        return cls(
            currency,
            [PricedLine(**line) for line in quote.lines],
            quote.totals.amount,
            quote.totals.discount,
            quote.totals.tax,
            quote.totals.total,
            CouponRead(**vars(quote.coupon)) if quote.coupon else None,
        )


@dataclass(frozen=True)
class OrderRead:
    """An order as the till gets it. `location` is the id of the shop."""

    id: UUID
    number: int | None
    status: str
    currency: str
    lines: list[PricedLine]
    amount: int
    discount: int
    tax: int
    total: int
    coupon: str | None
    member_id: UUID | None
    location: str
    register: str | None
    created_at: datetime
    paid_at: datetime | None

    @classmethod
    def of(cls, order: Order) -> Self:
        return cls(
            order.id,
            order.number,
            order.status,
            order.currency,
            [PricedLine(**line) for line in order.lines],
            order.amount,
            order.discount,
            order.tax,
            order.total,
            order.coupon,
            order.member_id,
            order.location_id,
            order.register_name,
            order.created_at,
            order.paid_at,
        )
