"""Campaigns changed and deleted, vouchers made, changed, listed and deleted one by one."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.sandbox.programme import COUPONS, coupon, coupons, redeem, send
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink

PERCENT = {"type": "PERCENT", "percent_off": 10}


async def standalone(api: httpx.AsyncClient, code: str, **more: Any) -> dict[str, Any]:
    """A code without a campaign, 10 % off unless `more` says otherwise."""
    body = {"type": "DISCOUNT_VOUCHER", "discount": PERCENT, **more}
    made: dict[str, Any] = await send(api, "POST", f"/v1/vouchers/{code}", body)
    return made


async def move_clock(api: httpx.AsyncClient, to: str) -> None:
    await send(api, "POST", "/sandbox/clock", {"set": to})


async def test_null_clears_a_date_and_absence_leaves_it(api: httpx.AsyncClient) -> None:
    """What the request does not name stays; null takes a date away, from the codes that nobody has yet as well."""
    dates: dict[str, Any] = {"start_date": "2020-01-01T00:00:00Z", "expiration_date": "2020-02-01T00:00:00Z"}
    await coupons(api, vouchers_count=1, **dates)
    path = f"/v1/campaigns/{COUPONS}"
    await send(api, "PUT", path, {"description": "spring", "metadata": {"a": 1, "b": 2}})
    changed = await send(api, "PUT", path, {"expiration_date": None, "metadata": {"b": None}})
    assert changed.get("expiration_date") is None
    assert (changed["start_date"], changed["description"]) == ("2020-01-01T00:00:00.000Z", "spring")
    assert changed["metadata"] == {"a": 1}
    [voucher] = (await send(api, "GET", "/v1/vouchers"))["vouchers"]
    assert (voucher["start_date"], voucher["expiration_date"]) == ("2020-01-01T00:00:00.000Z", None)


async def test_a_change_reaches_only_codes_that_nobody_has(api: httpx.AsyncClient) -> None:
    """A published code keeps its discount, a free one gets the campaign's new one; the type of it stays."""
    await coupons(api, vouchers_count=1)
    held = await coupon(api)
    await send(api, "POST", f"/v1/campaigns/{COUPONS}/vouchers/FREE-1")
    await send(api, "PUT", f"/v1/campaigns/{COUPONS}", {"discount": {"type": "PERCENT", "percent_off": 20}})
    off = {
        code: (await send(api, "GET", f"/v1/vouchers/{code}"))["discount"]["percent_off"] for code in (held, "FREE-1")
    }
    assert off == {held: 10, "FREE-1": 20}
    other = {"discount": {"type": "AMOUNT", "amount_off": 100}}
    for path in (f"/v1/campaigns/{COUPONS}", f"/v1/vouchers/{held}"):
        error = await send(api, "PUT", path, other, expect=400)
        assert (error["key"], error["details"]) == (
            "invalid_voucher",
            "It is not possible to change Voucher discount type",
        )


async def test_deleting_a_campaign_is_an_async_action_that_is_done(api: httpx.AsyncClient) -> None:
    """The answer names an action; by then campaign, codes and their redemptions are gone, and the action is DONE."""
    await coupons(api)
    code = await coupon(api)
    redemption = (await redeem(api, code, amount=1000))["redemptions"][0]["id"]
    answer = await send(api, "DELETE", f"/v1/campaigns/{COUPONS}?force=true", expect=202)
    action = await send(api, "GET", f"/v1/async-actions/{answer['async_action_id']}")
    check_answer("GET", "/v1/async-actions/{asyncActionId}", action)
    assert (action["type"], action["status"], action["result"]["done_count"]) == ("CAMPAIGN.VOUCHERS_DELETE", "DONE", 1)
    for path in (f"/v1/campaigns/{COUPONS}", f"/v1/vouchers/{code}", f"/v1/redemptions/{redemption}"):
        await send(api, "GET", path, expect=404)
    listed = await send(api, "GET", "/v1/async-actions")
    check_answer("GET", "/v1/async-actions", listed)
    assert listed["async_actions"][0]["id"] == action["id"]
    await send(api, "GET", "/v1/async-actions/aa_x", expect=404)


