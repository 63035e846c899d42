"""The codes of a campaign: what it says of them, the making of new ones, and what a change does to those there are.

documented: unique codes by pattern; a change reaches the codes that are not published or redeemed yet. inferred: the
codes are there at once; a date of the campaign is one of its vouchers.
"""

from typing import Any

import asyncpg

from app.sandbox import codes, effects, expiry, gifts, referral_programs, render, validity, vouchers
from app.sandbox.clock import iso
from app.sandbox.errors import Failure, NotEmulated, invalid_payload
from app.sandbox.ids import new_id
from app.sandbox.read import integer, mapping, one_of, text
from app.sandbox.referral_programs import REFERRAL
from app.sandbox.work import Work

_CAMPAIGN_OF = {
    "DISCOUNT_VOUCHER": "DISCOUNT_COUPONS",
    "GIFT_VOUCHER": "GIFT_VOUCHERS",
    "LOYALTY_CARD": "LOYALTY_PROGRAM",
}
_KINDS = ("DISCOUNT_COUPONS", "GIFT_VOUCHERS", "LOYALTY_PROGRAM", "PROMOTION", "REFERRAL_PROGRAM")
_TRIES = 20


def tell_of_many(work: Work, campaign: asyncpg.Record, count: int) -> None:
    """Tell that many codes were made in one go, of which none is told by itself."""
    event = work.event("campaign.vouchers.generation.completed", campaign["id"], "evcam")
    shown = render.simple_campaign(campaign)
    work.announce(event, {"count": count, "campaign": shown, "completed_at": iso(work.now)})


def inherited(campaign: asyncpg.Record) -> dict[str, Any]:
    """What a new code has from its campaign."""
    template = campaign["doc"]["voucher"]
    doc = {name: template[name] for name in ("discount", *validity.FIELDS) if template.get(name) is not None}
    if gift := template.get("gift"):
        doc["gift_effect"] = gift["effect"]
    if category := campaign["doc"].get("category"):
        doc["category"] = category
    return {**doc, "metadata": campaign["doc"].get("metadata", {})}


async def make(
    work: Work,
    campaign: asyncpg.Record,
    count: int,
    *,
    config: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
) -> list[str]:
    """New vouchers of this campaign; answers their ids. Codes are unique in the whole project.

    `config` (of the codes) and `changes` (of the vouchers, with `quantity` and `active`) go before what the campaign
    says.

    Raises:
        Failure: the campaign's pattern has no free codes left.
    """
    template = campaign["doc"]["voucher"]
    config, changes = config or template["code_config"], dict(changes or {})
    quantity, active = changes.pop("quantity", template["redemption"]["quantity"]), changes.pop("active", True)
    own = inherited(campaign)
    doc = {**own, **changes, "metadata": {**own["metadata"], **changes.get("metadata", {})}}
    doc = {name: value for name, value in doc.items() if value is not None}
    validity.check(doc)
    made: list[str] = []
    for attempt in range(_TRIES):
        missing = count - len(made)
        if not missing:
            break
        # The first draw nearly always does; where a pattern is almost full, draw many to hit what is left of it.
        drawn = {codes.new(config) for _ in range(missing if attempt == 0 else 2 * missing + 30)}
        rows = await work.all(
            "INSERT INTO voucher (id, code, campaign_id, type, doc, initial_points, quantity, created_at, "
            "initial_credits, active) "
            "SELECT id, code, $3, $4, $5, $6, $7, $8, $10, $11 FROM unnest($1::text[], $2::text[]) AS new (id, code) "
            "WHERE NOT EXISTS (SELECT 1 FROM voucher WHERE voucher.code = new.code) LIMIT $9 "
            "ON CONFLICT (code) DO NOTHING RETURNING id",
            [new_id("v") for _ in drawn],
            list(drawn),
            campaign["id"],
            template["type"],
            doc,
            (template.get("loyalty_card") or {}).get("points") or 0,
            quantity,
            work.now,
            missing,
            (template.get("gift") or {}).get("amount") or 0,
            active,
        )
        made += [row["id"] for row in rows]
        if count == 1 and made:
            voucher = render.voucher(await vouchers.found(work, made[0]), work.config.url)
            event = work.event("voucher.created", made[0], "evvou")
            work.announce(event, {"voucher": voucher, "campaign": render.simple_campaign(campaign)})
    else:
        if len(made) < count:
            raise Failure(
                400,
                "no_voucher_suitable_for_publication",
                "Couldn't find any voucher suitable for publication",
                "Couldn't create new vouchers for publication",
            )
    return made


