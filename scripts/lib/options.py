"""The options of ./scripts/demo and ./scripts/test. Standard library only: they are read before any installation."""

import argparse
from collections.abc import Sequence

PROCESSES = ("postgres", "sandbox", "web", "worker")


def demo_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the options; prints help or a usage error and ends the process where that is due."""
    parser = argparse.ArgumentParser(
        prog="./scripts/demo",
        description="Set everything up, start it, place one order through the till and print the road it took. "
        "Then stay up until Ctrl-C. Needs Python 3.11 and nothing else; data is kept in DATA_DIR (.data).",
        epilog="Settings come from the environment and .env; .env.example lists them all.",
    )
    parser.add_argument("--once", action="store_true", help="end after the trace: 0 when every step is there, else 1")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    parser.add_argument("--reset", action="store_true", help="delete the data of this clone first")
    parser.add_argument("--keep", action="store_true", help="with --once: leave it running in the background")
    parser.add_argument("--stop", action="store_true", help="stop the demo that runs in this clone")
    parser.add_argument("--restart", choices=PROCESSES, help="start one process of the running demo again")
    options = parser.parse_args(arguments)
    if options.keep and not options.once:
        parser.error("--keep goes with --once")
    alone = [name for name in ("stop", "restart") if getattr(options, name)]
    if alone and sum(bool(value) for value in vars(options).values()) > 1:
        parser.error(f"--{alone[0]} stands alone")
    return options


def test_options(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read the options; returns them and the arguments that go to pytest."""
    parser = argparse.ArgumentParser(
        prog="./scripts/test",
        description="Run everything that guards the project: lint, format, types, import contracts, tests.",
        epilog="All other arguments go to pytest.",
        allow_abbrev=False,
    )
    parser.add_argument("--long", action="store_true", help="run the tests that take minutes, too")
    return parser.parse_known_args(arguments)
