"""Metadata schemas: defined beside the API, read by it."""

from typing import Any

import httpx
import pytest

from tests.sandbox.programme import send
from tests.sandbox.published import check_answer

DEFINE = "/sandbox/metadata-schemas"


async def test_what_is_defined_can_be_read(api: httpx.AsyncClient) -> None:
    """By resource and in the list, as published; defined again it keeps its id and says when it changed."""
    body: dict[str, Any] = {"related_object": "customer", "properties": {"tier": "string"}}
    made = await send(api, "POST", DEFINE, body)
    read = await send(api, "GET", "/v1/metadata-schemas/customer")
    check_answer("GET", "/v1/metadata-schemas/{resource}", read)
    assert read["properties"] == {"tier": {"type": "string", "array": False, "optional": True, "objectType": None}}
    assert (read["id"], read["updated_at"], read["allow_defined_only"]) == (made["id"], None, False)
    await send(api, "POST", DEFINE, {**body, "properties": {"visits": {"type": "number"}}, "allow_defined_only": True})
    again = await send(api, "GET", "/v1/metadata-schemas/customer")
    assert (again["id"], list(again["properties"]), again["allow_defined_only"]) == (made["id"], ["visits"], True)
    assert again["updated_at"] is not None


async def test_the_list_has_resources_and_no_events(api: httpx.AsyncClient) -> None:
    """`data_ref` names `schemas`, sorted by resource; custom events are no resources."""
    for resource in ("voucher", "customer", "Payment"):
        await send(api, "POST", DEFINE, {"related_object": resource, "properties": {"a": "number"}})
    await send(api, "POST", DEFINE, {"related_object": "custom_event", "name": "visit", "properties": {}})
    listed = await send(api, "GET", "/v1/metadata-schemas")
    assert (listed["object"], listed["data_ref"], listed["total"]) == ("list", "schemas", 3)
    assert sorted(each["related_object"] for each in listed["schemas"]) == ["Payment", "customer", "voucher"]
    for each in listed["schemas"]:
        check_answer("GET", "/v1/metadata-schemas/{resource}", each)


async def test_what_nobody_defined_is_not_found(api: httpx.AsyncClient) -> None:
    """In Voucherify's own words, which have a space where other kinds have an underscore."""
    error = await send(api, "GET", "/v1/metadata-schemas/earning_rules", expect=404)
    assert error["details"] == "Cannot find metadata schema with id earning_rules"
    assert (error["resource_id"], error["resource_type"]) == ("earning_rules", "metadata schema")


@pytest.mark.parametrize(
    "body", [{}, {"related_object": "customer"}, {"related_object": "customer", "properties": {"a": "colour"}}]
)
async def test_a_schema_without_sense_is_refused(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """No resource, no properties, a type that there is not; and nothing is defined by it."""
    await send(api, "POST", DEFINE, body, expect=400)
    assert (await send(api, "GET", "/v1/metadata-schemas"))["total"] == 0
