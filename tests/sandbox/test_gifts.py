"""Gift cards: credits as a ledger, spent at the till, given back by a rollback."""

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.programme import send
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink

GIFTS = "Gifts"


async def gift_card(api: httpx.AsyncClient, amount: int = 2000, code: str = "GIFT-1") -> str:
    """A campaign of gift cards and one of them, held by u-1."""
    body = {"name": f"{GIFTS} {code}", "voucher": {"type": "GIFT_VOUCHER", "gift": {"amount": amount}}}
    campaign = await send(api, "POST", "/v1/campaigns", body)
    assert campaign["campaign_type"] == "GIFT_VOUCHERS"
    await send(api, "POST", f"/v1/campaigns/{campaign['id']}/vouchers/{code}")
    await send(api, "POST", "/v1/publications", {"voucher": code, "customer": {"source_id": "u-1"}})
    return code


async def pay(
    api: httpx.AsyncClient,
    *codes: str,
    credits_: int | None = None,
    expect: int = 200,
    amount: int | None = 1000,
    **order: Any,
) -> dict[str, Any]:
    gift = {} if credits_ is None else {"gift": {"credits": credits_}}
    body: dict[str, Any] = {
        "redeemables": [{"object": "voucher", "id": code, **gift} for code in codes],
        "customer": {"source_id": "u-1"},
    }
    if amount is not None:
        body["order"] = {"amount": amount, **order}
    answer: dict[str, Any] = await send(api, "POST", "/v1/redemptions", body, expect)
    return answer


async def credits_of(api: httpx.AsyncClient, code: str, initial: int) -> int:
    """The card's balance, checked against its ledger: initial credits and the sum of its transactions."""
    shown = await send(api, "GET", f"/v1/vouchers/{code}")
    rows = (await send(api, "GET", f"/v1/vouchers/{code}/transactions?limit=100"))["data"]
    gift, moved = shown["gift"], sum(row["details"]["balance"]["amount"] for row in rows)
    assert gift["balance"] == initial + moved >= 0
    assert gift["balance"] == gift["amount"] - gift["subtracted_amount"] - shown["redemption"]["redeemed_amount"]
    if rows:
        assert rows[0]["details"]["balance"]["balance"] == gift["balance"]
    return int(gift["balance"])


async def test_a_card_pays_and_is_given_back(api: httpx.AsyncClient) -> None:
    """Credits come off the card and off the order; a rollback puts them back and cancels the order."""
    card = await gift_card(api)
    answer = await pay(api, card, credits_=300, source_id="o-1")
    [redemption] = answer["redemptions"]
    assert (redemption["amount"], redemption["gift"]) == (300, {"amount": 300})
    assert redemption["voucher"]["gift"]["balance"] == 1700
    assert (answer["order"]["total_amount"], answer["order"]["total_applied_discount_amount"]) == (700, 300)
    assert await credits_of(api, card, 2000) == 1700
    undone = await send(api, "POST", f"/v1/redemptions/{redemption['id']}/rollback")
    check_answer("POST", "/v1/redemptions/{redemptionId}/rollback", undone)
    assert (undone["amount"], undone["gift"], undone["voucher"]["gift"]["balance"]) == (-300, {"amount": -300}, 2000)
    assert (undone["order"]["status"], undone["order"]["total_amount"]) == ("CANCELED", 1000)
    assert await credits_of(api, card, 2000) == 2000
    listed = await send(api, "GET", f"/v1/vouchers/{card}/transactions")
    check_answer("GET", "/v1/vouchers/{code}/transactions", listed)
    assert [row["type"] for row in listed["data"]] == ["CREDITS_REFUND", "CREDITS_REDEMPTION"]
    assert listed["data"][0]["details"]["rollback"] == {"id": undone["id"]}
    assert listed["data"][1]["details"]["order"]["id"] == answer["order"]["id"]


async def test_a_card_gives_what_the_order_needs(api: httpx.AsyncClient) -> None:
    """Without `credits` the order takes what it needs; what the order can't take stays on the card."""
    card = await gift_card(api)
    assert (await pay(api, card))["redemptions"][0]["amount"] == 1000
    assert (await pay(api, card, credits_=900, amount=400))["redemptions"][0]["amount"] == 400
    last = await pay(api, card, amount=5000)
    assert (last["redemptions"][0]["amount"], last["order"]["total_amount"]) == (600, 4400)
    assert (await pay(api, card, expect=400))["key"] == "gift_amount_exceeded"
    assert await credits_of(api, card, 2000) == 0


