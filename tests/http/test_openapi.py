"""The description of our API tells of refusals what is true of them."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.main import create_app
from app.openapi import ELSEWHERE
from app.settings import load_settings

METHODS = {"get", "post", "put", "patch", "delete"}
Described = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """As `/schema/openapi.json` serves it. Nothing is connected to for it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
        made: dict[str, Any] = create_app(load_settings()).openapi_schema.to_schema()
    return made


def ours(document: dict[str, Any]) -> Iterator[Described]:
    """Method, path and description of each operation whose errors are our own."""
    for path, item in document["paths"].items():
        if not path.startswith(ELSEWHERE):
            yield from ((method, path, item[method]) for method in METHODS & item.keys())


def test_every_refusal_is_described_as_a_problem(document: dict[str, Any]) -> None:
    """No operation of ours promises an error in another form than problem+json with its status."""
    seen = 0
    for method, path, operation in ours(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
                (example,) = answer["content"]["application/problem+json"]["examples"].values()
                assert example["value"]["status"] == int(status)
                seen += 1
    assert seen > 100


def test_who_needs_a_key_is_told(document: dict[str, Any]) -> None:
    """What is not public names the key, the role, and the answers 401 and 403; what is public does not."""
    needed = {path: "security" in operation for _, path, operation in ours(document)}
    assert needed["/api/replays"]
    assert not needed["/phone/members"]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for method, path, operation in ours(document):
        guarded = {"401", "403"} <= operation["responses"].keys()
        assert guarded == ("security" in operation) == ("Role: " in operation.get("description", "")), (method, path)


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("post", "/pos/orders", {"201", "400", "401", "403", "409", "422", "503"}),
        ("get", "/api/deliveries/{delivery_id}", {"200", "400", "401", "403", "404", "503"}),
        ("get", "/health/live", {"200"}),
        ("post", "/phone/members", {"201", "400", "503"}),
    ],
)
def test_a_route_tells_what_it_may_answer(document: dict[str, Any], method: str, path: str, statuses: set[str]) -> None:
    """A sale, a look at one row and a public page: exactly these statuses."""
    assert document["paths"][path][method]["responses"].keys() == statuses
