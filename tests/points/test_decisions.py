"""What operators see of operations that are open, and what their decisions do."""

import asyncio
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest
from sqlmodel import select

from app.errors import Conflict, NotFound
from app.pipeline.decisions import Choice
from app.pipeline.models import Decision
from app.points.decisions import decide, open_operations
from app.points.models import PointOperation
from app.points.operations import WAITS
from app.points.sweeper import sweep
from app.voucherify.loyalty import LookUp, LoyaltyV1
from tests.points.conftest import PRICE, WELCOME, Counter, Holder


async def unclear(counter: Counter, holder: Holder) -> PointOperation:
    """A purchase that got no answer and could not be found."""
    await counter.faults(fail_next={"path": f"/v1/loyalties/members/{holder.card}", "method": "POST"})
    operation = await counter.points.ask(counter.purchase(holder))
    for _ in WAITS:
        await sweep(counter.later)
    found = await counter.stored(operation.id)
    assert found.status == "UNCLEAR"
    return found


async def decisions(counter: Counter) -> list[tuple[str, str, str, str]]:
    async with counter.database.session() as session:
        rows = (await session.exec(select(Decision))).all()
    return [(row.subject, row.decision, row.note, row.made_by) for row in rows]


@pytest.mark.parametrize(("choice", "status"), [("done", "DONE"), ("not_done", "REFUSED")])
async def test_a_decision_ends_it(counter: Counter, choice: Choice, status: str) -> None:
    """Done or not done as the operator found it: nothing is sent, the decision is kept, the screens are told."""
    holder = await counter.holder()
    operation = await unclear(counter, holder)
    decided = await decide(counter.database, operation.id, choice, "Seen in Voucherify", "operator:ann")
    assert (decided.status, decided.finished_at is not None) == (status, True)
    assert (decided.refusal is None) == (status == "DONE")
    assert await decisions(counter) == [(f"points:{operation.id}", choice, "Seen in Voucherify", "operator:ann")]
    assert await sweep(counter.much_later) == 0
    assert (await counter.sent(holder), (await counter.told(holder))[-1]) == (1, f"points.{status.lower()}")


@dataclass(frozen=True)
class Together(LoyaltyV1):
    """An engine whose look-ups answer when two have asked: both sweepers know the same before either goes on."""

    one_asks: asyncio.Event = field(default_factory=asyncio.Event)
    both_asked: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(2))

    async def find_purchase(self, customer: str, operation: str) -> LookUp:
        found = await super().find_purchase(customer, operation)
        self.one_asks.set()
        await self.both_asked.wait()
        return found


async def test_two_sweepers_send_again_once(counter: Counter) -> None:
    """Of two that took it up and found nothing, one sends: the other's lease is gone."""
    holder = await counter.holder()
    operation = await unclear(counter, holder)
    await decide(counter.database, operation.id, "send_again", "", "operator:ann")
    engine = Together(counter.engine.client)
    points = replace(counter.points, engine=engine)
    async with asyncio.timeout(60):
        first = asyncio.create_task(points.take_up(operation.id))
        await engine.one_asks.wait()
        await points.take_up(operation.id)
        await first
    assert await counter.sent(holder) == 2  # the one that failed, and this one
    assert (await counter.balance(holder), len(await counter.moved(holder))) == (WELCOME, 1)


async def test_sent_again_once(counter: Counter) -> None:
    """Send again: the sweeper looks first, then sends the same request once, and its answer ends it."""
    holder = await counter.holder()
    operation = await unclear(counter, holder)
    decided = await decide(counter.database, operation.id, "send_again", "Not in the ledger", "operator:ann")
    assert (decided.status, decided.refusal, decided.sent["at"]) == ("PENDING", None, None)
    assert await sweep(counter.points) == 1
    done = await counter.stored(operation.id)
    assert (done.status, done.points, done.coupon is not None) == ("DONE", -PRICE, True)
    assert done.sent["body"] == operation.sent["body"]
    assert await counter.sent(holder) == 2  # the one that failed, and this one
    assert (await counter.balance(holder), len(await counter.moved(holder))) == (WELCOME, 1)
    assert [row["found"] for row in done.look_ups] == [False] * 4


async def test_what_was_done_meanwhile_is_not_sent_again(counter: Counter) -> None:
    """Carried out late, after the operator decided: the look-up before the sending finds it, and nothing is sent."""
    holder = await counter.holder()
    operation = await unclear(counter, holder)
    await decide(counter.database, operation.id, "send_again", "", "operator:ann")
    await counter.engine.client.call("POST", operation.sent["path"], operation.sent["body"])
    assert await sweep(counter.points) == 1
    assert (await counter.stored(operation.id)).status == "DONE"
    assert (await counter.balance(holder), await counter.sent(holder)) == (WELCOME, 2)


async def test_sent_again_without_an_answer_is_looked_up_anew(counter: Counter) -> None:
    """The second sending gets as many look-ups as the first, then it is unclear once more."""
    holder = await counter.holder()
    operation = await unclear(counter, holder)
    await decide(counter.database, operation.id, "send_again", "", "operator:ann")
    await counter.faults(fail_next={"path": f"/v1/loyalties/members/{holder.card}", "method": "POST"})
    for state in ("PENDING", "PENDING", "PENDING", "UNCLEAR", "UNCLEAR"):
        await sweep(counter.later)
        assert (await counter.stored(operation.id)).status == state
    assert await counter.sent(holder) == 2


async def test_only_what_is_unclear_is_decided(counter: Counter) -> None:
    """A decision about what is settled, or not there, is refused and not kept; of two at once one counts."""
    holder = await counter.holder()
    operation = await unclear(counter, holder)
    both = [decide(counter.database, operation.id, choice, "", "operator:ann") for choice in ("done", "send_again")]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 1
    assert len(await decisions(counter)) == 1
    with pytest.raises(NotFound):
        await decide(counter.database, uuid4(), "done", "", "operator:ann")


async def test_what_is_open_is_listed(counter: Counter) -> None:
    """Unclear ones come first, then those that wait, the oldest of each first; what is settled is not there."""
    first, second, third, fourth = [await counter.holder() for _ in range(4)]
    older, newer = await unclear(counter, first), await unclear(counter, second)
    await counter.faults(lose_answer_next={"path": f"/v1/loyalties/members/{third.card}", "method": "POST"})
    waiting = await counter.points.ask(counter.purchase(third))
    await counter.points.ask(counter.purchase(fourth))
    listed = [operation.id for operation in await open_operations(counter.database)]
    assert listed == [older.id, newer.id, waiting.id]
    assert [each.id for each in await open_operations(counter.database, limit=1)] == [older.id]
