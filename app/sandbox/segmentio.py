"""The door for Segment: what Segment's Voucherify destination calls, with an integration key.

documented: the three addresses and their bodies, `authorization: Basic base64(application id)` without a colon and
`secret-key: base64(secret)`, only defined metadata is kept, a track call never changes the customer, first and last
name make the name, `street` is `line_1`. inferred: calls are worked off at once (Voucherify queues them), the group id
is kept in the customer's metadata as `group_id` when the schema defines that key.
"""

import base64
import binascii
import hmac
from typing import Any

from litestar import Router, get, post

from app.sandbox import customers, events
from app.sandbox.config import SandboxConfig
from app.sandbox.errors import Failure, invalid_payload
from app.sandbox.fidelity import documented, inferred
from app.sandbox.metadata import CUSTOM_EVENT, defined_only
from app.sandbox.read import AnyRequest, mapping, read_object, required_text, text
from app.sandbox.store import TheStore

_PLAIN = ("source_id", "name", "description", "email", "phone", "birthdate")


def allowed(request_headers: dict[str, str], config: SandboxConfig) -> bool:
    """Whether these headers (lower-case names) carry the integration key."""
    scheme, _, encoded = request_headers.get("authorization", "").partition(" ")
    given = (_decoded(encoded) if scheme.lower() == "basic" else "", _decoded(request_headers.get("secret-key", "")))
    wanted = (config.integration_application_id, config.integration_secret_key)
    return all(hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(given, wanted, strict=True))


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


@get("/test-authentication")
async def test_authentication() -> dict[str, Any]:
    return {}


@post("/customer-processing", status_code=200)
async def process_customer(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    required_text(body, "source_id", longest=500)
    given = {name: body[name] for name in _PLAIN if body.get(name) is not None}
    if "name" not in given:
        names = [part for part in (text(body, "first_name"), text(body, "last_name")) if part]
        if names:
            given["name"] = " ".join(names)
    if address := mapping(body, "address"):
        line = address.get("line_1") or address.get("street")
        given["address"] = {**address, **({"line_1": line} if line else {})}
    metadata = mapping(body, "metadata")
    async with store.work() as work:
        given["metadata"] = await defined_only(work, "customer", metadata)
        row = await customers.upsert(work, given, at="")
    return {"id": row["id"], "object": "customer"}


@post("/event-processing", status_code=200)
async def process_event(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    _customer(body)
    name = required_text(body, "event", longest=300)
    metadata = mapping(body, "metadata")
    async with store.work() as work:
        kept = await defined_only(work, CUSTOM_EVENT, metadata, name)
        return await events.track(work, body, metadata=kept, update=False)


@post("/group-processing", status_code=200)
async def process_group(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    customer = _customer(body)
    group = required_text(body, "group_id")
    traits = mapping(body, "traits")
    async with store.work() as work:
        metadata = await defined_only(work, "customer", {**traits, "group_id": group})
        row = await customers.upsert(work, {**customer, "metadata": metadata})
    return {"id": row["id"], "object": "customer"}


def _customer(body: dict[str, Any]) -> dict[str, Any]:
    customer = mapping(body, "customer")
    if not customer:
        raise invalid_payload("Payload should have required property 'customer'")
    source_id = required_text(customer, "source_id", longest=500, at=".customer")
    email = text(customer, "email", at=".customer")
    return {"source_id": source_id, **({"email": email} if email else {})}


def unauthorized() -> Failure:
    return Failure(401, "unauthorized", "Unauthorized")


router = Router("/segmentio", route_handlers=[test_authentication, process_customer, process_event, process_group])

FIDELITY = (
    documented(
        "**Segment door**: `customer-`, `event-`, `group-processing`, `test-authentication`; only "
        "metadata that the project's schema defines (with its type) is kept; a track call never changes "
        "the customer"
    ),
    inferred(
        "group traits go to the customer's metadata, the group id to its key `group_id` if that is "
        "defined; calls are worked off at once"
    ),
)
