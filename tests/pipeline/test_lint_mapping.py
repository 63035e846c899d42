"""The lint of mappings by example, and that it says something of any JSON without falling over."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.destinations.voucherify import VOUCHERIFY
from app.destinations.voucherify.presets import GROUP, IDENTIFY, TRACK
from app.pipeline.lint import Finding, lint_mapping
from app.pipeline.mapping_check import DIRECTIVE_CHECKS

UPSERT = VOUCHERIFY.actions["upsertCustomer"]
EVENT = VOUCHERIFY.actions["addCustomEvent"]
CUSTOMER = {"source_id": {"@path": "$.userId"}, "type": {"@path": "$.type"}}
KNOWN = 'type = "identify" and userId != null'
"""A trigger after which a customer can't be without an id."""


def lint(**fields: Any) -> list[Finding]:
    """The findings of a customer mapping with these fields."""
    return lint_mapping(UPSERT, KNOWN, CUSTOMER | fields)


def test_a_good_mapping_has_no_findings() -> None:
    """A mapping without a trap is passed over in silence."""
    assert lint(name={"@template": "{{traits.name}}"}, description="a member") == []


@pytest.mark.parametrize(
    ("fields", "code", "at", "words"),
    [
        ({"name": {"@bogus": 1}}, "invalid-mapping", "/name", "has an invalid directive: @bogus."),
        ({"firstname": "Ann"}, "unknown-key", "/firstname", "no field firstname"),
        ({"address": {"zip": "1"}}, "unknown-key", "/address/zip", "It has city, state, postal_code, street, country."),
        ({"name": "$.traits.name"}, "text-not-path", "/name", '{"@path": "$.traits.name"}'),
        ({"name": "{{traits.name}}"}, "text-not-template", "/name", "sent as it stands"),
        ({"name": {"@template": "Hi {{$.traits.name}}"}}, "template-with-path", "/name", "Write 'Hi {{traits.name}}'."),
        ({"email": {"@path": "$.email"}}, "no-such-path", "/email", "No Segment message has email at its top"),
        ({"name": {"@path": "$.properties.name"}}, "not-in-these-events", "/name", "type identify have no properties"),
        ({"email": {"@path": "$.traits.email"}}, "null-erases", None, "sends null for email"),
        (
            {"name": {"@if": {"exists": {"@path": "$.context.ip"}, "then": 1, "else": ""}}},
            "else-is-nothing",
            "/name",
            "counts as no else",
        ),
        (
            {"metadata": {"@merge": {"direction": "LEFT", "objects": []}}},
            "capital-option",
            "/metadata",
            "write it in small letters",
        ),
        ({"name": {"@liquid": "{{ a | "}}, "bad-liquid", "/name", "expected '}}'"),
        ({"name": {"@liquid": "{% for a in b %}{% endfor %}"}}, "bad-liquid", "/name", "is disabled"),
        ({"name": {"@liquid": "a" * 1001}}, "bad-liquid", "/name", "1,001 characters"),
        ({"metadata": [{"@bogus": 1}]}, "bad-in-list", "/metadata/0", "has an invalid directive: @bogus"),
        ({"metadata": [{"@path": "$.type", "a": 1}]}, "bad-in-list", "/metadata/0", "only have one @-prefixed key"),
    ],
)
def test_traps(fields: dict[str, Any], code: str, at: str | None, words: str) -> None:
    """Each trap is named by its code, with the place and what to do."""
    found = {finding.code: finding for finding in lint(**fields)}

    assert code in found
    assert found[code].at == at
    assert words in found[code].sentence


def test_the_presets_of_segment() -> None:
    """The official presets have known traps, and the lint names exactly these."""

    def codes(preset: Any) -> list[str]:
        return [
            finding.code for finding in lint_mapping(VOUCHERIFY.actions[preset.action], preset.trigger, preset.mapping)
        ]

    assert codes(IDENTIFY) == ["required-can-be-missing", "null-erases", "camel-case-traits"]
    assert codes(TRACK) == ["required-can-be-missing", "never-leaves"]
    assert codes(GROUP) == ["no-such-path", "required-can-be-missing"]


