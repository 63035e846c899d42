"""Kill points: whatever process dies wherever on the road of an order, the order comes to the same end."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.console.trace import STEPS
from tests.chaos.kill_house import KillHouse, open_kill_house
from tests.chaos.points import BESIDE, REPAIRS, ROAD
from tests.chaos.seams import PARENT
from tests.conftest import MakeDatabase

POINTS = [*(point for _, point in ROAD), *(f"{point}:{when}" for point in BESIDE for when in ("before", "after"))]
ORDERS = 3
"""That are recorded."""
IN_A_FUNCTION = [point for point in POINTS if point.startswith("function:")]


@pytest_asyncio.fixture(scope="module")
async def kills(
    make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[KillHouse]:
    """A house with kill points. When all tests are done, every sale is looked at again: nothing may come later."""
    folder = tmp_path_factory.mktemp("kills")
    async with open_kill_house(folder, await make_database("kills"), await make_database("kills_sandbox")) as house:
        await house.enrol(sum(item.path == request.path for item in request.session.items) + ORDERS - 1)
        yield house
        late = await asyncio.gather(*(house.books.differences(sale) for sale in house.sales))
        assert not any(late), f"came later: {[found for found in late if found]}"


@pytest_asyncio.fixture(autouse=True)
async def disarmed(kills: KillHouse) -> AsyncIterator[None]:
    """A point that nobody came to must not kill somebody in the next test."""
    yield
    kills.disarm()


async def test_the_list_has_every_point_of_the_road(kills: KillHouse) -> None:
    """Each commit and call of an order is listed, each step of the trace has a point, and each name is one place."""
    records: list[set[tuple[str, int]]] = []
    for _ in range(ORDERS):  # what is passed once in a while is not of the road
        member = kills.member()
        async with kills.recording() as passed:
            await kills.settle(await kills.sell(member))
        records.append({(point, line) for point, line in passed if not point.startswith(BESIDE)})
    always = set.intersection(*records)
    listed, recorded = {point for _, point in ROAD}, {point for point, _ in always}
    assert recorded == listed, f"to be listed: {sorted(recorded - listed)}, not passed: {sorted(listed - recorded)}"
    doubled = [point for point, places in Counter(point for point, _ in always).items() if places > 1]
    assert not doubled, "two places in one function, of which only the first can be armed: take them apart"
    assert {step for step, _ in ROAD} == {name for name, _, _ in STEPS}


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_changes_nothing(kills: KillHouse, point: str) -> None:
    """A process killed at this point is started again, and the sale comes to one of everything, as any other."""
    member, before = kills.member(), kills.house.deaths.copy()
    await kills.harshest(latency_ms=800 if ":prolong:" in point else 0)  # longer than a third of a lease
    kills.arm(point)
    await kills.settle(await kills.sell(member))
    await kills.passed(point)
    kind = point.partition(":")[0]
    assert await kills.died(since=before) == ({} if kind == "function" else {kind: 1})


@pytest.mark.parametrize("point", IN_A_FUNCTION)
async def test_a_worker_that_dies_while_its_function_calls_changes_nothing(kills: KillHouse, point: str) -> None:
    """The insert function of a killed worker goes on alone, and a second worker runs it again: still one coupon."""
    member, before = kills.member(), kills.house.deaths.copy()
    await kills.harshest()
    kills.arm(point, PARENT)
    await kills.settle(await kills.sell(member))
    assert await kills.died(since=before) == {"worker": 1}


@pytest.mark.long
@pytest.mark.parametrize(("first", "second"), REPAIRS)
async def test_a_kill_in_the_repair_of_a_kill_changes_nothing(kills: KillHouse, first: str, second: str) -> None:
    """Whoever puts right what a kill left behind may be killed there as well."""
    member, before = kills.member(), kills.house.deaths.copy()
    await kills.harshest()
    kills.arm(first)
    sold = asyncio.create_task(kills.sell(member))
    if first == second:
        await kills.passed(first)
    kills.arm(second)
    await kills.settle(await sold)
    await kills.passed(first)
    await kills.passed(second)
    assert (await kills.died(since=before)).total() == 2
