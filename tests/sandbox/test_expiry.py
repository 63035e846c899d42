"""Points that expire: on which day, in which order they are used, and how a card shows it."""

import asyncio
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.sandbox.calendar_days import NEVER, add_months, period_end, period_start
from app.sandbox.expiry import last_day
from tests.sandbox.programme import LOYALTY, balance, buckets, buy, join, loyalty, rule, send, travel
from tests.sandbox.published import check_answer
from tests.sandbox.test_rewards import reward

MONTH = {"period_type": "MONTH", "period_value": 1}


def month(value: int, rounding: str | None = None, rounding_value: int | None = None) -> dict[str, Any]:
    return {
        "period_type": "MONTH",
        "period_value": value,
        **({"rounding_type": rounding} if rounding else {}),
        **({"rounding_value": rounding_value} if rounding_value else {}),
    }


def on_day(fixed_month: int, fixed_day: int) -> dict[str, Any]:
    return {"period_type": "FIXED_DAY_OF_YEAR", "fixed_month": fixed_month, "fixed_day": fixed_day}


@pytest.mark.parametrize(
    ("rules", "earned", "expires"),
    [
        (None, "2026-01-25", str(NEVER)),
        (month(1), "2026-01-25", "2026-02-25"),
        (month(0), "2026-01-01", "2026-01-01"),
        (month(1), "2026-01-31", "2026-02-28"),
        (month(1), "2028-01-31", "2028-02-29"),
        (month(12), "2028-02-29", "2029-02-28"),
        (month(1, "END_OF_MONTH"), "2026-01-05", "2026-02-28"),
        (month(3, "END_OF_QUARTER"), "2026-01-15", "2026-06-30"),
        (month(3, "END_OF_HALF_YEAR"), "2026-03-31", "2026-06-30"),
        (month(3, "END_OF_HALF_YEAR"), "2026-04-01", "2026-12-31"),
        (month(12, "END_OF_YEAR"), "2026-12-31", "2027-12-31"),
        (month(2, "PARTICULAR_MONTH", 1), "2026-03-06", "2027-01-31"),
        (month(0, "PARTICULAR_MONTH", 2), "2026-02-10", "2026-02-28"),
        (on_day(1, 1), "2026-01-01", "2026-01-01"),
        (on_day(1, 1), "2026-01-02", "2027-01-01"),
        (on_day(2, 29), "2026-03-01", "2027-02-28"),
    ],
)
def test_the_last_day_of_points(rules: dict[str, Any] | None, earned: str, expires: str) -> None:
    """Every kind of rule, the documented examples among them; a short month is rounded down to its end."""
    assert str(last_day(rules, date.fromisoformat(earned))) == expires


@given(
    st.dates(date(2000, 1, 1), date(2200, 1, 1)),
    st.integers(0, 60),
    st.sampled_from([None, "END_OF_MONTH", "END_OF_QUARTER", "END_OF_HALF_YEAR", "END_OF_YEAR", "PARTICULAR_MONTH"]),
    st.integers(1, 12),
)
def test_rounding_only_ever_gives_more_time(earned: date, months: int, rounding: str | None, value: int) -> None:
    """Law: no points expire before their months are over, and no rounding puts it off by more than a year."""
    plain = last_day(month(months), earned)
    rounded = last_day(month(months, rounding, value if rounding == "PARTICULAR_MONTH" else None), earned)
    assert plain == add_months(earned, months) >= earned
    assert plain <= rounded <= plain + timedelta(days=366)


@given(st.dates(date(2000, 1, 1), date(2200, 1, 1)), st.sampled_from(["MONTH", "QUARTER", "HALF_YEAR", "YEAR"]))
def test_periods_cover_the_calendar(day: date, period: str) -> None:
    """Law: every day is in exactly one period, and the day after its end begins the next."""
    assert period_start(day, period) <= day <= period_end(day, period)
    assert period_start(period_end(day, period) + timedelta(days=1), period) == period_end(day, period) + timedelta(
        days=1
    )


async def test_points_expire_at_the_midnight_after_their_day(api: httpx.AsyncClient) -> None:
    """On the last day they are there; a second after its end they are gone, counted as expired, and in the ledger."""
    await travel(api, "2026-01-31T12:00:00Z")
    await loyalty(api, points=5, expires=MONTH)
    card = await join(api)
    await buy(api, "o-1", 1000)
    shown = (await send(api, "GET", f"/v1/loyalties/members/{card}"))["loyalty_card"]
    assert (shown["next_expiration_date"], shown["next_expiration_points"]) == ("2026-02-28", 15)
    await travel(api, "2026-02-28T23:59:59Z")
    assert await balance(api, card) == 15
    await travel(api, "2026-03-01T00:00:01Z")
    assert await balance(api, card) == 0
    shown = (await send(api, "GET", f"/v1/loyalties/members/{card}"))["loyalty_card"]
    assert shown == {"points": 15, "balance": 0, "pending_points": 0, "expired_points": 15, "subtracted_points": 0}
    rows = await send(api, "GET", f"/v1/loyalties/members/{card}/transactions")
    check_answer("GET", "/v1/loyalties/members/{memberId}/transactions", rows)
    row = rows["data"][0]
    assert (row["type"], row["source"], row["created_at"]) == (
        "POINTS_EXPIRATION",
        "Automation",
        "2026-03-01T00:00:00.000Z",
    )
    assert row["details"]["balance"]["points"] == -15
    assert await buckets(api, card) == {}