def template(body: dict[str, Any], kind: str | None) -> tuple[dict[str, Any], str]:
    given = mapping(body, "voucher")
    wanted = kind or one_of(body, "campaign_type", _KINDS)
    if wanted is None and referral_programs.is_one(body, given):
        wanted = REFERRAL
    by_kind = {**{campaign: voucher for voucher, campaign in _CAMPAIGN_OF.items()}, REFERRAL: "DISCOUNT_VOUCHER"}
    type_ = text(given, "type", at=".voucher") or by_kind.get(wanted or "")
    if wanted is None and type_ is None:
        raise invalid_payload("Payload should have required property 'campaign_type' or 'voucher.type'")
    if type_ not in _CAMPAIGN_OF or (wanted or _CAMPAIGN_OF[type_]) not in by_kind:
        raise NotEmulated(f"A campaign of the type {wanted or type_}")
    if wanted and by_kind[wanted] != type_:
        raise Failure(400, "invalid_campaign", "Invalid Campaign", f"Vouchers of {wanted} can't be of type {type_}")
    redemption = mapping(given, "redemption", at=".voucher")
    template: dict[str, Any] = {
        "type": type_,
        "redemption": {"quantity": integer(redemption, "quantity", least=1, most=2**31 - 1, at=".voucher.redemption")},
        "code_config": codes.read(mapping(given, "code_config", at=".voucher"), ".voucher.code_config"),
        "is_referral_code": wanted == REFERRAL,
    }
    if wanted == REFERRAL:
        referral_programs.refuse_without_discount(given)
    dates = {
        **validity.read(body),
        **{name: value for name, value in validity.read(given, ".voucher").items() if value},
    }
    template |= {name: value for name, value in dates.items() if value is not None}
    if type_ == "DISCOUNT_VOUCHER":
        template["discount"] = effects.read(mapping(given, "discount", at=".voucher"), ".voucher.discount")
    elif type_ == "GIFT_VOUCHER":
        template["gift"] = gifts.read(mapping(given, "gift", at=".voucher"), ".voucher.gift")
    else:
        card = mapping(given, "loyalty_card", at=".voucher")
        template["loyalty_card"] = {"points": integer(card, "points", at=".voucher.loyalty_card") or 0}
        if rules := expiry.read(card, ".voucher.loyalty_card"):
            template["loyalty_card"]["expiration_rules"] = rules
    return template, wanted or _CAMPAIGN_OF[type_]


def changed_template(template: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    template = {name: value for name, value in template.items() if value is not None}
    if template["type"] == "DISCOUNT_VOUCHER" and (given := mapping(body, "discount")):
        template["discount"] = effects.changed(template["discount"], given)
    if template["type"] == "GIFT_VOUCHER" and (given := mapping(body, "gift")):
        template["gift"] = gifts.read({**template["gift"], **given}, ".gift")
    return template


async def reach(work: Work, campaign: asyncpg.Record) -> int:
    """Give the codes that are not published or redeemed yet what the campaign says now; answers how many they are."""
    own = inherited(campaign)
    own.pop("metadata")
    gone = [name for name in (*validity.FIELDS, "category") if name not in own]
    done = await work.run(
        "UPDATE voucher SET doc = (doc - $2::text[]) || $3, updated_at = $4, initial_credits = CASE WHEN EXISTS "
        "(SELECT 1 FROM credit_transaction WHERE voucher_id = voucher.id) THEN initial_credits ELSE $5 END "
        "WHERE campaign_id = $1 AND publish_count = 0 AND redeemed_quantity = 0",
        campaign["id"],
        gone,
        own,
        work.now,
        (campaign["doc"]["voucher"].get("gift") or {}).get("amount") or 0,
    )
    return int(done.split()[-1])
