"""A programme file, read and checked: what is wrong is said with the file, the line, the place in it, and the fix."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from app.errors import LoyaltyError
from app.programmes import references, yaml_text
from app.programmes.format import Programme
from app.programmes.yaml_text import Place, YamlError

_KINDS = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "array": "a list",
          "object": "a mapping of keys to values", "null": "null"}  # fmt: skip
_DATE = "a date such as 2027-01-31, or a time such as 2027-01-31T18:00:00Z"
_PATH = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")


class ProgrammeError(LoyaltyError):
    """The programme file is not valid."""

    status = 400

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = list(sentences)


def load(path: Path) -> Programme:
    """The programme of a file.

    Raises:
        ProgrammeError: it can't be read, or something in it is wrong.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ProgrammeError([f"{path} can't be read: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise ProgrammeError([f"{path} can't be read: it is not UTF-8 (byte {error.start})."]) from error
    return read(text, str(path))


def read(text: str, name: str) -> Programme:
    """The programme that a text describes; `name` is what errors call it."""
    try:
        content, lines = yaml_text.read(text)
    except YamlError as error:
        at = f", line {error.line}" if error.line else ""
        raise ProgrammeError([f"{name}{at}: {error.sentence}"]) from error
    if not isinstance(content, dict):
        raise ProgrammeError(
            [f"{name}: A programme file is a mapping that begins with `programme: its name`, and this is not."]
        )
    try:
        programme = msgspec.convert(content, Programme)
    except msgspec.ValidationError as error:
        place, sentence = _explained(str(error), content)
        raise ProgrammeError([_at(name, place, lines) + sentence]) from error
    if faults := references.faults(programme):
        raise ProgrammeError([_at(name, place, lines) + sentence for place, sentence in faults])
    return programme


def _at(name: str, place: Place, lines: dict[Place, int]) -> str:
    known = place
    while known and known not in lines:
        known = known[:-1]
    line = f", line {lines[known]}" if known else ""
    return f"{name}{line}, {shown(place)}: " if place else f"{name}: "


def shown(place: Place) -> str:
    """`campaigns[0].earning_rules[1]`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in place]
    return "".join(parts).removeprefix(".")


def _explained(said: str, content: Any) -> tuple[Place, str]:
    """What msgspec says of the first mistake, as its place and a sentence with the fix."""
    message, _, path = said.partition(" - at `")
    parts = [key or (number if number == "..." else int(number)) for key, number in _PATH.findall(path)]
    value, place, kind = _followed(parts, content)
    if found := re.match(r"Object contains unknown field `(.*)`", message):
        return (*place, found[1]), _unknown(found[1], kind, [str(part) for part in place])
    if found := re.match(r"Object missing required field `(.*)`", message):
        return place, f"`{found[1]}` is missing here."
    if message.startswith(("Invalid enum value", "Invalid value")):
        return place, f"{value!r} is not one of {', '.join(map(repr, _choices(kind, parts)))}."
    if message.startswith("Expected `str` matching regex"):
        return place, f"{value!r} is not {_DATE}." if "d{4}" in message else f"{value!r} has not the form of an id."
    if found := re.match(r"Expected (.*), got `(\w+)`", message):
        wanted = " or ".join(_KINDS[each] for each in re.findall(r"`(\w+)`", found[1]) if each in _KINDS)
        hint = " Text that looks like a number needs quotes." if "`str`" in found[1] and found[2] != "object" else ""
        hint = " It is written with a point, or without: 10 or 12.5." if "`float`" in found[1] else hint
        return place, f"This must be {wanted}, but is {_brief(value)}.{hint}"
    if found := re.match(r"Expected `(\w+)` (.*)", message):
        limit = found[2].replace("of length ", "with a length ")
        return place, f"This must be {_KINDS.get(found[1], found[1])} {limit}, but is {_brief(value)}."
    return place, f"{message}."


def _followed(parts: Sequence[Any], content: Any) -> tuple[Any, Place, inspect.Type]:
    """The value at a path, its place in the file, and its type in the format.

    The path has `...` where it leads through a mapping with keys of one's own: then the value is that of the mapping.
    """
    value, kind = content, inspect.type_info(Programme)
    place: list[Any] = []
    for part in parts:
        kind = _of_union(kind, value)
        if part == "...":
            if not isinstance(kind, inspect.DictType):
                break
            kind = kind.value_type
            bad = [key for key, each in value.items() if not _fits(each, kind)]
            part = bad[0] if bad else next(iter(value), None)
        elif isinstance(kind, inspect.StructType):
            field = next((field for field in kind.fields if field.encode_name == part), None)
            kind = field.type if field is not None else inspect.AnyType()
        elif isinstance(kind, inspect.ListType):
            kind = kind.item_type
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            value = None
        place.append(part)
    return value, tuple(place), _of_union(kind, value)


def _fits(value: Any, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.LiteralType):
        return value in kind.values
    if isinstance(kind, inspect.IntType):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(kind, inspect.DictType):
        return isinstance(value, dict) and all(_fits(each, kind.value_type) for each in value.values())
    if isinstance(kind, inspect.StructType):
        try:
            msgspec.convert(value, kind.cls)
        except msgspec.ValidationError:
            return False
    return True


def _of_union(kind: inspect.Type, value: Any) -> inspect.Type:
    if isinstance(kind, inspect.Metadata):
        return _of_union(kind.type, value)
    if not isinstance(kind, inspect.UnionType):
        return kind
    structs = [each for each in kind.types if isinstance(each, inspect.StructType)]
    tagged = [each for each in structs if isinstance(value, dict) and value.get(each.tag_field or "") == each.tag]
    others = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
    return tagged[0] if tagged else kind if len(structs) > 1 else others[0]


def _choices(kind: inspect.Type, parts: Sequence[Any]) -> list[Any]:
    if isinstance(kind, inspect.LiteralType):
        return list(kind.values)
    if parts and parts[-1] == "kind":
        return ["loyalty", "discount", "gift", "promotion", "referral"]
    return []


def _unknown(name: str, kind: inspect.Type, place: Sequence[str]) -> str:
    fields = [field.encode_name for field in kind.fields] if isinstance(kind, inspect.StructType) else []
    near = difflib.get_close_matches(name, fields, n=1, cutoff=0.6)
    inside = next((part for part in reversed(place) if not part.isdigit()), None)
    what = f"a field of `{inside}`" if inside else "a field of a programme"
    if near:
        return f"`{name}` is not {what}. Did you mean `{near[0]}`?"
    return f"`{name}` is not {what}. The fields are {', '.join(fields)}."


def _brief(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value)
