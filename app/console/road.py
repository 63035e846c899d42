"""The road of one order as the floor draws it: from a trace to stations, pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

SLOW_AFTER = 3.0
"""Seconds at one station after which the floor says what is being waited for. The whole road takes well under one."""

Mood = Literal["running", "slow", "failed", "done"]


@dataclass(frozen=True)
class Zone:
    """Stations of one neighbourhood. `stations` are names of trace steps with their short labels."""

    name: str
    title: str
    stations: Mapping[str, str]


ZONES = (
    Zone("till", "Till", {"till": "Pay", "pending": "Saved", "redeem": "Coupon", "paid": "Paid"}),
    Zone("segment", "Segment", {"relay": "Relay", "door": "Door"}),
    Zone("bridge", "Bridge", {"route": "Routed", "function": "Function", "deliver": "Delivered"}),
    Zone("voucherify", "Voucherify", {"voucherify": "Points"}),
    Zone("back", "Way back", {"webhook": "Webhook", "profile": "Profile", "screen": "Screens"}),
)

WAITS_FOR = {
    "till": "the till",
    "pending": "the order to be stored",
    "redeem": "Voucherify to redeem the coupon",
    "paid": "the order to be paid",
    "relay": "the worker to send the order to Segment",
    "door": "Segment's door to store the event",
    "route": "the worker to route the event",
    "function": "the insert function",
    "deliver": "the worker to deliver the event to Voucherify",
    "voucherify": "Voucherify to give points",
    "webhook": "Voucherify's webhook",
    "profile": "the worker to apply the webhook",
    "screen": "the screens to be told",
}
BY_WORKER = frozenset({"relay", "route", "function", "deliver", "profile"})
"""Stations that only the worker can light: when one of them waits, the worker may not be running."""

STATE_WORDS = {"done": "done", "running": "in work", "waiting": "waiting", "failed": "failed", "skipped": "not needed"}


@dataclass(frozen=True)
class Station:
    """One step of the trace on the road."""

    name: str
    label: str
    title: str
    where: str
    state: str
    at_ms: float | None
    """Since the order began."""
    took_ms: float | None
    """Since the moment before it on the whole road: stations overtake one another, so not of the one to the left."""
    note: str | None
    sent: Any
    received: Any

    @property
    def words(self) -> str:
        """The state for people who don't see the colour."""
        return STATE_WORDS[self.state]


@dataclass(frozen=True)
class Road:
    """Everything the picture of one road needs."""

    order: Mapping[str, Any]
    mood: Mood
    zones: tuple[tuple[Zone, tuple[Station, ...]], ...]
    total_ms: float | None
    points: int | None
    coupon: str | None
    current: Station | None
    """The station that is being waited for, or the one that failed."""
    waited: float
    """Seconds at the current station."""

    @property
    def sentence(self) -> str:
        """How it goes, in one sentence."""
        if self.mood == "done":
            return f"All done in {span(self.total_ms)}" if self.total_ms is not None else "All done"
        if self.current is None:
            return "Under way"
        if self.mood == "failed":
            return f"Stopped at {self.current.label}"
        if self.mood == "slow":
            return f"Waiting for {WAITS_FOR[self.current.name]} for {self.waited:.0f} s"
        return f"Under way, waiting for {WAITS_FOR[self.current.name]}"

    @property
    def reason(self) -> str | None:
        """Why it failed or what helps, when that is known."""
        if self.mood == "failed" and self.current is not None:
            return self.current.note or "No reason was given; its request and answer may tell: open the station."
        if self.mood == "slow" and self.current is not None:
            if self.current.note:
                return self.current.note
            if self.current.name in BY_WORKER:
                return "Nothing is lost: the order is stored. Is the worker running?"
            return "Nothing is lost: it goes on by itself as soon as the answer is there."
        return None

    def station(self, name: str) -> Station | None:
        return next((one for _, stations in self.zones for one in stations if one.name == name), None)


def road(trace: Mapping[str, Any], now: datetime) -> Road:
    """The road of a trace as seen at `now`."""
    stations = _stations(trace["steps"])
    current = _current(stations, trace["state"])
    reached = [step["at"] for step in trace["steps"] if step["at"] and step["state"] == "done"]
    last = max(map(_moment, reached), default=_moment(trace["order"]["created_at"]))
    waited = max(0.0, (now - last).total_seconds()) if current else 0.0
    mood: Mood = trace["state"]
    if mood == "running" and waited >= SLOW_AFTER:
        mood = "slow"
    return Road(
        order=trace["order"],
        mood=mood,
        zones=tuple((zone, tuple(stations[name] for name in zone.stations if name in stations)) for zone in ZONES),
        total_ms=trace["total_ms"],
        points=trace["points"],
        coupon=trace["coupon"],
        current=current,
        waited=waited,
    )


def _stations(steps: list[dict[str, Any]]) -> dict[str, Station]:
    labels = {name: label for zone in ZONES for name, label in zone.stations.items()}
    stations: dict[str, Station] = {}
    moments = sorted(step["at_ms"] for step in steps if step["at_ms"] is not None)
    for step in steps:
        at = step["at_ms"]
        stations[step["name"]] = Station(
            name=step["name"],
            label=labels[step["name"]],
            title=step["title"],
            where=step["where"],
            state=step["state"],
            at_ms=at,
            took_ms=None if at is None else at - max((moment for moment in moments if moment < at), default=0.0),
            note=step["note"],
            sent=step["sent"],
            received=step["received"],
        )
    return stations


def _current(stations: Mapping[str, Station], state: str) -> Station | None:
    wanted = {"failed": ("failed",), "running": ("running", "waiting")}.get(state, ())
    return next((station for station in stations.values() if station.state in wanted), None)


def _moment(moment: str | datetime) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)


def span(milliseconds: float) -> str:
    """A duration for people: `3 ms`, `1.2 s`, `2 min 5 s`."""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    return f"{minutes} min {seconds} s"
