"""Who may call what: every route of the web process, with every kind of credentials and with none."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from app.auth.principal import ROLES, refuse_routes_without_role
from tests.web import Web

NOBODY = UUID(int=0)

OPEN = {"public", "source"}
"""Roles that the guard lets pass: a source is known by its write key, which the door itself reads."""
WITH_CREDENTIALS = sorted(ROLES - OPEN)


def calls(app: Litestar) -> Iterator[tuple[str, str, str]]:
    """Method, address and role of every route; parameters are filled with something that fits."""
    fitting = {"uuid": str(NOBODY), "int": "1", "str": "x", "path": "x"}
    for route in app.routes:
        assert isinstance(route, HTTPRoute), f"{route.path} is no HTTP route: say here who may use it"
        path = "".join(
            f"/{part}" if isinstance(part, str) else f"/{fitting[part.type.__name__.lower().removeprefix('pure')]}"
            for part in route.path_components
        )
        for handler in route.route_handlers:
            assert isinstance(handler, HTTPRouteHandler)
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                yield str(method), path or "/", str(handler.opt.get("role"))


def explain(response: httpx.Response, call: str) -> dict[str, Any]:
    """The problem in an answer, which must be one: RFC 9457 with a sentence."""
    assert response.headers["content-type"] == "application/problem+json", call
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code, call
    assert problem["title"], call
    assert problem["detail"].rstrip("…").endswith("."), call
    return problem


def test_every_route_states_a_role(web: Web) -> None:
    """No route of the app is without a role of the known set, and every role has a route or is held for one."""
    found = list(calls(web.app))
    assert len(found) > 20
    assert {role for _, _, role in found} <= ROLES
    assert {"public", "source", "register", "operator", "member"} <= {role for _, _, role in found}


async def test_without_credentials_nothing_but_public_doors_open(web: Web) -> None:
    """Every route that is neither public nor a source's answers 401 with a sentence to a caller without credentials."""
    async with web.client() as client:
        for method, path, role in calls(web.app):
            if role in OPEN:
                continue
            response = await client.request(method, path)
            assert response.status_code == 401, f"{method} {path}"
            assert "Authorization" in explain(response, f"{method} {path}")["detail"]


@pytest.mark.parametrize("own", WITH_CREDENTIALS)
async def test_credentials_open_the_doors_of_their_role_only(web: Web, own: str) -> None:
    """Credentials of one role get 403 with a sentence at every route of another role; an admin may as an operator."""
    covered = {own, "operator"} if own == "admin" else {own}
    refused = 0
    async with web.client(web.credentials()[own]) as client:
        for method, path, role in calls(web.app):
            if role in OPEN | covered:
                continue
            response = await client.request(method, path)
            assert response.status_code == 403, f"{method} {path}"
            assert f"role {role}" in explain(response, f"{method} {path}")["detail"]
            refused += 1
    assert refused


@pytest.mark.parametrize(
    ("own", "method", "path", "status"),
    [
        ("admin", "GET", f"/console/orders/{NOBODY}/trace", 404),
        ("operator", "GET", f"/console/orders/{NOBODY}/trace", 404),
        ("register", "GET", f"/members/{NOBODY}", 404),
        ("register", "GET", "/pos/catalogue", 200),
        ("member", "GET", "/phone/card.svg", 404),
    ],
)
async def test_the_right_credentials_pass(web: Web, own: str, method: str, path: str, status: int) -> None:
    """Credentials of the stated role reach the handler: what comes back is its own answer."""
    async with web.client(web.credentials()[own]) as client:
        assert (await client.request(method, path)).status_code == status


def test_a_route_without_a_role_stops_the_start() -> None:
    """A route that somebody forgot to give a role stops the start, and the error names it."""

    @get("/forgotten", sync_to_thread=False)
    def forgotten() -> None:
        return None

    with pytest.raises(RuntimeError, match="/forgotten"):
        refuse_routes_without_role(Litestar([forgotten], openapi_config=None))


def test_a_role_that_there_is_not_stops_the_start() -> None:
    """A misspelt role stops the start as well: it would be a door that nobody can open, or anybody."""

    @get("/misspelt", role="registrar", sync_to_thread=False)
    def misspelt() -> None:
        return None

    with pytest.raises(RuntimeError, match="/misspelt"):
        refuse_routes_without_role(Litestar([misspelt], openapi_config=None))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/members", 405), ("GET", "/members/not-a-uuid", 404)],
)
async def test_what_is_not_there_is_a_problem_too(web: Web, method: str, path: str, status: int) -> None:
    """Addresses and methods that there are not get problem+json as any other failure."""
    async with web.client(web.credentials()["register"]) as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]
