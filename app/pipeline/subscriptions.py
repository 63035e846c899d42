"""The trigger language (Segment's FQL) that says which events a mapping takes.

    type = "track" and event = "Order Completed" and properties.total >= 100

It is read exactly as Segment reads it, which is not always as a person would. The last `and` or `or` of a level holds
for the whole level; parentheses do not nest, and the `)` of a function closes them; conditions on fields it does not
know are left out; `OR` in capitals is ignored, which leaves `and`; only double quotes quote; `!=` holds where the field
is missing.
"""

import re
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from app import jsvalues
from app.jsvalues import UNDEFINED
from app.pipeline.paths import Resolve, compile_keys
from app.pipeline.trigger_lexer import Token, TriggerError, tokens

__all__ = ["Trigger", "TriggerError", "compile_trigger"]

Trigger = Callable[[Any], bool]
Test = Callable[[Any], bool]
Operator = Callable[[Resolve, Any], Test]

_OBJECTS: Final = ("properties", "traits", "context")
_FIELDS: Final = ("type", "event", "name", "userId", *_OBJECTS)
_FUNCTIONS: Final = ("contains", "match")
_KEY: Final = re.compile(r"[^\[.\]]+")


def compile_trigger(text: str) -> Trigger:
    """Compile a trigger into a function of the event.

    The function gives a boolean; it raises `TriggerError` for an event that is null, or a field name without a key in
    it.

    Raises:
        TriggerError: the trigger can't be read, or has no condition at all.
    """
    try:
        test = _group(deque(_names_joined(tokens(text))))
    except IndexError:
        raise TriggerError("The trigger stops in the middle of a condition or of parentheses.") from None
    if test is None:
        raise TriggerError(
            "The trigger has no condition that Segment knows. "
            "Conditions start with type, event, name, userId, properties, traits or context."
        )

    def trigger(event: Any) -> bool:
        if type(event) is not dict:
            if event is None:
                raise TriggerError("The event is null.")
            if event is UNDEFINED:
                return False
            event = {}
        return test(event)

    return trigger


def _names_joined(found: list[Token]) -> list[Token]:
    """`properties . total` is one name."""
    names: list[Token] = []
    index = 0
    while index < len(found):
        token = found[index]
        after = found[index + 1] if index + 1 < len(found) else None
        if names and names[-1].kind == "ident" and token.kind == "dot" and after is not None and after.kind == "ident":
            names[-1] = Token("ident", f"{names[-1].value}.{after.value}")
            index += 2
        else:
            names.append(token)
            index += 1
    return names


def _group(waiting: deque[Token]) -> Test | None:
    """One level: its conditions, joined by the last `and` or `or` in it. None where there is no condition."""
    tests: list[Test] = []
    connector = "and"
    while waiting and (token := waiting.popleft()).kind != "eos":
        if token.kind == "ident":
            field = token.value.split(".")[0]
            if field in jsvalues.OBJECT_MEMBERS:
                # Segment takes these for fields, and then makes no condition of them.
                waiting.popleft()
                waiting.popleft()
            elif field in _FIELDS:
                operator, value = waiting.popleft(), waiting.popleft()
                tests.append(_condition(token.value, operator.value, value))
            elif token.value in _FUNCTIONS:
                tests += _function(token.value, waiting, negate=False)
        elif token == ("operator", "!"):
            if waiting[0].kind == "ident" and waiting[0].value in _FUNCTIONS:
                tests += _function(waiting.popleft().value, waiting, negate=True)
        elif token.kind == "parenleft":
            inside: deque[Token] = deque()
            while (token := waiting.popleft()).kind != "parenright":
                inside.append(token)
            inside.append(Token("eos", "eos"))
            test = _group(inside)
            # Segment keeps a group without conditions as a hole, and fails on it with every event it comes to.
            tests.append(test if test is not None else _hole)
        elif token.kind == "conditional":
            connector = token.value
    if len(tests) <= 1:
        return tests[0] if tests and tests[0] is not _hole else None
    return _all(tuple(tests)) if connector == "and" else _any(tuple(tests))


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


def _function(name: str, waiting: deque[Token], *, negate: bool) -> list[Test]:
    """`contains(field, "text")` and `match(field, "text*")` or `match(field, "*text")`."""
    waiting.popleft()
    if not waiting:
        raise TriggerError(f"{name}() is missing a 1st argument.")
    field = waiting.popleft().value
    if waiting:
        waiting.popleft()
    if not waiting:
        raise TriggerError(f"{name}() is missing a 2nd argument.")
    argument = waiting.popleft()
    if waiting:
        waiting.popleft()
    sought = jsvalues.to_string(_value(argument))
    operator = "contains"
    if name == "match" and argument.value.endswith('*"'):
        operator, sought = "starts_with", sought[:-1]
    elif name == "match":
        # Whatever stands first is taken for the star: match(event, "exact") looks for texts that end in "xact".
        operator, sought = "ends_with", jsvalues.joined(jsvalues.utf16(sought)[1:])
    if field not in ("event", "name", "userId") and not field.startswith(_OBJECTS):
        return []
    return [OPERATORS[f"not_{operator}" if negate else operator](_look(field), sought)]


def _value(token: Token) -> Any:
    """What a token means on the right-hand side. Single quotes stay part of the text, as Segment has it."""
    if token.kind == "string":
        return token.value.removeprefix('"').removesuffix('"')
    if token.kind == "number":
        return jsvalues.to_number(token.value)
    if token.kind == "ident" and token.value in ("true", "false"):
        return token.value == "true"
    return token.value


def _condition(field: str, operator: str, token: Token) -> Test:
    """`field operator value`, where the kind of the value can turn `=` into another test."""
    kind = field.split(".", maxsplit=1)[0]
    value = _value(token)
    if operator in ("=", "!="):
        wanted = operator == "="
        if token.value == "null" and kind not in ("type", "event"):
            operator = "not_exists" if wanted else "exists"
        elif wanted and token.value in ("true", "false") and kind in ("userId", *_OBJECTS):
            operator = f"is_{token.value}"
        elif token.kind == "number" and kind in _OBJECTS:
            operator = "number_equals" if wanted else "number_not_equals"
        elif kind not in _OBJECTS:
            return _scalar_equals(kind, jsvalues.to_string(value), wanted=wanted)
    look = _look(field)
    # Any token may stand where the operator should, and the names of the operators are tokens: `event contains "x"`
    # works.
    return OPERATORS.get(operator, _never)(look, value if kind in _OBJECTS else jsvalues.to_string(value))


def _look(field: str) -> Resolve:
    """What a field's name stands for: `type`, `event`, `name`, `userId`, or a path below one of the three objects."""
    kind = next((name for name in _OBJECTS if field.startswith(name)), None)
    if kind is None:
        name = field.split(".", maxsplit=1)[0]
        return lambda event: event.get(name, UNDEFINED)
    path = field.removeprefix(f"{kind}.")
    keys = tuple(_KEY.findall(path))
    if path and not keys:

        def no_key(_event: Any) -> Any:
            raise TriggerError(f"{field!r} has no key in it.")

        return no_key
    return compile_keys((kind, *keys)) if path else lambda _event: UNDEFINED


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
