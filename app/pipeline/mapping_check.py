"""What a mapping must look like before it is used, and the sentence for each way in which it does not.

The rules and sentences are Segment's (mapping-kit). Two of their habits matter to whoever reads the errors: lists are
never looked into, so a bad directive inside one fails only when an event reaches it; and where the options of a
directive contain errors of their own, only those are reported.
"""

from collections.abc import Callable
from typing import Any, Final, Literal

from app import jsvalues
from app.errors import BadInput
from app.jsvalues import UNDEFINED, article

MAX_PATTERN_LENGTH: Final = 10
MAX_REPLACEMENT_LENGTH: Final = 10

Path = tuple[str, ...]
Check = Callable[[Any, Path], None]
Presence = Literal["required", "optional"]


class MappingError(BadInput):
    """A mapping is not valid, or does not fit the event that it was given.

    `messages` has one sentence per fault. `name` is the class of Segment's error: `ValidationError` (the mapping as a
    whole is one bad directive), `AggregateError` (bad directives inside it) or `Error` (it failed on an event). Segment
    gives the status 400 to the first alone; `segment_status` says so.
    """

    def __init__(self, *messages: str, name: Literal["ValidationError", "AggregateError", "Error"] = "Error") -> None:
        super().__init__(" ".join(messages))
        self.messages = messages
        self.name = name

    @property
    def segment_status(self) -> int | None:
        return 400 if self.name == "ValidationError" else None


def fails(*messages: str) -> Callable[[Any], Any]:
    """A function that raises when an event gets this far."""

    def fail(_payload: Any) -> Any:
        raise MappingError(*messages)

    return fail


def is_directive(mapping: Any) -> bool:
    """Whether an object is run rather than copied: an `@` key, and no other key but `_metadata`."""
    return (
        isinstance(mapping, dict)
        and any(key.startswith("@") for key in mapping)
        and all(key.startswith("@") or key == "_metadata" for key in mapping)
    )


def check(mapping: Any, path: Path = ()) -> None:
    """Check a mapping without using it.

    Raises:
        MappingError: it is not valid; `messages` has every fault that Segment would report.
    """
    kind = _kind(mapping)
    if kind == "directive":
        _directive(mapping, path)
    elif kind == "object":
        _object(mapping, path)


def _kind(value: Any) -> str:
    kind = jsvalues.type_of(value)
    return "directive" if kind == "object" and any(key.startswith("@") for key in value) else kind


def _fault(text: str, path: Path) -> MappingError:
    return MappingError(f"/{'/'.join(path)} {text}.", name="ValidationError")


def _raise_all(faults: list[MappingError]) -> None:
    if faults:
        raise MappingError(*(message for fault in faults for message in fault.messages), name="AggregateError")


def _directive(mapping: dict[str, Any], path: Path) -> None:
    names = [key for key in mapping if key.startswith("@")]
    if len(names) > 1:
        raise _fault(f"should only have one @-prefixed key but it has {len(names)} keys", path)
    if not is_directive(mapping):
        raise _fault(f"should only have one @-prefixed key but it has {len(mapping)} keys", path)
    name = names[0]
    if name not in DIRECTIVE_CHECKS:
        raise _fault(f"has an invalid directive: {name}", path)
    DIRECTIVE_CHECKS[name](mapping[name], (*path, name))


def _directive_or(kind: str, said: str) -> Check:
    """A check for a directive or one other kind of value."""

    def either(value: Any, path: Path) -> None:
        found = _kind(value)
        if found == "directive":
            _directive(value, path)
        elif found == kind == "object":
            _object(value, path)
        elif found != kind:
            raise _fault(f"should be {said} or a mapping directive but it is {article(found)}", path)

    return either


def _directive_or_raw(value: Any, path: Path) -> None:
    if _kind(value) == "directive":
        _directive(value, path)


def _of_kind(kind: str) -> Check:
    def exactly(value: Any, path: Path) -> None:
        found = _kind(value) if kind != "array" else jsvalues.type_of(value)
        if found != kind:
            raise _fault(f"should be {article(kind)} but it is {article(found)}", path)

    return exactly


