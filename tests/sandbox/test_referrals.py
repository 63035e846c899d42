"""Referrals: a friend comes by a code, by redeeming it or by a custom event, and what that gives to both."""

import asyncio
import base64
from typing import Any

import httpx
import pytest

from tests.sandbox.programme import COUPONS, LOYALTY, balance, coupons, join, loyalty, redeem, send
from tests.sandbox.published import check_answer, check_customer_activity, check_webhook
from tests.sandbox.referring import BRING, JOINED, code_of, come, levels, programme, referred
from tests.sandbox.serving import Sink

POINTS = {"reward": {"campaign": LOYALTY, "points": 300}}


async def test_a_friend_who_redeems_the_code_is_referred(api: httpx.AsyncClient, sink: Sink) -> None:
    """The friend gets the discount and counts for who gave the code; the order and the webhooks name both."""
    await loyalty(api, 50)
    await programme(api)
    await levels(api, POINTS)
    card, code = await join(api, "mia"), await code_of(api)
    answer = await redeem(api, code, customer="noah", source_id="o-1", amount=1000)
    check_answer("POST", "/v1/redemptions", answer)
    mia, noah = [await send(api, "GET", f"/v1/customers/{who}") for who in ("mia", "noah")]
    assert (answer["order"]["total_amount"], answer["order"]["referrer_id"]) == (900, mia["id"])
    [came] = noah["referrals"]["campaigns"]
    assert (came["referrer_id"], came["related_object_id"]) == (mia["id"], answer["redemptions"][0]["id"])
    assert (noah["referrals"]["total"], mia["loyalty"]["referred_customers"], mia["referrals"]["total"]) == (1, 1, 0)
    assert mia["loyalty"]["campaigns"] == {
        LOYALTY: {"points": 350, "referred_customers": 0},
        BRING: {"points": 0, "referred_customers": 1},
    }
    check_answer("GET", "/v1/customers/{customerId}", mia)
    check_answer("GET", "/v1/customers/{customerId}", noah)
    assert await balance(api, card) == 350
    [told] = await sink.wait(1, "customer.referred")
    assert (told["data"]["referrer"]["id"], told["data"]["customer"]["id"]) == (mia["id"], noah["id"])
    assert (told["data"]["redemption"]["id"], told["data"]["custom_event"]) == (came["related_object_id"], None)
    check_customer_activity("customer.referred", told["data"])
    [paid] = await sink.wait(1, "customer.order.paid")
    assert paid["data"]["referrer"]["id"] == mia["id"]


