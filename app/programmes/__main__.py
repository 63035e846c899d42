"""./scripts/seed: a programme file into the sandbox or a real project, or its tests on a sandbox of their own.

Exit code 0: done, or nothing to do, or all tests passed; 1: something differs, failed or was refused; 2: asked wrongly,
or the file is not valid.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import LoyaltyError, VoucherifyRefused
from app.programmes import own_sandbox, trial
from app.programmes.caller import Caller
from app.programmes.file import ProgrammeError
from app.programmes.file import load as read_file
from app.programmes.format import Programme
from app.programmes.load import Target, load, plan
from app.programmes.steps import Plan
from app.settings import Settings, load_settings
from app.telemetry import configure_logging
from app.voucherify.client import Client

SHIPPED = Path(__file__).parent / "shipped"
EPILOG = """
examples:
  ./scripts/seed app/programmes/shipped/demo.yaml            plan, ask, load
  ./scripts/seed app/programmes/shipped/demo.yaml --dry-run  only the plan
  ./scripts/seed my-programme.yaml --test                    its tests, in seconds, on a sandbox of their own

Without VOUCHERIFY_* settings it goes into the sandbox (SANDBOX_PORT), which must run; with them into that project.
Broken off, run it again: what is there is found by its name and stays, the rest is made. What differs is shown, and
changed only with --change, where the API can.
How to write a file: docs/how-to/write-a-programme.md
Exit code: 0 done or all as the file says, 1 something differs, failed or was refused, 2 asked wrongly or a faulty file.
"""


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/seed",
        description="Load a loyalty programme from a file: first the plan with its cost in calls, then, when you say "
        "yes, the loading. Or run the tests that stand in the file.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=_file, nargs="*", help="programme files; with --test more than one may be given")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and end")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--change", action="store_true", help="change what differs, too, where the API can")
    parser.add_argument("--test", action="store_true", help="run the tests of the file on a sandbox of their own")
    given = parser.parse_args(arguments)
    if not given.file:
        shipped = "\n".join(f"  app/programmes/shipped/{path.name}" for path in sorted(SHIPPED.glob("*.yaml")))
        parser.error(f"name a file. Shipped are:\n{shipped}")
    if len(given.file) > 1 and not given.test:
        parser.error("one file at a time, please; only --test takes several")
    if given.test and (given.dry_run or given.change):
        parser.error("--test goes with no other option")
    return given


def _file(written: str) -> Path:
    """As it is seen from where the command was called: the launcher goes to the clone's folder."""
    path = Path(written)
    from_there = Path(os.environ.get("CALLED_FROM", "")) / path
    return from_there if from_there.exists() and not path.is_absolute() and not path.exists() else path


def say(line: str = "") -> None:
    print(line, flush=True)  # noqa: T201 - what the command is for


def main(arguments: Sequence[str] | None = None) -> int:
    given = options(arguments)
    try:
        files = [(path, read_file(path)) for path in given.file]
    except ProgrammeError as error:
        print(error.sentence, file=sys.stderr)  # noqa: T201 - likewise
        return 2
    try:
        if given.test:
            return asyncio.run(tested(files))
        settings = load_settings()
        configure_logging(settings, "seed")
        return asyncio.run(loaded(settings, files[0][1], given))
    except LoyaltyError as error:
        print(error.sentence, file=sys.stderr)  # noqa: T201 - likewise
        if isinstance(error, VoucherifyRefused):
            print("What was made until then stays. Run it again when that is mended.", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("Stopped. Run it again: it goes on from here.", file=sys.stderr)  # noqa: T201 - likewise
        return 130


# --- loading


async def loaded(settings: Settings, programme: Programme, given: argparse.Namespace) -> int:
    """Plan, ask, load, and say what is left."""
    client = Client.of(settings)
    caller = Caller(client, tell=lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - waiting is told
    target = Target(caller, settings.uses_sandbox, settings.public_url)
    try:
        where = "the sandbox" if settings.uses_sandbox else "the project"
        say(f"{programme.programme}: into {where} at {settings.voucherify_api_url}")
        begun = await plan(target, programme)
        made = begun[0]
        for line in shown(made, caller.reads, change=given.change):
            say(line)
        calls = _calls(made, change=given.change)
        if given.dry_run or not calls:
            return 1 if _differing(made, change=given.change) else 0
        if not given.yes and not _agreed(calls):
            say("Nothing was done.")
            return 1
        left = await load(target, programme, change=given.change, begun=begun, done=lambda step: say(f"  {step}"))
        say(f"Done, with {caller.writes} calls that write and {caller.reads} that read.")
        if left.steps:
            say("Some of it is still missing: answers got lost again and again. Run it once more.")
        return 1 if left.steps or left.differences else 0
    finally:
        await client.close()


def shown(made: Plan, reads: int, *, change: bool) -> list[str]:
    """A plan, for a person."""
    lines = [f"Read with {reads} calls. As the file says already: {made.as_wanted}."]
    if made.steps:
        lines += [
            "",
            f"To be made, with {len(made.steps)} calls that write:",
            *(f"  {each.says}" for each in made.steps),
        ]
    if made.differences:
        lines += ["", "There, but not as the file says:"]
        for each in made.differences:
            able = "" if each.change else " (not over the API: in the dashboard, or start clean)"
            lines.append(f"  {each}{able if change or not each.change else ' (--change mends it)'}")
    if change and made.changes:
        lines += ["", f"To be changed, with {len(made.changes)} calls that write:"]
        lines += [f"  {each.says}" for each in made.changes]
    if made.by_hand:
        lines += ["", "To be done by hand in Voucherify's dashboard:"]
        lines += [f"  {number}. {step}" for number, step in enumerate(made.by_hand, 1)]
    if not made.steps and not made.differences:
        lines += ["", "Nothing to do."]
    return lines


def _calls(made: Plan, *, change: bool) -> int:
    return len(made.steps) + (len(made.changes) if change else 0)


def _differing(made: Plan, *, change: bool) -> bool:
    return bool(made.differences) and not change


def _agreed(calls: int) -> bool:
    if not sys.stdin.isatty():
        say("Nobody is there to ask: give --yes, or --dry-run to see the plan alone.")
        return False
    return input(f"\nMake {calls} calls? [y/N] ").strip().lower() in {"y", "yes"}


# --- tests


async def tested(files: Sequence[tuple[Path, Programme]]) -> int:
    """Run the tests of all files on one sandbox; 1 when one failed."""
    failed = passed = left_out = 0
    async with own_sandbox.running() as sandbox:
        for path, programme in files:
            say(f"{path}: {programme.programme}")
            if not programme.tests:
                say("  There are no tests in this file.")
            for test in programme.tests:
                outcome = await trial.run(sandbox, programme, test)
                if outcome.passed:
                    passed += 1
                    say(f"  passed  {outcome.name}")
                    continue
                failed += 1
                left_out += bool(outcome.not_emulated)
                say(f"  FAILED  {outcome.name}")
                told = [f"The sandbox does not emulate this: {outcome.not_emulated}"] if outcome.not_emulated else []
                for wrong in (*told, *outcome.wrongs):
                    say(f"          {wrong}")
    say(f"{passed} passed, {failed} failed" + (f" ({left_out} for want of emulation)" if left_out else "") + ".")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