async def test_more_than_there_is_is_refused(api: httpx.AsyncClient) -> None:
    """Too many credits leave an `rf_` and the card as it is; without an order the credits must be said."""
    card = await gift_card(api)
    error = await pay(api, card, credits_=2001, amount=5000, expect=400)
    assert (error["key"], error["message"], error["details"]) == ("gift_amount_exceeded", "gift amount exceeded", card)
    assert error["resource_id"].startswith("rf_")
    assert (await pay(api, card, amount=None, expect=400))["key"] == "missing_amount"
    assert (await pay(api, card, credits_=5, amount=None))["redemptions"][0]["amount"] == 5
    assert await credits_of(api, card, 2000) == 1995


async def test_a_balance_is_adjusted_by_hand(api: httpx.AsyncClient) -> None:
    """Credits are added and taken off with reason and source id; more than there is can't be."""
    card = await gift_card(api)
    path = f"/v1/vouchers/{card}/balance"
    balance = await send(api, "POST", path, {"amount": 500, "source_id": "s-1", "reason": "sorry"})
    check_answer("POST", "/v1/vouchers/{code}/balance", balance)
    assert (balance["amount"], balance["total"], balance["balance"]) == (500, 2500, 2500)
    assert balance["type"] == "gift_voucher"
    assert (await send(api, "POST", path, {"amount": -2500}))["balance"] == 0
    assert (await send(api, "POST", path, {"amount": -1}, expect=400))["key"] == "gift_amount_exceeded"
    for body in ({}, {"amount": 0}, {"amount": "5"}):
        await send(api, "POST", path, body, expect=400)
    rows = (await send(api, "GET", f"/v1/vouchers/{card}/transactions?order=id"))["data"]
    assert [(row["type"], row["source_id"], row["reason"], row["source"]) for row in rows] == [
        ("CREDITS_ADDITION", "s-1", "sorry", "API"),
        ("CREDITS_REMOVAL", None, None, "API"),
    ]
    campaign = (await send(api, "GET", f"/v1/vouchers/{card}"))["campaign_id"]
    listed = await send(api, "GET", f"/v1/campaigns/{campaign}/transactions?limit=1")
    assert (len(listed["data"]), listed["has_more"]) == (1, True)
    check_answer("GET", "/v1/campaigns/{campaignId}/transactions", listed)
    await send(api, "POST", "/v1/vouchers/NOPE/balance", {"amount": 1}, expect=404)


async def test_a_gift_stacks_with_others(api: httpx.AsyncClient) -> None:
    """A percentage first, then two cards for the rest; the rollback of the stack gives both back."""
    first, second = await gift_card(api, 300), await gift_card(api, 800, "GIFT-2")
    body = {"type": "DISCOUNT_VOUCHER", "discount": {"type": "PERCENT", "percent_off": 10}}
    await send(api, "POST", "/v1/vouchers/TEN", body)
    answer = await pay(api, "TEN", first, second)
    assert [each.get("amount") for each in answer["redemptions"]] == [None, 300, 600]
    assert answer["order"]["total_amount"] == 0
    parent = answer["parent_redemption"]["id"]
    undone = await send(api, "POST", f"/v1/redemptions/{parent}/rollbacks")
    assert sorted(each.get("amount") or 0 for each in undone["rollbacks"]) == [-600, -300, 0]
    assert (await credits_of(api, first, 300), await credits_of(api, second, 800)) == (300, 800)


async def test_a_card_named_twice_pays_once(api: httpx.AsyncClient) -> None:
    """The same card by its code and by its id is refused, for each would spend what the other spends."""
    card = await gift_card(api)
    identifier = (await send(api, "GET", f"/v1/vouchers/{card}"))["id"]
    assert (await pay(api, card, identifier, expect=400))["key"] == "duplicated_redeemables"
    assert await credits_of(api, card, 2000) == 2000


async def test_many_tills_cannot_overdraw_a_card(api: httpx.AsyncClient) -> None:
    """Twenty tills take 300 of 2000 at once: six succeed, the others are told that there is not enough."""
    card = await gift_card(api)
    body = {"redeemables": [{"object": "voucher", "id": card, "gift": {"credits": 300}}], "order": {"amount": 300}}
    answers = await asyncio.gather(*(api.post("/v1/redemptions", json=body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 6 + [400] * 14
    assert await credits_of(api, card, 2000) == 200


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"customer": {"source_id": "u-2"}}, "invalid_customer"),
        ({"order": {"source_id": "o-2"}}, "invalid_order"),
        ({"customer": {"source_id": "u-1"}, "order": {"source_id": "o-1"}}, None),
    ],
)
async def test_a_rollback_for_another_customer_or_order_is_refused(
    api: httpx.AsyncClient, said: dict[str, Any], key: str | None
) -> None:
    """What the body says of customer and order must be what was redeemed."""
    card = await gift_card(api)
    body = {
        "redeemables": [{"object": "voucher", "id": card, "gift": {"credits": 10}}],
        "customer": {"source_id": "u-1"},
        "order": {"source_id": "o-1", "amount": 1000},
    }
    redemption = (await send(api, "POST", "/v1/redemptions", body))["redemptions"][0]["id"]
    answer = await send(api, "POST", f"/v1/redemptions/{redemption}/rollback", said, expect=400 if key else 200)
    assert answer.get("key") == key
    assert await credits_of(api, card, 2000) == (1990 if key else 2000)


