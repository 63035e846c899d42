"""What happens at midnight: the jobs of each night that the clock has passed, one night after the other.

documented: the order (pending points become active, rewards are redeemed by themselves, tiers end and begin, points
expire, tiers by balance are looked at again), midnight in the project's time zone. inferred: that order is kept card
by card, and everything bears the time of the midnight it belongs to.

What is due is read from the data, and doing it makes it no longer due: a night that was broken off is gone on with, one
that was done is not done again, and a clock that is set back and forth does nothing twice.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import date, timedelta

import asyncpg
import structlog

from app.db import trouble
from app.sandbox import auto_redeem, pending_points, point_buckets, render, tiers, vouchers
from app.sandbox.calendar_days import day_of, midnight
from app.sandbox.fidelity import documented
from app.sandbox.store import Store
from app.sandbox.work import CALL, Call, Work

_BATCH = 50
"""Cards in one transaction: their holders are locked for as long as it takes."""
_EVERY = 60.0
_LOCK = 7_220_003
"""Advisory lock: two processes at one database do a batch in turns, and each sees what the other has done."""
_NEXT = """
  SELECT least(
    (SELECT min(activates_at) FROM pending_points WHERE state = 'PENDING'),
    (SELECT min(expiration_date) + 1 FROM member_tier WHERE expiration_date IS NOT NULL),
    (SELECT min(next_start) FROM member_tier WHERE next_start IS NOT NULL),
    (SELECT min(expires_at) + 1 FROM point_bucket WHERE expires_at < 'infinity'),
    (SELECT min(due) FROM auto_redeem_due)
  )
"""
"""The first day with something to do at its beginning."""
_DUE = """
  SELECT DISTINCT voucher_id FROM (
    SELECT voucher_id FROM pending_points WHERE state = 'PENDING' AND activates_at <= $1
    UNION ALL SELECT voucher_id FROM member_tier WHERE expiration_date < $1 OR next_start <= $1
    UNION ALL SELECT voucher_id FROM auto_redeem_due WHERE due <= $1
    UNION ALL
    SELECT voucher_id FROM point_bucket WHERE expires_at < $1 AND expires_at < 'infinity'
  ) due WHERE voucher_id > $2 ORDER BY voucher_id LIMIT $3
"""
log = structlog.get_logger()


async def run_due(store: Store) -> int:
    """Do the jobs of all nights that the clock has passed; answers how many cards changed."""
    changed = 0
    async with store.nightly:
        done: date | None = None
        while True:
            day = await (await store.pool()).fetchval(_NEXT)
            if day is None or day > day_of(store.clock.now(), store.config.time_zone):
                return changed
            if done is not None and day <= done:
                log.error("nightly.stuck", day=day.isoformat())
                return changed
            changed += await _night(store, day)
            done = day


async def _night(store: Store, day: date) -> int:
    """The night at which this day begins, in batches that each commit for themselves."""
    changed, last = 0, ""
    while True:
        token = CALL.set(Call())
        try:
            async with store.work(midnight(day, store.config.time_zone)) as work:
                await work.run("SELECT pg_advisory_xact_lock($1)", _LOCK)
                cards = [row["voucher_id"] for row in await work.all(_DUE, day, last, _BATCH)]
                await _batch(work, cards, day)
        except asyncpg.DeadlockDetectedError:  # a request had these customers in another order: it goes first
            continue
        finally:
            CALL.reset(token)
        if not cards:
            return changed
        changed, last = changed + len(cards), cards[-1]


async def _batch(work: Work, card_ids: list[str], day: date) -> None:
    holders = await work.all(
        "SELECT * FROM customer WHERE id IN (SELECT holder_id FROM voucher WHERE id = ANY($1)) ORDER BY id FOR UPDATE",
        card_ids,
    )
    await work.run("SELECT 1 FROM voucher WHERE id = ANY($1) ORDER BY id FOR UPDATE", card_ids)
    cards = await work.all(f"{vouchers.SELECT} WHERE v.id = ANY($1) ORDER BY v.id", card_ids)
    campaigns = await work.all("SELECT * FROM campaign WHERE id = ANY($1)", [card["campaign_id"] for card in cards])
    await work.run("DELETE FROM auto_redeem_due WHERE voucher_id = ANY($1) AND due <= $2", card_ids, day)
    buckets = await _over(work, card_ids, day)
    waiting = await work.all(
        "SELECT * FROM pending_points WHERE voucher_id = ANY($1) AND state = 'PENDING' AND activates_at <= $2 "
        "ORDER BY activates_at, seq",
        card_ids,
        day,
    )
    by_id = {row["id"]: row for row in (*holders, *campaigns)}
    for row in cards:
        card: render.Row = row
        holder, campaign = by_id.get(card["holder_id"]), by_id[card["campaign_id"]]
        for each in waiting:
            if each["voucher_id"] == card["id"]:
                movement = await pending_points.activate(work, card, each, campaign, holder, by_hand=False)
                card = movement.card
        bought = await auto_redeem.settle_now(work, card)
        if bought is not None:  # with the points that expire soonest
            card, buckets = bought, await _over(work, card_ids, day)
        card = await tiers.settle_now(work, card)
        over = [row for row in buckets if row["voucher_id"] == card["id"] and row["points"]]
        if over:
            await point_buckets.expire(work, card, holder, render.simple_campaign(campaign), over)
    await work.run("DELETE FROM point_bucket WHERE voucher_id = ANY($1) AND expires_at < $2", card_ids, day)


async def _over(work: Work, card_ids: list[str], day: date) -> list[asyncpg.Record]:
    """The buckets whose last day is over on this day."""
    return await work.all(
        "SELECT * FROM point_bucket WHERE voucher_id = ANY($1) AND expires_at < $2 ORDER BY expires_at", card_ids, day
    )


@contextlib.asynccontextmanager
async def running(store: Store) -> AsyncIterator[None]:
    """Do what is due at every midnight, and look each minute whether the clock was moved, while the block runs."""
    task = asyncio.create_task(_run(store))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run(store: Store) -> None:
    while True:
        try:
            await run_due(store)
        except trouble.ANY as error:
            log.warning("nightly.database_unreachable", error=str(error))
        now, zone = store.clock.now(), store.config.time_zone
        until_midnight = (midnight(day_of(now, zone) + timedelta(days=1), zone) - now).total_seconds()
        await asyncio.sleep(min(_EVERY, until_midnight))


FIDELITY = (
    documented(
        "**At midnight** in the project's time zone (UTC): pending points, auto-redeem, tiers, expiry, tiers by "
        "balance, in this order. Moving the clock does it before it answers, night after night",
        "that the order is kept card by card, and that all bears the midnight's time: inferred",
    ),
)
