"""The mapping language alone, on one core: from an event to the payload of the identify preset, before it is checked.

The baseline is the same payload built by a function written by hand for this one mapping, which is as fast as Python
can be. The other mappings that ship are measured beside it.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from app.destinations.voucherify import VOUCHERIFY
from app.destinations.voucherify.presets import IDENTIFY
from app.pipeline.mapping import compile_mapping
from scripts.lib.bench.events import identify, order_completed, product_viewed
from scripts.lib.bench.rows import Result

EVENTS = 5_000
ROUNDS = 9
OTHERS: dict[str, tuple[str, Callable[[int, int], dict[str, Any]]]] = {
    "track": ("addCustomEvent", product_viewed),
    "order": ("orderPaid", order_completed),
}
"""Kind of event, and the action whose default mapping takes it."""


def measure() -> list[Result]:
    """The identify preset; and, in the detail, a track and an order of two lines by theirs."""
    events = [identify(number, EVENTS) for number in range(EVENTS)]
    mapped = compile_mapping(dict(IDENTIFY.mapping))
    if mapped(events[0]) != _by_hand(events[0]):
        raise RuntimeError("The mapping and the function written by hand give different payloads.")
    detail = {}
    for kind, (action, make) in OTHERS.items():
        mapping = compile_mapping(VOUCHERIFY.actions[action].default_mapping)
        detail[f"events/s of {kind} events"] = _speed(mapping, [make(number, EVENTS) for number in range(EVENTS)])
    return [Result.of("mapping", _speed(mapped, events), {"events/s by hand": _speed(_by_hand, events)}, detail)]


def _speed(mapped: Callable[[dict[str, Any]], Any], events: Sequence[dict[str, Any]]) -> float:
    """Events a second of CPU."""
    speeds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for event in events:
            mapped(event)
        speeds.append(len(events) / (time.process_time() - began))
    return median(speeds)


def _by_hand(event: dict[str, Any]) -> dict[str, Any]:
    traits = event["traits"]
    payload: dict[str, Any] = {"source_id": event["userId"]}
    for name in ("name", "first_name", "last_name", "description", "email", "phone", "birthdate"):
        if name in traits:
            payload[name] = traits[name]
    address = traits.get("address", {})
    payload["address"] = {
        name: address[name] for name in ("city", "state", "postal_code", "street", "country") if name in address
    }
    if "metadata" in traits:
        payload["metadata"] = traits["metadata"]
    payload["type"] = event["type"]
    return payload
