"""Referral campaigns, their codes, and who holds them."""

from typing import Any

import httpx
import pytest

from tests.sandbox.programme import coupon, coupons, loyalty, redeem, send
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.referring import BRING, JOINED, code_of, levels, programme, referred
from tests.sandbox.serving import Sink


async def test_a_referral_campaign_is_made_and_changed(api: httpx.AsyncClient, sink: Sink) -> None:
    """It shows how friends convert; a change leaves out what it leaves out; lists tell it from the others."""
    schema = {"related_object": "custom_event", "name": JOINED, "properties": {}}
    defined = await send(api, "POST", "/sandbox/metadata-schemas", schema)
    made = await programme(api)
    check_answer("POST", "/v1/campaigns", made)
    assert made["referral_program"] == {"conversion_event_type": "redemption"}
    assert (made["campaign_type"], made["voucher"]["is_referral_code"], made["voucher"]["type"]) == (
        "REFERRAL_PROGRAM", True, "DISCOUNT_VOUCHER",
    )  # fmt: skip
    by_event = {"conversion_event_type": "custom_event", "custom_event": {"id": defined["id"]}}
    changed = await send(api, "PUT", f"/v1/campaigns/{made['id']}", {"referral_program": by_event})
    check_answer("PUT", "/v1/campaigns/{campaignId}", changed)
    assert changed["referral_program"]["custom_event"] == {"id": defined["id"], "name": JOINED}
    other = {"discount": {"type": "PERCENT", "percent_off": 20}}
    changed = await send(api, "PUT", f"/v1/campaigns/{made['id']}", other)
    assert changed["referral_program"]["custom_event"]["name"] == JOINED
    assert changed["voucher"]["discount"]["percent_off"] == 20
    for event in ("campaign.created", "campaign.updated"):
        check_webhook(event, (await sink.wait(1, event))[0]["data"])
    await coupons(api)
    await coupon(api)
    code = await code_of(api)
    for path, key, name in (("campaigns", "name", BRING), ("publications", "customer_id", None)):
        rows = (await send(api, "GET", f"/v1/{path}?is_referral_code=true"))[path]
        assert len(rows) == 1
        assert name in {None, rows[0][key]}
    [listed] = (await send(api, "GET", "/v1/publications?is_referral_code=true"))["publications"]
    assert (listed["voucher"]["code"], listed["voucher"]["is_referral_code"]) == (code, True)
    assert len((await send(api, "GET", "/v1/campaigns?is_referral_code=false"))["campaigns"]) == 1


async def test_the_type_follows_from_what_is_said(api: httpx.AsyncClient) -> None:
    """Without `campaign_type` the words of a referral campaign make it one."""
    voucher = {"type": "DISCOUNT_VOUCHER", "discount": {"type": "AMOUNT", "amount_off": 100}}
    for name, more in (("a", {"referral_program": {}}), ("b", {"voucher": {**voucher, "is_referral_code": True}})):
        made = await send(api, "POST", "/v1/campaigns", {"name": name, "voucher": voucher, **more})
        assert made["campaign_type"] == "REFERRAL_PROGRAM"
        assert made["referral_program"] == {"conversion_event_type": "redemption"}


@pytest.mark.parametrize(
    ("changes", "status", "key"),
    [
        ({"voucher": {"type": "DISCOUNT_VOUCHER"}}, 400, "invalid_campaign"),
        ({"voucher": {"type": "LOYALTY_CARD"}}, 400, "invalid_campaign"),
        ({"referral_program": {"conversion_event_type": "visit"}}, 400, "invalid_payload"),
        ({"referral_program": {"conversion_event_type": "custom_event"}}, 400, "invalid_payload"),
        (
            {"referral_program": {"conversion_event_type": "custom_event", "custom_event": {"id": "ms_x"}}},
            404,
            "not_found",
        ),
        ({"referral_program": {"referee_reward": {"type": "LOYALTY_CARD", "amount": 5}}}, 400, "invalid_payload"),
        (
            {"referral_program": {"referee_reward": {"type": "GIFT_VOUCHER", "amount": 5,
                                                     "related_object_parent": {"name": "Loyalty"}}}},
            404,
            "not_found",
        ),
    ],
)  # fmt: skip
async def test_a_campaign_that_is_not_one_is_refused(
    api: httpx.AsyncClient, changes: dict[str, Any], status: int, key: str
) -> None:
    """No discount, no such event, a reward without its campaign or of another kind: each has its key."""
    await loyalty(api)
    body = {
        "name": BRING,
        "campaign_type": "REFERRAL_PROGRAM",
        "voucher": {"type": "DISCOUNT_VOUCHER", "discount": {"type": "PERCENT", "percent_off": 10}},
        **changes,
    }
    assert (await send(api, "POST", "/v1/campaigns", body, status))["key"] == key


