"""Rewards of every kind, for tests: made, priced in the programme, and bought."""

from typing import Any

import httpx

from tests.sandbox.programme import LOYALTY, send

GIFTS = "Gift cards"
OTHER = "Club"


async def reward(
    api: httpx.AsyncClient, parameters: dict[str, Any], price: int | None = 100, **more: Any
) -> dict[str, Any]:
    """A reward of the programme at this price; answers it."""
    auto = more.pop("auto_redeem", None)
    body = {"name": "A reward", "parameters": parameters, **more}
    made: dict[str, Any] = await send(api, "POST", "/v1/rewards", body)
    loyalty = {"points": price, **({"auto_redeem": auto} if auto is not None else {})}
    wanted = {"reward": made["id"], **({"parameters": {"loyalty": loyalty}} if price else {})}
    await send(api, "POST", f"/v1/loyalties/{LOYALTY}/rewards", [wanted])
    return made


async def gifts(api: httpx.AsyncClient, amount: int = 0) -> str:
    """A campaign of gift cards with this much on each; its id."""
    voucher = {"type": "GIFT_VOUCHER", "gift": {"amount": amount}, "code_config": {"pattern": "GIFT-########"}}
    made = await send(api, "POST", "/v1/campaigns", {"name": GIFTS, "voucher": voucher})
    return str(made["id"])


async def gift_credits(api: httpx.AsyncClient, balance: int = 700, **more: Any) -> dict[str, Any]:
    """Credits of a gift card as a reward."""
    return await reward(api, {"campaign": {"id": await gifts(api), "balance": balance}}, **more)


async def points(api: httpx.AsyncClient, balance: int = 20, **more: Any) -> dict[str, Any]:
    """Points of another programme as a reward."""
    voucher = {"type": "LOYALTY_CARD", "loyalty_card": {"points": 5}, "code_config": {"pattern": "C-########"}}
    club = await send(api, "POST", "/v1/loyalties", {"name": OTHER, "voucher": voucher})
    return await reward(api, {"campaign": {"id": club["id"], "balance": balance}}, **more)


async def mug(api: httpx.AsyncClient, stock: int | None = 1, **more: Any) -> dict[str, Any]:
    """A product as a reward."""
    product = await send(api, "POST", "/v1/products", {"source_id": "mug", "name": "Mug", "price": 900})
    return await reward(
        api, {"product": {"id": product["id"]}}, **({"stock": stock} if stock is not None else {}) | more
    )


async def coins(api: httpx.AsyncClient, exchange: Any = 20, ratio: Any = 100) -> dict[str, Any]:
    """Paying with points: so many are worth so much money."""
    return await reward(api, {"coin": {"exchange_ratio": exchange, "points_ratio": ratio}}, None)


async def buy(
    api: httpx.AsyncClient,
    card: str,
    reward_id: str,
    expect: int = 200,
    *,
    order: Any = None,
    points: int | None = None,
) -> dict[str, Any]:
    body: dict[str, Any] = {"reward": {"id": reward_id, **({"points": points} if points else {})}}
    if order is not None:
        body["order"] = order
    bought: dict[str, Any] = await send(api, "POST", f"/v1/loyalties/members/{card}/redemption", body, expect)
    return bought


async def back(api: httpx.AsyncClient, redemption: str, expect: int = 200) -> dict[str, Any]:
    taken: dict[str, Any] = await send(api, "POST", f"/v1/redemptions/{redemption}/rollback", {"reason": "r"}, expect)
    return taken