def test_required_fields() -> None:
    """A required field that nothing fills, and one that anonymous events leave empty, unless the trigger sees to it."""
    assert [finding.code for finding in lint_mapping(UPSERT, KNOWN, {"type": "identify"})] == ["required-unmapped"]
    (finding,) = lint_mapping(UPSERT, 'type = "identify"', CUSTOMER)
    assert (finding.code, finding.at) == ("required-can-be-missing", "/source_id")
    assert "Add `userId != null` to the trigger." in finding.sentence
    assert lint_mapping(UPSERT, f'({KNOWN}) or userId = "u1"', CUSTOMER) == []


def test_camel_case_traits() -> None:
    """Segment's own names of traits are not those of Voucherify; events that have them make it a warning."""
    mapping = CUSTOMER | {"first_name": {"@excludeWhenNull": {"@path": "$.traits.first_name"}}}
    (finding,) = lint_mapping(UPSERT, KNOWN, mapping)
    assert (finding.code, finding.level) == ("camel-case-traits", "note")

    came = {"type": "identify", "userId": "u1", "traits": {"firstName": "Ann"}}
    found = {finding.code: finding for finding in lint_mapping(UPSERT, KNOWN, mapping, [came])}
    assert found["camel-case-traits"].level == "warning"
    assert found["camel-case-traits"].sentence.endswith("Events that came have firstName.")


def test_what_never_leaves() -> None:
    """Properties that came and that nothing reads are named; those of events for other mappings are not."""
    came = [
        {"type": "track", "event": "Sale", "userId": "u1", "properties": {"total": 5, "email": "a@b.c"}},
        {"type": "page", "userId": "u1", "properties": {"url": "x"}},
    ]
    found = {finding.code: finding for finding in lint_mapping(EVENT, TRACK.trigger, TRACK.mapping, came)}

    assert found["never-leaves"].level == "warning"
    assert found["never-leaves"].sentence.endswith("These came and do not leave: total.")
    whole = dict(TRACK.mapping) | {"metadata": {"@path": "$.properties"}}
    for events in (came, []):
        assert "never-leaves" not in {finding.code for finding in lint_mapping(EVENT, TRACK.trigger, whole, events)}


def test_nulls_that_came() -> None:
    """`traits: null` erases: a note, and a warning once such an event came; excluding nulls answers it."""
    came = [{"type": "identify", "userId": "u1", "traits": None}]
    (finding, *_) = lint_mapping(UPSERT, KNOWN, CUSTOMER | {"email": {"@path": "$.traits.email"}}, came)
    assert (finding.code, finding.level) == ("null-erases", "warning")

    safe = CUSTOMER | {"email": {"@excludeWhenNull": {"@path": "$.traits.email"}}}
    assert lint_mapping(UPSERT, KNOWN, safe, came) == []


def test_events_that_came_and_would_be_refused() -> None:
    """Samples that the action would refuse are counted, with its sentence, once each."""
    came = [{"type": "identify", "anonymousId": "a"}] * 3
    found = {finding.code: finding for finding in lint_mapping(UPSERT, 'type = "identify"', CUSTOMER, came)}

    assert found["sample-refused"].sentence == (
        "3 of the events that came would be refused: The root value is missing the required field 'source_id'."
    )


def test_a_root_directive() -> None:
    """One directive for the whole payload is said to be one, and its fields are not guessed at."""
    (finding,) = lint_mapping(UPSERT, KNOWN, {"@path": "$.context"})

    assert (finding.code, finding.at) == ("root-directive", "/")


KEYS = st.sampled_from(
    [*DIRECTIVE_CHECKS, "source_id", "metadata", "address", "customer", "exists", "value", "mode", "else", "_metadata"]
)
TEXTS = st.sampled_from(["$.traits.email", "{{$.a}}", "{{a}}", "", "$", "LEFT", "lower", "{% if a.b %}"]) | st.text(
    max_size=5
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
EVENTS = st.dictionaries(
    st.sampled_from(["type", "userId", "traits", "properties", "context"]), JSON | st.just("track"), max_size=5
)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([*VOUCHERIFY.actions.values(), None]),
    st.sampled_from([KNOWN, 'type = "track"', 'properties.a = "x" or total = 1', "", "(("]),
    st.dictionaries(KEYS, JSON, max_size=4),
    st.lists(EVENTS, max_size=3),
)
def test_any_mapping_can_be_linted(action: Any, trigger: str, mapping: dict[str, Any], came: list[Any]) -> None:
    """Whatever JSON is given for a mapping and for events, nothing is raised and every finding is a sentence."""
    for finding in lint_mapping(action, trigger, mapping, came):
        assert finding.sentence
        assert finding.as_json()["level"] in ("error", "warning", "note")
