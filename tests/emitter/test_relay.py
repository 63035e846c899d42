"""The relay against a real receiver: nothing is lost, nothing overtakes, and one bad message harms only itself."""

import asyncio
import os
import signal
import sys
from typing import Any

import pytest

from app.emitter.relay import BATCH
from tests.emitter.conftest import Answer, Outbox, Receiver
from tests.house import ROOT

NAMES = [f"m{index:03}" for index in range(12)]
SEGMENTS_LIMIT = 500 * 1024


def bad(*culprits: str, status: int = 400) -> Any:
    """An answer that refuses every batch with one of these messages in it."""

    def answer(batch: list[dict[str, Any]]) -> Answer:
        return (status if any(message["messageId"] in culprits for message in batch) else 200), {}

    return answer


async def drain(outbox: Outbox, receiver: Receiver) -> None:
    while await outbox.relay(receiver.url).run_once():
        pass


async def test_what_was_put_in_arrives_in_order(outbox: Outbox, receiver: Receiver) -> None:
    """Messages go out in the order of the outbox, under the key of their source, and are marked with the answer."""
    await outbox.put(*NAMES[:3])
    await outbox.put("p1", source="phone")
    await outbox.put(NAMES[3])
    assert await outbox.relay(receiver.url).run_once()
    assert sorted(receiver.keys) == ["phone-key:", "till-key:"]
    assert [name for name in receiver.taken if name != "p1"] == NAMES[:4]
    assert {row["status"] for row in await outbox.rows()} == {"sent"}
    assert {row["answer"] for row in await outbox.rows()} == {'200 {"success": true}'}
    assert not await outbox.relay(receiver.url).run_once()


async def test_what_was_emitted_goes_out_as_it_is(outbox: Outbox, receiver: Receiver) -> None:
    """A repetition has the id and the time of the first try, and only `sentAt`, beside the batch, is of its own."""
    await outbox.put("m1", total=1)
    receiver.answer = lambda _: (503, {})
    await outbox.relay(receiver.url).run_once()
    receiver.answer = lambda _: (200, {})
    await outbox.let_time_pass()
    await drain(outbox, receiver)
    (row,) = await outbox.rows()
    first, again = receiver.requests
    assert first["batch"] == again["batch"] == [row["message"]]
    assert {"messageId", "timestamp"} < set(row["message"])
    assert first["sentAt"] < again["sentAt"]


async def test_a_message_emitted_twice_is_one(outbox: Outbox, receiver: Receiver) -> None:
    """A messageId that is in the outbox already is left alone."""
    await outbox.put("m1", total=1)
    await outbox.put("m1", total=2)
    await drain(outbox, receiver)
    assert receiver.taken == ["m1"]
    assert receiver.requests[0]["batch"][0]["properties"] == {"total": 1}


@pytest.mark.parametrize("status", [400, 413])
@pytest.mark.parametrize("culprits", [NAMES[5:6], NAMES[:1], NAMES[-1:], [NAMES[2], NAMES[3], NAMES[9]], NAMES])
async def test_only_the_culprit_is_given_up(
    outbox: Outbox, receiver: Receiver, status: int, culprits: list[str]
) -> None:
    """A batch is split until the culprit stands alone: it is dead with the reason, its neighbours go in order."""
    receiver.answer = bad(*culprits, status=status)
    await outbox.put(*NAMES)
    await drain(outbox, receiver)
    assert await outbox.states() == {name: "dead" if name in culprits else "sent" for name in NAMES}
    assert receiver.taken == [name for name in NAMES if name not in culprits]
    dead = [row for row in await outbox.rows() if row["status"] == "dead"]
    assert all(f"({status})" in row["answer"] for row in dead)


