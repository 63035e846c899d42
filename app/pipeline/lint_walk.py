"""What a mapping reads: its directives one by one, and the paths into the event, without running it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from app.pipeline.mapping_check import is_directive
from app.pipeline.paths import path_keys, split_path

Keys = tuple[str, ...]

_PLACEHOLDER: Final = re.compile(r"\{\{\{?\s*([^{}]+?)\s*\}?\}\}")
_IN_LIQUID: Final = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+|\[\d+\])*")


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive of a mapping. `at` is the way to it, as in the messages of the mapping's own check."""

    at: str
    name: str
    operand: Any
    guarded: bool
    """Inside `@if`, which sees to what is missing."""
    in_list: bool
    """Inside a list, where nothing is checked before an event comes."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is copied as it is."""

    at: str
    text: str


def walk(mapping: Any, at: str = "", *, guarded: bool = False, in_list: bool = False) -> Iterator[Directive | Text]:
    """Every directive and every plain text of a mapping, from the outside to the inside.

    Shapes of `@arrayPath` and mappings of `@transform` are left out: what they read is not the event.
    """
    if is_directive(mapping):
        name = next(key for key in mapping if key.startswith("@"))
        yield Directive(at, name, mapping[name], guarded, in_list)
        yield from _operands(name, mapping[name], f"{at}/{name}", guarded=guarded, in_list=in_list)
    elif isinstance(mapping, dict):
        for key, member in mapping.items():
            yield from walk(member, f"{at}/{key}", guarded=guarded, in_list=in_list)
    elif isinstance(mapping, list):
        for index, member in enumerate(mapping):
            yield from walk(member, f"{at}/{index}", guarded=guarded, in_list=True)
    elif isinstance(mapping, str):
        yield Text(at, mapping)


def _operands(name: str, operand: Any, at: str, *, guarded: bool, in_list: bool) -> Iterator[Directive | Text]:
    if name == "@arrayPath":
        inner = operand[:1] if isinstance(operand, list) else []
        members = [(f"{at}/0", item) for item in inner if not isinstance(item, str)]
    elif name == "@transform":
        members = [(f"{at}/apply", operand.get("apply"))] if isinstance(operand, dict) else []
    elif isinstance(operand, dict) and not is_directive(operand):
        members = [(f"{at}/{key}", member) for key, member in operand.items() if not isinstance(member, str)]
    else:
        members = [] if isinstance(operand, str) else [(at, operand)]
    for inside, member in members:
        yield from walk(member, inside, guarded=guarded or name == "@if", in_list=in_list)


def paths(directive: Directive) -> list[Keys]:
    """The paths that a directive itself reads in the event; `()` is the event as a whole."""
    operand = directive.operand
    if directive.name == "@arrayPath" and isinstance(operand, list) and operand:
        operand = operand[0]
    if not isinstance(operand, str):
        return []
    if directive.name in ("@path", "@arrayPath"):
        return [path_keys(operand)]
    if directive.name == "@template":
        return [split_path(match) for match in _PLACEHOLDER.findall(operand)]
    if directive.name == "@liquid":
        return [split_path(match) for match in _IN_LIQUID.findall(operand)]
    return []
