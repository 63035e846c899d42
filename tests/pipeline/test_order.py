"""The law of rule 8: to each destination a person's events go in their order, whatever arrives, fails, or works."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import combinations
from uuid import uuid4

import httpx
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db.session import Database
from tests.pipeline.conftest import MakeDeliverer
from tests.pipeline.road import deliveries, hurry, order, routed, work

FAILURES = st.sampled_from(["locked", "limited", "broken after", "broken before", "lost", "cut", "unreachable"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.lists(st.integers(0, 2), min_size=1, max_size=4)),
        st.tuples(st.just("work"), st.integers(1, 3)),
        st.tuples(st.just("time passes"), st.none()),
    ),
    min_size=4,
    max_size=14,
)


@dataclass
class Engine:
    """Plays a Voucherify that fails as it is told, and does what it says it did."""

    failures: list[str]
    done: list[str] = field(default_factory=list)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if request.url.path == "/v1/customers":
            return httpx.Response(200, json={})
        if request.method == "GET":
            known = request.url.path.rpartition("/")[2] in self.done
            return httpx.Response(200 if known else 404, json={"status": "PAID"} if known else {})
        failure = self.failures.pop() if self.failures else ""
        order_id = msgspec.json.decode(request.content)["source_id"]
        if failure == "unreachable":
            raise httpx.ConnectError("refused")
        if failure == "cut":
            raise httpx.ReadError("cut")
        if failure in {"locked", "limited", "broken before"}:
            return httpx.Response({"locked": 423, "limited": 429}.get(failure, 500), json={})
        self.done.append(order_id)
        if failure == "lost":
            raise httpx.ReadTimeout("lost")
        return httpx.Response(500 if failure else 200, json={})


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, failures=st.lists(FAILURES, max_size=12))
async def test_a_persons_events_are_done_once_and_in_order(
    database: Database, deliverer: MakeDeliverer, steps: list[tuple[str, object]], failures: list[str]
) -> None:
    """Random arrivals, failures and numbers of workers: each order is done once, and done in the order of its person's
    events, except rows that a held one let pass by the stated rule, and that one is marked."""
    engine, example = Engine(list(failures)), uuid4().hex[:6]
    arrived: dict[str, list[str]] = defaultdict(list)
    workers = [
        deliverer(httpx.MockTransport(engine.answer), owner=f"worker-{number}", order_hold=1.0) for number in range(3)
    ]
    for step, given_ in steps:
        if step == "arrive":
            for person in given_:  # type: ignore[attr-defined]
                name = f"{example}-{person}"
                arrived[name].append(f"{name}-{len(arrived[name])}")
                await routed(database, order(arrived[name][-1], user=name))
        elif step == "work":
            await asyncio.gather(*(work(worker) for worker in workers[:given_]))  # type: ignore[index]
        else:
            await hurry(database)
    for _ in range(40):
        await hurry(database)
        await work(workers[0])
        rows = [row for row in await deliveries(database) if row["person"].startswith(example)]
        if all(row["status"] == "delivered" for row in rows):
            break
    assert {row["status"] for row in rows} <= {"delivered"}
    assert sorted(engine.done) == sorted(name for names in arrived.values() for name in names)
    for person, names in arrived.items():
        passed = [row["passed"] for row in rows if row["person"] == person]
        done = [engine.done.index(name) for name in names]
        overtaken = {earlier for earlier, later in combinations(range(len(names)), 2) if done[later] < done[earlier]}
        assert all(passed[place] for place in overtaken), f"{person}: {done}, passed {passed}"
