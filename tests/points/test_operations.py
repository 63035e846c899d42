"""Points move once: what Voucherify's ledger has is what our own row says, whatever was lost in between."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from app.errors import Conflict
from app.points.operations import Points
from app.points.sweeper import sweep
from app.points.words import told
from app.voucherify.loyalty import LoyaltyV1, Outcome, Request
from tests.points.conftest import KINDS, PRICE, WELCOME, Counter, Holder, faulty, wanted


class Killed(BaseException):
    """The process ended here."""


@dataclass(frozen=True)
class Dying(LoyaltyV1):
    """The engine of a process that is killed just before a request leaves, or just after its answer came."""

    before: bool = True

    async def buy(self, request: Request) -> Outcome:
        if not self.before:
            await self.client.call(request.method, request.path, request.body)
        raise Killed

    adjust = buy


async def assert_once(counter: Counter, holder: Holder) -> None:
    """Voucherify got the request once and carried it out once."""
    assert await counter.sent(holder) == 1
    [row] = await counter.moved(holder)
    assert row["details"]["balance"]["points"] == -PRICE
    assert await counter.balance(holder) == WELCOME


async def test_a_reward_is_bought(counter: Counter) -> None:
    """Price, coupon and both sides' bodies are on the row; the points are off the card; the screens are told."""
    holder = await counter.holder()
    operation = await counter.points.ask(counter.purchase(holder))
    assert (operation.status, operation.kind, operation.points) == ("DONE", "reward", -PRICE)
    assert (operation.title, operation.look_ups, told(operation)) == ("Free coffee", [], None)
    assert operation.sent["body"] == {
        "reward": {"id": counter.reward_id},
        "metadata": {"request_id": str(operation.id)},
    }
    voucher = await counter.engine.client.call("GET", f"/v1/vouchers/{operation.coupon}")
    assert (voucher["campaign"], operation.answered["result"]) == ("Free coffee", "SUCCESS")
    await assert_once(counter, holder)
    assert await counter.told(holder) == ["points.done"]


async def test_points_are_adjusted(counter: Counter) -> None:
    """The transaction carries our id and the reason; points are given and taken."""
    holder = await counter.holder(points=0)
    given = await counter.points.ask(counter.adjustment(holder, 25))
    taken = await counter.points.ask(counter.adjustment(holder, -5))
    assert [(each.status, each.kind, each.points) for each in (given, taken)] == [
        ("DONE", "adjustment", 25),
        ("DONE", "adjustment", -5),
    ]
    rows = await counter.moved(holder)
    assert [(row["source_id"], row["reason"]) for row in rows] == [
        (str(taken.id), "A cold coffee"),
        (str(given.id), "A cold coffee"),
    ]
    assert await counter.balance(holder) == WELCOME + 20


@KINDS
async def test_a_lost_answer_is_found_by_a_look_up(counter: Counter, kind: str) -> None:
    """Done, and the answer lost: PENDING with a sentence, then found by our id; sent once and moved once."""
    holder = await counter.holder()
    await counter.faults(lose_answer_next=faulty(holder))
    asked = wanted(counter, holder, kind)
    operation = await counter.points.ask(asked)
    assert operation.status == "PENDING"
    assert "not known yet" in str(told(operation))
    assert await sweep(counter.later) == 1
    found = await counter.points.ask(asked)
    assert (found.id, found.status, found.points) == (operation.id, "DONE", -PRICE)
    assert [row["found"] for row in found.look_ups] == [True]
    assert (found.coupon is not None) == (kind == "reward")
    assert found.answered is not None
    await assert_once(counter, holder)
    assert await counter.told(holder) == ["points.pending", "points.done"]


async def test_a_lost_refusal_is_found_as_well(counter: Counter) -> None:
    """Refused, and the answer lost: the failed redemption tells, nobody has to decide."""
    holder = await counter.holder(points=0)
    await counter.faults(lose_answer_next=faulty(holder))
    operation = await counter.points.ask(counter.purchase(holder))
    await sweep(counter.later)
    found = await counter.stored(operation.id)
    assert (found.status, found.coupon) == ("REFUSED", None)
    assert found.refusal == (
        "The reward can't be bought: there are not enough points on the card. No points were moved."
    )


