"""Metadata schemas: which keys a customer or a custom event may carry when it comes through the Segment door.

documented: only keys that are defined, with a value of the defined type, are stored; the others are dropped in silence.
Voucherify's API only reads schemas (they are made in the dashboard), so `POST /sandbox/metadata-schemas` makes them.
"""

from datetime import datetime
from typing import Any

import asyncpg
from litestar import Router, get
from litestar.params import FromPath

from app.sandbox import lists
from app.sandbox.clock import iso
from app.sandbox.errors import invalid_payload, not_found
from app.sandbox.fidelity import documented
from app.sandbox.ids import new_id
from app.sandbox.read import boolean, required_text, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

CUSTOM_EVENT = "custom_event"
_TYPES = {"string", "number", "boolean", "date", "datetime", "image_url", "geopoint", "object"}


async def define(work: Work, body: dict[str, Any]) -> dict[str, Any]:
    """Make or replace the schema of a resource; for `custom_event`, `name` says of which event.

    `properties` maps each key to its definition, `{"type": "number", "array": false}` or just `"number"`.
    """
    resource, name = required_text(body, "related_object"), text(body, "name", longest=300) or ""
    given = body.get("properties")
    if not isinstance(given, dict):
        raise invalid_payload("Property .properties must be object")
    doc = {
        "id": new_id("ms"),
        "related_object": resource,
        **({"name": name} if name else {}),
        "properties": {key: _definition(key, value) for key, value in given.items()},
        "allow_defined_only": boolean(body, "allow_defined_only") or False,
        "created_at": iso(work.now),
        "updated_at": None,
        "object": "metadata_schema",
    }
    await work.run(
        "INSERT INTO metadata_schema VALUES ($1, $2, $3) ON CONFLICT (related_object, name) DO UPDATE "
        "SET doc = excluded.doc || jsonb_build_object('id', metadata_schema.doc -> 'id', 'created_at', "
        "metadata_schema.doc -> 'created_at', 'updated_at', excluded.doc -> 'created_at')",
        resource,
        name,
        doc,
    )
    return doc


def _definition(key: str, value: Any) -> dict[str, Any]:
    given = {"type": value} if isinstance(value, str) else value
    if not isinstance(given, dict) or given.get("type") not in _TYPES:
        raise invalid_payload(f"Property .properties.{key}.type must be one of {', '.join(sorted(_TYPES))}")
    return {"array": False, "optional": True, "objectType": None, **given}


async def defined_only(work: Work, resource: str, metadata: dict[str, Any], name: str = "") -> dict[str, Any]:
    """What of `metadata` the project defines for this resource: keys without a definition, or of another type, go."""
    properties = await work.value(
        "SELECT doc -> 'properties' FROM metadata_schema WHERE related_object = $1 AND name IN ($2, '') "
        "ORDER BY name DESC LIMIT 1",
        resource,
        name,
    )
    known: dict[str, Any] = properties or {}
    return {key: value for key, value in metadata.items() if key in known and fits(value, known[key])}


def fits(value: Any, definition: dict[str, Any]) -> bool:
    """Whether a value is of the defined type."""
    if definition.get("array"):
        single = {**definition, "array": False}
        return isinstance(value, list) and all(fits(each, single) for each in value)
    kind = definition["type"]
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "object":
        return isinstance(value, dict)
    if kind in {"date", "datetime"}:
        return isinstance(value, str) and _is_time(value)
    return isinstance(value, str)


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


@get("/metadata-schemas")
async def list_schemas(store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        rows = await work.all("SELECT doc FROM metadata_schema WHERE related_object <> $1 ORDER BY 1", CUSTOM_EVENT)
    return lists.numbered("schemas", [row["doc"] for row in rows], len(rows))


@get("/metadata-schemas/{resource:str}")
async def get_schema(resource: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        row: asyncpg.Record | None = await work.one(
            "SELECT doc FROM metadata_schema WHERE related_object = $1 AND name = ''", resource
        )
    if row is None:
        raise not_found("metadata schema", resource)
    shown: dict[str, Any] = row["doc"]
    return shown


router = Router("/", route_handlers=[list_schemas, get_schema])

FIDELITY = (
    documented(
        "**Metadata schemas** are read by `GET /v1/metadata-schemas` and `/{resource}`",
        "they are made by `POST /sandbox/metadata-schemas`",
    ),
)
