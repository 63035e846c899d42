"""./scripts/bench and ./scripts/capacity: what they offer, what they print, and the capacity's sums. No times."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.pipeline.mappings import wants
from scripts.lib import capacity
from scripts.lib.bench import events, route
from scripts.lib.bench.rows import ROWS, Result
from scripts.lib.bench.show import json_line, markdown
from scripts.lib.capacity import PLANS, Plan, Trade, outage

ROOT = Path(__file__).parents[2]
MACHINE = {"cores": 2, "cpu": "a CPU", "system": "Linux x86_64", "python": "3.11.7", "postgres": "18.0", "load": 0.1}


def run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the commands, by a Python that has all packages already."""
    module = {"bench": "scripts.lib.bench.main", "capacity": "scripts.lib.capacity"}[command]
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_every_row_can_be_measured(row: str) -> None:
    """Each row of the registry has its module, and that has its function."""
    assert callable(importlib.import_module(f"scripts.lib.bench.{row}").measure)


def test_help_names_the_rows_before_anything_is_installed(tmp_path: Path) -> None:
    """The launchers' help needs no packages: it is there in a fresh clone, with every row and every plan."""
    environment = {"PATH": f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    bench, plans = (
        subprocess.run([ROOT / "scripts" / name, "--help"], env=environment, capture_output=True, text=True, check=True)
        for name in ("bench", "capacity")
    )
    assert all(f"  {row} " in bench.stdout for row in ROWS)
    assert all(plan in plans.stdout for plan in PLANS)


def test_the_list_is_the_registry() -> None:
    """--list names each row on a line of its own, and nothing else."""
    assert run("bench", "--list").stdout.split() == list(ROWS)


def test_an_unknown_row_is_refused() -> None:
    """A row that is not there ends the command at once, with the name and what there is instead."""
    done = run("bench", "bridge", "brigde")
    assert done.returncode == 2
    assert "there is no row brigde; there are ingest, route, bridge" in done.stderr
    assert done.stdout == ""


def test_rows_as_json() -> None:
    """With --json each line of stdout is an object with row, value, unit and aim; progress goes to stderr."""
    done = run("bench", "mapping", "bridge", "--json")
    assert done.returncode == 0, done.stderr
    mapping, line = map(json.loads, done.stdout.splitlines())
    assert (mapping["row"], mapping["unit"], mapping["aim"]) == ("mapping", "events/s", 150_000)
    assert (line["row"], line["unit"], line["aim"]) == ("bridge", "requests/s", 50_000)
    assert mapping["value"] > 0
    assert line["value"] > 0
    assert set(line["machine"]) == set(MACHINE)
    assert str(Path.home()) not in done.stdout


def test_met_is_by_the_better_side() -> None:
    """A figure on its aim meets it; a lower one misses an aim of the higher the better, and the other way round."""
    assert Result.of("deliver", 400, {}, {}).met
    assert not Result.of("deliver", 399, {}, {}).met
    assert Result.of("order", 500, {}, {}).met
    assert not Result.of("order", 501, {}, {}).met
    assert json.loads(json_line(Result.of("order", 501, {}, {}), MACHINE))["met"] is False


def test_the_tables_of_the_page() -> None:
    """--markdown gives the page's tables: the machine, each figure with its aim, and what it came from."""
    page = markdown([Result.of("claim", 1.25, {"µs a claim with 10 waiting": 400.0}, {"claims": 500})], MACHINE)
    assert "2 cores of a CPU" in page
    assert "| `claim` | 1.25 ratio | ≤ 1.5 | met |" in page
    assert "| `claim` | baseline: µs a claim with 10 waiting | 400 |" in page


def test_what_the_router_is_measured_with() -> None:
    """Seven triggers look at every event of the row `route`; views of products meet none, orders and identifies one."""
    (to,) = route.connected().values()
    mappings = to.mappings.values()
    assert len(mappings) == 7

    def met(event: dict[str, object]) -> int:
        return sum(wants(event, to.destination.name) and mapping.takes(event) for mapping in mappings)

    made = [events.product_viewed(1, 10), events.order_completed(1, 10), events.identify(1, 10)]
    assert [met(event) for event in made] == [0, 1, 1]


@pytest.mark.parametrize(
    ("trade", "calls"), [(Trade(0, 0), 1), (Trade(1, 0), 2), (Trade(1, 1, quotes=0), 3), (Trade(), 1.6)]
)
def test_calls_of_an_order(trade: Trade, calls: float) -> None:
    """Paid is one call, an earned coupon one more, a coupon spent one more and its quotes; shares are averages."""
    assert trade.calls_per_order == pytest.approx(calls)


@pytest.mark.parametrize(
    ("plan", "calls", "a_minute", "a_day", "by"),
    [
        ("business", 1, 100, 100_000 / 30, "cycle"),  # 144,000 a day by the minute, but 3,333 by the cycle
        ("organization", 2, 1_000, 150_000 / 30, "cycle"),
        ("sandbox", 1, 100 / 60, 2_400, "window"),
        ("600/hour", 2, 5, 7_200, "window"),
    ],
)
def test_what_a_plan_carries(plan: str, calls: float, a_minute: float, a_day: float, by: str) -> None:
    """Orders a minute come from the window; a steady trade is limited by the tighter of window and cycle."""
    carried = capacity.capacity(capacity.plan_of(plan), calls)
    assert carried.orders_per_minute == pytest.approx(a_minute)
    assert carried.orders_per_day == pytest.approx(a_day)
    assert carried.limited_by == by


def test_an_outage_drains_at_what_the_trade_leaves() -> None:
    """2 h at 36 orders a minute leave 4,320; 100 calls a minute take 50 orders of 2 calls, so 14 a minute are left."""
    drained = outage(Plan(100, 60), 2, 36 * 1_440, 7_200)
    assert drained.waiting == 4_320
    assert drained.drained_after == pytest.approx(4_320 / 14 * 60)
    assert drained.calls == pytest.approx(4_320 / 14 * 100, abs=1)


def test_a_trade_above_the_plan_never_drains() -> None:
    """Where the trade alone is as much as the plan takes, what waits stays."""
    assert outage(Plan(100, 60), 1, 100 * 1_440, 60).drained_after is None


def test_capacity_as_json_and_as_text() -> None:
    """Both say the same; a plan that is none is refused with those that are."""
    done = json.loads(
        run("capacity", "--plan", "business", "--orders-per-day", "1440", "--outage", "90m", "--json").stdout
    )
    assert done["outage"]["waiting"] == 90
    text = run("capacity", "--plan", "business", "--orders-per-day", "1440", "--outage", "90m").stdout
    assert "90 orders wait" in text
    assert "outage of 1.5 h" in text
    refused = run("capacity", "--plan", "gold")
    assert refused.returncode == 2
    assert "gold is no plan: business, organization, sandbox" in refused.stderr
