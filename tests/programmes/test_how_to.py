"""The example of the how-to is carried out."""

import re

from app.programmes import file, trial
from app.programmes.__main__ import EPILOG
from tests.programmes.conftest import ROOT, SHIPPED, Place

PAGE = (ROOT / "docs/how-to/write-a-programme.md").read_text()


async def test_the_example_does_what_it_says(place: Place) -> None:
    """The programme on the page is valid and its tests pass; their names are in the output that the page shows."""
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    programme = file.read(text, "tea.yaml")
    assert len(programme.tests) == 2
    for test in programme.tests:
        outcome = await trial.run(place.own, programme, test)
        assert outcome.wrongs == ()
        assert outcome.passed
        assert f"  passed  {test.name}" in PAGE


async def test_the_failure_on_the_page_is_how_it_fails(place: Place) -> None:
    """What the page shows of a failing test is what is said."""
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    programme = file.read(text.replace("points: 0\n        coupons", "points: 1\n        coupons"), "tea.yaml")
    outcome = await trial.run(place.own, programme, programme.tests[0])
    [wrong] = outcome.wrongs
    assert f"          {wrong}\n" in PAGE


def test_the_page_and_the_help_name_what_is_shipped() -> None:
    """Every shipped file is on the page, and the page is where the help says."""
    assert set(re.findall(r"^\| `(\S+\.yaml)`", PAGE, re.MULTILINE)) == {path.name for path in SHIPPED}
    assert "docs/how-to/write-a-programme.md" in EPILOG
