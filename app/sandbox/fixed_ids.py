"""Ids that are known before the thing is made: for apps that have a campaign's id in their code.

Voucherify picks ids itself, so only the sandbox has this: `POST /sandbox/ids` says which id the campaign of a name gets
when it is made. A campaign that is there already keeps its id.
"""

from typing import Any

from app.sandbox.errors import Failure, invalid_payload
from app.sandbox.ids import new_id
from app.sandbox.read import one_of, required_text
from app.sandbox.work import Work

_PREFIXES = {"campaign": "camp"}


async def define(work: Work, body: dict[str, Any]) -> dict[str, Any]:
    """Keep an id for the thing of this name. `{"object": "campaign", "name": …, "id": "camp_…"}`"""
    kind = one_of(body, "object", tuple(_PREFIXES))
    if kind is None:
        raise invalid_payload("Payload should have required property 'object'")
    name, identifier = required_text(body, "name", longest=255), required_text(body, "id", longest=64)
    if not identifier.startswith(f"{_PREFIXES[kind]}_"):
        raise invalid_payload(f"Property .id must begin with {_PREFIXES[kind]}_")
    taken = await work.value("SELECT name FROM campaign WHERE id = $1", identifier)
    if taken not in {None, name}:
        raise Failure(409, "duplicate_found", "Duplicated resource found", f"The id {identifier} is that of {taken}")
    await work.run(
        "INSERT INTO setting VALUES ('fixed_ids', $1) "
        "ON CONFLICT (name) DO UPDATE SET value = setting.value || excluded.value",
        {_key(_PREFIXES[kind], name): identifier},
    )
    return {"object": kind, "name": name, "id": identifier}


async def id_for(work: Work, prefix: str, name: str) -> str:
    """The id that a new thing gets: the one that was kept for its name, else a new one."""
    kept = await work.value("SELECT value -> $1 FROM setting WHERE name = 'fixed_ids'", _key(prefix, name))
    return str(kept) if kept is not None else new_id(prefix)


def _key(prefix: str, name: str) -> str:
    return f"{prefix}:{name}"
