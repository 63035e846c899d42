"""Who is calling, and the one guard that holds every route to the role it states.

A route says `role="register"` (or operator, admin, member, source, public). `public` and `source` pass here: a source
is known by its write key, which Segment's protocol lets travel in the body, so the door itself reads it.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope

from app.auth import keys, tokens
from app.errors import NotAllowed, NotSignedIn

ROLES = frozenset({"public", "register", "operator", "admin", "member", "source"})
SESSION_COOKIE = "loyalty_session"
_COVERS: dict[str, frozenset[str]] = {"admin": frozenset({"admin", "operator"})}
"""An admin may do what an operator may; all other roles are apart."""


@dataclass(frozen=True)
class Principal:
    """Somebody who showed valid credentials."""

    roles: frozenset[str]
    name: str
    """For audits, as in `register:warsaw/2` or `member:<id>`."""
    location_id: str | None = None
    member_id: UUID | None = None
    operator: str | None = None
    """Who signed in at a register to do more than sell."""

    @property
    def person(self) -> str:
        """Who answers for a decision."""
        return self.operator or self.name

    def may(self, role: str) -> bool:
        return any(role in _COVERS.get(own, frozenset({own})) for own in self.roles)


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let the call pass when its credentials have the role that the route states."""
    role = role_of(handler)
    if role in {"public", "source"}:
        return
    principal = await identify(connection)
    if principal is None:
        raise NotSignedIn
    if not principal.may(role):
        raise NotAllowed(f"This needs the role {role}; these credentials have {', '.join(sorted(principal.roles))}.")
    connection.scope["state"]["principal"] = principal


async def identify(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal | None:
    """The principal of a request, by `Authorization: Bearer …` or by the screens' session cookie."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else connection.cookies.get(SESSION_COOKIE, "")
    if not token:
        return None
    claims = tokens.read(connection.app.state.settings.auth_secret, token) if token.count(".") == 2 else None
    if claims is not None:
        return Principal(
            roles=frozenset(claims["roles"]),
            name=claims["sub"],
            location_id=claims.get("location"),
            member_id=UUID(claims["member"]) if claims.get("member") else None,
            operator=claims.get("operator"),
        )
    async with connection.app.state.database.connection() as database:
        key = await keys.find(database, token)
    if key is None:
        return None
    return Principal(roles=frozenset({key.role}), name=f"{key.role}:{key.name}", location_id=key.location_id)


async def provide_principal(scope: Scope) -> Principal:
    """The principal that the guard found, for handlers that ask for it."""
    principal: Principal = scope["state"]["principal"]
    return principal


def refuse_routes_without_role(app: Litestar) -> None:
    """Stop the start when a route states no role: a forgotten one would be open to all."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", None) or [route.route_handler]:  # type: ignore[union-attr]
            if role_of(handler) not in ROLES:
                raise RuntimeError(f"The route {route.path} ({handler.handler_name}) states no role.")


def role_of(handler: BaseRouteHandler) -> str:
    """The role that a route states. What Litestar answers to OPTIONS by itself tells only which methods there are."""
    if getattr(handler, "http_methods", None) == {"OPTIONS"}:
        return "public"
    return str(handler.opt.get("role", ""))