@pytest.mark.parametrize("status", [500, 503, 429, 408, 401, 403, 404, 501])
async def test_a_failure_that_is_nobodys_fault_loses_nothing(outbox: Outbox, receiver: Receiver, status: int) -> None:
    """A failing receiver, a wrong key and a wrong address kill no message: all wait, with the reason, in order."""
    receiver.answer = lambda _: (status, {})
    await outbox.put(*NAMES[:3])
    relay = outbox.relay(receiver.url)
    assert not await relay.run_once()
    await outbox.put(NAMES[3])
    assert not await relay.run_once()  # the newcomer does not overtake those who wait
    assert len(receiver.requests) == 1
    rows = await outbox.rows()
    assert {row["status"] for row in rows} == {"pending"}
    assert [row["attempts"] for row in rows] == [1, 1, 1, 0]
    assert str(status) in rows[0]["answer"]
    assert 0 < (rows[0]["due_at"] - rows[0]["now"]).total_seconds() < 1
    receiver.answer = lambda _: (200, {})
    await outbox.let_time_pass()
    assert await relay.run_once()
    assert receiver.taken == NAMES[:4]
    assert receiver.headers[-1]["x-retry-count"] == "1"


@pytest.mark.parametrize(
    ("status", "asked", "least", "most"), [(429, "7", 6, 7), (503, "90", 85, 90), (429, "soon", 0, 1)]
)
async def test_the_receiver_says_when_to_come_back(
    outbox: Outbox, receiver: Receiver, status: int, asked: str, least: float, most: float
) -> None:
    """`Retry-After` is kept to the second; one that makes no sense is left to our own back-off."""
    receiver.answer = lambda _: (status, {"retry-after": asked})
    await outbox.put("m1")
    await outbox.relay(receiver.url).run_once()
    (row,) = await outbox.rows()
    assert least <= (row["due_at"] - row["now"]).total_seconds() <= most


async def test_a_failure_in_the_middle_of_a_split_keeps_the_order(outbox: Outbox, receiver: Receiver) -> None:
    """When the receiver fails while a batch is being split, what was not sent waits, and nothing goes past it."""
    calls = 0

    def answer(batch: list[dict[str, Any]]) -> Answer:
        nonlocal calls
        calls += 1
        return (500, {}) if calls == 3 else bad(NAMES[1])(batch)

    receiver.answer = answer
    await outbox.put(*NAMES)
    await drain(outbox, receiver)
    assert "dead" not in (await outbox.states()).values()
    await outbox.let_time_pass()
    await drain(outbox, receiver)
    assert await outbox.states() == {name: "dead" if name == NAMES[1] else "sent" for name in NAMES}
    assert receiver.taken == [name for name in NAMES if name != NAMES[1]]


async def test_back_off_grows(outbox: Outbox, receiver: Receiver) -> None:
    """Each failure in a row waits longer, up to about a minute."""
    receiver.answer = lambda _: (500, {})
    await outbox.put("m1")
    waits = []
    for _ in range(10):
        await outbox.let_time_pass()
        await outbox.relay(receiver.url).run_once()
        (row,) = await outbox.rows()
        waits.append((row["due_at"] - row["now"]).total_seconds())
    assert waits[0] < 1 < waits[3] < 10 < waits[6]
    assert max(waits) <= 60 * 1.3


async def test_a_receiver_that_is_down_is_waited_for(outbox: Outbox, receiver: Receiver) -> None:
    """With nobody listening nothing is lost; when somebody is, all arrive in order."""
    await outbox.put(*NAMES)
    assert not await outbox.relay("http://127.0.0.1:9").run_once()
    assert set((await outbox.states()).values()) == {"pending"}
    await outbox.let_time_pass()
    await drain(outbox, receiver)
    assert receiver.taken == NAMES


SENDER = """
import asyncio, sys
from app.db.session import Database
from app.emitter.relay import Relay
asyncio.run(Relay(Database(sys.argv[1], pool=2), sys.argv[2], "doomed", 8.0, {"till": "till-key"}).run_once())
"""


async def test_a_relay_killed_before_it_marks_sends_again(outbox: Outbox, receiver: Receiver) -> None:
    """A relay is killed between the post and its own commit: the next one posts the same messages again."""
    receiver.hold = asyncio.Event()
    await outbox.put(*NAMES)
    sender = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", SENDER, outbox.database.url, receiver.url),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    async with asyncio.timeout(60):
        await receiver.came.wait()
    sender.send_signal(signal.SIGKILL)
    await sender.wait()
    receiver.hold.set()
    assert set((await outbox.states()).values()) == {"pending"}
    assert not await outbox.relay(receiver.url).run_once(), "the dead one's lease still holds"
    await outbox.let_time_pass()
    await drain(outbox, receiver)
    first, second = receiver.requests
    assert first["batch"] == second["batch"]
    assert set((await outbox.states()).values()) == {"sent"}


