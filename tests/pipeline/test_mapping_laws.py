"""What holds for every mapping and every event."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from app import jsvalues
from app.pipeline.mapping import UNDEFINED, MappingError, compile_mapping
from app.pipeline.mapping_check import DIRECTIVE_CHECKS
from tests.pipeline import plain_interpreter

KEYS = st.sampled_from(["a", "b", "c", "traits", "0", "length", ""])
TEXTS = st.sampled_from(
    [
        "",
        "x",
        " X y",
        "$.a",
        "$.a.b",
        "$.traits.a",
        "a[0]",
        "{{a}}",
        "{{{b}}}",
        "{{ a.b }} {{{a}}",
        "{{a}}}",
        "left",
        "right",
        "lower",
        "é😀",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
EVENTS = st.dictionaries(KEYS, JSON, max_size=6)
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(lambda keys: "$." + ".".join(keys))


def _directives(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Directives of the right form around any mapping."""
    shapes = st.dictionaries(KEYS, inner, max_size=3)
    return st.one_of(
        st.builds(lambda path: {"@path": path}, PATHS),
        st.builds(lambda text: {"@template": text}, TEXTS | PATHS | inner),
        st.builds(
            lambda operator, value: {"@case": {"operator": operator, "value": value}},
            st.sampled_from(["lower", "upper", "title"]),
            TEXTS | st.builds(lambda path: {"@path": path}, PATHS) | inner,
        ),
        st.builds(
            lambda pattern, value, options: {"@replace": {"pattern": pattern, "value": value, **options}},
            st.sampled_from(["a", "x", ".", "{{"]),
            TEXTS | st.builds(lambda path: {"@path": path}, PATHS) | inner,
            st.fixed_dictionaries(
                {},
                optional={
                    "replacement": st.sampled_from(["", "A", "x."]),
                    "ignorecase": st.booleans(),
                    "global": st.booleans(),
                },
            ),
        ),
        st.builds(
            lambda mode, value: {"@json": {"mode": mode, "value": value}},
            st.sampled_from(["encode", "decode", "DECODE"]),
            st.sampled_from(['{"a": [1]}', "[null]", "{", "5"])
            | st.builds(lambda path: {"@path": path}, PATHS)
            | inner,
        ),
        st.builds(lambda value: {"@literal": value}, inner),
        st.builds(lambda value: {"@excludeWhenNull": value}, inner),
        st.builds(lambda a, b, c: {"@if": {"exists": a, "then": b, "else": c}}, inner, inner, inner),
        st.builds(lambda a, b: {"@if": {"blank": a, "then": b}}, inner, inner),
        st.builds(lambda path, shape: {"@arrayPath": [path, shape]}, PATHS | inner, shapes),
        st.builds(
            lambda direction, objects: {"@merge": {"direction": direction, "objects": objects}},
            st.sampled_from(["left", "right", "LEFT"]),
            st.lists(inner, max_size=3),
        ),
        st.builds(lambda value: {"@flatten": {"separator": ".", "value": value}}, inner),
        st.builds(lambda apply, mapping: {"@transform": {"apply": apply, "mapping": mapping}}, shapes, inner),
    )


LEAVES = SCALARS | st.builds(lambda path: {"@path": path}, PATHS)
MAPPINGS = st.recursive(
    LEAVES,
    lambda inner: _directives(inner) | st.dictionaries(KEYS, inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=12,
)
ANY_MAPPING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*DIRECTIVE_CHECKS, "a", "value", "_metadata", "@bogus"]), inner, max_size=3)
    ),
    max_leaves=15,
)


@settings(deadline=None, max_examples=600)
@given(MAPPINGS, EVENTS)
def test_compiled_is_interpreted(mapping: Any, event: dict[str, Any]) -> None:
    """A compiled mapping gives what Segment's way, interpreting it anew and cleaning up at the end, gives."""
    mapping = {"field": mapping}
    try:
        expected = jsvalues.stringify(jsvalues.clean(plain_interpreter.transform(mapping, event)))
    except (plain_interpreter.Failed, MappingError):
        expected = "an error"
    try:
        mapped = jsvalues.stringify(compile_mapping(mapping)(event))
    except MappingError:
        mapped = "an error"

    assert mapped == expected


@settings(deadline=None)
@given(ANY_MAPPING, JSON)
def test_only_mapping_errors(mapping: Any, event: Any) -> None:
    """Whatever JSON is given for a mapping and an event, the answer is JSON or a MappingError."""
    try:
        mapped = compile_mapping(mapping)(event)
    except MappingError:
        return

    assert mapped is UNDEFINED or jsvalues.clean(mapped) == mapped


@settings(deadline=None)
@given(MAPPINGS, EVENTS)
def test_the_event_stays_as_it_was(mapping: Any, event: dict[str, Any]) -> None:
    """A mapping changes neither the event nor itself, so that both can be used again."""
    before = jsvalues.stringify([mapping, event])
    with suppress(MappingError):
        compile_mapping({"field": mapping})(event)

    assert jsvalues.stringify([mapping, event]) == before


def test_depth_is_an_error_of_ours() -> None:
    """A mapping or an event nested ten thousand deep raises a MappingError, not what Python says to it."""
    deep: Any = {}
    for _ in range(10_000):
        deep = {"a": deep}
    flatten = compile_mapping({"flat": {"@flatten": {"separator": ".", "value": {"@path": "$.a"}}}})

    with pytest.raises(MappingError, match="too deeply"):
        compile_mapping(deep)
    with pytest.raises(MappingError, match="too deeply"):
        flatten(deep)
