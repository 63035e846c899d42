"""What can't be bought or moved, and what only looks so: each is told in words, and the ledger stays."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from app.errors import BadInput, Busy, LoyaltyError, NotFound, Refused
from app.members.service import Enrolment, enrol
from app.points.words import told
from app.voucherify.client import Client
from app.voucherify.loyalty import LoyaltyV1
from tests.points.conftest import KINDS, PRICE, WELCOME, Counter, Holder, faulty, wanted


@KINDS
@pytest.mark.parametrize("status", [400, 401, 423, 429, 503])
async def test_a_certain_no_is_refused_at_once(counter: Counter, kind: str, status: int) -> None:
    """What certainly was not done is REFUSED and said so, with no look-up; the same key gives the same answer."""
    holder = await counter.holder()
    await counter.faults(fail_next=faulty(holder, status=status))
    asked = wanted(counter, holder, kind)
    operation = await counter.points.ask(asked)
    assert (operation.status, operation.look_ups) == ("REFUSED", [])
    assert "No points were moved" in str(told(operation))
    assert ("try again" in str(told(operation))) == (status in {423, 429, 503})
    assert (await counter.points.ask(asked)).refusal == operation.refusal
    assert (await counter.sent(holder), await counter.balance(holder)) == (1, WELCOME + PRICE)


@pytest.mark.parametrize("status", [408, 500, 502, 504, 520])
async def test_an_answer_that_leaves_it_open_is_looked_up(counter: Counter, status: int) -> None:
    """After a time-out or a server's error nobody says no: the operation waits for its look-up."""
    holder = await counter.holder()
    await counter.faults(fail_next=faulty(holder, status=status))
    assert (await counter.points.ask(counter.purchase(holder))).status == "PENDING"


async def test_a_voucherify_that_cannot_be_reached_refuses_an_adjustment(counter: Counter) -> None:
    """Where nobody listens nothing was sent, so it is REFUSED at once."""
    holder = await counter.holder()
    nowhere = Client("http://127.0.0.1:9", SecretStr("app-id"), SecretStr("app-token"), timeout=1)
    points = replace(counter.points, engine=LoyaltyV1(nowhere))
    operation = await points.ask(counter.adjustment(holder))
    await nowhere.close()
    assert operation.status == "REFUSED"
    assert "Nothing was sent" in str(operation.refusal)


@pytest.mark.parametrize(
    ("wrong", "kind", "said"),
    [
        ({"reward_id": "rew_gone"}, NotFound, "reward"),
        ({"member_id": uuid4()}, NotFound, "member"),
        ({"reward_id": None, "points": 0}, BadInput, "points"),
    ],
    ids=range(3),
)
async def test_a_wrong_request_leaves_nothing(
    counter: Counter, wrong: dict[str, Any], kind: type[LoyaltyError], said: str
) -> None:
    """What can't be asked for is refused by name before a row is written, and its key stays free."""
    holder = await counter.holder()
    asked = counter.purchase(holder)
    with pytest.raises(kind, match=said):
        await counter.points.ask(replace(asked, **wrong))
    assert await counter.operations(holder) == []
    assert (await counter.points.ask(asked)).status == "DONE"


async def test_without_a_card_there_is_nothing_to_spend(counter: Counter) -> None:
    """A member whose card has not come yet is offered nothing, and told to wait."""
    async with counter.database.session() as session:
        member, _ = await enrol(session, Enrolment("+48699999999"), "till")
    assert await counter.points.rewards(member.id) == []
    with pytest.raises(Refused, match="card is not there yet"):
        await counter.points.ask(counter.purchase(Holder(member.id, "")))


async def test_an_unreadable_catalogue_asks_to_wait(counter: Counter) -> None:
    """While rewards can't be read nothing is written, and the caller is told when to ask again."""
    holder = await counter.holder()
    await counter.faults(fail_next={"path": f"/v1/loyalties/members/{holder.card}/rewards", "status": 503})
    with pytest.raises(Busy) as caught:
        await counter.points.ask(counter.purchase(holder))
    assert caught.value.retry_after is not None
    assert await counter.operations(holder) == []


async def test_moments_are_kept(counter: Counter) -> None:
    """Row, sending and end have their times, in that order."""
    operation = await counter.points.ask(counter.purchase(await counter.holder()))
    sent = datetime.fromisoformat(operation.sent["at"])
    assert operation.finished_at is not None
    assert operation.created_at <= sent <= datetime.now(UTC)
    assert operation.created_at <= operation.finished_at
