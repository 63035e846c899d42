"""Tiers: which one a member is in by points and by days, what it does to earning and prices, and what is told."""

from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.sandbox.tier_rules import BY_BALANCE, Place, Tier, reached, settle
from tests.sandbox.programme import LOYALTY, adjust, balance, buy, event, join, loyalty, rule, send, travel
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink
from tests.sandbox.test_rewards import reward

TIERS = f"/v1/loyalties/{LOYALTY}/tiers"
AT = "/v1/loyalties/{campaignId}/tiers"
LEVELS = [
    {"name": "Basic", "points": {"from": 0, "to": 99}},
    {"name": "Silver", "points": {"from": 100, "to": 499}},
    {"name": "Gold", "points": {"from": 500}},
]
PURE = [Tier("basic", 0, 99), Tier("silver", 100, 499), Tier("gold", 500, None)]


def by_period(period: str, starts: str, ends: str, extend: str | None = None) -> dict[str, Any]:
    return {
        "qualification_type": "POINTS_IN_PERIOD",
        "qualification_period": period,
        "start_date": {"type": starts},
        "expiration_date": {"type": ends, **({"extend": extend} if extend else {})},
    }


def by_balance_for(extend: str, rounding: str | None = None) -> dict[str, Any]:
    return {
        "qualification_type": "BALANCE",
        "start_date": {"type": "IMMEDIATE"},
        "expiration_date": {
            "type": "CUSTOM",
            "extend": extend,
            **({"rounding": {"type": rounding, "strategy": "END"}} if rounding else {}),
        },
    }


async def programme(
    api: httpx.AsyncClient, ends: dict[str, Any] | None = None, tiers: list[dict[str, Any]] = LEVELS, **more: Any
) -> list[str]:
    """A programme with three tiers at 10 March; their ids."""
    await travel(api, "2026-03-10T12:00:00Z")
    await loyalty(api, **{**more, **({"loyalty_tiers_expiration": ends} if ends else {})})
    return [tier["id"] for tier in await send(api, "POST", TIERS, tiers)]


async def tier(api: httpx.AsyncClient, card: str) -> tuple[str, str | None] | None:
    """The name of the member's tier and the day on which it ends."""
    rows = (await send(api, "GET", f"/v1/loyalties/members/{card}/tiers"))["data"]
    return (rows[0]["name"], rows[0]["expiration"].get("expiration_date")) if rows else None


async def told(api: httpx.AsyncClient) -> list[str]:
    """What the member's activity has of tiers, oldest first."""
    rows = (await send(api, "GET", "/v1/customers/u-1/activity?limit=100"))["data"]
    return [row["type"].rpartition(".")[2] for row in rows[::-1] if row["type"].startswith("customer.loyalty.tier.")]


async def test_tiers_are_made_and_read(api: httpx.AsyncClient) -> None:
    """Every address of tiers answers what is published, with the thresholds in both places."""
    await loyalty(api)
    reward_id = await reward(api)
    [assigned] = (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/rewards"))["data"]
    visit = await rule(api, "visit", {"type": "FIXED", "points": 5})
    mapped = {
        **LEVELS[1],
        "earning_rules": {visit["id"]: {"type": "MULTIPLY", "multiplier": 2}},
        "rewards": {assigned["id"]: {"type": "CUSTOM", "points": 3}},
        "metadata": {"colour": "grey"},
    }
    made = await send(api, "POST", TIERS, [LEVELS[0], mapped])
    check_answer("POST", AT, made)
    assert made[1]["config"]["points"] == made[1]["points"] == {"from": 100, "to": 499}
    assert (made[1]["metadata"], made[1]["earning_rules"]) == ({"colour": "grey"}, mapped["earning_rules"])
    one = await send(api, "GET", f"{TIERS}/{made[1]['id']}")
    check_answer("GET", AT + "/{loyaltyTierId}", one)
    assert one == made[1]
    listed = await send(api, "GET", f"{TIERS}?limit=1&page=2")
    check_answer("GET", AT, listed)
    assert listed["total"] == 2
    rules = await send(api, "GET", f"{TIERS}/{made[1]['id']}/earning-rules")
    check_answer("GET", AT + "/{loyaltyTierId}/earning-rules", rules)
    assert rules["total"] == 2
    rewards = await send(api, "GET", f"{TIERS}/{made[1]['id']}/rewards")
    check_answer("GET", AT + "/{loyaltyTierId}/rewards", rewards)
    assert [each["reward"]["id"] for each in rewards["data"]] == [reward_id]
    await send(api, "GET", f"{TIERS}/ltr_none", expect=404)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"points": {}}, 400),
        ({"points": {"from": 5, "to": 4}}, 400),
        ({"earning_rules": {"ern_x": {"type": "MULTIPLY"}}}, 400),
        ({"earning_rules": {"ern_x": {"type": "CUSTOM", "multiplier": 2}}}, 400),
        ({"earning_rules": {"ern_x": {"type": "MULTIPLY", "multiplier": 2}}}, 404),
        ({"rewards": {"rewa_x": {"type": "CUSTOM", "points": 2}}}, 404),
    ],
)
async def test_a_tier_that_makes_no_sense_is_refused(api: httpx.AsyncClient, body: dict[str, Any], status: int) -> None:
    """No range, a range upside down, a mapping of nothing or without its value: no tier is made."""
    await loyalty(api)
    whole = {"name": "T", "points": {"from": 0}, **body} if body else {}
    await send(api, "POST", TIERS, [LEVELS[0], whole], expect=status)
    assert (await send(api, "GET", TIERS))["total"] == 0


