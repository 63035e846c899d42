"""What of an event leaves by a mapping and what does not; and what becomes of events that came."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.destinations.base import Action
from app.destinations.fields import Field, PayloadError
from app.pipeline.lint_events import TYPES_WITH, takes_types
from app.pipeline.lint_finding import Finding
from app.pipeline.lint_walk import Keys
from app.pipeline.mapping import Mapped
from app.pipeline.mapping_check import MappingError, is_directive
from app.pipeline.paths import path_keys
from app.pipeline.subscriptions import TriggerError, compile_reading
from app.pipeline.trigger_reading import Reading

_CAMEL_CASE: Final = {
    ("first_name",): "firstName",
    ("last_name",): "lastName",
    ("birthdate",): "birthday",
    ("address", "postal_code"): "address.postalCode",
}
"""Segment's own names of traits, by the names that Voucherify has for them."""


def _direct(fields: Sequence[Field], mapping: Mapping[str, Any]) -> Iterator[tuple[Field, Keys]]:
    """Fields that are one path each, with the path."""
    for field in fields:
        value = mapping.get(field.name)
        if field.properties and isinstance(value, dict) and not is_directive(value):
            yield from _direct(field.properties, value)
        elif isinstance(value, dict) and isinstance(value.get("@path"), str):
            yield field, path_keys(value["@path"])


def names_and_nulls(
    fields: Sequence[Field], mapping: Mapping[str, Any], read_paths: Sequence[Keys], samples: Sequence[dict[str, Any]]
) -> Iterator[Finding]:
    """Traits that have another name than the mapping's, and traits that erase."""
    direct = list(_direct(fields, mapping))
    erased = [field.name for field, path in direct if field.allow_null and path[:1] == ("traits",) and len(path) > 1]
    if erased:
        happened = any(sample.get("traits", {}) is None for sample in samples)
        yield Finding(
            "null-erases", "warning" if happened else "note",
            f"An event with `\"traits\": null` sends null for {', '.join(erased)}, which may erase what is stored. "
            'With {"@excludeWhenNull": {"@path": …}} around its path a field is left out instead.',
        )  # fmt: skip
    missed = [
        (camel, ".".join(snake))
        for snake, camel in _CAMEL_CASE.items()
        if ("traits", *snake) in read_paths and not _is_read(("traits", *camel.split(".")), read_paths)
    ]
    if missed:
        there = [camel for camel, _ in missed if any(_has(sample, ("traits", *camel.split("."))) for sample in samples)]
        named = ", ".join(f"{camel} (read: {snake})" for camel, snake in missed)
        sentence = f"Segment's own names of these traits are not read, so they are not sent: {named}."
        if there:
            sentence += f" Events that came have {', '.join(there)}."
        yield Finding("camel-case-traits", "warning" if there else "note", sentence)


def _has(event: Any, keys: Keys) -> bool:
    for key in keys:
        if not isinstance(event, dict) or key not in event:
            return False
        event = event[key]
    return True


def _is_read(keys: Keys, read_paths: Sequence[Keys]) -> bool:
    """Whether a path ends at this place, above it or below it."""
    return any(path[: len(keys)] == keys or keys[: len(path)] == path for path in read_paths)


def never_leave(
    read_paths: Sequence[Keys], reading: Reading | None, samples: Sequence[dict[str, Any]], *, guess: bool
) -> Iterator[Finding]:
    """Properties and traits that came and that nothing reads. `guess`: say so of properties when none came at all."""
    types = takes_types(reading)
    for parent in ("properties", "traits"):
        if types and types.isdisjoint(TYPES_WITH[parent]):
            continue
        whole = any(path in ((), (parent,)) for path in read_paths)
        taken = sorted({path[1] for path in read_paths if path[:1] == (parent,) and len(path) > 1})
        if whole or not taken:
            continue
        came = {key for sample in samples if isinstance(of := sample.get(parent), dict) for key in of}
        lost = sorted(key for key in came if not _is_read((parent, key), read_paths))
        only = f"Of the {parent} only {', '.join(taken)} {'is' if len(taken) == 1 else 'are'} read."
        if lost:
            more = f" and {len(lost) - 12} more" if len(lost) > 12 else ""
            yield Finding(
                "never-leaves", "warning", f"{only} These came and do not leave: {', '.join(lost[:12])}{more}."
            )
        elif guess and parent == "properties":
            yield Finding("never-leaves", "note", f"{only} Others, flat beside them, do not leave.")


def taken_of(reading: Reading | None, samples: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    trigger = None if reading is None else compile_reading(reading)
    for sample in samples:
        try:
            if trigger is not None and trigger(sample):
                yield sample
        except TriggerError:
            continue


def refused(action: Action | None, maps: Mapped, samples: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """Sentences about events that came and would be refused, each once."""
    told: dict[str, int] = {}
    for sample in samples:
        try:
            payload = maps(sample)
            if action is not None:
                action.validate(payload)
        except (MappingError, PayloadError) as fault:
            told[fault.sentence] = told.get(fault.sentence, 0) + 1
    for sentence, times in told.items():
        yield Finding("sample-refused", "warning", f"{times} of the events that came would be refused: {sentence}")