async def test_a_campaign_that_a_reward_needs_stays(api: httpx.AsyncClient) -> None:
    """Deleting what a reward gives coupons of is refused, for its buyers would get nothing."""
    campaign = await coupons(api)
    await send(api, "POST", "/v1/rewards", {"name": "r", "parameters": {"campaign": {"id": campaign["id"]}}})
    error = await send(api, "DELETE", f"/v1/campaigns/{campaign['id']}", expect=400)
    assert error["key"] == "resource_in_use"
    await send(api, "GET", f"/v1/campaigns/{campaign['id']}")


async def test_codes_are_added_to_a_campaign(api: httpx.AsyncClient) -> None:
    """One is answered as a voucher, several as an async action; a request may overwrite what the campaign says."""
    await coupons(api)
    path = f"/v1/campaigns/{COUPONS}/vouchers"
    one = await send(api, "POST", path)
    check_answer("POST", "/v1/campaigns/{campaignId}/vouchers", one)
    body = {"redemption": {"quantity": None}, "additional_info": "by hand", "metadata": {"season": "fall"}}
    named = await send(api, "POST", f"{path}/CODE-1", body)
    check_answer("POST", "/v1/campaigns/{campaignId}/vouchers/{code}", named)
    assert (named["code"], named["redemption"]["quantity"], named["additional_info"]) == ("CODE-1", None, "by hand")
    assert (one["redemption"]["quantity"], named["metadata"]) == (1, {"season": "fall"})
    error = await send(api, "POST", f"{path}/CODE-1", expect=409)
    assert error["details"] == "Duplicated voucher exists with id CODE-1"
    many = await send(api, "POST", f"{path}?vouchers_count=3", {"code_config": {"pattern": "X-####"}}, expect=202)
    assert (await send(api, "GET", f"/v1/async-actions/{many['async_action_id']}"))["result"]["done_count"] == 3
    codes = [each["code"] for each in (await send(api, "GET", "/v1/vouchers?order=code"))["vouchers"]]
    assert sum(code.startswith("X-") for code in codes) == 3


async def test_many_codes_are_told_of_together(api: httpx.AsyncClient, sink: Sink) -> None:
    """With the campaign or after it, one webhook says how many codes were made; a single code is told by itself."""
    await coupons(api, vouchers_count=3)
    await send(api, "POST", f"/v1/campaigns/{COUPONS}/vouchers?vouchers_count=2", expect=202)
    await send(api, "POST", f"/v1/campaigns/{COUPONS}/vouchers")
    await sink.wait(1, "voucher.created")
    told = await sink.wait(2, "campaign.vouchers.generation.completed")
    assert sorted(each["data"]["count"] for each in told) == [2, 3]
    for each in told:
        check_webhook("campaign.vouchers.generation.completed", each["data"])
    assert len(sink.of("voucher.created")) == 1


async def test_a_standalone_campaign_takes_vouchers_by_their_own_address(api: httpx.AsyncClient) -> None:
    """`POST /v1/vouchers` adds to it, and to no other campaign; the campaign's address does not."""
    await coupons(api)
    made = await coupons(api, "Generic", type="STANDALONE")
    assert made["type"] == "STANDALONE"
    voucher = await send(api, "POST", "/v1/vouchers", {"campaign": "Generic", "code": "SUMMER"})
    assert (voucher["campaign_id"], voucher["discount"]["percent_off"]) == (made["id"], 10)
    for path, body in (
        ("/v1/vouchers", {"campaign": COUPONS}),
        ("/v1/campaigns/Generic/vouchers", {}),
        ("/v1/campaigns/Generic/vouchers/X", {}),
    ):
        assert (await send(api, "POST", path, body, expect=400))["key"] == "invalid_campaign"


