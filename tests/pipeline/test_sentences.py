"""The sentences for mappings and payloads that are not valid, word for word Segment's."""

from typing import Any

import pytest

from app.destinations.fields import PayloadError
from app.destinations.voucherify import VOUCHERIFY
from app.pipeline.mapping import MappingError, compile_mapping

PATH = {"@path": "$.a"}


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ({"@path": "$.a", "@template": "x"}, "/ should only have one @-prefixed key but it has 2 keys."),
        ({"a": {"@path": "$.a", "b": 1}}, "/a should only have one @-prefixed key but it has 2 keys."),
        ({"a": {"b": {"@x": 1}}}, "/a/b has an invalid directive: @x."),
        ({"@if": 5}, "/@if should be an object but it is a number."),
        ({"@if": {"exists": {"@x": 1}}}, "/@if/exists has an invalid directive: @x."),
        ({"@if": {"@path": "$.a"}}, "/@if should be an object but it is a directive."),
        ({"@case": []}, "/@case should be an object but it is an array."),
        ({"@case": {"operator": 5}}, "/@case/operator should be a string but it is a number."),
        (
            {"@case": {"operator": "lower", "value": None}},
            "/@case/value should be a string or a mapping directive but it is a null.",
        ),
        ({"@replace": {"value": PATH}}, '/@replace should have field "pattern" but it doesn\'t.'),
        (
            {"@replace": {"pattern": "", "value": PATH}},
            "/@replace/pattern should be a string of length 1 or greater.",
        ),
        # Six emoji are twelve code units.
        (
            {"@replace": {"pattern": "\U0001f600" * 6, "value": PATH}},
            "/@replace/pattern should be a string of length 10 or less.",
        ),
        (
            {"@replace": {"pattern": "a", "replacement": "12345678901", "value": PATH}},
            "/@replace/replacement should be a string of length 10 or less.",
        ),
        (
            {"@replace": {"pattern": "a", "replacement": None, "value": PATH}},
            "/@replace/replacement should be a string but it is a null.",
        ),
        (
            {"@replace": {"pattern": "a", "ignorecase": None, "value": PATH}},
            "/@replace/ignorecase should be a boolean but it is a null.",
        ),
        (
            {"@replace": {"pattern": "a", "global": 1, "value": PATH}},
            "/@replace/global should be a boolean but it is a number.",
        ),
        ({"@replace": {"pattern": "a"}}, '/@replace should have field "value" but it doesn\'t.'),
        ({"@arrayPath": "$.a"}, "/@arrayPath should be an array but it is a string."),
        ({"@arrayPath": []}, "/@arrayPath should be a string or a mapping directive but it is an undefined."),
        ({"@arrayPath": ["$.a", {"b": {"@x": 1}}]}, "/@arrayPath/b has an invalid directive: @x."),
        ({"@path": 5}, "/@path should be a string or a mapping directive but it is a number."),
        ({"@path": ["x"]}, "/@path should be a string or a mapping directive but it is an array."),
        ({"@template": {"a": 1}}, "/@template should be a string or a mapping directive but it is an object."),
        ({"@json": {"mode": "encode"}}, '/@json should have field "value" but it doesn\'t.'),
        ({"@json": {"value": 1}}, '/@json should have field "mode" but it doesn\'t.'),
        ({"@json": {"value": 1, "mode": "x"}}, '/@json/mode should be one of encode, decode but it is "x".'),
        (
            {"@flatten": {"separator": PATH, "value": 1}},
            "/@flatten/separator should be a string but it is a directive.",
        ),
        ({"@flatten": {"separator": "."}}, '/@flatten should have field "value" but it doesn\'t.'),
        (
            {"@merge": {"direction": "up", "objects": []}},
            '/@merge/direction should be one of left, right but it is "up".',
        ),
        ({"@merge": {"direction": "left"}}, '/@merge should have field "objects" but it doesn\'t.'),
        # Here Segment loses the path, and its grammar.
        (
            {"@merge": {"direction": "left", "objects": ["x"]}},
            "/ should be a object or a mapping directive but it is a string.",
        ),
        ({"@transform": {"mapping": PATH}}, '/@transform should have field "apply" but it doesn\'t.'),
        (
            {"@transform": {"apply": 5, "mapping": PATH}},
            "/@transform/apply should be a object or a mapping directive but it is a number.",
        ),
        ({"@literal": {"@x": 1}}, "/@literal has an invalid directive: @x."),
        ({"@excludeWhenNull": {"@x": 1}}, "/@excludeWhenNull has an invalid directive: @x."),
        ({"@liquid": PATH}, "/@liquid should be a string but it is a directive."),
        (
            {"__segment_internal_directive": {"@path": {}, "@merge": {}}},
            "The root mapping must only have a single directive object",
        ),
        ({"__segment_internal_directive": {"@path": "$.a"}}, "The root directive must be an object"),
    ],
)
def test_a_mapping_that_is_not_valid(mapping: Any, sentence: str) -> None:
    """Each fault of a mapping has Segment's sentence."""
    with pytest.raises(MappingError) as refused:
        compile_mapping(mapping)

    assert refused.value.messages == (sentence,)


