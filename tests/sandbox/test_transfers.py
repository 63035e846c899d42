"""Points that go from card to card, the history of members and programmes, and estimates."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.sandbox.programme import (
    LOYALTY,
    adjust,
    balance,
    buckets,
    buy,
    event,
    join,
    loyalty,
    proportional,
    rule,
    send,
    travel,
)
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink

MONTH = {"period_type": "MONTH", "period_value": 1}


def to(card: str) -> str:
    return f"/v1/loyalties/{LOYALTY}/members/{card}/transfers"


async def test_points_go_from_card_to_card(api: httpx.AsyncClient, sink: Sink) -> None:
    """Two cards give, soonest-expiring first; what comes has the time of new points; pairs of transactions name each
    other, and nothing is made or lost.
    """
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, points=10, expires=MONTH)
    cards = [await join(api, f"u-{place}") for place in (1, 2, 3)]
    await travel(api, "2026-01-20T12:00:00Z")
    await adjust(api, cards[1], 5)
    body = [
        {"code": cards[1], "points": 12, "reason": "family", "source_id": "t-1"},
        {"code": cards[2], "points": 3},
    ]
    answer = await send(api, "POST", to(cards[0]), body)
    # By the schema `active` is text and the other two are never null; the sample beside it has them as we do.
    by_schema = {**answer, "active": "true", "validity_timeframe": {}, "validity_day_of_week": []}
    check_answer("POST", "/v1/loyalties/{campaignId}/members/{memberId}/transfers", by_schema)
    assert (answer["code"], answer["loyalty_card"]["balance"], answer["loyalty_card"]["points"]) == (cards[0], 25, 25)
    assert [await balance(api, card) for card in cards] == [25, 3, 7]
    assert await buckets(api, cards[0]) == {"2026-02-10": 10, "2026-02-20": 15}
    assert await buckets(api, cards[1]) == {"2026-02-10": 0, "2026-02-20": 3}
    given = (await send(api, "GET", f"/v1/loyalties/members/{cards[1]}"))["loyalty_card"]
    assert (given["points"], given["subtracted_points"]) == (15, 12)
    listed = await send(api, "GET", f"/v1/loyalties/{LOYALTY}/transactions?limit=4")
    check_answer("GET", "/v1/loyalties/{campaignId}/transactions", listed)
    second_in, second_out, first_in, first_out = listed["data"]
    assert (first_out["type"], first_in["type"]) == ("POINTS_TRANSFER_OUT", "POINTS_TRANSFER_IN")
    assert (first_out["reason"], first_in["source_id"]) == ("family", "t-1")
    assert first_out["details"]["balance"]["total"] == 15
    for out, into in ((first_out, first_in), (second_out, second_in)):
        assert (out["related_transaction_id"], into["related_transaction_id"]) == (into["id"], out["id"])
        assert out["details"]["destination_voucher"]["code"] == cards[0]
        assert out["details"]["balance"]["points"] == -into["details"]["balance"]["points"]
    await sink.wait(5, "voucher.loyalty_card.transaction.created")
    for data in [each["data"] for each in sink.of("voucher.loyalty_card.transaction.created")[1:]]:
        check_webhook("voucher.loyalty_card.transaction.created", data)
        assert data["destination_voucher"]["code"] == cards[0]


async def test_points_go_to_another_programme(api: httpx.AsyncClient) -> None:
    """The rules of the programme they come to say when they expire."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, expires=MONTH)
    other = {"name": "Other", "voucher": {"type": "LOYALTY_CARD", "loyalty_card": {"points": 9}}}
    await send(api, "POST", "/v1/loyalties", other)
    source = await send(api, "POST", "/v1/loyalties/Other/members", {"customer": "u-1"})
    card = await join(api)
    await send(api, "POST", to(card), [{"code": source["code"], "points": 9}])
    assert await buckets(api, card) == {"2026-02-10": 9}
    back = {"code": card, "points": 4}
    await send(api, "POST", f"/v1/loyalties/Other/members/{source['code']}/transfers", [back])
    await travel(api, "2026-03-01T00:00:00Z")
    shown = await send(api, "GET", f"/v1/loyalties/members/{source['code']}")
    assert (await balance(api, card), shown["loyalty_card"]["balance"]) == (0, 4)


@pytest.mark.parametrize(
    ("points", "key"),
    [([11], "loyalty_card_points_exceeded"), ([6, 5], "loyalty_card_points_exceeded"), ([0], "invalid_payload")],
)
async def test_a_transfer_is_done_whole_or_not_at_all(api: httpx.AsyncClient, points: list[int], key: str) -> None:
    """More than there is, by one part or by all together, moves nothing."""
    await loyalty(api, points=10)
    source, target = await join(api), await join(api, "u-2")
    error = await send(api, "POST", to(target), [{"code": source, "points": each} for each in points], expect=400)
    assert error["key"] == key
    assert (await balance(api, source), await balance(api, target)) == (10, 10)


async def test_a_card_gives_to_others_only(api: httpx.AsyncClient) -> None:
    """Not to itself, not from what is no card, not from a card of nobody."""
    await loyalty(api, points=10)
    card = await join(api)
    await send(api, "POST", to(card), [{"code": card, "points": 1}], expect=400)
    await send(api, "POST", to(card), [{"code": "none", "points": 1}], expect=404)
    free = {"type": "LOYALTY_CARD", "loyalty_card": {"points": 5}, "code_config": {"pattern": "FREE-1"}}
    await send(api, "POST", "/v1/loyalties", {"name": "p", "vouchers_count": 1, "voucher": free})
    error = await send(api, "POST", to(card), [{"code": "FREE-1", "points": 1}], expect=400)
    assert error["key"] == "invalid_voucher"


