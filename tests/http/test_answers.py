"""What an HTTP status means: the table that decides what is tried again."""

import time

import pytest

from app.http.answers import meaning, parsed, rest, retry_after

TRIED_AGAIN = {408, 423, 429, 500, *range(502, 512), 598, 599}
"""The statuses that Segment's own errors name as worth another try."""


@pytest.mark.parametrize(
    ("status", "means"),
    [
        *((status, "refused") for status in (300, 301, 302, 303, 304, 307, 308)),
        *((status, "refused") for status in (400, 402, 404, 405, 409, 410, 413, 415, 418, 422, 424, 425, 426, 451)),
        *((status, "rejects_keys") for status in (401, 403)),
        *((status, "not_now") for status in (408, 423, 429)),
        *((status, "not_now") for status in (500, 503, 505, 506, 507, 508, 509, 510, 511, 520, 529, 598, 599)),
        *((status, "unclear") for status in (502, 504)),
        (501, "refused"),
    ],
)
def test_what_a_status_means(status: int, means: str) -> None:
    """408, 423, 429 and 5xx but 501 are tried again; other 4xx and redirects are not; keys are a case of their own."""
    assert meaning(status) == means


def test_it_is_segments_table() -> None:
    """Of 4xx and 5xx exactly what Segment tries again is tried again here."""
    again = {status for status in range(400, 600) if meaning(status) in {"not_now", "unclear"}}
    assert again >= TRIED_AGAIN
    assert again == {408, 423, 429} | (set(range(500, 600)) - {501})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "17"}, 17),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "1e12"}, 3600),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_the_wait_of_a_refusal(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, bounded by an hour; what is no number of seconds is no wait."""
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("remaining", "until", "seconds"),
    [
        ("0", 30, 30),
        ("0", -30, 0),
        ("0", 86400, 3600),
        ("1", 30, 0),
        (None, 30, 0),
        ("0", None, 0),
    ],
)
def test_the_rest_after_any_answer(remaining: str | None, until: float | None, seconds: float) -> None:
    """Where no call is left, it is the time until the moment that the headers name, an hour at most; else none."""
    headers = {} if remaining is None else {"x-rate-limit-remaining": remaining}
    headers |= {} if until is None else {"x-rate-limit-retry": str(time.time() + until)}
    assert rest(headers) == pytest.approx(seconds, abs=2)


def test_nonsense_in_a_rate_header_asks_for_nothing() -> None:
    """A moment that is no number does not stop anything."""
    assert rest({"x-rate-limit-remaining": "0", "x-rate-limit-retry": "soon"}) == 0


@pytest.mark.parametrize(
    ("body", "answer"),
    [(b"", None), (b'{"a":1}', {"a": 1}), (b"<html>", "<html>"), (b'"\xff"', '"\ufffd"'), (b"[" * 9000, "[" * 9000)],
    ids=["empty", "json", "text", "not utf-8", "brackets"],
)
def test_a_body_is_json_or_text(body: bytes, answer: object) -> None:
    """Whatever bytes come, there is something to show."""
    assert parsed(body) == answer
