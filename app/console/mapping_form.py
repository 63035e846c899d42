"""A mapping as a form: one line of text for each field, or the whole as JSON. Pure.

A path stands for itself (`$.traits.email`); everything else is JSON, as it is kept.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.destinations.base import Action
from app.errors import BadInput
from app.pipeline.configure_shared import Fault, refuse

FIELD = "field:"
"""Before the name of a field in the form, so that it can't be taken for another input."""
WIDE = 56
"""Characters of a line, where it can be broken."""


@dataclass(frozen=True)
class Row:
    """One field in the form."""

    name: str
    label: str
    help: str
    kind: str
    """The type that the action asks for; empty where it has no such field."""
    required: bool
    text: str

    @property
    def lines(self) -> int:
        """How many lines the text takes."""
        return min(16, self.text.count("\n") + 1)


def rows(action: Action | None, texts: Mapping[str, str]) -> list[Row]:
    """The fields of an action and what else is mapped: first what is mapped, in its order, then what is free."""
    fields = {field.name: field for field in action.fields} if action else {}
    made = []
    for name in {**texts, **fields}:
        field = fields.get(name)
        made.append(
            Row(
                name,
                field.label if field else name,
                field.help if field else "The action has no such field: it is not sent.",
                field.kind if field else "",
                bool(field and field.required),
                texts.get(name, ""),
            )
        )
    return made


def texts_of(mapping: Mapping[str, Any]) -> dict[str, str]:
    """The text of each field of a mapping."""
    return {name: text_of(value) for name, value in mapping.items()}


def text_of(value: Any) -> str:
    """A value of a mapping as text, from which `value_of` makes the same value again."""
    if isinstance(value, dict) and list(value) == ["@path"] and _is_path(value["@path"]):
        return str(value["@path"])
    return pretty(value)


def value_of(text: str) -> Any:
    """The value that a text stands for.

    Raises:
        ValueError: it is neither a path nor JSON; the message says what to do.
    """
    text = text.strip()
    if _is_path(text):
        return {"@path": text}
    try:
        return _json(text)
    except ValueError as error:
        hint = ""
        if len(text) < WIDE and '"' not in text and text[0] not in "{[":
            hint = f' A text stands in double quotes: "{text}".'
        raise ValueError(f"It is neither a path such as $.traits.email nor JSON: {error}.{hint}") from None


def _is_path(text: Any) -> bool:
    return isinstance(text, str) and text.startswith("$.") and text == text.strip() and "\n" not in text


def mapping_from(texts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The mapping that the fields' texts make, in their order. An empty text leaves the field out.

    Raises:
        BadInput: a text can't be read; every fault is named by its field.
    """
    mapping, faults = {}, []
    for name, text in texts:
        if not text.strip():
            continue
        try:
            mapping[name] = value_of(text)
        except ValueError as error:
            faults.append(Fault(f"mapping.{name}", str(error)))
    if faults:
        raise refuse(*faults)
    return mapping


def object_from(text: str, field: str) -> dict[str, Any]:
    """The object that a text is, as JSON.

    Raises:
        BadInput: it is none; the sentence says where.
    """
    try:
        found = _json(text)
    except ValueError as error:
        raise refuse(Fault(field, f"This is not JSON: {error}.")) from None
    if not isinstance(found, dict):
        raise refuse(Fault(field, "It must be an object: { … }."))
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{error.msg[:1].lower()}{error.msg[1:]} (line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def pretty(value: Any, indent: int = 0, before: int = 0) -> str:
    """A value as JSON that people read: what fits stays on one line, behind as many characters as stand `before` it."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent + before <= WIDE or not isinstance(value, dict | list) or not value:
        return line
    inner, ends = indent + 2, "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, dict):
        keys = ((f"{json.dumps(key, ensure_ascii=False)}: ", member) for key, member in value.items())
        parts = [key + pretty(member, inner, len(key)) for key, member in keys]
    else:
        parts = [pretty(member, inner) for member in value]
    around = f"\n{' ' * inner}"
    return f"{ends[0]}{around}{f',{around}'.join(parts)}\n{' ' * indent}{ends[1]}"


def number(text: str) -> int:
    """The number that an input carries.

    Raises:
        BadInput: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadInput("This is no number of a version or an event.")
    return int(text)