@pytest.mark.parametrize(
    "ends",
    [
        {"qualification_type": "LUCK"},
        {},
        {"qualification_type": "POINTS_IN_PERIOD"},
        {**by_period("MONTH", "IMMEDIATE", "BALANCE_DROP")},
        {**BY_BALANCE, "start_date": {"type": "NEXT_PERIOD"}},
        {**BY_BALANCE, "expiration_date": {"type": "CUSTOM"}},
        {**BY_BALANCE, "expiration_date": {"type": "CUSTOM", "extend": "three months"}},
    ],
)
async def test_tier_settings_that_make_no_sense_are_refused(api: httpx.AsyncClient, ends: dict[str, Any]) -> None:
    """A programme whose tiers could not be kept is not made."""
    body = {"name": "p", "voucher": {"type": "LOYALTY_CARD"}, "loyalty_tiers_expiration": ends}
    assert (await send(api, "POST", "/v1/loyalties", body, expect=400))["key"] == "invalid_payload"


async def test_a_balance_moves_a_member_at_once(api: httpx.AsyncClient, sink: Sink) -> None:
    """Joining, going up, down and leaving follow the balance, and are told to distributions and the activity."""
    await programme(api, points=50, tiers=LEVELS[:2])
    card = await join(api)
    assert await tier(api, card) == ("Basic", None)
    await buy(api, "o-1", 10000)
    assert await tier(api, card) == ("Silver", None)
    customer = await send(api, "GET", "/v1/customers/u-1")
    [mine] = (await send(api, "GET", f"/v1/loyalties/members/{card}/tiers"))["data"]
    assert customer["loyalty"]["campaigns"][LOYALTY]["loyalty_tier"] == mine["id"]
    check_answer("GET", "/v1/customers/{customerId}", customer)
    listed = await send(api, "GET", f"/v1/loyalties/members/{card}/tiers")
    check_answer("GET", "/v1/loyalties/members/{memberId}/tiers", listed)
    assert listed["data"][0]["expiration"]["start_date"] == "2026-03-10"
    await adjust(api, card, -100)
    assert await tier(api, card) == ("Basic", None)
    await adjust(api, card, 1000)
    assert await tier(api, card) is None
    assert await told(api) == ["joined", "upgraded", "downgraded", "left"]
    await sink.wait(1, "customer.loyalty.tier.left")
    webhooks = [each for each in sink.got if each.type.startswith("customer.loyalty.tier.")]
    assert [each.type.rpartition(".")[2] for each in webhooks] == await told(api)
    for each in webhooks:
        check_webhook(each.type, each.body["data"])
    up = webhooks[1].body["data"]
    assert (up["loyalty_tier_from"]["name"], up["loyalty_tier_to"]["name"]) == ("Basic", "Silver")


