"""JSON from outside, as far as Postgres can hold it. Pure."""

import json
import math
import re
from typing import Any, Final

import msgspec

SURELY_FINITE = 308
"""Digits: an integer of no more is in the range of a double."""
# An escaped backslash and a pair that is whole are taken first and stay, so that what is left are halves.
_SURROGATE: Final = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
# An escaped backslash is taken first, so that `\\u0000`, which is a backslash and five letters, stays.
_NUL: Final = re.compile(rb"(\\\\)|\\u0000")


def parsed(text: bytes) -> Any:
    """What a JSON text says, as far as it can be stored.

    U+0000 is left out, half a surrogate pair becomes U+FFFD, and a number that no double holds null: all three are
    well-formed, and nobody's order is to be lost for a product name that was cut in the middle of an emoji.

    Raises:
        ValueError: it is not JSON in UTF-8, or nested deeper than Python goes, which is 900 levels at least.
    """
    text = without_nul(text)
    try:
        try:
            return msgspec.json.decode(text)
        except ValueError:  # not JSON, or JSON that msgspec has no value for
            return _finite(_SURROGATE.sub(_whole, text))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole(escape: re.Match[bytes]) -> bytes:
    return escape[1] or rb"\ufffd"


def _finite(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:  # well-formed, and a number in it is out of range
        value = json.loads(text.decode(), parse_int=_integer, parse_constant=_refuse)
        return msgspec.json.decode(msgspec.json.encode(value))  # which writes infinity as null


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= SURELY_FINITE or math.isfinite(float(digits)) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def without_nul(text: bytes) -> bytes:
    """JSON text without U+0000, which Postgres stores neither as text nor as jsonb.

    Left out and not refused: nobody means it, and an order is worth more than a broken product name.
    """
    return _NUL.sub(lambda match: match.group(1) or b"", text) if b"\\u0000" in text else text
