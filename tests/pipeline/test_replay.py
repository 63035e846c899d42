"""Replays: what is chosen is sent again once, to that destination only, whoever dies, stops or runs beside it."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.db.session import Database
from app.destinations.voucherify import VOUCHERIFY
from app.errors import BadInput, Conflict, NotFound, Refused
from app.pipeline import decisions, replay
from app.pipeline.registry import Registry, connect, rows_of
from app.pipeline.replay import Progress, Wanted, checked_wish
from app.pipeline.replay_runner import Replayer
from app.pipeline.replay_selection import Selection
from tests.pipeline.conftest import MakeDeliverer
from tests.pipeline.road import (
    DESTINATION,
    ORDER,
    TRACK,
    answering,
    count,
    deliveries,
    hurry,
    identify,
    order,
    registry,
    routed,
    states,
    track,
    work,
)
from tests.sandbox import programme

NOTE = "The mapping was mended."


async def begun(database: Database, known: Registry | None = None, **wanted: Any) -> Progress:
    """A replay of what these fields select, by default of all that failed."""
    how = {name: wanted.pop(name) for name in ("function", "twice") if name in wanted}
    key = wanted.pop("key", None) or str(uuid4())
    selection = Selection(**{"destination": DESTINATION, "status": ["failed"], **wanted})
    checked, to = checked_wish(Wanted(selection, **how), known or registry(database))
    made, _ = await replay.begin(database, to, checked, NOTE, "operator:ada", key)
    return made


def replayer(database: Database, **more: Any) -> Replayer:
    return Replayer(database, registry(database), **more)


async def ended(database: Database, status: str, *messages: dict[str, Any], outcome: str | None = None) -> None:
    """Deliveries of these messages that ended so, each after one try."""
    tried = outcome or {"delivered": "done", "failed": "refused", "unclear": "unclear"}.get(status, "retry")
    await routed(database, *messages)
    async with database.connection() as connection:
        await connection.execute(
            """UPDATE delivery SET status = $1, error = 'It was so.', attempts = 1, finished_at = now()
               WHERE status = 'pending'""",
            status,
        )
        await connection.execute(
            """INSERT INTO attempt (delivery_id, started_at, ended_at, outcome, status, request)
               SELECT id, now(), now(), $1, 200, '{"method": "POST", "url": "/x", "body": {}}' FROM delivery
               WHERE NOT EXISTS (SELECT FROM attempt WHERE delivery_id = delivery.id)""",
            tried,
        )
        await connection.execute("UPDATE lane SET due_at = NULL")


async def calls(api: httpx.AsyncClient, path: str) -> list[str]:
    rows = (await api.get("/sandbox/requests", params={"path": path})).json()["data"]
    return [row["method"] for row in rows]


async def test_what_failed_is_sent_again_after_its_mapping_was_mended(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """An order without a currency fails; with a mapping that gives one, its replay is delivered, and earns."""
    await programme.loyalty(api)
    card = await programme.join(api)
    await routed(database, order("o-1", price=12.0, currency=None))
    await work(deliverer())
    assert await states(database) == [(ORDER, "failed")]
    rows = rows_of(VOUCHERIFY.presets)
    for row in rows:
        if row["slug"] == ORDER:
            row["mapping"] = {**row["mapping"], "currency": "USD"}
    worker = deliverer()
    settings = worker.registry.connected[DESTINATION].settings
    mended = replace(worker.registry, connected={DESTINATION: connect(DESTINATION, VOUCHERIFY, settings, rows)})
    made = await begun(database)
    await Replayer(database, mended).run_once()
    await work(deliverer(registry=mended))
    assert await states(database) == [(ORDER, "delivered")]
    assert await programme.balance(api, card) == 12
    after = await replay.replay_of(database, made.id)
    assert (after.status, after.queued, after.left_out, after.now) == ("done", 1, 0, {"delivered": 1})


async def test_an_order_that_was_delivered_is_looked_for_and_not_paid_again(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """Replayed though it was applied: it is found at Voucherify, nothing is posted, and it has earned once."""
    await programme.loyalty(api)
    card = await programme.join(api)
    await api.post("/sandbox/faults", json={"earn_again_on_paid": True})
    await routed(database, order("o-1", price=12.0))
    await work(deliverer())
    await begun(database, status=["delivered"])
    assert await replayer(database).run_once() == 1
    await work(deliverer())
    assert await states(database) == [(ORDER, "delivered")]
    assert await calls(api, "/v1/orders") == ["POST", "GET"]
    assert await programme.balance(api, card) == 12


async def test_a_custom_event_is_sent_twice_only_where_somebody_says_so(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """It would apply twice: without the flag nothing begins, with it Voucherify really has it twice."""
    await api.post("/v1/customers", json={"source_id": "u-1"})
    await routed(database, track("Coffee Drunk"))
    await work(deliverer())
    with pytest.raises(Refused, match="All 1 would be left out"):
        await begun(database, status=["delivered"])
    await begun(database, status=["delivered"], twice=True)
    await replayer(database).run_once()
    await work(deliverer())
    assert await states(database) == [(TRACK, "delivered")]
    assert await calls(api, "/v1/events") == ["POST", "POST"]
    kept = (await api.get("/v1/customers/u-1/activity?type=customer.custom_event")).json()["data"]
    assert len(kept) == 2


async def test_what_would_apply_twice_is_left_out_among_others(database: Database) -> None:
    """Of an order and a custom event that were delivered, only the order is queued; the other stays as it was."""
    await ended(database, "delivered", order("o-1"), track())
    made = await begun(database, status=["delivered"])
    await replayer(database).run_once()
    assert await states(database) == [(ORDER, "pending"), (TRACK, "delivered")]
    after = await replay.replay_of(database, made.id)
    assert (after.total, after.queued, after.left_out, after.status) == (2, 1, 1, "done")


async def test_what_is_left_out_holds_nothing_up(database: Database) -> None:
    """A batch of which nothing may go is passed, and the one behind it is queued."""
    await ended(database, "delivered", track(), order("o-1"))
    made = await begun(database, status=["delivered"])
    assert await replayer(database, at_once=1).run_once() == 1
    assert await states(database) == [(TRACK, "delivered"), (ORDER, "pending")]
    assert (await replay.replay_of(database, made.id)).left_out == 1


async def test_a_queued_delivery_is_as_new_and_passed(database: Database) -> None:
    """It is due at once with no tries and no hold, tells its replay, keeps its error, and its lane is due."""
    await ended(database, "failed", order("o-1"))
    made = await begun(database)
    await replayer(database).run_once()
    (row,) = await deliveries(database)
    assert (row["status"], row["attempts"], row["held"], row["passed"], row["finished_at"]) == (
        "pending", 0, 0, True, None,
    )  # fmt: skip
    assert (row["replay_id"], row["error"]) == (made.id, "It was so.")
    async with database.connection() as connection:
        assert row["attempts_after"] == await connection.fetchval("SELECT max(id) FROM attempt")
        assert await connection.fetchval("SELECT due_at <= now() FROM lane")
        kinds = await connection.fetch("SELECT topic, kind FROM change ORDER BY position DESC LIMIT 1")
    assert [tuple(kind) for kind in kinds] == [("order:o-1", "delivery.waiting")]


async def test_newer_deliveries_do_not_wait_for_replayed_ones(database: Database, deliverer: MakeDeliverer) -> None:
    """While the old one is refused for a while, a newer one of the same person goes out."""
    await ended(database, "failed", order("o-1"))
    await begun(database)
    await replayer(database).run_once()
    await routed(database, order("o-2"))
    busy, asked = answering(httpx.Response(500, json={}))
    await work(deliverer(busy))
    assert await states(database) == [(ORDER, "pending"), (ORDER, "delivered")]
    assert [b'"o-1"' in request.content for request in asked] == [True, False]


async def test_it_stops_and_resumes(database: Database) -> None:
    """No more than the set number waits; stopped nothing is queued, resumed the rest is, and each once."""
    await ended(database, "failed", *(order(f"o-{number}") for number in range(5)))
    made = await begun(database)
    runner = replayer(database, at_once=2)
    assert (await runner.run_once(), await runner.run_once()) == (2, 0)  # enough waits
    await replay.stop(database, made.id, "operator:ada")
    await finish(database)
    assert await runner.run_once() == 0
    stopped = await replay.replay_of(database, made.id)
    assert (stopped.status, stopped.queued, stopped.looked_at) == ("stopped", 2, 2)
    with pytest.raises(Conflict):
        await replay.stop(database, made.id, "operator:ada")
    await replay.resume(database, made.id, "operator:ada")
    while await runner.run_once():
        await finish(database)
    after = await replay.replay_of(database, made.id)
    assert (after.status, after.queued, after.left_out, after.now) == ("done", 5, 0, {"delivered": 5})
    with pytest.raises(Conflict):
        await replay.resume(database, made.id, "operator:ada")


async def test_a_stop_between_two_batches_counts(database: Database) -> None:
    """A runner that has begun its run finds the replay stopped at its next batch, and queues nothing of it."""
    await ended(database, "failed", order("o-1"), order("o-2"))
    made = await begun(database)
    runner = replayer(database, at_once=1)
    assert await runner._batch(made.id) == 1
    await finish(database)
    await replay.stop(database, made.id, "operator:ada")
    assert await runner._batch(made.id) is None
    assert (await replay.replay_of(database, made.id)).queued == 1


async def finish(database: Database, status: str = "delivered") -> None:
    """What waits ends so."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE delivery SET status = $1, attempts = attempts + 1, finished_at = now() WHERE status = 'pending'",
            status,
        )