async def test_an_earning_rule_has_its_own_time(api: httpx.AsyncClient) -> None:
    """A rule's expiration rules win over the programme's."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, expires=MONTH)
    made = await rule(api, "visit", {"type": "FIXED", "points": 7}, expiration_rules=on_day(12, 31))
    assert made["expiration_rules"] == on_day(12, 31)
    card = await join(api)
    await buy(api, "o-1", 1000)
    await send(api, "POST", "/v1/events", {"event": "visit", "customer": {"source_id": "u-1"}})
    assert await buckets(api, card) == {"2026-02-10": 10, "2026-12-31": 7}
    await travel(api, "2026-06-01T00:00:00Z")
    assert await balance(api, card) == 7


async def test_what_expires_soonest_goes_first(api: httpx.AsyncClient) -> None:
    """Taking off and buying a reward empty the buckets in the order of their days, those without a day last."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, expires=MONTH)
    reward_id, card = await reward(api, 50), await join(api)
    path = f"/v1/loyalties/members/{card}/balance"
    await send(api, "POST", path, {"points": 30, "expiration_type": "NON_EXPIRING"})
    await send(api, "POST", path, {"points": 20, "expiration_type": "CUSTOM_DATE", "expiration_date": "2026-01-20"})
    await send(api, "POST", path, {"points": 40, "expiration_type": "PROGRAM_RULES"})
    assert await buckets(api, card) == {"2026-01-20": 20, "2026-02-10": 40, None: 30}
    await send(api, "POST", path, {"points": -5})
    assert await buckets(api, card) == {"2026-01-20": 15, "2026-02-10": 40, None: 30}
    await send(api, "POST", f"/v1/loyalties/members/{card}/redemption", {"reward": {"id": reward_id}})
    assert await buckets(api, card) == {"2026-01-20": 0, "2026-02-10": 5, None: 30}
    shown = (await send(api, "GET", f"/v1/loyalties/members/{card}"))["loyalty_card"]
    assert (shown["next_expiration_date"], shown["next_expiration_points"]) == ("2026-02-10", 5)
    listed = await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members/{card}/points-expiration?limit=1&page=2")
    check_answer("GET", "/v1/loyalties/{campaignId}/members/{memberId}/points-expiration", listed)
    assert (listed["total"], listed["data"][0]["expires_at"]) == (3, "2026-02-10")
    await travel(api, "2026-03-01T00:00:00Z")
    assert await balance(api, card) == 30


