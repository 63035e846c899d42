"""Handing codes of a campaign to a customer: taking or making them, and what is written and told of it.

What a request asks for is in `publications.py`; earning, referrals and rewards publish by themselves.
"""

from typing import Any

import asyncpg

from app.sandbox import (
    campaign_codes,
    customers,
    ledger,
    render,
    validity,
    vouchers,
)
from app.sandbox.clock import iso, parse_time
from app.sandbox.errors import Failure, not_found
from app.sandbox.ids import new_id
from app.sandbox.work import Work


async def publish_card(
    work: Work,
    campaign: asyncpg.Record,
    customer: asyncpg.Record,
    *,
    channel: str = "API",
    metadata: dict[str, Any] | None = None,
    code: str | None = None,
) -> dict[str, Any]:
    """Publish one code of this campaign to a customer who does not hold a card of it; answers the publication."""
    voucher_ids = await take(work, campaign, 1, code)
    return await publish_codes(work, campaign, customer, voucher_ids, channel=channel, metadata=metadata or {})


async def held(work: Work, campaign: asyncpg.Record, customer: asyncpg.Record) -> asyncpg.Record | None:
    """The first code of this campaign that this customer holds."""
    return await work.one(
        f"{vouchers.SELECT} WHERE v.campaign_id = $1 AND v.holder_id = $2 ORDER BY v.created_at, v.id LIMIT 1",
        campaign["id"],
        customer["id"],
    )


def joined_already() -> Failure:
    return Failure(
        400,
        "voucher_cannot_be_published",
        "Voucher cannot be published",
        "Voucher cannot be published. Customer already joined program.",
    )


def refuse_inactive(work: Work, campaign: asyncpg.Record | None) -> None:
    if campaign is None:
        return
    end = campaign["doc"].get("expiration_date")
    if not campaign["active"] or (end and parse_time(end) <= work.now):
        kind = "Loyalty campaign" if campaign["campaign_type"] == "LOYALTY_PROGRAM" else "Campaign"
        raise Failure(
            400, "campaign_not_active", f"{kind} '{campaign['id']}' is not active", "Given campaign is not active"
        )


async def take(work: Work, campaign: asyncpg.Record | None, count: int, code: str | None = None) -> list[str]:
    """The ids of codes that nobody has: the one asked for, some made earlier, or (AUTO_UPDATE) new ones."""
    if code is not None:
        row = await work.one("SELECT * FROM voucher WHERE code = $1 OR id = $1 FOR UPDATE", code)
        if row is None or row["campaign_id"] != (campaign["id"] if campaign is not None else None):
            raise not_found("voucher", code)
        if row["publish_count"]:
            raise Failure(
                400,
                "voucher_already_published",
                "Voucher already published",
                f"Voucher '{row['id']}' has already been published",
            )
        return [row["id"]]
    assert campaign is not None
    rows = await work.all(
        "SELECT id FROM voucher WHERE campaign_id = $1 AND publish_count = 0 AND active "
        "ORDER BY created_at, id LIMIT $2 FOR UPDATE SKIP LOCKED",
        campaign["id"],
        count,
    )
    free = [row["id"] for row in rows]
    if len(free) == count:
        return free
    if campaign["doc"]["type"] != "AUTO_UPDATE" or "voucher" not in campaign["doc"]:
        raise Failure(
            400,
            "no_voucher_suitable_for_publication",
            "Couldn't find any voucher suitable for publication",
            "Couldn't find any voucher suitable for publication",
        )
    return free + await campaign_codes.make(work, campaign, count - len(free))


async def publish_codes(
    work: Work,
    campaign: asyncpg.Record | None,
    customer: asyncpg.Record,
    voucher_ids: list[str],
    *,
    channel: str = "API",
    metadata: dict[str, Any],
    source_id: str | None = None,
) -> dict[str, Any]:
    await work.run(
        "UPDATE voucher SET holder_id = $2, publish_count = publish_count + 1, updated_at = $3 WHERE id = ANY($1)",
        voucher_ids,
        customer["id"],
        work.now,
    )
    if campaign is not None and (active_for := campaign["doc"].get("activity_duration_after_publishing")):
        for row in await work.all("SELECT id, doc FROM voucher WHERE id = ANY($1)", voucher_ids):
            dates = validity.since_publishing(row["doc"], active_for, work.now)
            await work.run("UPDATE voucher SET doc = doc || $2 WHERE id = $1", row["id"], dates)
    if campaign is not None and campaign["campaign_type"] == "LOYALTY_PROGRAM":
        await ledger.open_buckets(work, campaign, voucher_ids)
    rows = await work.all(f"{vouchers.SELECT} WHERE v.id = ANY($1) ORDER BY v.created_at, v.id", voucher_ids)
    work.moved |= {row["id"]: row for row in rows if row["tiered"]}
    work.gained |= {row["id"] for row in rows if row["auto_redeems"] and row["initial_points"]}
    holder = render.simple_customer(customer)
    publication: dict[str, Any] = {
        "id": new_id("pub"),
        "object": "publication",
        "created_at": iso(work.now),
        "customer_id": customer["id"],
        "tracking_id": customer["source_id"],
        "metadata": metadata,
        "channel": channel,
        "source_id": source_id,
        "result": "SUCCESS",
        "customer": await customers.full(work, customer),
        "vouchers_id": [row["id"] for row in rows],
    }
    inserted = await work.value(
        "INSERT INTO publication (id, source_id, customer_id, campaign_id, voucher_ids, doc, created_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (source_id) DO NOTHING RETURNING id",
        publication["id"],
        source_id,
        customer["id"],
        campaign["id"] if campaign is not None else None,
        publication["vouchers_id"],
        publication,
        work.now,
    )
    if inserted is None:
        raise repeated(str(source_id))
    shown = [render.voucher(row, work.config.url) for row in rows]
    shown_campaign = render.simple_campaign(campaign) if campaign is not None else None
    for voucher in shown:
        work.announce(
            work.event("voucher.published", voucher["id"], "evvou"),
            {
                "customer": holder,
                "campaign": shown_campaign,
                "publication": publication,
                "voucher": voucher,
                "created_at": iso(work.now),
            },
            lane=customer["id"],
        )
    work.announce(
        work.event("publication.succeeded", publication["id"], "evpub"),
        {
            "customer": holder,
            "campaign": shown_campaign,
            "publication": publication,
            "vouchers": shown,
            "user": None,
        },
        lane=customer["id"],
    )
    return publication


def repeated(source_id: str) -> Failure:
    return Failure(
        400,
        "duplicate_source_id",
        "Duplicate source_id",
        f"Publication with source_id: '{source_id}' already exists",
    )
