"""Loading programmes: once is enough, twice changes nothing, and a broken one goes on where it ended."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.errors import VoucherifyRefused
from app.programmes import file
from app.programmes.caller import Caller
from app.programmes.format import Programme
from app.programmes.load import Target, load, plan
from app.voucherify.client import Client
from tests.programmes.conftest import ROOT, Place

DEMO = ROOT / "app/programmes/shipped/demo.yaml"


def demo() -> Programme:
    return file.load(DEMO)


async def everything(place: Place) -> dict[str, Any]:
    """What the project has, by names, without what each making gives anew."""
    get = place.target.caller.get
    campaigns = {each["name"]: each["voucher"] for each in (await get("/v1/campaigns", {"limit": 100}))["campaigns"]}
    loyalty = [name for name, voucher in campaigns.items() if voucher["type"] == "LOYALTY_CARD"]
    rules = [
        (name, rule["source"]["banner"], rule["loyalty"])
        for name in loyalty
        for rule in (await get(f"/v1/loyalties/{name}/earning-rules"))["data"]
    ]
    rewards = sorted(reward["name"] for reward in (await get("/v1/rewards"))["data"])
    prices = [
        (name, price["parameters"]["loyalty"]["points"])
        for name in loyalty
        for price in (await get(f"/v1/loyalties/{name}/rewards"))["data"]
    ]
    schemas = {each["related_object"]: each["properties"] for each in (await get("/v1/metadata-schemas"))["schemas"]}
    return {"campaigns": campaigns, "rules": rules, "rewards": rewards, "prices": prices, "schemas": schemas}


async def test_the_plan_announces_each_call(place: Place) -> None:
    """The plan counts as many calls as loading then makes, and names everything in the file."""
    made, _ = await plan(place.target, demo())
    assert place.written() == []
    place.app.edge.log.clear()
    await load(place.target, demo())
    # Schemas are defined at an address of the sandbox's own, which its log leaves out.
    assert len(place.written()) == len(made.steps) - 1 == 6
    told = "\n".join(step.says for step in made.steps)
    for name in ("Loyalty Program", "Big basket", "Free coffee", "1 point for every full 1.00", "customer"):
        assert name in told


async def test_a_second_run_makes_no_writing_call(place: Place) -> None:
    """What is there as the file says stays untouched: no call but GET."""
    await load(place.target, demo())
    before = await everything(place)
    place.app.edge.log.clear()
    left = await load(place.target, demo())
    assert place.written() == []
    assert (left.steps, left.differences) == ([], [])
    assert left.as_wanted == 7
    assert await everything(place) == before


async def test_what_differs_is_shown_and_left(place: Place) -> None:
    """Somebody's change in the dashboard is told with both values, and not overwritten."""
    await load(place.target, demo())
    changed = file.read(DEMO.read_text().replace("percent_off: 10", "percent_off: 15"), "p.yaml")
    place.app.edge.log.clear()
    left = await load(place.target, changed)
    assert [str(each) for each in left.differences] == [
        "campaign Big basket: voucher.discount.percent_off is 10, the file says 15"
    ]
    assert place.written() == []


async def test_change_changes_what_the_api_can(place: Place) -> None:
    """With --change a campaign is switched off, a rule too, and a product gets its new price."""
    text = DEMO.read_text().replace("campaigns:\n", "products: [{source_id: tea, name: Tea, price_minor_units: 290}]\n"
                                    "campaigns:\n", 1)  # fmt: skip
    await load(place.target, file.read(text, "p.yaml"))
    text = text.replace("price_minor_units: 290", "price_minor_units: 310")
    text = text.replace("name: Big basket\n", "name: Big basket\n    active: false\n", 1)
    text = text.replace("        points: 1\n", "        points: 1\n        active: false\n", 1)
    wanted = file.read(text, "p.yaml")
    made, _ = await plan(place.target, wanted)
    assert sorted(f"{each.name} {each.field}" for each in made.differences) == [
        "Big basket active", "Loyalty Program/1 point for every full 1.00 active", "tea price",
    ]  # fmt: skip
    left = await load(place.target, wanted, change=True)
    assert (left.steps, left.differences) == ([], [])
    assert (await place.target.caller.get("/v1/products/tea"))["price"] == 310
    assert (await place.target.caller.get("/v1/campaigns/Big%20basket"))["active"] is False


