"""What a referral campaign says of itself: how a friend counts as referred, and what the friend gets for it.

documented: `referral_program` with its conversion event (a redemption of the code, or a custom event), a campaign
without a discount is `invalid_campaign`, the referee's reward (points of a loyalty campaign, credits of a gift
campaign), a code can't be redeemed by who gives it away. inferred: a campaign whose codes are marked as referral codes
is one where the request does not name its type; without a conversion event it converts by redemption; a custom event
is known by its name also where nobody defined it; a code that nobody gives away yet can't be redeemed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from app.sandbox.errors import Failure, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import stable_id
from app.sandbox.metadata import CUSTOM_EVENT
from app.sandbox.read import integer, mapping, one_of, text
from app.sandbox.work import Work

REFERRAL = "REFERRAL_PROGRAM"
BY_REDEMPTION, BY_EVENT = "redemption", "custom_event"
_AT = ".referral_program"
_REWARDS = {"LOYALTY_CARD": "LOYALTY_PROGRAM", "GIFT_VOUCHER": "GIFT_VOUCHERS"}


def is_one(body: Mapping[str, Any], voucher: Mapping[str, Any]) -> bool:
    """Whether a request that does not name a campaign's type means a referral campaign."""
    return "referral_program" in body or voucher.get("is_referral_code") is True


async def read(work: Work, body: dict[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`referral_program` of a request, laid over what the campaign said before.

    Raises:
        Failure: it is not valid, or names a campaign or an event that there is not.
    """
    given = {**(before or {}), **mapping(body, "referral_program")}
    kind = one_of(given, "conversion_event_type", (BY_REDEMPTION, BY_EVENT), at=_AT) or BY_REDEMPTION
    program: dict[str, Any] = {"conversion_event_type": kind}
    if kind == BY_EVENT:
        program["custom_event"] = await _event(work, mapping(given, "custom_event", at=_AT))
    if reward := mapping(given, "referee_reward", at=_AT):
        program["referee_reward"] = await _reward(work, reward)
    return program


async def _event(work: Work, given: dict[str, Any]) -> dict[str, Any]:
    at = f"{_AT}.custom_event"
    identifier, name = text(given, "id", at=at), text(given, "name", longest=300, at=at)
    if not identifier and not name:
        raise invalid_payload(f"Property {_AT} should have required property 'custom_event'")
    row = await work.one(
        "SELECT name, doc ->> 'id' AS id FROM metadata_schema WHERE related_object = $1 "
        "AND (doc ->> 'id' = $2 OR name = $3) ORDER BY (doc ->> 'id' = $2) DESC NULLS LAST LIMIT 1",
        CUSTOM_EVENT,
        identifier,
        name,
    )
    if row is not None:
        return {"id": row["id"], "name": row["name"]}
    if not name:
        raise not_found("metadata_schema", str(identifier))
    return {"id": stable_id("ms", name), "name": name}


async def _reward(work: Work, given: dict[str, Any]) -> dict[str, Any]:
    at = f"{_AT}.referee_reward"
    kind, amount = one_of(given, "type", tuple(_REWARDS), at=at), integer(given, "amount", least=1, most=10**9, at=at)
    parent = mapping(given, "related_object_parent", at=at)
    reference = text(parent, "id", at=at) or text(parent, "name", at=at)
    for name, value in (("type", kind), ("amount", amount), ("related_object_parent", reference)):
        if not value:
            raise invalid_payload(f"Property {at} should have required property '{name}'")
    row = await work.one(
        "SELECT id, name FROM campaign WHERE (id = $1 OR name = $1) AND campaign_type = $2",
        reference,
        _REWARDS[str(kind)],
    )
    if row is None:
        raise not_found("campaign", str(reference))
    return {
        "related_object_parent": {"id": row["id"], "name": row["name"], "object": "CAMPAIGN"},
        "type": kind,
        "amount": amount,
    }


def refuse_without_discount(voucher: Mapping[str, Any]) -> None:
    if not voucher.get("discount"):
        details = f"Property 'discount' is required for {REFERRAL} campaign"
        raise Failure(400, "invalid_campaign", "Invalid Campaign", details)


def refusal(voucher: Mapping[str, Any], customer: Mapping[str, Any] | None) -> Failure | None:
    """Why this customer can't redeem a code that may be a referral code, if so. Pure."""
    if voucher["campaign_type"] != REFERRAL:
        return None
    if voucher["holder_id"] is None:
        return unpublished()
    if customer is not None and customer["id"] == voucher["holder_id"]:
        key, message = "referrer_not_permitted_to_redeem", "voucher cannot be redeemed by referrer"
        return Failure(400, key, message, voucher["code"])
    return None


def referrer_of(vouchers: Iterable[Mapping[str, Any] | None]) -> str | None:
    """The customer who gave away the first referral code among these. Pure."""
    codes = [each for each in vouchers if each is not None and each["campaign_type"] == REFERRAL]
    return codes[0]["holder_id"] if codes else None


def unpublished() -> Failure:
    return Failure(
        400,
        "not_published",
        "Voucher is not published",
        "Referral code must be first published to Referrer before assigning it to Referee",
    )


FIDELITY = (
    documented(
        "**Referral campaigns**: `referral_program` converts by redemption or by a custom event and may have a "
        "`referee_reward`; without a discount it is `invalid_campaign`; codes carry `is_referral_code` and "
        "`referrer_id`; who gives a code away can't redeem it (`referrer_not_permitted_to_redeem`)"
    ),
    inferred(
        "a referral code that is not published yet can't be redeemed (`not_published`); without a customer it gives "
        "its discount and counts for nobody"
    ),
)