async def test_levels_stay_in_the_order_in_which_they_are_stated(api: httpx.AsyncClient) -> None:
    """Also those of one call, which are of one moment, and in a new order when they are stated in one."""
    await loyalty(api)
    await programme(api)
    tiers = [{"name": f"L{n}", "reward": {"campaign": "Loyalty", "points": 5}} for n in range(8)]
    for wanted in (tiers, tiers[::-1]):
        assert [each["name"] for each in await levels(api, *wanted)] == [each["name"] for each in wanted]


async def test_levels_are_stated_as_a_whole(api: httpx.AsyncClient) -> None:
    """What is not named goes, what has its name stays the same level; a wrong one is refused with its place."""
    await loyalty(api)
    await programme(api)
    points = {"campaign": "Loyalty", "points": 5}
    made = await levels(api, {"reward": points}, {"referees": 3, "reward": points})
    [first] = [each for each in made if each["name"] == "Level 1"]
    [again] = await levels(api, {"reward": {**points, "points": 7}})
    assert (again["id"], again["reward"]["points"]) == (first["id"], 7)
    [shown] = (await send(api, "GET", "/sandbox/referral-tiers?campaign=Bring%20a%20friend"))["data"]
    assert shown == again
    for tier, status in (
        ({"name": "x"}, 400),
        ({"name": "x", "reward": {"campaign": "Loyalty"}}, 400),
        ({"name": "x", "reward": {"campaign": "No such", "points": 1}}, 404),
        ({"name": "x", "reward": {"campaign": BRING}}, 400),
        ({"name": "x", "referees": 0, "reward": points}, 400),
    ):
        body = {"campaign": BRING, "tiers": [tier]}
        await send(api, "POST", "/sandbox/referral-tiers", body, status)
    twice = {"campaign": BRING, "tiers": [{"name": "x", "reward": points}] * 2}
    await send(api, "POST", "/sandbox/referral-tiers", twice, 400)
    await send(api, "POST", "/sandbox/referral-tiers", {"campaign": "Loyalty", "tiers": []}, 404)


async def test_friends_are_made_holders_of_a_code(api: httpx.AsyncClient, sink: Sink) -> None:
    """They are upserted and listed beside the referrer, newest first, and taken away; nobody counts as referred."""
    campaign = await programme(api)
    code = await code_of(api)
    path = f"/v1/referrals/members/{code}/holders"
    body = {"holders": [{"source_id": "z", "name": "Zoe"}, {"source_id": "b"}], "metadata": {"why": "fair"}}
    added = await send(api, "POST", path, body)
    check_answer("POST", "/v1/referrals/members/{memberId}/holders", added)
    zoe = await send(api, "GET", "/v1/customers/z")
    assert (zoe["name"], added["holders"][0]["customer_id"]) == ("Zoe", zoe["id"])
    assert {(each["holder_role"], each["metadata"]["why"]) for each in added["holders"]} == {("REFEREE", "fair")}
    longer = f"/v1/referrals/{campaign['id']}/members/{code}/holders"
    listed = await send(api, "GET", longer)
    check_answer("GET", "/v1/referrals/{campaignId}/members/{memberId}/holders", listed)
    assert [each["holder_role"] for each in listed["data"]] == ["REFEREE", "REFEREE", "REFERRER"]
    page = await send(api, "GET", f"{path}?limit=2&order=id")
    assert (page["has_more"], page["total"], page["data"][0]["holder_role"]) == (True, 3, "REFERRER")
    rest = await send(api, "GET", f"{path}?order=id&starting_after_id={page['more_starting_after']}")
    assert page["data"] + rest["data"] == listed["data"][::-1]
    await send(api, "DELETE", f"{longer}/{added['holders'][0]['id']}", expect=204)
    await send(api, "DELETE", f"{path}/{added['holders'][0]['id']}", expect=404)
    refused = await send(api, "DELETE", f"{path}/{listed['data'][2]['id']}", expect=403)
    assert (refused["key"], refused["details"]) == ("forbidden", "You can not remove Referrer assignment")
    assert (await send(api, "GET", path))["total"] == 2
    assert await referred(api, "mia") == (0, [])
    for change, count in (("created", 2), ("deleted", 1)):
        for each in await sink.wait(count, f"customer.holder.assignment.{change}"):
            check_webhook(f"customer.holder.assignment.{change}", each["data"])
    await send(api, "GET", f"{path}?filters[holder_role][conditions][$is]=REFEREE", expect=501)