async def test_a_schema_keeps_what_the_file_does_not_know(place: Place) -> None:
    """A key that somebody else defined stays when the file's are added."""
    body = {"related_object": "customer", "properties": {"shoe_size": "number"}}
    await place.http.post("/sandbox/metadata-schemas", json=body)
    left = await load(place.target, demo(), change=True)
    assert left.differences == []
    [schema] = (await place.target.caller.get("/v1/metadata-schemas"))["schemas"]
    assert set(schema["properties"]) == {"shoe_size", "registered_customer", "enrolled_by"}


@pytest.mark.parametrize("calls", [1, 3])
async def test_killed_in_the_middle_and_run_again(place: Place, tmp_path: Path, calls: int) -> None:
    """kill -9 after some calls, the same command again: what it then has is what one whole run makes, and once."""
    await load(place.target, demo())
    once = await everything(place)
    assert (await place.http.post("/sandbox/reset")).status_code == 200
    await place.fault(latency_ms=400)  # so that the rest takes longer than the kill
    process = place.command(tmp_path, str(DEMO), "--yes")
    until = time.monotonic() + 60
    while len(place.written()) < calls:
        assert time.monotonic() < until, "it did not come so far"
        assert process.poll() is None, process.communicate()
        await _turn()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (await place.http.delete("/sandbox/faults")).status_code == 200
    await _turn(0.5)  # what was under way in the sandbox ends
    assert await everything(place) != once
    again = place.command(tmp_path, str(DEMO), "--yes")
    while again.poll() is None:
        await _turn()
    said, wrong = again.communicate()
    assert again.returncode == 0, wrong
    assert "Done, with" in said
    assert await everything(place) == once


async def test_a_lost_answer_makes_nothing_twice(place: Place) -> None:
    """A reward has no unique name: after an answer that got lost it is looked for, not made again."""
    await place.fault(lose_answer_next={"count": 1, "path": "/v1/rewards", "method": "POST"})
    told: list[str] = []
    left = await load(place.target, demo(), done=told.append)
    assert left.steps == []
    assert "an answer was lost: looking what is there …" in told
    assert (await everything(place))["rewards"] == ["Free coffee"]


async def test_somebody_else_was_quicker(place: Place) -> None:
    """A campaign that appears between plan and call is taken as it is, not an error."""
    begun = await plan(place.target, demo())
    body = {"name": "Big basket", "campaign_type": "DISCOUNT_COUPONS", "type": "AUTO_UPDATE",
            "voucher": {"type": "DISCOUNT_VOUCHER", "discount": {"type": "PERCENT", "percent_off": 20}}}  # fmt: skip
    await place.target.caller.write("POST", "/v1/campaigns", body)
    left = await load(place.target, demo(), begun=begun)
    assert left.steps == []
    assert {each.name for each in left.differences} == {"Big basket"}


async def test_too_many_calls_are_waited_out(place: Place) -> None:
    """A 429 is waited out for as long as it says, and the same call made again."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(seconds)

    caller = Caller(place.own.client, sleep=sleep)
    await place.fault(fail_next={"count": 2, "path": "/v1/campaigns", "method": "POST", "status": 429})
    told: list[str] = []
    left = await load(Target(caller, sandbox=True, public_url=""), demo(), done=told.append)
    assert left.steps == []
    assert waits == [1.0, 1.0]
    assert len(told) == 7  # each step once: nothing was looked at again


async def test_the_rate_headers_are_kept_to() -> None:
    """Where no call is left, the next one is not sent before the moment that the headers name, and that is told."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        headers = {"x-rate-limit-remaining": "0", "x-rate-limit-retry": str(int(time.time()) + 600)}
        return httpx.Response(200, json={"data": []}, headers=headers)

    waits: list[float] = []
    told: list[str] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        raise InterruptedError  # who waits for ten minutes in a test?

    client = Client("http://v", SecretStr("a"), SecretStr("b"), transport=httpx.MockTransport(answer))
    caller = Caller(client, tell=told.append, sleep=sleep)
    await caller.get("/v1/rewards")
    assert waits == []
    with pytest.raises(InterruptedError):
        await caller.write("POST", "/v1/rewards", {})
    assert asked == ["GET"]
    assert waits == [pytest.approx(600, abs=60)]
    assert len(told) == 1
    await client.close()


