"""Group commit: what comes at one moment goes together, and one bad item harms only itself."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from app.pipeline.together import Together


async def test_what_comes_while_a_group_is_written_is_the_next_group() -> None:
    """Nobody waits for others to come; each gets its own result, and none is written twice."""
    groups: list[list[int]] = []
    gate = asyncio.Event()

    async def run(items: Sequence[int]) -> list[int]:
        groups.append(list(items))
        await gate.wait()
        return [item * 10 for item in items]

    together = Together(run)
    calls = [asyncio.create_task(together(1))]
    await asyncio.sleep(0)
    calls += [asyncio.create_task(together(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*calls) == [10, 20, 30, 40]
    assert [number for group in groups for number in group] == [1, 2, 3, 4]
    assert len(groups) == 2


async def test_an_item_that_breaks_its_group_harms_only_itself() -> None:
    """A group that can't be written is written one by one: the culprit hears why, the others are done."""

    async def run(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise ValueError("3 can't be stored")
        return list(items)

    together = Together(run)
    results = await asyncio.gather(*(together(number) for number in range(5)), return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [0, 1, 2, 4]
    assert isinstance(results[3], ValueError)


async def test_a_database_that_is_away_is_told_to_all_at_once() -> None:
    """An error that is no item's fault is not tried again for each of them."""
    tries = 0

    async def run(items: Sequence[int]) -> list[int]:
        nonlocal tries
        tries += 1
        raise asyncpg.InterfaceError("the connection is gone")

    together = Together(run)
    results = await asyncio.gather(*(together(number) for number in range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {asyncpg.InterfaceError}
    assert tries <= 2


async def test_one_that_is_cancelled_takes_nobody_with_it() -> None:
    """Who stops waiting leaves its item in the group, and the others get their results."""
    gate = asyncio.Event()
    written: list[int] = []

    async def run(items: Sequence[int]) -> list[int]:
        await gate.wait()
        written.extend(items)
        return list(items)

    together = Together(run)
    calls = [asyncio.create_task(together(number)) for number in range(3)]
    await asyncio.sleep(0)
    calls[1].cancel()
    gate.set()
    assert [await calls[0], await calls[2]] == [0, 2]
    with pytest.raises(asyncio.CancelledError):
        await calls[1]
    assert written == [0, 1, 2]
