"""A counter: its own database, and a real sandbox with the demo programme, reached over HTTP."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlmodel import select

from app.db import migrate
from app.db.session import Database
from app.demo.programme import LOYALTY
from app.members.service import Enrolment, enrol, set_card
from app.points.models import PointOperation
from app.points.operations import Points, Wanted
from app.sandbox.app import create_app
from app.seed import seed_programme
from app.voucherify.client import Client
from app.voucherify.loyalty import LoyaltyV1
from tests.conftest import MakeDatabase
from tests.sandbox.serving import config_for, served

PRICE = 100
"""Points, of the free coffee in the demo programme."""
WELCOME = 50
KINDS = pytest.mark.parametrize("kind", ["reward", "adjustment"])


@dataclass(frozen=True)
class Holder:
    """A member with a card."""

    id: UUID
    card: str


@dataclass(frozen=True)
class Counter:
    """Where points are moved, and what both sides know of it afterwards."""

    database: Database
    engine: LoyaltyV1
    sandbox: httpx.AsyncClient
    reward_id: str

    @property
    def points(self) -> Points:
        return Points(self.database, self.engine)

    @property
    def later(self) -> Points:
        """The same when enough time has passed to look for what got no answer."""
        return replace(self.points, waits=(0.0, 0.0, 0.0))

    @property
    def much_later(self) -> Points:
        """The same when whoever sent a request must be gone."""
        return replace(self.later, pending_after=0.0)

    async def holder(self, points: int = PRICE) -> Holder:
        """A new member with so many points (and the welcome)."""
        async with self.database.session() as session:
            member, _ = await enrol(session, Enrolment(f"+4860{random.randrange(10**6, 10**7)}"), "till")
        card = await self.engine.join(LOYALTY, {"source_id": str(member.id)})
        async with self.database.connection() as connection:
            await set_card(connection, member.id, card.code)
        if points:
            body = {"points": points}
            await self.engine.client.call("POST", f"/v1/loyalties/members/{card.code}/balance", body)
            await self.sandbox.delete("/sandbox/requests")
        return Holder(member.id, card.code)

    def purchase(self, holder: Holder, **more: Any) -> Wanted:
        given: dict[str, Any] = {
            "client": f"member:{holder.id}",
            "idempotency_key": str(uuid4()),
            "member_id": holder.id,
            "reward_id": self.reward_id,
        }
        return Wanted(**given | more)

    def adjustment(self, holder: Holder, points: int = 25, **more: Any) -> Wanted:
        given = {"client": "operator:ann", "reward_id": None, "points": points, "reason": "A cold coffee"}
        return self.purchase(holder, **given | more)

    async def faults(self, **faults: Any) -> None:
        answer = await self.sandbox.post("/sandbox/faults", json=faults)
        assert answer.status_code == 200, answer.text

    async def sent(self, holder: Holder) -> int:
        """How many requests that move points Voucherify got for this card, faults included."""
        log = await self.sandbox.get("/sandbox/requests", params={"method": "POST"})
        return sum(holder.card in row["path"] for row in log.json()["data"])

    async def moved(self, holder: Holder) -> list[dict[str, Any]]:
        """The card's transactions in Voucherify, the newest first; the points that the test gave left out."""
        path = f"/v1/loyalties/members/{holder.card}/transactions"
        rows = (await self.engine.client.call("GET", path, params={"limit": 100}))["data"]
        return [row for row in rows if row["reason"] or row["type"] == "POINTS_REDEMPTION"]

    async def balance(self, holder: Holder) -> int:
        return (await self.engine.card(holder.card)).balance

    async def stored(self, operation_id: UUID) -> PointOperation:
        async with self.database.session() as session:
            return await session.get_one(PointOperation, operation_id)

    async def operations(self, holder: Holder) -> list[PointOperation]:
        async with self.database.session() as session:
            rows = await session.exec(select(PointOperation).where(PointOperation.member_id == holder.id))
            return list(rows.all())

    async def told(self, holder: Holder) -> list[str]:
        """What the member's screens were told, in order."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT kind FROM change WHERE topic = $1 ORDER BY position", f"member:{holder.id}"
            )
        return [row["kind"] for row in rows]


def wanted(counter: Counter, holder: Holder, kind: str) -> Wanted:
    return counter.purchase(holder) if kind == "reward" else counter.adjustment(holder, -PRICE)


def faulty(holder: Holder, **more: Any) -> dict[str, Any]:
    """A planned fault of the request that moves points of this card."""
    return {"path": f"/v1/loyalties/members/{holder.card}", "method": "POST", **more}


@pytest_asyncio.fixture(scope="session")
async def opened_counter(make_database: MakeDatabase) -> AsyncIterator[Counter]:
    """One counter and one sandbox for all tests here: to make them takes longer than most tests do."""
    url, sandbox_database = await make_database("points"), await make_database("points_sandbox")
    await migrate.upgrade(url)
    database = Database(url, pool=10)
    async with served(lambda url: create_app(config_for(sandbox_database, url=url))) as (sandbox_url, _):
        client = Client(sandbox_url, SecretStr("app-id"), SecretStr("app-token"), timeout=60)
        await seed_programme(client)
        rewards = await client.call("GET", "/v1/rewards")
        async with httpx.AsyncClient(base_url=sandbox_url, timeout=60) as sandbox:
            yield Counter(database, LoyaltyV1(client), sandbox, rewards["data"][0]["id"])
        await client.close()
    await database.close()


@pytest_asyncio.fixture
async def counter(opened_counter: Counter) -> Counter:
    """The counter without operations and without faults."""
    assert (await opened_counter.sandbox.delete("/sandbox/faults")).status_code == 200
    async with opened_counter.database.connection() as connection:
        await connection.execute("TRUNCATE point_operation, decision, change")
    return opened_counter
