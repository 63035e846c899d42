"""The programmes that come with the project: their own tests pass, and what was loaded is as the file says."""

from pathlib import Path

import pytest

from app.errors import VoucherifyRefused
from app.programmes import file, trial
from app.programmes.load import load, plan
from tests.programmes.conftest import SHIPPED, Place

TESTS = [(path, number) for path in SHIPPED for number in range(len(file.load(path).tests))]


@pytest.mark.parametrize(
    ("path", "number"), TESTS, ids=[f"{path.stem}: {file.load(path).tests[number].name}" for path, number in TESTS]
)
async def test_programme(place: Place, path: Path, number: int) -> None:
    """Each test that stands in a shipped file passes on the sandbox."""
    programme = file.load(path)
    outcome = await trial.run(place.own, programme, programme.tests[number])
    if outcome.not_emulated:
        pytest.skip(f"The sandbox does not emulate this: {outcome.not_emulated}")
    assert outcome.wrongs == ()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
async def test_the_plan_of_what_was_just_loaded_is_empty(place: Place, path: Path) -> None:
    """After loading nothing is missing and nothing differs."""
    programme = file.load(path)
    try:
        left = await load(place.target, programme)
    except VoucherifyRefused as error:
        if error.code != 501:
            raise
        pytest.skip(f"The sandbox does not emulate this: {error.sentence}")
    assert (left.steps, [str(each) for each in left.differences]) == ([], [])
    again, _ = await plan(place.target, programme)
    assert (again.steps, again.differences) == ([], [])
