"""What Segment reads in a trigger: its conditions and the one connector of each level, as values.

This is the grammar of Segment's parser, surprises included: a level has one connector, the last one in it; parentheses
do not nest, and the `)` of a function closes them; conditions on fields it does not know are left out. What follows
from it is compiled in `app.pipeline.subscriptions` and explained in `app.pipeline.lint_trigger`.
"""

import re
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Literal

from app import jsvalues
from app.pipeline.trigger_lexer import Token, TriggerError, tokens

OBJECTS: Final = ("properties", "traits", "context")
FIELDS: Final = ("type", "event", "name", "userId", *OBJECTS)
FUNCTIONS: Final = ("contains", "match")
_KEY: Final = re.compile(r"[^\[.\]]+")


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one field. `operator` is Segment's name for it; any other word is an operator that never holds."""

    keys: tuple[str, ...] | None
    """The way to the field: `("event",)`, `("properties", "total")`. Empty: a place where nothing ever is; None: a name
    without a key in it, on which Segment fails with every event."""
    operator: str
    value: Any
    """A text, number or boolean; for the scalar fields always a text."""


@dataclass(frozen=True, slots=True)
class Level:
    """Conditions that stand side by side, all joined by one connector. None is a hole: parentheses with nothing in
    them, which Segment keeps, and fails on with every event that comes to them.
    """

    connector: Literal["and", "or"]
    items: "tuple[Reading | None, ...]"


Reading = Condition | Level


def read(text: str) -> Reading:
    """The conditions of a trigger as Segment reads them.

    Raises:
        TriggerError: the trigger can't be read, or has no condition at all.
    """
    try:
        reading = _level(deque(_names_joined(tokens(text))))
    except IndexError:
        raise TriggerError("The trigger stops in the middle of a condition or of parentheses.") from None
    if reading is None:
        raise TriggerError(
            "The trigger has no condition that Segment knows. "
            "Conditions start with type, event, name, userId, properties, traits or context."
        )
    return reading


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


def _level(waiting: deque[Token]) -> Reading | None:
    """One level: its conditions, joined by the last `and` or `or` in it. None where there is no condition."""
    items: list[Reading | None] = []
    connector: Literal["and", "or"] = "and"
    while waiting and (token := waiting.popleft()).kind != "eos":
        if token.kind == "ident":
            field = token.value.split(".")[0]
            if field in jsvalues.OBJECT_MEMBERS:
                # Segment takes these for fields, and then makes no condition of them.
                waiting.popleft()
                waiting.popleft()
            elif field in FIELDS:
                operator, value = waiting.popleft(), waiting.popleft()
                items.append(_condition(token.value, operator.value, value))
            elif token.value in FUNCTIONS:
                items += _function(token.value, waiting, negate=False)
        elif token == ("operator", "!"):
            if waiting[0].kind == "ident" and waiting[0].value in FUNCTIONS:
                items += _function(waiting.popleft().value, waiting, negate=True)
        elif token.kind == "parenleft":
            inside: deque[Token] = deque()
            while (token := waiting.popleft()).kind != "parenright":
                inside.append(token)
            inside.append(Token("eos", "eos"))
            items.append(_level(inside))
        elif token.kind == "conditional":
            connector = "or" if token.value == "or" else "and"
    if len(items) <= 1:
        return items[0] if items else None
    return Level(connector, tuple(items))


def _function(name: str, waiting: deque[Token], *, negate: bool) -> list[Condition]:
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
    if field not in ("event", "name", "userId") and not field.startswith(OBJECTS):
        return []
    return [Condition(_keys(field), f"not_{operator}" if negate else operator, sought)]


def _value(token: Token) -> Any:
    """What a token means on the right-hand side. Single quotes stay part of the text, as Segment has it."""
    if token.kind == "string":
        return token.value.removeprefix('"').removesuffix('"')
    if token.kind == "number":
        return jsvalues.to_number(token.value)
    if token.kind == "ident" and token.value in ("true", "false"):
        return token.value == "true"
    return token.value


def _condition(field: str, operator: str, token: Token) -> Condition:
    """`field operator value`, where the kind of the value can turn `=` into another test.

    Any token may stand where the operator should, and the names of the operators are tokens: `event contains "x"`
    works.
    """
    kind = field.split(".", maxsplit=1)[0]
    value = _value(token)
    if operator in ("=", "!="):
        wanted = operator == "="
        if token.value == "null" and kind not in ("type", "event"):
            operator = "not_exists" if wanted else "exists"
        elif wanted and token.value in ("true", "false") and kind in ("userId", *OBJECTS):
            operator = f"is_{token.value}"
        elif token.kind == "number" and kind in OBJECTS:
            operator = "number_equals" if wanted else "number_not_equals"
    return Condition(_keys(field), operator, value if kind in OBJECTS else jsvalues.to_string(value))


def _keys(field: str) -> tuple[str, ...] | None:
    """What a field's name stands for: `type`, `event`, `name`, `userId`, or a path below one of the three objects."""
    kind = next((name for name in OBJECTS if field.startswith(name)), None)
    if kind is None:
        return (field.split(".", maxsplit=1)[0],)
    path = field.removeprefix(f"{kind}.")
    if not path:
        return ()
    keys = tuple(_KEY.findall(path))
    return (kind, *keys) if keys else None
