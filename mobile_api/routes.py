"""The phone's backend: sign in, the member's wallet, the card, and what changes while one looks."""

from dataclasses import dataclass
from typing import Annotated

from litestar import MediaType, Response, Router, get, post
from litestar.channels import ChannelsPlugin
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody
from litestar.response import ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from app.auth import tokens
from app.auth.principal import Principal
from app.db.base import now
from app.errors import NotFound
from app.live.stream import stream
from app.members import service
from app.members.models import Member
from app.members.routes import MemberRead, NewMember, read
from mobile_api import card, floor, rewards
from mobile_api.wallet import Wallet, wallet


class PhoneNumber(BaseModel):
    """Who signs in."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"phone": "+48601234567"}]})

    phone: str = Field(min_length=5, max_length=30)


@dataclass(frozen=True)
class SignedIn:
    """A token for `Authorization: Bearer …`, good for twelve hours."""

    token: str
    member: MemberRead


def _signed_in(state: State, member: Member) -> SignedIn:
    token = tokens.make(state.settings.auth_secret, f"member:{member.id}", ["member"], member=str(member.id))
    return SignedIn(token, read(member))


def _development_only(state: State) -> None:
    """A phone number alone proves nothing: outside development these doors are not there."""
    if not state.settings.development_sign_in:
        raise NotFound


@post("/sign-in", role="public", status_code=200, operation_id="signIn")
async def sign_in(state: State, data: JSONBody[PhoneNumber]) -> SignedIn:
    """Sign in by phone number alone. Exists only while AUTH_DEVELOPMENT_SIGN_IN is on."""
    _development_only(state)
    async with state.database.session() as session:
        member = await service.find(session, phone=data.phone)
    if member is None:
        raise NotFound("No member has this phone number: sign up first.")
    return _signed_in(state, member)


@post("/members", role="public", operation_id="signUp")
async def sign_up(state: State, data: JSONBody[NewMember]) -> Response[SignedIn]:
    """Join on the phone. 201 with the new member, 200 with the member who has this number already.

    Exists only while AUTH_DEVELOPMENT_SIGN_IN is on.
    """
    _development_only(state)
    async with state.database.session() as session:
        member, is_new = await service.enrol(session, service.Enrolment(**data.model_dump()), "phone")
    return Response(_signed_in(state, member), status_code=201 if is_new else 200)


@get("/me", role="member", operation_id="getWallet")
async def me(state: State, principal: NamedDependency[Principal]) -> Wallet:
    """The member's points, card, coupons and latest movements."""
    assert principal.member_id is not None
    async with state.database.session() as session:
        return await wallet(session, principal.member_id, now())


@get("/card.svg", role="member", media_type="image/svg+xml", operation_id="getCard")
async def card_svg(state: State, principal: NamedDependency[Principal]) -> str:
    """The card's bar code (Code 128). 404 until Voucherify gave the card."""
    assert principal.member_id is not None
    async with state.database.session() as session:
        found = await wallet(session, principal.member_id, now())
    if found.card is None:
        raise NotFound("The card is not there yet: Voucherify gives it a moment after the sign-up.")
    picture = card.svg(found.card)
    if picture is None:
        raise NotFound("This card's code has letters that a bar code can't show.")
    return picture


LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID", max_length=100)]


@get("/live", role="member", media_type=MediaType.TEXT, operation_id="followWallet")
async def live(
    state: State,
    principal: NamedDependency[Principal],
    channels: NamedDependency[ChannelsPlugin],
    last_event_id: LastEventId = None,
) -> ServerSentEvent:
    """What happens to the member's wallet, as server-sent events; read `/phone/me` again at each `change`."""
    assert principal.member_id is not None
    return stream(state.database, channels, f"member:{principal.member_id}", last_event_id)


router = Router(
    "/phone",
    route_handlers=[sign_in, sign_up, me, card_svg, live, rewards.rewards, rewards.buy, floor.router],
    tags=["phone"],
)
