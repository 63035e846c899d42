"""The mirror of a member's loyalty: what Voucherify said last, by its own times. Nothing is calculated (rule 10)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from app.profiles import store


@dataclass(frozen=True)
class CardState:
    """A card's balance (points) as stated at a moment of Voucherify's clock."""

    code: str
    campaign: str
    balance: int
    as_of: datetime


def newer(stored: dict[str, Any], state: CardState, moved: int | None = None) -> dict[str, Any]:
    """The mirror after hearing of a state: a later moment wins, so webhooks may come in any order.

    Where the balance known before and the points `moved` do not give the stated balance, or where a movement is older
    than what is known, something was missed or came in another order: the mirror is marked `unsettled`, and the card
    is asked for.
    """
    known = stored.get("balance")
    fits = moved is None or known is None or known + moved == state.balance
    if stored.get("as_of") and datetime.fromisoformat(stored["as_of"]) > state.as_of:
        # A movement that comes late, or one that our own clock only takes for late: the engine knows which.
        return stored if moved is None else {**stored, "unsettled": True}
    return {
        **stored,
        **({} if fits else {"unsettled": True}),
        "card": state.code,
        "campaign": state.campaign,
        "balance": state.balance,
        "as_of": state.as_of.isoformat(),
    }


async def note_card(
    connection: asyncpg.Connection, member_id: UUID, state: CardState, moved: int | None = None
) -> None:
    """Bring the member's mirror to this state, unless it knows a later one."""
    profile, mirror = await _locked(connection, member_id)
    await _write(connection, profile, newer(mirror, state, moved))


async def settle(connection: asyncpg.Connection, member_id: UUID, state: CardState, seen: dict[str, Any]) -> bool:
    """Take over what Voucherify answered when it was asked for the card, at `state.as_of`.

    False when the mirror is not as it was `seen` before the question: what came meanwhile may be newer than the
    answer, so the card is to be asked for again.
    """
    profile, mirror = await _locked(connection, member_id)
    if mirror != seen:
        return False
    as_of = mirror.get("as_of")
    # Not before what is known already: a sandbox's clock may run ahead of ours.
    latest = max(state.as_of, datetime.fromisoformat(as_of)) if as_of else state.as_of
    mirror.pop("unsettled", None)
    await _write(connection, profile, {**mirror, "balance": state.balance, "as_of": latest.isoformat()})
    return True


async def give_up(connection: asyncpg.Connection, member_id: UUID) -> None:
    """Stop asking for a card that the engine does not have."""
    profile, mirror = await _locked(connection, member_id)
    mirror.pop("unsettled", None)
    await _write(connection, profile, mirror)


async def _locked(connection: asyncpg.Connection, member_id: UUID) -> tuple[UUID, dict[str, Any]]:
    profile = await store.of_user(connection, str(member_id))
    stored = await connection.fetchval("SELECT loyalty FROM profile WHERE id = $1 FOR UPDATE", profile)
    mirror: dict[str, Any] = dict(stored)
    return profile, mirror


async def _write(connection: asyncpg.Connection, profile: UUID, mirror: dict[str, Any]) -> None:
    await connection.execute(
        "UPDATE profile SET loyalty = $2, updated_at = now() WHERE id = $1",
        profile,
        msgspec.json.encode(mirror).decode(),
    )
