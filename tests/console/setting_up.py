"""What tests of destinations and mappings share: a web process, and destinations in it that may be changed."""

from datetime import datetime
from typing import Any

import httpx

from app.auth.principal import SESSION_COOKIE
from app.db.session import Database
from tests.web import Web

API = "/api/destinations"
VOUCHERIFY = f"{API}/voucherify-actions"
TRACK = "add-custom-event-track-event"
NESTED = '(type = "track" and (event = "A" or event = "B"))'
"""A trigger that Segment can't read; as it must be written:"""
UNNESTED = 'type = "track" and (event = "A" or event = "B")'
SECRET = "a-secret-that-nobody-sees"


def admin(web: Web) -> httpx.AsyncClient:
    return web.client(web.admin_token)


def browser(web: Web, token: str) -> httpx.AsyncClient:
    """Somebody in a browser: the session's cookie, no header."""
    return httpx.AsyncClient(base_url=web.url, cookies={SESSION_COOKIE: token}, timeout=60)


async def ok(answer: httpx.Response) -> Any:
    """What a call that went well answered."""
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


async def webhook(client: httpx.AsyncClient, name: str = "Coupon mails", **settings: str) -> dict[str, Any]:
    """A webhook destination with a secret, connected."""
    given = {"sharedSecret": SECRET, "url": "https://hooks.example.com/in", **settings}
    made: dict[str, Any] = await ok(await client.post(API, json={"type": "webhook", "name": name, "settings": given}))
    return made


async def mapping(
    client: httpx.AsyncClient, destination: str, name: str = "All tracks", **given: Any
) -> dict[str, Any]:
    """A mapping of a webhook, made and on."""
    body = {"name": name, "action": "send", "enabled": True, **given}
    saved: dict[str, Any] = (await ok(await client.post(f"{API}/{destination}/mappings", json=body)))["mapping"]
    return saved


async def version(database: Database) -> int:
    """The number of the configuration: it grows with every change."""
    async with database.connection() as connection:
        found: int = await connection.fetchval("SELECT version FROM configuration")
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
