"""The trigger language: Segment's reading, surprises included."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pipeline.subscriptions import TriggerError, compile_trigger

ORDER = {
    "type": "track",
    "event": "Order Completed",
    "userId": "u1",
    "properties": {"total": 120, "code": "120", "gift": False, "items": [{"id": 7}], "a b": "sp"},
    "traits": {"age": 30},
    "context": {"app": {"version": "1.2.3"}},
}


@pytest.mark.parametrize(
    ("trigger", "takes"),
    [
        ('type = "track"', True),
        ('type = "track" and properties.total >= 100', True),
        ("properties.total != 120", False),
        ("properties.gift = false and userId != null", True),
        ('contains(event, "Order") and !contains(event, "Refund")', True),
        ('match(event, "Order*")', True),
        ('match(context.app.version, "*.3")', True),
        ("properties.items\\[0\\].id = 7", True),
        ('properties.a\\ b = "sp"', True),
        # Text is never a number, and a number is never text.
        ("properties.code > 100", False),
        ('properties.total = "120"', False),
        # A missing field is unequal to a text, but not to a number.
        ('properties.missing != "x"', True),
        ("properties.missing != 5", False),
        # One connector for the whole level: the last one.
        ('type = "page" and event = "x" or userId = "u1"', True),
        ('type = "track" or event = "x" and userId = "nobody"', False),
        # The `)` of the function closes the parentheses, and `or` then stands on the level outside.
        ('type = "track" and (contains(event, "zzz") or contains(event, "yyy"))', True),
        # Fields that Segment does not know vanish; so does OR in capitals.
        ('type = "track" and anonymousId = "nobody"', True),
        ('type = "track" OR event = "x"', False),
        # Single quotes stay part of the text; `!` before anything but a function is nothing; `event` always != "null".
        ("type = 'track'", False),
        ('!(type = "track")', True),
        ("event != null", True),
        # Where the value is missing, the end itself is the value.
        ('(type = ) or userId = "u1"', True),
        # The names of operators may stand where an operator stands.
        ('event contains "Order"', True),
    ],
)
def test_reads_as_segment_reads(trigger: str, takes: bool) -> None:
    """A trigger takes exactly the events that Segment's would."""
    assert compile_trigger(trigger)(ORDER) is takes


@pytest.mark.parametrize(
    "trigger",
    [
        "",
        "nonsense",
        'anonymousId = "x"',
        'type ="track',
        'type !="track"',
        "properties.total<5",
        "type\r= 1",
        'type = "a" and (type = "b"',
        '(type = "a" and (type = "b"))',
        "length(event) > 5",
        "5. = 5",
        "event = \\",
    ],
)
def test_what_cannot_be_read(trigger: str) -> None:
    """A trigger that Segment can't read is an error when it is compiled, with a sentence."""
    with pytest.raises(TriggerError, match=r"\.$"):
        compile_trigger(trigger)


FRAGMENTS = [
    *'()!=<>"\\., \n',
    "type",
    "event",
    "properties.a",
    "and",
    "or",
    "contains(",
    "match(",
    "null",
    '"x*"',
    "5",
    "é😀",
]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(FRAGMENTS)).map("".join) | st.text(),
    st.none() | st.booleans() | st.just(ORDER) | st.text(),
)
def test_only_trigger_errors(trigger: str, event: Any) -> None:
    """Whatever text and event are given, the answer is a boolean or a TriggerError."""
    try:
        taken = compile_trigger(trigger)(event)
    except TriggerError:
        return

    assert isinstance(taken, bool)
