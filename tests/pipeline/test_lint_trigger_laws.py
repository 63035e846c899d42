"""What holds for the lint of every trigger: what it says to write instead is what the person meant.

The person's side is here a second time, apart from the code: a random tree with its own meaning, written as people
write. A comparison with a value of another type is neither true nor false, as in SQL, and so is its opposite.
"""

import operator
from dataclasses import dataclass
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from app.pipeline.lint_trigger import lint_trigger
from app.pipeline.subscriptions import TriggerError, compile_trigger

Truth = bool | None
Event = dict[str, Any]
MISSING = object()


@dataclass(frozen=True)
class Compared:
    """A field, an operator, and a value, or a function of a field."""

    field: str
    operator: str
    value: Any

    def text(self) -> str:
        if self.operator in ("contains", "match"):
            return f'{self.operator}({self.field}, "{self.value}")'
        value = f'"{self.value}"' if isinstance(self.value, str) else str(self.value).lower()
        return f"{self.field} {self.operator} {'null' if self.value is None else value}"

    def of(self, given_event: Event) -> Truth:
        found: Any = given_event
        for key in self.field.split("."):
            found = found.get(key, MISSING)
        there = found is not MISSING and found is not None
        if self.value is None:
            return there == (self.operator == "!=")
        if self.operator in ("contains", "match"):
            if not isinstance(found, str):
                return None
            if self.operator == "contains":
                return str(self.value) in found
            pattern = str(self.value)
            return found.startswith(pattern[:-1]) if pattern.endswith("*") else found.endswith(pattern[1:])
        if isinstance(self.value, str):
            return bool(found == self.value) is (self.operator == "=")
        if isinstance(self.value, bool):
            if there and not isinstance(found, bool):
                return None
            return (found is self.value) == (self.operator == "=")
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return None
        compare = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, ">=": operator.ge}[self.operator]
        return bool(compare(found, self.value))


@dataclass(frozen=True)
class Joined:
    """Several, joined by one connector, each of them in parentheses where it needs some."""

    connector: str
    items: tuple[Any, ...]

    def text(self) -> str:
        parts = []
        for item in self.items:
            needs = isinstance(item, Joined) and (self.connector == "and" or item.connector == "or")
            parts.append(f"({item.text()})" if needs else item.text())
        return f" {self.connector} ".join(parts)

    def of(self, given_event: Event) -> Truth:
        truths = [item.of(given_event) for item in self.items]
        decisive = self.connector == "or"
        if decisive in truths:
            return decisive
        return None if None in truths else not decisive


@dataclass(frozen=True)
class Opposite:
    item: Any

    def text(self) -> str:
        return f"not ({self.item.text()})"

    def of(self, given_event: Event) -> Truth:
        truth = self.item.of(given_event)
        return None if truth is None else not truth


