"""Keys, error shapes, headers: what every call to Voucherify has in common."""

import re

import httpx
import pytest

from tests.sandbox.programme import send


async def test_wrong_keys_get_the_401_of_voucherify(api: httpx.AsyncClient) -> None:
    """A call without the right keys is refused with the error object, and does nothing."""
    answer = await api.post("/v1/customers", json={"source_id": "u-1"}, headers={"X-App-Token": "wrong"})
    assert answer.status_code == 401
    assert {"code": 401, "key": "unauthorized", "message": "Unauthorized"}.items() <= answer.json().items()
    assert (await send(api, "GET", "/v1/customers"))["total"] == 0


async def test_the_api_keys_do_not_open_the_segment_door(api: httpx.AsyncClient) -> None:
    """The Segment door wants an integration key, not the project's."""
    assert (await api.get("/segmentio/test-authentication")).status_code == 401


async def test_every_answer_carries_the_rate_headers(api: httpx.AsyncClient) -> None:
    """Good and bad answers tell how many calls are left; the number falls with each."""
    answers = [await api.get(path) for path in ("/v1/customers", "/v1/customers/nobody", "/v1/exports")]
    assert [answer.status_code for answer in answers] == [200, 404, 501]
    left = [int(answer.headers["X-Rate-Limit-Remaining"]) for answer in answers]
    assert left[0] - left[1] == left[1] - left[2] == 1 or left[2] > left[0]  # a minute may end in between
    assert all(answer.headers["X-Rate-Limit-Limit"] == "2000" for answer in answers)
    assert all(answer.headers["X-Rate-Limit-Retry"].isdigit() for answer in answers)


async def test_an_error_names_what_it_could_not_find(api: httpx.AsyncClient) -> None:
    """The error object has all its documented fields, and a request id in Voucherify's form."""
    error = await send(api, "GET", "/v1/customers/u-1", expect=404)
    assert re.fullmatch(r"v-[0-9a-f]{18}", error.pop("request_id"))
    assert error == {
        "code": 404,
        "key": "not_found",
        "message": "Resource not found",
        "details": "Cannot find customer with id u-1",
        "resource_id": "u-1",
        "resource_type": "customer",
    }


@pytest.mark.parametrize("body", ["{bad", "[1, 2", '"\\ud800"', "[" * 100_000])
async def test_what_is_not_json_gets_the_frameworks_shape(api: httpx.AsyncClient, body: str) -> None:
    """Invalid JSON is refused by Voucherify's framework, whose errors look different."""
    answer = await api.post("/v1/orders", content=body)
    assert answer.status_code == 400
    message = "Invalid request payload JSON format"
    assert answer.json() == {"statusCode": 400, "error": "Bad Request", "message": message}


async def test_a_body_that_is_too_large_gets_413(api: httpx.AsyncClient) -> None:
    """More than 10 MB is refused in the framework's shape, and the connection still works."""
    answer = await api.post("/v1/orders", content=b" " * (10 * 2**20 + 1))
    assert answer.status_code == 413
    assert answer.json()["message"] == "Payload content length greater than maximum allowed: 10485760"
    assert (await api.get("/v1/orders")).status_code == 200


async def test_a_method_that_there_is_not_gets_405_with_a_hint(api: httpx.AsyncClient) -> None:
    """A wrong method is told which ones there are."""
    error = await send(api, "PATCH", "/v1/customers", expect=405)
    assert error["message"] == "PATCH is not supported by this endpoint. Did you mean GET or POST?"


@pytest.mark.parametrize(
    "call",
    [
        "GET /v1/exports",
        "POST /v1/orders/import",
        "GET /v2/loyalties/programs",
        "POST /client/v1/events",
        "GET /management/v1/projects",
    ],
)
async def test_what_is_not_emulated_says_so(api: httpx.AsyncClient, call: str) -> None:
    """Whatever the sandbox can't do answers 501 and names the page about it, never something made up."""
    method, path = call.split()
    error = await send(api, method, path, expect=501)
    assert error["key"] == "not_emulated"
    assert "docs/reference/fidelity.md" in error["details"]


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("limit=0", "Property .limit must be >= 1"),
        ("limit=101", "Property .limit must be <= 100"),
        ("page=x", "Property .page must be integer"),
        ("order=colour", "Property .order must be equal to one of the allowed values"),
    ],
)
async def test_bad_paging_is_refused_with_the_field(api: httpx.AsyncClient, query: str, details: str) -> None:
    """A list says which query parameter is wrong, and how."""
    error = await send(api, "GET", f"/v1/customers?{query}", expect=400)
    assert (error["key"], error["details"]) == ("invalid_query_params", details)


@pytest.mark.parametrize(
    "body",
    [
        {"source_id": "u\x00"},
        {"source_id": 1},
        {"metadata": []},
        {"birthdate": "tomorrow"},
        {"address": "here"},
        {"source_id": "x" * 3000},
    ],
)
async def test_a_bad_customer_is_refused(api: httpx.AsyncClient, body: dict[str, object]) -> None:
    """Values of the wrong kind are a 400 with a reason, not a crash."""
    error = await send(api, "POST", "/v1/customers", body, expect=400)
    assert error["key"] == "invalid_payload"
    assert error["details"]


async def test_the_front_page_says_what_this_is(api: httpx.AsyncClient) -> None:
    """A person who opens the address in a browser is told that this is not Voucherify."""
    assert "not\nVoucherify" in (await api.get("/")).text
    assert (await send(api, "GET", "/sandbox/health"))["status"] == "ok"
