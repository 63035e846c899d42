"""What the door makes of one message: Segment's rejection codes, its clock correction, its batch-level fields."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.segment.messages import (
    TYPES,
    Envelope,
    as_segment_completed_it,
    complete,
    envelope_of,
    new_event,
    rejection,
)

RECEIVED = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
NOTHING = Envelope(None, {}, {})
GOOD = {"type": "track", "userId": "u-1", "event": "Order Completed"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (GOOD, None),
        ({"type": "identify", "anonymousId": "a-1"}, None),
        ({"type": "page", "userId": "u-1", "traits": None, "properties": None}, None),
        ([], "bad_request"),
        ("a text", "bad_request"),
        (None, "bad_request"),
        ({}, "bad_request"),
        ({**GOOD, "type": "delete"}, "bad_request"),
        ({**GOOD, "type": []}, "bad_request"),  # unhashable: not to be looked for in a set
        ({**GOOD, "type": {}}, "bad_request"),
        ({"type": "track", "event": "X"}, "no_user_anon_id"),
        ({"type": "track", "event": "X", "userId": "", "anonymousId": None}, "no_user_anon_id"),
        ({**GOOD, "userId": 7}, "id_not_string"),
        ({**GOOD, "messageId": {}}, "id_not_string"),
        ({**GOOD, "messageId": "m" * 100}, None),
        ({**GOOD, "messageId": "m" * 101}, "bad_request"),
        ({**GOOD, "event": None}, "event_not_defined"),
        ({**GOOD, "event": ""}, "event_not_defined"),
        ({**GOOD, "event": 5}, "event_not_string"),
        ({"type": "group", "userId": "u-1"}, "id_required"),
        ({"type": "group", "userId": "u-1", "groupId": "g"}, None),
        ({"type": "alias", "userId": "u-1"}, "id_required"),
        ({"type": "alias", "userId": "u-1", "previousId": "p"}, None),
        ({"type": "alias", "anonymousId": "a-1", "previousId": "p"}, "id_required"),
        ({"type": "page", "userId": "u-1", "name": 5}, "name_not_string"),
        ({"type": "screen", "userId": "u-1", "category": {}}, "category_not_string"),
        ({"type": "screen", "userId": "u-1", "name": "Card", "category": None}, None),
        ({**GOOD, "name": 5}, None),  # of a track call it says nothing
        ({**GOOD, "properties": []}, "properties_not_object"),
        ({"type": "identify", "userId": "u-1", "traits": "x"}, "traits_not_object"),
    ],
)
def test_a_message_that_cannot_be_taken_in_has_segments_code(message: Any, code: str | None) -> None:
    """Each way of being wrong has the code that Segment gives it, and what is right has none."""
    assert rejection(message) == code


@pytest.mark.parametrize(
    ("given", "timestamp"),
    [
        # sent at 11:59:50 by a clock that is 10 s behind ours: what it dates 11:59:00 was at 11:59:10
        ({"timestamp": "2026-11-22T11:59:00Z", "sentAt": "2026-11-22T11:59:50Z"}, "2026-11-22T11:59:10.000Z"),
        # a clock that is a day ahead, in another zone
        ({"timestamp": "2026-11-23T13:59:00+02:00", "sentAt": "2026-11-23T12:00:00Z"}, "2026-11-22T11:59:00.000Z"),
        ({"timestamp": "2026-11-22T11:59:00"}, "2026-11-22T11:59:00.000Z"),  # no zone: UTC; no sentAt: as it is
        ({"sentAt": "2026-11-22T11:59:50Z"}, "2026-11-22T12:00:00.000Z"),  # no time of its own: when it came
        ({"timestamp": "yesterday"}, "2026-11-22T12:00:00.000Z"),
        ({"timestamp": 1_700_000_000}, "2026-11-22T12:00:00.000Z"),
        # clocks that are millennia apart leave the calendar: the time that was given counts
        ({"timestamp": "0001-01-01T00:00:00Z", "sentAt": "9999-12-31T00:00:00Z"}, "0001-01-01T00:00:00.000Z"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "2026-11-22T12:00:00.000Z"),
    ],
)
def test_a_wrong_clock_of_the_sender_is_corrected(given: dict[str, Any], timestamp: str) -> None:
    """`timestamp = receivedAt - (sentAt - originalTimestamp)`, as far as the sender's times can be read."""
    assert complete({**GOOD, **given}, NOTHING, RECEIVED)["timestamp"] == timestamp


