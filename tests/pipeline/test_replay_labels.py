"""What sending again would do, and what differs: the pure parts of a replay."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.destinations.base import Repeat, Request
from app.destinations.catalogue import CATALOGUE
from app.pipeline.replay_difference import MOST, Change, differences
from app.pipeline.replay_labels import Label, Past, label_of

NEVER, APPLIED, UNCLEAR = Past(applied=False, unclear=False), Past(True, False), Past(False, True)
BOTH = Past(True, True)


def _ask(*_: Any) -> Request:
    return Request("GET", "/", {})


def _yes(*_: Any) -> bool:
    return True


SAFE = Repeat(safe=True)
ONCE = Repeat(safe=True, again=False)
SETTLES = Repeat(safe=False, look_up=_ask, is_done=_yes)
OVERLOOKS = Repeat(safe=False, look_up=_ask, is_done=_yes, sends_again=False)
BLIND = Repeat(safe=False)


@pytest.mark.parametrize(
    ("repeat", "never", "applied", "unclear"),
    [
        pytest.param(SAFE, "safe", "safe", "safe", id="safe to repeat"),
        pytest.param(ONCE, "safe", "would apply twice", "safe", id="safe to retry only"),
        pytest.param(SETTLES, "safe", "already applied", "safe", id="a look-up settles it"),
        pytest.param(OVERLOOKS, "safe", "would apply twice", "would apply twice", id="a look-up may overlook it"),
        pytest.param(BLIND, "safe", "would apply twice", "would apply twice", id="nothing can tell"),
    ],
)
def test_each_kind_of_action_has_its_labels(repeat: Repeat, never: Label, applied: Label, unclear: Label) -> None:
    """Only what was never applied, or may be repeated, is safe; only a look-up that settles it saves the rest."""
    assert (label_of(repeat, NEVER), label_of(repeat, APPLIED), label_of(repeat, UNCLEAR)) == (never, applied, unclear)
    assert label_of(repeat, BOTH) == applied


@pytest.mark.parametrize(
    ("destination", "action", "applied", "unclear"),
    [
        ("voucherify-actions", "upsertCustomer", "safe", "safe"),
        ("voucherify-actions", "assignCustomerToGroup", "safe", "safe"),
        ("voucherify-actions", "orderRefunded", "safe", "safe"),
        ("voucherify-actions", "orderPaid", "already applied", "safe"),
        ("voucherify-actions", "addCustomEvent", "would apply twice", "would apply twice"),
        ("webhook", "send", "would apply twice", "safe"),
    ],
)
def test_what_was_delivered(destination: str, action: str, applied: Label, unclear: Label) -> None:
    """An upsert may be repeated, an order is looked for, a custom event counts again, a webhook is a second message."""
    repeat = CATALOGUE[destination].actions[action].repeat
    assert (label_of(repeat, APPLIED), label_of(repeat, UNCLEAR)) == (applied, unclear)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, [("a", "removed"), ("b", "changed"), ("c", "added")]),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, [("a.b[1].c", "changed")]),
        ({"a": [1, 2]}, {"a": [1]}, [("a[1]", "removed")]),
        ({"a": [1]}, {"a": [1, 2]}, [("a[1]", "added")]),
        ({"a": None}, {}, [("a", "removed")]),
        ({"a": 1}, {"a": True}, [("a", "changed")]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": []}, {"a": {}}, [("a", "changed")]),
        (1, 2, [("", "changed")]),
    ],
)
def test_differences_name_their_places(old: Any, new: Any, found: list[tuple[str, str]]) -> None:
    """Each place that differs is told once, with what it was and what it is."""
    assert [(change.path, change.kind) for change in differences(old, new)] == found


def test_a_difference_has_both_values() -> None:
    """What was and what is stand beside each other."""
    assert differences({"a": "x"}, {"a": None}) == [Change("a", "changed", "x", None)]


def test_a_long_difference_ends() -> None:
    """A thousand places are not listed one by one."""
    assert len(differences([0] * 1000, [1] * 1000)) == MOST


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, JSON)
def test_only_the_same_has_no_difference(old: Any, new: Any) -> None:
    """No difference means the same JSON, and the same JSON has none."""
    assert differences(old, old) == []
    if not differences(old, new):
        assert old == new
