"""Unclear deliveries: how they come about, what an operator sees of them, and what each decision does, once."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from app.db.session import Database
from app.db.wake import CHANNEL
from app.errors import BadInput, Conflict, NotFound
from app.pipeline import decisions, lanes
from app.pipeline.decisions import Choice, UnclearDelivery
from tests.pipeline.conftest import MakeDeliverer
from tests.pipeline.road import ORDER, TRACK, count, deliveries, hurry, order, routed, states, track, work


async def set_unclear(database: Database, *messages: dict[str, Any]) -> list[UnclearDelivery]:
    """Deliveries of these messages that were sent once, looked up once, and not found."""
    await routed(database, *messages)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE delivery SET status = 'unclear', error = 'Nobody knows.', held = 5, finished_at = now()"
        )
        for kind, outcome, body in (("send", "unclear", '{"event": "Tested"}'), ("look_up", "not_found", "null")):
            await connection.execute(
                f"""INSERT INTO attempt (delivery_id, kind, started_at, ended_at, outcome, status, request, answer)
                    SELECT id, $1, now(), now(), $2, 0, '{{"method": "POST", "url": "/x", "body": {body}}}', '{{}}'
                    FROM delivery ORDER BY id""",
                kind,
                outcome,
            )
        await connection.execute("UPDATE lane SET due_at = NULL")
    return await decisions.unclear(database)


async def decide(database: Database, which: UnclearDelivery, choice: Choice, by: str = "operator:ada") -> None:
    await decisions.decide(database, which.id, choice, "Looked it up in Voucherify.", by)


async def lane(database: Database) -> asyncpg.Record:
    async with database.connection() as connection:
        return await connection.fetchrow("SELECT owner, due_at <= now() AS due FROM lane")


async def test_an_event_whose_answer_was_lost_and_that_is_not_found_waits_for_a_decision(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """Voucherify never got it, and nobody can know: it is held with both tries, and `send_again` sends it once."""
    failing = httpx.MockTransport(_losing_first_post(api))
    await routed(database, track("Coffee Drunk", properties={"metadata": {"cups": 2}}))
    worker = deliverer(failing)
    await work(worker)
    await hurry(database)
    await work(worker)
    (held,) = await decisions.unclear(database)
    assert [(one.kind, one.outcome) for one in held.tries] == [("send", "unclear"), ("look_up", "not_found")]
    assert held.sent is not None
    assert held.sent["body"]["event"] == "Coffee Drunk"
    await decide(database, held, "send_again")
    await work(worker)
    (row,) = await deliveries(database)
    assert (row["status"], row["passed"]) == ("delivered", True)
    kept = (await api.get("/v1/customers/u-1/activity?type=customer.custom_event")).json()["data"]
    assert len(kept) == 1
    assert await decisions.unclear(database) == []


def _losing_first_post(api: httpx.AsyncClient) -> Any:
    """A network that swallows the first POST before it arrives, and passes everything else on to the sandbox."""
    lost: list[httpx.Request] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and not lost:
            lost.append(request)
            raise httpx.ReadTimeout("swallowed")
        passed_on = await api.request(
            request.method, str(request.url), content=request.content, headers={"content-type": "application/json"}
        )
        return httpx.Response(passed_on.status_code, content=passed_on.content)

    return answer


async def test_one_that_was_recorded_is_found_and_asks_nobody(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """Voucherify did it and the answer was lost: the activity proves it, and it is not sent again."""
    await api.post("/sandbox/faults", json={"lose_answer_next": {"path": "/v1/events", "method": "POST"}})
    await routed(database, track("Coffee Drunk", properties={"metadata": {"cups": 2}}))
    worker = deliverer()
    await work(worker)
    await hurry(database)
    await work(worker)
    assert await states(database) == [(TRACK, "delivered")]
    kept = (await api.get("/v1/customers/u-1/activity?type=customer.custom_event")).json()["data"]
    assert len(kept) == 1


@pytest.mark.parametrize(("choice", "status"), [("done", "delivered"), ("not_done", "failed")])
async def test_a_decision_ends_the_delivery(database: Database, choice: Choice, status: str) -> None:
    """The row says how it was decided, its tries stay, nothing is due, and the decision is kept with who and why."""
    (held,) = await set_unclear(database, track())
    await decide(database, held, choice)
    (row,) = await deliveries(database)
    assert (row["status"], row["passed"], row["finished_at"] is not None) == (status, False, True)
    assert row["error"] == f"An operator decided: {choice.replace('_', ' ')}."
    assert not (await lane(database))["due"]
    (kept,) = await decisions.made(database)
    assert (kept.subject, kept.decision, kept.made_by) == (f"delivery:{held.id}", choice, "operator:ada")
    assert (kept.note, kept.what, kept.status) == ("Looked it up in Voucherify.", TRACK, status)
    assert await count(database, "attempt") == 2


async def test_sent_again_it_goes_as_one_that_was_passed(database: Database) -> None:
    """It is due at once and marked as passed; the try without an answer is overruled, the look-up stays as it was."""
    (held,) = await set_unclear(database, track())
    listener = await asyncpg.connect(database.url)
    woken: asyncio.Queue[object] = asyncio.Queue()
    await listener.add_listener(CHANNEL, lambda *heard: woken.put_nowait(heard[3]))
    await decide(database, held, "send_again")
    (row,) = await deliveries(database)
    assert (row["status"], row["passed"], row["held"], row["error"]) == ("pending", True, 0, None)
    assert row["finished_at"] is None
    assert (await lane(database))["due"]
    assert await asyncio.wait_for(woken.get(), 5) == "deliver"
    await listener.close()
    async with database.connection() as connection:
        outcomes = await connection.fetch("SELECT kind, outcome FROM attempt ORDER BY id")
    assert [tuple(one) for one in outcomes] == [("send", "overruled"), ("look_up", "not_found")]


async def test_a_lane_in_work_is_not_stolen(database: Database) -> None:
    """Who works on the lane keeps it, and leaves it due for the row that came back meanwhile."""
    (held,) = await set_unclear(database, track())
    async with database.transaction() as connection:
        await connection.execute("UPDATE lane SET due_at = now()")
        (claimed,) = await lanes.claim(connection, "worker", 60, 1)
    await decide(database, held, "send_again")
    now_held = await lane(database)
    assert (now_held["owner"], now_held["due"]) == (claimed.holder, False)
    async with database.transaction() as connection:
        await lanes.leave(connection, [claimed])
    left = await lane(database)
    assert (left["owner"], left["due"]) == (None, True)


async def test_of_two_operators_the_second_is_told(database: Database) -> None:
    """Two decide at once: one counts and is kept, the other hears who was first and what was decided."""
    (held,) = await set_unclear(database, track())
    results = await asyncio.gather(
        decide(database, held, "done", "operator:ada"),
        decide(database, held, "not_done", "operator:bob"),
        return_exceptions=True,
    )
    (refused,) = [result for result in results if result is not None]
    (kept,) = await decisions.made(database)
    assert isinstance(refused, Conflict)
    assert kept.made_by in refused.sentence
    assert kept.decision.replace("_", " ") in refused.sentence
    assert (await deliveries(database))[0]["status"] == {"done": "delivered", "not_done": "failed"}[kept.decision]


async def test_what_can_not_be_decided_is_refused(database: Database) -> None:
    """A decision needs a reason, a delivery that there is, and one that is unclear; nothing is written otherwise."""
    (held,) = await set_unclear(database, track())
    for note in ("", " \n ", "x" * (decisions.LONGEST_NOTE + 1)):
        with pytest.raises(BadInput):
            await decisions.decide(database, held.id, "done", note, "operator:ada")
    with pytest.raises(NotFound):
        await decisions.decide(database, held.id + 1, "done", "Why not.", "operator:ada")
    async with database.connection() as connection:
        await connection.execute("UPDATE delivery SET status = 'pending'")
    with pytest.raises(Conflict, match="pending"):
        await decide(database, held, "done")
    assert await count(database, "decision") == 0


async def test_screens_hear_of_a_decision_about_an_order(database: Database) -> None:
    """The road of the order changes with the decision; an event without an order changes none."""
    paid, other = await set_unclear(database, order("o-1"), track())
    assert (paid.order_id, paid.mapping, other.order_id) == ("o-1", ORDER, None)
    async with database.connection() as connection:
        await connection.execute("DELETE FROM change")
    await decide(database, paid, "not_done")
    await decide(database, other, "not_done")
    async with database.connection() as connection:
        told = await connection.fetch("SELECT topic, kind FROM change")
    assert [tuple(one) for one in told] == [("order:o-1", "delivery.failed")]


async def test_they_are_paged_and_counted(database: Database) -> None:
    """The oldest come first, a page goes on behind the id that it is told, and the count stops where it is told to."""
    held = await set_unclear(database, *(track(user=f"u-{number}") for number in range(3)))
    assert [one.person for one in held] == ["u-0", "u-1", "u-2"]
    assert [one.id for one in await decisions.unclear(database, limit=1, after=held[0].id)] == [held[1].id]
    async with database.connection() as connection:
        assert (await decisions.count(connection), await decisions.count(connection, most=2)) == (3, 2)


async def test_decisions_about_points_are_in_the_same_history(database: Database) -> None:
    """The history has every subject, the newest first; of points it knows no mapping."""
    (held,) = await set_unclear(database, track())
    async with database.connection() as connection:
        await connection.execute(
            """INSERT INTO decision (subject, decision, note, made_by, made_at)
               VALUES ('points:0c1d', 'done', 'Seen on the card.', 'operator:bob', now())"""
        )
    await decide(database, held, "done")
    assert [(one.subject.partition(":")[0], one.what) for one in await decisions.made(database)] == [
        ("delivery", TRACK),
        ("points", None),
    ]