def test_the_senders_own_time_is_kept() -> None:
    """What the sender called the time stays readable as `originalTimestamp`, and `receivedAt` is ours."""
    done = complete({**GOOD, "timestamp": "2026-11-22T11:59:00Z"}, NOTHING, RECEIVED)
    assert (done["originalTimestamp"], done["receivedAt"]) == ("2026-11-22T11:59:00.000Z", "2026-11-22T12:00:00.000Z")


@pytest.mark.parametrize(
    "written",
    ["2026-11-22T11:59:00.000Z", "2026-11-22T11:59:00,000Z", "2026-W47-7T11:59:00.000Z", "2026-11-22 11:59:00.000Z"],
)
def test_every_time_is_written_in_one_way(written: str) -> None:
    """However a time was written that can be read, consumers find it with milliseconds and a Z."""
    done = complete({**GOOD, "timestamp": written}, NOTHING, RECEIVED)
    assert done["originalTimestamp"] == "2026-11-22T11:59:00.000Z"


def test_batch_level_context_and_integrations_are_merged_into_each_message() -> None:
    """The batch speaks for all of its messages, and a message's own word wins."""
    envelope = envelope_of(
        {"batch": [], "context": {"ip": "1.2.3.4", "locale": "en"}, "integrations": {"All": False}, "sentAt": None}
    )
    own = {**GOOD, "context": {"locale": "pl"}, "integrations": {"Voucherify (Actions)": True}}
    done = complete(own, envelope, RECEIVED)
    assert done["context"] == {"ip": "1.2.3.4", "locale": "pl"}
    assert done["integrations"] == {"All": False, "Voucherify (Actions)": True}
    assert complete({**GOOD, "context": "odd"}, envelope, RECEIVED)["context"] == {"ip": "1.2.3.4", "locale": "en"}
    assert "context" not in complete(GOOD, NOTHING, RECEIVED)


def test_ids_that_the_libraries_send_as_null_are_absent() -> None:
    """A trigger can't tell null from absent, so null ids and names are gone; null traits and properties stay."""
    sent = {"type": "page", "userId": "u-1", "anonymousId": None, "name": None, "category": None, "properties": None}
    done = complete(sent, NOTHING, RECEIVED)
    assert {"anonymousId", "name", "category"}.isdisjoint(done)
    assert done["properties"] is None


def test_a_message_without_an_id_gets_one() -> None:
    """Two messages without `messageId` are two events."""
    first, second = (complete(GOOD, NOTHING, RECEIVED)["messageId"] for _ in range(2))
    assert first != second
    assert first.startswith("api-")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MOMENTS = st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat) | JSON
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(TYPES)) | JSON},
    optional={
        **dict.fromkeys(("userId", "anonymousId", "groupId", "previousId", "messageId", "event"), st.text() | JSON),
        **dict.fromkeys(("properties", "traits", "context", "integrations"), st.dictionaries(st.text(), JSON) | JSON),
        **dict.fromkeys(("timestamp", "sentAt"), MOMENTS),
    },
)


@given(message=MESSAGES | JSON, batch=st.fixed_dictionaries({"context": JSON, "integrations": JSON, "sentAt": MOMENTS}))
def test_whatever_is_not_rejected_can_be_stored(message: Any, batch: dict[str, Any]) -> None:
    """Any JSON is either rejected or completed into a row of the log with an id, a person and readable times."""
    if rejection(message) is not None:
        return
    for done in (complete(message, envelope_of(batch), RECEIVED), as_segment_completed_it(message, RECEIVED)):
        row = new_event(done, "till", RECEIVED)
        stored = json.loads(row.message)
        assert row.person
        assert 0 < len(row.message_id) <= 100
        assert all(datetime.fromisoformat(stored[name]).tzinfo for name in ("timestamp", "receivedAt"))
