"""Requests for several things of one kind lock them in one order: none waits for one that waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import asyncpg
import httpx
import pytest

from app.sandbox.app import Sandbox
from tests.sandbox import referring, shop
from tests.sandbox.programme import join, loyalty, send

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
Call = Coroutine[Any, Any, httpx.Response]


async def refuse_other_order(sandbox: Sandbox, table: str, first: str, then: str, call: Call) -> None:
    """Lock one row, wait until the call waits for it, and lock the other: the call must not hold that one yet."""
    pool = await sandbox.store.pool()
    async with pool.acquire() as connection, pool.acquire() as watching:
        async with connection.transaction():
            lock = f"SELECT 1 FROM {table} WHERE id = $1 FOR UPDATE"
            await connection.execute(lock, first)
            running = asyncio.create_task(call)
            until = asyncio.get_running_loop().time() + 60
            while not await watching.fetchval(_WAITING):
                assert not running.done(), running.result().text
                assert asyncio.get_running_loop().time() < until, "nobody waits"
                await asyncio.sleep(0.02)
            try:
                async with connection.transaction():
                    await connection.execute(f"{lock} NOWAIT", then)
                free = True
            except asyncpg.LockNotAvailableError:
                free = False
        answer = await running
    assert answer.status_code in {200, 202}, answer.text
    assert free, f"who waits for {first} holds {then}"


async def two_customers(api: httpx.AsyncClient) -> tuple[str, str]:
    """The ids of `a` and `b`, of which that of `b` comes first."""
    while True:
        a, b = [(await send(api, "POST", "/v1/customers", {"source_id": name}))["id"] for name in "ab"]
        if b < a:
            return a, b
        for each in (a, b):
            await send(api, "DELETE", f"/v1/customers/{each}", expect=204)


@pytest.mark.parametrize("call", ["holders", "bulk", "metadata", "file"])
async def test_customers_are_locked_by_their_ids(api: httpx.AsyncClient, sandbox: Sandbox, call: str) -> None:
    """Whatever they are called by, and in whatever order: as every request that needs two customers does."""
    await referring.programme(api)
    code = await referring.code_of(api)
    a, b = await two_customers(api)
    both = [{"source_id": name, "metadata": {"n": 1}} for name in "ab"]
    named = {"source_ids": ["a", "b"], "metadata": {"n": 1}}
    file = {"file": ("c.csv", b"source_id,name\na,A\nb,B\n", "text/csv")}
    calls = {
        "holders": lambda: api.post(f"/v1/referrals/members/{code}/holders", json={"holders": both}),
        "bulk": lambda: api.post("/v1/customers/bulk/async", json=both),
        "metadata": lambda: api.post("/v1/customers/metadata/async", json=named),
        "file": lambda: api.post("/v1/customers/importCSV", files=file),
    }
    await refuse_other_order(sandbox, "customer", b, a, calls[call]())


async def test_rollbacks_lock_what_they_put_in_stock(api: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Two products that came by one request are locked by their ids, as those who buy them lock them."""
    await loyalty(api, points=500)
    mug = await shop.mug(api, stock=50)
    voucher = {"type": "LOYALTY_CARD", "loyalty_card": {"points": 500}, "code_config": {"pattern": "C-########"}}
    await send(api, "POST", "/v1/loyalties", {"name": shop.OTHER, "voucher": voucher})
    product = await send(api, "POST", "/v1/products", {"source_id": "cup", "name": "Cup", "price": 900})
    made = {"name": "A cup", "parameters": {"product": {"id": product["id"]}}, "stock": 50}
    cup = await send(api, "POST", "/v1/rewards", made)
    price = [{"reward": cup["id"], "parameters": {"loyalty": {"points": 1}}}]
    await send(api, "POST", f"/v1/loyalties/{shop.OTHER}/rewards", price)
    published = {"campaign": {"name": shop.OTHER}, "customer": {"source_id": "u-1"}}
    other = (await send(api, "POST", "/v1/publications", published))["voucher"]["code"]
    cards = {await join(api): mug["id"], other: cup["id"]}
    wanted = [{"object": "voucher", "id": card, "reward": {"id": reward}} for card, reward in cards.items()]
    first, then = sorted((mug["id"], cup["id"]))
    while True:
        bought = await send(api, "POST", "/v1/redemptions", {"redeemables": wanted, "customer": {"source_id": "u-1"}})
        undone = sorted(bought["redemptions"], key=lambda each: str(each["id"]))
        if undone[0]["reward"]["id"] == then:
            break
    parent = bought["parent_redemption"]["id"]
    await refuse_other_order(sandbox, "reward", first, then, api.post(f"/v1/redemptions/{parent}/rollbacks"))
