"""Is it alive, is it ready, and the figures behind it. The same routes for the web process and the worker."""

import asyncio
from time import monotonic
from typing import Any

import asyncpg
import httpx
from litestar import MediaType, Response, Router, get
from litestar.datastructures import State
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Gauge, generate_latest

from app.db.session import Database
from app.db.trouble import NOT_THE_WORK
from app.log import log as event_log
from app.pipeline.route import CONSUMER
from app.telemetry import log

LOG_LAG = Gauge("loyalty_log_lag_events", "Events that wait to be routed; an estimate where many do.")
EMISSIONS = Gauge("loyalty_emissions_rows", "Emissions that wait or are given up, by state.", ["status"])
DELIVERIES = Gauge("loyalty_deliveries_rows", "Deliveries that are not done, by state.", ["status"])
LANE_AGE = Gauge("loyalty_lane_age_seconds", "How long the longest waiting lane is overdue.")
WEBHOOK_LAG = Gauge("loyalty_webhook_lag_seconds", "How long the longest waiting webhook is overdue.")
DOWN = Gauge("loyalty_destination_down", "1 while a destination is down.", ["destination"])
MEASURED_EVERY = 10.0
"""Seconds at least; what took long is measured so much less often that it never takes more than a fiftieth."""
_measuring = asyncio.Lock()
_measured_until = 0.0


@get("/health/live", role="public", operation_id="live")
async def live() -> dict[str, str]:
    """200 while this process answers."""
    return {"status": "alive"}


@get("/health/ready", role="public", operation_id="ready")
async def ready(state: State) -> Response[dict[str, str]]:
    """200 while this process can do its work. Without the database it can't; without the others it can: work waits."""
    database = await _check_database(state.database)
    return Response({"database": database}, status_code=200 if database == "ok" else 503)


@get("/health", role="public", operation_id="health")
async def health(state: State) -> Response[dict[str, Any]]:
    """The whole house, each dependency by name; 503 when one is missing."""
    checks = {
        "database": await _check_database(state.database),
        "worker": await _check_worker(state.database),
        "voucherify": await _reachable(state.settings.voucherify_api_url),
        "segment": "ok" if state.settings.own_door else await _reachable(state.settings.segment_host),
        "destinations": await _check_destinations(state.database),
    }
    good = all(found == "ok" for found in checks.values())
    return Response({"status": "well" if good else "not well", "checks": checks}, status_code=200 if good else 503)


@get("/metrics", role="public", operation_id="metrics", media_type=MediaType.TEXT)
async def metrics(state: State) -> Response[bytes]:
    """Prometheus: this process's counters, and what the database says about the whole."""
    try:
        await _measure_now_and_then(state.database)
    except NOT_THE_WORK as error:  # the process's own counters are there all the same
        log.warning("metrics.without_database", error=type(error).__name__)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def _check_database(database: Database) -> str:
    try:
        async with database.connection() as connection:
            await connection.fetchval("SELECT 1")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return f"unreachable: {type(error).__name__}"
    return "ok"


async def _check_worker(database: Database) -> str:
    try:
        async with database.connection() as connection:
            seen = await connection.fetchval("SELECT count(*) FROM lease WHERE name LIKE 'worker:%' AND until > now()")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return f"unknown: {type(error).__name__}"
    return "ok" if seen else "none is running: events and webhooks wait until one is"


async def _check_destinations(database: Database) -> str:
    try:
        async with database.connection() as connection:
            rows = await connection.fetch(
                """SELECT destination, down_since, reason FROM destination_state
                   WHERE down_since IS NOT NULL ORDER BY destination"""
            )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return f"unknown: {type(error).__name__}"
    down = [f"{row['destination']}: down since {row['down_since']:%Y-%m-%dT%H:%M:%SZ}, {row['reason']}" for row in rows]
    return "; ".join(down) or "ok"


async def _reachable(url: str) -> str:
    """Any answer will do: keys are checked by calls that need them."""
    try:
        async with httpx.AsyncClient(timeout=3.0) as client:
            await client.get(url)
    except httpx.HTTPError as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"


async def _measure_now_and_then(database: Database) -> None:
    """Bring the gauges up to date, unless that was done a moment ago: scrapes cost the same however often they come."""
    global _measured_until  # noqa: PLW0603 - gauges are the process's, so this is, too
    async with _measuring:
        if monotonic() < _measured_until:
            return
        began = monotonic()
        await _measure(database)
        _measured_until = monotonic() + max(MEASURED_EVERY, 50 * (monotonic() - began))


async def _measure(database: Database) -> None:
    """Each query reads an index that has only what is not done yet: what was done never makes it slower."""
    async with database.connection() as connection:
        LOG_LAG.set(await event_log.waiting(connection, CONSUMER))
        for gauge, table, states in (
            (EMISSIONS, "emission", ("pending", "dead")),
            (DELIVERIES, "delivery", ("pending", "failed", "unclear")),
        ):
            for status in states:  # written into the query, for else the planner does not know that the index fits
                count = f"SELECT count(*) FROM {table} WHERE status = '{status}'"  # noqa: S608
                gauge.labels(status).set(await connection.fetchval(count))
        LANE_AGE.set(await _lane_age(connection))
        WEBHOOK_LAG.set(
            await connection.fetchval(
                """SELECT coalesce(greatest(0, extract(epoch FROM now() - min(due_at))), 0)::float8
                   FROM webhook WHERE status = 'pending'"""
            )
        )
        for row in await connection.fetch("SELECT destination, down_since IS NOT NULL AS down FROM destination_state"):
            DOWN.labels(row["destination"]).set(row["down"])


async def _lane_age(connection: asyncpg.Connection) -> float:
    """Of the destinations that are up: nobody may take what waits for one that is down. One step per destination."""
    age: float = await connection.fetchval(
        """WITH RECURSIVE first AS (
               (SELECT destination, due_at FROM lane WHERE due_at IS NOT NULL ORDER BY destination, due_at LIMIT 1)
               UNION ALL
               SELECT next.* FROM first CROSS JOIN LATERAL (
                   SELECT destination, due_at FROM lane WHERE due_at IS NOT NULL AND destination > first.destination
                   ORDER BY destination, due_at LIMIT 1) AS next
           )
           SELECT coalesce(greatest(0, extract(epoch FROM now() - min(due_at))), 0)::float8 FROM first
           WHERE destination NOT IN (SELECT destination FROM destination_state WHERE down_since IS NOT NULL)"""
    )
    return age


router = Router("/", route_handlers=[live, ready, health, metrics], tags=["health"])