async def test_killed_between_two_batches_it_goes_on_where_it_was(database: Database) -> None:
    """What the dead runner had queued and what came of it is not touched; the next one queues the others."""
    await ended(database, "failed", *(order(f"o-{number}") for number in range(4)))
    made = await begun(database)
    assert await replayer(database, at_once=2).run_once() == 2
    await finish(database, "failed")  # they fail again, and look like what was chosen
    assert await replayer(database, at_once=9).run_once() == 2
    rows = await deliveries(database)
    assert [(row["status"], row["attempts"]) for row in rows] == [("failed", 1)] * 2 + [("pending", 0)] * 2
    assert (await replay.replay_of(database, made.id)).queued == 4


async def test_killed_inside_a_batch_it_has_done_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that ends after it has set deliveries pending leaves no trace, and the next one does it all."""
    await ended(database, "unclear", order("o-1"))
    made = await begun(database, status=["unclear"])

    async def dies(*_: Any) -> None:
        raise SystemExit

    runner = replayer(database)
    with monkeypatch.context() as patch:
        patch.setattr("app.pipeline.replay_runner.changes.append", dies)
        with pytest.raises(SystemExit):
            await runner.run_once()
    assert await states(database) == [(ORDER, "unclear")]
    assert (await count(database, "decision"), (await replay.replay_of(database, made.id)).queued) == (0, 0)
    assert await runner.run_once() == 1


async def test_two_workers_queue_each_delivery_once(database: Database) -> None:
    """Both run at once, again and again: the figures and the rows are those of one."""
    await ended(database, "failed", *(order(f"o-{number}", user=f"u-{number % 7}") for number in range(30)))
    made = await begun(database)
    runners = [replayer(database, at_once=4) for _ in range(3)]
    while (await replay.replay_of(database, made.id)).status == "running":
        await asyncio.gather(*(runner.run_once() for runner in runners))
        assert (await replay.replay_of(database, made.id)).waiting <= 4
        await finish(database)
    after = await replay.replay_of(database, made.id)
    assert (after.queued, after.left_out, after.now) == (30, 0, {"delivered": 30})
    assert [row["attempts"] for row in await deliveries(database)] == [1] * 30


async def test_what_changed_since_it_was_chosen_is_left_out(database: Database) -> None:
    """A delivery that another replay took, that a decision ended, or that failed only later is not sent again."""
    await ended(database, "failed", order("o-1"), order("o-2"))
    made = await begun(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE delivery SET finished_at = clock_timestamp() WHERE id % 2 = 0")
    assert await replayer(database).run_once() == 1
    after = await replay.replay_of(database, made.id)
    assert (after.status, after.total, after.queued, after.left_out) == ("done", 2, 1, 1)


async def test_a_delivery_without_its_mapping_is_left_out(database: Database) -> None:
    """Nobody can say what it would do: it stays as it was."""
    await ended(database, "failed", order("o-1"), identify())
    made = await begun(database)
    known = registry(database)
    to = known.connected[DESTINATION]
    others = {slug: mapping for slug, mapping in to.mappings.items() if slug != ORDER}
    gone = Registry(database, known.catalogue, {}, {DESTINATION: replace(to, mappings=others)})
    assert await Replayer(database, gone).run_once() == 1
    assert [row["status"] for row in await deliveries(database)] == ["failed", "pending"]
    assert (await replay.replay_of(database, made.id)).left_out == 1


async def test_only_its_destination_gets_anything(database: Database) -> None:
    """The same event's delivery to another destination, by a mapping of the same name, stays as it was."""
    await ended(database, "failed", order("o-1"))
    async with database.connection() as connection:
        await connection.execute(
            """INSERT INTO delivery (event_position, destination, mapping, person, status, due_at, created_at,
                                     attempts, held, passed, finished_at)
               SELECT event_position, 'webhook', mapping, person, 'failed', now(), now(), 1, 0, false, now()
               FROM delivery"""
        )
    await begun(database)
    assert await replayer(database).run_once() == 1
    assert [(row["destination"], row["status"]) for row in await deliveries(database)] == [
        (DESTINATION, "pending"),
        ("webhook", "failed"),
    ]


