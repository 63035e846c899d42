"""Field validation: what is dropped, what is converted, and what is refused in which words."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import jsvalues
from app.destinations.fields import Field, PayloadError, compile_validator

FIELDS = (
    Field("source_id", "Source ID", required=True),
    Field("name", "Name", allow_null=True),
    Field("visits", "Visits", "integer"),
    Field("ratio", "Ratio", "number"),
    Field("vip", "VIP", "boolean"),
    Field("tags", "Tags", multiple=True),
    Field(
        "customer", "Customer Object", "object", properties=(Field("id", "ID", required=True), Field("email", "Email"))
    ),
    Field("metadata", "Metadata", "object", allow_null=True),
    Field(
        "items",
        "Items",
        "object",
        multiple=True,
        properties=(Field("sku", "SKU", required=True), Field("quantity", "Quantity", "integer")),
    ),
)
validate = compile_validator(FIELDS)


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        ({"unknown": 1}, {}),
        ({"source_id": 1e21}, {"source_id": "1e+21"}),
        ({"source_id": ["u1"]}, {"source_id": "u1"}),
        ({"name": None}, {"name": None}),
        ({"name": ""}, {}),
        ({"name": [5]}, {"name": "5"}),
        ({"visits": "12"}, {"visits": 12}),
        ({"visits": ""}, {}),
        ({"ratio": " 0.5 "}, {"ratio": 0.5}),
        ({"vip": "true"}, {"vip": True}),
        ({"vip": 0}, {"vip": False}),
        ({"tags": "a"}, {"tags": ["a"]}),
        ({"tags": ["a", None, 5]}, {"tags": ["a", "5"]}),
        # Below the root an empty text stays.
        ({"customer": {"id": "", "email": None, "other": 1}}, {"customer": {"id": ""}}),
        ({"metadata": {"a": None, "b": ""}}, {"metadata": {"a": None, "b": ""}}),
        ({"metadata": [0]}, {"metadata": None}),
        ({"items": {"sku": 7, "quantity": "2", "x": 1}}, {"items": [{"sku": "7", "quantity": 2}]}),
    ],
)
def test_what_is_sent(payload: dict[str, Any], sent: dict[str, Any]) -> None:
    """Empty and unknown values go, harmless ones are converted, and the order of the mapping stays."""
    with_id = {"source_id": "u1"} | payload

    assert validate(with_id) == {"source_id": "u1"} | sent


@pytest.mark.parametrize(
    ("payload", "sentence", "pointer"),
    [
        ({}, "The root value is missing the required field 'source_id'.", ""),
        ({"source_id": ""}, "The root value is missing the required field 'source_id'.", ""),
        ({"source_id": []}, "Source ID must be a string but it was an array.", "/source_id"),
        ({"source_id": "u", "name": ["x"]}, "Name must be a string or null but it was a string.", "/name"),
        ({"source_id": "u", "visits": "1.5"}, "Visits must be an integer but it was a string.", "/visits"),
        ({"source_id": "u", "customer": {}}, "Customer Object is missing the required field 'id'.", "/customer"),
        (
            {"source_id": "u", "customer": [{"id": 1}]},
            "Customer Object must be an object but it was an array.",
            "/customer",
        ),
        ({"source_id": "u", "items": [{}]}, "The value at /items/0 is missing the required field 'sku'.", "/items/0"),
        ("text", "The root value must be an object but it was a string.", ""),
    ],
)
def test_what_is_refused(payload: Any, sentence: str, pointer: str) -> None:
    """A payload that can't be made to fit is refused in Segment's words, with the place."""
    with pytest.raises(PayloadError) as refused:
        validate(payload)

    assert str(refused.value) == sentence
    assert refused.value.faults[0].pointer == pointer
    assert refused.value.status == 400


def test_all_faults_in_the_order_of_the_fields() -> None:
    """All faults are told at once: what is missing first, then the rest, both in the order of the fields."""
    with pytest.raises(PayloadError) as refused:
        validate({"items": [{"sku": {}}, {}], "customer": {"email": {}}, "vip": "yes"})

    assert [(fault.path, fault.message) for fault in refused.value.faults] == [
        ("$", "The root value is missing the required field 'source_id'."),
        ("$.vip", "VIP must be a boolean but it was a string."),
        ("$.customer", "Customer Object is missing the required field 'id'."),
        ("$.customer.email", "Email must be a string but it was an object."),
        ("$.items[0].sku", "SKU must be a string but it was an object."),
        ("$.items[1]", "The value at /items/1 is missing the required field 'sku'."),
    ]


def test_settings_keep_empty_values() -> None:
    """Settings are converted but nothing is removed from them beforehand: null becomes an empty text."""
    assert compile_validator(FIELDS[:1], remove_empty=False)({"source_id": None}) == {"source_id": ""}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "5", "true", "x"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from([field.name for field in FIELDS] + ["id", "email", "sku"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(JSON)
def test_only_payload_errors(payload: Any) -> None:
    """Any JSON is either made to fit, and then fits as it is, or refused with a PayloadError."""
    try:
        sent = validate(payload)
    except PayloadError:
        return

    assert jsvalues.stringify(validate(sent)) == jsvalues.stringify(sent)