OBJECT_FIELDS = st.sampled_from(["properties.a", "properties.b", "traits.a", "context.app.name"])
FIELDS = OBJECT_FIELDS | st.sampled_from(["name", "userId"])
TEXTS = st.sampled_from(["x", "xy", "5", ""])
TESTS = st.one_of(
    st.builds(
        Compared,
        st.sampled_from(["type", "event", "name", "userId"]) | OBJECT_FIELDS,
        st.sampled_from(["=", "!="]),
        TEXTS,
    ),
    st.builds(Compared, FIELDS, st.sampled_from(["=", "!="]), st.none()),
    st.builds(Compared, OBJECT_FIELDS, st.sampled_from(["=", "!=", "<", ">="]), st.sampled_from([0, 5, -1.5])),
    st.builds(Compared, OBJECT_FIELDS, st.sampled_from(["=", "!="]), st.booleans()),
    st.builds(Compared, FIELDS | st.just("event"), st.just("contains"), TEXTS),
    st.builds(Compared, FIELDS | st.just("event"), st.just("match"), st.sampled_from(["x*", "*y", "xy*"])),
)
MEANINGS = st.recursive(
    TESTS,
    lambda inner: (
        st.builds(Joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple))
        | inner.map(Opposite)
    ),
    max_leaves=6,
)
VALUES = st.sampled_from(["x", "xy", "yx", "5", "", 5, 0, -1.5, 7, True, False, None, MISSING])
EVENTS = st.builds(
    lambda type_, event_, name, user, a, b, trait, app: {
        key: value
        for key, value in {
            "type": type_,
            "event": event_,
            "name": name,
            "userId": user,
            "properties": {key: value for key, value in (("a", a), ("b", b)) if value is not MISSING},
            "traits": {} if trait is MISSING else {"a": trait},
            "context": {"app": {} if app is MISSING else {"name": app}},
        }.items()
        if value is not MISSING
    },
    st.sampled_from(["x", "xy", "track"]),
    st.sampled_from(["x", "xy", "5", "", MISSING]),
    st.sampled_from(["x", "yx", None, MISSING]),
    st.sampled_from(["x", "5", None, MISSING]),
    *[VALUES] * 4,
)
STYLES = st.sampled_from(
    [
        lambda text: text,
        lambda text: text.replace(" or ", " OR ").replace(" and ", " AND ").replace("not (", "NOT ("),
        lambda text: text.replace(" or ", " || ").replace(" and ", " && ").replace("not (", "!("),
        lambda text: text.replace('"', "'"),
        lambda text: text.replace(" = ", " == "),
        lambda text: text.replace(" >= ", ">=").replace(" < ", "<"),
    ]
)
CORNERS = {
    "missing-is-unequal",
    "missing-is-no-number",
    "text-is-no-number",
    "unknown-type",
    "takes-nothing",
    "said-twice",
}
"""Findings about the operators, not about how the trigger is read."""


@settings(deadline=None, max_examples=600)
@given(MEANINGS, STYLES, st.lists(EVENTS, min_size=4, max_size=12))
def test_what_to_write_instead_is_what_was_meant(meaning: Any, style: Any, events: list[Event]) -> None:
    """Segment takes the same events by the lint's form as the person's words say; and where the lint has nothing to
    say, by the words themselves."""
    text = style(meaning.text())
    findings = [finding for finding in lint_trigger(text) if finding.code not in CORNERS]
    if findings:
        first = findings[0]
        event("split" if first.split else "written" if first.write_instead else f"none: {first.sentence[-60:]}")
        assume(first.write_instead or first.split)
        triggers = [first.write_instead] if first.write_instead else list(first.split)
    else:
        event("nothing found")
        triggers = [text]
    takes = [compile_trigger(str(trigger)) for trigger in triggers]

    for given_event in events:
        assert any(take(given_event) for take in takes) is (meaning.of(given_event) is True), (text, triggers)


@settings(deadline=None, max_examples=300)
@given(MEANINGS, STYLES)
def test_what_to_write_instead_has_no_faults(meaning: Any, style: Any) -> None:
    """The lint has nothing to say about how its own forms are read."""
    for finding in lint_trigger(style(meaning.text())):
        for trigger in (finding.write_instead, *finding.split):
            again = [] if trigger is None else lint_trigger(trigger)
            assert not [other for other in again if other.code not in CORNERS], trigger


FRAGMENTS = [
    *"()!=<>\"'\\.,[]$*&|-+ \n\r\t",
    *["type", "event", "properties.a", "properties", "and", "OR", "not", "in", "contains(", "match(", "null", "True"],
    *['"x*"', "5", "1e3", "é😀", "“x”", "\ud83d", "anonymousId", "properties.b[0]", 'properties["c d"]', "length("],
]


@settings(deadline=None, max_examples=500)
@given(
    st.lists(st.sampled_from(FRAGMENTS), max_size=14).map(" ".join)
    | st.lists(st.sampled_from(FRAGMENTS)).map("".join)
    | st.text()
)
def test_any_text_can_be_linted(text: str) -> None:
    """Nothing is raised, what is said is plain, and every trigger that is proposed can be read."""
    for finding in lint_trigger(text):
        assert finding.sentence.endswith(".")
        for trigger in (finding.write_instead, *finding.split):
            if trigger is not None:
                compile_trigger(trigger)
    try:
        compile_trigger(text)
    except TriggerError:
        assert any(finding.level == "error" for finding in lint_trigger(text))
