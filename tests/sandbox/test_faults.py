"""Trouble on demand by endpoint, rate and count; and the plan's limits, once somebody switches them on."""

import asyncio
from typing import Any

import httpx
import pytest

from app.sandbox.faults import Planned
from tests.sandbox.programme import buy, send
from tests.sandbox.test_segmentio import KEYS as SEGMENT_KEYS


async def statuses(api: httpx.AsyncClient, times: int, path: str = "/v1/orders") -> list[int]:
    return [(await api.get(path)).status_code for _ in range(times)]


async def test_a_fault_can_come_by_chance(api: httpx.AsyncClient) -> None:
    """At a rate of 0.5 about half of the requests fail, without end; at 0 none, at 1 all."""
    for rate, least, most in ((0, 0, 0), (0.5, 4, 36), (1, 40, 40)):
        await send(api, "POST", "/sandbox/faults", {"fail_next": {"status": 503, "rate": rate}})
        failed = (await statuses(api, 40)).count(503)
        assert least <= failed <= most, (rate, failed)


async def test_chance_and_count_go_together(api: httpx.AsyncClient) -> None:
    """With both, it happens by chance, and so many times at most; what is left can be seen."""
    await send(api, "POST", "/sandbox/faults", {"fail_next": {"status": 503, "rate": 0.5, "count": 3}})
    assert (await statuses(api, 60)).count(503) == 3
    [shown] = (await send(api, "GET", "/sandbox/faults"))["fail_next"]
    assert shown == {"count": 0, "rate": 0.5, "path": "/", "method": None, "status": 503}


async def test_a_fault_without_a_count_stays(api: httpx.AsyncClient) -> None:
    """`count: null` is until it is taken away; one is the default."""
    await send(api, "POST", "/sandbox/faults", {"fail_next": {"count": None}})
    assert await statuses(api, 5) == [500] * 5
    await send(api, "POST", "/sandbox/faults", {"fail_next": {}})
    assert await statuses(api, 3) == [500, 200, 200]


@pytest.mark.parametrize(
    ("path", "called", "happens"),
    [
        ("/v1/loyalties/*/members", "/v1/loyalties/L/members/x/balance", True),
        ("/v1/loyalties/*/members", "/v1/loyalties/L/rewards", False),
        ("/v1/loyalties/*/members", "/v1/loyalties/members/x", False),
        ("/v1/orders", "/v1/orders/o-1", True),
        ("/v1/o.ders", "/v1/orders", False),
    ],
)
def test_a_fault_is_planned_for_an_endpoint(path: str, called: str, happens: bool) -> None:
    """By how the path begins; a star stands for one part of it, and nothing else is a pattern."""
    assert Planned(path=path).takes("GET", called) is happens


async def test_a_connection_can_break_before_the_work(api: httpx.AsyncClient) -> None:
    """The client sees a broken connection, nothing was done, and the log says so."""
    await send(api, "POST", "/sandbox/faults", {"reset_next": {"path": "/v1/orders", "method": "post"}})
    await send(api, "GET", "/v1/orders")
    with pytest.raises(httpx.TransportError):
        await buy(api, "o-1", 1000)
    await send(api, "GET", "/v1/orders/o-1", expect=404)
    [broken] = [row for row in (await send(api, "GET", "/sandbox/requests"))["data"] if row["reset"]]
    assert (broken["path"], broken["status"], broken["request"]["source_id"]) == ("/v1/orders", None, "o-1")
    await buy(api, "o-1", 1000)


async def test_one_endpoint_can_be_slow(api: httpx.AsyncClient) -> None:
    """Only what was named waits; the work is done after the wait, also for a client that has hung up."""
    loop = asyncio.get_running_loop()
    slow = {"path": "/v1/orders", "milliseconds": 150, "count": 2}
    await send(api, "POST", "/sandbox/faults", {"delay_next": slow})

    async def seconds(path: str) -> float:
        began = loop.time()
        await send(api, "GET", path)
        return loop.time() - began

    assert await seconds("/v1/products") < 0.15 <= await seconds("/v1/orders")
    with pytest.raises(httpx.ReadTimeout):
        await api.post("/v1/orders", json={"source_id": "o-1", "amount": 5}, timeout=0.05)
    await asyncio.sleep(0.3)
    assert (await send(api, "GET", "/v1/orders/o-1"))["amount"] == 5


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"reset_next": {"status": 500}}, "reset_next has no 'status'; it has count, rate, path, method"),
        ({"fail_next": {"rate": 1.5}}, "fail_next.rate must be a number from 0.0 to 1.0, but is 1.5"),
        ({"fail_next": {"rate": True}}, "fail_next.rate must be"),
        ({"fail_next": [{"count": 0}]}, "fail_next.count must be a number from 1, or null for all"),
        ({"fail_next": {"path": "orders"}}, "fail_next.path must be the beginning of a path"),
        ({"delay_next": {"milliseconds": -1}}, "delay_next.milliseconds must be a number from 0"),
        ({"delay_next": {"method": "PAINT"}}, "delay_next.method must be GET or POST or PUT or DELETE"),
        ({"delay_next": "all"}, "delay_next must be an object or a list of objects, but is 'all'"),
    ],
)
async def test_a_wrong_fault_is_named(api: httpx.AsyncClient, wanted: dict[str, Any], words: str) -> None:
    """The refusal says which part is wrong and what it may be; nothing is switched on."""
    failure = await send(api, "POST", "/sandbox/faults", {"latency_ms": 1, **wanted}, expect=400)
    assert failure["details"].startswith(words)
    assert (await send(api, "GET", "/sandbox/faults"))["latency_ms"] == 0


