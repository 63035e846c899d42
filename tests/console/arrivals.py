"""What tests of sources share: a source of one's own, messages that it sends, and its feed."""

from typing import Any
from uuid import uuid4

import httpx

from tests.web import Web


async def made(admin: httpx.AsyncClient) -> dict[str, Any]:
    answer = await admin.post("/api/sources", json={"name": "Kiosk <1>", "slug": f"kiosk-{uuid4().hex[:8]}"})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def track(event: str = "Coffee Drunk", user: str | None = "u-1", **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "userId": user, **more}


async def send(web: Web, source: dict[str, Any], *messages: dict[str, Any]) -> None:
    """Each in a request of its own, so that they arrive in this order."""
    async with web.client() as client:
        for message in messages:
            answer = await client.post("/v1/batch", json={"batch": [message], "writeKey": source["keys"][-1]["key"]})
            assert answer.status_code == 200


def names(page: dict[str, Any]) -> list[str | None]:
    return [row["name"] for row in page["rows"]]


async def feed(client: httpx.AsyncClient, source: dict[str, Any], **asked: Any) -> dict[str, Any]:
    answer = await client.get(f"/api/sources/{source['slug']}/events", params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
