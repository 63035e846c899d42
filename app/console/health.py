"""Is it alive, is it ready, and the figures behind it. The same routes for the web process and the worker."""

from typing import Any

import httpx
from litestar import MediaType, Response, Router, get
from litestar.datastructures import State
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Gauge, generate_latest

from app.db.session import Database
from app.db.trouble import NOT_THE_WORK
from app.telemetry import log

LOG_LAG = Gauge("loyalty_log_lag_events", "Events that wait to be routed.")
EMISSIONS = Gauge("loyalty_emissions_rows", "Emissions in the outbox by state.", ["status"])
DELIVERIES = Gauge("loyalty_deliveries_rows", "Deliveries by state.", ["status"])
LANE_AGE = Gauge("loyalty_lane_age_seconds", "How long the longest waiting lane is overdue.")
WEBHOOK_LAG = Gauge("loyalty_webhook_lag_seconds", "Age of the oldest webhook that waits to be applied.")


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
    }
    good = all(found == "ok" for found in checks.values())
    return Response({"status": "well" if good else "not well", "checks": checks}, status_code=200 if good else 503)


@get("/metrics", role="public", operation_id="metrics", media_type=MediaType.TEXT)
async def metrics(state: State) -> Response[bytes]:
    """Prometheus: this process's counters, and what the database says about the whole."""
    try:
        await _measure(state.database)
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


async def _reachable(url: str) -> str:
    """Any answer will do: keys are checked by calls that need them."""
    try:
        async with httpx.AsyncClient(timeout=3.0) as client:
            await client.get(url)
    except httpx.HTTPError as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"


async def _measure(database: Database) -> None:
    async with database.connection() as connection:
        LOG_LAG.set(
            await connection.fetchval(
                """SELECT coalesce(sum(waiting), 0) FROM (
                       SELECT (SELECT count(*) FROM event
                               WHERE partition = log_cursor.partition AND position > log_cursor.position) AS waiting
                       FROM log_cursor WHERE consumer = 'route') AS partitions"""
            )
        )
        for gauge, table in ((EMISSIONS, "emission"), (DELIVERIES, "delivery")):
            rows = await connection.fetch(f"SELECT status, count(*) FROM {table} GROUP BY status")  # noqa: S608
            gauge.clear()  # a state that nothing is in any more has no row, and would keep its last figure
            for row in rows:
                gauge.labels(row["status"]).set(row["count"])
        LANE_AGE.set(
            await connection.fetchval(
                "SELECT coalesce(greatest(0, extract(epoch FROM now() - min(due_at))), 0)::float8 FROM lane"
            )
        )
        WEBHOOK_LAG.set(
            await connection.fetchval(
                """SELECT coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8
                   FROM webhook WHERE status = 'pending'"""
            )
        )


router = Router("/", route_handlers=[live, ready, health, metrics], tags=["health"])
