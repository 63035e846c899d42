"""`--change`: what is there already becomes as the file says, with one call for each thing and no more."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from app.programmes import file
from app.programmes.changes import changeable
from app.programmes.format import Programme
from app.programmes.load import load, plan
from tests.programmes.conftest import Place

BEFORE = """
programme: Tea house
segments:
  - name: Regulars
    all_of: [{what: metadata.visits, more_than: 3}]
validation_rules:
  - name: Large orders
    all_of: [{what: order.amount, at_least: 1000}]
    message: Too small
products: [{source_id: cup, name: A cup}]
rewards:
  - {name: Credits, gift_card_of: Gift cards, credits_minor_units: 500}
  - {name: A real cup, product: cup, stock: 10, description: Blue}
campaigns:
  - kind: loyalty
    name: Leaves
    starts: 2026-01-01
    ends: 2030-12-31
    welcome_points: 5
    metadata: {season: spring}
    earning_rules:
      - {banner: Per order, when: {order: paid}, points: 10, pending_days: 3, starts: 2026-01-01}
    rewards: [{reward: Credits, points: 100}]
    tiers: [{name: Green, from_points: 10, to_points: 99}]
    tier_rules: {ends: after months, months: 6}
  - kind: discount
    name: Coupons
    usable_days: 30
    gives: {percent_off: 10}
  - {kind: gift, name: Gift cards, amount_minor_units: 0}
  - kind: promotion
    name: Happy hour
    tiers: [{name: Evening, banner: Come late, gives: {amount_off_minor_units: 100}}]
"""
CHANGES = [
    ("at_least: 1000", "at_least: 1500"),
    ("Too small", "Not enough"),
    ("credits_minor_units: 500", "credits_minor_units: 700"),
    ("stock: 10", "stock: 20"),
    ("Blue", "Green"),
    ("ends: 2030-12-31", "ends: 2031-12-31"),
    ("season: spring", "season: autumn"),
    ("points: 10, pending_days: 3", "points: 12, pending_days: 4, active: false"),
    ("points: 100}", "points: 120}"),
    ("months: 6", "months: 9"),
    ("starts: 2026-01-01}", "starts: 2026-02-01}"),
    ("usable_days: 30", "usable_days: 60"),
    ("percent_off: 10", "percent_off: 15"),
    ("name: Gift cards, amount_minor_units: 0", "name: Gift cards, amount_minor_units: 50"),
    ("banner: Come late, gives: {amount_off_minor_units: 100}", "banner: Later, gives: {amount_off_minor_units: 150}"),
]
CALLS = 9
"""One for each thing above that differs: the programme has its dates, its metadata and its tiers' terms in one."""


def before() -> Programme:
    return file.read(BEFORE, "tea.yaml")


def text_after() -> str:
    text = BEFORE
    for old, new in CHANGES:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def after() -> Programme:
    return file.read(text_after(), "tea.yaml")


async def differing(place: Place, programme: Programme) -> list[str]:
    return [str(each) for each in (await plan(place.target, programme))[0].differences]


async def test_one_call_for_each_thing_that_differs(place: Place) -> None:
    """All that a PUT can change is changed, in as many calls as were announced, and then there is nothing to do."""
    await load(place.target, before())
    made, _ = await plan(place.target, after())
    assert [str(each) for each in made.differences if each.change is None] == []
    place.app.edge.log.clear()
    left = await load(place.target, after(), change=True)
    assert (left.steps, [str(each) for each in left.differences]) == ([], [])
    assert len(place.written()) == len(made.changes) == CALLS
    place.app.edge.log.clear()
    await load(place.target, after(), change=True)
    assert place.written() == []


async def test_only_what_differs_is_sent(place: Place) -> None:
    """A PUT has the fields that differ and no others, so that it undoes nothing that the file does not speak of."""
    await load(place.target, before())
    await place.target.caller.write("PUT", "/v1/campaigns/Coupons", {"metadata": {"by": "somebody"}})
    place.app.edge.log.clear()
    await load(place.target, file.read(BEFORE.replace("percent_off: 10", "percent_off: 15"), "tea.yaml"), change=True)
    sent = [row for row in place.app.edge.log if row["method"] != "GET"]
    assert [row["request"] for row in sent] == [
        {"discount": {"type": "PERCENT", "effect": "APPLY_TO_ORDER", "percent_off": 15}}
    ]
    shown = await place.target.caller.get("/v1/campaigns/Coupons")
    assert shown["metadata"] == {"by": "somebody"}


async def test_a_tier_of_a_promotion_is_switched(place: Place) -> None:
    """Whether a promotion's tier is on is no field of its PUT: it is switched, off and on again."""
    await load(place.target, before())
    off = file.read(BEFORE.replace("banner: Come late", "active: false, banner: Come late"), "tea.yaml")
    for wanted, verb in ((off, "disable"), (before(), "enable")):
        place.app.edge.log.clear()
        left = await load(place.target, wanted, change=True)
        assert left.differences == []
        [call] = place.written()
        assert call.startswith("POST /v1/promotions/tiers/promo_")
        assert call.endswith(verb)