async def test_a_refusal_ends_it_with_its_sentence(place: Place) -> None:
    """What Voucherify refuses is told as it says it, and what was made stays."""
    await place.fault(fail_next={"count": 1, "path": "/v1/rewards", "method": "POST", "status": 402})
    with pytest.raises(VoucherifyRefused, match="402"):
        await load(place.target, demo())
    assert len((await everything(place))["campaigns"]) == 3
    assert (await load(place.target, demo())).steps == []


async def test_a_campaign_gets_the_id_that_apps_know(place: Place) -> None:
    """`sandbox_id` is the id of the campaign in the sandbox; one that has another already is told."""
    text = DEMO.read_text().replace("name: Loyalty Program\n", "name: Loyalty Program\n    sandbox_id: camp_known\n", 1)
    await load(place.target, file.read(text, "p.yaml"))
    assert (await place.target.caller.get("/v1/campaigns/camp_known"))["name"] == "Loyalty Program"
    other = file.read(text.replace("camp_known", "camp_other"), "p.yaml")
    left = await load(place.target, other)
    assert [str(each) for each in left.differences] == [
        "campaign Loyalty Program: id is 'camp_known', the file says 'camp_other'"
    ]


async def test_webhooks_are_added_to_those_that_are_there(place: Place) -> None:
    """A webhook of the file is added with the address of this backend, and what was set stays."""
    await place.http.post("/sandbox/webhooks", json={"target_url": "http://other.test/hook"})
    text = DEMO.read_text() + '\nwebhooks: [{url: "{PUBLIC_URL}/webhooks/voucherify"}]\n'
    assert (await load(place.target, file.read(text, "p.yaml"))).steps == []
    shown = (await place.http.get("/sandbox/webhooks")).json()["data"]
    assert {each["target_url"] for each in shown} == {
        "http://other.test/hook", "http://backend.test/webhooks/voucherify",
    }  # fmt: skip
    assert (await plan(place.target, file.read(text, "p.yaml")))[0].steps == []


async def test_a_real_project_gets_calls_of_the_api_alone(place: Place) -> None:
    """Into a real project nothing goes to addresses that only the sandbox has; the rest is told as steps by hand."""
    text = DEMO.read_text() + (
        "\nevents: [{name: Signup, metadata: {city: string}}]\n"
        'webhooks: [{url: "{PUBLIC_URL}/webhooks/voucherify", distributions: [customer.order.paid]}]\n'
    )
    text = text.replace(
        "    rewards:\n", "      - {banner: Hello, when: {event: Signup}, points: 5}\n    rewards:\n", 1
    )
    paths: list[str] = []
    place.own.client.observe = lambda call: paths.append(call.path)
    try:
        target = Target(Caller(place.own.client), sandbox=False, public_url="https://shop.test")
        left = await load(target, file.read(text, "p.yaml"))
    finally:
        place.own.client.observe = None
    assert paths
    assert all(path.startswith("/v1/") for path in paths)
    told = "\n".join(left.by_hand)
    for step in (
        "Metadata schema → Customers: add `registered_customer` (boolean).",
        "Event schema: see that there is an event `Signup` with the metadata `city` (string).",
        "Loyalty → Loyalty Program → Earning rules: on the event `Signup` give 5 points, with the name «Hello».",
        "Webhooks → Add, version v2024-01-01: https://shop.test/webhooks/voucherify, all events.",
        "one for each of: customer.order.paid",
    ):
        assert step in told
    assert [rule[1] for rule in (await everything(place))["rules"]] == ["1 point for every full 1.00"]


async def _turn(seconds: float = 0.01) -> None:
    """Let the sandbox, which runs in this process, go on."""
    await asyncio.sleep(seconds)
