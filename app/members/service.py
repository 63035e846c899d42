"""Enrolling and finding members. Row and identify commit together (rule 12)."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, false, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.db.base import now
from app.db.session import raw_connection
from app.emitter import messages
from app.emitter.outbox import emit
from app.members.models import Member
from app.members.phone import e164


@dataclass(frozen=True)
class Enrolment:
    """What somebody gives to become a member."""

    phone: str
    first_name: str = ""
    last_name: str = ""
    email: str | None = None


async def enrol(session: AsyncSession, enrolment: Enrolment, source: str) -> tuple[Member, bool]:
    """Make a member, or return the one who has this phone; and whether it is new.

    Two tills that enrol one phone at once get the same member: the unique phone decides, not a look before.
    """
    phone, created_at = e164(enrolment.phone), now()
    inserted = await session.exec(
        insert(Member)
        .values(
            id=uuid4(),
            phone=phone,
            first_name=enrolment.first_name.strip(),
            last_name=enrolment.last_name.strip(),
            email=enrolment.email,
            source=source,
            created_at=created_at,
        )
        .on_conflict_do_nothing(index_elements=["phone"])
        .returning(col(Member.id))
    )
    is_new = inserted.scalar_one_or_none() is not None
    member = (await session.exec(select(Member).where(Member.phone == phone))).one()
    if is_new:
        await emit(await raw_connection(session), source, _identify(member))
    return member, is_new


async def find(session: AsyncSession, *, phone: str | None = None, card: str | None = None) -> Member | None:
    """The member with this phone or this card."""
    # What is not asked for must not be compared: `card == None` would be IS NULL, and find whoever waits for a card.
    wanted = [col(Member.phone) == e164(phone)] if phone else []
    wanted += [col(Member.card) == card] if card else []
    return (await session.exec(select(Member).where(or_(false(), *wanted)))).first()


async def get(session: AsyncSession, member_id: UUID) -> Member | None:
    return await session.get(Member, member_id)


async def set_card(connection: asyncpg.Connection, member_id: UUID, card: str) -> None:
    """Note the loyalty card that the engine gave to the member."""
    await connection.execute("UPDATE member SET card = $2 WHERE id = $1", member_id, card)


def _identify(member: Member) -> dict[str, object]:
    # Segment's reserved traits are camelCase, Voucherify's mapping reads snake_case: both are there, so that the
    # mapping works unchanged and other destinations do as well.
    names = {
        "first_name": member.first_name,
        "firstName": member.first_name,
        "last_name": member.last_name,
        "lastName": member.last_name,
        "name": f"{member.first_name} {member.last_name}".strip(),
        "email": member.email,
    }
    return messages.identify(
        str(member.id),
        f"member-enrolled:{member.id}",
        member.created_at,
        {
            **{name: value for name, value in names.items() if value},
            "phone": member.phone,
            "createdAt": member.created_at.isoformat(),
            "metadata": {"registered_customer": True, "enrolled_by": member.source},
        },
    )
