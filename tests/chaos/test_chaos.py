"""The chaos suite: generated trade under random kills and faults; then the auditor must find nothing at all."""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.db import embedded
from tests.chaos.havoc import Havoc
from tests.chaos.trade import Books, Shopper
from tests.house import House

SHOPPERS = 5
SETTLED_WITHIN = 120.0


@dataclass
class City:
    """A house on a Postgres of its own, which may be restarted, with two workers."""

    house: House
    data_dir: Path
    database_url: str

    def restart_postgres(self) -> None:
        embedded.stop(self.data_dir)
        embedded.start(self.data_dir)

    def audit(self, *options: str) -> dict[str, Any]:
        """What `./scripts/audit` says."""
        done = subprocess.run(  # noqa: PLW1510 - its exit code is looked at below
            [sys.executable, "-m", "app.audit", "--json", "--settling", "0", "--per-minute", "1000000", *options],
            cwd=self.house.folder, env=self.house._environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode in {0, 1}, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report


@pytest.fixture
def city() -> Iterator[City]:
    # A short path: a socket's may have a hundred letters.
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    data_dir = folder / "postgres"
    try:
        server = embedded.start(data_dir)
        database_url = embedded.database_url(server, "chaos")
        house = House(
            folder,
            database_url,
            embedded.database_url(server, "chaos_sandbox"),
            VOUCHERIFY_TIMEOUT="2",
            WORKER_PENDING_ORDER_AFTER="3",
        )
        try:
            house.open()
            house.start("worker2")
            yield City(house, data_dir, database_url)
        finally:
            for name in list(house._running):
                house.stop(name, signal.SIGKILL)
    finally:
        embedded.remove(data_dir)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_short_storm_leaves_no_difference(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a minute of trade under kills, freezes, faults and restarts: nothing is lost, doubled or unequal."""
    storm(city, capsys, seconds=30)


@pytest.mark.long
def test_a_long_storm_leaves_no_difference(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for ten minutes."""
    storm(city, capsys, seconds=600)


def storm(city: City, capsys: pytest.CaptureFixture[str], seconds: float) -> None:
    seed = os.environ.get("CHAOS_SEED") or str(random.SystemRandom().randrange(10**9))
    show(capsys, f"\nCHAOS_SEED={seed}")
    books, closing = Books(), threading.Event()
    havoc = Havoc(city.house, seed, city.restart_postgres)
    with city.house.supervised():
        threads = [
            threading.Thread(target=Shopper(city.house, books, f"{seed}:{number}", closing).run, daemon=True)
            for number in range(SHOPPERS)
        ]
        trouble = threading.Thread(target=havoc.run, args=(closing,), daemon=True)
        for thread in [*threads, trouble]:
            thread.start()
        wait_for_trade(books, seconds)
        closing.set()
        trouble.join()
        havoc.end()
        for thread in threads:
            thread.join(timeout=180)
            assert not thread.is_alive(), "a till has no answer yet"
        city.house.wait_until_ready()
        report = settled(city)
    show(capsys, json.dumps(figures(books, havoc, report), indent=2))
    told = f"CHAOS_SEED={seed}\n" + "\n".join(havoc.log)
    assert (report["findings"], books.wrong) == ([], []), told
    asyncio.run(remembered(city, books))


def wait_for_trade(books: Books, seconds: float) -> None:
    """So long, and longer on a busy machine, where processes take their time to come back: until enough is sold."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds * 4:
        if waited > seconds and len(books.paid) > seconds:
            return
        time.sleep(0.2)


def show(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """The figures are for people to see, also when all is well."""
    with capsys.disabled():
        print(text)  # noqa: T201


def settled(city: City) -> dict[str, Any]:
    """Wait, as if much more time passed, until nothing is open; then audit everything."""
    until = time.monotonic() + SETTLED_WITHIN
    while True:
        asyncio.run(hurry(city))
        unsent = hurry_webhooks(city)
        decide(city)
        report = city.audit("--local")
        if not report["open"] and not unsent:
            report = city.audit("--calls", "1000000")
            if not report["findings"]:
                return report
        if time.monotonic() > until:
            assert not unsent, f"Voucherify has not sent {unsent} webhooks:\n{why_unsent(city)}"
            return report
        time.sleep(0.5)


async def hurry(city: City) -> None:
    """All waits are over."""
    connection = await asyncpg.connect(city.database_url)
    for statement in (
        "UPDATE orders SET recheck_at = now() WHERE recheck_at > now()",
        "UPDATE orders SET touched_at = touched_at - interval '1 minute' WHERE status = 'PENDING'",
        "UPDATE point_operation SET touched_at = touched_at - interval '1 hour' WHERE status = 'PENDING'",
        "UPDATE emission SET due_at = now() WHERE status = 'pending'",
        "UPDATE delivery SET due_at = now() WHERE status = 'pending'",
        "UPDATE lane SET due_at = now() WHERE due_at > now() AND owner IS NULL",
        "UPDATE destination_state SET probe_at = now() WHERE probe_at > now()",
        "UPDATE webhook SET due_at = now() WHERE status = 'pending'",
    ):
        await connection.execute(statement)
    await connection.close()


def hurry_webhooks(city: City) -> int:
    """How many webhooks Voucherify has still to send. Those that were refused wait by its clock, which is moved."""
    asked = httpx.get(f"{city.house.sandbox}/sandbox/deliveries", params={"state": "WAITING", "limit": 100}, timeout=60)
    waiting: list[dict[str, Any]] = asked.json()["data"]
    if any(row["attempts"] for row in waiting):
        httpx.post(f"{city.house.sandbox}/sandbox/clock", json={"advance": 120}, timeout=60)
    return len(waiting)


def why_unsent(city: City) -> str:
    """What is known of the webhooks that wait: how often they were tried, with what answer, and the last log lines."""
    rows = httpx.get(f"{city.house.sandbox}/sandbox/deliveries", params={"state": "WAITING", "limit": 100}).json()
    tried = Counter((row["attempts"], row["answer"], row["due_at"]) for row in rows["data"])
    hooks = httpx.get(f"{city.house.sandbox}/sandbox/webhooks").json()["data"]
    seen = [{key: hook[key] for key in ("id", "active", "waiting", "failed", "last_trouble")} for hook in hooks]
    clock = httpx.get(f"{city.house.sandbox}/sandbox/clock").text
    return "\n".join([str(tried), *map(str, seen), clock, city.house.log("sandbox")[-3000:]])


def decide(city: City) -> None:
    """Be the operator: what nobody could find out is looked up in Voucherify's own books, and decided."""
    with city.house.operator() as operator:
        listed = operator.get("/console/unclear/list").json()
        for case in listed["unclear"]:
            decision = {"decision": "not_done", "note": "It is not in Voucherify's books."}
            answer = operator.post(f"/console/unclear/{case['subject']}", json=decision)
            assert answer.status_code in {200, 409}, answer.text


async def remembered(city: City, books: Books) -> None:
    """What the tills were told is what the house has: each key one order, and every point accounted for."""
    connection = await asyncpg.connect(city.database_url)
    try:
        await _remembered(connection, books)
    finally:
        await connection.close()


async def _remembered(connection: asyncpg.Connection, books: Books) -> None:
    orders = await connection.fetch("SELECT id::text, idempotency_key AS key, status FROM orders")
    assert {row["key"]: row["id"] for row in orders if row["status"] == "PAID"} == books.paid
    assert {row["key"] for row in orders if row["status"] == "CANCELED"} <= books.refused.keys()
    members = await connection.fetch(
        "SELECT phone, id::text FROM member WHERE source <> 'phone' OR phone = ANY($1)", [*books.members]
    )
    assert {row["phone"]: row["id"] for row in members} == books.members
    unequal = await connection.fetch(
        """SELECT * FROM (
               SELECT member.id, card, (loyalty->>'balance')::int AS balance, 50
                      + (SELECT coalesce(sum((amount - discount) / 100), 0) FROM orders
                         WHERE member_id = member.id AND status = 'PAID')
                      + (SELECT coalesce(sum(points), 0) FROM point_operation
                         WHERE member_id = member.id AND status = 'DONE' AND client <> 'house') AS due
               FROM member
               LEFT JOIN profile_identifier ON type = 'user_id' AND value = member.id::text
               LEFT JOIN profile ON profile.id = profile_id
           ) AS counted WHERE balance IS DISTINCT FROM due"""
    )
    assert [dict(row) for row in unequal] == [], await _roads(connection, [row["id"] for row in unequal])
    coupons, big = await connection.fetchrow(
        """SELECT (SELECT count(*) FROM coupon WHERE campaign = 'Big basket'),
                  (SELECT count(*) FROM orders WHERE status = 'PAID' AND member_id IS NOT NULL AND total > 1500)"""
    )
    assert coupons == big


async def _roads(connection: asyncpg.Connection, members: list[Any]) -> str:
    """What became of these members' events, for who has to find out."""
    rows = await connection.fetch(
        """SELECT event.person, event.name, event.order_id, event.position, mapping, delivery.status, attempts,
                  delivery.finished_at, passed, delivery.error,
                  (SELECT string_agg(kind || ' ' || coalesce(outcome, '-') || ' ' || started_at::time, ', '
                                     ORDER BY started_at) FROM attempt WHERE delivery_id = delivery.id) AS tries,
                  (SELECT sum(points) FROM point_movement WHERE order_id = event.order_id) AS points
           FROM event LEFT JOIN delivery ON event_position = position
           WHERE person = ANY($1) ORDER BY person, position""",
        [str(member) for member in members],
    )
    return "\n".join(str(dict(row)) for row in rows)


def figures(books: Books, havoc: Havoc, report: dict[str, Any]) -> dict[str, Any]:
    kept = ("orders", "orders_paid", "orders_canceled", "members", "events", "deliveries", "webhooks", "movements")
    return {
        "seed": havoc.seed,
        **{name: report["figures"][name] for name in kept},
        "with_coupon": books.with_coupon,
        "points_moved": sum(status == "DONE" for status in books.moved.values()),
        "repeated": books.repeated,
        "asked_again": books.asked_again,
        **dict(sorted(havoc.happened.items())),
        "calls_of_the_auditor": report["figures"].get("calls"),
        "differences": report["differences"],
        "open": report["open"],
    }