@pytest.mark.parametrize(
    ("mapping", "payload", "sentence"),
    [
        ({}, [], "data must be an object, got array"),
        ({}, None, "data must be an object, got null"),
        ({"a": [{"@x": 1}]}, {}, "@x is not a valid directive, got undefined"),
        ({"@path": {"@path": "$.a"}}, {}, "@path: expected string, got undefined"),
        ({"@template": {"@path": "$.a"}}, {"a": 5}, "@template: expected string, got number"),
        ({"@if": {"exists": "", "then": 1}}, {}, '@if requires an "exists" key or a "blank" key'),
        ({"@case": {"value": "a"}}, {}, '@case requires a "operator" key'),
        (
            {"@case": {"operator": "title", "value": "a"}},
            {},
            'operator key should have a value of "lower" or "upper"',
        ),
        (
            {"@replace": {"pattern": "a", "value": "b", "pattern2": "12345678901"}},
            {},
            '@replace requires a "pattern" less than 10 characters',
        ),
        ({"@merge": {"objects": []}}, {}, '@merge requires a "direction" key'),
        ({"@flatten": {"value": 1, "separator": ""}}, {}, '@flatten requires a "separator" key'),
        ({"@json": {"mode": "encode", "value": ""}}, {}, '@json requires a "value" key'),
        ({"@liquid": "x" * 1001}, {}, "liquid template values are limited to 1000 characters"),
    ],
)
def test_a_mapping_that_fails_on_an_event(mapping: Any, payload: Any, sentence: str) -> None:
    """What only shows with an event has Segment's sentence, too, and no status."""
    with pytest.raises(MappingError) as refused:
        compile_mapping(mapping)(payload)

    assert refused.value.messages == (sentence,)
    assert refused.value.segment_status is None


@pytest.mark.parametrize(
    ("action", "payload", "sentence"),
    [
        ("upsertCustomer", {"type": "identify"}, "The root value is missing the required field 'source_id'."),
        ("upsertCustomer", {"source_id": "", "type": "x"}, "The root value is missing the required field 'source_id'."),
        (
            "addCustomEvent",
            {"customer": {}, "type": "track"},
            "Customer Object is missing the required field 'source_id'.",
        ),
        ("upsertCustomer", {"source_id": [], "type": "x"}, "Source ID must be a string but it was an array."),
        (
            "upsertCustomer",
            {"source_id": "u", "type": "x", "name": {}},
            "Name must be a string or null but it was an object.",
        ),
        (
            "upsertCustomer",
            {"source_id": "u", "type": "x", "name": ["text"]},
            "Name must be a string or null but it was a string.",
        ),
        (
            "addCustomEvent",
            {"customer": {"source_id": "u"}, "type": "track", "metadata": "x"},
            "Track Event Metadata must be an object but it was a string.",
        ),
        ("upsertCustomer", None, "The root value must be an object but it was undefined."),
        (
            "upsertCustomer",
            {"source_id": {}, "name": []},
            (
                "The root value is missing the required field 'type'. Source ID must be a string but it was an object. "
                "Name must be a string or null but it was an array."
            ),
        ),
    ],
)
def test_a_payload_that_is_refused(action: str, payload: Any, sentence: str) -> None:
    """A payload that does not fit the action's fields is refused in Segment's words, all faults in one message."""
    with pytest.raises(PayloadError) as refused:
        VOUCHERIFY.actions[action].validate(payload)

    assert refused.value.sentence == sentence