async def test_a_card_says_after_each_movement_what_expires_next(api: httpx.AsyncClient) -> None:
    """The voucher in the webhooks and the answer to a purchase have what a look-up has: adding, then taking."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, expires=MONTH)
    reward_id, card = await reward(api, 25), await join(api)
    path = f"/v1/loyalties/members/{card}/balance"
    await send(api, "POST", path, {"points": 20, "expiration_type": "CUSTOM_DATE", "expiration_date": "2026-01-20"})
    await send(api, "POST", path, {"points": 40})
    bought = await send(api, "POST", f"/v1/loyalties/members/{card}/redemption", {"reward": {"id": reward_id}})
    looked_up = await send(api, "GET", f"/v1/loyalties/members/{card}")
    assert bought["voucher"]["loyalty_card"] == looked_up["loyalty_card"]
    assert looked_up["loyalty_card"]["next_expiration_points"] == 35
    rows = (await send(api, "GET", "/sandbox/deliveries?type=voucher.loyalty_card.points_added"))["data"]
    told = [row["body"]["data"]["voucher"]["loyalty_card"]["next_expiration_points"] for row in rows]
    assert told == [20, 20]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"expiration_type": "CUSTOM_DATE"}, "invalid_payload"),
        ({"expiration_type": "CUSTOM_DATE", "expiration_date": "soon"}, "invalid_payload"),
        ({"expiration_type": "CUSTOM_DATE", "expiration_date": "2001-01-01"}, "invalid_expiration_date"),
        ({"expiration_type": "SOON"}, "invalid_payload"),
    ],
)
async def test_a_bad_day_is_refused(api: httpx.AsyncClient, body: dict[str, Any], key: str) -> None:
    """No day, no date, a day that is over, an unknown kind: nothing is added."""
    await loyalty(api)
    card = await join(api)
    error = await send(api, "POST", f"/v1/loyalties/members/{card}/balance", {"points": 1, **body}, expect=400)
    assert error["key"] == key
    assert await balance(api, card) == 0


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"period_type": "WEEK"},
        {"period_type": "MONTH"},
        {"period_type": "MONTH", "period_value": -1},
        {"period_type": "MONTH", "period_value": 1, "rounding_type": "PARTICULAR_MONTH"},
        {"period_type": "FIXED_DAY_OF_YEAR", "fixed_month": 13, "fixed_day": 1},
        {"period_type": "FIXED_DAY_OF_YEAR", "fixed_month": 1},
    ],
)
async def test_bad_rules_are_refused(api: httpx.AsyncClient, rules: dict[str, Any]) -> None:
    """A programme whose points would expire by nonsense is not made."""
    card = {"type": "LOYALTY_CARD", "loyalty_card": {"points": 0, "expiration_rules": rules}}
    error = await send(api, "POST", "/v1/loyalties", {"name": "p", "voucher": card}, expect=400)
    assert error["key"] == "invalid_payload"


async def test_spending_at_once_never_takes_more_than_there_is(api: httpx.AsyncClient) -> None:
    """Twenty removals that race over two buckets: what is there is taken once, and the buckets end empty."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, points=25, expires=MONTH)
    card = await join(api)
    path = f"/v1/loyalties/members/{card}/balance"
    await send(api, "POST", path, {"points": 25, "expiration_type": "NON_EXPIRING"})
    answers = await asyncio.gather(*(api.post(path, json={"points": -4}) for _ in range(20)))
    assert [answer.status_code for answer in answers].count(200) == 12
    assert await balance(api, card) == 2
    assert await buckets(api, card) == {"2026-02-10": 0, None: 2}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), st.integers(1, 300)),
        st.tuples(st.just("add"), st.integers(1, 300)),
        st.tuples(st.just("keep"), st.integers(1, 300)),
        st.tuples(st.just("until"), st.integers(0, 40)),
        st.tuples(st.just("take"), st.integers(1, 400)),
        st.tuples(st.just("wait"), st.integers(1, 45)),
    ),
    max_size=10,
)


@given(
    st.sampled_from([None, month(0), month(1), month(1, "END_OF_QUARTER"), on_day(2, 28)]),
    STEPS,
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_balance_is_its_ledger_and_its_buckets(
    api: httpx.AsyncClient, expires: dict[str, Any] | None, steps: list[tuple[str, int]]
) -> None:
    """Law: whatever is earned, added, taken and expires, initial points and transactions sum up to the balance, as do
    the buckets; both are what a plain model of points with days says, and never negative.
    """
    await send(api, "POST", "/sandbox/reset")
    today = date(2026, 1, 20)
    await travel(api, f"{today}T08:00:00Z")
    await loyalty(api, points=9, expires=expires)
    card = await join(api)
    path = f"/v1/loyalties/members/{card}/balance"
    model: dict[date, int] = {last_day(expires, today): 9}
    for place, (step, amount) in enumerate(steps):
        if step == "wait":
            today += timedelta(days=amount)
            await travel(api, f"{today}T08:00:00Z")
            model = {day: points for day, points in model.items() if day >= today}
        elif step == "buy":
            await buy(api, f"o-{place}", amount * 100)
            day = last_day(expires, today)
            model[day] = model.get(day, 0) + amount
        elif step == "take":
            answer = await api.post(path, json={"points": -amount})
            assert answer.status_code == (200 if amount <= sum(model.values()) else 400)
            if answer.status_code == 200:
                for day in sorted(model):
                    part = min(amount, model[day])
                    model[day] -= part
                    amount -= part
        else:
            day = {"add": last_day(expires, today), "keep": NEVER, "until": today + timedelta(days=amount)}[step]
            kind = {"add": "PROGRAM_RULES", "keep": "NON_EXPIRING", "until": "CUSTOM_DATE"}[step]
            points = amount + 1
            body = {"points": points, "expiration_type": kind, "expiration_date": str(day)}
            assert (await send(api, "POST", path, body))["balance"] == sum(model.values()) + points
            model[day] = model.get(day, 0) + points
        held = await buckets(api, card)
        assert await balance(api, card) == sum(held.values()) == sum(model.values())
        wanted = {None if day == NEVER else str(day): points for day, points in model.items() if points}
        assert {day: points for day, points in held.items() if points} == wanted
        assert all(points >= 0 for points in held.values())
