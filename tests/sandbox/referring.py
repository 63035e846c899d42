"""A referral programme, who brings friends and who comes, for the tests of referrals."""

from typing import Any

import httpx

from tests.sandbox.programme import send

BRING = "Bring a friend"
JOINED = "Friend Joined"


async def programme(
    api: httpx.AsyncClient, *, by: str = "redemption", reward: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A referral campaign of 10 % off that converts by redemption, or by the event `Friend Joined`."""
    program: dict[str, Any] = {"conversion_event_type": by}
    if by == "custom_event":
        program["custom_event"] = {"name": JOINED}
    if reward:
        program["referee_reward"] = reward
    body = {
        "name": BRING,
        "campaign_type": "REFERRAL_PROGRAM",
        "type": "AUTO_UPDATE",
        "join_once": True,
        "referral_program": program,
        "voucher": {
            "type": "DISCOUNT_VOUCHER",
            "discount": {"type": "PERCENT", "percent_off": 10},
            "code_config": {"pattern": "FRIEND-######"},
            "is_referral_code": True,
        },
        **more,
    }
    made: dict[str, Any] = await send(api, "POST", "/v1/campaigns", body)
    return made


async def levels(api: httpx.AsyncClient, *tiers: dict[str, Any], campaign: str = BRING) -> list[dict[str, Any]]:
    """What who brings friends gets."""
    named = [{"name": f"Level {place}", **tier} for place, tier in enumerate(tiers, 1)]
    shown = await send(api, "POST", "/sandbox/referral-tiers", {"campaign": campaign, "tiers": named})
    listed: list[dict[str, Any]] = shown["data"]
    return listed


async def code_of(api: httpx.AsyncClient, who: str = "mia", campaign: str = BRING) -> str:
    """The code that a customer gives away."""
    body = {"campaign": {"name": campaign}, "customer": {"source_id": who}}
    return str((await send(api, "POST", "/v1/publications", body))["voucher"]["code"])


async def come(
    api: httpx.AsyncClient, who: str, code: str, *, name: str = JOINED, expect: int = 200, **referral: Any
) -> dict[str, Any]:
    """A custom event that carries a code."""
    body = {"event": name, "customer": {"source_id": who}, "referral": {"code": code, **referral}}
    answer: dict[str, Any] = await send(api, "POST", "/v1/events", body, expect)
    return answer


async def referred(api: httpx.AsyncClient, who: str) -> tuple[int, list[str]]:
    """How many friends a customer has brought, and by what they themselves came."""
    shown = await send(api, "GET", f"/v1/customers/{who}")
    return shown["loyalty"]["referred_customers"], [
        each["related_object_type"] for each in shown["referrals"]["campaigns"]
    ]