async def test_gift_webhooks_fit_the_published_schemas(api: httpx.AsyncClient, sink: Sink) -> None:
    """Topping up, spending and giving back are told, to the project and to the customer's distribution."""
    card = await gift_card(api)
    await send(api, "POST", f"/v1/vouchers/{card}/balance", {"amount": 500})
    redemption = (await pay(api, card, credits_=300, source_id="o-1"))["redemptions"][0]["id"]
    await send(api, "POST", f"/v1/redemptions/{redemption}/rollback")
    moved = await sink.wait(3, "voucher.gift.transaction.created")
    assert [each["data"]["transaction"]["type"] for each in moved] == [
        *("CREDITS_ADDITION", "CREDITS_REDEMPTION", "CREDITS_REFUND"),
    ]
    assert [each["data"]["balance"]["balance"] for each in moved] == [2500, 2200, 2500]
    for kind, count in (
        *(("voucher.gift.transaction.created", 3), ("voucher.gift.balance_added", 1)),
        *(("customer.voucher.gift.balance_added", 1), ("redemption.succeeded", 1)),
        ("redemption.rollback.succeeded", 1),
    ):
        messages = await sink.wait(count, kind)
        assert len(messages) == count
        for message in messages:
            check_webhook(kind, message["data"])


async def test_answers_about_gifts_fit_the_published_schemas(api: httpx.AsyncClient) -> None:
    """Campaign, card, validation and redemption of a gift card, against the schema of each operation."""
    card = await gift_card(api)
    check_answer("GET", "/v1/campaigns", await send(api, "GET", "/v1/campaigns"))
    check_answer("GET", "/v1/vouchers/{code}", await send(api, "GET", f"/v1/vouchers/{card}"))
    body = {"redeemables": [{"object": "voucher", "id": card, "gift": {"credits": 10}}], "order": {"amount": 100}}
    valid = await send(api, "POST", "/v1/validations", body)
    check_answer("POST", "/v1/validations", valid)
    assert valid["redeemables"][0]["result"] == {"gift": {"credits": 10}}
    check_answer("POST", "/v1/redemptions", await send(api, "POST", "/v1/redemptions", body))
    customer = await send(api, "GET", "/v1/customers/u-1")
    assert customer["summary"]["redemptions"]["gift"] == {"redeemed_amount": 10, "amount_to_go": 1990}


STEPS = st.lists(
    st.tuples(st.sampled_from(["adjust", "pay", "undo"]), st.integers(-700, 700), st.integers(0, 900)),
    min_size=1,
    max_size=12,
)


@given(st.integers(0, 1500), STEPS)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_balance_is_its_ledger(api: httpx.AsyncClient, initial: int, steps: list[tuple[str, int, int]]) -> None:
    """Law: whatever is added, spent and given back, the balance is the sum of the transactions and never below zero."""
    await send(api, "POST", "/sandbox/reset")
    card = await gift_card(api, initial)
    expected = initial
    open_: list[tuple[str, int]] = []
    for what, amount, order in steps:
        if what == "adjust":
            answer = await api.post(f"/v1/vouchers/{card}/balance", json={"amount": amount})
            if answer.status_code == 200:
                expected += amount
            else:
                assert amount == 0 or expected + amount < 0
        elif what == "pay":
            body = {
                "redeemables": [{"object": "voucher", "id": card, "gift": {"credits": abs(amount)}}],
                "order": {"amount": order},
            }
            answer = await api.post("/v1/redemptions", json=body)
            if answer.status_code == 200:
                [redemption] = answer.json()["redemptions"]
                assert redemption["amount"] == min(abs(amount), order)
                expected -= redemption["amount"]
                open_.append((redemption["id"], redemption["amount"]))
            else:
                assert abs(amount) > expected
        elif open_:
            identifier, spent = open_.pop()
            await send(api, "POST", f"/v1/redemptions/{identifier}/rollback")
            expected += spent
        assert await credits_of(api, card, initial) == expected
