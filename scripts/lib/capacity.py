"""./scripts/capacity: how many orders a plan of Voucherify carries, and how long an outage takes to drain.

Calls to Voucherify are what a programme runs out of first. An order costs one call (paid), one more when it earns a
coupon, and one more when it was paid with one; a change of a basket with a coupon on it costs one as well. `calls` of
./scripts/bench counts them. Standard library only.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

DAY, HOUR, MINUTE = 86_400, 3_600, 60
CYCLE = 30 * DAY
"""A billing cycle, in seconds."""


@dataclass(frozen=True)
class Plan:
    """What a plan allows: calls in a window, and in a billing cycle where that is limited as well."""

    calls: int
    window: int
    """Seconds."""
    per_cycle: int | None = None
    segment_per_day: int | None = None
    """The bucket of its own that calls from Segment's hosted destination count against; ours count as calls."""


PLANS = {
    "business": Plan(100, MINUTE, 100_000, 144_000),
    "organization": Plan(2_000, MINUTE, 300_000, 288_000),
    "sandbox": Plan(100, HOUR),
}
"""Voucherify's published limits."""


@dataclass(frozen=True)
class Trade:
    """What an order is like, on average."""

    earn_coupon: float = 0.3
    """The share of orders that are large enough to earn a coupon."""
    pay_with_coupon: float = 0.1
    """The share of orders that are paid with one."""
    quotes: float = 2.0
    """How often the basket of such an order is priced with the coupon on it."""

    @property
    def calls_per_order(self) -> float:
        """1 for the smallest, 3 and the quotes for the dearest."""
        return 1 + self.earn_coupon + self.pay_with_coupon * (1 + self.quotes)


@dataclass(frozen=True)
class Capacity:
    """What a plan carries. Orders are those of members; others make no calls."""

    calls_per_order: float
    orders_per_minute: float
    """As fast as the window allows, for a while."""
    orders_per_day: float
    """Day after day: the cycle's limit, where that is the tighter one."""
    orders_per_cycle: float
    limited_by: str
    """`window` or `cycle`: which of the two is the limit of a steady trade."""


@dataclass(frozen=True)
class Outage:
    """What a time without Voucherify leaves behind, and how it goes away again."""

    waiting: int
    """Orders that wait when it is back."""
    drained_after: float | None
    """Seconds until none waits, with the trade going on; None: never, the trade alone is more than the plan."""
    calls: int
    """Calls that catching up takes, those of the orders that come in meanwhile included."""


def capacity(plan: Plan, calls_per_order: float) -> Capacity:
    """The orders that a plan carries."""
    by_window = plan.calls / plan.window * DAY
    by_cycle = math.inf if plan.per_cycle is None else plan.per_cycle / CYCLE * DAY
    a_day = min(by_window, by_cycle) / calls_per_order
    return Capacity(
        calls_per_order=calls_per_order,
        orders_per_minute=plan.calls / plan.window * MINUTE / calls_per_order,
        orders_per_day=a_day,
        orders_per_cycle=a_day * CYCLE / DAY,
        limited_by="window" if by_window <= by_cycle else "cycle",
    )


def outage(plan: Plan, calls_per_order: float, orders_per_day: float, seconds: float) -> Outage:
    """How an outage of Voucherify drains: what waits goes out at the plan's pace, and the trade goes on."""
    waiting = orders_per_day / DAY * seconds
    spare = plan.calls / plan.window / calls_per_order - orders_per_day / DAY
    if spare <= 0:
        return Outage(round(waiting), None, 0)
    drained = waiting / spare
    return Outage(round(waiting), drained, math.ceil((waiting + orders_per_day / DAY * drained) * calls_per_order))


def plan_of(text: str) -> Plan:
    """A plan by its name, or by its limit, such as `500/minute`. Raises `ArgumentTypeError` with a sentence."""
    if text.lower() in PLANS:
        return PLANS[text.lower()]
    found = re.fullmatch(r"(\d+)/(minute|hour)", text)
    if found is None or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(
            f"{text} is no plan: {', '.join(PLANS)}, or a limit such as 500/minute or 100/hour"
        )
    return Plan(int(found[1]), {"minute": MINUTE, "hour": HOUR}[found[2]])


def seconds_of(text: str) -> float:
    """A length of time such as `90m`, `2h` or `1d`. Raises `ArgumentTypeError` with a sentence."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no length of time: a number with s, m, h or d, such as 90m or 2h")
    return float(found[1]) * {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}[found[2]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what the plan carries."""
    parser = argparse.ArgumentParser(
        prog="./scripts/capacity",
        description="How many orders a plan of Voucherify carries, and how long an outage takes to drain.",
        epilog=f"plans: {', '.join(PLANS)}, or a limit of your own such as 500/minute or 100/hour.\n"
        "An order makes 1 call, 2 when it earns a coupon, and 1 more when it is paid with one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--plan", required=True, type=plan_of, help="a name, or a limit")
    parser.add_argument(
        "--orders-per-day", type=_positive, help="the trade; left out: what the plan carries, half used"
    )
    parser.add_argument("--outage", type=seconds_of, default="2h", help="its length, such as 90m (default 2h)")
    parser.add_argument("--earn-coupon", type=_share, default=Trade.earn_coupon, help="share of orders that earn one")
    parser.add_argument("--pay-with-coupon", type=_share, default=Trade.pay_with_coupon, help="share paid with one")
    parser.add_argument("--calls-per-order", type=_positive, help="the average itself, in place of the two shares")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    options = parser.parse_args(arguments)
    calls = options.calls_per_order or Trade(options.earn_coupon, options.pay_with_coupon).calls_per_order
    carried = capacity(options.plan, calls)
    orders = options.orders_per_day or carried.orders_per_day / 2
    drained = outage(options.plan, calls, orders, options.outage)
    if options.json:
        given = {"plan": asdict(options.plan), "orders_per_day": orders, "outage_seconds": options.outage}
        print(json.dumps({**given, "capacity": asdict(carried), "outage": asdict(drained)}))
    else:
        print("\n".join(lines(options.plan, carried, orders, options.outage, drained)))
    return 0


def lines(plan: Plan, carried: Capacity, orders: float, seconds: float, drained: Outage) -> list[str]:
    """The answer for a terminal."""
    cycle = f", {plan.per_cycle:,} a cycle" if plan.per_cycle else ""
    told = [
        ("plan", f"{plan.calls:,} calls {'a minute' if plan.window == MINUTE else 'an hour'}{cycle}"),
        ("calls an order", f"{carried.calls_per_order:.2f}"),
        ("orders a minute", f"{carried.orders_per_minute:,.1f} at most"),
        ("orders a day", f"{carried.orders_per_day:,.0f}, day after day (limited by the {carried.limited_by})"),
        ("orders a cycle", f"{carried.orders_per_cycle:,.0f}"),
        ("trade", f"{orders:,.0f} orders a day" + (", more than the plan" if orders > carried.orders_per_day else "")),
        (f"outage of {_length(seconds)}", f"{drained.waiting:,} orders wait when Voucherify is back"),
    ]
    if drained.drained_after is None:
        told.append(("drained", "never: the trade alone is more than the plan's pace"))
    else:
        told.append(("drained", f"{_length(drained.drained_after)} later, by {drained.calls:,} calls"))
    if plan.segment_per_day:
        told.append(("by Segment itself", f"{plan.segment_per_day:,} calls a day of its hosted destination are apart"))
    return [f"{name:<18} {value}" for name, value in told]


def _length(seconds: float) -> str:
    for size, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {name}"
    return f"{seconds:.0f} s"


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share between 0 and 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