async def test_a_voucher_stands_alone(api: httpx.AsyncClient) -> None:
    """Made with a code or without, it has no campaign, is redeemed, published, changed and deleted."""
    made = await standalone(api, "ALONE", redemption={"quantity": 2}, metadata={"a": 1, "b": 1}, category="New")
    check_answer("POST", "/v1/vouchers/{code}", made)
    assert (made["campaign"], made["campaign_id"], made["category"]) == (None, None, "New")
    drawn = await send(api, "POST", "/v1/vouchers", {"type": "DISCOUNT_VOUCHER", "discount": PERCENT})
    check_answer("POST", "/v1/vouchers", drawn)
    assert len(drawn["code"]) == 8
    assert (await redeem(api, "ALONE", amount=1000))["order"]["total_amount"] == 900
    body = {"voucher": "ALONE", "customer": {"source_id": "u-1"}}
    published = await send(api, "POST", "/v1/publications", body)
    assert published["voucher"]["holder_id"] == published["customer_id"]
    change = {"active": False, "metadata": {"b": None, "c": 3}, "additional_info": "off", "redemption": {"quantity": 9}}
    changed = await send(api, "PUT", "/v1/vouchers/ALONE", change)
    check_answer("PUT", "/v1/vouchers/{code}", changed)
    assert (changed["active"], changed["metadata"], changed["additional_info"]) == (False, {"a": 1, "c": 3}, "off")
    assert changed["redemption"]["quantity"] == 2
    await send(api, "DELETE", "/v1/vouchers/ALONE", expect=204)
    await send(api, "DELETE", "/v1/vouchers/ALONE", expect=404)
    assert (await send(api, "GET", "/v1/redemptions"))["total"] == 0


@pytest.mark.parametrize(
    ("body", "status", "key"),
    [
        ({}, 400, "invalid_payload"),
        ({"type": "LOYALTY_CARD", "loyalty_card": {"points": 1}}, 400, "invalid_voucher"),
        ({"type": "GIFT_VOUCHER", "gift": {}}, 400, "invalid_payload"),
        ({"type": "GIFT_VOUCHER", "gift": {"amount": 1, "effect": "APPLY_TO_ITEMS"}}, 501, "not_emulated"),
        ({"type": "DISCOUNT_VOUCHER", "discount": {**PERCENT, "percent_off_formula": "1"}}, 501, "not_emulated"),
        ({"type": "DISCOUNT_VOUCHER", "discount": PERCENT, "validation_rules": ["val_x"]}, 404, "not_found"),
        ({"type": "DISCOUNT_VOUCHER", "discount": PERCENT, "start_date": "soon"}, 400, "invalid_payload"),
        ({"type": "DISCOUNT_VOUCHER", "discount": PERCENT, "validity_day_of_week": [7]}, 400, "invalid_payload"),
        (
            {"type": "DISCOUNT_VOUCHER", "discount": PERCENT, "validity_hours": {"daily": [{"start_time": "25:00"}]}},
            400,
            "invalid_payload",
        ),
        (
            {
                "type": "DISCOUNT_VOUCHER",
                "discount": PERCENT,
                "validity_timeframe": {"interval": "P2D", "duration": "P1D"},
            },
            400,
            "invalid_payload",
        ),
    ],
)
async def test_a_voucher_that_cannot_be_kept_is_refused(
    api: httpx.AsyncClient, body: dict[str, Any], status: int, key: str
) -> None:
    """What is not valid, or would not be carried out, makes no voucher."""
    assert (await send(api, "POST", "/v1/vouchers/X", body, expect=status))["key"] == key
    await send(api, "GET", "/v1/vouchers/X", expect=404)


async def test_vouchers_are_filtered(api: httpx.AsyncClient) -> None:
    """By campaign, holder, code, id, category and time, each alone and in an order."""
    campaign = await coupons(api, vouchers_count=1)
    held = await coupon(api)
    await send(api, "POST", "/sandbox/clock", {"advance": 3600})
    alone = await standalone(api, "ALONE", category="New")
    earlier = alone["created_at"]
    wanted = {
        f"campaign={quote(COUPONS)}": [held],
        f"campaign_id={campaign['id']}": [held],
        "customer=u-1": [held],
        "code=ALONE": ["ALONE"],
        f"ids={alone['id']}": ["ALONE"],
        f"ids[0]={alone['id']}&ids[1]=v_x": ["ALONE"],
        "category=New": ["ALONE"],
        f"created_at[before]={earlier}": [held],
        f"created_at[after]={earlier}": [],
        "created_at[after]=2020-01-01&order=created_at": [held, "ALONE"],
        "updated_at[after]=2020-01-01": [held],
        "order=-code": sorted((held, "ALONE"), reverse=True),
    }
    for query, codes in wanted.items():
        shown = await send(api, "GET", f"/v1/vouchers?{query}")
        assert [each["code"] for each in shown["vouchers"]] == codes, query
        assert shown["total"] == len(codes)
    error = await send(api, "GET", "/v1/vouchers?created_at[after]=soon", expect=400)
    assert error["key"] == "invalid_query_params"


