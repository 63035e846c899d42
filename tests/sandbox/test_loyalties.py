"""Cards: points added and taken by hand, custom events, and the ledger under it all."""

import asyncio

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.sandbox.earning_calculation import points
from tests.sandbox.programme import LOYALTY, balance, buy, join, loyalty, proportional, rule, send
from tests.sandbox.published import check_answer


async def test_points_are_added_and_taken_by_hand(api: httpx.AsyncClient) -> None:
    """The answer is the documented balance object; what is taken off lowers the balance, not `total`."""
    await loyalty(api, points=100)
    card = await join(api)
    added = await send(api, "POST", f"/v1/loyalties/members/{card}/balance", {"points": 88, "reason": "sorry"})
    voucher_id = (await send(api, "GET", f"/v1/vouchers/{card}"))["id"]
    assert added == {
        "points": 88,
        "total": 188,
        "balance": 188,
        "type": "loyalty_card",
        "object": "balance",
        "related_object": {"type": "voucher", "id": voucher_id},
        "operation_type": "MANUAL",
    }
    taken = await send(api, "POST", f"/v1/loyalties/{LOYALTY}/members/{card}/balance", {"points": -8})
    assert (taken["points"], taken["total"], taken["balance"]) == (-8, 188, 180)
    shown = (await send(api, "GET", f"/v1/loyalties/members/{card}"))["loyalty_card"]
    assert (shown["points"], shown["balance"], shown["subtracted_points"]) == (188, 180, 8)


async def test_an_adjustment_names_who_made_it(api: httpx.AsyncClient) -> None:
    """The caller's channel becomes the transaction's source; source_id and reason are kept."""
    await loyalty(api)
    card = await join(api)
    body = {"points": 5, "reason": "r", "source_id": "adj-1"}
    await api.post(f"/v1/loyalties/members/{card}/balance", json=body, headers={"X-Voucherify-Channel": "Till"})
    [row] = (await send(api, "GET", f"/v1/loyalties/members/{card}/transactions"))["data"]
    assert (row["type"], row["source"], row["reason"], row["source_id"]) == ("POINTS_ADDITION", "Till", "r", "adj-1")


