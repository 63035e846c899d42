"""Rewards: the catalogue, the price in a programme, and points for a coupon."""

import asyncio
from typing import Any

import httpx
import pytest

from app.sandbox import ledger
from tests.sandbox.programme import COUPONS, LOYALTY, balance, coupons, join, loyalty, redeem, send
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import KEYS, Sink

MEMBER = "/v1/loyalties/members/{memberId}"


async def reward(api: httpx.AsyncClient, points: int = 100) -> str:
    """A coupon of the campaign as a reward of the programme at this price; its id."""
    campaign = await coupons(api)
    body = {"name": "10 % off", "parameters": {"campaign": {"id": campaign["id"]}}}
    made = await send(api, "POST", "/v1/rewards", body)
    await send(api, "POST", f"/v1/loyalties/{LOYALTY}/rewards", [assignment(made["id"], points)])
    return str(made["id"])


def assignment(reward_id: str, points: int | None) -> dict[str, Any]:
    return {"reward": reward_id, "parameters": {"loyalty": {"points": points} if points else {}}}


async def buy(
    api: httpx.AsyncClient, card: str, reward_id: str, expect: int = 200, at: str = "members"
) -> dict[str, Any]:
    path = f"/v1/loyalties/{at}/{card}/redemption"
    body = {"reward": {"id": reward_id}, "metadata": {"request_id": "ours-1"}}
    bought: dict[str, Any] = await send(api, "POST", path, body, expect)
    return bought


async def test_points_buy_a_coupon(api: httpx.AsyncClient) -> None:
    """The price goes off the card, the holder gets a code, and the answer names both as published."""
    await loyalty(api, points=150)
    reward_id, card = await reward(api), await join(api)
    bought = await buy(api, card, reward_id)
    check_answer("POST", f"{MEMBER}/redemption", bought)
    assert (bought["amount"], bought["result"], bought["metadata"]) == (100, "SUCCESS", {"request_id": "ours-1"})
    assert bought["voucher"]["loyalty_card"]["balance"] == await balance(api, card) == 50
    assert bought["voucher"]["loyalty_card"]["points"] == 150
    assert bought["voucher"]["redemption"]["redeemed_points"] == 100
    coupon = bought["reward"]["voucher"]
    assert (coupon["campaign"], coupon["holder_id"]) == (COUPONS, bought["customer_id"])
    assert (await redeem(api, coupon["code"], source_id="o-1", amount=1000))["order"]["total_amount"] == 900
    by_campaign = await buy(api, card, reward_id, expect=400, at=f"{LOYALTY}/members")
    assert by_campaign["key"] == "loyalty_card_points_exceeded"


async def test_the_ledger_has_the_purchase(api: httpx.AsyncClient) -> None:
    """One transaction of the type POINTS_REDEMPTION that names redemption and reward, and keeps `total` as it was."""
    await loyalty(api, points=150)
    reward_id, card = await reward(api), await join(api)
    bought = await buy(api, card, reward_id)
    rows = await send(api, "GET", f"/v1/loyalties/members/{card}/transactions")
    check_answer("GET", f"{MEMBER}/transactions", rows)
    [row] = rows["data"]
    assert (row["type"], row["source"]) == ("POINTS_REDEMPTION", None)
    assert row["details"]["redemption"] == {"id": bought["id"]}
    assert row["details"]["reward"] == {"id": reward_id, "name": "10 % off"}
    moved = row["details"]["balance"]
    assert (moved["points"], moved["total"], moved["balance"]) == (-100, 150, 50)
    customer = await send(api, "GET", "/v1/customers/u-1")
    assert customer["summary"]["redemptions"]["loyalty_card"] == {"redeemed_points": 100, "points_to_go": 50}


async def test_a_look_up_finds_the_purchase(api: httpx.AsyncClient) -> None:
    """The list of the customer's redemptions shows the purchase with the metadata that was sent."""
    await loyalty(api, points=150)
    bought = await buy(api, await join(api), await reward(api))
    listed = await send(api, "GET", "/v1/redemptions?customer=u-1&order=-created_at&limit=100")
    check_answer("GET", "/v1/redemptions", listed)
    assert [(row["id"], row["metadata"]) for row in listed["redemptions"]] == [(bought["id"], {"request_id": "ours-1"})]


