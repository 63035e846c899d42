"""Which credentials are valid: keys by their hash, tokens by signature and time."""

import base64
import json
from datetime import timedelta

import jwt
import pytest
from pydantic import SecretStr
from sqlmodel import select

from app.auth import keys, tokens
from app.auth.models import AccessKey
from app.auth.principal import SESSION_COOKIE, Principal
from app.db.base import now
from tests.web import Web

OWN = "/phone/card.svg"
"""Needs a member's token; 404 is the answer of its handler."""


async def status(web: Web, token: str, path: str = "/pos/catalogue", scheme: str = "Bearer") -> int:
    async with web.client() as client:
        return (await client.get(path, headers={"authorization": f"{scheme} {token}"})).status_code


async def test_a_revoked_key_is_refused(web: Web) -> None:
    """A key works until it is revoked, and from then on not at all."""
    async with web.database.session() as session:
        token = await keys.make(session, "register", "warsaw/9", "warsaw")
    before = await status(web, token)
    async with web.database.session() as session:
        key = (await session.exec(select(AccessKey).where(AccessKey.name == "warsaw/9"))).one()
        key.revoked_at = now()
        session.add(key)
    assert (before, await status(web, token)) == (200, 401)


async def test_only_the_hash_of_a_key_is_stored(web: Web) -> None:
    """Nothing in the table gives back the token, and its hash is no credential."""
    token = web.register_keys["london/1"]
    async with web.database.session() as session:
        key = (await session.exec(select(AccessKey).where(AccessKey.name == "london/1"))).one()
    assert token not in str(key.model_dump())
    assert await status(web, key.hash) == 401


async def test_a_key_without_a_location_sells_nowhere(web: Web) -> None:
    """A register key that belongs to no shop is told so with 403, not with a failure."""
    async with web.database.session() as session:
        token = await keys.make(session, "register", "nowhere/1")
    async with web.client(token) as client:
        response = await client.get("/pos/catalogue")
    assert response.status_code == 403
    assert "no location" in response.json()["detail"]


async def test_a_member_token_is_valid_until_it_expires(web: Web) -> None:
    """A member's token reaches the handler; after its time it is refused."""
    assert await status(web, web.member_token(), OWN) == 404
    assert await status(web, web.member_token(lasts=timedelta(seconds=-1)), OWN) == 401


async def test_forged_tokens_are_refused(web: Web) -> None:
    """A token of another secret, an altered one, and an unsigned one are worth nothing."""
    claims = {"sub": "x", "roles": ["register", "operator", "admin"], "exp": now() + timedelta(hours=1)}
    head, body, signature = web.member_token().split(".")
    payload = {**json.loads(base64.urlsafe_b64decode(body + "==")), "roles": ["register"]}
    altered = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    for forged in (
        tokens.make(SecretStr("f" * 40), "x", ["register"]),
        f"{head}.{altered}.{signature}",
        jwt.encode(claims, "", algorithm="none"),
        "a.b.c",
        "..",
    ):
        assert await status(web, forged) == 401


@pytest.mark.parametrize("claims", [{"sub": "x"}, {"roles": ["register"]}, {"sub": "x", "roles": ["register"]}])
async def test_a_token_that_says_too_little_is_refused(web: Web, claims: dict[str, object]) -> None:
    """A signed token without a subject, roles or an end (another system's, on a shared secret) is refused."""
    if len(claims) < 2:
        claims = {**claims, "exp": now() + timedelta(hours=1)}
    secret = web.settings.auth_secret.get_secret_value()
    assert await status(web, jwt.encode(claims, secret, algorithm="HS256")) == 401


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Bearer-"])
async def test_only_bearer_carries_a_key(web: Web, scheme: str) -> None:
    """A valid key under another scheme is no credential."""
    assert await status(web, web.register_keys["warsaw/2"], scheme=scheme) == 401


async def test_the_session_cookie_is_a_credential(web: Web) -> None:
    """A screen's cookie carries a signed token as the header does; a header beside it wins."""
    token = tokens.make(web.settings.auth_secret, "warsaw/1", ["register"], location="warsaw")
    async with web.client() as client:
        client.cookies.set(SESSION_COOKIE, token)
        assert (await client.get("/pos/catalogue")).status_code == 200
        wrong = await client.get("/pos/catalogue", headers={"authorization": f"Bearer {web.member_token()}"})
        assert wrong.status_code == 403


async def test_an_admin_covers_an_operator_and_nothing_else() -> None:
    """Of all pairs of roles only equal ones fit, and admin for operator."""
    roles = ("public", "register", "operator", "admin", "member", "source")
    fitting = {(own, role) for own in roles for role in roles if Principal(frozenset({own}), "x").may(role)}
    assert fitting == {(role, role) for role in roles} | {("admin", "operator")}
