"""What most tests of the sandbox need to stand first: a loyalty programme, a coupon campaign, a member."""

from typing import Any

import httpx

LOYALTY = "Loyalty"
COUPONS = "10 off"


async def send(api: httpx.AsyncClient, method: str, path: str, body: Any = None, expect: int = 200) -> Any:
    answer = await api.request(method, path, json=body)
    assert answer.status_code == expect, answer.text
    return answer.json() if answer.content else None


async def loyalty(
    api: httpx.AsyncClient,
    points: int = 0,
    *,
    auto_join: bool = False,
    expires: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A programme that gives a point for each full 100 of an order's total. `expires` are its expiration rules."""
    campaign: dict[str, Any] = await send(
        api,
        "POST",
        "/v1/loyalties",
        {
            "name": LOYALTY,
            "auto_join": auto_join,
            "voucher": {
                "type": "LOYALTY_CARD",
                "loyalty_card": {"points": points, **({"expiration_rules": expires} if expires else {})},
                "code_config": {"pattern": "L-#######"},
            },
            **more,
        },
    )
    await rule(api, "order.paid", proportional("total_amount", 100, 1))
    return campaign


def proportional(base: str, every: int, points: int) -> dict[str, Any]:
    return {
        "type": "PROPORTIONAL",
        "calculation_type": f"ORDER_{base.upper()}",
        "order": {base: {"every": every, "points": points}},
    }


async def rule(api: httpx.AsyncClient, event: str, gives: dict[str, Any], **more: Any) -> dict[str, Any]:
    rules = [{"event": event, "loyalty": gives, "source": {"banner": event}, **more}]
    made: list[dict[str, Any]] = await send(api, "POST", f"/v1/loyalties/{LOYALTY}/earning-rules", rules)
    return made[0]


async def coupons(
    api: httpx.AsyncClient, name: str = COUPONS, *, quantity: int | None = 1, **more: Any
) -> dict[str, Any]:
    """A campaign of codes that take 10 % off, each usable once."""
    campaign: dict[str, Any] = await send(
        api,
        "POST",
        "/v1/campaigns",
        {
            "name": name,
            "voucher": {
                "type": "DISCOUNT_VOUCHER",
                "discount": {"type": "PERCENT", "percent_off": 10},
                "redemption": {"quantity": quantity},
                "code_config": {"pattern": "10OFF-########"},
            },
            **more,
        },
    )
    return campaign


async def join(api: httpx.AsyncClient, customer: str = "u-1") -> str:
    """The code of the customer's card, new or old."""
    body = {"campaign": {"name": LOYALTY}, "customer": {"source_id": customer}}
    publication = await send(api, "POST", "/v1/publications?join_once=true", body)
    return str(publication["voucher"]["code"])


async def coupon(api: httpx.AsyncClient, customer: str = "u-1", campaign: str = COUPONS) -> str:
    body = {"campaign": campaign, "customer": {"source_id": customer}}
    return str((await send(api, "POST", "/v1/publications", body))["voucher"]["code"])


async def buy(
    api: httpx.AsyncClient, order: str, amount: int, status: str = "PAID", customer: str | None = "u-1"
) -> dict[str, Any]:
    body: dict[str, Any] = {"source_id": order, "status": status, "amount": amount}
    if customer:
        body["customer"] = {"source_id": customer}
    bought: dict[str, Any] = await send(api, "POST", "/v1/orders", body)
    return bought


async def redeem(
    api: httpx.AsyncClient, *codes: str, expect: int = 200, customer: str | None = "u-1", **order: Any
) -> dict[str, Any]:
    body: dict[str, Any] = {"redeemables": [{"object": "voucher", "id": code} for code in codes], "order": order}
    if customer:
        body["customer"] = {"source_id": customer}
    answer: dict[str, Any] = await send(api, "POST", "/v1/redemptions", body, expect)
    return answer


async def balance(api: httpx.AsyncClient, card: str) -> int:
    """The card's balance, checked against its ledger: initial points and the sum of its transactions."""
    shown = await send(api, "GET", f"/v1/loyalties/members/{card}")
    campaign = await send(api, "GET", f"/v1/campaigns/{shown['campaign_id']}")
    rows = (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions?limit=100"))["data"]
    moved = sum(row["details"]["balance"]["points"] for row in rows)
    assert shown["loyalty_card"]["balance"] == campaign["voucher"]["loyalty_card"]["points"] + moved
    return int(shown["loyalty_card"]["balance"])


async def travel(api: httpx.AsyncClient, moment: str) -> None:
    """Set the sandbox's clock; what is due by then is done."""
    await send(api, "POST", "/sandbox/clock", {"set": moment})


async def buckets(api: httpx.AsyncClient, card: str) -> dict[str | None, int]:
    """The points of a card by the day on which they expire (None: never)."""
    rows = await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members/{card}/points-expiration?limit=100")
    return {row.get("expires_at"): row["bucket"]["total_points"] for row in rows["data"]}


async def event(
    api: httpx.AsyncClient, name: str, customer: str = "u-1", *, metadata: dict[str, Any] | None = None, **more: Any
) -> None:
    """A custom event of this customer; `more` goes into what it says of the customer."""
    body = {"event": name, "customer": {"source_id": customer, **more}, "metadata": metadata or {}}
    await send(api, "POST", "/v1/events", body)


async def adjust(api: httpx.AsyncClient, card: str, points: int) -> None:
    await send(api, "POST", f"/v1/loyalties/members/{card}/balance", {"points": points})