async def test_a_tier_changes_what_a_rule_gives(api: httpx.AsyncClient, sink: Sink) -> None:
    """Multiplied, or replaced, for who is in the tier when it is earned; the ledger and the webhooks name the tier."""
    await travel(api, "2026-03-10T12:00:00Z")
    await loyalty(api)
    visit = await rule(api, "visit", {"type": "FIXED", "points": 5})
    review = await rule(api, "review", {"type": "FIXED", "points": 5})
    mapping = {
        visit["id"]: {"type": "MULTIPLY", "multiplier": 2.5},
        review["id"]: {"type": "CUSTOM", "points": 77},
    }
    await send(api, "POST", TIERS, [LEVELS[0], {**LEVELS[1], "earning_rules": mapping}])
    card = await join(api)
    await event(api, "visit")
    assert await balance(api, card) == 5
    await adjust(api, card, 95)
    await event(api, "visit")
    assert await balance(api, card) == 113
    await event(api, "review")
    await buy(api, "o-1", 1000)
    assert await balance(api, card) == 200
    rows = await send(api, "GET", f"/v1/loyalties/members/{card}/transactions")
    check_answer("GET", "/v1/loyalties/members/{memberId}/transactions", rows)
    order, reviewed, visited, added, first = (row["details"] for row in rows["data"])
    assert visited["loyalty_tier"]["name"] == reviewed["loyalty_tier"]["name"] == "Silver"
    assert (order["holder_loyalty_tier"]["name"], "loyalty_tier" in order) == ("Silver", False)
    assert (first["holder_loyalty_tier"]["name"], "holder_loyalty_tier" in added) == ("Basic", False)
    await sink.wait(8, "customer.rewarded.loyalty_points")
    bodies = [
        body for body in sink.of("customer.rewarded.loyalty_points") if body["source"]["object"] == "distribution"
    ]
    assert [(body["data"]["loyalty_tier"] or {}).get("name") for body in bodies] == [None, "Silver", "Silver", None]
    for each in sink.got:
        if each.type in {"customer.rewarded.loyalty_points", "voucher.loyalty_card.transaction.created"}:
            check_webhook(each.type, each.body["data"])


