"""Orders, and what they earn."""

import asyncio

import httpx
import pytest

from tests.sandbox.programme import LOYALTY, balance, buy, join, loyalty, proportional, rule, send
from tests.sandbox.serving import Sink


async def test_only_becoming_paid_earns_and_only_once(api: httpx.AsyncClient) -> None:
    """CREATED earns nothing, PAID earns, PAID again earns nothing more."""
    await loyalty(api, points=50)
    card = await join(api)
    balances = []
    for status in ("CREATED", "PAID", "PAID", "FULFILLED"):
        await buy(api, "o-1", 2599, status)
        balances.append(await balance(api, card))
    assert balances == [50, 75, 75, 75]


async def test_thirty_paid_posts_at_once_earn_once(api: httpx.AsyncClient) -> None:
    """Requests for one order that arrive together make one order and one movement of points."""
    await loyalty(api)
    card = await join(api)
    orders = await asyncio.gather(*(buy(api, "o-1", 1000) for _ in range(30)))
    assert len({order["id"] for order in orders}) == 1
    assert await balance(api, card) == 10


async def test_orders_at_once_all_count(api: httpx.AsyncClient) -> None:
    """Different orders of one customer that arrive together lose no points, and each balance follows the one before."""
    await loyalty(api, points=7)
    card = await join(api)
    await asyncio.gather(*(buy(api, f"o-{n}", 100 * n) for n in range(1, 21)))
    assert await balance(api, card) == 7 + sum(range(1, 21))
    rows = (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions?limit=100"))["data"][::-1]
    running = 7
    for row in rows:
        running += row["details"]["balance"]["points"]
        assert row["details"]["balance"]["balance"] == row["details"]["balance"]["total"] == running


async def test_the_switch_shows_the_other_answer_to_an_open_question(api: httpx.AsyncClient) -> None:
    """With `earn_again_on_paid`, a PAID order sent twice earns twice: what a careful client must survive."""
    await loyalty(api)
    card = await join(api)
    await send(api, "POST", "/sandbox/faults", {"earn_again_on_paid": True})
    await buy(api, "o-1", 1000)
    await buy(api, "o-1", 1000)
    assert await balance(api, card) == 20


async def test_an_order_that_is_put_to_paid_earns(api: httpx.AsyncClient) -> None:
    """PUT by source_id or id moves the order like POST does."""
    await loyalty(api)
    card = await join(api)
    order = await buy(api, "o-1", 1000, "CREATED")
    await send(api, "PUT", f"/v1/orders/{order['id']}", {"status": "PAID"})
    assert await balance(api, card) == 10
    canceled = await send(api, "PUT", "/v1/orders/o-1", {"status": "CANCELED", "metadata": {"why": "return"}})
    assert (canceled["status"], canceled["amount"], canceled["metadata"]) == ("CANCELED", 1000, {"why": "return"})


async def test_a_canceled_order_keeps_what_it_earned_and_is_told_once(api: httpx.AsyncClient, sink: Sink) -> None:
    """Canceling moves no points, tells `customer.order.canceled` once, and takes the order out of the summary."""
    await loyalty(api)
    card = await join(api)
    await send(api, "POST", "/sandbox/webhooks", {"target_url": sink.url})
    await buy(api, "o-1", 1000)
    for _ in range(2):
        await send(api, "PUT", "/v1/orders/o-1", {"status": "CANCELED"})
    body = (await sink.wait(1, "customer.order.updated"))[0]  # what the second one is
    assert (body["data"]["order"]["status"], len(sink.of("customer.order.canceled"))) == ("CANCELED", 1)
    assert await balance(api, card) == 10
    customer = await send(api, "GET", "/v1/customers/u-1")
    assert customer["summary"]["orders"]["total_count"] == 0


async def test_an_order_that_becomes_paid_again_earns_again(api: httpx.AsyncClient) -> None:
    """From CANCELED back to PAID it becomes PAID a second time."""
    await loyalty(api)
    card = await join(api)
    for status in ("PAID", "CANCELED", "PAID"):
        await buy(api, "o-1", 1000, status)
    assert await balance(api, card) == 20


async def test_amounts_come_from_the_items(api: httpx.AsyncClient) -> None:
    """An order's amount is the sum of its items; an item's is price times quantity."""
    order = await send(
        api,
        "POST",
        "/v1/orders",
        {
            "source_id": "o-1",
            "amount": 5,
            "items": [
                {
                    "source_id": "mug",
                    "related_object": "product",
                    "quantity": 2,
                    "price": 1250,
                    "product": {"name": "M"},
                },
                {"product_id": "prod_x", "quantity": 3, "amount": 300},
            ],
        },
    )
    assert (order["amount"], order["total_amount"], order["status"]) == (2800, 2800, "CREATED")
    mug = order["items"][0]
    assert mug.pop("id").startswith("ordli_")
    assert mug == {
        "object": "order_item",
        "source_id": "mug",
        "related_object": "product",
        "quantity": 2,
        "price": 1250,
        "amount": 2500,
        "subtotal_amount": 2500,
        "product": {"name": "M"},
    }
    assert "discount_amount" not in order


@pytest.mark.parametrize(
    ("gives", "expected"),
    [
        (proportional("amount", 500, 10), 40),  # floor(2350 / 500) = 4 steps of 10
        (proportional("total_amount", 100, 1), 23),
        ({"type": "FIXED", "points": "5"}, 5),
    ],
)
async def test_each_rule_counts_in_its_own_way(api: httpx.AsyncClient, gives: dict[str, object], expected: int) -> None:
    """Proportional rules count full steps, a fixed one gives its points (which may be sent as text)."""
    await loyalty(api)
    [old] = (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/earning-rules"))["data"]
    await send(api, "POST", f"/v1/loyalties/{LOYALTY}/earning-rules/{old['id']}/disable")
    await rule(api, "order.paid", gives)
    card = await join(api)
    await buy(api, "o-1", 2350)
    assert await balance(api, card) == expected


async def test_all_rules_that_match_fire_while_they_are_valid(api: httpx.AsyncClient) -> None:
    """Two rules both give; one that is over, one not begun and one switched off give nothing."""
    await loyalty(api)
    await rule(api, "order.paid", {"type": "FIXED", "points": 5})
    await rule(api, "order.paid", {"type": "FIXED", "points": 100}, expiration_date="2020-01-01T00:00:00.000Z")
    await rule(api, "order.paid", {"type": "FIXED", "points": 200}, start_date="2100-01-01T00:00:00.000Z")
    await rule(api, "order.paid", {"type": "FIXED", "points": 400}, active=False)
    card = await join(api)
    await buy(api, "o-1", 1000)
    assert await balance(api, card) == 15


async def test_who_is_no_member_earns_only_where_joining_is_automatic(api: httpx.AsyncClient) -> None:
    """Without `auto_join` a customer without a card gets nothing; with it a card first, then the points."""
    await loyalty(api)
    await buy(api, "o-1", 1000)
    assert (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members"))["total"] == 0
    await send(api, "POST", "/sandbox/reset")
    await loyalty(api, points=3, auto_join=True)
    await buy(api, "o-1", 1000)
    [card] = (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members?customer=u-1"))["vouchers"]
    assert card["loyalty_card"]["balance"] == 13


async def test_orders_are_listed_by_customer(api: httpx.AsyncClient) -> None:
    """The list can be narrowed to a customer, by either id."""
    first = await buy(api, "o-1", 100)
    await buy(api, "o-2", 100, customer="u-2")
    for customer in ("u-1", first["customer_id"]):
        rows = (await send(api, "GET", f"/v1/orders?customer={customer}"))["orders"]
        assert [row["source_id"] for row in rows] == ["o-1"]


@pytest.mark.parametrize(
    "body",
    [
        {"amount": -1},
        {"amount": "10"},
        {"amount": 10**30},
        {"status": "SHIPPED"},
        {"items": {}},
        {"items": [1]},
        {"items": [{"quantity": 2**53, "price": 2**53}]},
        {"customer": 5},
    ],
)
async def test_a_bad_order_is_refused(api: httpx.AsyncClient, body: dict[str, object]) -> None:
    """An order that can't be is a 400, and nothing is stored."""
    assert (await send(api, "POST", "/v1/orders", body, expect=400))["key"] == "invalid_payload"
    assert (await send(api, "GET", "/v1/orders"))["total"] == 0
