"""One mapping, compiled: which events it takes, and what it sends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.destinations.base import Action
from app.pipeline.mapping import Mapped
from app.pipeline.subscriptions import Trigger


@dataclass(frozen=True)
class CompiledMapping:
    """A mapping of a connected destination."""

    slug: str
    """Unique within its destination, and stable: deliveries name it."""
    action: Action
    takes: Trigger
    maps: Mapped
    enabled: bool = True
    """Off: events that come are not for it. What waits for it already still goes out."""


def wants(message: Mapping[str, Any], destination: str) -> bool:
    """Whether the event's `integrations` object lets it through to this destination. Names are case-sensitive."""
    integrations = message.get("integrations")
    if not isinstance(integrations, dict):
        return True
    named = integrations.get(destination)
    if named is None:
        return integrations.get("All", True) is not False
    return named is not False