async def test_more_than_there_is_cannot_be_taken(api: httpx.AsyncClient) -> None:
    """Twenty removals at once of a card that holds enough for five: five work, and it ends at zero."""
    await loyalty(api, points=50)
    card = await join(api)
    path = f"/v1/loyalties/members/{card}/balance"
    answers = await asyncio.gather(*(api.post(path, json={"points": -10}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [400] * 15
    assert {answer.json()["key"] for answer in answers if answer.is_error} == {"loyalty_card_points_exceeded"}
    assert await balance(api, card) == 0


async def test_an_unpublished_card_takes_no_points(api: httpx.AsyncClient) -> None:
    """Only a card that somebody holds can be adjusted."""
    voucher = {"type": "LOYALTY_CARD", "code_config": {"pattern": "FREE-1"}}
    await send(api, "POST", "/v1/loyalties", {"name": "p", "vouchers_count": 1, "voucher": voucher})
    error = await send(api, "POST", "/v1/loyalties/members/FREE-1/balance", {"points": 1}, expect=400)
    assert error["key"] == "invalid_voucher"


@pytest.mark.parametrize("body", [{}, {"points": 0}, {"points": "5"}, {"points": 2**60}, {"points": 1.5}])
async def test_a_bad_adjustment_is_refused(api: httpx.AsyncClient, body: dict[str, object]) -> None:
    """No points, none at all, text, too many, half of one."""
    await loyalty(api)
    card = await join(api)
    await send(api, "POST", f"/v1/loyalties/members/{card}/balance", body, expect=400)


async def test_a_card_is_looked_up_within_its_programme(api: httpx.AsyncClient) -> None:
    """With another programme in the address the card is not found there."""
    await loyalty(api)
    card = await join(api)
    assert (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/members/{card}"))["code"] == card
    await send(api, "GET", f"/v1/loyalties/other/members/{card}", expect=404)


async def test_transactions_are_paged_by_a_cursor(api: httpx.AsyncClient) -> None:
    """Newest first; `more_starting_after` is there only while there is more."""
    await loyalty(api)
    card = await join(api)
    for n in (1, 2, 3):
        await send(api, "POST", f"/v1/loyalties/members/{card}/balance", {"points": n})
    path = f"/v1/loyalties/members/{card}/transactions?limit=2"
    first = await send(api, "GET", path)
    second = await send(api, "GET", f"{path}&starting_after_id={first['more_starting_after']}")
    seen = [row["details"]["balance"]["points"] for row in [*first["data"], *second["data"]]]
    assert (seen, first["has_more"], second["has_more"]) == ([3, 2, 1], True, False)
    assert "more_starting_after" not in second


async def test_a_custom_event_earns_each_time(api: httpx.AsyncClient) -> None:
    """There is no key: the same event sent twice earns twice. The customer is made if need be."""
    await loyalty(api)
    await rule(api, "visit", {"type": "FIXED", "points": 5})
    card = await join(api)
    body = {"event": "visit", "customer": {"source_id": "u-1"}, "metadata": {"shop": "A"}}
    answer = await send(api, "POST", "/v1/events", body)
    assert (answer["object"], answer["type"], answer["customer"]["source_id"]) == ("event", "visit", "u-1")
    await send(api, "POST", "/v1/events", body)
    await send(api, "POST", "/v1/events", {"event": "other", "customer": {"source_id": "u-2"}})
    assert await balance(api, card) == 10
    await send(api, "GET", "/v1/customers/u-2")


async def test_a_custom_event_may_name_the_card(api: httpx.AsyncClient) -> None:
    """Points go to the named card; a card of somebody else gets none by it."""
    await loyalty(api)
    await rule(api, "visit", {"type": "FIXED", "points": 5})
    mine, other = await join(api), await join(api, "u-2")
    for code in (mine, other):
        body = {"event": "visit", "customer": {"source_id": "u-1"}, "loyalty": {"code": code}}
        await send(api, "POST", "/v1/events", body)
    assert (await balance(api, mine), await balance(api, other)) == (5, 0)


async def test_the_answer_to_an_unknown_customer_id(api: httpx.AsyncClient) -> None:
    """An id that there is not is a 404: it can't be made up."""
    error = await send(api, "POST", "/v1/events", {"event": "x", "customer": {"id": "cust_none"}}, expect=404)
    assert error["resource_type"] == "customer"


@given(st.integers(0, 10**9), st.integers(1, 10**6), st.integers(1, 1000))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_proportional_points_are_full_steps_only(amount: int, every: int, gives: int) -> None:
    """Law: never more than the amount is worth, never a full step less."""
    given_points = points(proportional("amount", every, gives), {"amount": amount})
    assert given_points * every <= amount * gives < given_points * every + every * gives


@given(st.lists(st.tuples(st.sampled_from(["buy", "event", "add", "take"]), st.integers(1, 300)), max_size=8))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_balance_is_the_sum_of_its_ledger(api: httpx.AsyncClient, steps: list[tuple[str, int]]) -> None:
    """Law: whatever is bought, tracked, added and taken, a balance is the initial points and its movements."""
    await send(api, "POST", "/sandbox/reset")
    await loyalty(api, points=20)
    await rule(api, "visit", {"type": "FIXED", "points": 3})
    card, expected = await join(api), 20
    for place, (step, amount) in enumerate(steps):
        if step == "buy":
            await buy(api, f"o-{place}", amount * 10)
            expected += amount * 10 // 100
        elif step == "event":
            await send(api, "POST", "/v1/events", {"event": "visit", "customer": {"source_id": "u-1"}})
            expected += 3
        else:
            moved = amount if step == "add" else -amount
            answer = await api.post(f"/v1/loyalties/members/{card}/balance", json={"points": moved})
            assert answer.status_code == (200 if expected + moved >= 0 else 400)
            expected += moved if answer.status_code == 200 else 0
    assert await balance(api, card) == expected


async def test_a_programme_is_changed_and_deleted_by_its_own_address(api: httpx.AsyncClient) -> None:
    """As campaigns are, with the loyalty answers; a coupon campaign is none, and other terms for tiers are refused."""
    await loyalty(api, points=5)
    at = f"/v1/loyalties/{LOYALTY}"
    changed = await send(api, "PUT", at, {"description": "Earn and burn", "metadata": {"wave": 2}})
    check_answer("PUT", "/v1/loyalties/{campaignId}", changed)
    assert (changed["description"], changed["metadata"], changed["join_once"]) == ("Earn and burn", {"wave": 2}, True)
    await send(api, "PUT", at, {"loyalty_tiers_expiration": {}}, expect=400)
    card = await join(api)
    gone = await send(api, "DELETE", at)
    check_answer("DELETE", "/v1/loyalties/{campaignId}", gone)
    assert (await send(api, "GET", f"/v1/async-actions/{gone['async_action_id']}"))["status"] == "DONE"
    await send(api, "GET", at, expect=404)
    await send(api, "GET", f"/v1/vouchers/{card}", expect=404)
    await send(api, "DELETE", at, expect=404)