async def test_it_is_given_time_before_anybody_looks(counter: Counter) -> None:
    """Just after a lost answer neither the sweeper nor the same key asks Voucherify: the work may be under way."""
    holder = await counter.holder()
    await counter.faults(lose_answer_next=faulty(holder))
    await counter.faults(latency_ms=200)
    asked = counter.purchase(holder)
    operation = await counter.points.ask(asked)
    assert operation.touched_at - operation.created_at > timedelta(seconds=0.2)  # it counts from when the call ended
    assert await sweep(counter.points) == 0
    assert ((await counter.points.ask(asked)).look_ups, await counter.sent(holder)) == ([], 1)


@KINDS
async def test_what_is_not_found_is_unclear_and_never_sent_again(counter: Counter, kind: str) -> None:
    """A 500 that did nothing: three look-ups find nothing, then it is held with a sentence; it was sent once.

    Another movement of the same member, of the same size, is not taken for it.
    """
    holder = await counter.holder(2 * PRICE)
    await counter.points.ask(wanted(counter, holder, kind))
    await counter.faults(fail_next=faulty(holder))
    asked = wanted(counter, holder, kind)
    operation = await counter.points.ask(asked)
    for state in ("PENDING", "PENDING", "UNCLEAR", "UNCLEAR"):
        await sweep(counter.later)
        operation = await counter.points.ask(asked)
        assert operation.status == state
    assert [row["found"] for row in operation.look_ups] == [False] * 3
    assert "3 times and not found" in str(operation.refusal)
    assert "Somebody looks into it" in str(told(operation))
    assert (await counter.sent(holder), len(await counter.moved(holder))) == (2, 1)


async def test_each_look_up_waits_longer(counter: Counter) -> None:
    """After the first look-up the second has a wait of its own."""
    holder = await counter.holder()
    await counter.faults(fail_next=faulty(holder))
    operation = await counter.points.ask(counter.purchase(holder))
    for waits, looked in (((60.0, 0.0, 0.0), 0), ((0.0, 60.0, 0.0), 1), ((0.0, 60.0, 0.0), 1), ((60.0, 0.0, 60.0), 2)):
        await sweep(replace(counter.points, waits=waits))
        assert len((await counter.stored(operation.id)).look_ups) == looked


@KINDS
async def test_killed_between_row_and_call(counter: Counter, kind: str) -> None:
    """Killed before it was sent: nobody knows that, so it is looked for, held as unclear, and never sent."""
    holder = await counter.holder()
    asked = wanted(counter, holder, kind)
    with pytest.raises(Killed):
        await replace(counter.points, engine=Dying(counter.engine.client)).ask(asked)
    assert await sweep(counter.later) == 0  # whoever sent it may still wait for the answer
    assert (await counter.points.ask(asked)).status == "PENDING"
    await sweep(counter.much_later)
    for _ in range(2):
        await sweep(counter.later)
    operation = await counter.points.ask(asked)
    assert (operation.status, len(operation.look_ups)) == ("UNCLEAR", 3)
    assert "The process that sent it ended" in str(operation.refusal)
    assert (await counter.sent(holder), await counter.moved(holder)) == (0, [])


@KINDS
async def test_killed_between_call_and_answer(counter: Counter, kind: str) -> None:
    """Killed after Voucherify did it: the sweeper finds it, and nothing is sent again."""
    holder = await counter.holder()
    asked = wanted(counter, holder, kind)
    with pytest.raises(Killed):
        await replace(counter.points, engine=Dying(counter.engine.client, before=False)).ask(asked)
    assert await sweep(counter.much_later) == 1
    assert (await counter.points.ask(asked)).status == "DONE"
    await assert_once(counter, holder)


async def test_one_key_is_one_purchase(counter: Counter) -> None:
    """Ten requests at once with one key, and one later: one row, one request to Voucherify, one answer."""
    holder = await counter.holder()
    asked = counter.purchase(holder)
    operations = await asyncio.gather(*(counter.points.ask(asked) for _ in range(10)))
    again = await counter.points.ask(asked)
    assert {operation.id for operation in operations} == {again.id}
    assert {operation.status for operation in operations} <= {"DONE", "PENDING"}
    assert again.status == "DONE"
    assert len(await counter.operations(holder)) == 1
    await assert_once(counter, holder)


