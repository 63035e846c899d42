"""`python -m app.migrate`: makes the databases, brings the schema up to date, and at the first start makes the keys.

An admin token and a key for each register are printed once, at the first start: only their hashes are stored.
"""

import argparse
import asyncio
import json
import secrets
import sys
from typing import Any

import asyncpg
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth import keys
from app.db import migrate
from app.db.base import now
from app.db.session import Database, database_url, raw_connection
from app.demo.shop import LOCATIONS, PRODUCTS
from app.destinations.voucherify import VOUCHERIFY
from app.errors import LoyaltyError
from app.orders.models import Location, Product
from app.pipeline.configure import connect_once
from app.segment.models import Source, WriteKey
from app.settings import load_settings

SOURCES = {
    "till": "Till",
    "phone": "Phone",
    "online-store": "Online store",
    "voucherify": "Voucherify",
    "segment": "Segment",
}


async def first_start(session: AsyncSession) -> dict[str, Any]:
    """Sources with their write keys, the shop, and the access keys, where they are not there yet."""
    for slug, name in SOURCES.items():
        made = await session.exec(
            insert(Source)
            .values(slug=slug, name=name, enabled=True, created_at=now())
            .on_conflict_do_nothing()
            .returning(col(Source.slug))
        )
        if made.scalar_one_or_none():
            session.add(WriteKey(key=secrets.token_urlsafe(24), source=slug, created_at=now()))
    await connect_once(await raw_connection(session), VOUCHERIFY, "first start")
    if await keys.any_exist(session):
        return {"first_start": False, "admin_token": None, "register_keys": None}
    if (await session.exec(select(Location).limit(1))).first() is None:
        session.add_all(Location(**location) for location in LOCATIONS)
        session.add_all(Product(position=at, **product) for at, product in enumerate(PRODUCTS))
        await session.flush()
    locations = (await session.exec(select(Location))).all()
    return {
        "first_start": True,
        "admin_token": await keys.make(session, "admin", "first admin"),
        "register_keys": {
            f"{location.id}/{number}": await keys.make(session, "register", f"{location.id}/{number}", location.id)
            for location in locations
            for number in range(1, location.registers + 1)
        },
    }


async def run() -> dict[str, Any]:
    settings = load_settings()
    url = database_url(settings)
    await migrate.create_database(url)
    await migrate.refuse_old_server(url)
    await migrate.upgrade(url)
    database = Database(url, pool=2)
    try:
        async with database.session() as session:
            return await first_start(session)
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.migrate", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--new", metavar="MESSAGE", help="after changing a model: write the migration that it needs")
    arguments = parser.parse_args()
    try:
        made = asyncio.run(run())
        if arguments.new:
            asyncio.run(migrate.write(database_url(load_settings()), arguments.new))
    except (LoyaltyError, OSError, asyncpg.PostgresError) as error:
        sys.exit(error.sentence if isinstance(error, LoyaltyError) else f"DATABASE_URL can't be used: {error}")
    if arguments.json:
        print(json.dumps(made))  # noqa: T201 - what the command is for
    elif made["first_start"]:
        lines = ["Keep these keys; they are shown this once.", f"admin     {made['admin_token']}"]
        lines += [f"register  {name:14} {key}" for name, key in made["register_keys"].items()]
        print("\n".join(lines))  # noqa: T201 - what the command is for


if __name__ == "__main__":
    main()