async def test_an_unclear_one_is_a_decision(database: Database, deliverer: MakeDeliverer) -> None:
    """Who replays it decides to send it again: with name and reason in the history, and no look comes first."""
    await ended(database, "unclear", track())
    made = await begun(database, status=["unclear"], twice=True)
    await replayer(database).run_once()
    (kept,) = await decisions.made(database)
    assert (kept.decision, kept.made_by, kept.note) == ("send_again", "operator:ada", f"Replay {made.id}: {NOTE}")
    assert await decisions.unclear(database) == []
    transport, asked = answering()
    await work(deliverer(transport))
    assert await states(database) == [(TRACK, "delivered")]
    assert [request.method for request in asked] == ["POST"]


async def test_an_unclear_order_is_looked_for_first(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """Nobody knows whether it was paid: its replay finds that it was, and posts nothing."""
    await programme.loyalty(api)
    card = await programme.join(api)
    await routed(database, order("o-1"))
    await work(deliverer())
    async with database.connection() as connection:
        await connection.execute("UPDATE attempt SET outcome = 'unclear'")
        await connection.execute("UPDATE delivery SET status = 'unclear'")
    await begun(database, status=["unclear"])
    await replayer(database).run_once()
    await work(deliverer())
    assert await states(database) == [(ORDER, "delivered")]
    assert await calls(api, "/v1/orders") == ["POST", "GET"]
    assert await programme.balance(api, card) == 10


async def test_a_replayed_one_is_not_sent_twice_by_its_own_tries(
    database: Database, deliverer: MakeDeliverer, api: httpx.AsyncClient
) -> None:
    """The answer to the replay's own send is lost: it is looked for as ever, and found."""
    await api.post("/v1/customers", json={"source_id": "u-1"})
    await routed(database, track("Coffee Drunk"))
    await work(deliverer())
    await begun(database, status=["delivered"], twice=True)
    await replayer(database).run_once()
    await asyncio.sleep(0.01)  # the first one is of an earlier millisecond
    await api.post("/sandbox/faults", json={"lose_answer_next": {"path": "/v1/events", "method": "POST"}})
    await work(deliverer())
    await hurry(database)
    await work(deliverer())
    assert await states(database) == [(TRACK, "delivered")]
    assert await calls(api, "/v1/events") == ["POST", "POST"]


async def function_results(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            """INSERT INTO function_result (event_position, destination, outcome, event, log, calls, milliseconds,
                                            started_at, finished_at)
               SELECT DISTINCT event_position, destination, 'dropped', NULL::jsonb, '', '[]'::jsonb, 1.0,
                      now() - interval '1 minute', now() FROM delivery"""
        )


async def test_rerun_forgets_what_the_function_made(database: Database) -> None:
    """The function's result of that event and destination goes, so that it runs anew; others stay."""
    await ended(database, "failed", order("o-1"))
    await function_results(database)
    await ended(database, "delivered", identify("u-2"))
    await begun(database, function="rerun")
    await replayer(database).run_once()
    assert await count(database, "function_result") == 0


async def test_rerun_keeps_what_the_replay_itself_made(database: Database) -> None:
    """Two mappings of one event in two batches: the function runs once for both."""
    await ended(database, "failed", order("o-1"), order("o-2"))
    await begun(database, function="rerun")
    runner = replayer(database, at_once=1)
    await runner.run_once()
    async with database.connection() as connection:
        await connection.execute("UPDATE delivery SET event_position = (SELECT min(position) FROM event), mapping = id")
        await connection.execute("UPDATE delivery SET mapping = $1 WHERE id = (SELECT max(id) FROM delivery)", ORDER)
    await function_results(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE function_result SET started_at = clock_timestamp()")
    await finish(database)
    assert await runner.run_once() == 1
    assert await count(database, "function_result") == 1


async def test_reuse_keeps_what_the_function_made(database: Database, deliverer: MakeDeliverer) -> None:
    """The function dropped the event then, and does not run again: it is filtered as before."""
    await ended(database, "failed", order("o-1"))
    await function_results(database)
    await begun(database, function="reuse")
    await replayer(database).run_once()
    transport, asked = answering()
    await work(deliverer(transport, functions={VOUCHERIFY.name: "no-such-function"}))
    assert await states(database) == [(ORDER, "filtered")]
    assert asked == []


async def test_one_key_begins_one_replay(database: Database) -> None:
    """Asked twice, also at once, with the same key there is one; with another wish under that key it is refused."""
    await ended(database, "failed", order("o-1"))
    first, second = await asyncio.gather(begun(database, key="k-1"), begun(database, key="k-1"))
    assert first.id == second.id
    await replayer(database).run_once()
    assert (await begun(database, key="k-1")).id == first.id  # also when nothing is left to choose
    with pytest.raises(Conflict):
        await begun(database, key="k-1", function="rerun")
    assert await count(database, "replay") == 1


async def test_what_can_not_be_replayed_is_refused(database: Database) -> None:
    """No destination, one that there is not, what waits anyway, nothing chosen, or no reason given."""
    known = registry(database)
    with pytest.raises(BadInput, match="destination"):
        checked_wish(Wanted(Selection()), known)
    with pytest.raises(NotFound):
        checked_wish(Wanted(Selection(destination="nowhere")), known)
    with pytest.raises(BadInput, match="pending"):
        checked_wish(Wanted(Selection(destination=DESTINATION, status=["pending"])), known)
    with pytest.raises(Refused, match="No delivery"):
        await begun(database)
    await ended(database, "failed", order("o-1"))
    wanted, to = checked_wish(Wanted(Selection(destination=DESTINATION)), known)
    with pytest.raises(BadInput, match="note"):
        await replay.begin(database, to, wanted, " ", "operator:ada", "k")
    assert await count(database, "replay") == 0


async def test_too_many_are_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay has a largest size; who wants more is told to go part by part."""
    monkeypatch.setattr(replay, "MOST", 2)
    await ended(database, "failed", *(order(f"o-{number}") for number in range(3)))
    with pytest.raises(Refused, match="part by part"):
        await begun(database)
