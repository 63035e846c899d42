"""What points can buy beside a coupon: credits, points of another programme, products, and money off an order."""

import asyncio
from typing import Any

import httpx
import pytest

from app.sandbox import redemption_records
from tests.sandbox import shop
from tests.sandbox.programme import LOYALTY, balance, buy, coupon, coupons, join, loyalty, send
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink

REDEMPTION = "/v1/loyalties/members/{memberId}/redemption"


async def test_credits_go_on_the_gift_card_that_there_is(api: httpx.AsyncClient, sink: Sink) -> None:
    """The first purchase publishes a gift card and puts the credits on it, the second puts more on the same."""
    await loyalty(api, points=250)
    reward, card = await shop.gift_credits(api), await join(api)
    sink.got.clear()
    bought = await shop.buy(api, card, reward["id"])
    check_answer("POST", REDEMPTION, bought)
    gift = bought["reward"]["voucher"]
    assert (gift["type"], gift["gift"]["balance"], gift["holder_id"]) == ("GIFT_VOUCHER", 700, bought["customer_id"])
    [completed] = await sink.wait(1, "customer.reward_redemptions.completed")
    assert completed["data"]["balance"]["balance"] == 700
    assert completed["data"]["publication"]["voucher"]["id"] == gift["id"]
    again = await shop.buy(api, card, reward["id"])
    assert (again["reward"]["voucher"]["id"], again["reward"]["voucher"]["gift"]["balance"]) == (gift["id"], 1400)
    await sink.wait(2, "customer.reward_redemptions.completed")
    for each in sink.got:
        check_webhook(each.type, each.body["data"])
    assert "publication" not in sink.of("customer.reward_redemptions.completed")[1]["data"]
    rows = (await send(api, "GET", f"/v1/vouchers/{gift['code']}/transactions"))["data"]
    assert [(row["type"], row["details"]["redemption"]["id"]) for row in rows] == [
        ("CREDITS_ADDITION", again["id"]),
        ("CREDITS_ADDITION", bought["id"]),
    ]
    assert await balance(api, card) == 50


async def test_points_go_on_the_card_of_another_programme(api: httpx.AsyncClient, sink: Sink) -> None:
    """A member of neither joins the other programme; its ledger has its initial points and those of the reward."""
    await loyalty(api, points=250)
    reward, card = await shop.points(api), await join(api)
    sink.got.clear()
    bought = await shop.buy(api, card, reward["id"])
    check_answer("POST", REDEMPTION, bought)
    other = bought["reward"]["voucher"]
    assert (other["campaign"], other["loyalty_card"]["balance"]) == (shop.OTHER, 25)
    await shop.buy(api, card, reward["id"])
    assert (await balance(api, other["code"]), await balance(api, card)) == (45, 50)
    await sink.wait(2, "customer.reward_redemptions.completed")
    for each in sink.got:
        check_webhook(each.type, each.body["data"])
    own = await send(
        api, "POST", "/v1/rewards", {"name": "Own", "parameters": {"campaign": {"id": LOYALTY, "balance": 5}}}
    )
    wanted = {"campaign": LOYALTY, "parameters": {"loyalty": {"points": 1}}}
    refused = await send(api, "POST", f"/v1/rewards/{own['id']}/assignments", wanted, expect=400)
    assert refused["key"] == "invalid_campaign"


async def test_a_product_is_given_and_counted(api: httpx.AsyncClient, sink: Sink) -> None:
    """The redemption has the product and its SKU, the stock goes down, and the reward redemption is pending."""
    await loyalty(api, points=250)
    reward, card = await shop.mug(api, stock=2), await join(api)
    sku = await send(api, "POST", "/v1/products/mug/skus", {"sku": "Blue", "price": 900})
    parameters = {"product": {"id": reward["parameters"]["product"]["id"], "sku_id": sku["id"]}}
    changed = await send(api, "PUT", f"/v1/rewards/{reward['id']}", {"parameters": parameters})
    check_answer("PUT", "/v1/rewards/{rewardId}", changed)
    assert (changed["stock"], changed["redeemed"]) == (2, None)
    sink.got.clear()
    bought = await shop.buy(api, card, reward["id"])
    check_answer("POST", REDEMPTION, bought)
    given = bought["reward"]
    assert (given["product"]["name"], given["sku"]["sku"], given["voucher"]) == ("Mug", "Blue", None)
    now = await send(api, "GET", f"/v1/rewards/{reward['id']}")
    check_answer("GET", "/v1/rewards/{rewardId}", now)
    assert (now["stock"], now["redeemed"]) == (1, 1)
    [pending] = await sink.wait(1, "customer.reward_redemptions.pending")
    assert pending["data"]["reward_redemption"]["state"] == "PENDING"
    for each in sink.got:
        check_webhook(each.type, each.body["data"])
    assert not sink.of("customer.reward_redemptions.completed")


