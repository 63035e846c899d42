"""The bridge: from an event to the request that would be sent, on one core, with no network and no database.

Each event meets the triggers of all the mappings that ship, and is mapped, checked and made a request by the one that
takes it. The baseline reads each event from its JSON and writes it again, and does nothing else with it.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import msgspec

from app.destinations.voucherify import VOUCHERIFY
from app.pipeline.bridge import request_for
from app.pipeline.mappings import CompiledMapping, wants
from app.pipeline.registry import connect, rows_of
from scripts.lib.bench.events import identify, order_completed, product_viewed
from scripts.lib.bench.rows import Result

EVENTS = 5_000
ROUNDS = 5
SETTINGS = {
    "apiKey": "application-id",
    "secretKey": "secret-key",
    "customURL": "https://segmentio.voucherify.test",
    "transport": "segmentio",
    "api": {"apiKey": "application-id", "secretKey": "secret-key", "customURL": "https://api.voucherify.test"},
}
KINDS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "track": product_viewed,
    "order": order_completed,
    "identify": identify,
}


def measure() -> list[Result]:
    """A third of the events of each kind; and each kind by itself."""
    mappings = list(connect(VOUCHERIFY.slug, VOUCHERIFY, SETTINGS, rows_of(VOUCHERIFY.presets)).mappings.values())
    by_kind = {kind: [make(number, EVENTS) for number in range(EVENTS)] for kind, make in KINDS.items()}
    mixed = [event for together in zip(*by_kind.values(), strict=True) for event in together][:EVENTS]
    speeds = {kind: _speed(events, mappings) for kind, events in (("mixed", mixed), *by_kind.items())}
    return [
        Result.of(
            "bridge",
            speeds.pop("mixed"),
            {"events/s read from JSON and written": _json_speed(mixed)},
            {f"requests/s of {kind} events": speed for kind, speed in speeds.items()},
        )
    ]


def _speed(events: Sequence[dict[str, Any]], mappings: Sequence[CompiledMapping]) -> float:
    """Requests a second of CPU."""
    speeds = []
    for _ in range(ROUNDS):
        made = 0
        began = time.process_time()
        for event in events:
            for mapping in mappings:
                if wants(event, VOUCHERIFY.name) and mapping.takes(event):
                    request_for(mapping.action, mapping.maps, event, SETTINGS)
                    made += 1
        speeds.append(made / (time.process_time() - began))
    return median(speeds)


def _json_speed(events: Sequence[dict[str, Any]]) -> float:
    encoded = [msgspec.json.encode(event) for event in events]
    began = time.process_time()
    for line in encoded:
        msgspec.json.encode(msgspec.json.decode(line))
    return len(encoded) / (time.process_time() - began)