async def test_a_key_belongs_to_its_request_and_its_client(counter: Counter) -> None:
    """Another request under the same key is a conflict that moves nothing; another client's same key is its own."""
    holder = await counter.holder(points=0)
    asked = counter.adjustment(holder, 5)
    await counter.points.ask(asked)
    for other in (
        replace(asked, points=6),
        replace(asked, reason="Another"),
        replace(asked, points=None, reason="", reward_id=counter.reward_id),
    ):
        with pytest.raises(Conflict):
            await counter.points.ask(other)
    await counter.points.ask(replace(asked, client="operator:ben"))
    assert await counter.balance(holder) == WELCOME + 10


async def test_points_for_one_buy_one(counter: Counter) -> None:
    """Two purchases at once with points for one: one DONE, one REFUSED with its reason."""
    holder = await counter.holder()
    operations = await asyncio.gather(*(counter.points.ask(counter.purchase(holder)) for _ in range(2)))
    refused, done = sorted(operations, key=lambda operation: operation.status, reverse=True)
    assert (done.status, refused.status) == ("DONE", "REFUSED")
    assert told(refused) == "The reward can't be bought: there are not enough points on the card. No points were moved."
    assert (await counter.balance(holder), len(await counter.moved(holder))) == (WELCOME, 1)


async def test_while_voucherify_is_down_it_waits(counter: Counter) -> None:
    """A look-up that gets no answer counts for nothing: the operation stays PENDING and is found when it is up."""
    holder = await counter.holder()
    await counter.faults(lose_answer_next=faulty(holder))
    asked = counter.purchase(holder)
    operation = await counter.points.ask(asked)
    await counter.faults(fail_next={"path": "/v1/redemptions", "status": 503, "count": 4})
    for _ in range(3):
        assert await sweep(counter.later) == 0
    assert (await counter.later.ask(asked)).status == "PENDING"
    assert ((await counter.stored(operation.id)).status, operation.look_ups) == ("PENDING", [])
    assert (await counter.later.ask(asked)).status == "DONE"
    await assert_once(counter, holder)


async def test_a_process_that_slept_longer_than_its_lease_sends_nothing(counter: Counter) -> None:
    """Stopped between row and call until others may have taken it up: it must not send any more."""
    holder = await counter.holder()
    operation = await counter.much_later.ask(counter.purchase(holder))
    assert operation.status == "PENDING"
    assert await counter.sent(holder) == 0


async def test_a_late_answer_changes_nothing(counter: Counter) -> None:
    """Whoever comes back with an answer after the sweeper settled the row leaves it, and tells nobody."""
    holder = await counter.holder()
    asked = counter.purchase(holder)
    slow = Slow(counter.engine.client, counter.much_later)
    operation = await replace(counter.points, engine=slow).ask(asked)
    assert [row["found"] for row in operation.look_ups] == [True]
    assert (operation.status, await counter.told(holder)) == ("DONE", ["points.done"])
    await assert_once(counter, holder)


@dataclass(frozen=True)
class Slow(LoyaltyV1):
    """An engine whose answer comes when somebody else has settled the operation."""

    other: Points

    async def buy(self, request: Request) -> Outcome:
        answer = await super().buy(request)
        assert await sweep(self.other) == 1
        return answer


async def test_sweepers_and_a_caller_at_once_settle_once(counter: Counter) -> None:
    """Three sweepers and the same key at once: each operation is settled once, each screen told once."""
    holders = [await counter.holder() for _ in range(4)]
    asked = [counter.purchase(holder) for holder in holders]
    for each, holder in zip(asked, holders, strict=True):
        await counter.faults(lose_answer_next=faulty(holder))
        await counter.points.ask(each)
    await asyncio.gather(*(sweep(counter.later) for _ in range(3)), counter.later.ask(asked[0]))
    await sweep(counter.later)
    for holder in holders:
        assert [operation.status for operation in await counter.operations(holder)] == ["DONE"]
        assert await counter.told(holder) == ["points.pending", "points.done"]
        await assert_once(counter, holder)