async def test_the_last_product_is_sold_once(api: httpx.AsyncClient) -> None:
    """Of six members who buy the last two at once, two get one and pay; the others keep their points."""
    await loyalty(api, points=100)
    reward = await shop.mug(api, stock=2)
    cards = [await join(api, f"u-{number}") for number in range(6)]
    body = {"reward": {"id": reward["id"]}}
    answers = await asyncio.gather(*(api.post(f"/v1/loyalties/members/{card}/redemption", json=body) for card in cards))
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [400] * 4
    assert {answer.json()["key"] for answer in answers if answer.is_error} == {"reward_out_of_stock"}
    assert sorted([await balance(api, card) for card in cards]) == [0] * 2 + [100] * 4
    now = await send(api, "GET", f"/v1/rewards/{reward['id']}")
    assert (now["stock"], now["redeemed"]) == (0, 2)


async def test_points_pay_for_an_order(api: httpx.AsyncClient) -> None:
    """As in the published samples: whole steps that cover the order, or the points that are named; the order earns."""
    await loyalty(api, points=3000)
    reward, card = await shop.coins(api, exchange="20"), await join(api)
    assert (await shop.buy(api, card, reward["id"], expect=400))["key"] == "missing_order"
    some = await shop.buy(api, card, reward["id"], order={"source_id": "o-1", "amount": 45000}, points=100)
    check_answer("POST", REDEMPTION, some)
    assert (some["amount"], some["order"]["total_amount"], some["order"]["status"]) == (100, 43000, "PAID")
    assert some["order"]["total_applied_discount_amount"] == 2000
    assert list(some["order"]["redemptions"]) == [some["id"]]
    assert await balance(api, card) == 3000 - 100 + 430
    whole = await shop.buy(api, card, reward["id"], order={"source_id": "o-2", "amount": 45000})
    assert (whole["amount"], whole["order"]["total_amount"]) == (2300, 0)
    assert await balance(api, card) == 1030
    rest = await shop.buy(api, card, reward["id"], order={"source_id": "o-3", "amount": 45000, "status": "CREATED"})
    assert (rest["amount"], rest["order"]["total_amount"]) == (1000, 25000)
    more = await shop.buy(api, card, reward["id"], 400, order={"source_id": "o-4", "amount": 1000}, points=31)
    assert more["key"] == "loyalty_card_points_exceeded"
    last = await shop.buy(api, card, reward["id"], order={"source_id": "o-5", "amount": 100}, points=30)
    assert (last["amount"], last["order"]["total_amount"]) == (30, 0)


async def test_a_card_is_one_of_several_redeemables(api: httpx.AsyncClient) -> None:
    """A coupon and points take their parts of one order; the validation says the same before, and changes nothing."""
    await loyalty(api, points=300)
    await coupons(api)
    reward, card, code = await shop.coins(api, exchange=1, ratio=10), await join(api), await coupon(api)
    body: dict[str, Any] = {
        "customer": {"source_id": "u-1"},
        "order": {"source_id": "o-1", "amount": 3000, "status": "CREATED"},
        "redeemables": [
            {"object": "voucher", "id": code},
            {"object": "voucher", "id": card, "reward": {"id": reward["id"], "points": 200}},
        ],
        "session": {"type": "LOCK"},
    }
    checked = await send(api, "POST", "/v1/validations", body)
    check_answer("POST", "/v1/validations", checked)
    assert checked["redeemables"][1]["result"] == {"loyalty_card": {"points": 200}}
    assert checked["order"]["total_discount_amount"] == 300 + 2000
    assert await balance(api, card) == 300
    body["session"] = {"type": "LOCK", "key": checked["session"]["key"]}
    done = await send(api, "POST", "/v1/redemptions", body)
    check_answer("POST", "/v1/redemptions", done)
    assert done["order"]["total_amount"] == 700
    bought = done["redemptions"][1]
    assert (bought["loyalty_card"], bought["reward"]["id"]) == ({"points": 200}, reward["id"])
    assert await balance(api, card) == 100
    back = await send(api, "POST", f"/v1/redemptions/{done['parent_redemption']['id']}/rollbacks")
    assert (back["order"]["total_amount"], await balance(api, card)) == (3000, 300)


