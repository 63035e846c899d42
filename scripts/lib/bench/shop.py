"""A whole house of processes, and a till in it: what the rows about orders share."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from scripts.lib.bench.install import Install, private_install
from scripts.lib.bench.wire import Wire, bearer
from scripts.lib.say import Stop

REGISTER = "warsaw/2"
ENROLLED_WITHIN = 60.0

SMALL = {"coffee": 1, "sandwich": 1}
"""9.70: earns points, and no coupon."""
TOO_MUCH = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
LARGE = {"coffee": 2, "sandwich": 2}
"""19.40: earns a coupon as well."""


@contextmanager
def house() -> Iterator[Install]:
    """Web, worker and sandbox with the demo programme, ready."""
    with private_install() as install:
        for module in ("app.sandbox", "app.main", "app.worker"):
            install.start(module)
        install.wait_for(f"{install.web}/health")
        install.run("app.seed")
        yield install


class TurnedAway(Exception):
    """The till is asked to come again: nothing was sold."""


class Till:
    """One register at the counter: calls the till's API, a call at a time for each connection."""

    def __init__(self, install: Install) -> None:
        self._url = install.web
        self._headers = bearer(install.keys["register_keys"][REGISTER])
        self._free: list[Wire] = []

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        """A connection that nobody uses now; a new one when there is none."""
        wire = next((wire for wire in iter(self._taken, None) if wire.is_open), None) or await Wire.open(self._url)
        yield wire
        self._free.append(wire)

    async def enrol(self, number: int) -> str:
        """Enrol a member; returns the id. The card comes a moment later."""
        async with self.wire() as wire:
            body = {"phone": f"+4860{number:07}", "first_name": "Mia"}
            member = await wire.json("POST", "/members", self._headers, body)
        return str(member["id"])

    async def has_card(self, member: str) -> bool:
        async with self.wire() as wire:
            found = await wire.json("GET", f"/members/{member}", self._headers)
        return found["card"] is not None

    async def members(self, count: int) -> list[str]:
        """Enrol so many and wait until all have their card."""
        made = [await self.enrol(number) for number in range(count)]
        until = time.monotonic() + ENROLLED_WITHIN
        for member in made:
            while not await self.has_card(member):
                if time.monotonic() > until:
                    raise Stop(f"Not all of {count} members had their card after {ENROLLED_WITHIN:.0f} s.")
                await asyncio.sleep(0.05)
        return made

    async def quote(self, member: str, lines: dict[str, int], coupon: str | None = None) -> Any:
        async with self.wire() as wire:
            return await wire.json("POST", "/pos/quote", self._headers, _basket(member, lines, coupon))

    async def pay(self, member: str, lines: dict[str, int], coupon: str | None = None) -> str:
        """Sell a basket; returns the order's id. Raises `TurnedAway` when the house has too much to do."""
        key = f"idempotency-key: {uuid4()}\r\ncontent-type: application/json\r\n"
        body = json.dumps(_basket(member, lines, coupon)).encode()
        async with self.wire() as wire:
            status, answered = await wire.call("POST", "/pos/orders", self._headers + key, body)
        if status in TOO_MUCH:
            raise TurnedAway
        if status != HTTPStatus.CREATED:
            raise Stop(f"The till's call was answered {status}: {answered[:300].decode(errors='replace')}")
        return str(json.loads(answered)["id"])

    def _taken(self) -> Wire | None:
        return self._free.pop() if self._free else None

    def close(self) -> None:
        for wire in self._free:
            wire.close()


def _basket(member: str, lines: dict[str, int], coupon: str | None) -> dict[str, Any]:
    wanted = [{"product_id": product, "quantity": quantity} for product, quantity in lines.items()]
    return {"member_id": member, "lines": wanted, "coupon": coupon}
