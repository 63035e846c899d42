"""The members API: used by tills, by the phone's backend, and by anybody's own client."""

from typing import Annotated
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from app.errors import BadInput, NotFound
from app.members import service
from app.members.models import Member

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""No control characters: Postgres can't store a NUL, and a receipt can't print the others."""


class NewMember(BaseModel):
    """Who joins. The phone is what a member is known by at a till."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"phone": "+48601234567", "first_name": "Mia"}]}
    )

    phone: str = Field(min_length=5, max_length=30)
    first_name: str = Field(default="", max_length=100, pattern=PRINTABLE)
    last_name: str = Field(default="", max_length=100, pattern=PRINTABLE)
    email: str | None = Field(default=None, max_length=200, pattern=r"^[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+$")


class MemberRead(BaseModel):
    id: UUID
    phone: str
    card: str | None
    """Null until Voucherify gave it, a moment after the enrolment."""
    first_name: str
    last_name: str
    email: str | None


def read(member: Member) -> MemberRead:
    return MemberRead.model_validate(member, from_attributes=True)


@post("/members", role="register", operation_id="enrolMember")
async def enrol(state: State, data: JSONBody[NewMember]) -> Response[MemberRead]:
    """Enrol somebody. 201 with the new member; 200 with the member who has this phone already."""
    async with state.database.session() as session:
        member, is_new = await service.enrol(session, service.Enrolment(**data.model_dump()), "till")
    return Response(read(member), status_code=201 if is_new else 200)


@get("/members", role="register", operation_id="findMember")
async def find(
    state: State,
    phone: Annotated[str | None, QueryParameter(max_length=30)] = None,
    card: Annotated[str | None, QueryParameter(max_length=100, pattern=PRINTABLE)] = None,
) -> MemberRead:
    """Find a member by phone or by card."""
    if bool(phone) == bool(card):
        raise BadInput("Give either phone or card.", field="phone")
    async with state.database.session() as session:
        member = await service.find(session, phone=phone, card=card)
    if member is None:
        raise NotFound("No member has this phone or card.")
    return read(member)


@get("/members/{member_id:uuid}", role="register", operation_id="getMember")
async def get_member(state: State, member_id: FromPath[UUID]) -> MemberRead:
    """A member by id."""
    async with state.database.session() as session:
        member = await service.get(session, member_id)
    if member is None:
        raise NotFound("No member has this id.")
    return read(member)


router = Router("/", route_handlers=[enrol, find, get_member], tags=["members"])
