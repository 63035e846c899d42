"""The worker's side of webhooks: balance, coupons and movements into profile and facts, and the event to Segment.

One transaction per batch with a savepoint per webhook: a poison one is put aside with its reason and harms no other.
Webhooks come doubled, late and in any order. Movements are known by their transaction id, states by their time.
"""

from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from app.backoff import backoff
from app.db import many
from app.db.base import now
from app.db.session import Database
from app.db.trouble import NOT_THE_WORK
from app.errors import VoucherifyError, VoucherifyRefused
from app.live import changes
from app.profiles import loyalty
from app.profiles.loyalty import CardState
from app.telemetry import log
from app.voucherify.loyalty import Loyalty
from app.webhooks.effects import EFFECTS, Notice
from app.webhooks.to_segment import emit_for

BATCH = 100
MOST_ATTEMPTS = 8
CARDS_AT_ONCE = 20


@dataclass(frozen=True)
class _End:
    """What became of a webhook."""

    status: str
    error: str | None = None
    told: list[changes.Change] = field(default_factory=list)


@dataclass(frozen=True)
class Applier:
    """Applies what waits in the inbox."""

    database: Database
    engine: Loyalty
    emits: bool
    """Whether Voucherify's events are sent on to Segment by us."""

    async def run_once(self) -> bool:
        """Apply one batch; whether there was anything."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch(
                """SELECT id, event_id, type, body, member_id, order_id, attempts, received_at FROM webhook
                   WHERE status = 'pending' AND due_at <= now() ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED""",
                BATCH,
            )
            if not rows:
                return False
            ended = [await self._one(connection, row) for row in rows]
            await many.execute(
                connection,
                """UPDATE webhook SET status = ended.status, error = ended.error, attempts = attempts + 1,
                          applied_at = CASE WHEN ended.status IN ('applied', 'ignored') THEN clock_timestamp() END,
                          due_at = now() + make_interval(secs => ended.wait)
                   FROM unnest($1::bigint[], $2::text[], $3::text[], $4::float8[]) AS ended (id, status, error, wait)
                   WHERE webhook.id = ended.id""",
                [
                    (row["id"], end.status, end.error, backoff(row["attempts"], base=2.0))
                    for row, end in zip(rows, ended, strict=True)
                ],
            )
            await changes.append(connection, [change for end in ended for change in end.told])
        for row, end in zip(rows, ended, strict=True):
            log.info(f"webhook.{end.status}", type=row["type"], order_id=row["order_id"])
        return True

    async def _one(self, connection: asyncpg.Connection, row: asyncpg.Record) -> "_End":
        """Apply one webhook inside a savepoint."""
        effect = EFFECTS.get(row["type"])
        if effect is None or row["member_id"] is None:
            return _End("ignored")
        try:
            async with connection.transaction():
                notice = Notice(
                    type=row["type"],
                    event_id=row["event_id"],
                    member_id=row["member_id"],
                    order_id=row["order_id"],
                    data=row["body"]["data"],
                    received_at=row["received_at"],
                )
                made = await effect(connection, notice)
                if self.emits:
                    await emit_for(connection, notice)
        except NOT_THE_WORK:
            raise
        except Exception as caught:  # noqa: BLE001 - one bad webhook harms only itself
            # The row has the whole message: it may quote what the webhook says about somebody, so the log does not.
            log.error("webhook.poison", webhook=row["id"], order_id=row["order_id"], error=type(caught).__name__)
            status = "failed" if row["attempts"] + 1 >= MOST_ATTEMPTS else "pending"
            return _End(status, f"{type(caught).__name__}: {caught}"[:2000])
        if row["order_id"]:
            made.append(changes.of_order(row["order_id"], "profile.updated"))
        return _End("applied", told=made)

    async def settle_cards(self) -> int:
        """Ask Voucherify for the cards whose stated balances did not add up; returns how many were settled."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                """SELECT profile.loyalty AS seen, value AS user_id FROM profile
                   JOIN profile_identifier ON profile_id = profile.id AND type = 'user_id'
                   WHERE jsonb_exists(profile.loyalty, 'unsettled') ORDER BY updated_at LIMIT $1""",
                CARDS_AT_ONCE,
            )
        settled = 0
        for row in rows:
            member, asked_at = UUID(row["user_id"]), now()
            try:
                card = await self.engine.card(row["seen"]["card"])
            except VoucherifyRefused as error:
                log.error("card.unknown", reason=error.sentence)  # not asked for again: it would use up the quota
                async with self.database.transaction() as connection:
                    await loyalty.give_up(connection, member)
                continue
            except VoucherifyError as error:
                log.warning("card.unsettled", reason=error.sentence)
                break  # the next one would be told the same
            state = CardState(card.code, card.campaign, card.balance, asked_at)
            async with self.database.transaction() as connection:
                if not await loyalty.settle(connection, member, state, row["seen"]):
                    continue
                await changes.append(connection, [changes.of_member(member, "balance.changed", balance=card.balance)])
            settled += 1
        return settled
