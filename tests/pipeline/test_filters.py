"""Destination filters: what they keep back, what they cut out, and what can't be set up."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadInput
from app.pipeline.filters import LONGEST_CONDITION, Filters, Rule, compile_filters

TRACK = {
    "type": "track",
    "event": "Order Completed",
    "userId": "u-1",
    "messageId": "m-1",
    "properties": {"total": 10, "card": {"number": "4111", "brand": "visa"}, "products": [{"sku": "a", "cost": 1}]},
    "context": {"ip": "10.0.0.1", "traits": {"email": "mia@example.com", "plan": "gold"}},
}
ALL = 'type = "track"'


def one(kind: str, *paths: str, condition: str = ALL, percent: float | None = None) -> Filters:
    return compile_filters([Rule("Test", condition, kind, paths, percent)])


def test_drop_keeps_back_what_its_condition_is_about() -> None:
    """An event that meets the condition does not go out, and the reason names the filter; others go."""
    filters = one("drop", condition='type = "track" and properties.total < 50')
    assert filters.reason(TRACK) == "The filter Test keeps it from this destination."
    assert filters.reason({**TRACK, "properties": {"total": 50}}) is None


def test_drop_properties_cuts_just_these() -> None:
    """Named properties go, below objects and in the items of lists; all else stays, and so does the event given."""
    before = repr(TRACK)
    cut = one("drop_properties", "properties.card.number", "properties.products.cost", "context.ip").shape(TRACK)
    assert cut["properties"] == {"total": 10, "card": {"brand": "visa"}, "products": [{"sku": "a"}]}
    assert cut["context"] == {"traits": {"email": "mia@example.com", "plan": "gold"}}
    assert repr(TRACK) == before


def test_allow_properties_keeps_just_these() -> None:
    """Of an object that is named only the named properties stay; objects that are not named stay whole."""
    kept = one("allow_properties", "properties.total", "context.traits.plan").shape(TRACK)
    assert kept == {**TRACK, "properties": {"total": 10}, "context": {"traits": {"plan": "gold"}}}


def test_property_filters_leave_other_events_alone() -> None:
    """An event that the condition is not about keeps everything."""
    assert one("drop_properties", "properties.total", condition='event = "Other"').shape(TRACK) is TRACK


def test_a_sample_passes_its_share_and_always_the_same() -> None:
    """Of many people about the given share passes, each decided by the value of the path, at every time the same."""
    filters = one("sample", "userId", percent=30)
    passed = [number for number in range(2_000) if filters.reason({**TRACK, "userId": f"u-{number}"}) is None]
    assert 500 < len(passed) < 700
    assert all(filters.reason({**TRACK, "userId": f"u-{number}", "messageId": "x"}) is None for number in passed)
    assert one("sample", percent=0).reason(TRACK)
    assert one("sample", percent=100).reason(TRACK) is None


def test_they_are_asked_in_segments_order() -> None:
    """Sample, drop, drop properties, allow properties, however they were set up."""
    filters = compile_filters(
        [
            Rule("allow", ALL, "allow_properties", ("properties.total",)),
            Rule("drop", ALL, "drop"),
            Rule("cut", ALL, "drop_properties", ("properties.total",)),
            Rule("sample", ALL, "sample", (), 0.0),
        ]
    )
    assert [name for name, _ in filters.rejects] == ["sample", "drop"]
    assert [name for name, _, _ in filters.shapes] == ["cut", "allow"]
    assert filters.shape(TRACK)["properties"] == {}


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Rule("x", "nothing", "drop"), "condition"),
        (Rule("x", ALL + " " * LONGEST_CONDITION, "drop"), "condition"),
        (Rule("x", ALL, "sample"), "percent"),
        (Rule("x", ALL, "sample", (), 101), "percent"),
        (Rule("x", ALL, "sample", ("userId", "event"), 5), "paths"),
        (Rule("x", ALL, "drop_properties"), "paths"),
        (Rule("x", ALL, "drop_properties", ("properties",)), "paths"),
        (Rule("x", ALL, "drop_properties", ("userId.x",)), "paths"),
        (Rule("x", ALL, "allow_properties", ("properties..x",)), "paths"),
        (Rule("x", ALL, "forward"), "kind"),
    ],
)
def test_what_can_not_be_set_up_is_told_by_its_field(rule: Rule, field: str) -> None:
    """A filter that makes no sense is refused with a sentence that begins with the field."""
    with pytest.raises(BadInput, match=f"^{field}: "):
        compile_filters([rule])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, JSON, st.sampled_from(["properties.a", "properties.a.b", "traits.c", "context.b.c"]))
def test_nothing_named_survives_and_nothing_else_is_lost(properties: Any, traits: Any, path: str) -> None:
    """On any JSON: after dropping a path it is not there, and allowing it keeps at most what is there."""
    event = {"type": "track", "properties": properties, "traits": traits, "context": {"b": {"c": 1}}}
    keys = path.split(".")
    assert not list(_at(one("drop_properties", path).shape(event), keys))
    assert list(_at(one("allow_properties", path).shape(event), keys)) == list(_at(event, keys))


def _at(value: Any, keys: list[str]) -> Any:
    """Every value at the path, through lists."""
    if not keys:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _at(item, keys)
    elif isinstance(value, dict) and keys[0] in value:
        yield from _at(value[keys[0]], keys[1:])
