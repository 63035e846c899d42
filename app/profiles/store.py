"""⑤ Profiles: found or made by external id, traits kept from identify calls, merged by rule."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec

from app.db import many

Identifier = tuple[str, str]
"""`("user_id" | "anonymous_id", value)`."""


def identifiers(message: dict[str, Any]) -> list[Identifier]:
    """The external ids in a message, the stronger first."""
    found = (("user_id", message.get("userId")), ("anonymous_id", message.get("anonymousId")))
    return [(type_, value) for type_, value in found if value]


async def apply_events(connection: asyncpg.Connection, messages: Sequence[dict[str, Any]]) -> None:
    """Find or make the profile of each message, merge two that turn out to be one person, keep identify's traits."""
    profiles = await _resolve(connection, sorted({key for message in messages for key in identifiers(message)}))
    traits: dict[UUID, dict[str, Any]] = {}
    for message in messages:
        keys = identifiers(message)
        profile = profiles[keys[0]]
        if len(keys) == 2 and profiles[keys[1]] != profile:
            gone = profiles[keys[1]]
            if await _merge(connection, into=profile, gone=gone):
                profiles = {key: profile if value == gone else value for key, value in profiles.items()}
                traits[profile] = {**traits.pop(gone, {}), **traits.get(profile, {})}
        if message["type"] == "identify":
            traits.setdefault(profile, {}).update(message.get("traits") or {})
    kept_by = await _kept_by(connection, [profile for profile, found in traits.items() if found])
    kept: dict[UUID, dict[str, Any]] = {}
    for profile in sorted(kept_by):
        kept.setdefault(kept_by[profile], {}).update(traits[profile])
    await many.execute(
        connection,
        # In Segment a trait that is set to null is removed.
        """UPDATE profile SET traits = jsonb_strip_nulls(profile.traits || new.traits::jsonb), updated_at = now()
           FROM unnest($1::uuid[], $2::text[]) AS new (id, traits) WHERE profile.id = new.id""",
        [(profile, msgspec.json.encode(found).decode()) for profile, found in kept.items()],
    )


async def _resolve(connection: asyncpg.Connection, keys: Iterable[Identifier]) -> dict[Identifier, UUID]:
    """The profile of each identifier; a new one for what is not known yet.

    A batch of another partition may make the same anonymous profile at the same time: the identifier's primary key
    decides, and the loser reads the winner's.
    """
    found = await _known(connection, keys)
    missing = [key for key in keys if key not in found]
    if not missing:
        return found
    made = {key: uuid4() for key in missing}
    await connection.execute(
        """INSERT INTO profile (id, traits, loyalty, created_at, updated_at)
           SELECT id, '{}', '{}', now(), now() FROM unnest($1::uuid[]) AS id""",
        list(made.values()),
    )
    await many.execute(
        connection,
        """INSERT INTO profile_identifier (type, value, profile_id)
           SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[]) ON CONFLICT DO NOTHING""",
        [(*key, profile) for key, profile in made.items()],
    )
    stored = await _known(connection, missing)
    lost = [profile for key, profile in made.items() if stored[key] != profile]
    if lost:
        await connection.execute("DELETE FROM profile WHERE id = ANY($1)", lost)
    return found | stored


async def _known(connection: asyncpg.Connection, keys: Iterable[Identifier]) -> dict[Identifier, UUID]:
    keys = list(keys)
    rows = await connection.fetch(
        """SELECT type, value, profile_id FROM profile_identifier
           WHERE (type, value) IN (SELECT * FROM unnest($1::text[], $2::text[]))""",
        [type_ for type_, _ in keys],
        [value for _, value in keys],
    )
    return {(row["type"], row["value"]): row["profile_id"] for row in rows}


async def _kept_by(connection: asyncpg.Connection, profiles: Sequence[UUID]) -> dict[UUID, UUID]:
    """Lock the profiles; each with the one that its traits belong to: another partition may just have merged it."""
    rows = await connection.fetch(
        "SELECT id, merged_into FROM profile WHERE id = ANY($1) ORDER BY id FOR UPDATE", profiles
    )
    return {row["id"]: row["merged_into"] or row["id"] for row in rows}


async def _merge(connection: asyncpg.Connection, *, into: UUID, gone: UUID) -> bool:
    """Merge an anonymous profile into a known one; False when both are known people, who share a device."""
    # Whoever writes traits of one of them at this moment is waited for, and what was written is read below.
    if (await _kept_by(connection, [into, gone])).get(gone) != gone:
        return False  # merged meanwhile, into somebody else
    known = await connection.fetchval(
        "SELECT true FROM profile_identifier WHERE profile_id = $1 AND type = 'user_id' LIMIT 1", gone
    )
    if known:
        return False
    await connection.execute("UPDATE profile_identifier SET profile_id = $1 WHERE profile_id = $2", into, gone)
    await connection.execute(
        """UPDATE profile SET traits = other.traits || profile.traits, updated_at = now()
           FROM profile AS other WHERE profile.id = $1 AND other.id = $2""",
        into,
        gone,
    )
    await connection.execute(
        "UPDATE profile SET merged_into = $1, traits = '{}', updated_at = now() WHERE id = $2", into, gone
    )
    return True


async def of_user(connection: asyncpg.Connection, user_id: str) -> UUID:
    """The profile of a user id, made when it is not there: a webhook may come before the events."""
    return (await _resolve(connection, [("user_id", user_id)]))["user_id", user_id]
