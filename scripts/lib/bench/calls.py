"""How many calls to Voucherify an order costs, and a change of a basket: counted where they arrive, in the sandbox.

The figure of an order is that of the dearest kind: paid with a coupon, and large enough to earn another one.
"""

import asyncio
import time
from collections import Counter

import asyncpg
import uvloop

from scripts.lib.bench.install import Install
from scripts.lib.bench.rows import Result
from scripts.lib.bench.shop import LARGE, SMALL, Till, house
from scripts.lib.client import call
from scripts.lib.say import Stop

DONE_WITHIN = 30.0
QUIET = 3.0
"""Seconds to wait for calls that nobody expects, such as the job that looks up balances that don't add up."""


def measure() -> list[Result]:
    """One order of each kind, one after the other, and a change of a basket with and without a coupon."""
    with house() as install:
        return uvloop.run(_measure(install))


async def _measure(install: Install) -> list[Result]:
    till, database = Till(install), await asyncpg.connect(install.url)
    try:
        (member,) = await till.members(1)
        await asyncio.sleep(QUIET)
        orders, changes = {}, {}
        orders["small"] = await _order(install, till, database, member, SMALL)
        orders["large, earns a coupon"] = await _order(install, till, database, member, LARGE)
        coupon = await database.fetchval("SELECT code FROM coupon WHERE redeemed_at IS NULL LIMIT 1")
        for name, code in (("without a coupon", None), ("with a coupon", coupon)):
            _forget(install)
            await till.quote(member, LARGE, code)
            changes[name] = _made(install)
        orders["with a coupon, earns another"] = await _order(install, till, database, member, LARGE, coupon)
    finally:
        till.close()
        await database.close()
    detail = {name: f"{made.total()} ({_named(made)})" for name, made in orders.items()}
    each = {name: f"{made.total()} ({_named(made)})" for name, made in changes.items()}
    return [
        Result.of("calls", max(made.total() for made in orders.values()), {}, detail),
        Result(
            "calls.basket", max(made.total() for made in changes.values()), "calls/basket change", 1, "lower", {}, each
        ),
    ]


async def _order(
    install: Install,
    till: Till,
    database: asyncpg.Connection,
    member: str,
    lines: dict[str, int],
    coupon: str | None = None,
) -> Counter[str]:
    """Sell a basket, wait until its points are there and all is quiet: the calls by their resource."""
    _forget(install)
    order = await till.pay(member, lines, coupon)
    until = time.monotonic() + DONE_WITHIN
    while not await database.fetchval("SELECT true FROM point_movement WHERE order_id = $1", order):
        if time.monotonic() > until:
            raise Stop(f"The order's points did not come within {DONE_WITHIN:.0f} s.")
        await asyncio.sleep(0.05)
    await asyncio.sleep(QUIET)
    return _made(install)


def _forget(install: Install) -> None:
    call("DELETE", f"{install.settings.sandbox_url}/sandbox/requests")


def _made(install: Install) -> Counter[str]:
    _, body = call("GET", f"{install.settings.sandbox_url}/sandbox/requests")
    return Counter(f"{row['method']} {'/'.join(row['path'].split('/')[1:3])}" for row in body["data"])


def _named(made: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" if count > 1 else name for name, count in made.items()) or "none"
