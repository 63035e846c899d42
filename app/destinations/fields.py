"""The fields of an action or of a destination's settings, and the validator that is compiled from them.

A validator does what Segment does between mapping and sending: drop empty values, turn values into the type that a
field asks for where that is harmless (5 → "5", ["a"] → "a"), drop what no field names, and refuse the rest in its
sentences. It gives a new payload in the order of the mapping and leaves the mapped one as it was; values of free-form
objects are shared.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from app import jsvalues
from app.destinations.coerce import NotCoercible, coerce
from app.errors import BadInput
from app.jsvalues import UNDEFINED, article

Kind = Literal["string", "text", "password", "number", "integer", "boolean", "object"]


@dataclass(frozen=True, slots=True)
class Field:
    """One value that an action takes: its name in the payload, its type, and where the default mapping finds it."""

    name: str
    label: str
    kind: Kind = "string"
    """`text` and `password` are strings that a form shows in another way."""
    required: bool = False
    allow_null: bool = False
    """Null is sent as null, not left out. As on Segment, without effect on lists and on objects with properties."""
    multiple: bool = False
    """A list of such values; a single one becomes a list of one."""
    properties: "tuple[Field, ...]" = ()
    """The only members an object may have; without any it is free-form and sent as it is."""
    default: Any = None
    """The mapping that a new subscription starts with. It is never filled in at run time."""
    help: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one value; `pointer` is a JSON pointer, `path` the same place as a JSON path."""

    path: str
    pointer: str
    message: str


class PayloadError(BadInput):
    """A payload lacks a required field, or has a value that can't become what the field asks for."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(" ".join(fault.message for fault in faults))
        self.faults = faults


_TEXTS: Final = ("string", "text", "password")

Validate = Callable[[Any], dict[str, Any]]
_Convert = Callable[[Any], Any]

# Segment carries a payload's `dynamicAuthSettings` past the removal of unknown keys, so it is sent along if mapped.
_EXEMPT: Final = "dynamicAuthSettings"


def default_mapping(fields: Sequence[Field]) -> dict[str, Any]:
    """The mapping made of all the fields' defaults."""
    return {field.name: field.default for field in fields if field.default is not None}


def compile_validator(fields: Sequence[Field], *, remove_empty: bool = True) -> Validate:
    """Compile fields into a function from the mapped payload to the payload that is sent.

    `remove_empty=False` is for settings, where empty values are not removed beforehand. The function raises
    `PayloadError` with every fault, and nothing else.
    """
    convert_members = _compile_members(fields, "", root=True, remove_empty=remove_empty)

    def validate(payload: Any) -> dict[str, Any]:
        try:
            if type(payload) is not dict:
                empty = remove_empty and (payload is None or payload == "")
                raise _Faulty.type_of("", "object", UNDEFINED if empty else payload)
            return convert_members(payload)
        except _Faulty as faulty:
            raise PayloadError(*(_fault(*found) for found in faulty.found)) from None

    return validate


class _Faulty(Exception):
    """Faults on their way up: (pointer so far, label, the rest of the sentence)."""

    def __init__(self, *found: tuple[str, str, str]) -> None:
        super().__init__()
        self.found = found

    @classmethod
    def type_of(cls, label: str, wanted: str, value: Any) -> "_Faulty":
        kind = jsvalues.type_of(value)
        got = kind if kind in ("null", "undefined") else article(kind)
        return cls(("", label, f"must be {article(wanted)} but it was {got}"))

    def below(self, key: str) -> "tuple[tuple[str, str, str], ...]":
        return tuple((f"/{key}{pointer}", label, text) for pointer, label, text in self.found)


def _fault(pointer: str, label: str, text: str) -> Fault:
    subject = label or (f"the value at {pointer}" if pointer else "the root value")
    keys = pointer.split("/")[1:]
    path = "$" + "".join(f"[{key}]" if key.isdecimal() else f".{key}" for key in keys)
    return Fault(path, pointer, f"{subject[:1].upper()}{subject[1:]} {text}.")