async def test_two_relays_send_each_message_once(outbox: Outbox, receiver: Receiver) -> None:
    """Relays that run at once share the work by lease: every message once, in order within its source."""
    names = [f"n{index:03}" for index in range(BATCH * 2 + 30)]
    await outbox.put(*names)
    await outbox.put(*[f"p{name}" for name in names], source="phone")
    relays = [outbox.relay(receiver.url, owner) for owner in ("one", "two", "three")]
    async with asyncio.timeout(60):
        while "pending" in (await outbox.states()).values():
            await asyncio.gather(*[relay.run_once() for relay in relays])
    assert [name for name in receiver.taken if not name.startswith("p")] == names
    assert [name for name in receiver.taken if name.startswith("p")] == [f"p{name}" for name in names]
    assert max(len(request["batch"]) for request in receiver.requests) == BATCH


@pytest.mark.parametrize("letter", ["a", "ł", "☕", "😀", '"'], ids=range(5))
async def test_a_batch_stays_under_segments_limit(outbox: Outbox, receiver: Receiver, letter: str) -> None:
    """However its letters are written on the wire, a request is smaller than the 500 KB that Segment takes."""
    note = letter * (20_000 // len(letter.encode()))
    names = [f"n{index:03}" for index in range(60)]
    await outbox.put(*names, note=note)
    await drain(outbox, receiver)
    assert receiver.taken == names
    assert max(receiver.sizes) < SEGMENTS_LIMIT
    assert len(receiver.requests) > 1


async def test_a_message_larger_than_a_batch_goes_alone(outbox: Outbox, receiver: Receiver) -> None:
    """A message that no batch can hold is tried by itself, so that the receiver can say what is wrong with it."""
    await outbox.put("m1")
    await outbox.put("huge", note="x" * SEGMENTS_LIMIT)
    await outbox.put("m2")
    receiver.answer = bad("huge", status=413)
    await drain(outbox, receiver)
    assert await outbox.states() == {"m1": "sent", "huge": "dead", "m2": "sent"}


async def test_a_source_without_a_write_key_waits_visibly(outbox: Outbox, receiver: Receiver) -> None:
    """Without a write key nothing is sent and the row says why; other sources go on; with a key it goes out."""
    await outbox.put("k1", source="kiosk")
    await outbox.put("m1")
    await drain(outbox, receiver)
    assert await outbox.states() == {"k1": "pending", "m1": "sent"}
    (waiting,) = [row for row in await outbox.rows() if row["status"] == "pending"]
    assert waiting["answer"] == "The source kiosk has no write key."
    assert 50 < (waiting["due_at"] - waiting["now"]).total_seconds() <= 60
    async with outbox.database.connection() as connection:
        await connection.execute(
            "INSERT INTO source (slug, name, enabled, created_at) VALUES ('kiosk', '', true, now())"
        )
        await connection.execute("INSERT INTO write_key (key, source, created_at) VALUES ('k', 'kiosk', now())")
    await outbox.let_time_pass()
    await drain(outbox, receiver)
    assert receiver.taken == ["m1", "k1"]
    assert receiver.keys[-1] == "k:"


async def test_a_relay_that_lost_its_lease_buries_nothing(outbox: Outbox, receiver: Receiver) -> None:
    """While one relay splits a batch another takes over and sends all: the first one changes nothing any more."""
    await outbox.put("m1", "m2")

    def answer(batch: list[dict[str, Any]]) -> Answer:
        return (200 if len(receiver.requests) > 1 else 400), {}

    receiver.answer = answer
    receiver.hold = asyncio.Event()
    slow = asyncio.create_task(outbox.relay(receiver.url, "slow").run_once())
    async with asyncio.timeout(60):
        await receiver.came.wait()
    async with outbox.database.connection() as connection:
        await connection.execute("UPDATE lease SET owner = 'fast'")
        await connection.execute("UPDATE emission SET status = 'sent', sent_at = now()")
    receiver.hold.set()
    assert not await slow
    assert set((await outbox.states()).values()) == {"sent"}
    assert len(receiver.requests) == 1
