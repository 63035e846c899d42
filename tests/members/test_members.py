"""Members through the API: enrolling at two tills at once, finding, and what a wrong call is told."""

import asyncio
import random
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select

from app.emitter.models import Emission
from app.members import service
from app.members.models import Member
from tests.web import Web


def phone() -> str:
    return f"+4860{random.randrange(10**6, 10**7)}"


async def enrol(web: Web, number: str, **more: Any) -> dict[str, Any]:
    async with web.till() as till:
        response = await till.post("/members", json={"phone": number, **more})
    assert response.status_code == 201, response.text
    member: dict[str, Any] = response.json()
    return member


async def test_two_tills_enrolling_one_phone_make_one_member(web: Web) -> None:
    """Tills that enrol one phone at the same moment get one member, one of them as new, and one identify is emitted."""
    number = phone()
    written = [number, f"{number[:3]} {number[3:]}"] * 4
    async with web.till("warsaw/1") as one, web.till("paris/2") as other:
        answers = await asyncio.gather(
            *[
                till.post("/members", json={"phone": each, "first_name": f"Name {index}"})
                for index, (till, each) in enumerate(zip([one, other] * 4, written, strict=True))
            ]
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.text for answer in answers}) == 1
    member_id = answers[0].json()["id"]
    async with web.database.session() as session:
        emitted = (await session.exec(select(Emission).where(Emission.message["userId"].astext == member_id))).all()
    assert [emission.message["type"] for emission in emitted] == ["identify"]


async def test_identify_says_what_segment_and_voucherify_read(web: Web) -> None:
    """The identify of a new member has the member's id, both spellings of the names, and a messageId of its own."""
    number = phone()
    member = await enrol(web, number, first_name=" Mia ", last_name="Nowak", email="mia@example.com")
    async with web.database.session() as session:
        found = await session.exec(select(Emission).where(Emission.message_id == f"member-enrolled:{member['id']}"))
        message = found.one().message
    assert message["userId"] == member["id"]
    traits = message["traits"]
    assert (traits["first_name"], traits["firstName"], traits["last_name"], traits["lastName"]) == (
        *("Mia", "Mia"),
        *("Nowak", "Nowak"),
    )
    assert (traits["name"], traits["email"], traits["phone"]) == ("Mia Nowak", "mia@example.com", number)


async def test_a_member_is_found_by_phone_card_and_id(web: Web) -> None:
    """Phone (however written), card and id lead to the same member."""
    number, card = phone(), f"CC-{uuid4().hex[:8]}"
    member = await enrol(web, number)
    async with web.database.transaction() as connection:
        await service.set_card(connection, member["id"], card)
    async with web.till() as till:
        by_phone = await till.get("/members", params={"phone": f"{number[:3]} {number[3:6]} {number[6:]}"})
        by_card = await till.get("/members", params={"card": card})
        by_id = await till.get(f"/members/{member['id']}")
    assert by_phone.json() == by_card.json() == by_id.json() == {**member, "card": card}


@pytest.mark.parametrize("asked", [{"phone": "+48699999999"}, {"card": "CC-none"}])
async def test_nobody_is_found_for_what_nobody_has(web: Web, asked: dict[str, str]) -> None:
    """A phone or card that no member has finds nobody, also while others still wait for their card."""
    await enrol(web, phone())
    async with web.till() as till:
        response = await till.get("/members", params=asked)
    assert response.status_code == 404
    assert response.json()["detail"] == "No member has this phone or card."


async def test_finding_by_nothing_finds_nobody(web: Web) -> None:
    """Asked for neither phone nor card the service finds nobody, instead of somebody without a card."""
    await enrol(web, phone())
    async with web.database.session() as session:
        assert await service.find(session) is None
        assert (await session.exec(select(Member).limit(1))).first() is not None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "phone"),
        ({"phone": "601234567"}, "phone"),
        ({"phone": 48601234567}, "phone"),
        ({"phone": "+" + "1" * 40}, "phone"),
        ({"phone": "+48601234567", "first_name": "x" * 101}, "first_name"),
        ({"phone": "+48601234567", "first_name": "Mi\x00a"}, "first_name"),
        ({"phone": "+48601234567", "last_name": "\x1b[31m"}, "last_name"),
        ({"phone": "+48601234567", "email": "mia"}, "email"),
        ({"phone": "+48601234567", "email": "mi\x00a@example.com"}, "email"),
        ({"phone": "+48601234567", "nickname": "M"}, "nickname"),
    ],
    ids=map(str, range(10)),
)
async def test_a_wrong_enrolment_names_the_field(web: Web, body: dict[str, Any], field: str) -> None:
    """A body that is not right gets 400 as problem+json, whose sentence names the field; nobody is enrolled."""
    async with web.database.connection() as connection:
        before = await connection.fetchval("SELECT count(*) FROM member")
        async with web.till() as till:
            response = await till.post("/members", json=body)
        after = await connection.fetchval("SELECT count(*) FROM member")
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert field in response.json()["detail"]
    assert after == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
async def test_a_body_that_is_no_object_is_refused(web: Web, body: bytes) -> None:
    """Broken JSON and JSON of another kind get 400 as problem+json, never a failure of ours."""
    async with web.till() as till:
        response = await till.post("/members", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "phone or card"),
        ({"phone": "+48601234567", "card": "CC-1"}, "phone or card"),
        ({"phone": "601"}, "phone"),
        ({"card": "C" * 101}, "card"),
        ({"card": "C\x00"}, "card"),
    ],
)
async def test_a_wrong_search_names_the_field(web: Web, asked: dict[str, str], field: str) -> None:
    """Searching by nothing, by both, or by something that can't be one gets 400 with the field's name."""
    async with web.till() as till:
        response = await till.get("/members", params=asked)
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert field in response.json()["detail"]