async def test_points_are_spent_once(api: httpx.AsyncClient) -> None:
    """Ten purchases at once with points for three: three work, the others are refused and leave a failed redemption."""
    await loyalty(api, points=350)
    reward_id, card = await reward(api), await join(api)
    body = {"reward": {"id": reward_id}}
    answers = await asyncio.gather(
        *(api.post(f"/v1/loyalties/members/{card}/redemption", json=body) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [400] * 7
    refused = next(answer.json() for answer in answers if answer.is_error)
    assert (refused["key"], refused["resource_id"][:3]) == ("loyalty_card_points_exceeded", "rf_")
    assert await balance(api, card) == 50
    failed = await send(api, "GET", "/v1/redemptions?result=FAILURE")
    check_answer("GET", "/v1/redemptions", failed)
    assert failed["total"] == 7
    vouchers = await send(api, "GET", "/v1/vouchers?customer=u-1")
    assert sorted(each["type"] for each in vouchers["vouchers"]) == ["DISCOUNT_VOUCHER"] * 3 + ["LOYALTY_CARD"]


async def test_a_purchase_that_breaks_off_leaves_nothing(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, sink: Sink
) -> None:
    """Cut off after the coupon was published and before the points were taken: no coupon, no webhook, all points."""
    await loyalty(api, points=150)
    reward_id, card = await reward(api), await join(api)
    await sink.wait(1, "publication.succeeded")
    told = len(sink.of("publication.succeeded"))

    async def cut_off(*_: Any, **__: Any) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "move", cut_off)
        await buy(api, card, reward_id, expect=500)
    assert await balance(api, card) == 150
    assert (await send(api, "GET", "/v1/vouchers?customer=u-1"))["total"] == 1
    await buy(api, card, reward_id)
    assert len(await sink.wait(told + 1, "publication.succeeded")) == told + 1


async def test_webhooks_tell_of_a_purchase(api: httpx.AsyncClient, sink: Sink) -> None:
    """Publication, redemption, transaction and reward redemption are told of, each as published."""
    await loyalty(api, points=100)
    reward_id, card = await reward(api), await join(api)
    await sink.wait(1, "publication.succeeded")
    sink.got.clear()
    bought = await buy(api, card, reward_id)
    await sink.wait(1, "customer.reward_redemptions.completed")
    kinds = {each.type for each in sink.got}
    assert kinds >= {
        *("voucher.published", "publication.succeeded", "redemption.succeeded"),
        *("voucher.loyalty_card.transaction.created", "customer.reward_redemptions.created"),
    }
    for each in sink.got:
        check_webhook(each.type, each.body["data"])
    [moved] = sink.of("voucher.loyalty_card.transaction.created")
    assert moved["data"]["transaction"]["details"]["balance"]["points"] == -100
    assert moved["data"]["redemption"]["id"] == bought["id"]
    [completed] = sink.of("customer.reward_redemptions.completed")
    assert completed["data"]["publication"]["voucher"]["code"] == bought["reward"]["voucher"]["code"]


async def test_the_catalogue_and_its_prices(api: httpx.AsyncClient) -> None:
    """Rewards and assignments are made and listed as published; a reward is assigned to a programme once."""
    await loyalty(api, points=50)
    campaign = await coupons(api)
    body = {"name": "10 % off", "parameters": {"campaign": {"id": campaign["id"]}}, "metadata": {"a": 1}}
    made = await send(api, "POST", "/v1/rewards", body)
    check_answer("POST", "/v1/rewards", made)
    assert await send(api, "GET", f"/v1/rewards/{made['id']}") == made
    cheap = await send(api, "POST", "/v1/rewards", {**body, "name": "Cheap"})
    path = f"/v1/loyalties/{LOYALTY}/rewards"
    [assigned] = await send(api, "POST", path, [assignment(made["id"], 100)])
    assert assigned["parameters"] == {"loyalty": {"points": 100}}
    await send(api, "POST", path, [assignment(cheap["id"], 50)])
    again = await send(api, "POST", path, [assignment(made["id"], 1)], expect=409)
    assert again["key"] == "duplicate_found"
    assert (await send(api, "POST", path, [assignment(made["id"], None)], expect=400))["key"] == "missing_param"
    listed = await send(api, "GET", path)
    check_answer("GET", "/v1/loyalties/{campaignId}/rewards", listed)
    check_answer("GET", "/v1/rewards", await send(api, "GET", "/v1/rewards"))
    assert {row["reward_id"] for row in listed["data"]} == {made["id"], cheap["id"]}
    card = await join(api)
    offered = await send(api, "GET", f"/v1/loyalties/members/{card}/rewards")
    check_answer("GET", f"{MEMBER}/rewards", offered)
    assert {each["reward"]["id"] for each in offered["data"]} == {made["id"], cheap["id"]}
    affordable = await send(api, "GET", f"/v1/loyalties/members/{card}/rewards?affordable_only=true")
    assert [each["reward"]["name"] for each in affordable["data"]] == ["Cheap"]


async def test_what_cannot_be_bought_is_refused_by_name(api: httpx.AsyncClient) -> None:
    """No reward named, one that there is not, a card that is off or not there, a campaign that is off."""
    await loyalty(api, points=100)
    reward_id, card = await reward(api), await join(api)
    path = f"/v1/loyalties/members/{card}/redemption"
    assert (await send(api, "POST", path, {}, expect=400))["key"] == "missing_reward"
    assert (await buy(api, card, "rew_none", expect=404))["resource_type"] == "reward"
    assert (await buy(api, "NONE", reward_id, expect=404))["resource_type"] == "voucher"
    await send(api, "POST", f"/v1/campaigns/{COUPONS}/disable")
    assert (await buy(api, card, reward_id, expect=400))["key"] == "campaign_not_active"
    await send(api, "POST", f"/v1/campaigns/{COUPONS}/enable")
    await send(api, "POST", f"/v1/vouchers/{card}/disable")
    assert (await buy(api, card, reward_id, expect=400))["key"] == "voucher_disabled"
    assert await balance(api, card) == 100


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # what the SDK says of loyalty v1
async def test_the_official_sdk_reads_a_purchase(api: httpx.AsyncClient) -> None:
    """Voucherify's own Python SDK buys a reward from the sandbox and understands the answer."""
    await loyalty(api, points=100)
    reward_id, card = await reward(api), await join(api)
    amount = await asyncio.to_thread(_buy_by_sdk, str(api.base_url), card, reward_id)
    assert amount == 100


def _buy_by_sdk(url: str, card: str, reward_id: str) -> int:
    voucherify = pytest.importorskip("voucherify")
    configuration = voucherify.Configuration(
        host=url, api_key={"X-App-Id": KEYS["X-App-Id"], "X-App-Token": KEYS["X-App-Token"]}
    )
    with voucherify.ApiClient(configuration) as client:
        body = voucherify.LoyaltiesMembersRedemptionRedeemRequestBody.from_dict({"reward": {"id": reward_id}})
        answer = voucherify.LoyaltiesApi(client).redeem_reward(card, body)
    return int(answer.amount)
