"""The options of ./scripts/bench. Standard library only: they are read before any installation."""

import argparse
from collections.abc import Sequence

from scripts.lib.bench.rows import ROWS


def bench_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the options; prints help, the list of rows or a usage error and ends the process where that is due."""
    names = [f"  {name:8} {row.measures} (aim {aim_of(row.better, row.aim)} {row.unit})" for name, row in ROWS.items()]
    parser = argparse.ArgumentParser(
        prog="./scripts/bench",
        description="Measure what this machine does, each row with its baseline in one run, on a private Postgres and "
        "private processes that are gone afterwards. All rows take about six minutes. "
        "Close what else is at work: it counts as ours.",
        epilog="\n".join(["rows:", *names]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="which to measure; all, when none is named")
    parser.add_argument("--list", action="store_true", help="name the rows, one a line, and end")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print a JSON object a line and nothing else on stdout")
    how.add_argument("--markdown", action="store_true", help="print the tables of docs/reference/performance.md")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"there is no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if options.list:
        print("\n".join(ROWS))
        parser.exit()
    options.rows = list(dict.fromkeys(options.rows)) or list(ROWS)
    return options


def aim_of(better: str, aim: float) -> str:
    """An aim as people read it."""
    return f"{'≥' if better == 'higher' else '≤'} {aim:,g}"
