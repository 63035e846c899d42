"""Sessions: a validation holds codes and credits for the redemption with its key."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.programme import send
from tests.sandbox.published import check_answer

PERCENT = {"type": "DISCOUNT_VOUCHER", "discount": {"type": "PERCENT", "percent_off": 10}}


async def made(api: httpx.AsyncClient, quantity: int | None = 1) -> None:
    await send(api, "POST", "/v1/vouchers/CODE", {**PERCENT, "redemption": {"quantity": quantity}})


async def ask(
    api: httpx.AsyncClient, what: str, session: dict[str, Any] | None = None, expect: int = 200, **redeemable: Any
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "redeemables": [{"object": "voucher", "id": "CODE", **redeemable}],
        "order": {"amount": 1000},
    }
    if session is not None:
        body["session"] = {"type": "LOCK", **session}
    answer: dict[str, Any] = await send(api, "POST", f"/v1/{what}", body, expect)
    return answer


def refused(answer: dict[str, Any]) -> str | None:
    """The key for which a validation says no."""
    return None if answer["valid"] else str(answer["redeemables"][0]["result"]["error"]["key"])


async def test_a_lock_keeps_a_code_for_its_key(api: httpx.AsyncClient) -> None:
    """With the last use locked nobody else can validate or redeem; the key can, and is free then."""
    await made(api)
    first = await ask(api, "validations", {})
    check_answer("POST", "/v1/validations", first)
    session = first["session"]
    assert session["key"].startswith("ssn_")
    assert (session["type"], session["ttl"], session["ttl_unit"]) == ("LOCK", 7, "DAYS")
    assert refused(await ask(api, "validations")) == "quantity_exceeded"
    assert refused(await ask(api, "validations", {"key": "other"})) == "quantity_exceeded"
    assert (await ask(api, "redemptions", expect=400))["key"] == "quantity_exceeded"
    key = {"key": session["key"]}
    assert refused(await ask(api, "validations", key)) is None
    await ask(api, "redemptions", key)
    await send(api, "DELETE", f"/v1/vouchers/CODE/sessions/{session['key']}", expect=404)
    assert (await send(api, "GET", "/v1/vouchers/CODE"))["redemption"]["redeemed_quantity"] == 1


async def test_a_lock_ends(api: httpx.AsyncClient) -> None:
    """By its time, or by hand; a key or a code that there is not is named in the 404."""
    await made(api)
    shown = await ask(api, "validations", {"key": "mine", "ttl": 90, "ttl_unit": "SECONDS"})
    assert shown["session"] == {"key": "mine", "type": "LOCK", "ttl": 90, "ttl_unit": "SECONDS"}
    await send(api, "POST", "/sandbox/clock", {"advance": 91})
    assert refused(await ask(api, "validations", {"key": "second"})) is None
    assert refused(await ask(api, "validations")) == "quantity_exceeded"
    await send(api, "DELETE", "/v1/vouchers/CODE/sessions/second", expect=204)
    assert refused(await ask(api, "validations")) is None
    missing = await send(api, "DELETE", "/v1/vouchers/CODE/sessions/second", expect=404)
    assert (missing["resource_type"], missing["details"]) == ("session", "Cannot find session with id second")
    missing = await send(api, "DELETE", "/v1/vouchers/NOPE/sessions/second", expect=404)
    assert missing["resource_type"] == "voucher"


async def test_there_are_as_many_locks_as_uses(api: httpx.AsyncClient) -> None:
    """A code with two uses can be locked twice; one without a limit as often as you like."""
    await made(api, 2)
    assert [refused(await ask(api, "validations", {"key": key})) for key in ("a", "b", "c")] == [
        *(None, None, "quantity_exceeded"),
    ]
    await send(api, "DELETE", "/v1/vouchers/CODE", expect=204)
    await made(api, None)
    assert [refused(await ask(api, "validations", {"key": key})) for key in ("a", "b", "c")] == [None] * 3


async def test_the_same_key_locks_anew(api: httpx.AsyncClient) -> None:
    """A second validation with the key replaces what the first locked: another code, other credits."""
    await made(api)
    await send(api, "POST", "/v1/vouchers/OTHER", {**PERCENT, "redemption": {"quantity": 1}})
    await ask(api, "validations", {"key": "mine"})
    body = {
        "redeemables": [{"object": "voucher", "id": "OTHER"}],
        "order": {"amount": 1000},
        "session": {"type": "LOCK", "key": "mine"},
    }
    await send(api, "POST", "/v1/validations", body)
    assert refused(await ask(api, "validations")) is None


async def test_credits_are_locked(api: httpx.AsyncClient) -> None:
    """What a session holds of a gift card nobody else can spend; the rest can be spent by anybody."""
    await send(api, "POST", "/v1/vouchers/CODE", {"type": "GIFT_VOUCHER", "gift": {"amount": 500}})
    await ask(api, "validations", {"key": "mine"}, gift={"credits": 400})
    assert refused(await ask(api, "validations", gift={"credits": 200})) == "gift_amount_exceeded"
    assert (await ask(api, "redemptions", expect=400, gift={"credits": 200}))["key"] == "gift_amount_exceeded"
    assert (await ask(api, "redemptions", gift={"credits": 100}))["redemptions"][0]["amount"] == 100
    await ask(api, "redemptions", {"key": "mine"}, gift={"credits": 400})
    assert (await send(api, "GET", "/v1/vouchers/CODE"))["gift"]["balance"] == 0


async def test_what_fails_locks_nothing(api: httpx.AsyncClient) -> None:
    """A validation that says no has no session; what is right in it stays free, and what its key holds stays held."""
    await made(api)
    body = {
        "redeemables": [{"object": "voucher", "id": code} for code in ("CODE", "NOPE")],
        "session": {"type": "LOCK", "key": "mine"},
    }
    answer = await send(api, "POST", "/v1/validations", body)
    assert (answer["valid"], "session" in answer) == (False, False)
    assert refused(await ask(api, "validations")) is None
    await ask(api, "validations", {"key": "mine"})
    await send(api, "POST", "/v1/validations", body)
    assert refused(await ask(api, "validations")) == "quantity_exceeded"


@pytest.mark.parametrize("session", [{"ttl": -1}, {"ttl_unit": "WEEKS"}, {"ttl": 400}, {"key": 5}, {"type": "OPEN"}])
async def test_a_bad_session_is_refused(api: httpx.AsyncClient, session: dict[str, Any]) -> None:
    """Validation and redemption check it in the same way."""
    await made(api)
    for what in ("validations", "redemptions"):
        assert (await ask(api, what, session, expect=400))["key"] == "invalid_payload"


@given(st.integers(1, 3), st.lists(st.tuples(st.sampled_from("vrd"), st.sampled_from("abc-")), max_size=12))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
async def test_locks_and_uses_never_exceed_the_quantity(
    api: httpx.AsyncClient, quantity: int, steps: list[tuple[str, str]]
) -> None:
    """Law: uses and foreign locks together decide, as a model of a few lines says, for any order of calls."""
    await send(api, "POST", "/sandbox/reset")
    await made(api, quantity)
    used, locks = 0, set[str]()
    for what, key in steps:
        session = None if key == "-" else {"key": key}
        free = used + len(locks - {key}) < quantity
        if what == "d":
            expect = 204 if key in locks else 404
            await send(api, "DELETE", f"/v1/vouchers/CODE/sessions/{key}", expect=expect)
            locks.discard(key)
        elif what == "v":
            assert refused(await ask(api, "validations", session)) == (None if free else "quantity_exceeded")
            if free and session:
                locks.add(key)
        else:
            await ask(api, "redemptions", session, expect=200 if free else 400)
            if free:
                used += 1
                locks.discard(key)
    assert (await send(api, "GET", "/v1/vouchers/CODE"))["redemption"]["redeemed_quantity"] == used
