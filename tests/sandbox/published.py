"""Voucherify's published schemas, as JSON Schema that answers and webhooks are checked against.

They are read from `../shared/openapi` beside the repository and are not part of it; where they are not, tests skip.
"""

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

NULL_IN_SAMPLES = {"referral", "loyalty"}
"""Required and not nullable by the schema of custom events, and null in the sample beside it."""
REQUIRED_AGAINST_SAMPLES = (("RedemptionRewardResult",), ("PublicationsDistributionItemBase", "properties", "metadata"))
"""Schemas that require what is declared nowhere, or what the sample beside them has not."""
LISTS_IN_SAMPLES = (("EventVoucherLoyaltyCardPointsExpiredData", "properties", "buckets"),)
"""One object by the schema, and a list of them in the sample beside it."""
PENDING_BALANCE = {"required": ["points", "total", "object", "related_object", "operation_type"]}
"""The balance of pending points as all samples and the API's own answer have it: without `balance` and `type`."""
FOLDER = Path(__file__).parents[3] / "shared" / "openapi"


@functools.cache
def _document(name: str) -> dict[str, Any]:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"Voucherify's published schemas are not here: {path} is needed to check against them")
    document: dict[str, Any] = _as_json_schema(json.loads(path.read_text()))
    for schema_name, *inside in REQUIRED_AGAINST_SAMPLES:
        schema = document["components"]["schemas"].get(schema_name)
        for each in inside:
            schema = schema and schema[each]
        if schema:
            del schema["required"]
    for schema in document["components"]["schemas"].values():
        if "voucher_pending_points_balance" in (schema.get("properties") or {}):
            schema["properties"]["voucher_pending_points_balance"] = PENDING_BALANCE
    for schema_name, *inside, last in LISTS_IN_SAMPLES:
        schema = document["components"]["schemas"].get(schema_name)
        for each in inside:
            schema = schema and schema[each]
        if schema:
            schema[last] = {"type": "array", "items": schema[last]}
    return document


def _as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable`, JSON Schema a type `null`; examples are left out, for they are not schemas.

    A property that may be absent may be null as well: the published samples send null throughout where the schemas
    don't say so (a customer without a phone number), and so does the sandbox.
    """
    if isinstance(node, list):
        return [_as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {
        key: {name: _as_json_schema(each) for name, each in value.items()}  # names, of which one is `properties`
        if key == "properties"
        else _as_json_schema(value)
        for key, value in node.items()
        if key not in {"example", "examples"}
    }
    if isinstance(made.get("oneOf"), list):  # their alternatives overlap: one object often fits several of them
        made["anyOf"] = made.pop("oneOf")
    if made.get("additionalProperties") is False:  # beside `allOf` it forbids what its neighbour asks for
        del made["additionalProperties"]
    if isinstance(made.get("properties"), dict):
        required = made["required"] if isinstance(made.get("required"), list) else []
        made["properties"] = {
            name: schema if name in required and name not in NULL_IN_SAMPLES else _or_null(schema)
            for name, schema in made["properties"].items()
        }
    return _or_null(made) if made.pop("nullable", False) is True else made


def _or_null(schema: Any) -> Any:
    if not isinstance(schema, dict) or not isinstance(schema.get("type"), str | list) or "allOf" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    made = {**schema, "type": [*types, "null"]}
    return {**made, "enum": [*made["enum"], None]} if isinstance(made.get("enum"), list) else made


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


def check_customer_activity(kind: str, data: Any) -> None:
    """The data is what the published API says of this entry in a customer's activity.

    Some events are published there only. What converted a friend is a redemption or a custom event; the schema asks for
    the event in any case.
    """
    document = _document("openapi-voucherify.json")
    name = "Event" + "".join(part.title() for part in kind.split("."))
    schema = document["components"]["schemas"][name]
    said = {key: value for key, value in data.items() if value is not None}
    required = [key for key in schema["required"] if key in said or key != "custom_event"]
    _check(document, {**schema, "required": required}, said, kind)


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
