"""Kept as long as needed, not longer (rule 16): old rows go in small batches, each a statement of its own.

What nobody has decided on yet is never old: pending, failed and unclear deliveries, dead emissions, failed webhooks and
poison events stay, and so do the events that they are about. Facts, orders and members are not pruned.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

import asyncpg

from app.db.session import Database
from app.setting_groups import KeepSettings

BATCH = 5_000
MOST_SECONDS = 20.0
"""For one table in one run: what is left waits for the next."""
_READ = """(source_id <> 'poll' OR received_at < (
  SELECT watermark - interval '1 hour' FROM polled_list WHERE name = CASE
    WHEN type LIKE 'redemption.%' THEN 'redemptions' WHEN type LIKE 'publication.%' THEN 'publications'
    ELSE 'transactions:' || (body #>> '{data,voucher,campaign}') END))"""
"""What the poll feed brought stays until its list has gone on: while a list is quiet each look meets its last rows, and
knows by these that they were told before. An hour is more than a look goes back, and clocks differ."""
_BEGINNING = (datetime.min.replace(tzinfo=UTC), 0)


@dataclass
class Pruner:
    """One per worker; one of them runs at a time."""

    database: Database
    keep: KeepSettings
    _after: tuple[datetime, int] = _BEGINNING
    """Where the walk through old events goes on: those that must stay are not looked at again in every run."""

    async def run_once(self) -> int:
        """Delete old rows, of each table for some seconds at most; returns how many went."""
        events, deliveries = timedelta(days=self.keep.events_days), timedelta(days=self.keep.deliveries_days)
        webhooks = timedelta(days=self.keep.webhooks_days)
        gone = 0
        for table, condition, kept in (
            ("event_key", "received_at < now() - $1::interval", timedelta(days=self.keep.message_ids_days)),
            ("change", "created_at < now() - $1::interval", timedelta(days=1)),
            ("reject", "received_at < now() - $1::interval", timedelta(days=self.keep.rejects_days)),
            ("reject_count", "hour < now() - $1::interval", timedelta(days=30)),
            ("lease", "until < now() - $1::interval", timedelta(hours=1)),
            (
                "webhook",
                f"status IN ('applied', 'ignored') AND applied_at < now() - $1::interval AND {_READ}",
                webhooks,
            ),
            ("emission", "status = 'sent' AND sent_at < now() - $1::interval", events),
            ("function_once", "created_at < now() - $1::interval", events),
        ):
            gone += await self._table(table, condition, kept)
        return gone + await self._deliveries(deliveries) + await self._events(events)

    async def _table(self, table: str, condition: str, kept: timedelta) -> int:
        statement = f"""DELETE FROM {table} WHERE ctid = ANY(ARRAY(
                            SELECT ctid FROM {table} WHERE {condition} LIMIT {BATCH}))"""  # noqa: S608
        gone, until = 0, monotonic() + MOST_SECONDS
        while True:
            async with self.database.connection() as connection:
                deleted = _count(await connection.execute(statement, kept))
            gone += deleted
            if deleted < BATCH or monotonic() > until:
                return gone

    async def _deliveries(self, kept: timedelta) -> int:
        """Deliveries that ended well, with their attempts, and with the function's result once all of them went."""
        gone, until = 0, monotonic() + MOST_SECONDS
        while True:
            async with self.database.transaction() as connection:
                rows = await connection.fetch(
                    """DELETE FROM delivery WHERE id = ANY(ARRAY(
                           SELECT id FROM delivery
                           WHERE status IN ('delivered', 'filtered') AND finished_at < now() - $1::interval LIMIT $2))
                       RETURNING event_position, destination""",
                    kept,
                    BATCH,
                )
                await connection.execute(
                    """DELETE FROM function_result AS result USING unnest($1::bigint[], $2::text[]) AS gone(at, slug)
                       WHERE event_position = gone.at AND destination = gone.slug AND NOT EXISTS (
                           SELECT FROM delivery
                           WHERE event_position = result.event_position AND destination = result.destination)""",
                    [row["event_position"] for row in rows],
                    [row["destination"] for row in rows],
                )
            gone += len(rows)
            if len(rows) < BATCH or monotonic() > until:
                return gone

    async def _events(self, kept: timedelta) -> int:
        """Events that every consumer has read and that nothing refers to any more."""
        gone, until = 0, monotonic() + MOST_SECONDS
        while True:
            async with self.database.connection() as connection:
                walked = await self._walk(connection, kept)
            gone += int(walked["deleted"])
            self._after = (walked["received_at"], walked["position"]) if walked["seen"] == BATCH else _BEGINNING
            if walked["seen"] < BATCH or not walked["deleted"] or monotonic() > until:
                return gone

    async def _walk(self, connection: asyncpg.Connection, kept: timedelta) -> asyncpg.Record:
        """Look at the next old events, and delete those that may go."""
        walked: asyncpg.Record = await connection.fetchrow(
            """WITH old AS MATERIALIZED (
                   SELECT position, partition, received_at FROM event
                   WHERE received_at < now() - $1::interval AND (received_at, position) > ($2, $3)
                   ORDER BY received_at, position LIMIT $4
               ), gone AS (
                   DELETE FROM event USING old WHERE event.position = old.position
                   AND old.position <= (SELECT min(position) FROM log_cursor WHERE partition = old.partition)
                   AND NOT EXISTS (SELECT FROM delivery WHERE event_position = old.position)
                   AND NOT EXISTS (SELECT FROM poison_event WHERE event_position = old.position)
                   RETURNING event.position
               ), last AS (SELECT received_at, position FROM old ORDER BY received_at DESC, position DESC LIMIT 1)
               SELECT (SELECT count(*) FROM gone) AS deleted, (SELECT count(*) FROM old) AS seen,
                      (SELECT received_at FROM last) AS received_at, (SELECT position FROM last) AS position""",
            kept,
            *self._after,
            BATCH,
        )
        return walked


def _count(status: str) -> int:
    """The rows of a command's status, as in `DELETE 5`."""
    return int(status.rpartition(" ")[2])
