"""Points that wait: added by a paid order, active some days later, or earlier, changed, or taken back by hand."""

from typing import Any

import httpx
import pytest

from tests.sandbox.programme import LOYALTY, balance, buckets, buy, join, loyalty, rule, send, travel
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import Sink

MEMBER = "/v1/loyalties/members/{memberId}/pending-points"


async def programme(api: httpx.AsyncClient, **more: Any) -> str:
    """A programme with a second rule whose 7 points wait for three days; the card of a member at 10 January."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api, **more)
    waits = {"period_type": "DAY", "period_value": 3}
    await rule(api, "order.paid", {"type": "FIXED", "points": 7}, pending_points=waits)
    return await join(api)


async def waiting(api: httpx.AsyncClient, card: str, query: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await send(api, "GET", f"/v1/loyalties/members/{card}/pending-points{query}"))["data"]
    return rows


async def test_pending_points_become_active_at_midnight_of_their_day(api: httpx.AsyncClient) -> None:
    """Till then they are in no balance; then they are a transaction, and their time to expire begins."""
    card = await programme(api, expires={"period_type": "MONTH", "period_value": 1})
    await buy(api, "o-1", 1000)
    shown = (await send(api, "GET", f"/v1/loyalties/members/{card}"))["loyalty_card"]
    assert (shown["points"], shown["balance"], shown["pending_points"]) == (10, 10, 7)
    listed = await send(api, "GET", f"/v1/loyalties/members/{card}/pending-points")
    check_answer("GET", MEMBER, listed)
    [row] = listed["data"]
    assert (row["points"], row["activates_at"], row["details"]["order"]["source_id"]) == (7, "2026-01-13", "o-1")
    of_campaign = await send(api, "GET", f"/v1/loyalties/{LOYALTY}/pending-points")
    check_answer("GET", "/v1/loyalties/{campaignId}/pending-points", of_campaign)
    assert of_campaign["data"] == listed["data"]
    await travel(api, "2026-01-12T23:59:59Z")
    assert await balance(api, card) == 10
    await travel(api, "2026-01-13T00:00:01Z")
    assert await balance(api, card) == 17
    shown = (await send(api, "GET", f"/v1/loyalties/members/{card}"))["loyalty_card"]
    assert (shown["points"], shown["pending_points"]) == (17, 0)
    assert await waiting(api, card) == []
    assert await buckets(api, card) == {"2026-02-10": 10, "2026-02-13": 7}
    rows = await send(api, "GET", f"/v1/loyalties/members/{card}/transactions")
    check_answer("GET", "/v1/loyalties/members/{memberId}/transactions", rows)
    first = rows["data"][0]
    assert (first["type"], first["source"], first["created_at"]) == (
        "PENDING_POINTS_ACTIVATION",
        "Automation",
        "2026-01-13T00:00:00.000Z",
    )
    assert first["details"]["pending_points"]["id"] == row["id"]


async def test_pending_points_are_changed_by_hand(api: httpx.AsyncClient, sink: Sink) -> None:
    """More, fewer, activated, canceled: each answers as documented, and each is told by webhooks that are published."""
    card = await programme(api)
    sink.got.clear()
    for order in ("o-1", "o-2"):
        await buy(api, order, 0)
    first, second = [row["id"] for row in await waiting(api, card, "?order=created_at")]
    path = f"/v1/loyalties/members/{card}/pending-points"
    more = await send(api, "POST", f"{path}/{first}/balance", {"points": 5})
    check_answer("POST", f"{MEMBER}/{{pendingPointsId}}/balance", more)
    assert (more["points"], more["total"], more["operation_type"]) == (5, 19, "MANUAL")
    error = await send(api, "POST", f"{path}/{first}/balance", {"points": -12}, expect=400)
    assert error["key"] == "invalid_amount"
    answer = await send(api, "POST", f"{path}/{first}/activate")
    check_answer("POST", f"{MEMBER}/{{pendingPointsId}}/activate", answer)
    assert (answer["points"], answer["total"], answer["balance"], answer["operation_type"]) == (12, 12, 12, "MANUAL")
    await send(api, "POST", f"{path}/{second}/cancel", expect=204)
    shown = (await send(api, "GET", f"/v1/loyalties/members/{card}"))["loyalty_card"]
    assert (shown["balance"], shown["pending_points"]) == (await balance(api, card), 0) == (12, 0)
    await travel(api, "2026-02-01T00:00:00Z")
    assert await balance(api, card) == 12
    [row] = (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions"))["data"]
    assert (row["type"], row["source"]) == ("PENDING_POINTS_ACTIVATION", None)
    await sink.wait(1, "customer.voucher.loyalty_card.pending_points.canceled")
    told = [each for each in sink.got if "pending_points" in each.type]
    assert [each.type.rpartition(".")[2] for each in told if each.type.startswith("voucher.")] == [
        *("added", "added", "updated", "activated", "canceled")
    ]
    assert {each.type for each in told if each.type.startswith("customer.")} == {
        f"customer.{each.type}" for each in told if each.type.startswith("voucher.")
    }
    for each in told:
        check_webhook(each.type, each.body["data"])
    totals = [
        each.body["data"]["voucher_pending_points_balance"]["total"]
        for each in told
        if each.type.startswith("voucher.") and not each.type.endswith("activated")
    ]
    assert totals == [7, 14, 19, 0]


@pytest.mark.parametrize("verb", ["activate", "cancel", "balance"])
async def test_only_what_waits_can_be_changed(api: httpx.AsyncClient, verb: str) -> None:
    """Active and canceled points stay as they are; points of nobody are not found."""
    card = await programme(api)
    for order in ("o-1", "o-2"):
        await buy(api, order, 0)
    first, second = [row["id"] for row in await waiting(api, card)]
    path = f"/v1/loyalties/members/{card}/pending-points"
    await send(api, "POST", f"{path}/{first}/activate")
    await send(api, "POST", f"{path}/{second}/cancel", expect=204)
    for identifier, state in ((first, "ACTIVATED"), (second, "CANCELED")):
        error = await send(api, "POST", f"{path}/{identifier}/{verb}", {"points": 1}, expect=400)
        assert error["key"] == "invalid_pending_points_state"
        assert error["details"].endswith(f"Current status: '{state}'.")
    error = await send(api, "POST", f"{path}/lopp_none/{verb}", {"points": 1}, expect=404)
    assert error["resource_type"] == "pending_points"
    assert await balance(api, card) == 7


async def test_pending_points_are_paged_by_a_cursor(api: httpx.AsyncClient) -> None:
    """Newest first or oldest first; the cursor goes on where the page ended."""
    card = await programme(api)
    for place in range(3):
        await buy(api, f"o-{place}", 0)
    everything = [row["id"] for row in await waiting(api, card)]
    for query, wanted in (("?limit=2", everything), ("?limit=2&order=created_at", everything[::-1])):
        first = await waiting(api, card, query)
        second = await waiting(api, card, f"{query}&starting_after_id={first[-1]['id']}")
        assert [row["id"] for row in (*first, *second)] == wanted


async def test_the_rule_of_the_points_says_when_they_expire(api: httpx.AsyncClient) -> None:
    """A rule's own expiration rules count for its pending points too, from the day they are active."""
    await travel(api, "2026-01-10T12:00:00Z")
    await loyalty(api)
    waits = {"period_type": "DAY", "period_value": 1}
    rules = {"period_type": "MONTH", "period_value": 0}
    await rule(api, "order.paid", {"type": "FIXED", "points": 7}, pending_points=waits, expiration_rules=rules)
    card = await join(api)
    await buy(api, "o-1", 0)
    await travel(api, "2026-01-11T12:00:00Z")
    assert await buckets(api, card) == {"2026-01-11": 7}
    await travel(api, "2026-01-12T12:00:00Z")
    assert await balance(api, card) == 0
