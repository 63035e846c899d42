"""Signed tokens: for members, and for the session of a screen."""

from datetime import timedelta
from typing import Any

import jwt
from pydantic import SecretStr

from app.db.base import now


def make(
    secret: SecretStr,
    subject: str,
    roles: list[str],
    *,
    lasts: timedelta = timedelta(hours=12),
    member: str | None = None,
    location: str | None = None,
    operator: str | None = None,
) -> str:
    """A token that says who (`subject`, and `operator` at a register) may do what (`roles`) until when."""
    claims = {
        "sub": subject,
        "roles": roles,
        "exp": now() + lasts,
        "member": member,
        "location": location,
        "operator": operator,
    }
    return jwt.encode(claims, secret.get_secret_value(), algorithm="HS256")


def read(secret: SecretStr, token: str) -> dict[str, Any] | None:
    """The claims of a token, or None when it is expired, altered, or not ours."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token, secret.get_secret_value(), algorithms=["HS256"], options={"require": ["sub", "roles", "exp"]}
        )
    except jwt.InvalidTokenError:
        return None
    return claims
