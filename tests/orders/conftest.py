"""A shop: its own database with the demo catalogue, and a real sandbox with the demo programme, reached over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest_asyncio
from pydantic import SecretStr
from sqlmodel import col, select

from app.db import migrate
from app.db.session import Database
from app.emitter.models import Emission
from app.members.service import Enrolment, enrol
from app.migrate import first_start
from app.orders.basket import Line
from app.orders.checkout import Checkout, Purchase
from app.orders.models import Order
from app.sandbox.app import create_app
from app.seed import seed_programme
from app.voucherify import publications
from app.voucherify.client import Client
from tests.conftest import MakeDatabase
from tests.sandbox.serving import config_for, served

REDEMPTIONS = {"path": "/v1/redemptions", "method": "POST"}


def client_of(url: str, transport: httpx.AsyncBaseTransport | None = None) -> Client:
    """A client with the sandbox's keys."""
    return Client(url, SecretStr("app-id"), SecretStr("app-token"), timeout=60, transport=transport)


@dataclass(frozen=True)
class Shop:
    """Everything that an order needs, and what it left behind."""

    database: Database
    voucherify: Client
    sandbox: httpx.AsyncClient
    member_id: UUID

    @property
    def checkout(self) -> Checkout:
        return Checkout(self.database, self.voucherify)

    @property
    def later(self) -> Checkout:
        """The checkout as it is when enough time has passed to take up what was cut off."""
        return replace(self.checkout, pending_after=0.0)

    def purchase(self, **more: Any) -> Purchase:
        given: dict[str, Any] = {
            "client": "register:warsaw/2",
            "idempotency_key": str(uuid4()),
            "source": "till",
            "location_id": "warsaw",
            "lines": (Line("wash-full", 1),),
            "member_id": self.member_id,
        }
        return Purchase(**given | more)

    async def coupon(self) -> str:
        """A code that takes 10 % off, once."""
        made = await publications.publish(
            self.voucherify, "Big basket", {"source_id": str(self.member_id)}, f"test:{uuid4()}"
        )
        return publications.code_of(made)

    async def faults(self, **faults: Any) -> None:
        answer = await self.sandbox.post("/sandbox/faults", json=faults)
        assert answer.status_code == 200, answer.text

    async def redeemed(self, code: str) -> int:
        """How often Voucherify counts the code as redeemed."""
        voucher = await self.voucherify.call("GET", f"/v1/vouchers/{code}")
        return int(voucher["redemption"]["redeemed_quantity"])

    async def orders(self) -> list[Order]:
        async with self.database.session() as session:
            return list((await session.exec(select(Order).order_by(col(Order.number)))).all())

    async def emitted(self) -> list[dict[str, Any]]:
        """The `Order Completed` messages in the outbox."""
        async with self.database.session() as session:
            rows = await session.exec(select(Emission).where(col(Emission.order_id).is_not(None)))
            return [row.message for row in rows.all()]


@pytest_asyncio.fixture(scope="session")
async def opened_shop(make_database: MakeDatabase) -> AsyncIterator[Shop]:
    """One shop and one sandbox for all tests here: to make them takes longer than most tests do."""
    url, sandbox_database = await make_database("orders"), await make_database("orders_sandbox")
    await migrate.upgrade(url)
    database = Database(url, pool=10)
    async with served(lambda url: create_app(config_for(sandbox_database, url=url))) as (sandbox_url, _):
        voucherify = client_of(sandbox_url)
        await seed_programme(voucherify)
        async with database.session() as session:
            await first_start(session)
            member, _ = await enrol(session, Enrolment("+48601234567", "Mia"), "till")
        async with httpx.AsyncClient(base_url=sandbox_url, timeout=60) as sandbox:
            yield Shop(database, voucherify, sandbox, member.id)
        await voucherify.close()
    await database.close()


@pytest_asyncio.fixture
async def shop(opened_shop: Shop) -> Shop:
    """The shop without orders and without faults."""
    assert (await opened_shop.sandbox.delete("/sandbox/faults")).status_code == 200
    async with opened_shop.database.connection() as connection:
        await connection.execute("TRUNCATE orders, emission")
    return opened_shop
