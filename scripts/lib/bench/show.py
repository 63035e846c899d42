"""Results as JSON lines, as a table for a terminal, and as the tables of the page about performance."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from scripts.lib.bench.options import aim_of
from scripts.lib.bench.rows import Result


def json_line(result: Result, machine: Mapping[str, Any]) -> str:
    """One result as one line of JSON."""
    return json.dumps(
        {
            "row": result.row,
            "value": result.value,
            "unit": result.unit,
            "aim": result.aim,
            "better": result.better,
            "met": result.met,
            "baseline": dict(result.baseline),
            "detail": dict(result.detail),
            "machine": dict(machine),
        },
        ensure_ascii=False,
    )


def lines(result: Result) -> list[str]:
    """One result for a terminal: the figure, then what it came from."""
    met = "met" if result.met else "missed"
    text = [f"{result.row:<13} {number(result.value):>12} {result.unit:<19} {aim_of(result.better, result.aim)}  {met}"]
    text += [f"{'':<13}   over {name}: {_value(value)}" for name, value in result.baseline.items()]
    text += [f"{'':<13}   {name}: {_value(value)}" for name, value in result.detail.items()]
    return text


def markdown(results: Sequence[Result], machine: Mapping[str, Any]) -> str:
    """The tables of docs/reference/performance.md."""
    text = [
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {_named(machine)}.",
        "",
        "| row | figure | aim | |",
        "|---|---|---|---|",
    ]
    text += [
        f"| `{result.row}` | {number(result.value)} {result.unit} | {aim_of(result.better, result.aim)} | "
        f"{'met' if result.met else 'missed'} |"
        for result in results
    ]
    text += ["", "| row | of which | |", "|---|---|---|"]
    for result in results:
        both = {**{f"baseline: {name}": value for name, value in result.baseline.items()}, **result.detail}
        text += [f"| `{result.row}` | {name} | {_value(value)} |" for name, value in both.items()]
    return "\n".join(text)


def _named(machine: Mapping[str, Any]) -> str:
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['system']}, Python {machine['python']}, "
        f"PostgreSQL {machine['postgres']}, load {machine['load']} before the first row"
    )


def number(value: float) -> str:
    """A figure with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
