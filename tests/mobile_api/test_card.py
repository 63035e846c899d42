"""The card's bar code."""

import re

from barcode import Code128
from hypothesis import given
from hypothesis import strategies as st

from mobile_api.card import QUIET, svg

CODES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=24)


@given(CODES)
def test_the_picture_is_the_code(code: str) -> None:
    """For any code the bars drawn are exactly the black modules of its Code 128, inside the quiet zones."""
    modules = Code128(code).build()[0]
    picture = svg(code)
    assert picture is not None
    drawn = ["0"] * (len(modules) + 2 * QUIET)
    for start, length in re.findall(r"M(\d+) 0h(\d+)v40h-\d+z", picture.split('fill="#000"')[1]):
        drawn[int(start) : int(start) + int(length)] = "1" * int(length)
    assert "".join(drawn) == "0" * QUIET + modules + "0" * QUIET


def test_a_code_that_cannot_be_a_bar_code_has_no_picture() -> None:
    """Campaigns may make codes of any characters; the phone then shows the code alone."""
    assert svg("KÖLN-1") is None
