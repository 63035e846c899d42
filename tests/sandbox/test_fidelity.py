"""The page about how true the sandbox is says what the code says of itself."""

import re

import pytest

from app.sandbox.fidelity import asserted, documented, inferred
from scripts.lib import fidelity


def test_the_page_is_made_of_the_markers() -> None:
    """The tables are those of the markers beside the code, and what is refused is what the code refuses."""
    page = fidelity.PAGE.read_text()
    assert list(fidelity.unmarked(page)) == []
    assert fidelity.made(page) == page, "run: .venv/bin/python -m scripts.lib.fidelity --write"


def test_every_marker_is_one_row() -> None:
    """A behaviour is said once, on one line, and no bar in it breaks the table."""
    found = [mark for section in fidelity.SECTIONS for module in fidelity.modules(section) for mark in
             fidelity.marks(module)]  # fmt: skip
    assert len(found) > 30
    assert len({mark.behaviour for mark in found}) == len(found)
    assert not [mark for mark in found if re.search(r"[|\n]", mark.behaviour + mark.note)]


def test_a_row_and_its_marker_are_the_same() -> None:
    """A line that was added to the page by hand is printed as the marker that makes it."""
    for mark in (documented("a `b`", "older samples differ"), asserted("it's"), inferred("x", "y (z)")):
        line = fidelity.row(mark)
        behaviour, _, sure = line.strip("| ").rpartition(" | ")
        text = fidelity.marker(behaviour, sure)
        assert eval(text.rstrip(","), {"documented": documented, "asserted": asserted, "inferred": inferred}) == mark


def test_a_new_row_is_missed() -> None:
    """A row that no marker makes is found, and so is a marker that the page has not."""
    page = fidelity.PAGE.read_text()
    added = page.replace("\n\n## Webhooks", "\n| pigs fly | inferred |\n\n## Webhooks", 1)
    assert list(fidelity.unmarked(added)) == [("What it does", "inferred('pigs fly'),")]
    assert fidelity.made(added) == page


def test_the_page_needs_its_headings() -> None:
    """A page without the headings is not overwritten by half."""
    with pytest.raises(SystemExit, match="The protocol"):
        fidelity.made("# Nothing")
