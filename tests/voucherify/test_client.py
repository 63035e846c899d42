"""The client: every failure as one of our errors, and nothing of keys or bodies in a log."""

import json
import logging
import time
from collections.abc import Callable

import httpx
import pytest
import structlog
from pydantic import SecretStr

from app.errors import (
    VoucherifyError,
    VoucherifyRefused,
    VoucherifyRejectsKeys,
    VoucherifyUnavailable,
    VoucherifyUnclear,
)
from app.voucherify import orders, publications
from app.voucherify.client import Call, Client

Answer = httpx.Response | Exception


def client(
    answer: Answer | Callable[[httpx.Request], httpx.Response], observe: Callable[[Call], None] | None = None
) -> Client:
    """A client of a Voucherify that answers so."""

    def respond(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    return Client(
        "https://api.voucherify.io",
        SecretStr("the-application-id"),
        SecretStr("the-secret-key"),
        transport=httpx.MockTransport(respond),
        observe=observe,
    )


async def failed(answer: Answer) -> VoucherifyError:
    with pytest.raises(VoucherifyError) as caught:
        await client(answer).call("POST", "/v1/orders", {"email": "mia@example.com"})
    return caught.value


@pytest.mark.parametrize(
    ("answer", "kind", "retryable"),
    [
        *((httpx.Response(status), VoucherifyRefused, False) for status in (302, 400, 404, 409, 415, 501)),
        *((httpx.Response(status), VoucherifyRejectsKeys, False) for status in (401, 403)),
        *((httpx.Response(status), VoucherifyUnavailable, True) for status in (408, 423, 429, 500, 503, 507, 599)),
        # A gateway spoke: whether the request got through is not known.
        *((httpx.Response(status), VoucherifyUnclear, True) for status in (502, 504)),
        *(
            (error("x"), VoucherifyUnavailable, True)
            for error in (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
        ),
        *(
            (error("x"), VoucherifyUnclear, True)
            for error in (
                httpx.ReadTimeout,
                httpx.WriteTimeout,
                httpx.ReadError,
                httpx.WriteError,
                httpx.RemoteProtocolError,
                httpx.DecodingError,
            )
        ),
    ],
    ids=lambda value: str(value.status_code) if isinstance(value, httpx.Response) else getattr(value, "__name__", None),
)
async def test_every_failure_is_one_of_our_errors(answer: Answer, kind: type[VoucherifyError], retryable: bool) -> None:
    """By status or by the way the connection broke: never sent, refused, not now, or perhaps done."""
    error = await failed(answer)
    assert (type(error), error.retryable) == (kind, retryable)
    assert error.code == (answer.status_code if isinstance(answer, httpx.Response) else 0)


async def test_the_error_says_what_voucherify_said() -> None:
    """Key, message and details are in the sentence, and the whole answer is on the error."""
    body = {"code": 400, "key": "duplicate_found", "message": "Duplicate found", "details": "It is there", "x": 1}
    error = await failed(httpx.Response(400, json=body))
    assert error.sentence == "Voucherify answered 400 duplicate_found: Duplicate found: It is there"
    assert (error.key, error.answer) == ("duplicate_found", body)


@pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b'"\xff"', b"[" * 9_000])
async def test_an_odd_answer_is_still_an_error_of_ours(body: bytes) -> None:
    """Whatever stands in the body of an error, it does not become an error of another kind."""
    assert isinstance(await failed(httpx.Response(503, content=body)), VoucherifyUnavailable)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "17"}, 17),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "17", "x-rate-limit-remaining": "0", "x-rate-limit-retry": "99999999999"}, 17),
        ({"retry-after": "1e12"}, 3600),
        ({"retry-after": "inf"}, 3600),
        ({"retry-after": "soon"}, None),
        ({"x-rate-limit-remaining": "5", "x-rate-limit-retry": "99999999999"}, None),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-retry": "99999999999"}, 3600),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-retry": "1"}, 0),
        ({}, None),
    ],
)
async def test_the_wait_that_voucherify_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    """`Retry-After` before `X-Rate-Limit-Retry`, an hour at most, and nonsense is no wait at all."""
    assert (await failed(httpx.Response(429, headers=headers))).retry_after == seconds


async def test_the_rate_limits_own_header_is_a_moment() -> None:
    """`X-Rate-Limit-Retry` says when in epoch seconds, we say in how many."""
    headers = {"x-rate-limit-remaining": "0", "x-rate-limit-retry": str(time.time() + 30)}
    assert (await failed(httpx.Response(429, headers=headers))).retry_after == pytest.approx(30, abs=2)