async def test_campaigns_are_filtered(api: httpx.AsyncClient) -> None:
    """By type, time and state; oldest or newest first."""
    await coupons(api)
    await send(api, "POST", "/sandbox/clock", {"advance": 60})
    made = await send(api, "POST", "/v1/campaigns", {"name": "P", "campaign_type": "PROMOTION"})
    wanted = {
        "campaign_type=PROMOTION": ["P"],
        "order=created_at": [COUPONS, "P"],
        "order=-created_at": ["P", COUPONS],
        f"created_at[before]={made['created_at']}": [COUPONS],
        "campaign_status=DONE": ["P", COUPONS],
        "campaign_status=FAILED": [],
        "is_referral_code=true": [],
        "is_referral_code=false": ["P", COUPONS],
    }
    for query, names in wanted.items():
        shown = await send(api, "GET", f"/v1/campaigns?{query}")
        assert ([each["name"] for each in shown["campaigns"]], shown["total"]) == (names, len(names)), query


@pytest.mark.parametrize(
    ("valid", "now", "key"),
    [
        # 2027-03-01 is a Monday.
        ({"validity_day_of_week": [1]}, "2027-03-01T12:00:00Z", None),
        ({"validity_day_of_week": [0, 2]}, "2027-03-01T12:00:00Z", "voucher_not_active_now"),
        ({"hours": [("12:00", "14:00", None)]}, "2027-03-01T13:59:59Z", None),
        ({"hours": [("12:00", "14:00", None)]}, "2027-03-01T14:00:00Z", "voucher_not_active_now"),
        ({"hours": [("12:00", "14:00", [2])]}, "2027-03-01T13:00:00Z", "voucher_not_active_now"),
        ({"hours": [("12:00", "14:00", [2]), (None, "14:00", [1])]}, "2027-03-01T13:00:00Z", None),
        # Valid for an hour every second day from noon on the first.
        ({"frame": ("P2D", "PT1H")}, "2027-03-03T12:59:00Z", None),
        ({"frame": ("P2D", "PT1H")}, "2027-03-03T13:00:00Z", "voucher_not_active_now"),
        ({"frame": ("P2D", "PT1H")}, "2027-03-02T12:30:00Z", "voucher_not_active_now"),
        # The first day of each month, ten years later too.
        ({"frame": ("P1M", "P1D")}, "2037-05-01T13:00:00Z", None),
        ({"frame": ("P1M", "P1D")}, "2037-05-02T13:00:00Z", "voucher_not_active_now"),
        ({"expiration_date": "2027-03-02T00:00:00Z"}, "2027-03-02T00:00:00Z", "voucher_expired"),
        ({"start_date": "2027-03-02"}, "2027-03-01T23:59:59Z", "voucher_not_active"),
    ],
)
async def test_a_code_is_valid_in_its_time(
    api: httpx.AsyncClient, valid: dict[str, Any], now: str, key: str | None
) -> None:
    """Days, hours and time frames decide with the dates, and the key says which way it failed."""
    doc = {name: value for name, value in valid.items() if name not in {"hours", "frame"}}
    if "hours" in valid:
        names = ("start_time", "expiration_time", "days_of_week")
        windows = [dict(zip(names, window, strict=True)) for window in valid["hours"]]
        doc["validity_hours"] = {
            "daily": [{name: each for name, each in window.items() if each is not None} for window in windows]
        }
    if "frame" in valid:
        interval, duration = valid["frame"]
        doc["validity_timeframe"] = {"interval": interval, "duration": duration}
        doc["start_date"] = "2027-03-01T12:00:00Z"
    await standalone(api, "TIMED", **doc)
    await move_clock(api, now)
    body = {"redeemables": [{"object": "voucher", "id": "TIMED"}], "order": {"amount": 1000}}
    answer = await send(api, "POST", "/v1/validations", body)
    assert answer["valid"] is (key is None)
    if key:
        assert answer["redeemables"][0]["result"]["error"]["key"] == key


