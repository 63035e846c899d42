"""What a webhook (v2024-01-01) says: pure."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Parsed:
    """The envelope, and whom and which order it is about, where that can be told."""

    source_id: str
    event_id: str
    type: str
    member_id: UUID | None
    order_id: str | None


def parse(body: Any) -> Parsed | None:
    """Read the envelope; None when it is not one. A distribution's own `type` is free text: `event.type` counts."""
    if not isinstance(body, dict):
        return None
    source, event, data = body.get("source"), body.get("event"), body.get("data")
    if not isinstance(source, dict) or not isinstance(event, dict) or not isinstance(data, dict):
        return None
    if not isinstance(event.get("id"), str) or not isinstance(source.get("id"), str):
        return None
    return Parsed(
        source_id=source["id"],
        event_id=event["id"],
        type=str(event.get("type") or body.get("type")),
        member_id=uuid_of(_path(data, "customer", "source_id") or _path(data, "holder", "source_id")),
        order_id=_order_of(data),
    )


def _order_of(data: dict[str, Any]) -> str | None:
    order = (
        _path(data, "order", "source_id")
        or _path(data, "transaction", "details", "order", "source_id")
        or _path(data, "redemption", "order", "source_id")
    )
    if isinstance(order, str):
        return order[:100]
    # Our functions name the reason of a publication `<why>:<order id>`.
    reason = _path(data, "publication", "source_id")
    found = uuid_of(reason.rpartition(":")[2]) if isinstance(reason, str) else None
    return str(found) if found else None


def _path(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def uuid_of(value: Any) -> UUID | None:
    """The UUID that a text is; None when it is none."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
