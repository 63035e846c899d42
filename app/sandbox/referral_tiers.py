"""Referral tiers: what who brings friends gets for them, at which number of friends.

documented: a tier rewards each unique referee, or once a number of them is reached; the reward is a coupon, credits on
a gift card or points on a loyalty card. Voucherify's API neither makes nor reads tiers (they are made in the
dashboard), so `POST /sandbox/referral-tiers` makes them. inferred: a tier by number rewards at that number and once.
"""

from typing import Any

import asyncpg

from app.sandbox.clock import iso
from app.sandbox.errors import invalid_payload, not_found
from app.sandbox.fidelity import documented
from app.sandbox.ids import new_id
from app.sandbox.read import integer, mapping, required_text, text
from app.sandbox.referral_programs import BY_EVENT, REFERRAL
from app.sandbox.work import Work

_AMOUNTS = {"LOYALTY_PROGRAM": "points", "GIFT_VOUCHERS": "credits", "DISCOUNT_COUPONS": None}
_MOST = 10**9


async def define(work: Work, body: dict[str, Any]) -> list[dict[str, Any]]:
    """State the tiers of a campaign. Those of the same name stay the same tiers, those that are not named go.

    `{"campaign": "Bring a friend", "tiers": [{"name": "Each friend", "reward": {"campaign": "Loyalty", "points": 300}},
    {"name": "Five friends", "referees": 5, "reward": {"campaign": "Coupons"}}]}`
    """
    campaign = await _campaign(work, required_text(body, "campaign"))
    given = body.get("tiers")
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise invalid_payload("Property .tiers must be array")
    tiers = {}
    for place, each in enumerate(given):
        name, doc = await _read(work, each, f".tiers[{place}]")
        if name in tiers:
            raise invalid_payload(f"Property .tiers[{place}].name must be that of one tier only")
        tiers[name] = {**doc, "place": place}  # all of one call have the same time
    await work.run("SELECT 1 FROM campaign WHERE id = $1 FOR NO KEY UPDATE", campaign["id"])
    await work.run("DELETE FROM referral_tier WHERE campaign_id = $1 AND name <> ALL($2)", campaign["id"], list(tiers))
    for name, doc in tiers.items():
        await work.run(
            "INSERT INTO referral_tier (id, campaign_id, name, doc, created_at) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (campaign_id, name) DO UPDATE SET doc = excluded.doc, updated_at = excluded.created_at",
            new_id("reft"),
            campaign["id"],
            name,
            doc,
            work.now,
        )
    return await listed(work, campaign["id"])


async def _campaign(work: Work, reference: str) -> asyncpg.Record:
    row = await work.one(
        "SELECT * FROM campaign WHERE (id = $1 OR name = $1) AND campaign_type = $2 ORDER BY (id = $1) DESC LIMIT 1",
        reference,
        REFERRAL,
    )
    if row is None:
        raise not_found("campaign", reference)
    return row


async def _read(work: Work, given: dict[str, Any], at: str) -> tuple[str, dict[str, Any]]:
    name = required_text(given, "name", longest=255, at=at)
    reward = mapping(given, "reward", at=at)
    named = reward.get("campaign")
    reference = (
        text(named, "id", at=f"{at}.reward.campaign") or required_text(named, "name", at=f"{at}.reward.campaign")
        if isinstance(named, dict)
        else required_text(reward, "campaign", at=f"{at}.reward")
    )
    row = await work.one("SELECT * FROM campaign WHERE id = $1 OR name = $1 ORDER BY (id = $1) DESC LIMIT 1", reference)
    if row is None:
        raise not_found("campaign", reference)
    if row["campaign_type"] not in _AMOUNTS:
        raise invalid_payload(f"Property {at}.reward.campaign must be one of coupons, gift cards or loyalty cards")
    amount = _AMOUNTS[row["campaign_type"]]
    kept: dict[str, Any] = {"campaign": {"id": row["id"], "name": row["name"]}}
    if amount is not None:
        value = integer(reward, amount, least=1, most=_MOST, at=f"{at}.reward")
        if value is None:
            raise invalid_payload(f"Property {at}.reward should have required property '{amount}'")
        kept[amount] = value
    return name, {
        "banner": text(given, "banner", at=at) or name,
        "referees": integer(given, "referees", least=1, most=_MOST, at=at),
        "reward": kept,
    }


async def reached(work: Work, campaign_id: str, friends: int) -> list[asyncpg.Record]:
    """The tiers that reward who has brought this many friends with the last of them."""
    return await work.all(
        "SELECT * FROM referral_tier WHERE campaign_id = $1 AND coalesce((doc ->> 'referees')::bigint, $2) = $2 "
        "ORDER BY (doc ->> 'place')::int, id",
        campaign_id,
        friends,
    )


async def listed(work: Work, reference: str) -> list[dict[str, Any]]:
    """A campaign's tiers, in the words in which they were stated."""
    campaign = await _campaign(work, reference)
    rows = await work.all(
        "SELECT * FROM referral_tier WHERE campaign_id = $1 ORDER BY (doc ->> 'place')::int, id", campaign["id"]
    )
    return [
        {
            "id": row["id"],
            "campaign_id": row["campaign_id"],
            "name": row["name"],
            **{name: value for name, value in row["doc"].items() if name != "place"},
            "created_at": iso(row["created_at"]),
            "updated_at": iso(row["updated_at"]),
            "object": "referral_tier",
        }
        for row in rows
    ]


def simple(tier: asyncpg.Record, campaign: asyncpg.Record) -> dict[str, Any]:
    """The form in webhooks."""
    program = campaign["doc"]["referral_program"]
    event = program["custom_event"] if program["conversion_event_type"] == BY_EVENT else None
    return {
        "id": tier["id"],
        "campaign_id": tier["campaign_id"],
        "banner": tier["doc"]["banner"],
        "parameters": {
            "event_type": "customer.referred",
            **({"custom_event": {"id": event["id"]}} if event is not None else {}),
        },
    }


FIDELITY = (
    documented(
        "**Referral tiers** reward who refers for each friend, or at a number of them: points, credits, or a coupon",
        "they are made by `POST /sandbox/referral-tiers`, for the API has no call for them; products as rewards and "
        "filters of referrers are left out",
    ),
)
