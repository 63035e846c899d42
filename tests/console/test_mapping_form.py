"""The form of a mapping: what is shown makes the same mapping again, and what can't be read is told by its field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.console import mapping_form
from app.destinations.catalogue import CATALOGUE
from app.errors import BadInput
from app.pipeline.configure_read import differences

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PATHS = st.builds(lambda path: {"@path": path}, st.text() | st.text(max_size=5).map(lambda text: f"$.{text}"))
MAPPINGS = st.dictionaries(st.text(max_size=8), JSON | PATHS, max_size=6)


@given(MAPPINGS)
def test_a_mapping_survives_its_form(mapping: dict[str, Any]) -> None:
    """Shown field by field or as JSON, and read again, any mapping is what it was, in its order."""
    again = mapping_form.mapping_from(mapping_form.texts_of(mapping).items())
    assert (again, list(again)) == (mapping, list(mapping))
    assert mapping_form.object_from(mapping_form.pretty(mapping), "mapping") == mapping


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever is typed into a field, it is a value, nothing, or a fault under the field's name; nothing else."""
    told = ["mapping.email"]
    try:
        assert list(mapping_form.mapping_from([("email", text)])) in ([], ["email"])
    except BadInput as error:
        told = [fault["field"] for fault in error.extra["faults"]]
    assert told == ["mapping.email"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$.traits.email", {"@path": "$.traits.email"}),
        (" $.type \n", {"@path": "$.type"}),
        ('"a text"', "a text"),
        ("5", 5),
        ('{"@template": "Hi {{name}}"}', {"@template": "Hi {{name}}"}),
    ],
)
def test_a_path_stands_for_itself(text: str, value: Any) -> None:
    """A path needs no JSON around it; everything else is JSON."""
    assert mapping_form.value_of(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("traits.email", 'A text stands in double quotes: "traits.email".'),
        ('{"@path": "$.x"', "line 1, column 16"),
        ("NaN", "NaN is no number of JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=["text", "brace", "nan", "deep"],
)
def test_what_can_not_be_read_says_where(text: str, words: str) -> None:
    """The sentence has the place, and the form that was probably meant."""
    with pytest.raises(BadInput, match=r"mapping\.email: It is neither a path") as refused:
        mapping_form.mapping_from([("email", text), ("name", "$.name")])
    assert words in refused.value.sentence


def test_what_is_mapped_comes_first_and_free_fields_after() -> None:
    """Rows keep the mapping's order, then come the action's other fields; a key that no field has is told."""
    action = CATALOGUE["voucherify-actions"].actions["upsertCustomer"]
    rows = mapping_form.rows(action, {"type": "$.type", "shoe": "5", "source_id": "$.userId"})
    assert [row.name for row in rows[:4]] == ["type", "shoe", "source_id", "name"]
    assert "The action has no such field" in rows[1].help
    assert (rows[2].required, rows[3].text) == (True, "")


def test_versions_differ_key_by_key() -> None:
    """Of two versions only what is different is listed, of a mapping each key by itself."""
    same = {"name": "M", "action": "send", "enabled": True, "place": 1}
    before = {**same, "trigger": "a", "mapping": {"x": 1, "gone": None, "same": [1]}}
    after = {**same, "trigger": "b", "mapping": {"x": 2, "same": [1], "new": None}}
    told = [(each.field, each.before, each.after) for each in differences(before, after)]
    assert told == [
        ("trigger", "a", "b"),
        ("mapping.x", 1, 2),
        ("mapping.gone", None, None),
        ("mapping.new", None, None),
    ]
    assert differences(None, after) == []
