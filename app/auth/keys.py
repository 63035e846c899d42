"""Access keys: made once, shown once, found by hash."""

import hashlib
import secrets

import asyncpg
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.auth.models import AccessKey
from app.db.base import now


async def make(session: AsyncSession, role: str, name: str, location_id: str | None = None) -> str:
    """Store a new key and return its token: the only time that it can be seen."""
    token = f"{role}_{secrets.token_urlsafe(24)}"
    session.add(AccessKey(role=role, name=name, hash=_hash(token), location_id=location_id, created_at=now()))
    await session.flush()
    return token


async def find(connection: asyncpg.Connection, token: str) -> AccessKey | None:
    """The key of a token, unless it was revoked. Asked for with every call, so it goes past the session."""
    row = await connection.fetchrow("SELECT * FROM access_key WHERE hash = $1 AND revoked_at IS NULL", _hash(token))
    return AccessKey(**row) if row else None


async def any_exist(session: AsyncSession) -> bool:
    return (await session.exec(select(AccessKey).limit(1))).first() is not None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
