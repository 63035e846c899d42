"""What an HTTP answer means for who sent the request, whoever answered. Pure."""

import time
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

Meaning = Literal["refused", "rejects_keys", "not_now", "unclear"]

NOT_NOW: Final = frozenset({408, 423, 429, 500, 503}) | frozenset(range(505, 600))
"""Segment's own list of what is tried again, without the two of gateways."""
UNCLEAR: Final = frozenset({502, 504})
"""A gateway answered in the place of who was asked: whether the request got through is not known."""
LONGEST_WAIT: Final = 3600.0
"""Seconds. Whatever is asked for, it is tried again after this: one absurd header must not stop a programme."""


def meaning(status: int) -> Meaning:
    """What a status other than 2xx says.

    `refused` is final; `not_now` and `unclear` are tried again; wrong keys wait until a person mends them. A redirect
    is refused: it would turn a POST into a GET without a body, or lead to an address that nobody named.
    """
    if status in UNCLEAR:
        return "unclear"
    if status in NOT_NOW:
        return "not_now"
    return "rejects_keys" if status in {401, 403} else "refused"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the next call is allowed, as a refusal says: `Retry-After` (seconds), else the rate headers."""
    if "retry-after" in headers:
        return _bounded(headers["retry-after"])
    return _until_allowed(headers)


def rest(headers: Mapping[str, str]) -> float:
    """Seconds that who answered wants to be left alone from now on: its rate headers say that no call is left."""
    return _until_allowed(headers) or 0.0


def parsed(body: bytes) -> Any:
    """JSON where it is any, else text; None for an empty body."""
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):  # msgspec's own, bytes that are not UTF-8, and a tower of brackets
        return body.decode("utf-8", "replace")


def _until_allowed(headers: Mapping[str, str]) -> float | None:
    """`X-Rate-Limit-Retry` is a moment in epoch seconds, and counts when `X-Rate-Limit-Remaining` is 0."""
    if headers.get("x-rate-limit-remaining") != "0" or "x-rate-limit-retry" not in headers:
        return None
    return _bounded(headers["x-rate-limit-retry"], since=time.time())


def _bounded(text: str, since: float = 0.0) -> float | None:
    try:
        return min(max(0.0, float(text) - since), LONGEST_WAIT)
    except ValueError:
        return None
