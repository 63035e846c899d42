"""The trigger language (Segment's FQL) that says which events a mapping takes.

    type = "track" and event = "Order Completed" and properties.total >= 100

It is read exactly as Segment reads it, which is not always as a person would. The last `and` or `or` of a level holds
for the whole level; parentheses do not nest, and the `)` of a function closes them; conditions on fields it does not
know are left out; `OR` in capitals is ignored, which leaves `and`; only double quotes quote; `!=` holds where the field
is missing. `app.pipeline.lint_trigger` says so to the person who wrote one.
"""

from collections.abc import Callable
from typing import Any, Final

from app import jsvalues
from app.jsvalues import UNDEFINED
from app.pipeline.paths import Resolve, compile_keys
from app.pipeline.trigger_lexer import TriggerError
from app.pipeline.trigger_reading import Condition, Reading, read

__all__ = ["Trigger", "TriggerError", "compile_reading", "compile_trigger"]

Trigger = Callable[[Any], bool]
Test = Callable[[Any], bool]
Operator = Callable[[Resolve, Any], Test]


def compile_trigger(text: str) -> Trigger:
    """Compile a trigger into a function of the event.

    The function gives a boolean; it raises `TriggerError` for an event that is null, or a field name without a key in
    it.

    Raises:
        TriggerError: the trigger can't be read, or has no condition at all.
    """
    return compile_reading(read(text))


def compile_reading(reading: Reading) -> Trigger:
    """Compile what was read of a trigger, as `compile_trigger` does."""
    test = _test(reading)

    def trigger(event: Any) -> bool:
        if type(event) is not dict:
            if event is None:
                raise TriggerError("The event is null.")
            if event is UNDEFINED:
                return False
            event = {}
        return test(event)

    return trigger


def _test(reading: Reading | None) -> Test:
    if reading is None:
        return _hole
    if isinstance(reading, Condition):
        return _condition(reading)
    tests = tuple(_test(item) for item in reading.items)
    return _all(tests) if reading.connector == "and" else _any(tests)


def _all(tests: tuple[Test, ...]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda event: first(event) and second(event)

    def every(event: Any) -> bool:
        for test in tests:  # noqa: SIM110 - a loop is twice as fast as all() over a generator
            if not test(event):
                return False
        return True

    return every


def _any(tests: tuple[Test, ...]) -> Test:
    def some(event: Any) -> bool:
        for test in tests:  # noqa: SIM110 - as above
            if test(event):
                return True
        return False

    return some


def _hole(_event: Any) -> bool:
    raise TriggerError("Parentheses in the trigger have no condition in them.")


def _condition(condition: Condition) -> Test:
    keys, operator, value = condition.keys, condition.operator, condition.value
    if keys is not None and len(keys) == 1 and operator in ("=", "!="):
        return _scalar_equals(keys[0], value, wanted=operator == "=")
    # Any word may stand where the operator should, and then the condition never holds.
    return OPERATORS.get(operator, _never)(_look(keys), value)


def _look(keys: tuple[str, ...] | None) -> Resolve:
    if keys is None:

        def no_key(_event: Any) -> Any:
            raise TriggerError("A field of the trigger has no key in its name.")

        return no_key
    if len(keys) == 1:
        name = keys[0]
        return lambda event: event.get(name, UNDEFINED)
    return compile_keys(keys) if keys else lambda _event: UNDEFINED


def _scalar_equals(name: str, text: str, *, wanted: bool) -> Test:
    """`type = "track"` and its like, which nearly every trigger has: as few steps as possible."""
    if wanted:
        return lambda event: bool(event.get(name) == text)
    return lambda event: bool(event.get(name) != text)


def _equals(*, wanted: bool) -> Operator:
    """Equal as texts; what is missing or not a text is unequal."""

    def compile_equals(look: Resolve, value: Any) -> Test:
        text = jsvalues.to_string(value)
        return lambda event: (look(event) == text) is wanted

    return compile_equals


def _numeric(compare: Callable[[float, float], bool]) -> Operator:
    """Of numbers in the event alone: `!= 5` is false for a text and for a field that is missing."""

    def compile_numeric(look: Resolve, value: Any) -> Test:
        limit = jsvalues.to_number(value)

        def test(event: Any) -> bool:
            number = look(event)
            is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
            return is_number and compare(jsvalues.double(number), limit)

        return test

    return compile_numeric


def _text(find: Callable[[str, str], bool], *, wanted: bool) -> Operator:
    """Of texts in the event alone: neither the test nor its negation holds for anything else."""

    def compile_text(look: Resolve, value: Any) -> Test:
        sought = jsvalues.to_string(value)
        # `match` may leave half a character to look for, which is found only among UTF-16 code units.
        halved = jsvalues.has_surrogates(sought)

        def test(event: Any) -> bool:
            text = look(event)
            return isinstance(text, str) and find(jsvalues.utf16(text) if halved else text, sought) is wanted

        return test

    return compile_text


def _exists(*, wanted: bool) -> Operator:
    def compile_exists(look: Resolve, _value: Any) -> Test:
        return lambda event: ((value := look(event)) is not None and value is not UNDEFINED) is wanted

    return compile_exists


def _is(wanted: bool) -> Operator:
    return lambda look, _value: lambda event: look(event) is wanted


def _never(look: Resolve, _value: Any) -> Test:
    return lambda event: bool(look(event) and False)


OPERATORS: Final[dict[str, Operator]] = {
    "=": _equals(wanted=True),
    "!=": _equals(wanted=False),
    "number_equals": _numeric(float.__eq__),
    "number_not_equals": _numeric(float.__ne__),
    "<": _numeric(float.__lt__),
    "<=": _numeric(float.__le__),
    ">": _numeric(float.__gt__),
    ">=": _numeric(float.__ge__),
    "contains": _text(str.__contains__, wanted=True),
    "not_contains": _text(str.__contains__, wanted=False),
    "starts_with": _text(str.startswith, wanted=True),
    "not_starts_with": _text(str.startswith, wanted=False),
    "ends_with": _text(str.endswith, wanted=True),
    "not_ends_with": _text(str.endswith, wanted=False),
    "exists": _exists(wanted=True),
    "not_exists": _exists(wanted=False),
    "is_true": _is(True),
    "is_false": _is(False),
}
"""Segment's operators by its names for them."""