async def test_a_tier_changes_the_price_of_a_reward(api: httpx.AsyncClient) -> None:
    """A member of the tier pays its price, and sees by it what is affordable."""
    await loyalty(api, points=120)
    reward_id = await reward(api, 100)
    [assigned] = (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/rewards"))["data"]
    half = {assigned["id"]: {"type": "MULTIPLY", "multiplier": 0.5}}
    await send(api, "POST", TIERS, [LEVELS[0], {**LEVELS[1], "rewards": half}])
    card = await join(api)
    bought = await send(api, "POST", f"/v1/loyalties/members/{card}/redemption", {"reward": {"id": reward_id}})
    assert (bought["amount"], await balance(api, card)) == (50, 70)
    assert (await tier(api, card)) == ("Basic", None)
    affordable = await send(api, "GET", f"/v1/loyalties/members/{card}/rewards?affordable_only=true")
    assert affordable["total"] == 0


async def test_new_tiers_take_in_who_is_there(api: httpx.AsyncClient) -> None:
    """Members that joined before get the tier of their balance; a finer tier moves them."""
    await loyalty(api, points=150)
    card = await join(api)
    assert await tier(api, card) is None
    await send(api, "POST", TIERS, LEVELS)
    assert await tier(api, card) == ("Silver", None)
    await send(api, "POST", TIERS, [{"name": "Better silver", "points": {"from": 120, "to": 499}}])
    assert await tier(api, card) == ("Better silver", None)


async def test_points_that_expire_at_night_move_a_member_down(api: httpx.AsyncClient) -> None:
    """Tiers by balance are looked at again once the points of the night are gone."""
    await programme(api, expires={"period_type": "MONTH", "period_value": 1})
    card = await join(api)
    await buy(api, "o-1", 10000)
    assert await tier(api, card) == ("Silver", None)
    await travel(api, "2026-04-11T12:00:00Z")
    assert await tier(api, card) == ("Basic", None)
    rows = (await send(api, "GET", "/v1/customers/u-1/activity?limit=2"))["data"]
    assert [row["type"] for row in rows] == [
        "customer.loyalty.tier.downgraded",
        "customer.voucher.loyalty_card.points_expired",
    ]
    assert {row["created_at"] for row in rows} == {"2026-04-11T00:00:00.000Z"}


async def test_pending_points_lift_a_member_when_they_become_active(api: httpx.AsyncClient) -> None:
    """While they wait they count for no tier; in the night of their activation they do."""
    await programme(api)
    waits = {"period_type": "DAY", "period_value": 2}
    await rule(api, "order.paid", {"type": "FIXED", "points": 200}, pending_points=waits)
    card = await join(api)
    await buy(api, "o-1", 0)
    assert await tier(api, card) == ("Basic", None)
    await travel(api, "2026-03-12T12:00:00Z")
    assert await tier(api, card) == ("Silver", None)


async def test_a_tier_with_a_term_is_kept_till_its_end(api: httpx.AsyncClient) -> None:
    """By balance with a term of three months to the end of the month: down only then; longer if it is still reached."""
    await programme(api, by_balance_for("P3M", "MONTH"))
    card = await join(api)
    await adjust(api, card, 150)
    assert await tier(api, card) == ("Silver", "2026-06-30")
    await adjust(api, card, -100)
    assert await tier(api, card) == ("Silver", "2026-06-30")
    await travel(api, "2026-06-30T23:00:00Z")
    assert await tier(api, card) == ("Silver", "2026-06-30")
    await travel(api, "2026-07-01T01:00:00Z")
    assert await tier(api, card) == ("Basic", "2026-10-31")
    await travel(api, "2026-11-01T01:00:00Z")
    assert await tier(api, card) == ("Basic", "2027-02-28")
    assert await told(api) == ["joined", "upgraded", "downgraded", "prolonged"]


async def test_points_of_a_period_lift_at_once(api: httpx.AsyncClient) -> None:
    """Collected in a month, till the end of the next: spending does not matter, collecting again prolongs it."""
    await programme(api, by_period("MONTH", "IMMEDIATE", "END_OF_NEXT_PERIOD"))
    card = await join(api)
    await buy(api, "o-1", 15000)
    await adjust(api, card, -150)
    assert await tier(api, card) == ("Silver", "2026-04-30")
    await travel(api, "2026-04-20T12:00:00Z")
    assert await tier(api, card) == ("Silver", "2026-04-30")
    await buy(api, "o-2", 12000)
    assert await tier(api, card) == ("Silver", "2026-05-31")
    await travel(api, "2026-06-01T12:00:00Z")
    assert await tier(api, card) == ("Basic", "2026-07-31")
    assert await told(api) == ["joined", "upgraded", "prolonged", "downgraded"]


async def test_a_period_may_be_followed_by_some_grace(api: httpx.AsyncClient) -> None:
    """`extend` puts the end off by days: the documented example, the seventh day of the next month."""
    await programme(api, by_period("MONTH", "IMMEDIATE", "END_OF_PERIOD", "P7D"), LEVELS[1:])
    card = await join(api)
    await buy(api, "o-1", 15000)
    assert await tier(api, card) == ("Silver", "2026-04-07")
    await travel(api, "2026-04-08T12:00:00Z")
    assert await tier(api, card) is None
    assert await told(api) == ["joined", "left"]


async def test_points_of_a_period_count_from_the_next_one(api: httpx.AsyncClient) -> None:
    """With NEXT_PERIOD a tier begins with the next month, ends with it, and begins again by what that one collected."""
    await programme(api, by_period("MONTH", "NEXT_PERIOD", "END_OF_PERIOD"), LEVELS[1:])
    card = await join(api)
    await buy(api, "o-1", 15000)
    assert await tier(api, card) is None
    await travel(api, "2026-04-10T12:00:00Z")
    assert await tier(api, card) == ("Silver", "2026-04-30")
    await buy(api, "o-2", 60000)
    assert await tier(api, card) == ("Silver", "2026-04-30")
    await travel(api, "2026-05-10T12:00:00Z")
    assert await tier(api, card) == ("Gold", "2026-05-31")
    await travel(api, "2026-06-10T12:00:00Z")
    assert await tier(api, card) is None
    assert await told(api) == ["joined", "upgraded", "left"]


async def test_tier_events_earn(api: httpx.AsyncClient) -> None:
    """A rule fires for any tier or for its own; points for going up may lift further, and it comes to an end."""
    ids = await programme(api)
    await rule(api, "customer.loyalty.tier.upgraded", {"type": "FIXED", "points": 400}, loyalty_tier={"id": ids[1]})
    made = await rule(api, "customer.loyalty.tier.upgraded", {"type": "FIXED", "points": 3})
    assert made["loyalty_tier"] == {"id": "__ANY__"}
    card = await join(api)
    await adjust(api, card, 100)
    assert await balance(api, card) == 100 + 400 + 3 + 3
    assert await tier(api, card) == ("Gold", None)
    assert await told(api) == ["joined", "upgraded", "upgraded"]
    rows = await send(api, "GET", f"/v1/loyalties/members/{card}/transactions")
    check_answer("GET", "/v1/loyalties/members/{memberId}/transactions", rows)
    assert rows["data"][0]["details"]["event"]["type"] == "customer.loyalty.tier.upgraded"


async def test_rules_that_lift_each_other_come_to_an_end(api: httpx.AsyncClient) -> None:
    """Falling gives points that lift, lifting... one request ends all the same, and the ledger is right."""
    await programme(api, tiers=[{"name": "Low", "points": {"from": 0, "to": 9}}])
    for what in ("joined", "left"):
        await rule(api, f"customer.loyalty.tier.{what}", {"type": "FIXED", "points": 10})
    card = await join(api)
    assert await balance(api, card) == 20
    assert await told(api) == ["joined", "left"]


@given(
    st.sampled_from(
        [
            BY_BALANCE,
            by_balance_for("P1M"),
            by_balance_for("P10D", "QUARTER"),
            *(
                by_period(period, starts, ends, extend)
                for period in ("MONTH", "QUARTER")
                for starts in ("IMMEDIATE", "NEXT_PERIOD")
                for ends in ("END_OF_PERIOD", "END_OF_NEXT_PERIOD")
                for extend in (None, "P7D", "P1M")
            ),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 700), st.integers(0, 700)), max_size=20),
)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_a_place_is_never_past_its_end(rules: dict[str, Any], steps: list[tuple[int, int, int]]) -> None:
    """Law: looked at on any day with any points, nobody stays in a tier whose end is over or misses one that began;
    looking twice changes nothing more; inside a term nobody goes down; what is told is what changed.
    """
    place, today = Place(), date(2026, 1, 30)
    rank = {each.id: each.from_points for each in PURE}
    for days, points, earlier in steps:
        today += timedelta(days=days)
        after, what = settle(rules, PURE, place, today, points, earlier)
        assert after.end is None or after.end >= today
        assert after.next_start is None or after.next_start > today
        assert settle(rules, PURE, after, today, points, earlier) == (after, None)
        assert (what is None) == ((after.tier, after.end) == (place.tier, place.end))
        if place.tier and place.end and place.end >= today:
            assert rank[str(after.tier)] >= rank[place.tier]
        if rules is BY_BALANCE:
            wanted = reached(PURE, points, within=True)
            assert after.tier == (wanted.id if wanted else None)
        place = after


