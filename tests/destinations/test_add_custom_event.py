"""A custom event without an answer: how it is looked up, and when an activity proves that it was recorded."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.destinations.base import Sent
from app.destinations.voucherify.actions.add_custom_event import ADD_CUSTOM_EVENT, MOST_ENTRIES, is_recorded

AT = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
SENT = Sent(AT, {"event": "Coffee Drunk", "customer": {"source_id": "u/1"}, "metadata": {"cups": 2, "hot": True}})
API = {"apiKey": "app-id", "secretKey": "key", "customURL": "https://api.voucherify.io"}


def entry(after: float = 0.5, name: str = "Coffee Drunk", metadata: Any = None) -> dict[str, Any]:
    """An entry as published, recorded so many seconds after the sending began."""
    at = AT + timedelta(seconds=after)
    kept = {"cups": 2, "hot": True} if metadata is None else metadata
    return {
        "id": "evcus_1",
        "type": "customer.custom_event",
        "data": {"data": {"event": {"object": "event", "type": name, "metadata": kept}}},
        "created_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "group_id": "v-1",
    }


def activity(*entries: dict[str, Any], has_more: bool = False) -> dict[str, Any]:
    return {"object": "list", "data_ref": "data", "data": list(entries), "has_more": has_more}


@pytest.mark.parametrize("transport", ["v1", "segmentio"])
def test_the_look_up_goes_to_the_public_api(transport: str) -> None:
    """Whatever the transport of events, the question goes to `/v1` with the keys of the API."""
    look_up = ADD_CUSTOM_EVENT.repeat.look_up
    assert look_up is not None
    asked = look_up(SENT.payload, {"apiKey": "other", "secretKey": "other", "transport": transport, "api": API})
    assert (asked.method, asked.body, asked.headers["x-app-id"]) == ("GET", None, "app-id")
    assert asked.url == (
        f"https://api.voucherify.io/v1/customers/u%2F1/activity?type=customer.custom_event&limit={MOST_ENTRIES}"
    )


def test_not_found_is_never_sent_again() -> None:
    """No key exists, so a second sending could earn twice: the row is held for a person."""
    assert (ADD_CUSTOM_EVENT.repeat.safe, ADD_CUSTOM_EVENT.repeat.sends_again) == (False, False)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(activity(entry()), id="the same"),
        pytest.param(activity(entry(0.0)), id="in the millisecond of the sending, which Voucherify cuts off"),
        pytest.param(activity(entry(170)), id="three minutes on its way"),
        pytest.param(activity(entry(metadata={"cups": 2})), id="the gateway dropped a key that no schema defines"),
        pytest.param(activity(entry(), entry(-60)), id="an earlier one of the same look is beside it"),
        pytest.param(activity(entry(), entry(name="Tea Drunk"), entry(metadata={"cups": 3})), id="others in between"),
        pytest.param(activity(entry(), entry(-1), has_more=True), id="the page reaches back far enough"),
        pytest.param(activity({**entry(), "data": entry()["data"]["data"]}), id="data not nested, as in older samples"),
    ],
)
def test_it_is_found(found: dict[str, Any]) -> None:
    """Exactly one entry that can be ours proves that it was recorded."""
    assert is_recorded(found, SENT)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(None, id="404: no such customer"),
        pytest.param(activity(), id="empty"),
        pytest.param(activity(entry(-0.5)), id="recorded before it was sent"),
        pytest.param(activity(entry(181)), id="later than a request can be on its way"),
        pytest.param(activity(entry(name="Tea Drunk")), id="another event"),
        pytest.param(activity(entry(metadata={"cups": 3, "hot": True})), id="another value"),
        pytest.param(activity(entry(metadata={"cups": 2, "hot": True, "size": 1})), id="a key that we did not send"),
        pytest.param(activity(entry(), entry(2)), id="two like it: nobody knows which"),
        pytest.param(activity(entry(), has_more=True), id="the page ends too early: there may be a second one"),
        pytest.param(activity(entry(), {**entry(), "created_at": "soon"}), id="an entry without a time"),
        pytest.param(activity({**entry(), "data": {"data": None}}), id="an entry without data"),
        pytest.param({"data": "none"}, id="not a list"),
        pytest.param("<html>", id="not even JSON"),
    ],
)
def test_it_is_not_proved(found: Any) -> None:
    """Whatever leaves a doubt is not found: a wrong yes would lose the event."""
    assert not is_recorded(found, SENT)


def test_an_event_without_a_name_is_never_found() -> None:
    """The gateway takes one; an entry that has no name either proves nothing."""
    nameless = Sent(AT, {"customer": {"source_id": "u-1"}})
    assert not is_recorded(activity({**entry(), "data": {"data": {"event": {"metadata": {}}}}}), nameless)
