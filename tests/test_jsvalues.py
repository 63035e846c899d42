"""JSON values as JavaScript sees them. Expected values were taken from Node 20."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import jsvalues
from app.jsvalues import UNDEFINED


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (123456789012345680000.0, "123456789012345680000"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (-1.25e-9, "-1.25e-9"),
        (12345678901234567890, "12345678901234567000"),
        (10**400, "Infinity"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_are_printed_as_in_javascript(number: float, text: str) -> None:
    """Numbers turn into text by ECMAScript's rules, integers beyond 2**53 included."""
    assert jsvalues.number_to_string(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_printed_numbers_read_back(number: float) -> None:
    """What is printed is the shortest text that reads back as the same number."""
    assert jsvalues.to_number(jsvalues.number_to_string(number)) == number


@pytest.mark.parametrize(
    ("value", "number"),
    [("", 0), (" 7 ", 7), ("0x10", 16), ("1e3", 1000), (".5", 0.5), ("5.", 5), (True, 1), (None, 0), ([5], 5)],
)
def test_texts_as_numbers(value: Any, number: float) -> None:
    """White space, hexadecimal and exponents count; an empty text is zero."""
    assert jsvalues.to_number(value) == number


@pytest.mark.parametrize("value", ["x", "1 2", "1_000", "٣", "0x", "--1", {}, UNDEFINED])
def test_what_is_no_number(value: Any) -> None:
    """Python's liberties with digits are not JavaScript's: such text is no number."""
    assert math.isnan(jsvalues.to_number(value))


def test_lists_and_objects_as_text() -> None:
    """Lists are joined by commas with nothing for null; objects all look alike."""
    assert jsvalues.to_string([1, None, ["x", True], {"a": 1}]) == "1,,x,true,[object Object]"


def test_stringify_puts_array_indexes_first() -> None:
    """JSON text has index-like keys first and ascending, drops what is undefined, and escapes half characters."""
    value = {"b": 1.0, "10": "é", "2": [UNDEFINED, None], "01": UNDEFINED, "c": "\ud83d"}

    assert jsvalues.stringify(value) == '{"2":[null,null],"10":"é","b":1,"c":"\\ud83d"}'


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "{oops", "", "[" * 100_000])
def test_what_is_not_json(text: str) -> None:
    """JSON.parse refuses Python's extensions, and deep nesting is a ValueError like any other."""
    with pytest.raises(ValueError):
        jsvalues.parse(text)


@given(st.text(st.characters(exclude_categories=())))
def test_utf16_and_back(text: str) -> None:
    """Text survives the way into code units and back, and its length is theirs."""
    units = jsvalues.utf16(text)

    assert jsvalues.length(text) == len(units)
    assert jsvalues.utf16(jsvalues.joined(units)) == units
