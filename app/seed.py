"""`python -m app.seed`: loads the demo programme into Voucherify (the sandbox, by default) and enrols the demo members.

It can be called again at any time: what is there already stays as it is.
"""

import asyncio
import sys

from app.db.session import open_database
from app.demo.programme import FILE
from app.demo.shop import MEMBERS
from app.errors import LoyaltyError, SettingError
from app.members.service import Enrolment, enrol
from app.programmes import file
from app.programmes.caller import Caller
from app.programmes.load import Target, load
from app.settings import Settings, load_settings
from app.telemetry import configure_logging, log
from app.voucherify.client import Client


async def seed_programme(client: Client, public_url: str = "") -> None:
    """Make what the sandbox does not have yet of the demo programme."""
    target = Target(Caller(client), sandbox=True, public_url=public_url)
    await load(target, file.load(FILE), done=lambda step: log.info("programme.step", did=step))


async def run(settings: Settings) -> None:
    if not settings.uses_sandbox:
        raise SettingError(
            "The demo's members are for the sandbox; VOUCHERIFY_* name a real project. Load the programme alone into "
            f"it with ./scripts/seed {FILE.relative_to(FILE.parents[3])}."
        )
    database, client = open_database(settings), Client.of(settings)
    try:
        await seed_programme(client, settings.public_url)
        for member in MEMBERS:
            async with database.session() as session:
                await enrol(session, Enrolment(**member), "phone")
    finally:
        await client.close()
        await database.close()


def main() -> None:
    try:
        settings = load_settings()
        configure_logging(settings, "seed")
        asyncio.run(run(settings))
    except LoyaltyError as error:
        sys.exit(error.sentence)


if __name__ == "__main__":
    main()