async def test_a_plan_limits_the_calls_of_a_minute(api: httpx.AsyncClient) -> None:
    """Over the limit comes the documented 429 with its headers, nothing is done, and the next minute goes on."""
    await send(api, "POST", "/sandbox/clock", {"set": "2030-01-01T10:00:20Z"})
    assert await send(api, "POST", "/sandbox/limits", {"calls_per_minute": 3}) == {
        "calls_per_minute": 3,
        "calls_per_hour": None,
    }
    answers = [await api.post("/v1/orders", json={"source_id": f"o-{place}", "amount": 1}) for place in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["X-Rate-Limit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    assert {answer.headers["X-Rate-Limit-Limit"] for answer in answers} == {"3"}
    refused = answers[3]
    assert refused.json() == {"code": 429, "message": "Too many requests hit the API too quickly."}
    assert refused.headers["X-Rate-Limit-Type"] == "api_calls"
    assert 35 <= int(refused.headers["Retry-After"]) <= 40
    assert refused.headers["X-Rate-Limit-Retry"] == "1893492060"  # 10:01:00
    assert "Retry-After" not in answers[2].headers
    await send(api, "POST", "/sandbox/clock", {"advance": int(refused.headers["Retry-After"])})
    assert (await send(api, "GET", "/v1/orders"))["total"] == 3


async def test_a_small_plan_limits_the_calls_of_an_hour(api: httpx.AsyncClient) -> None:
    """The limit that is nearest is the one that refuses and that the headers tell."""
    await send(api, "POST", "/sandbox/clock", {"set": "2030-01-01T10:30:10Z"})
    await send(api, "POST", "/sandbox/limits", {"calls_per_minute": 2, "calls_per_hour": 3})
    assert await statuses(api, 3) == [200, 200, 429]
    await send(api, "POST", "/sandbox/clock", {"advance": 60})
    first, second = await api.get("/v1/orders"), await api.get("/v1/orders")
    assert (first.status_code, first.headers["X-Rate-Limit-Limit"]) == (200, "3")
    assert second.status_code == 429
    assert 1700 < int(second.headers["Retry-After"]) < 1740
    await send(api, "POST", "/sandbox/limits", {"calls_per_hour": None})
    assert await send(api, "GET", "/sandbox/limits") == {"calls_per_minute": 2, "calls_per_hour": None}
    assert await statuses(api, 3) == [200, 200, 429]
    await send(api, "DELETE", "/sandbox/limits")
    assert await statuses(api, 3) == [200] * 3


async def test_what_is_not_limited(api: httpx.AsyncClient) -> None:
    """The Segment door, the sandbox's own addresses, and calls with wrong keys, which are refused as such."""
    await send(api, "POST", "/sandbox/limits", {"calls_per_minute": 0})
    assert await statuses(api, 1) == [429]
    async with httpx.AsyncClient(base_url=api.base_url, headers=SEGMENT_KEYS) as segment:
        assert (await segment.get("/segmentio/test-authentication")).status_code == 200
    async with httpx.AsyncClient(base_url=api.base_url) as nobody:
        answer = await nobody.get("/v1/orders")
    assert (answer.status_code, "Retry-After" in answer.headers) == (401, False)
    await send(api, "POST", "/sandbox/reset")
    assert await statuses(api, 1) == [200]


@pytest.mark.parametrize(
    "wanted", [{"calls_per_day": 1}, {"calls_per_hour": -1}, {"calls_per_hour": True}, {"calls_per_minute": "100"}]
)
async def test_a_limit_that_there_is_not_is_refused(api: httpx.AsyncClient, wanted: dict[str, Any]) -> None:
    """Misspelt or senseless limits are named; none is switched on."""
    failure = await send(api, "POST", "/sandbox/limits", wanted, expect=400)
    assert next(iter(wanted)) in failure["details"]
    assert set((await send(api, "GET", "/sandbox/limits")).values()) == {None}
