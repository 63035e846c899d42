"""Segments: who belongs, who enters and leaves, and what that earns."""

import itertools
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.programme import LOYALTY, balance, buy, coupon, coupons, join, loyalty, redeem, rule, send
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink

ENTERED, LEFT = "customer.segment.entered", "customer.segment.left"


async def segment(api: httpx.AsyncClient, filters: dict[str, Any], kind: str = "auto-update", name: str = "S") -> str:
    body = {"name": name, "type": kind, "filter": {"junction": "and", **filters}}
    return str((await send(api, "POST", "/v1/segments", body))["id"])


def gold() -> dict[str, Any]:
    return {"metadata.tier": {"conditions": {"$is": ["gold"]}}}


async def customer(api: httpx.AsyncClient, who: str = "u-1", **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = await send(api, "POST", "/v1/customers", {"source_id": who, **fields})
    return made


async def names_of(api: httpx.AsyncClient, who: str = "u-1") -> list[str]:
    return [each["name"] for each in (await send(api, "GET", f"/v1/customers/{who}/segments"))["data"]]


async def test_answers_fit_the_published_schemas(api: httpx.AsyncClient) -> None:
    """Each kind made, read and listed, and a customer's own."""
    made = await customer(api, metadata={"tier": "gold"})
    bodies: list[dict[str, Any]] = [
        {"name": "List", "type": "static", "customers": [made["id"]]},
        {"name": "Active", "type": "auto-update", "filter": {"junction": "and", **gold()}},
        {"name": "Passive", "filter": {"junction": "or", **gold()}},
    ]
    kinds = []
    for body in bodies:
        answer = await send(api, "POST", "/v1/segments", body)
        check_answer("POST", "/v1/segments", answer)
        one = await send(api, "GET", f"/v1/segments/{answer['id']}")
        check_answer("GET", "/v1/segments/{segmentId}", one)
        assert one == answer
        kinds.append((answer["type"], answer["filter"]))
    assert kinds == [
        ("static", None),
        *((kind, each["filter"]) for kind, each in zip(("auto-update", "passive"), bodies[1:], strict=True)),
    ]
    listed = await send(api, "GET", "/v1/segments")
    check_answer("GET", "/v1/segments", listed)
    assert [each["name"] for each in listed["data"]] == ["Passive", "Active", "List"]
    mine = await send(api, "GET", "/v1/customers/u-1/segments")
    check_answer("GET", "/v1/customers/{customerId}/segments", mine)
    assert [each["name"] for each in mine["data"]] == ["List", "Active", "Passive"]
    await send(api, "DELETE", f"/v1/segments/{listed['data'][0]['id']}", expect=204)
    error = await send(api, "GET", f"/v1/segments/{listed['data'][0]['id']}", expect=404)
    assert error["resource_type"] == "segment"
    assert await names_of(api) == ["List", "Active"]


async def test_the_list_is_filtered_and_paged_by_filters(api: httpx.AsyncClient) -> None:
    """The documented way to the next page: `filters[created_at][conditions][$before]`; and by type and name."""
    for number, kind in enumerate(("passive", "auto-update", "passive")):
        await send(api, "POST", "/sandbox/clock", {"set": f"2027-01-0{number + 1}T00:00:00Z"})
        await segment(api, gold(), kind, f"S{number}")

    async def names(query: str) -> list[str]:
        return [each["name"] for each in (await send(api, "GET", f"/v1/segments?{query}"))["data"]]

    assert await names("limit=2") == ["S2", "S1"]
    assert await names("filters[created_at][conditions][$before]=2027-01-02T00:00:00.000Z") == ["S0"]
    assert await names("filters%5Btype%5D%5Bconditions%5D%5B%24in%5D%5B0%5D=passive&order=created_at") == ["S0", "S2"]
    both = "filters[name][conditions][$is]=S0&filters[type][conditions][$is]=auto-update"
    assert await names(both) == []
    assert await names(f"{both}&filters[junction]=or") == ["S1", "S0"]
    await send(api, "GET", "/v1/segments?filters[filter][conditions][$is]=x", expect=400)
    await send(api, "GET", "/v1/segments?filters[created_at][conditions][$before]=soon", expect=400)


async def test_entering_and_leaving_are_told(api: httpx.AsyncClient, sink: Sink) -> None:
    """Once each, with the customer as he is then, to webhooks and in the activity; staying in is not told."""
    one = await segment(api, gold(), name="Gold")
    await customer(api)
    await customer(api, metadata={"tier": "gold"})
    await customer(api, phone="+48")
    await customer(api, metadata={"tier": None})
    [entered] = await sink.wait(1, ENTERED)
    [left] = await sink.wait(1, LEFT)
    for body in (entered, left):
        check_webhook(body["event"]["type"], body["data"])
        assert body["data"]["segment"] == {"id": one, "name": "Gold", "object": "segment"}
    assert entered["source"]["object"] == "distribution"
    assert (entered["data"]["customer"]["metadata"], left["data"]["customer"]["metadata"]) == ({"tier": "gold"}, {})
    rows = (await send(api, "GET", "/v1/customers/u-1/activity?category=EFFECT"))["data"]
    told = [row["type"] for row in rows if ".segment." in row["type"]]
    assert told == [LEFT, ENTERED]
    assert len(sink.of(ENTERED)) == len(sink.of(LEFT)) == 1


@given(st.lists(st.sampled_from(["gold", "silver", None]), min_size=1, max_size=8))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
async def test_nobody_enters_twice_without_leaving(api: httpx.AsyncClient, tiers: list[str | None]) -> None:
    """Law: entering and leaving are told in turns, and the last of them says whether the customer is in it now."""
    await send(api, "POST", "/sandbox/reset")
    await segment(api, gold())
    for tier in tiers:
        await customer(api, metadata={"tier": tier})
    rows = (await send(api, "GET", "/v1/customers/u-1/activity?limit=100&order=created_at"))["data"]
    told = [row["type"] for row in rows if ".segment." in row["type"]]
    assert told == list(itertools.islice(itertools.cycle((ENTERED, LEFT)), len(told)))
    assert await names_of(api) == (["S"] if told[-1:] == [ENTERED] else [])


async def test_passive_and_static_segments_are_silent(api: httpx.AsyncClient, sink: Sink) -> None:
    """They have their customers, and nobody is told."""
    made = await customer(api)
    await segment(api, gold(), "passive", "Passive")
    await segment(api, {"name": {"conditions": {"$is": ["Eve"]}}}, name="Active")
    await send(api, "POST", "/v1/segments", {"name": "List", "customers": [made["id"]]})
    await customer(api, metadata={"tier": "gold"})
    assert await names_of(api) == ["Passive", "List"]
    await sink.wait(1, "customer.updated")
    assert not sink.of(ENTERED)


async def test_only_entering_while_active_earns(api: httpx.AsyncClient) -> None:
    """The rule makes a passive segment active; who is in it gets nothing, who enters gets points, every time."""
    await loyalty(api)
    one = await segment(api, gold(), "passive")
    await customer(api, metadata={"tier": "gold"})
    await rule(api, ENTERED, {"type": "FIXED", "points": 50}, segment={"id": one})
    assert (await send(api, "GET", f"/v1/segments/{one}"))["type"] == "auto-update"
    before, later = await join(api), await join(api, "u-2")
    assert (await balance(api, before), await balance(api, later)) == (0, 0)
    for tier, points in (("gold", 50), ("gold", 50), ("silver", 50), ("gold", 100)):
        await customer(api, "u-2", metadata={"tier": tier})
        assert await balance(api, later) == points
    assert await balance(api, before) == 0


async def test_what_an_entry_earns_names_the_segment(api: httpx.AsyncClient, sink: Sink) -> None:
    """In the rule, the transaction and the webhooks; all as published."""
    await loyalty(api, auto_join=True)
    one = await segment(api, gold(), name="Gold")
    made = await rule(api, ENTERED, {"type": "FIXED", "points": 50}, segment={"id": one})
    assert (made["event"], made["segment"], "custom_event" in made) == (ENTERED, {"id": one}, False)
    path = f"/v1/loyalties/{LOYALTY}/earning-rules"
    check_answer("GET", "/v1/loyalties/{campaignId}/earning-rules", await send(api, "GET", path))
    await customer(api, metadata={"tier": "gold"})
    [card] = (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members"))["vouchers"]
    rows = await send(api, "GET", f"/v1/loyalties/members/{card['code']}/transactions")
    check_answer("GET", "/v1/loyalties/members/{memberId}/transactions", rows)
    assert rows["data"][0]["details"]["segment"] == {"id": one, "name": "Gold"}
    [rewarded, _] = await sink.wait(2, "customer.rewarded.loyalty_points")
    [moved] = await sink.wait(1, "voucher.loyalty_card.transaction.created")
    assert rewarded["data"]["event"]["type"] == ENTERED
    assert moved["data"]["segment"] == {"id": one, "name": "Gold", "object": "segment"}
    for body in (rewarded, moved):
        check_webhook(body["event"]["type"], body["data"])


async def test_points_lead_into_the_next_segment(api: httpx.AsyncClient, sink: Sink) -> None:
    """Entering one earns points, the points lead into another, within one request."""
    await loyalty(api)
    one = await segment(api, gold(), name="Gold")
    rich = {f"loyalty_points.campaigns.{LOYALTY}.points": {"conditions": {"$more_than_equal": [50]}}}
    await segment(api, rich, name="Rich")
    await rule(api, ENTERED, {"type": "FIXED", "points": 50}, segment={"id": one})
    card = await join(api)
    await customer(api, metadata={"tier": "gold"})
    told = await sink.wait(2, ENTERED)
    assert [body["data"]["segment"]["name"] for body in told] == ["Gold", "Rich"]
    assert await balance(api, card) == 50, "a rule gives for its own segment alone"


async def test_segments_that_lead_in_a_circle_end(api: httpx.AsyncClient) -> None:
    """Two rules whose points drive a customer round are broken off instead of running for ever."""
    await loyalty(api)
    for begin in (20, 10):
        balances = {"conditions": {"$is": list(range(begin, 1000, 20))}}
        one = await segment(api, {f"loyalty_points.campaigns.{LOYALTY}.points": balances})
        await rule(api, ENTERED, {"type": "FIXED", "points": 10}, segment={"id": one})
    card = await join(api)
    await send(api, "POST", f"/v1/loyalties/members/{card}/balance", {"points": 10})
    assert 50 <= await balance(api, card) < 300


OF_ANN: dict[str, dict[str, Any]] = {
    "name": {"$is": ["Ann"]},
    "email": {"$ends_with": ["@x.io"]},
    "address.country": {"$is": "Poland"},
    "birthdate": {"$next_month": [True]},
    "created_at": {"$after": ["2026-12-01T00:00:00.000Z"]},
    "phone": {"$is_unknown": True},
    "source_id": {"$starts_with": ["u-1"]},
    "metadata.tier": {"$in": ["gold", "silver"]},
    "summary.orders.total_count": {"$more_than": [1], "$less_than": [3]},
    "summary.orders.total_amount": {"$is": [3000]},
    "summary.orders.average_amount": {"$is": [1500]},
    "summary.orders.last_order_amount": {"$is": [2000]},
    "summary.orders.last_order_date": {"$less_than": [30]},
    "summary.redemptions.total_succeeded": {"$is": [1]},
    "summary.redemptions.total_rolled_back": {"$is": [1]},
    "events.coffee.drunk.count": {"$more_than": ["1"]},
    "loyalty_points.campaigns.Loyalty.points": {"$is": [30]},
    "loyalty.points": {"$is": [30]},
}
"""Conditions that fit Ann and nobody else."""


async def test_what_a_filter_may_ask(api: httpx.AsyncClient) -> None:
    """Ann fits each, Bob, of whom little is known, none; the list of customers by segment has her alone."""
    await send(api, "POST", "/sandbox/clock", {"set": "2026-11-15T10:00:00Z"})
    await customer(api, "u-2", name="Bob", phone="+48")
    await send(api, "POST", "/sandbox/clock", {"set": "2026-12-15T10:00:00Z"})
    await loyalty(api)
    await coupons(api)
    profile: dict[str, Any] = {"name": "Ann", "email": "ann@x.io", "birthdate": "1990-01-07"}
    await customer(api, **profile, address={"country": "Poland"}, metadata={"tier": "gold"})
    await join(api)
    await buy(api, "o-1", 1000)
    answer = await redeem(api, await coupon(api), amount=5)
    await send(api, "POST", f"/v1/redemptions/{answer['redemptions'][0]['id']}/rollback")
    await send(api, "POST", "/sandbox/clock", {"advance": 60})
    await buy(api, "o-2", 2000)
    for _ in range(2):
        await send(api, "POST", "/v1/events", {"event": "coffee.drunk", "customer": {"source_id": "u-1"}})
    made = {
        field: await segment(api, {field: {"conditions": conditions}}, "passive", field)
        for field, conditions in OF_ANN.items()
    }
    either = {"junction": "or", "name": {"conditions": {"$is": ["Eve"]}}, "email": {"conditions": {"$has_value": [1]}}}
    await segment(api, either, name="either")
    both = {"name": {"conditions": {"$is": ["Ann"]}}, "email": {"conditions": {"$is_unknown": [1]}}}
    await segment(api, both, name="both")
    assert sorted(await names_of(api)) == sorted([*OF_ANN, "either"])
    assert await names_of(api, "u-2") == []
    listed = await send(api, "GET", f"/v1/customers?segment_id={made['summary.orders.total_count']}")
    assert [each["source_id"] for each in listed["customers"]] == ["u-1"]
    assert (listed["total"], (await send(api, "GET", "/v1/customers?segment_id=seg_none"))["total"]) == (1, 0)


async def test_somebody_unknown_belongs_where_he_would_belong(api: httpx.AsyncClient) -> None:
    """An id that no customer has is judged as an empty profile."""
    await segment(api, {"source_id": {"conditions": {"$starts_with": ["vip-"]}}}, name="Guests")
    await segment(api, {"summary.orders.total_count": {"conditions": {"$is": [0]}}}, "passive", name="New")
    await segment(api, gold(), name="Gold")
    await send(api, "POST", "/v1/segments", {"name": "List", "type": "static"})
    assert await names_of(api, "vip-9") == ["Guests", "New"]
    assert await names_of(api, "u-9") == ["New"]
    await send(api, "GET", "/v1/customers/u-9", expect=404)


async def test_time_alone_leads_into_a_segment(api: httpx.AsyncClient) -> None:
    """Membership is looked up when it is asked: thirty days after the order its customer is one of the lapsed."""
    await segment(api, {"summary.orders.last_order_date": {"conditions": {"$more_than_ago": [30]}}}, "passive")
    await buy(api, "o-1", 1000)
    assert await names_of(api) == []
    await send(api, "POST", "/sandbox/clock", {"advance": 40 * 86400})
    assert await names_of(api) == ["S"]


async def test_a_rule_about_a_segment(api: httpx.AsyncClient) -> None:
    """A code for those in it, and one for all others; who joins it can use the first at once."""
    one = await segment(api, gold(), "passive")
    rules = {}
    for operator in ("$is", "$is_not"):
        body = {"name": operator, "rules": {"1": {"name": "customer.segment", "conditions": {operator: [one]}}}}
        rules[operator] = (await send(api, "POST", "/v1/validation-rules", body))["id"]
        await coupons(api, operator, quantity=None, validation_rules=[rules[operator]])
    inside, outside = [await coupon(api, campaign=operator) for operator in ("$is", "$is_not")]
    assert (await redeem(api, inside, expect=400, amount=5))["key"] == "customer_rules_violated"
    await redeem(api, outside, amount=5)
    await customer(api, metadata={"tier": "gold"})
    await redeem(api, inside, amount=5)
    await redeem(api, outside, expect=400, amount=5)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"type": "static"}, 400),
        ({"name": "x", "type": "dynamic"}, 400),
        ({"name": "x", "type": "passive"}, 400),
        ({"name": "x", "filter": {"junction": "and"}}, 400),
        ({"name": "x", "filter": {"junction": "xor", **gold()}}, 400),
        ({"name": "x", "filter": {"name": {"conditions": {}}}}, 400),
        ({"name": "x", "filter": {"name": "Ann"}}, 400),
        ({"name": "x", "filter": {"created_at": {"conditions": {"$after": ["soon"]}}}}, 400),
        ({"name": "x", "filter": {"name": {"conditions": {"$timeframe": ["x"]}}}}, 501),
        ({"name": "x", "filter": {"system_metadata.source": {"conditions": {"$is": ["x"]}}}}, 501),
        ({"name": "x", "filter": {"loyalty.referred_customers": {"conditions": {"$is": [1]}}}}, 501),
        ({"name": "x", "type": "static", "filter": gold()}, 501),
        ({"name": "x", "customers": "u-1"}, 400),
        ({"name": "x", "customers": ["cust_none"]}, 404),
    ],
)
async def test_a_segment_that_cannot_be_kept_is_refused(
    api: httpx.AsyncClient, body: dict[str, Any], status: int
) -> None:
    """What is wrong, what is not emulated, who is not there; and no segment is left behind."""
    await send(api, "POST", "/v1/segments", body, expect=status)
    assert (await send(api, "GET", "/v1/segments"))["total"] == 0


async def test_nobody_enters_a_list(api: httpx.AsyncClient) -> None:
    """A rule for entering a static segment would never fire: 501. Without one, or with an unknown one: refused."""
    await loyalty(api)
    static = await send(api, "POST", "/v1/segments", {"name": "List", "type": "static"})
    gives = {"event": ENTERED, "loyalty": {"type": "FIXED", "points": 1}}
    path = f"/v1/loyalties/{LOYALTY}/earning-rules"
    await send(api, "POST", path, [{**gives, "segment": {"id": static["id"]}}], expect=501)
    await send(api, "POST", path, [{**gives, "segment": {"id": "seg_none"}}], expect=404)
    await send(api, "POST", path, [gives], expect=400)
    await send(api, "POST", path, [{**gives, "event": "order.paid", "segment": {"id": static["id"]}}], expect=400)