@pytest.mark.parametrize("address", ["campaigns", "loyalties"])
async def test_a_programme_gets_other_terms(api: httpx.AsyncClient, sink: Sink, address: str) -> None:
    """Terms that run are counted anew from the day the tier was reached, at once; null puts the balance back."""
    await programme(api)
    card = await join(api)
    await adjust(api, card, 600)
    assert await tier(api, card) == ("Gold", None)
    await travel(api, "2026-03-20T12:00:00Z")
    path = f"/v1/{address}/{LOYALTY}"
    terms = by_period("MONTH", "IMMEDIATE", "END_OF_NEXT_PERIOD")
    changed = await send(api, "PUT", path, {"loyalty_tiers_expiration": terms})
    assert changed["loyalty_tiers_expiration"] == terms
    assert await tier(api, card) == ("Gold", "2026-04-30")
    await adjust(api, card, -550)
    assert await tier(api, card) == ("Gold", "2026-04-30")
    await send(api, "PUT", path, {"loyalty_tiers_expiration": {"qualification_type": "LUCK"}}, expect=400)
    assert "loyalty_tiers_expiration" not in await send(api, "PUT", path, {"loyalty_tiers_expiration": None})
    assert await tier(api, card) == ("Basic", None)
    await sink.wait(1, "customer.loyalty.tier.downgraded")


async def test_a_term_that_is_over_by_other_terms_ends_at_once(api: httpx.AsyncClient) -> None:
    """Where the new term would have ended by now, the member has the tier that the points are worth by it."""
    await programme(api)
    card = await join(api)
    await adjust(api, card, 600)
    await travel(api, "2026-05-20T12:00:00Z")
    terms = by_period("MONTH", "IMMEDIATE", "END_OF_PERIOD")
    await send(api, "PUT", f"/v1/loyalties/{LOYALTY}", {"loyalty_tiers_expiration": terms})
    assert await tier(api, card) == ("Basic", "2026-05-31")