async def test_holders_that_can_not_be_are_refused(api: httpx.AsyncClient) -> None:
    """All or none: who has the code, who is named twice, a code that nobody has, a wrong list, a wrong address."""
    campaign = await programme(api)
    await loyalty(api)
    code = await code_of(api)
    path = f"/v1/referrals/members/{code}/holders"
    for holders, status, key in (
        ([{"source_id": "new"}, {"source_id": "mia"}], 409, "holder_assignement_duplication"),
        ([{"source_id": "new"}, {"source_id": "new"}], 409, "duplicate_found"),
        ([], 400, "invalid_payload"),
        ([{"name": "nobody"}], 400, "invalid_payload"),
        ([{"source_id": str(place)} for place in range(101)], 400, "invalid_payload"),
        ("mia", 400, "invalid_payload"),
    ):
        assert (await send(api, "POST", path, {"holders": holders}, status))["key"] == key
    await send(api, "POST", path, {}, 400)
    await send(api, "GET", "/v1/customers/new", expect=404)
    await send(api, "POST", path, {"holders": [{"source_id": "noah"}]})
    again = await send(api, "POST", path, {"holders": [{"source_id": "noah"}]}, 409)
    assert again["message"] == "Customer is already assigned to given redeemable"
    free = await send(api, "POST", f"/v1/campaigns/{campaign['id']}/vouchers")
    unpublished = f"/v1/referrals/members/{free['code']}/holders"
    assert (await send(api, "POST", unpublished, {"holders": [{"source_id": "x"}]}, 400))["key"] == "not_published"
    for address in ("members/NO-SUCH/holders", f"camp_x/members/{code}/holders", f"Loyalty/members/{code}/holders"):
        await send(api, "GET", f"/v1/referrals/{address}", expect=404)


async def test_the_wallet_shows_codes_to_give_and_to_use(api: httpx.AsyncClient) -> None:
    """To the referrer as REFERRER, to a friend as REFEREE; only the friend is offered the code."""
    await programme(api)
    code = await code_of(api)
    await send(api, "POST", f"/v1/referrals/members/{code}/holders", {"holders": [{"source_id": "noah"}]})
    roles = {}
    for who in ("mia", "noah"):
        wallet = await send(api, "GET", f"/v1/customers/{who}/redeemables")
        check_answer("GET", "/v1/customers/{customerId}/redeemables", wallet)
        [shown] = wallet["data"]
        voucher = shown["redeemable"]["voucher"]
        roles[who] = (shown["holder_role"], voucher["code"], voucher["is_referral_code"])
        offered = {"customer": {"source_id": who}, "scenario": "CUSTOMER_WALLET", "order": {"amount": 1000}}
        found = await send(api, "POST", "/v1/qualifications", offered)
        assert [each["id"] for each in found["redeemables"]["data"]] == ([code] if who == "noah" else [])
    assert roles == {"mia": ("REFERRER", code, True), "noah": ("REFEREE", code, True)}
    await redeem(api, code, customer="noah", amount=1000)
    assert await referred(api, "mia") == (1, [])
    assert (await send(api, "GET", "/v1/customers/noah/redeemables"))["total"] == 1
