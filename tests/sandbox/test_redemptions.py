"""Codes at the till: validated, redeemed, refused, rolled back."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.sandbox.programme import balance, buy, coupon, coupons, join, loyalty, redeem, send

AMOUNT_CAMPAIGN = {
    "name": "5 off",
    "voucher": {
        "type": "DISCOUNT_VOUCHER",
        "discount": {"type": "AMOUNT", "amount_off": 500},
        "redemption": {"quantity": None},
    },
}


async def validate(api: httpx.AsyncClient, *codes: str, **order: Any) -> dict[str, Any]:
    body = {"redeemables": [{"object": "voucher", "id": code} for code in codes], "order": order}
    answer: dict[str, Any] = await send(api, "POST", "/v1/validations", body)
    return answer


async def test_a_validation_calculates_and_changes_nothing(api: httpx.AsyncClient) -> None:
    """A valid code shows what it takes off, twice the same; no order and no redemption comes of it."""
    await coupons(api)
    code = await coupon(api)
    for _ in range(2):
        answer = await validate(api, code, amount=2005, source_id="o-1")
        assert answer["valid"] is True
        [shown] = answer["redeemables"]
        assert shown["status"] == "APPLICABLE"
        assert "inapplicable_redeemables" not in answer
        order = answer["order"]
        # 10 % of 2005 is 200.5, which rounds up to 201
        assert (order["total_discount_amount"], order["total_applied_discount_amount"]) == (201, 201)
        assert order["total_amount"] == 1804
    await send(api, "GET", "/v1/orders/o-1", expect=404)
    assert (await send(api, "GET", "/v1/redemptions"))["total"] == 0


async def test_a_validation_says_why_not(api: httpx.AsyncClient) -> None:
    """The wrong code is INAPPLICABLE with an error, the right one beside it SKIPPED; the answer is still a 200."""
    await coupons(api)
    code = await coupon(api)
    answer = await validate(api, code, "NOPE", amount=2000)
    assert answer["valid"] is False
    good, bad = answer["redeemables"]
    assert (good["status"], good["result"]["details"]["key"]) == ("SKIPPED", "preceding_validation_failed")
    assert (bad["status"], bad["result"]["error"]["key"]) == ("INAPPLICABLE", "not_found")
    assert answer["inapplicable_redeemables"] == [bad]


async def test_a_redemption_with_an_order_that_stays_created(api: httpx.AsyncClient) -> None:
    """The till's road: redeem with status CREATED, which earns nothing; then PAID, which earns on what was paid."""
    await loyalty(api)
    await coupons(api)
    card, code = await join(api), await coupon(api)
    answer = await redeem(api, code, source_id="o-1", status="CREATED", amount=2000)
    assert (answer["order"]["status"], answer["order"]["total_amount"]) == ("CREATED", 1800)
    assert await balance(api, card) == 0
    paid = await buy(api, "o-1", 2000)
    assert (paid["status"], paid["total_amount"], paid["total_discount_amount"]) == ("PAID", 1800, 200)
    assert await balance(api, card) == 18


async def test_an_order_becomes_paid_by_default(api: httpx.AsyncClient) -> None:
    """Without a status the redemption's order is PAID and earns at once; so it is with the switch, whatever is sent."""
    await loyalty(api)
    await coupons(api)
    card = await join(api)
    assert (await redeem(api, await coupon(api), source_id="o-1", amount=1000))["order"]["status"] == "PAID"
    assert await balance(api, card) == 9
    await send(api, "POST", "/sandbox/faults", {"ignore_redemption_order_status": True})
    answer = await redeem(api, await coupon(api), source_id="o-2", status="CREATED", amount=1000)
    assert answer["order"]["status"] == "PAID"
    assert await balance(api, card) == 18


async def test_a_code_is_redeemed_once_however_many_try(api: httpx.AsyncClient) -> None:
    """Twenty tills at once, one code with quantity 1: one redemption, nineteen refusals with a record each."""
    await coupons(api)
    code = await coupon(api)
    body = {"redeemables": [{"object": "voucher", "id": code}]}
    answers = await asyncio.gather(
        *(api.post("/v1/redemptions", json={**body, "customer": {"source_id": f"u-{n}"}}) for n in range(20))
    )
    bad = [answer.json() for answer in answers if answer.status_code == 400]
    assert len(bad) == 19
    assert {(error["key"], error["message"], error["details"]) for error in bad} == {
        ("quantity_exceeded", "quantity exceeded", code)
    }
    assert len({error["resource_id"] for error in bad}) == 19
    assert all(error["resource_id"].startswith("rf_") for error in bad)
    assert (await send(api, "GET", f"/v1/vouchers/{code}"))["redemption"]["redeemed_quantity"] == 1
    failed = await send(api, "GET", "/v1/redemptions?result=FAILURE&limit=1")
    assert (failed["total"], failed["redemptions"][0]["failure_code"]) == (19, "quantity_exceeded")


async def test_what_is_refused_changes_nothing(api: httpx.AsyncClient) -> None:
    """One bad code of two: no order, no use of the good one."""
    await coupons(api)
    code = await coupon(api)
    error = await redeem(api, code, "NOPE", expect=404, source_id="o-1", amount=1000)
    assert (error["key"], error["resource_id"]) == ("not_found", "NOPE")
    assert (await send(api, "GET", f"/v1/vouchers/{code}"))["redemption"]["redeemed_quantity"] == 0
    await send(api, "GET", "/v1/orders/o-1", expect=404)


