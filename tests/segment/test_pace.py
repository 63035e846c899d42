"""The set rate of the door: who is faster waits, nobody else does, and nothing is lost over it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from segment.analytics.client import Client

from app.segment.limits import Buckets, Pace, neighbourhood
from tests.conftest import MakeDatabase
from tests.segment.test_door import track
from tests.web import Web, open_web

RATE = 20


@pytest_asyncio.fixture(scope="module")
async def slow(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    """A door with a rate."""
    folder, url = tmp_path_factory.mktemp("pace"), await make_database("pace")
    async with open_web(folder, url, DOOR_EVENTS_PER_SECOND=str(RATE)) as opened:
        yield opened


async def key_of(web: Web, source: str) -> str:
    async with web.database.connection() as connection:
        key: str = await connection.fetchval("SELECT key FROM write_key WHERE source = $1", source)
    return key


async def batch(web: Web, key: str, size: int, address: str = "127.0.0.1") -> httpx.Response:
    async with web.client() as client:
        body = {"batch": [track() for _ in range(size)], "writeKey": key}
        return await client.post("/v1/batch", json=body, headers={"x-forwarded-for": address})


async def test_who_is_faster_than_the_rate_is_told_when_to_come_again(slow: Web) -> None:
    """A batch larger than a second's worth passes, and what it was too much is waited for; other keys go on."""
    key = await key_of(slow, "phone")
    assert (await batch(slow, key, 3 * RATE)).status_code == 200
    refused = await batch(slow, key, 1)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["retry-after"] == refused.headers["x-ratelimit-reset"]
    assert 2 <= int(refused.headers["retry-after"]) <= 3
    assert refused.headers["access-control-allow-origin"] == "*"
    assert (await batch(slow, await key_of(slow, "online-store"), 1)).status_code == 200
    await asyncio.sleep(float(refused.headers["retry-after"]))
    assert (await batch(slow, key, 1)).status_code == 200


async def test_strangers_wait_by_address(slow: Web) -> None:
    """Under unknown keys an address has the rate of one key, however many keys it tries."""
    assert (await batch(slow, "wrong-1", 2 * RATE, "192.0.2.1")).status_code == 200
    assert (await batch(slow, "wrong-2", 1, "192.0.2.1")).status_code == 429
    assert (await batch(slow, "wrong-3", 1, "192.0.2.2")).status_code == 200


async def test_segments_library_gets_everything_through_at_the_set_rate(slow: Web) -> None:
    """Batches that come too fast are sent again by the library, and all of them are stored once."""
    key, user, failed = await key_of(slow, "till"), str(uuid4()), list[Any]()

    def run() -> None:
        client = Client(key, host=slow.url, upload_size=RATE, on_error=lambda *trouble: failed.append(trouble))
        for _ in range(3 * RATE):
            client.track(user, "Tested")
        client.flush()
        client.join()

    await asyncio.to_thread(run)
    async with slow.database.connection() as connection:
        count = await connection.fetchval("SELECT count(*) FROM event WHERE person = $1", user)
    assert (failed, count) == ([], 3 * RATE)


@given(asked=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), max_size=60))
def test_no_more_passes_than_flows_in(asked: list[tuple[float, int]]) -> None:
    """Over any times and sizes: what passed is at most the bucket, what flowed in since, and one request's debt."""
    rate, size, clock, passed = 7.0, 7.0, 0.0, 0
    buckets = Buckets(rate, size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.segment.limits.monotonic", lambda: clock)
        for pause, units in asked:
            clock += pause
            wait = buckets.take("key", units)
            if not wait:
                passed += units
                assert passed <= size + clock * rate + 50
            else:
                clock += wait  # who waits as long as is said gets in
                assert buckets.take("key", 1) == pytest.approx(0.0, abs=1e-6)
                passed += 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::"),
        ("2001:db8:0:1:ffff::2", "2001:db8:0:1::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_one_sender_is_one_network(address: str, network: str) -> None:
    """Of IPv6, where anybody has addresses without end, a sender is a network."""
    assert neighbourhood(address) == network


def test_without_a_rate_nobody_is_too_fast() -> None:
    """A door that has no rate lets everything pass."""
    pace = Pace.of(None)
    for _ in range(3):
        pace.refuse_too_fast("key", "192.0.2.1", 1_000_000)
