"""When a code, a promotion tier or an earning rule is valid: one reading of the fields for all of them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import pytest

from app.sandbox import validity
from app.sandbox.app import create_app
from app.sandbox.calendar_days import NEVER, add_days
from app.sandbox.clock import parse_time
from tests.sandbox.programme import LOYALTY, balance, buy, join, loyalty, rule, send, travel
from tests.sandbox.serving import KEYS, config_for, served


def daily(start: str | None, end: str | None, *days: int) -> dict[str, Any]:
    hours = {"start_time": start, "expiration_time": end, "days_of_week": list(days)}
    return {"validity_hours": {"daily": [{name: value for name, value in hours.items() if value}]}}


def recurring(start: str, interval: str, duration: str) -> dict[str, Any]:
    return {"start_date": start, "validity_timeframe": {"interval": interval, "duration": duration}}


@pytest.mark.parametrize(
    ("fields", "moment", "state"),
    [
        # 2026-01-05 is a Monday.
        ({}, "2026-01-05T10:00:00Z", None),
        ({"start_date": "2026-01-05T10:00:00Z"}, "2026-01-05T10:00:00Z", None),
        ({"start_date": "2026-01-05T10:00:00Z"}, "2026-01-05T09:59:59Z", "early"),
        ({"expiration_date": "2026-01-05T10:00:00Z"}, "2026-01-05T10:00:00Z", "late"),
        ({"validity_day_of_week": [1]}, "2026-01-05T10:00:00Z", None),
        ({"validity_day_of_week": [0, 6]}, "2026-01-05T10:00:00Z", "not_now"),
        ({"validity_day_of_week": [0]}, "2026-01-04T10:00:00Z", None),
        (daily("12:00", "14:00"), "2026-01-05T12:00:00Z", None),
        (daily("12:00", "14:00"), "2026-01-05T13:59:59Z", None),
        (daily("12:00", "14:00"), "2026-01-05T14:00:00Z", "not_now"),
        (daily(None, "14:00"), "2026-01-05T00:00:00Z", None),
        (daily("12:00", None), "2026-01-05T23:59:59Z", None),
        (daily("12:00", "14:00", 2), "2026-01-05T13:00:00Z", "not_now"),
        (recurring("2026-01-01T00:00:00Z", "P2D", "PT1H"), "2026-01-05T00:59:00Z", None),
        (recurring("2026-01-01T00:00:00Z", "P2D", "PT1H"), "2026-01-05T01:00:00Z", "not_now"),
        (recurring("2026-01-01T00:00:00Z", "P2D", "PT1H"), "2026-01-04T00:30:00Z", "not_now"),
        (recurring("2026-01-31T00:00:00Z", "P1M", "P1D"), "2026-02-28T12:00:00Z", None),
        (recurring("2026-01-31T00:00:00Z", "P1M", "P1D"), "2026-03-15T12:00:00Z", "not_now"),
        (recurring("2026-01-31T00:00:00Z", "P1M", "P1D"), "2126-04-30T12:00:00Z", None),
        (recurring("2026-01-05T00:00:00Z", "P9999Y", "PT1H"), "2026-01-05T00:30:00Z", None),
        (recurring("2026-01-05T00:00:00Z", "P9999Y", "PT1H"), "2026-01-05T01:30:00Z", "not_now"),
    ],
)
def test_when_something_is_valid(fields: dict[str, Any], moment: str, state: str | None) -> None:
    """Dates, weekdays (0 is Sunday), hours, and frames that come again by days or by months; an end is not in it."""
    assert validity.state(fields, parse_time(moment), "UTC") == state


async def test_days_and_hours_are_those_of_the_project(make_database: Callable[[str], Awaitable[str]]) -> None:
    """An hour that is past midnight in the project's time zone opens a code and an earning rule alike."""
    database = await make_database("sandbox_in_warsaw")
    fields = daily("00:00", "01:00", 1)
    validation = {"redeemables": [{"object": "voucher", "id": "NIGHT"}], "order": {"amount": 1000}}

    async def seen(api: httpx.AsyncClient, card: str, moment: str) -> tuple[bool, int]:
        """Whether the code is valid at that moment, and what an order gives."""
        await travel(api, moment)
        before = await balance(api, card)
        await buy(api, moment, 1000)
        answer = await send(api, "POST", "/v1/validations", validation)
        return answer["valid"], await balance(api, card) - before

    async with (
        served(lambda url: create_app(replace(config_for(database, url=url), time_zone="Europe/Warsaw"))) as (url, _),
        httpx.AsyncClient(base_url=url, headers=KEYS, timeout=60) as api,
    ):
        await travel(api, "2026-01-04T12:00:00Z")
        await loyalty(api)
        card = await join(api)
        usual = (await seen(api, card, "2026-01-04T13:00:00Z"))[1]
        await rule(api, "order.paid", {"type": "FIXED", "points": 1000}, **fields)
        discount = {"type": "PERCENT", "percent_off": 10}
        await send(api, "POST", "/v1/vouchers/NIGHT", {"type": "DISCOUNT_VOUCHER", "discount": discount, **fields})
        assert await seen(api, card, "2026-01-04T23:30:00Z") == (True, usual + 1000)
        assert await seen(api, card, "2026-01-05T00:30:00Z") == (False, usual)


@pytest.mark.parametrize("length", ["P", "PT", "P0D", "often", "P1.5D", "-P1D", "P12345Y"])
async def test_a_length_of_time_that_is_none_is_refused(api: httpx.AsyncClient, length: str) -> None:
    """The same lengths are refused in the time frame of a code, of an earning rule and in the term of a tier."""
    await loyalty(api)
    frame = recurring("2026-01-01T00:00:00Z", "P1D", length)
    code = {"type": "DISCOUNT_VOUCHER", "discount": {"type": "PERCENT", "percent_off": 10}, **frame}
    earning = {"event": "order.paid", "loyalty": {"type": "FIXED", "points": 1}, **frame}
    tiers = {"qualification_type": "BALANCE", "expiration_date": {"type": "CUSTOM", "extend": length}}
    programme = {"name": "P", "voucher": {"type": "LOYALTY_CARD"}, "loyalty_tiers_expiration": tiers}
    for path, body, at in (
        ("/v1/vouchers/X", code, ".validity_timeframe.duration"),
        (f"/v1/loyalties/{LOYALTY}/earning-rules", [earning], "[0].validity_timeframe.duration"),
        ("/v1/loyalties", programme, ".loyalty_tiers_expiration.expiration_date.extend"),
    ):
        error = await send(api, "POST", path, body, expect=400)
        assert error["details"] == f"Property {at} must be an ISO-8601 duration"


def test_days_beyond_the_calendar_never_come() -> None:
    """A term that ends after the last year has no end, and what never ends can't be put off."""
    assert (add_days(date(2026, 1, 31), 1), add_days(date(2026, 3, 1), -1)) == (date(2026, 2, 1), date(2026, 2, 28))
    assert (add_days(date(9998, 1, 1), 1000), add_days(NEVER, -1)) == (NEVER, NEVER)