async def test_who_brings_a_friend_by_an_event_is_rewarded(api: httpx.AsyncClient, sink: Sink) -> None:
    """The event that the programme names, with the code, counts; points and webhooks tell one story."""
    await loyalty(api, 50)
    await programme(api, by="custom_event")
    [tier] = await levels(api, POINTS)
    card, code = await join(api, "mia"), await code_of(api)
    answer = await come(api, "noah", code, referrer_id="whoever")
    check_answer("POST", "/v1/events", answer)
    assert (await referred(api, "mia"), await referred(api, "noah")) == ((1, []), (0, ["custom_event"]))
    assert await balance(api, card) == 350
    rows = (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions"))["data"]
    [row] = rows
    assert (row["type"], row["source"], row["details"]["balance"]["operation_type"]) == (
        "POINTS_ACCRUAL", "Automation", "AUTOMATIC",
    )  # fmt: skip
    check_answer("GET", "/v1/loyalties/members/{memberId}/transactions", {"object": "list", "data_ref": "data",
                 "data": rows, "has_more": False})  # fmt: skip
    [event] = await sink.wait(1, "customer.custom_event")
    check_webhook("customer.custom_event", event["data"])
    assert event["data"]["event"]["referral"]["code"] == event["data"]["referral"]["voucher"]["code"] == code
    [told] = await sink.wait(1, "customer.referred")
    check_customer_activity("customer.referred", told["data"])
    assert (told["data"]["custom_event"]["type"], told["data"]["redemption"]) == (JOINED, None)
    assert (told["data"]["voucher"]["referrer_id"], told["data"]["voucher"]["is_referral_code"]) == (
        told["data"]["referrer"]["id"], True,
    )  # fmt: skip
    [rewarded, same] = await sink.wait(2, "customer.rewarded")
    assert {rewarded["source"]["object"], same["source"]["object"]} == {"webhook", "distribution"}
    check_webhook("customer.rewarded", rewarded["data"])
    assert rewarded["data"]["balance"] == {"points": 300}
    assert rewarded["data"]["referral_tier"]["id"] == tier["id"]
    assert rewarded["data"]["voucher"]["loyalty_card"]["balance"] == 350
    [movement] = await sink.wait(1, "voucher.loyalty_card.transaction.created")
    check_webhook("voucher.loyalty_card.transaction.created", movement["data"])
    kinds = {
        who: [
            each["type"] for each in (await send(api, "GET", f"/v1/customers/{who}/activity?order=created_at"))["data"]
        ]
        for who in ("mia", "noah")
    }
    assert kinds["noah"][-3:] == ["customer.custom_event", "customer.referred", "customer.holder.assignment.created"]
    assert kinds["mia"][-1] == "customer.rewarded"


async def test_the_segment_door_refers_too(api: httpx.AsyncClient) -> None:
    """A track call with `referral: {code}` counts; the empty object that Segment always sends changes nothing."""
    await programme(api, by="custom_event")
    code = await code_of(api)
    pair = [base64.b64encode(each).decode() for each in (b"integration-id", b"integration-secret")]
    keys = {"authorization": f"Basic {pair[0]}", "secret-key": pair[1]}
    for who, referral in (("noah", {"code": code}), ("zoe", {}), ("ida", {"referrer_id": "mia"})):
        body = {"event": JOINED, "customer": {"source_id": who}, "referral": referral, "loyalty": {}}
        answer = await api.post("/segmentio/event-processing", json=body, headers=keys)
        assert answer.status_code == 200, answer.text
    assert [(await referred(api, who))[1] for who in ("noah", "zoe", "ida")] == [["custom_event"], [], []]
    assert (await referred(api, "mia"))[0] == 1


async def test_a_friend_counts_once_in_a_programme(api: httpx.AsyncClient) -> None:
    """The same friend again, by the same code or another's, redeems and counts for nobody; another programme counts."""
    await programme(api)
    await levels(api, {"reward": {"campaign": (await coupons(api))["name"]}})
    mia, ada = await code_of(api, "mia"), await code_of(api, "ada")
    for code in (mia, mia, ada):
        await redeem(api, code, customer="noah", amount=1000)
    assert [(await referred(api, who))[0] for who in ("mia", "ada")] == [1, 0]
    held = await send(api, "GET", f"/v1/vouchers?customer=mia&campaign={COUPONS.replace(' ', '%20')}")
    assert held["total"] == 1
    await programme(api, name="Another")
    await redeem(api, await code_of(api, "ada", "Another"), customer="noah", amount=1000)
    assert await referred(api, "noah") == (0, ["redemption", "redemption"])
    assert (await referred(api, "ada"))[0] == 1


async def test_nobody_refers_themselves(api: httpx.AsyncClient) -> None:
    """The giver can't redeem the code, which validations say too; an event of their own with it counts for nobody."""
    await programme(api)
    code = await code_of(api)
    error = await redeem(api, code, customer="mia", amount=1000, expect=400)
    assert (error["key"], error["message"], error["details"]) == (
        "referrer_not_permitted_to_redeem", "voucher cannot be redeemed by referrer", code,
    )  # fmt: skip
    wanted = {"redeemables": [{"object": "voucher", "id": code}], "order": {"amount": 1000}}
    for who, valid in (("mia", False), ("nobody-yet", True)):
        said = await send(api, "POST", "/v1/validations", {**wanted, "customer": {"source_id": who}})
        assert said["valid"] is valid
    await send(api, "POST", "/v1/campaigns/Bring%20a%20friend/disable")
    await programme(api, by="custom_event", name="By event")
    await come(api, "mia", await code_of(api, "mia", "By event"))
    assert await referred(api, "mia") == (0, [])


async def test_what_can_not_convert_counts_for_nobody(api: httpx.AsyncClient) -> None:
    """Another event, a redemption, a code that is off or expired, a rule that says no: kept, and not counted."""
    await programme(api, by="custom_event")
    code = await code_of(api)
    await come(api, "a", code, name="Something Else")
    await redeem(api, code, customer="b", amount=1000)
    await send(api, "POST", f"/v1/vouchers/{code}/disable")
    await come(api, "c", code)
    await send(api, "POST", f"/v1/vouchers/{code}/enable")
    await send(api, "PUT", f"/v1/vouchers/{code}", {"expiration_date": "2020-01-01T00:00:00Z"})
    await come(api, "d", code)
    await send(api, "PUT", f"/v1/vouchers/{code}", {"expiration_date": None})
    rule = {
        "name": "In Oslo", "type": "expression", "context_type": "global",
        "rules": {"1": {"name": "customer.metadata", "property": "city", "conditions": {"$is": ["Oslo"]}, "rules": {}},
                  "logic": "1"},
    }  # fmt: skip
    made = await send(api, "POST", "/v1/validation-rules", rule)
    campaign = (await send(api, "GET", f"/v1/vouchers/{code}"))["campaign_id"]
    named = {"related_object_type": "campaign", "related_object_id": campaign}
    await send(api, "POST", f"/v1/validation-rules/{made['id']}/assignments", named)
    await come(api, "e", code)
    assert await referred(api, "mia") == (0, [])
    await send(api, "POST", "/v1/customers", {"source_id": "f", "metadata": {"city": "Oslo"}})
    await come(api, "f", code)
    await come(api, "b", code)  # redeemed it before, and does not live in Oslo
    assert (await referred(api, "mia"))[0] == 1
    assert (await come(api, "g", "NO-SUCH", expect=404))["resource_type"] == "voucher"
    await loyalty(api)
    assert (await come(api, "g", await join(api, "mia"), expect=404))["key"] == "not_found"
    body = {"event": JOINED, "customer": {"source_id": "g"}, "referral": {"referrer_id": "mia"}}
    assert "'code'" in (await send(api, "POST", "/v1/events", body, 400))["details"]


async def test_levels_reward_at_their_number(api: httpx.AsyncClient) -> None:
    """One level for each friend, one at the second of them: points, then a coupon once."""
    await loyalty(api)
    await coupons(api)
    await programme(api)
    await levels(api, POINTS, {"referees": 2, "reward": {"campaign": COUPONS}})
    card, code = await join(api, "mia"), await code_of(api)
    seen = []
    for friend in ("a", "b", "c"):
        await redeem(api, code, customer=friend, amount=1000)
        held = await send(api, "GET", f"/v1/vouchers?customer=mia&campaign={COUPONS.replace(' ', '%20')}")
        seen.append((await balance(api, card), held["total"]))
    assert seen == [(300, 0), (600, 1), (900, 1)]


@pytest.mark.parametrize("kind", ["LOYALTY_CARD", "GIFT_VOUCHER"])
async def test_a_friend_is_rewarded_on_a_card_that_is_made_for_it(
    api: httpx.AsyncClient, sink: Sink, kind: str
) -> None:
    """`referee_reward` goes on the friend's card, which is published first where there is none; credits as well."""
    await loyalty(api, 50)
    gifts = {"name": "Gifts", "voucher": {"type": "GIFT_VOUCHER", "gift": {"amount": 1000}}}
    await send(api, "POST", "/v1/campaigns", gifts)
    points = kind == "LOYALTY_CARD"
    parent = {"name": LOYALTY if points else "Gifts"}
    made = await programme(api, reward={"related_object_parent": parent, "type": kind, "amount": 25})
    check_answer("GET", "/v1/campaigns/{campaignId}", made)
    assert made["referral_program"]["referee_reward"]["related_object_parent"]["object"] == "CAMPAIGN"
    await redeem(api, await code_of(api), customer="noah", amount=1000)
    [card] = [
        each for each in (await send(api, "GET", "/v1/vouchers?customer=noah"))["vouchers"] if each["type"] == kind
    ]
    assert (card["loyalty_card"] or card["gift"])["balance"] == (75 if points else 1025)
    rewarded = (await sink.wait(1, "customer.rewarded"))[0]["data"]
    check_webhook("customer.rewarded", rewarded)
    assert rewarded["balance"] == ({"points": 25} if points else {"amount": 25})
    assert (rewarded["referral_tier"], rewarded["holder"]["source_id"]) == (None, "noah")
    moved = f"voucher.{'loyalty_card' if points else 'gift'}.transaction.created"
    check_webhook(moved, (await sink.wait(1, moved))[0]["data"])


async def test_a_reward_that_can_not_be_given_is_left_out(api: httpx.AsyncClient) -> None:
    """The friend's redemption stands although the giver's coupon has run out, is off or was deleted."""
    await coupons(api, type="STATIC", vouchers_count=1)
    await programme(api)
    await levels(api, {"reward": {"campaign": COUPONS}})
    code = await code_of(api)
    await redeem(api, code, customer="a", amount=1000)
    await redeem(api, code, customer="b", amount=1000)
    await send(api, "DELETE", "/v1/campaigns/10%20off", expect=202)
    await redeem(api, code, customer="c", amount=1000)
    assert (await referred(api, "mia"))[0] == 3


async def test_two_at_once_count_once(api: httpx.AsyncClient) -> None:
    """Events of one friend with two codes at the same moment are one referral, and reward one giver once."""
    await loyalty(api)
    await programme(api, by="custom_event")
    await levels(api, POINTS)
    cards = [await join(api, who) for who in ("mia", "ada")]
    given = [await code_of(api, who) for who in ("mia", "ada")]
    await asyncio.gather(*(come(api, "noah", code) for code in given * 4))
    assert sum([await balance(api, card) for card in cards]) == 300
    assert await referred(api, "noah") == (0, ["custom_event"])


async def test_two_who_refer_each_other_do_not_wait_for_each_other(api: httpx.AsyncClient) -> None:
    """In two programmes, at the same moment: both locks are taken in one order, so all are answered and counted."""
    await loyalty(api)
    names = [f"Programme {place}" for place in range(6)]
    for name in names:
        await programme(api, by="custom_event", name=name)
        await levels(api, POINTS, campaign=name)
    cards = [await join(api, who) for who in ("mia", "ada")]
    pairs = [("mia", "ada") if place % 2 else ("ada", "mia") for place in range(6)]
    given = [await code_of(api, giver, name) for name, (giver, _) in zip(names, pairs, strict=True)]
    await asyncio.gather(*(come(api, friend, code) for code, (_, friend) in zip(given, pairs, strict=True)))
    assert [await balance(api, card) for card in cards] == [900, 900]


async def test_a_rollback_takes_no_referral_back(api: httpx.AsyncClient) -> None:
    """The code is free again; the friend stays referred, the points stay, and the next redemption counts for nobody."""
    await loyalty(api)
    await programme(api)
    await levels(api, POINTS)
    card, code = await join(api, "mia"), await code_of(api)
    answer = await redeem(api, code, customer="noah", source_id="o-1", amount=1000)
    await send(api, "POST", f"/v1/redemptions/{answer['redemptions'][0]['id']}/rollback")
    await redeem(api, code, customer="noah", amount=1000)
    assert (await referred(api, "mia"))[0] == 1
    assert await balance(api, card) == 300


async def test_a_code_without_a_customer_or_a_giver(api: httpx.AsyncClient) -> None:
    """Nobody's redemption takes the discount and counts for nobody; a code that nobody has can't be redeemed."""
    campaign = await programme(api)
    code = await code_of(api)
    answer = await redeem(api, code, customer=None, amount=1000)
    assert answer["order"]["total_amount"] == 900
    assert (await referred(api, "mia"))[0] == 0
    free: dict[str, Any] = await send(api, "POST", f"/v1/campaigns/{campaign['id']}/vouchers")
    assert (await redeem(api, free["code"], customer="noah", amount=1000, expect=400))["key"] == "not_published"


async def test_who_is_deleted_takes_their_part_along(api: httpx.AsyncClient) -> None:
    """A friend who is deleted still counts; where the giver is deleted, nobody has referred the friend."""
    await programme(api)
    code = await code_of(api)
    for friend in ("a", "b"):
        await redeem(api, code, customer=friend, amount=1000)
    await send(api, "DELETE", "/v1/customers/a", expect=204)
    assert (await referred(api, "mia"))[0] == 2
    await send(api, "POST", "/v1/customers/mia/permanent-deletion")
    assert await referred(api, "b") == (0, [])
