"""`python -m app.seed`: loads the demo programme into Voucherify (the sandbox, by default) and enrols the demo members.

It can be called again at any time: what is there already stays as it is.
"""

import asyncio
import sys
from typing import Any
from urllib.parse import quote

from app.db.session import open_database
from app.demo.programme import CAMPAIGNS, EARNING_RULES, LOYALTY, METADATA_SCHEMAS, REWARDS
from app.demo.shop import MEMBERS
from app.errors import LoyaltyError, SettingError, VoucherifyRefused
from app.members.service import Enrolment, enrol
from app.settings import Settings, load_settings
from app.telemetry import configure_logging, log
from app.voucherify.client import Client


async def seed_programme(client: Client) -> None:
    """Make the campaigns, earning rules and rewards that are not there yet, and state what metadata there is."""
    for schema in METADATA_SCHEMAS:
        await client.call("POST", "/sandbox/metadata-schemas", schema)
    for campaign in CAMPAIGNS:
        await _campaign(client, campaign)
    loyalty = await client.call("GET", f"/v1/campaigns/{quote(LOYALTY)}")
    rules = await client.call("GET", f"/v1/loyalties/{loyalty['id']}/earning-rules")
    if not rules["data"]:
        await client.call("POST", f"/v1/loyalties/{loyalty['id']}/earning-rules", EARNING_RULES)
    await _rewards(client, loyalty["id"])


async def _campaign(client: Client, campaign: dict[str, Any]) -> None:
    try:
        await client.call("POST", "/v1/campaigns", campaign)
        log.info("campaign.made", name=campaign["name"])
    except VoucherifyRefused as error:
        if error.key != "duplicate_found":
            raise


async def _rewards(client: Client, loyalty_id: str) -> None:
    """Rewards have no unique name in Voucherify: they are looked for by name before they are made."""
    known = await client.call("GET", "/v1/rewards", params={"limit": 100})
    ids = {reward["name"]: reward["id"] for reward in known["data"]}
    path = f"/v1/loyalties/{loyalty_id}/rewards"
    offered = {row["reward_id"] for row in (await client.call("GET", path, params={"limit": 100}))["data"]}
    for reward in REWARDS:
        name = reward["name"]
        if name not in ids:
            campaign = await client.call("GET", f"/v1/campaigns/{quote(reward['campaign'])}")
            body = {"name": name, "parameters": {"campaign": {"id": campaign["id"]}}}
            ids[name] = (await client.call("POST", "/v1/rewards", body))["id"]
            log.info("reward.made", name=name)
        if ids[name] not in offered:
            price = {"loyalty": {"points": reward["points"]}}
            await client.call("POST", path, [{"reward": ids[name], "parameters": price}])


async def run(settings: Settings) -> None:
    if not settings.uses_sandbox:
        raise SettingError(
            "The demo programme is for the sandbox; VOUCHERIFY_* name a real project. Make its campaigns in "
            "Voucherify, and put their names into functions/voucherify.py."
        )
    database, client = open_database(settings), Client.of(settings)
    try:
        await seed_programme(client)
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
