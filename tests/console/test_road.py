"""The road of an order as the floor draws it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.console.road import SLOW_AFTER, ZONES, road, span
from app.console.trace import STEPS

BEGAN = datetime(2026, 11, 2, 12, tzinfo=UTC)


def traced(state: str, until: str, *, at: str = "running", note: str | None = None) -> dict[str, Any]:
    """A trace whose steps are done up to `until`, 10 ms each; `until` itself is in state `at`, the rest waits."""
    names = [name for name, _, _ in STEPS]
    steps = []
    for index, (name, title, where) in enumerate(STEPS):
        done = index < names.index(until) or at == "done"
        moment = (BEGAN + timedelta(milliseconds=10 * index)).isoformat() if done else None
        steps.append(
            {
                "name": name,
                "title": title,
                "where": where,
                "state": "done" if done else at if name == until else "waiting",
                "at": moment,
                "at_ms": 10.0 * index if done else None,
                "sent": None,
                "received": None,
                "note": note if name == until else None,
            }
        )
    return {
        "order": {"id": "o", "created_at": BEGAN.isoformat()},
        "state": state,
        "total_ms": 120.0 if state == "done" else None,
        "points": None,
        "coupon": None,
        "steps": steps,
    }


def test_every_step_of_a_trace_is_a_station() -> None:
    """The floor shows the trace's steps, all of them and in its order."""
    assert [name for zone in ZONES for name in zone.stations] == [name for name, _, _ in STEPS]


def test_a_finished_road_says_how_long_it_took() -> None:
    """When all is done there is nothing to wait for, only a time."""
    seen = road(traced("done", "screen", at="done"), BEGAN + timedelta(hours=1))
    assert (seen.mood, seen.sentence, seen.current, seen.reason) == ("done", "All done in 120 ms", None, None)


@pytest.mark.parametrize(("waited", "mood"), [(0.5, "running"), (SLOW_AFTER + 0.1, "slow")])
def test_a_station_that_waits_long_makes_the_road_slow(waited: float, mood: str) -> None:
    """Up to three seconds is under way; after that the floor says for what it waits, and for how long."""
    last = BEGAN + timedelta(milliseconds=30)
    seen = road(traced("running", "relay", at="waiting"), last + timedelta(seconds=waited))
    assert seen.mood == mood
    assert "the worker to send the order to Segment" in seen.sentence
    assert ("for 3 s" in seen.sentence) == (mood == "slow")


def test_a_slow_road_names_what_may_help() -> None:
    """A station's own note wins; else a station of the worker asks whether the worker runs, and no other does."""
    late = BEGAN + timedelta(minutes=1)
    assert "Is the worker running?" in (road(traced("running", "route"), late).reason or "")
    assert "worker" not in (road(traced("running", "webhook"), late).reason or "")
    assert (
        road(traced("running", "deliver", note="Trying again at 12:00:30."), late).reason == "Trying again at 12:00:30."
    )


def test_a_failed_road_names_the_station_and_the_reason() -> None:
    """The red station is the current one, and its note is the reason that is shown."""
    seen = road(traced("failed", "deliver", at="failed", note="Voucherify answered 404."), BEGAN)
    assert seen.current is not None
    assert (seen.current.name, seen.sentence, seen.reason) == (
        "deliver",
        "Stopped at Delivered",
        "Voucherify answered 404.",
    )


def test_a_station_is_charged_only_the_time_since_the_moment_before_it() -> None:
    """Stations overtake one another: the door stores before the relay has its answer, and neither took less than 0."""
    trace = traced("done", "screen", at="done")
    by_name = {step["name"]: step for step in trace["steps"]}
    by_name["relay"]["at_ms"], by_name["door"]["at_ms"] = 57.0, 42.0
    seen = road(trace, BEGAN)
    took = {name: getattr(seen.station(name), "took_ms", None) for name in ("paid", "relay", "door")}
    assert took == {"paid": 10.0, "relay": 15.0, "door": 12.0}


@pytest.mark.parametrize(
    ("milliseconds", "words"), [(0.4, "0 ms"), (999.4, "999 ms"), (1234, "1.2 s"), (125_000, "2 min 5 s")]
)
def test_spans_read_well(milliseconds: float, words: str) -> None:
    """Short times in milliseconds, long ones in minutes."""
    assert span(milliseconds) == words
