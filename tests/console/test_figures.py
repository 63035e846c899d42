"""Figures and traces that are read from rows alone."""

import asyncio
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
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
from tests.pipeline.road import order, routed, states, store, track
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


async def test_an_old_order_does_not_wait_for_rows_that_were_deleted(database: Database) -> None:
    """When its rows are pruned its steps are skipped and say so; one that has a row that waits still waits."""
    id_ = await _order(database)
    found = await trace(database, id_)
    assert found is not None
    assert found["state"] == "running"
    async with database.connection() as connection:
        await connection.execute("UPDATE orders SET created_at = now() - interval '100 days'")
    found = await trace(database, id_)
    assert found is not None
    assert (found["state"], found["missing"]) == ("done", [])
    assert found["steps"][-1]["note"] == "Its rows are not kept any more."
    await routed(database, order(str(id_)))
    found = await trace(database, id_)
    assert found is not None
    assert found["state"] == "running"


async def test_a_coupon_that_was_given_back_is_told(database: Database) -> None:
    """The trace of a canceled order says what became of a redemption that came too late."""
    id_ = await _order(database)
    async with database.connection() as connection:
        await connection.execute(
            """UPDATE orders SET status = 'CANCELED', refusal = 'Too slow.', redemption =
               '{"sent": {}, "rolled_back": {"id": "rr_1", "redemption": "r_1", "at": "2026-11-22T12:00:00"}}'"""
        )
    found = await trace(database, id_)
    assert found is not None
    note = next(step["note"] for step in found["steps"] if step["name"] == "redeem")
    assert note == "Too slow. It was redeemed late, and rolled back 2026-11-22T12:00:00: it is free again."


async def test_a_state_that_nothing_is_in_any_more_is_nought(database: Database) -> None:
    """A gauge does not keep the count of pending rows after the last of them is delivered."""
    await routed(database, track())
    await health._measure(database)
    assert REGISTRY.get_sample_value("loyalty_deliveries_rows", {"status": "pending"}) == 1
    async with database.connection() as connection:
        await connection.execute("UPDATE delivery SET status = 'delivered'")
    await health._measure(database)
    assert REGISTRY.get_sample_value("loyalty_deliveries_rows", {"status": "pending"}) == 0
    assert [status for _, status in await states(database)] == ["delivered"]


async def test_figures_are_what_they_say(database: Database) -> None:
    """Each gauge shows what is in the rows: what waits, what is stuck, how long, and which destination is down."""
    await store(database, *(track() for _ in range(7)))
    async with database.connection() as connection:
        await connection.execute(
            """INSERT INTO log_cursor (consumer, partition, position) VALUES ('route', 0, 3);
               INSERT INTO delivery (event_position, destination, mapping, person, status, attempts, due_at, held,
                                     passed, created_at)
               SELECT n, 'd', 'm', 'p', CASE WHEN n < 3 THEN 'failed' WHEN n < 6 THEN 'unclear' ELSE 'delivered' END, 0,
                      now(), 0, false, now() FROM generate_series(1, 9) AS n;
               INSERT INTO lane (destination, person, due_at) VALUES
                   ('a', 'p', now() - interval '10 s'), ('b', 'p', now() - interval '20 s'),
                   ('b', 'q', now() + interval '9 s'), ('c', 'p', now() - interval '90 s'), ('d', 'p', NULL);
               INSERT INTO destination_state (destination, down_since, probes, next_slot) VALUES
                   ('b', NULL, 0, now()), ('c', now(), 0, now());
               INSERT INTO webhook (source_id, event_id, type, body, status, attempts, due_at, received_at) VALUES
                   ('s', 'e1', 't', '{}', 'pending', 0, now() - interval '5 s', now()),
                   ('s', 'e2', 't', '{}', 'applied', 0, now() - interval '50 s', now())"""
        )
    await health._measure(database)

    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"loyalty_{name}", labels) or 0.0

    assert value("log_lag_events") == 4
    assert [value("deliveries_rows", status=status) for status in ("pending", "failed", "unclear")] == [0, 2, 3]
    assert value("lane_age_seconds") == pytest.approx(20, abs=2)
    assert value("webhook_lag_seconds") == pytest.approx(5, abs=2)
    assert [value("destination_down", destination=slug) for slug in ("b", "c")] == [0, 1]
    assert (await health._check_destinations(database)).startswith("c: down since 20")


async def test_figures_read_no_whole_table(database: Database) -> None:
    """With many rows that are done, measuring goes by the indexes of what is not: no table is read from end to end."""
    await routed(database, track())
    async with database.connection() as connection:
        await connection.execute(
            """INSERT INTO event (partition, person, message_id, source, type, message, received_at)
               SELECT n % 8, 'p', n::text, 'till', 'page', '{}', now() FROM generate_series(1, 20000) AS n;
               INSERT INTO log_cursor (consumer, partition, position) SELECT 'route', n, 20001
               FROM generate_series(0, 7) AS n ON CONFLICT (consumer, partition) DO UPDATE SET position = 20001;
               INSERT INTO delivery (event_position, destination, mapping, person, status, attempts, due_at, held,
                                     passed, created_at)
               SELECT n, 'd', 'm', 'p' || n, 'delivered', 0, now(), 0, false, now() FROM generate_series(1, 20000) AS n;
               INSERT INTO lane (destination, person) SELECT 'd', n::text FROM generate_series(1, 20000) AS n;
               INSERT INTO webhook (source_id, event_id, type, body, status, attempts, due_at, received_at)
               SELECT 's', n::text, 't', '{}', 'applied', 0, now(), now() FROM generate_series(1, 20000) AS n"""
        )
        await connection.execute("ANALYZE")
    one = Database(database.url, pool=2)  # one of them for sessions
    try:
        before = await _scanned(one)
        await health._measure(one)
        assert await _scanned(one) == before
    finally:
        await one.close()


async def _scanned(database: Database) -> dict[str, int]:
    """Rows that were read without an index, by table; the pool has one connection, so these are its own as well."""
    async with database.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        rows = await connection.fetch(
            """SELECT relname, seq_tup_read FROM pg_stat_user_tables
               WHERE relname IN ('event', 'delivery', 'lane', 'webhook')"""
        )
    return {row["relname"]: row["seq_tup_read"] for row in rows}


async def test_scrapes_in_between_cost_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within ten seconds of a measurement another scrape shows the same figures, and asks the database for nothing."""
    monkeypatch.setattr(health, "_measured_until", 0.0)
    await health._measure_now_and_then(database)
    await routed(database, track())
    await health._measure_now_and_then(database)
    assert REGISTRY.get_sample_value("loyalty_deliveries_rows", {"status": "pending"}) == 0
    monkeypatch.setattr(health, "_measured_until", 0.0)
    await health._measure_now_and_then(database)
    assert REGISTRY.get_sample_value("loyalty_deliveries_rows", {"status": "pending"}) == 1


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