def _compile_members(
    fields: Sequence[Field], label: str, *, root: bool, remove_empty: bool
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The members of an object that is known to be one: unknown keys go, known ones are converted."""
    converters = {field.name: _compile_field(field, root=root, remove_empty=remove_empty) for field in fields}
    texts = frozenset(field.name for field in fields if field.kind in _TEXTS and not field.multiple)
    required = tuple(field.name for field in fields if field.required)
    drop_empty_text = root and remove_empty

    def convert_members(value: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        faulty: dict[str, _Faulty] = {}
        for key, member in value.items():
            if type(member) is str and key in texts:
                # What nearly all members are, without a call.
                if member or not drop_empty_text:
                    kept[key] = member
                continue
            convert = converters.get(key)
            if convert is None or (member == "" and drop_empty_text):
                continue
            try:
                converted = convert(member)
            except _Faulty as found:
                faulty[key] = found
                continue
            if converted is not UNDEFINED:
                kept[key] = converted
        if root and _EXEMPT in value and not (value[_EXEMPT] == "" and drop_empty_text):
            kept[_EXEMPT] = value[_EXEMPT]
        for key in required:
            if key not in kept:
                raise _in_order(value=kept, faulty=faulty)
        if faulty:
            raise _in_order(value=kept, faulty=faulty)
        return kept

    def _in_order(value: dict[str, Any], faulty: dict[str, _Faulty]) -> _Faulty:
        """Missing fields first, then the faults below, both in the order of the fields."""
        missing = [
            ("", label, f"is missing the required field '{key}'")
            for key in required
            if key not in value and key not in faulty
        ]
        below = [found for key in converters if key in faulty for found in faulty[key].below(key)]
        return _Faulty(*missing, *below)

    return convert_members


def _compile_field(field: Field, *, root: bool, remove_empty: bool) -> _Convert:
    """A converter that gives `UNDEFINED` for a value to be left out."""
    kind = "string" if field.kind in _TEXTS else field.kind
    members = (
        _compile_members(
            field.properties,
            "" if field.multiple else field.label,
            root=False,
            # Segment looks at the items of a list only to see which are empty as a whole.
            remove_empty=remove_empty and not field.multiple,
        )
        if field.properties
        else None
    )
    if field.multiple:
        return _compile_list(field, kind, members, root=root, remove_empty=remove_empty)
    return _compile_single(
        kind, field.label, members, allow_null=field.allow_null and members is None, remove_empty=remove_empty
    )


def _compile_single(
    kind: str,
    label: str,
    members: Callable[[dict[str, Any]], dict[str, Any]] | None,
    *,
    allow_null: bool,
    remove_empty: bool,
) -> _Convert:
    wanted = (kind, "null") if allow_null else (kind,)

    def convert_other(value: Any) -> Any:
        if remove_empty and ((value is None and not allow_null) or (value == "" and kind != "string")):
            return UNDEFINED
        value = _coerced(value, wanted, label)
        return members(value) if members is not None and value is not None else value

    if kind == "string":
        return lambda value: value if type(value) is str else convert_other(value)
    if kind == "object" and members is not None:
        return lambda value: members(value) if type(value) is dict else convert_other(value)
    if kind == "object":
        return lambda value: value if type(value) is dict else convert_other(value)
    return convert_other


def _compile_list(
    field: Field,
    kind: str,
    members: Callable[[dict[str, Any]], dict[str, Any]] | None,
    *,
    root: bool,
    remove_empty: bool,
) -> _Convert:
    convert_item = _compile_single(kind, "", members, allow_null=False, remove_empty=False)

    def kept(item: Any) -> bool:
        return not remove_empty or not (item is None or (item == "" and kind != "string"))

    def convert_list(value: Any) -> Any:
        if isinstance(value, list):
            items = [item for item in value if kept(item)]
        elif remove_empty and (value is None or value == ""):
            return UNDEFINED
        elif root and value is not None:
            # A single value of any type becomes a list, but only for the fields of the action itself.
            items = [value]
        else:
            items = _coerced(value, ("array",), field.label)
        converted: list[Any] = []
        faults: list[tuple[str, str, str]] = []
        for index, item in enumerate(items):
            try:
                converted.append(convert_item(item))
            except _Faulty as faulty:
                faults += faulty.below(str(index))
        if faults:
            raise _Faulty(*faults)
        return converted

    return convert_list


def _coerced(value: Any, wanted: tuple[str, ...], label: str) -> Any:
    try:
        return coerce(value, wanted)
    except NotCoercible as refused:
        raise _Faulty.type_of(label, " or ".join(wanted), refused.value) from None