_string, _boolean, _array = _of_kind("string"), _of_kind("boolean"), _of_kind("array")
# Segment's own grammar: "a object" here, "an object" everywhere else.
_directive_or_string, _directive_or_object = _directive_or("string", "a string"), _directive_or("object", "a object")


def _string_of(shortest: int, longest: int) -> Check:
    """Lengths are counted in UTF-16 code units: an emoji is two."""

    def bounded(value: Any, path: Path) -> None:
        _string(value, path)
        if jsvalues.length(value) < shortest:
            raise _fault(f"should be a string of length {shortest} or greater", path)
        if jsvalues.length(value) > longest:
            raise _fault(f"should be a string of length {longest} or less", path)

    return bounded


def _one_of(*allowed: str) -> Check:
    def among(value: Any, path: Path) -> None:
        _string(value, path)
        if value.lower() not in allowed:
            raise _fault(f"should be one of {', '.join(allowed)} but it is {jsvalues.stringify(value)}", path)

    return among


def _object(value: Any, path: Path) -> None:
    """Every member of an object, whatever directive it belongs to."""
    if (found := _kind(value)) != "object":
        raise _fault(f"should be an object but it is {article(found)}", path)
    faults = []
    for key, member in jsvalues.entries(value):
        try:
            check(member, (*path, key))
        except MappingError as fault:
            faults.append(fault)
    _raise_all(faults)


def _options(fields: dict[str, tuple[Presence, Check]]) -> Check:
    """A check for a directive's object of options: first every member as a mapping, then the named ones."""

    def all_options(value: Any, path: Path) -> None:
        _object(value, path)
        faults = []
        for name, (presence, field_check) in fields.items():
            try:
                if name in value:
                    field_check(value[name], (*path, name))
                elif presence == "required":
                    raise _fault(f"should have field {jsvalues.stringify(name)} but it doesn't", path)
            except MappingError as fault:
                faults.append(fault)
        _raise_all(faults)

    return all_options


def _array_path(value: Any, path: Path) -> None:
    _array(value, path)
    first, shape = (*value, UNDEFINED, UNDEFINED)[:2]
    _directive_or_string(first, path)
    check(shape, path)


_merge_options = _options(
    {"direction": ("optional", _one_of("left", "right")), "objects": ("required", _array)},
)


def _merge(value: Any, path: Path) -> None:
    _merge_options(value, path)
    for member in value["objects"]:
        # Segment forgets the path here: the sentence begins with a bare `/`.
        _directive_or_object(member, ())


DIRECTIVE_CHECKS: Final[dict[str, Check]] = {
    "@if": _options(
        {
            "exists": ("optional", _directive_or_raw),
            "then": ("optional", _directive_or_raw),
            "else": ("optional", _directive_or_raw),
        }
    ),
    "@case": _options({"operator": ("optional", _string), "value": ("optional", _directive_or_string)}),
    "@replace": _options(
        {
            "pattern": ("required", _string_of(1, MAX_PATTERN_LENGTH)),
            "replacement": ("optional", _string_of(0, MAX_REPLACEMENT_LENGTH)),
            "value": ("required", _directive_or_string),
            "ignorecase": ("optional", _boolean),
            "global": ("optional", _boolean),
        }
    ),
    "@arrayPath": _array_path,
    "@path": _directive_or_string,
    "@template": _directive_or_string,
    "@json": _options({"value": ("required", _directive_or_raw), "mode": ("required", _one_of("encode", "decode"))}),
    "@flatten": _options({"separator": ("optional", _string), "value": ("required", _directive_or_raw)}),
    "@merge": _merge,
    "@transform": _options(
        {"apply": ("required", _directive_or_object), "mapping": ("required", _directive_or_object)}
    ),
    "@literal": _directive_or_raw,
    "@excludeWhenNull": _directive_or_raw,
    "@liquid": _string,
}
"""The thirteen directives, and what the operand of each must be."""
