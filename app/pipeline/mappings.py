"""The mappings of all destinations, compiled once: which events they take, and what they send."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.destinations.base import Action, Destination, Preset
from app.pipeline.mapping import Mapped, compile_mapping
from app.pipeline.subscriptions import Trigger, compile_trigger


@dataclass(frozen=True)
class CompiledMapping:
    """One mapping of a destination."""

    slug: str
    """Unique within its destination, and stable: deliveries name it."""
    destination: Destination
    action: Action
    takes: Trigger
    maps: Mapped


def compile_all(destinations: Sequence[tuple[Destination, Sequence[Preset]]]) -> list[CompiledMapping]:
    """Compile each destination's mappings, in the order in which they are delivered."""
    return [_compile(destination, preset) for destination, presets in destinations for preset in presets]


def _compile(destination: Destination, preset: Preset) -> CompiledMapping:
    return CompiledMapping(
        slug=re.sub(r"[^a-z0-9]+", "-", preset.name.lower()).strip("-"),
        destination=destination,
        action=destination.actions[preset.action],
        takes=compile_trigger(preset.trigger),
        maps=compile_mapping(dict(preset.mapping)),
    )


def wants(message: Mapping[str, Any], destination: str) -> bool:
    """Whether the event's `integrations` object lets it through to this destination. Names are case-sensitive."""
    integrations = message.get("integrations")
    if not isinstance(integrations, dict):
        return True
    named = integrations.get(destination)
    if named is None:
        return integrations.get("All", True) is not False
    return named is not False