async def test_what_a_card_cannot_buy_is_said(api: httpx.AsyncClient) -> None:
    """In a validation: no reward named, somebody else's card, one that there is not, no order, too few points."""
    await loyalty(api, points=50)
    reward, coin, card = await shop.mug(api), await shop.coins(api), await join(api)
    await join(api, "u-2")

    async def key(bought: Any, customer: str = "u-1") -> str:
        redeemable = {"object": "voucher", "id": card, "reward": bought}
        body = {"redeemables": [redeemable], "customer": {"source_id": customer}}
        checked = await send(api, "POST", "/v1/validations", body)
        assert checked["valid"] is False
        return str(checked["redeemables"][0]["result"]["error"]["key"])

    assert await key(None) == "missing_reward"
    assert await key({"id": reward["id"]}, "u-2") == "invalid_customer"
    assert await key({"id": "rew_none"}) == "not_found"
    assert await key({"id": coin["id"]}) == "missing_order"
    assert await key({"id": reward["id"]}) == "loyalty_card_points_exceeded"


async def test_who_buys_need_not_be_named(api: httpx.AsyncClient) -> None:
    """A redemption with a card and no customer is its holder's, and the failed ones leave a record."""
    await loyalty(api, points=100)
    reward, card = await shop.mug(api, stock=5), await join(api)
    body = {"redeemables": [{"object": "voucher", "id": card, "reward": {"id": reward["id"]}}]}
    done = await send(api, "POST", "/v1/redemptions", body)
    check_answer("POST", "/v1/redemptions", done)
    assert done["redemptions"][0]["customer"]["source_id"] == "u-1"
    assert (await send(api, "POST", "/v1/redemptions", body, expect=400))["resource_id"].startswith("rf_")


async def test_a_purchase_of_every_kind_is_all_or_nothing(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after the reward was given and the points were taken: no credits, full stock, all points, no order."""
    await loyalty(api, points=300)
    card = await join(api)
    kinds = [await shop.mug(api), await shop.gift_credits(api), await shop.coins(api)]

    async def cut_off(*_: Any, **__: Any) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(redemption_records, "insert", cut_off)
        for each in kinds:
            await shop.buy(api, card, each["id"], expect=500, order={"source_id": "o-1", "amount": 1000})
    assert await balance(api, card) == 300
    assert (await send(api, "GET", f"/v1/rewards/{kinds[0]['id']}"))["stock"] == 1
    assert (await send(api, "GET", "/v1/vouchers?customer=u-1"))["total"] == 1
    assert (await send(api, "GET", "/v1/orders"))["total"] == 0


async def test_a_card_says_what_its_points_are_worth(api: httpx.AsyncClient) -> None:
    """Qualifications carry points, balance and the ratio of paying with points; the list what is affordable."""
    await loyalty(api, points=100)
    card = await join(api)
    coin, mug = await shop.coins(api, exchange=0.01, ratio="1"), await shop.mug(api, price=101)
    asked = await send(api, "POST", "/v1/qualifications", {"customer": {"source_id": "u-1"}})
    check_answer("POST", "/v1/qualifications", asked)
    [offer] = asked["redeemables"]["data"]
    worth = {"exchange_ratio": 0.01, "points_ratio": 1}
    assert offer["result"] == {"loyalty_card": {"points": 100, "balance": 100, **worth}}
    path = f"/v1/loyalties/members/{card}/rewards"
    listed = await send(api, "GET", path)
    check_answer("GET", "/v1/loyalties/members/{memberId}/rewards", listed)
    assert {each["reward"]["type"] for each in listed["data"]} == {"COIN", "MATERIAL"}
    affordable = await send(api, "GET", f"{path}?affordable_only=true")
    assert [each["reward"]["id"] for each in affordable["data"]] == [coin["id"]]
    await buy(api, "o-1", 100)
    affordable = await send(api, "GET", f"{path}?affordable_only=true")
    assert [each["reward"]["id"] for each in affordable["data"]] == [mug["id"], coin["id"]]
