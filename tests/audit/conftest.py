"""A deployment that sold a little and came to rest, and copies of it: a test makes one wrong and audits it."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from app.audit.asking import Asker
from app.audit.findings import Report
from app.audit.run import Audit, Wanted
from app.db import embedded
from app.db.session import Database
from app.sandbox.app import create_app
from app.voucherify.client import Client
from tests.conftest import MakeDatabase
from tests.house import PATIENCE, House
from tests.sandbox.serving import config_for, served


@dataclass(frozen=True)
class Sold:
    """What was sold, by whom, and where it is kept."""

    database_url: str
    sandbox_url: str
    member: dict[str, Any]
    """Mia, who earned a coupon with `first`, used it for `second`, and was refused with it at `refused`."""
    other: dict[str, Any]
    first: str
    second: str
    refused: str
    small: str
    """The one order of the other member."""
    nobodys: str
    """An order without a member."""
    coupon: str
    early: int = 0
    late: int = 0
    """The two deliveries of the other member."""
    told: int = 0
    """An emission about something else than an order."""

    @property
    def names(self) -> dict[str, Any]:
        """What statements name in braces."""
        people = {"member": self.member["id"], "card": self.member["card"], "other": self.other["id"]}
        return {**vars(self), **people}


@pytest_asyncio.fixture(scope="session")
async def sold(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Sold:
    """Real processes make the data and are stopped when all of it has settled."""
    database_url, sandbox_url = await make_database("audit"), await make_database("audit_sandbox")
    house = House(tmp_path_factory.mktemp("audit"), database_url, sandbox_url)
    made = await asyncio.to_thread(_sell, house, database_url, sandbox_url)
    connection = await asyncpg.connect(database_url)
    early, late = await connection.fetchrow("SELECT min(id), max(id) FROM delivery WHERE person = $1", made.other["id"])
    told = await connection.fetchval("SELECT max(id) FROM emission WHERE source = 'voucherify'")
    await connection.close()
    return replace(made, early=early, late=late, told=told)


def _sell(house: House, database_url: str, sandbox_url: str) -> Sold:
    try:
        house.open()
        member, other = house.enrol("+48601000001", "Mia"), house.enrol("+48601000002", "Noah")
        first = house.trace(house.pay(member["id"], {"fuel": 1}).json()["id"])
        coupon = first["coupon"]
        orders = {
            "second": house.pay(member["id"], {"wash-full": 1}, coupon=coupon).json()["id"],
            "small": house.pay(other["id"], {"coffee": 1}).json()["id"],
            "nobodys": house.pay(None, {"coffee": 1}).json()["id"],
        }
        refused = house.pay(member["id"], {"coffee": 1}, coupon=coupon)
        assert refused.status_code == 422, refused.text
        for order_id in orders.values():
            house.trace(order_id)
        _wait_for_rest(house)
        return Sold(
            database_url, sandbox_url, member, other, first["order"]["id"], coupon=coupon,
            refused=refused.json()["order_id"], **orders,
        )  # fmt: skip
    finally:
        house.close()


def _wait_for_rest(house: House) -> None:
    """Until the audit as a command finds nothing, not even what is open."""
    until = time.monotonic() + PATIENCE
    while True:
        report = json.loads(house.run("app.audit", "--settling", "0", "--per-minute", "100000", "--json"))
        if not report["open"]:
            return
        assert time.monotonic() < until, report["findings"]
        time.sleep(0.2)


@dataclass
class Copy:
    """A copy of the deployment: our own database, and a Voucherify."""

    sold: Sold
    database: Database
    asker: Asker

    async def execute(self, statement: str) -> None:
        """Make our own tables wrong. Names in braces are those of `Sold`."""
        await execute(self.database, statement, self.sold)

    async def audit(self, **wanted: Any) -> Report:
        wanted = {"settling": timedelta(0), **wanted}
        return await Audit(self.database, self.asker, own_door=True, wanted=Wanted(**wanted)).run()

    async def found(self) -> dict[str, set[str]]:
        """The subjects of what an audit finds, by kind."""
        found: dict[str, set[str]] = {}
        for finding in (await self.audit()).findings:
            found.setdefault(finding.kind, set()).add(finding.subject)
        return found


async def execute(database: Database, statement: str, sold: Sold) -> None:
    async with database.transaction() as connection:
        done = await connection.execute(statement.format(**sold.names))
    assert done.rpartition(" ")[2] != "0", f"changes nothing: {statement}"


@contextlib.asynccontextmanager
async def copied(postgres: str, url: str) -> AsyncIterator[str]:
    """A copy of a database, as long as the block runs."""
    name = f"audit_{uuid4().hex[:8]}"
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{make_url(url).database}"')
        yield embedded.database_url(postgres, name)
    finally:
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await connection.close()


@contextlib.asynccontextmanager
async def voucherify(database_url: str) -> AsyncIterator[Client]:
    """A client of a sandbox over this database."""
    async with served(lambda url: create_app(config_for(database_url, url=url))) as (url, _):
        client = Client(url, SecretStr("app-id"), SecretStr("app-token"), timeout=60)
        try:
            yield client
        finally:
            await client.close()


def asker(client: Client) -> Asker:
    return Asker(client, budget=500, per_minute=1_000_000)


@pytest_asyncio.fixture(scope="session")
async def unchanged(postgres: str, sold: Sold) -> AsyncIterator[Client]:
    """A Voucherify that nobody makes wrong."""
    async with copied(postgres, sold.sandbox_url) as url, voucherify(url) as client:
        yield client


@pytest_asyncio.fixture
async def copy(postgres: str, sold: Sold, unchanged: Client) -> AsyncIterator[Copy]:
    """A copy of our own database, of one test."""
    async with copied(postgres, sold.database_url) as url:
        database = Database(url, pool=4)
        yield Copy(sold, database, asker(unchanged))
        await database.close()
