"""The rows of the bench, and what a measurement is. Standard library only: `--help` needs no packages.

Adding a row is a line in `ROWS`, and a module of the same name beside this one with `measure() -> list[Result]`.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Row:
    """What a row measures, and what its first figure should be."""

    measures: str
    unit: str
    better: Literal["higher", "lower"]
    aim: float


ROWS: dict[str, Row] = {
    "ingest": Row("the door: durable events by /v1/batch, over COPY of the same rows", "ratio", "higher", 0.4),
    "route": Row("the router: events of which 5 % match a delivery", "events/s", "higher", 4_000),
    "bridge": Row("trigger, mapping, validation and request, on one core", "requests/s", "higher", 50_000),
    "mapping": Row("the mapping language: the identify preset, on one core", "events/s", "higher", 150_000),
    "deliver": Row("the deliverer, to a stub that answers at once", "deliveries/s", "higher", 400),
    "claim": Row("claiming lanes with 1,000,000 waiting, over claiming with 10", "ratio", "lower", 1.5),
    "order": Row("till call to points in the profile at 25 orders/s on 2 cores, p99; and the knee", "ms", "lower", 500),
    "sandbox": Row("the sandbox: PAID orders that earn, to their last webhook", "orders/s", "higher", 300),
    "calls": Row("calls to Voucherify for one order, and for one change of a basket", "calls/order", "lower", 3),
}


@dataclass(frozen=True)
class Result:
    """One figure. `baseline` is what it is held against, measured in the same run; `detail` is how it came about."""

    row: str
    value: float
    unit: str
    aim: float
    better: Literal["higher", "lower"]
    baseline: Mapping[str, Any] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: str, value: float, baseline: Mapping[str, Any], detail: Mapping[str, Any]) -> "Result":
        """The first figure of a row, in the row's own unit and with its own aim."""
        stated = ROWS[row]
        return cls(row, value, stated.unit, stated.aim, stated.better, baseline, detail)

    @property
    def met(self) -> bool:
        return self.value >= self.aim if self.better == "higher" else self.value <= self.aim


def measure(row: str) -> list[Result]:
    """Measure one row; takes between a second and some minutes."""
    run: Callable[[], list[Result]] = importlib.import_module(f"scripts.lib.bench.{row}").measure
    return run()
