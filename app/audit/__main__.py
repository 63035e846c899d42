"""./scripts/audit: compares till orders, event log, deliveries, profiles and facts with each other and Voucherify.

Only reads. Exit code 0: no differences; 1: there are some; 2: it could not be done.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg

from app.audit.asking import Asker
from app.audit.findings import Report, text
from app.audit.run import ALL, Audit, Wanted
from app.db import trouble
from app.db.session import open_database
from app.errors import LoyaltyError, SettingError
from app.settings import Settings, load_settings
from app.telemetry import configure_logging
from app.voucherify.client import Client


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/audit",
        description="Compare till orders, event log, deliveries, profiles and facts with Voucherify. Only reads.",
        epilog="Exit code: 0 no differences, 1 differences, 2 it could not be done.",
    )
    parser.add_argument("--since", type=_moment, default=ALL, help="only what was made since then (ISO 8601, UTC)")
    parser.add_argument("--orders", type=_count, help="only the newest N orders", metavar="N")
    parser.add_argument("--sample", action="store_true", help="ask Voucherify about random ones, not the newest first")
    parser.add_argument("--calls", type=_count, default=500, help="calls to Voucherify at most (500)", metavar="N")
    parser.add_argument("--per-minute", type=_count, default=60, help="calls a minute at most (60)", metavar="N")
    parser.add_argument(
        "--settling",
        type=float,
        default=300.0,
        help="seconds in which things may still be under way (300)",
        metavar="S",
    )
    parser.add_argument("--local", action="store_true", help="compare our own tables only: no calls")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def _moment(written: str) -> datetime:
    moment = datetime.fromisoformat(written)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _count(written: str) -> int:
    count = int(written)
    if count < 1:
        raise ValueError
    return count


async def audited(settings: Settings, given: argparse.Namespace) -> Report:
    """Run the audit that was asked for."""
    wanted = Wanted(given.since, given.orders, given.sample, timedelta(seconds=given.settling))
    database = open_database(settings)
    client = None if given.local else Client.of(settings)
    try:
        asker = Asker(client, given.calls, given.per_minute) if client is not None else None
        return await Audit(database, asker, settings.own_door, wanted).run()
    except asyncpg.UndefinedTableError as error:
        raise SettingError("The database has no schema yet: run `python -m app.migrate` first.") from error
    except trouble.ANY as error:
        raise SettingError(f"The database can't be read: {error}") from error
    finally:
        if client is not None:
            await client.close()
        await database.close()


def main(arguments: Sequence[str] | None = None) -> int:
    given = options(arguments)
    try:
        settings = load_settings()
        configure_logging(settings, "audit")
        report = asyncio.run(audited(settings, given))
    except LoyaltyError as error:
        print(error.sentence, file=sys.stderr)  # noqa: T201 - what the command is for
        return 2
    print(json.dumps(report.shown(), indent=2) if given.json else text(report))  # noqa: T201 - likewise
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
