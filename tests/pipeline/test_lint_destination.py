"""The lint of a destination's mappings together: events that are sent twice."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.destinations.voucherify import VOUCHERIFY
from app.destinations.voucherify.presets import OFFICIAL_PRESETS
from app.pipeline.lint import Subscription, lint_destination
from app.pipeline.subscriptions import compile_trigger


def event(slug: str, trigger: str, action: str = "addCustomEvent", *, enabled: bool = True) -> Subscription:
    """A mapping to custom events, unless another action is named."""
    return Subscription(slug, action, trigger, {}, enabled)


def presets(of: Any) -> list[Subscription]:
    return [Subscription(preset.name, preset.action, preset.trigger, preset.mapping) for preset in of]


def test_what_ships_is_sent_once() -> None:
    """Neither our presets nor Segment's take an event twice."""
    assert lint_destination(presets(VOUCHERIFY.presets)) == []
    assert lint_destination(presets(OFFICIAL_PRESETS)) == []


def test_an_order_that_is_also_a_custom_event() -> None:
    """Segment's track preset beside the order action takes the order too: an error, with the event's name."""
    order = event("order-paid", 'type = "track" and event = "Order Completed" and userId != null', "orderPaid")
    (finding,) = lint_destination([event("track", 'type = "track"'), order])

    assert (finding.code, finding.level) == ("order-and-event", "error")
    assert (
        'track and order-paid both take track "Order Completed", as an order and as a custom event' in finding.sentence
    )
    assert lint_destination([event("track", 'type = "track" and event != "Order Completed"'), order]) == []


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ('type = "track"', 'event = "Sale"', 'track "Sale"'),
        ('contains(event, "Order")', 'match(event, "*Refunded")', 'track "OrderRefunded"'),
        ("properties.total > 100", "properties.total < 200", "events of type track with properties.total 101"),
        (
            'type = "page" or userId = null',
            'type = "page" and userId = null',
            "events of type page of an anonymous visitor",
        ),
        ("traits.vip = true", 'type = "group"', "events of type group with traits.vip true"),
        ('type = "track"', 'type = "track"', "events of type track"),
        ('type = "track"', 'type = "page"', None),
        ("properties.total > 100", "properties.total < 50", None),
        ('event = "a"', 'event != "a" and type = "track"', None),
        ("traits.vip = true", "traits.vip = false", None),
        ('type = "identify"', 'event = "a"', None),
        ("((", 'type = "track"', None),
    ],
)
def test_two_of_one_action(first: str, second: str, named: str | None) -> None:
    """Two mappings of one action are told when some event meets both triggers, with such an event."""
    found = lint_destination([event("one", first), event("two", second)])

    assert [finding.code for finding in found] == (["sent-twice"] if named else [])
    if named:
        assert found[0].sentence == f"one and two both take {named} and send it by addCustomEvent: it arrives twice."


def test_what_is_off_does_not_count() -> None:
    """A mapping that is not enabled, and one of another action, send nothing twice."""
    first = event("one", 'type = "track"')

    assert lint_destination([first, event("two", 'type = "track"', enabled=False)]) == []
    assert lint_destination([first, replace(first, slug="two", action="upsertCustomer")]) == []


TESTS = st.sampled_from(
    [
        'type = "track"', 'type = "page"', 'event = "a"', 'event != "a"', 'contains(event, "b")', 'match(event, "a*")',
        "userId = null", "userId != null", "properties.x > 5", "properties.x < 7", "properties.x = true",
        'properties.y != "z"', 'properties.y = "z"',
    ]
)  # fmt: skip
TRIGGERS = st.builds(
    lambda connector, tests: f" {connector} ".join(tests),
    st.sampled_from(["and", "or"]),
    st.lists(TESTS, min_size=1, max_size=4),
)
EVENTS = st.builds(
    lambda type_, name, user, x, y: {
        "type": type_,
        **({"event": name} if type_ == "track" else {}),
        **({"userId": user} if user else {}),
        "properties": {key: value for key, value in (("x", x), ("y", y)) if value is not None},
    },
    st.sampled_from(["track", "page"]),
    st.sampled_from(["a", "ab", "abc", "b", "bc", "c"]),
    st.sampled_from(["u1", ""]),
    st.sampled_from([None, 4, 6, 8, True]),
    st.sampled_from([None, "z", "y"]),
)


@settings(deadline=None, max_examples=200)
@given(TRIGGERS, TRIGGERS, st.lists(EVENTS, min_size=20, max_size=20))
def test_no_common_event_is_overlooked(first: str, second: str, events: list[Any]) -> None:
    """Where a random event meets both triggers, the lint has found one that does."""
    takes = compile_trigger(first), compile_trigger(second)
    common = [one for one in events if takes[0](one) and takes[1](one)]

    if common:
        assert lint_destination([event("one", first), event("two", second)]), common[0]
