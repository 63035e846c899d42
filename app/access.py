"""`python -m app.access`: lists access keys, makes one, revokes one. A key is shown once, when it is made."""

import argparse
import asyncio
import re
import sys
from typing import Final

from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlmodel import select

from app.auth import keys
from app.auth.models import AccessKey
from app.db.base import now
from app.db.session import Database, open_database
from app.errors import BadInput, LoyaltyError, NotFound
from app.orders.models import Location
from app.settings import load_settings

LONGEST_NAME = 60
_REGISTER: Final = re.compile(r"([^/]+)/[1-9][0-9]*")


async def listed(database: Database) -> list[str]:
    """Every key with its role, its name, and whether it is revoked."""
    async with database.session() as session:
        found = (await session.exec(select(AccessKey).order_by(AccessKey.role, AccessKey.name))).all()
    return [f"{key.role:9} {key.name:20} {'revoked' if key.revoked_at else 'valid'}" for key in found]


async def make(database: Database, role: str, name: str) -> str:
    """Make a key and return it. A register is named `<location>/<number>`; a name is free again once it is revoked."""
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise BadInput(f"A name has 1 to {LONGEST_NAME} characters, no control characters, and no spaces around it.")
    location = _location_of(name) if role == "register" else None
    async with database.session() as session:
        if location is not None and await session.get(Location, location) is None:
            raise BadInput(f"A register is named <location>/<number>, and there is no location {location!r}.")
        old = (await session.exec(select(AccessKey).where(AccessKey.name == name))).first()
        if old is not None and old.revoked_at is None:
            raise BadInput(f"There is a key named {name!r} already: revoke it first, or choose another name.")
        if old is not None:
            await session.delete(old)
            await session.flush()
        return await keys.make(session, role, name, location)


def _location_of(register: str) -> str:
    found = _REGISTER.fullmatch(register)
    if found is None:
        raise BadInput("A register is named <location>/<number>, as in warsaw/3.")
    return found[1]


async def revoke(database: Database, name: str) -> None:
    """End a key: from now on it is refused."""
    async with database.session() as session:
        key = (await session.exec(select(AccessKey).where(AccessKey.name == name))).first()
        if key is None:
            raise NotFound(f"There is no key named {name!r}.")
        key.revoked_at = key.revoked_at or now()
        session.add(key)


async def run(arguments: argparse.Namespace) -> str:
    database = open_database(load_settings())
    try:
        if arguments.command == "make":
            return await make(database, arguments.role, arguments.name)
        if arguments.command == "revoke":
            await revoke(database, arguments.name)
            return f"{arguments.name} is revoked."
        return "\n".join(await listed(database))
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.access", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show all keys; not the tokens, for only their hashes are stored")
    making = commands.add_parser("make", help="make a key and print it, this once")
    making.add_argument("role", choices=["admin", "operator", "register"])
    making.add_argument("name", help="who it is for; a register is named <location>/<number>, as in warsaw/3")
    revoking = commands.add_parser("revoke", help="end a key")
    revoking.add_argument("name")
    try:
        print(asyncio.run(run(parser.parse_args())))  # noqa: T201 - what the command is for
    except LoyaltyError as error:
        sys.exit(error.sentence)
    except ProgrammingError:
        sys.exit("The database can't be used: its tables are not up to date, run python -m app.migrate.")
    except (OSError, DBAPIError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        first_line = str(reason).partition("\n")[0]
        sys.exit(f"The database can't be used: {first_line or type(reason).__name__}")


if __name__ == "__main__":
    main()