async def test_what_has_no_put_is_told_and_left(place: Place) -> None:
    """A segment's filter, welcome points and a loyalty tier stay as they are, with --change too, and are told."""
    await load(place.target, before())
    other = BEFORE.replace("more_than: 3", "more_than: 4").replace("welcome_points: 5", "welcome_points: 6")
    wanted = file.read(other.replace("to_points: 99", "to_points: 98"), "tea.yaml")
    made, _ = await plan(place.target, wanted)
    assert (len(made.differences), made.changes) == (3, [])
    place.app.edge.log.clear()
    assert len((await load(place.target, wanted, change=True)).differences) == 3
    assert place.written() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gives: {percent_off: 10}", "gives: {amount_off_minor_units: 10}"),
        ("product: cup, stock: 10", "coupon_of: Coupons, stock: 20"),
        ("when: {order: paid}, points: 10, pending_days: 3, starts: 2026-01-01", "when: {tier: joined}, points: 12"),
    ],
)
async def test_a_thing_of_another_kind_is_left(place: Place, old: str, new: str) -> None:
    """What no call makes of a thing is not tried: a programme file is no reason for a refusal in the middle."""
    await load(place.target, before())
    assert BEFORE.count(old) == 1
    wanted = file.read(BEFORE.replace(old, new), "tea.yaml")
    place.app.edge.log.clear()
    left = await load(place.target, wanted, change=True)
    assert left.differences
    assert place.written() == []


async def test_a_lost_answer_does_not_end_the_changing(place: Place) -> None:
    """After an answer that got lost it is looked at again, and the rest is changed, too."""
    await load(place.target, before())
    await place.fault(lose_answer_next={"count": 1, "path": "/v1/validation-rules", "method": "PUT"})
    told: list[str] = []
    left = await load(place.target, after(), change=True, done=told.append)
    assert "an answer was lost: looking what is there …" in told
    assert left.differences == []


async def test_a_dry_run_says_what_would_change(place: Place, tmp_path: Path) -> None:
    """The plan names each field with both values, then the calls and how many, and nothing is changed."""
    await load(place.target, before())
    (tmp_path / "tea.yaml").write_text(text_after())
    place.app.edge.log.clear()
    process = place.command(tmp_path, "tea.yaml", "--change", "--dry-run")
    said, wrong = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, wrong
    assert "campaign Coupons: voucher.discount.percent_off is 10, the file says 15\n" in said
    assert f"To be changed, with {CALLS} calls that write:\n" in said
    assert "\n  change the campaign Coupons\n" in said
    assert place.written() == []
    assert len(await differing(place, before())) == 0


@pytest.mark.parametrize("calls", [1, 4, 7])
async def test_killed_while_changing_and_run_again(place: Place, tmp_path: Path, calls: int) -> None:
    """kill -9 after some changes and the same command again: all is as the file says, and each was done once."""
    await load(place.target, before())
    (tmp_path / "tea.yaml").write_text(text_after())
    place.app.edge.log.clear()
    await place.fault(latency_ms=400)
    process = place.command(tmp_path, "tea.yaml", "--change", "--yes")
    until = time.monotonic() + 60
    while len(place.written()) < calls:
        assert time.monotonic() < until, "it did not come so far"
        assert process.poll() is None, process.communicate()
        await asyncio.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.communicate)
    assert (await place.http.delete("/sandbox/faults")).status_code == 200
    await _quiet(place)
    done = len(place.written())
    assert done < CALLS
    again = place.command(tmp_path, "tea.yaml", "--change", "--yes")
    said, wrong = await asyncio.to_thread(again.communicate)
    assert again.returncode == 0, wrong
    assert f"Done, with {CALLS - done} calls that write" in said
    assert await differing(place, after()) == []


async def _quiet(place: Place) -> None:
    """Until what was under way in the sandbox has ended: a call of ours comes after it, and the log stays as it is."""
    seen: list[Any] = [None]
    while seen[-1] != len(place.app.edge.log):
        seen.append(len(place.app.edge.log))
        await asyncio.sleep(0.5)


def test_a_real_project_takes_more() -> None:
    """Another validation rule for an earning rule is changed where the project is real; stock is of products alone."""
    assert changeable("earning rule", {}, ["validation_rule_id"], sandbox=False)
    assert not changeable("earning rule", {}, ["validation_rule_id"], sandbox=True)
    assert changeable("reward", {"type": "MATERIAL"}, ["stock"], sandbox=False)
    assert not changeable("reward", {"type": "CAMPAIGN"}, ["attributes.description"], sandbox=False)
