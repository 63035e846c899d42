"""Rewards and their prices: changed, listed and taken away, by the addresses of rewards and of programmes."""

from typing import Any

import httpx
import pytest

from tests.sandbox import shop
from tests.sandbox.programme import COUPONS, LOYALTY, coupons, join, loyalty, send
from tests.sandbox.published import check_answer
from tests.sandbox.serving import Sink

OF_REWARD = "/v1/rewards/{rewardId}/assignments"
OF_PROGRAM = "/v1/loyalties/{campaignId}"


async def made(api: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    campaign = await coupons(api)
    body = {"name": "10 % off", "parameters": {"campaign": {"id": campaign["id"]}}, **more}
    answer: dict[str, Any] = await send(api, "POST", "/v1/rewards", body)
    return answer


async def test_a_reward_changes_and_goes(api: httpx.AsyncClient) -> None:
    """What the request names changes; a reward that a programme has can't be deleted, another is gone for good."""
    await loyalty(api)
    reward = await made(api, metadata={"a": 1, "b": 2})
    path = f"/v1/rewards/{reward['id']}"
    body = {"name": "Ten off", "metadata": {"b": None, "c": 3}, "attributes": {"description": "All"}}
    changed = await send(api, "PUT", path, body)
    check_answer("PUT", "/v1/rewards/{rewardId}", changed)
    assert (changed["name"], changed["metadata"]) == ("Ten off", {"a": 1, "c": 3})
    assert (changed["parameters"], changed["updated_at"] is None) == (reward["parameters"], False)
    wanted = {"campaign": LOYALTY, "parameters": {"loyalty": {"points": 5}}}
    assigned = await send(api, "POST", f"{path}/assignments", wanted)
    refused = await send(api, "DELETE", path, expect=400)
    assert (refused["key"], refused["related_object_ids"]) == ("resource_in_use", [assigned["id"]])
    await send(api, "DELETE", f"{path}/assignments/{assigned['id']}", expect=204)
    await send(api, "DELETE", path, expect=204)
    assert (await send(api, "GET", path, expect=404))["resource_type"] == "reward"
    assert (await send(api, "DELETE", path, expect=404))["key"] == "not_found"


async def test_a_price_by_the_address_of_the_reward(api: httpx.AsyncClient) -> None:
    """Made once, read, listed, changed and taken away, each as published."""
    await loyalty(api)
    reward = await made(api)
    path = f"/v1/rewards/{reward['id']}/assignments"
    wanted = {"campaign": LOYALTY, "parameters": {"loyalty": {"points": 5}}}
    first = await send(api, "POST", path, wanted)
    check_answer("POST", OF_REWARD, first)
    assert (await send(api, "POST", path, wanted, expect=409))["key"] == "duplicate_found"
    assert (await send(api, "POST", path, {"campaign": LOYALTY}, expect=400))["key"] == "missing_param"
    changed = await send(api, "PUT", f"{path}/{first['id']}", {"parameters": {"loyalty": {"points": 7}}})
    check_answer("PUT", OF_REWARD + "/{assignmentId}", changed)
    read = await send(api, "GET", f"{path}/{first['id']}")
    check_answer("GET", OF_REWARD + "/{assignmentId}", read)
    assert read["parameters"] == {"loyalty": {"points": 7}}
    listed = await send(api, "GET", path)
    check_answer("GET", OF_REWARD, listed)
    assert listed["data"] == [read]
    found = await send(api, "GET", f"/v1/rewards?assignment_id={first['id']}")
    assert ([each["id"] for each in found["data"]], found["total"]) == ([reward["id"]], 1)
    assert (await send(api, "GET", "/v1/rewards?assignment_id=none"))["total"] == 0
    await send(api, "DELETE", f"{path}/{first['id']}", expect=204)
    assert (await send(api, "DELETE", f"{path}/{first['id']}", expect=404))["resource_type"] == "reward_assignment"


async def test_a_price_by_the_address_of_the_programme(api: httpx.AsyncClient) -> None:
    """The same at both names that a programme's addresses have; the changed price is what the card pays."""
    await loyalty(api, points=50)
    reward, card = await shop.mug(api, stock=None, price=60), await join(api)
    at = f"/v1/loyalties/{LOYALTY}"
    [row] = (await send(api, "GET", f"{at}/rewards"))["data"]
    for name in ("rewards", "reward-assignments"):
        read = await send(api, "GET", f"{at}/{name}/{row['id']}")
        check_answer("GET", f"{OF_PROGRAM}/{name}/{{assignmentId}}", read)
        assert read == row
    listed = await send(api, "GET", f"{at}/reward-assignments")
    check_answer("GET", f"{OF_PROGRAM}/reward-assignments", listed)
    assert listed["data"] == [row]
    assert (await send(api, "GET", f"{at}/rewards?assignment_id=none"))["total"] == 0
    assert (await send(api, "GET", f"{at}/reward-assignments?assignmentId={row['id']}"))["total"] == 1
    shown = await send(api, "GET", f"{at}/reward-assignments/{row['id']}/reward")
    check_answer("GET", f"{OF_PROGRAM}/reward-assignments/{{assignmentId}}/reward", shown)
    assert shown == await send(api, "GET", f"/v1/rewards/{reward['id']}")
    await shop.buy(api, card, reward["id"], expect=400)
    body = {"parameters": {"loyalty": {"points": 40}}}
    changed = await send(api, "PUT", f"{at}/rewards/{row['id']}", body)
    check_answer("PUT", f"{OF_PROGRAM}/rewards/{{assignmentId}}", changed)
    assert (await shop.buy(api, card, reward["id"]))["amount"] == 40
    await send(api, "DELETE", f"{at}/rewards/{row['id']}", expect=204)
    await shop.buy(api, card, reward["id"], expect=404)
    missing = await send(api, "GET", f"{at}/rewards/{row['id']}", expect=404)
    assert missing["resource_type"] == "reward_assignment"


async def test_a_price_is_told(api: httpx.AsyncClient, sink: Sink) -> None:
    """Making, changing and taking away a price tells the project's webhook, with the reward and the price."""
    await loyalty(api)
    reward = await shop.mug(api)
    [row] = (await send(api, "GET", f"/v1/loyalties/{LOYALTY}/rewards"))["data"]
    path = f"/v1/rewards/{reward['id']}/assignments/{row['id']}"
    await send(api, "PUT", path, {"parameters": {"loyalty": {"points": 7}}})
    await send(api, "DELETE", path, expect=204)
    for what, points in (("created", 100), ("updated", 7), ("deleted", 7)):
        [told] = await sink.wait(1, f"campaign.reward.assignment.{what}")
        assert told["data"]["reward"]["id"] == reward["id"]
        assert told["data"]["reward_assignment"]["parameters"]["loyalty"]["points"] == points


@pytest.mark.parametrize(
    ("parameters", "more", "key"),
    [
        ({}, {}, "invalid_payload"),
        ({"coin": {"exchange_ratio": 1}, "product": {"id": "mug"}}, {}, "invalid_payload"),
        ({"coin": {"exchange_ratio": 0}}, {}, "invalid_payload"),
        ({"coin": {"exchange_ratio": "much"}}, {}, "invalid_payload"),
        ({"coin": {"exchange_ratio": 1, "points_ratio": 1.5}}, {}, "invalid_payload"),
        ({"coin": {"exchange_ratio": 1}}, {"stock": 3}, "invalid_payload"),
        ({"coin": {"exchange_ratio": 1}}, {"type": "MATERIAL"}, "invalid_payload"),
        ({"product": {"id": "none"}}, {}, "not_found"),
        ({"campaign": {"id": "none"}}, {}, "not_found"),
        ({"campaign": {"id": LOYALTY}}, {}, "invalid_balance"),
        ({"campaign": {"id": LOYALTY, "balance": 0}}, {}, "invalid_balance"),
        ({"campaign": {"id": "Promo"}}, {}, "invalid_campaign"),
    ],
)
async def test_what_is_no_reward_is_refused(
    api: httpx.AsyncClient, parameters: dict[str, Any], more: dict[str, Any], key: str
) -> None:
    """Each mistake is refused by name, and nothing is made of it."""
    await loyalty(api)
    await send(api, "POST", "/v1/campaigns", {"name": "Promo", "campaign_type": "PROMOTION"})
    body = {"name": "A reward", "parameters": parameters, **more}
    answer = await api.post("/v1/rewards", json=body)
    assert (answer.status_code, answer.json()["key"]) == (404 if key == "not_found" else 400, key)
    assert (await send(api, "GET", "/v1/rewards"))["total"] == 0


async def test_a_reward_keeps_its_kind(api: httpx.AsyncClient) -> None:
    """A coupon can't become a product."""
    await loyalty(api)
    reward = await made(api)
    body = {"parameters": {"coin": {"exchange_ratio": 1}}}
    refused = await send(api, "PUT", f"/v1/rewards/{reward['id']}", body, expect=400)
    assert refused["key"] == "invalid_payload"
    again = {"parameters": {"campaign": {"id": COUPONS}}}
    assert (await send(api, "PUT", f"/v1/rewards/{reward['id']}", again))["parameters"] == reward["parameters"]
