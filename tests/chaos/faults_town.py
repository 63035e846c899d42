"""A house with its members and its tills, in any trouble: what is sold there, and the switches of the sandbox."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from tests.conftest import MakeDatabase
from tests.house import PATIENCE, ROOT, House

SITE = Path(__file__).parent / "faults_site"
BIG, SMALL = {"fuel": 1}, {"wash-full": 1}
"""A basket that earns a coupon, and one that does not: 16.50 and 14.50."""

LOST = [
    {"path": "/v1/orders", "count": 3},
    {"path": "/v1/publications", "count": 2},
    {"path": "/v1/redemptions", "count": 1},
]
"""Calls that Voucherify carries out and whose answer nobody gets."""


def planned(status: int, count: int = 4, path: str = "/v1") -> dict[str, Any]:
    """The next calls are refused with this status."""
    return {"status": status, "count": count, "path": path}


@dataclass
class Town:
    """A house, and everything that was bought in it by these tests."""

    house: House
    database_url: str
    keys: dict[str, list[str]] = field(default_factory=dict)
    """The idempotency keys of each member's purchases."""
    cards: dict[str, str] = field(default_factory=dict)

    @property
    def members(self) -> list[str]:
        return list(self.cards)

    def start(self, *names: str, **settings: str) -> None:
        """Start these processes, and wait until each can do its work."""
        for name in names:
            self.house.start(name, **settings)
        until = time.monotonic() + PATIENCE
        for name in names:
            while not _is_ready(self.house.url(name)):
                assert time.monotonic() < until, f"{name} did not get ready"
                time.sleep(0.05)

    def forget(self) -> None:
        """Begin new books, which know nobody."""
        self.keys.clear()
        self.cards.clear()

    def enrol(self) -> str:
        """A new member with a card; returns the id."""
        member = self.house.enrol(phone())
        self.keys[member["id"]], self.cards[member["id"]] = [], member["card"]
        found: str = member["id"]
        return found

    def coupon(self, member: str) -> str:
        """Let the member earn a coupon by a big basket."""
        found: str = self.house.trace(self.sell(member, BIG)["id"])["coupon"]
        return found

    def sell(self, member: str, lines: Mapping[str, int], coupon: str | None = None, web: str = "web") -> Any:
        """Sell as a patient till: with the same key until there is an answer, anew where the order was canceled."""
        until = time.monotonic() + PATIENCE
        key = self._key(member)
        said = ""
        while time.monotonic() < until:
            answer = self.pay(member, lines, coupon, key, web)
            if answer is not None and answer.status_code == 201:
                return answer.json()
            said = "no answer" if answer is None else f"{answer.status_code} {answer.text}"
            if answer is not None and answer.status_code == 422:
                key = self._key(member)
            else:
                assert answer is None or answer.status_code in {429, 500, 502, 503}, said
            time.sleep(0.3)
        raise AssertionError(f"The till could not sell: {said}")

    def pay(
        self, member: str, lines: Mapping[str, int], coupon: str | None, key: str, web: str = "web"
    ) -> httpx.Response | None:
        """One try of a till; None when no answer came."""
        goods = [{"product_id": product, "quantity": quantity} for product, quantity in lines.items()]
        body = {"member_id": member, "lines": goods, "coupon": coupon}
        with self.till(web) as till, contextlib.suppress(httpx.TransportError):
            return till.post("/pos/orders", json=body, headers={"idempotency-key": key})
        return None

    def till(self, web: str = "web") -> httpx.Client:
        """A till of one of the web processes."""
        headers = {"authorization": f"Bearer {self.house.register_key}"}
        return httpx.Client(base_url=self.house.url(web), timeout=8, headers=headers)

    def _key(self, member: str) -> str:
        self.keys[member].append(str(uuid4()))
        return self.keys[member][-1]

    def sell_all(self, sales: Sequence[tuple[Any, ...]], tills: int = 6) -> list[Any]:
        """Make these sales (arguments of `sell`) at several tills at once."""
        with ThreadPoolExecutor(tills) as pool:
            return [each.result() for each in [pool.submit(self.sell, *sale) for sale in sales]]

    @contextlib.asynccontextmanager
    async def selling(self, sales: Sequence[tuple[Any, ...]], tills: int = 6) -> AsyncIterator[asyncio.Task[list[Any]]]:
        """Make these sales in the background; the block's end waits for the last of them."""
        task = asyncio.create_task(asyncio.to_thread(self.sell_all, sales, tills))
        try:
            yield task
        finally:
            await task

    def post(self, path: str, **request: Any) -> httpx.Response:
        """Post to the web process, as somebody outside."""
        return httpx.post(self.house.web + path, timeout=60, **request)

    def switch(self, **faults: Any) -> None:
        """Switch on faults of the sandbox."""
        answer = httpx.post(f"{self.house.sandbox}/sandbox/faults", json=faults, timeout=60)
        assert answer.status_code == 200, answer.text

    def switch_off(self) -> None:
        assert httpx.delete(f"{self.house.sandbox}/sandbox/faults", timeout=60).status_code == 200

    def calls(self, method: str, path: str) -> list[dict[str, Any]]:
        """What the sandbox was called for, the first first."""
        asked = httpx.get(f"{self.house.sandbox}/sandbox/requests", params={"method": method, "path": path}, timeout=60)
        found: list[dict[str, Any]] = asked.json()["data"]
        return found

    def forget_calls(self) -> None:
        assert httpx.delete(f"{self.house.sandbox}/sandbox/requests", timeout=60).status_code == 204

    def webhook_secret(self) -> str:
        found: str = json.loads((self.house.folder / "install.json").read_text())["sandbox_webhook_secret"]
        return found

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
            yield connection
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def open_town(
    name: str, make_database: MakeDatabase, folder: Path, database_url: str | None = None, **settings: str
) -> AsyncIterator[Town]:
    """A house while the block runs; Voucherify's database is never on a Postgres of the house's own."""
    url = database_url or await make_database(name)
    house = House(folder, url, await make_database(f"{name}_sandbox"), **settings)
    try:
        yield Town(house.open(), url)
    finally:
        house.close()


@contextlib.contextmanager
def trouble(town: Town, **faults: Any) -> Iterator[None]:
    """These faults of the sandbox while the block runs."""
    town.switch(**faults)
    try:
        yield
    finally:
        town.switch_off()


def _is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/health/ready", timeout=5).status_code == 200
    return False


def wrong_clock(seconds: float) -> dict[str, str]:
    """The environment of a process whose clocks are wrong."""
    return {"PYTHONPATH": f"{SITE}:{ROOT}", "TEST_CLOCK_AHEAD": str(seconds)}


def phone() -> str:
    return f"+4860{random.randrange(10**6, 10**7)}"
