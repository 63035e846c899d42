"""Voucherify's published schemas, as JSON Schema that answers and webhooks are checked against.

They are read from `../shared/openapi` beside the repository and are not part of it; where they are not, tests skip.
"""

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "openapi"


@functools.cache
def _document(name: str) -> dict[str, Any]:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"Voucherify's published schemas are not here: {path} is needed to check against them")
    document: dict[str, Any] = _as_json_schema(json.loads(path.read_text()))
    return document


def _as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable`, JSON Schema a type `null`; examples are left out, for they are not schemas."""
    if isinstance(node, list):
        return [_as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _as_json_schema(value) for key, value in node.items() if key not in {"example", "examples"}}
    if made.pop("nullable", False) is True:
        if isinstance(made.get("enum"), list):
            made["enum"] = [*made["enum"], None]
        if isinstance(made.get("type"), str):
            made["type"] = [made["type"], "null"]
        else:
            made = {"anyOf": [made, {"type": "null"}]}
    return made


def check_answer(method: str, path: str, answer: Any) -> None:
    """The answer is what the published API says of a 200 to this operation."""
    document = _document("openapi-voucherify.json")
    content = document["paths"][path][method.lower()]["responses"]["200"]["content"]["application/json"]
    _check(document, content["schema"], answer, f"{method} {path}")


def check_webhook(kind: str, data: Any) -> None:
    """The data is what is published for webhooks of this event type."""
    document = _document("openapi-voucherify-webhooks.json")
    webhook = document["webhooks"]["EVENTS." + kind.upper()]
    _check(document, webhook["post"]["requestBody"]["content"]["application/json"]["schema"], data, kind)


def _check(document: dict[str, Any], schema: Any, value: Any, what: str) -> None:
    validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
    problems = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in _leaves(validator.iter_errors(value))
    ]
    assert not problems, f"{what}:\n" + "\n".join(problems)


def _leaves(errors: Any) -> Any:
    for error in errors:
        if error.context:
            yield from _leaves(error.context)
        else:
            yield error