async def test_a_code_lives_from_its_publishing(api: httpx.AsyncClient) -> None:
    """With `activity_duration_after_publishing` time runs from the publication, and not beyond the campaign's end."""
    await move_clock(api, "2027-03-01T12:00:00Z")
    await coupons(api, activity_duration_after_publishing="P10D", expiration_date="2027-03-15T00:00:00Z")
    first = await send(api, "GET", f"/v1/vouchers/{await coupon(api)}")
    assert (first["start_date"][:19], first["expiration_date"][:19]) == ("2027-03-01T12:00:00", "2027-03-11T12:00:00")
    await move_clock(api, "2027-03-11T12:00:01Z")
    error = await redeem(api, first["code"], expect=400, amount=1000)
    assert error["key"] == "voucher_expired"
    second = await send(api, "GET", f"/v1/vouchers/{await coupon(api)}")
    assert second["expiration_date"] == "2027-03-15T00:00:00.000Z"


async def test_what_happens_to_vouchers_and_campaigns_is_told(api: httpx.AsyncClient, sink: Sink) -> None:
    """Changes and deletions send webhooks that fit the published schemas."""
    await coupons(api, vouchers_count=1)
    await send(api, "POST", f"/v1/campaigns/{COUPONS}/vouchers/CODE-1")
    await send(api, "PUT", "/v1/vouchers/CODE-1", {"active": False})
    await send(api, "DELETE", "/v1/vouchers/CODE-1", expect=204)
    await send(api, "PUT", f"/v1/campaigns/{COUPONS}", {"description": "x"})
    await send(api, "DELETE", f"/v1/campaigns/{COUPONS}", expect=202)
    kinds = ("voucher.updated", "voucher.deleted", "campaign.updated", "campaign.deleted")
    for kind in kinds:
        [message] = await sink.wait(1, kind)
        check_webhook(kind, message["data"])


async def test_a_code_shows_its_redemptions(api: httpx.AsyncClient) -> None:
    """`GET …/redemption` counts the uses and lists them with those that failed, newest first."""
    await standalone(api, "ALONE", redemption={"quantity": 1})
    await redeem(api, "ALONE", amount=1000)
    await redeem(api, "ALONE", expect=400, amount=1000)
    shown = await send(api, "GET", "/v1/vouchers/ALONE/redemption")
    check_answer("GET", "/v1/vouchers/{code}/redemption", shown)
    assert (shown["quantity"], shown["redeemed_quantity"], shown["total"]) == (1, 1, 2)
    assert [each["result"] for each in shown["redemption_entries"]] == ["FAILURE", "SUCCESS"]


async def test_publishing_by_query(api: httpx.AsyncClient) -> None:
    """`GET /v1/publications/create` does what the POST does, with its campaign as text or as an object."""
    await coupons(api)
    path = "/v1/publications/create"
    first = await send(api, "GET", f"{path}?campaign[name]={quote(COUPONS)}&customer[source_id]=u-1&join_once=true")
    check_answer("GET", "/v1/publications/create", first)
    again = await send(api, "GET", f"{path}?campaign={quote(COUPONS)}&customer[source_id]=u-1&join_once=true")
    assert (first["id"], first["voucher"]["code"]) == (again["id"], again["voucher"]["code"])
    for query, key in {
        f"campaign={quote(COUPONS)}": "invalid_query_params",
        "customer[source_id]=u-1": "missing_vouchers",
        f"campaign[name]={quote(COUPONS)}&campaign[count]=2&customer[source_id]=u-1": "too_many_vouchers_requested",
    }.items():
        assert (await send(api, "GET", f"{path}?{query}", expect=400))["key"] == key


async def test_publications_are_filtered(api: httpx.AsyncClient) -> None:
    """By result, voucher type and referral codes besides the filters by id."""
    await coupons(api)
    await coupon(api)
    for query, count in {
        "result=SUCCESS": 1,
        "result=FAILURE": 0,
        "voucher_type=DISCOUNT_VOUCHER": 1,
        "voucher_type=GIFT_VOUCHER": 0,
        "is_referral_code=false": 1,
        "is_referral_code=true": 0,
        "order=-tracking_id": 1,
        "created_at[before]=2020-01-01": 0,
    }.items():
        assert (await send(api, "GET", f"/v1/publications?{query}"))["total"] == count, query
