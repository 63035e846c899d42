"""Figures and traces that are read from rows alone."""

import asyncio
from pathlib import Path
from uuid import UUID

import asyncpg
from prometheus_client import REGISTRY
from sqlalchemy.engine import make_url

from app.console import health
from app.console.trace import trace
from app.db.base import now
from app.db.session import Database
from app.demo.shop import LOCATIONS
from app.members.models import Member
from app.orders.models import Location, Order
from tests.conftest import MakeDatabase
from tests.pipeline.road import order, routed, states, track
from tests.web import open_web


async def _order(database: Database) -> UUID:
    """A paid order of a member, as the till leaves it."""
    location, member = Location(**LOCATIONS[0]), Member(phone="+48601000000", source="till", created_at=now())
    paid = Order(
        client="register:test",
        idempotency_key="key",
        request_hash="hash",
        source="till",
        location_id=location.id,
        member_id=member.id,
        status="PAID",
        currency="USD",
        lines=[],
        amount=1000,
        total=1000,
        created_at=now(),
        touched_at=now(),
        paid_at=now(),
    )
    async with database.session() as session:
        session.add_all([location, member])
        await session.flush()
        session.add(paid)
    return paid.id


async def test_an_order_that_the_function_dropped_is_at_its_end(database: Database) -> None:
    """Dropped is no failure and nothing to wait for: what would have come after it is skipped and says so."""
    id_ = await _order(database)
    await routed(database, order(str(id_)))
    async with database.connection() as connection:
        await connection.execute("UPDATE delivery SET status = 'filtered', finished_at = now(), error = 'Not today.'")
    found = await trace(database, id_)
    assert found is not None
    after = {step["name"]: step["state"] for step in found["steps"]}
    assert {after[name] for name in ("voucherify", "webhook", "profile", "screen")} == {"skipped"}
    assert after["deliver"] == "done"


async def test_a_poison_event_is_where_the_road_ends(database: Database) -> None:
    """The router's reason stands at the router's step, and the order has failed."""
    id_ = await _order(database)
    await routed(database, order(str(id_), products=[{"product_id": "p", "quantity": 1e300, "price": 1.0}]))
    found = await trace(database, id_)
    assert found is not None
    route = next(step for step in found["steps"] if step["name"] == "route")
    assert (found["state"], route["state"]) == ("failed", "failed")
    assert "DataError" in route["note"]


async def test_a_state_that_nothing_is_in_any_more_has_no_figure(database: Database) -> None:
    """A gauge does not keep the count of pending rows after the last of them is delivered."""
    await routed(database, track())
    await health._measure(database)
    assert REGISTRY.get_sample_value("loyalty_deliveries_rows", {"status": "pending"}) == 1
    async with database.connection() as connection:
        await connection.execute("UPDATE delivery SET status = 'delivered'")
    await health._measure(database)
    assert REGISTRY.get_sample_value("loyalty_deliveries_rows", {"status": "pending"}) is None
    assert [status for _, status in await states(database)] == ["delivered"]


async def test_without_its_database_a_process_is_not_ready_and_says_so(
    make_database: MakeDatabase, postgres: str, tmp_path: Path
) -> None:
    """503 that names the database, from the same process that was ready before and is again afterwards."""
    url = await make_database("unready")
    admin = await asyncpg.connect(postgres)
    name = make_url(url).database
    try:
        async with open_web(tmp_path, url) as web, web.client() as client:
            before = await client.get("/health/ready")
            await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
            during, whole = await asyncio.gather(client.get("/health/ready"), client.get("/health"))
            await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
            after = await client.get("/health/ready")
    finally:
        await admin.close()
    assert [answer.status_code for answer in (before, during, after)] == [200, 503, 200]
    assert during.json()["database"].startswith("unreachable")
    assert whole.json()["checks"]["worker"].startswith("unknown")