@pytest.mark.parametrize("answer", [httpx.Response(200, json={}), httpx.Response(500), httpx.ReadTimeout("x")])
async def test_keys_and_bodies_stay_out_of_logs_and_sentences(
    answer: Answer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither our logs, nor httpx's at their most talkative, nor the error have a key or what was sent."""
    said = ""
    with caplog.at_level(logging.DEBUG), structlog.testing.capture_logs() as ours:
        try:
            await client(answer).call("POST", "/v1/customers", {"email": "mia@example.com"})
        except VoucherifyError as error:
            said = f"{error} {error!r} {error.extra}"
    everything = caplog.text + repr(ours) + said + "".join(capfd.readouterr())
    for secret in ("the-secret-key", "the-application-id", "mia@example.com"):
        assert secret not in everything


async def test_the_observer_sees_every_call_without_its_headers() -> None:
    """Each call is told with what was sent and answered, also one that failed; no key is in it."""
    calls: list[Call] = []
    watched = client(httpx.Response(429, json={"message": "Too many"}), calls.append)
    with pytest.raises(VoucherifyUnavailable):
        await watched.call("POST", "/v1/orders", {"a": 1})
    (call,) = calls
    assert (call.method, call.path, call.sent, call.status) == ("POST", "/v1/orders", {"a": 1}, 429)
    assert "the-secret-key" not in repr(call)


async def test_a_publication_that_is_there_already_is_read_back() -> None:
    """`duplicate_source_id` means that an earlier call was done: its code is the answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert json.loads(request.content)["source_id"] == "big-basket:o-1"
            return httpx.Response(400, json={"key": "duplicate_source_id", "message": "Duplicate"})
        assert request.url.params["source_id"] == "big-basket:o-1"
        return httpx.Response(200, json={"publications": [{"vouchers": ["TEN-1"]}]})

    found = await publications.publish(client(answer), "Big basket", {"source_id": "u-1"}, "big-basket:o-1")
    assert publications.code_of(found) == "TEN-1"


@pytest.mark.parametrize("found", [{}, {"publications": []}])
async def test_a_duplicate_that_cannot_be_found_stays_an_error(found: dict[str, object]) -> None:
    """Where the read-back has nothing, no code is made up."""

    def answer(request: httpx.Request) -> httpx.Response:
        refused = httpx.Response(400, json={"key": "duplicate_source_id"})
        return refused if request.method == "POST" else httpx.Response(200, json=found)

    with pytest.raises(VoucherifyRefused, match="duplicate_source_id"):
        await publications.publish(client(answer), "Big basket", {"source_id": "u-1"}, "big-basket:o-1")


async def test_another_refusal_of_a_publication_is_not_read_back() -> None:
    """Only the duplicate is; a campaign that is used up is the caller's to hear of."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.method == "POST"
        return httpx.Response(400, json={"key": "no_voucher_available"})

    with pytest.raises(VoucherifyRefused, match="no_voucher_available"):
        await publications.publish(client(answer), "Big basket", {"source_id": "u-1"}, "big-basket:o-1")


@pytest.mark.parametrize(
    "publication",
    [
        {"voucher": {"code": "A"}},
        {"voucher": "A"},
        {"voucher": None, "vouchers": ["A", "B"]},
        {"vouchers": [{"code": "A"}]},
    ],
)
def test_the_code_of_a_publication_in_all_its_shapes(publication: dict[str, object]) -> None:
    """One answer, the list and older ones show the voucher differently."""
    assert publications.code_of(publication) == "A"


async def test_an_order_that_there_is_not_is_none() -> None:
    """404 for an order is an answer; another refusal is an error."""
    assert await orders.get(client(httpx.Response(404, json={"key": "not_found"})), "a/b") is None
    with pytest.raises(VoucherifyRefused):
        await orders.get(client(httpx.Response(400)), "a/b")


async def test_a_good_answer_says_how_long_to_rest() -> None:
    """Also after a success: where no call is left, `rest` is the time until the next one is allowed."""
    spent = {"x-rate-limit-remaining": "0", "x-rate-limit-retry": str(time.time() + 30)}
    tired = await client(httpx.Response(200, json={}, headers=spent)).send("GET", "/v1/customers", None, {})
    fresh = await client(httpx.Response(200, json={}, headers={"x-rate-limit-remaining": "7"})).send(
        "GET", "/v1", None, {}
    )
    assert (28 < tired.rest <= 30, fresh.rest) == (True, 0.0)
