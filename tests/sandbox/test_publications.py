"""Handing out codes and cards: once, to the right person."""

import asyncio
import re

import httpx

from tests.sandbox.programme import COUPONS, LOYALTY, balance, coupons, join, loyalty, send


async def test_joining_puts_the_initial_points_on_the_card_without_a_transaction(api: httpx.AsyncClient) -> None:
    """The welcome is on the card at once, and the ledger is empty."""
    await loyalty(api, points=50)
    card = await join(api)
    assert re.fullmatch(r"L-\w{7}", card)
    assert await balance(api, card) == 50
    assert (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions"))["data"] == []


async def test_twenty_joins_at_once_make_one_card(api: httpx.AsyncClient) -> None:
    """However often and fast a customer joins with `join_once`, there is one card and one answer."""
    await loyalty(api)
    assert len(set(await asyncio.gather(*(join(api) for _ in range(20))))) == 1
    assert (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members"))["total"] == 1


async def test_joining_again_without_the_flag_is_refused(api: httpx.AsyncClient) -> None:
    """A loyalty programme is always joined once: by publication and by members alike, the second is a 400."""
    await loyalty(api)
    await join(api)
    body = {"campaign": LOYALTY, "customer": {"source_id": "u-1"}}
    first = await send(api, "POST", "/v1/publications", body, expect=400)
    second = await send(api, "POST", f"/v1/loyalties/{LOYALTY}/members", {"customer": "u-1"}, expect=400)
    assert first["key"] == second["key"] == "voucher_cannot_be_published"
    assert first["details"] == "Voucher cannot be published. Customer already joined program."


async def test_the_flag_is_taken_from_the_body_as_well(api: httpx.AsyncClient) -> None:
    """The JavaScript SDK sends `join_once` in the body."""
    await loyalty(api)
    card = await join(api)
    body = {"campaign": {"name": LOYALTY}, "customer": {"source_id": "u-1"}, "join_once": True}
    assert (await send(api, "POST", "/v1/publications", body))["voucher"]["code"] == card


async def test_a_source_id_publishes_once_and_is_read_back(api: httpx.AsyncClient) -> None:
    """Ten requests at once with one `source_id`: one is published, nine are told so, and GET finds the one."""
    await coupons(api)
    body = {"campaign": COUPONS, "customer": {"source_id": "u-1"}, "source_id": "order-1"}
    answers = await asyncio.gather(*(api.post("/v1/publications", json=body) for _ in range(10)))
    good = [answer.json() for answer in answers if answer.status_code == 200]
    bad = [answer.json() for answer in answers if answer.status_code == 400]
    assert len(good) == 1
    assert {(error["key"], error["details"]) for error in bad} == {
        ("duplicate_source_id", "Publication with source_id: 'order-1' already exists")
    }
    [found] = (await send(api, "GET", "/v1/publications?source_id=order-1"))["publications"]
    assert found["voucher"]["code"] == good[0]["voucher"]["code"]
    assert (await send(api, "GET", f"/v1/vouchers?campaign={COUPONS}"))["total"] == 1


async def test_the_published_code_belongs_to_the_customer(api: httpx.AsyncClient) -> None:
    """Holder, count and tracking id are as documented; the customer is made by it."""
    await coupons(api)
    body = {"campaign": {"name": COUPONS}, "customer": {"source_id": "u-9", "name": "Zoe"}, "metadata": {"why": 1}}
    publication = await send(api, "POST", "/v1/publications", body)
    customer = await send(api, "GET", "/v1/customers/u-9")
    assert publication["customer_id"] == publication["voucher"]["holder_id"] == customer["id"]
    assert (publication["tracking_id"], publication["channel"], publication["result"]) == ("u-9", "API", "SUCCESS")
    assert (publication["voucher"]["publish"]["count"], publication["metadata"]) == (1, {"why": 1})
    assert publication["vouchers_id"] == [publication["voucher"]["id"]]


async def test_several_codes_at_once(api: httpx.AsyncClient) -> None:
    """A count gives a list of codes, those made earlier first."""
    await coupons(api, vouchers_count=2)
    body = {"campaign": {"name": COUPONS, "count": 3}, "customer": {"source_id": "u-1"}}
    codes = (await send(api, "POST", "/v1/publications", body))["vouchers"]
    assert len(set(codes)) == 3
    assert (await send(api, "GET", f"/v1/campaigns/{COUPONS}"))["vouchers_count"] == 3


async def test_a_static_campaign_runs_out(api: httpx.AsyncClient) -> None:
    """Customers race for the last codes: each goes to one of them, the rest are told that there is none."""
    await coupons(api, type="STATIC", vouchers_count=3)
    bodies = [{"campaign": COUPONS, "customer": {"source_id": f"u-{n}"}} for n in range(8)]
    answers = await asyncio.gather(*(api.post("/v1/publications", json=body) for body in bodies))
    codes = [answer.json()["voucher"]["code"] for answer in answers if answer.status_code == 200]
    keys = [answer.json()["key"] for answer in answers if answer.status_code == 400]
    assert len(set(codes)) == 3
    assert keys == ["no_voucher_suitable_for_publication"] * 5


async def test_a_given_code_is_published_once(api: httpx.AsyncClient) -> None:
    """Publishing a voucher by its code works once."""
    await coupons(api, vouchers_count=1)
    [voucher] = (await send(api, "GET", f"/v1/vouchers?campaign={COUPONS}"))["vouchers"]
    body = {"voucher": voucher["code"], "customer": {"source_id": "u-1"}}
    assert (await send(api, "POST", "/v1/publications", body))["voucher"]["id"] == voucher["id"]
    assert (await send(api, "POST", "/v1/publications", body, expect=400))["key"] == "voucher_already_published"


async def test_codes_of_a_full_pattern_run_out_with_a_reason(api: httpx.AsyncClient) -> None:
    """A pattern of one digit has ten codes; the eleventh is refused, not looped for."""
    voucher = {
        "type": "DISCOUNT_VOUCHER",
        "discount": {"type": "AMOUNT", "amount_off": 100},
        "code_config": {"pattern": "#", "charset": "0123456789"},
    }
    await send(api, "POST", "/v1/campaigns", {"name": "ten", "vouchers_count": 10, "voucher": voucher})
    body = {"campaign": {"name": "ten", "count": 11}, "customer": {"source_id": "u-1"}}
    error = await send(api, "POST", "/v1/publications", body, expect=400)
    assert error["key"] == "no_voucher_suitable_for_publication"


async def test_what_is_missing_is_named(api: httpx.AsyncClient) -> None:
    """No customer, nothing to publish, no such campaign, a disabled one: each has its key."""
    await coupons(api)
    await send(api, "POST", f"/v1/campaigns/{COUPONS}/disable")
    customer = {"source_id": "u-1"}
    for body, expected in (
        ({"campaign": COUPONS}, "missing_customer"),
        ({"customer": customer}, "missing_vouchers"),
        ({"campaign": COUPONS, "customer": customer}, "campaign_not_active"),
    ):
        assert (await send(api, "POST", "/v1/publications", body, expect=400))["key"] == expected
    await send(api, "POST", "/v1/publications", {"campaign": "none", "customer": customer}, expect=404)
    assert (await send(api, "GET", "/v1/customers"))["total"] == 0