async def test_transfers_that_cross_each_other_lose_nothing(api: httpx.AsyncClient) -> None:
    """Both ways at once, many times: no two wait for each other, and the sum stays."""
    await loyalty(api, points=100)
    cards = [await join(api, f"u-{place}") for place in (1, 2)]
    answers = await asyncio.gather(
        *(
            api.post(to(cards[place % 2]), json=[{"code": cards[1 - place % 2], "points": 1 + place % 3}])
            for place in range(20)
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    assert sum([await balance(api, card) for card in cards]) == 200


async def test_a_member_has_an_activity(api: httpx.AsyncClient) -> None:
    """What happened to the card: joined, earned, tier; nothing of other programmes; by a cursor."""
    await loyalty(api)
    await send(api, "POST", "/v1/loyalties", {"name": "Other", "voucher": {"type": "LOYALTY_CARD"}})
    await send(api, "POST", f"/v1/loyalties/{LOYALTY}/tiers", [{"name": "Base", "points": {"from": 0}}])
    card = await join(api)
    await send(api, "POST", "/v1/loyalties/Other/members", {"customer": "u-1"})
    await buy(api, "o-1", 1000)
    path = f"/v1/loyalties/members/{card}/activity"
    whole = await send(api, "GET", path)
    assert [row["type"] for row in whole["data"]] == [
        "customer.rewarded.loyalty_points",
        "customer.loyalty.tier.joined",
        "customer.publication.succeeded",
    ]
    check_answer("GET", "/v1/loyalties/members/{memberId}/activity", whole)
    first = await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members/{card}/activity?limit=2")
    rest = await send(api, "GET", f"{path}?limit=2&starting_after_id={first['more_starting_after']}")
    assert [*first["data"], *rest["data"]] == whole["data"]
    error = await send(api, "GET", "/v1/loyalties/members/none/activity", expect=404)
    assert error["resource_type"] == "voucher"


async def test_an_order_is_estimated(api: httpx.AsyncClient) -> None:
    """Like it would earn, rules for paid orders only, for the tier of the member; and nothing is stored by it."""
    await loyalty(api)
    double = await rule(api, "order.paid", proportional("amount", 100, 1))
    await rule(api, "visit", {"type": "FIXED", "points": 1000})
    mapping = {double["id"]: {"type": "MULTIPLY", "multiplier": 3}}
    tier = {"name": "Base", "points": {"from": 0}, "earning_rules": mapping}
    await send(api, "POST", f"/v1/loyalties/{LOYALTY}/tiers", [tier])
    path = f"/v1/loyalties/{LOYALTY}/qualifications"
    body: dict[str, Any] = {"customer": {"source_id": "u-1"}, "order": {"amount": 1000, "source_id": "o-1"}}
    error = await send(api, "POST", path, body, expect=400)
    assert error["key"] == "campaign_not_allow_auto_join"
    card = await join(api)
    answer = await send(api, "POST", path, body)
    check_answer("POST", "/v1/loyalties/{campaignId}/qualifications", answer)
    assert (answer["points_estimation"], answer["campaign"]["name"]) == (40, LOYALTY)
    await send(api, "GET", "/v1/orders/o-1", expect=404)
    await buy(api, "o-1", 500)
    assert await balance(api, card) == 20
    stored = {**body, "order": {"source_id": "o-1"}}
    assert (await send(api, "POST", path, stored))["points_estimation"] == 20
    await send(api, "POST", path, {"customer": {}}, expect=400)
    await event(api, "visit")
    assert await balance(api, card) == 1020
    await send(api, "POST", f"/v1/vouchers/{card}/disable")
    assert (await send(api, "POST", path, body, expect=400))["key"] == "loyalty_card_not_active"
    await send(api, "POST", f"/v1/campaigns/{LOYALTY}/disable")
    assert (await send(api, "POST", path, body, expect=400))["key"] == "campaign_not_active"


async def test_an_estimate_follows_validation_rules(api: httpx.AsyncClient) -> None:
    """A rule that would not earn adds nothing: by the order, and by what is said of the customer now."""
    await loyalty(api)
    large = {"1": {"name": "order.amount", "conditions": {"$more_than": [900]}}, "logic": "1"}
    gold = {"1": {"name": "customer.metadata", "property": "level", "conditions": {"$is": ["gold"]}}, "logic": "1"}
    for number, rules in enumerate((large, gold)):
        made = await send(api, "POST", "/v1/validation-rules", {"name": str(number), "rules": rules})
        gives = {"type": "FIXED", "points": 100 * (number + 1)}
        await rule(api, "order.paid", gives, validation_rule_id=made["id"])
    await join(api)
    for amount, level, points in ((1000, "gold", 310), (1000, "none", 110), (800, "gold", 208)):
        who = {"source_id": "u-1", "metadata": {"level": level}}
        body = {"customer": who, "order": {"amount": amount}}
        answer = await send(api, "POST", f"/v1/loyalties/{LOYALTY}/qualifications", body)
        assert answer["points_estimation"] == points, body