@pytest.mark.parametrize(
    ("campaign", "disable", "key"),
    [
        ({"expiration_date": "2020-01-01T00:00:00.000Z"}, False, "voucher_expired"),
        ({"start_date": "2100-01-01T00:00:00.000Z"}, False, "voucher_not_active"),
        ({}, True, "voucher_disabled"),
    ],
)
async def test_a_code_out_of_its_time_is_refused(
    api: httpx.AsyncClient, campaign: dict[str, Any], *, disable: bool, key: str
) -> None:
    """Over, not begun, switched off: each has its key."""
    await coupons(api, vouchers_count=1, **campaign)
    [voucher] = (await send(api, "GET", "/v1/vouchers"))["vouchers"]
    if disable:
        await send(api, "POST", f"/v1/vouchers/{voucher['code']}/disable")
    assert (await redeem(api, voucher["code"], expect=400, amount=100))["key"] == key


async def test_the_clock_makes_a_code_expire(api: httpx.AsyncClient) -> None:
    """A code that is good today is not after its day, when the clock is moved there."""
    await coupons(api, expiration_date="2100-06-01T00:00:00.000Z")
    code = await coupon(api)
    await send(api, "POST", "/sandbox/clock", {"set": "2100-06-01T00:00:00Z"})
    assert (await redeem(api, code, expect=400, amount=100))["key"] == "voucher_expired"
    await send(api, "POST", "/sandbox/clock", {"advance": -10})
    await redeem(api, code, amount=100)


async def test_two_codes_stack_under_a_parent(api: httpx.AsyncClient) -> None:
    """Each takes off what the one before it left; the order links the parent, the parent is rolled back for both."""
    await coupons(api)
    await send(api, "POST", "/v1/campaigns", AMOUNT_CAMPAIGN)
    percent, amount = await coupon(api), await coupon(api, campaign="5 off")
    answer = await redeem(api, amount, percent, source_id="o-1", amount=2500)
    first, second = answer["redemptions"]
    parent = answer["parent_redemption"]["id"]
    assert first["redemption"] == second["redemption"] == parent
    assert first["order"]["total_applied_discount_amount"] == 500
    assert second["order"]["total_applied_discount_amount"] == 200
    assert answer["order"]["total_amount"] == 1800
    assert answer["order"]["redemptions"][parent]["stacked"] == [first["id"], second["id"]]
    single = await send(api, "POST", f"/v1/redemptions/{parent}/rollback", expect=400)
    child = await send(api, "POST", f"/v1/redemptions/{first['id']}/rollbacks", expect=400)
    assert (single["key"], child["key"]) == ("invalid_redemption", "invalid_redemption_parent")
    undone = await send(api, "POST", f"/v1/redemptions/{parent}/rollbacks?reason=returned")
    assert len(undone["rollbacks"]) == 2
    assert (undone["order"]["status"], undone["order"]["total_amount"]) == ("CANCELED", 2500)


async def test_a_rollback_frees_the_code_once(api: httpx.AsyncClient) -> None:
    """After it the code works again, the order is cancelled without its discount, and a second one is refused."""
    await coupons(api)
    code = await coupon(api)
    redemption = (await redeem(api, code, source_id="o-1", amount=1000))["redemptions"][0]
    path = f"/v1/redemptions/{redemption['id']}/rollback?reason=returned"
    answers = await asyncio.gather(*(api.post(path) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    rollback = next(answer.json() for answer in answers if answer.status_code == 200)
    assert rollback["id"].startswith("rr_")
    assert (rollback["redemption"], rollback["reason"]) == (redemption["id"], "returned")
    assert (rollback["order"]["status"], rollback["order"]["total_amount"]) == ("CANCELED", 1000)
    assert "discount_amount" not in rollback["order"]
    assert {answer.json()["key"] for answer in answers if answer.status_code == 400} == {"already_rolled_back"}
    assert (await send(api, "GET", f"/v1/redemptions/{redemption['id']}"))["status"] == "ROLLED_BACK"
    await redeem(api, code, source_id="o-2", amount=1000)


async def test_a_redemption_is_found_again_by_its_order(api: httpx.AsyncClient) -> None:
    """After an unclear answer the order names its redemption, and that carries the caller's metadata."""
    await coupons(api)
    body = {
        "redeemables": [{"object": "voucher", "id": await coupon(api)}],
        "order": {"source_id": "o-1", "amount": 1000},
        "metadata": {"request": "abc"},
    }
    await send(api, "POST", "/v1/redemptions", body)
    [identifier] = (await send(api, "GET", "/v1/orders/o-1"))["redemptions"]
    found = await send(api, "GET", f"/v1/redemptions/{identifier}")
    assert (found["metadata"], found["channel"]["channel_type"]) == ({"request": "abc"}, "API")
    assert (await send(api, "GET", "/v1/redemptions?order=-created_at"))["redemptions"] == [found]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"redeemables": []}, 400),
        ({"redeemables": [{"object": "voucher"}]}, 400),
        ({"redeemables": [{"object": "voucher", "id": "A"}] * 2}, 400),
        ({"redeemables": [{"object": "voucher", "id": str(n)} for n in range(31)]}, 400),
        ({"redeemables": [{"object": "promotion_stack", "id": "stack_x"}]}, 404),
        ({"redeemables": [{"object": "voucher", "id": "A"}], "session": {"type": "OPEN"}}, 400),
        ({"redeemables": [{"object": "voucher", "id": "A"}], "session": {"key": "k"}}, 400),
        ({"redeemables": [{"object": "voucher", "id": "A", "gift": {"credits": -1}}]}, 400),
    ],
)
async def test_a_bad_list_of_codes_is_refused(api: httpx.AsyncClient, body: dict[str, object], status: int) -> None:
    """Validation and redemption check the list in the same way."""
    for path in ("/v1/validations", "/v1/redemptions"):
        await send(api, "POST", path, body, expect=status)
