"""④ The second feed of the inbox: what happened, read from Voucherify's lists where its webhooks can't come.

Each list is walked from its newest row back to what was there when it was walked last, and five minutes further: what
was committed late is found, and what was stored before is known by its id. A page is stored together with the place of
the walk, so that a worker that was killed goes on where it was. The rows become webhooks in the inbox, and from there
on nothing knows which feed they came by.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from app.db import storable
from app.db.base import now
from app.db.session import Database
from app.errors import LoyaltyError
from app.telemetry import WEBHOOKS, log
from app.voucherify import happened
from app.voucherify.client import Client
from app.voucherify.happened import MOST_PAGES, Page
from app.webhooks import from_lists, inbox
from app.webhooks.from_lists import SOURCE, Row
from app.webhooks.parse import parse, uuid_of

OVERLAP: Final = timedelta(minutes=5)
"""Voucherify works on in the background after it has answered, for seconds; its rows may be seen later than their
time says."""
CARDS: Final = "transactions:"
"""Before the name of the campaign, in the name of such a list."""
ODD: Final = (KeyError, TypeError, AttributeError, ValueError)
"""How a row fails that is not what is documented."""
Answer = TypeVar("Answer")


class _NoCallsLeft(Exception):
    """This look has made as many calls as it may: the next one goes on."""


@dataclass
class _Look:
    """What one look may still do, and did."""

    calls_left: int
    calls: int = 0
    new: int = 0
    trouble: list[str] = field(default_factory=list)

    async def ask(self, question: Callable[[], Awaitable[Answer]], *, begun: bool = False) -> Answer:
        """`begun`: it belongs to one before it, and is asked though no call is left: a row of which one look could not
        ask all would be begun again by each, and everything behind it would wait for ever.
        """
        if not self.calls_left and not begun:
            raise _NoCallsLeft
        self.calls_left = max(0, self.calls_left - 1)
        self.calls += 1
        return await question()


@dataclass(frozen=True)
class _Walk:
    """How far a list was read: everything before `watermark`, and the place of a walk that is under way."""

    name: str
    watermark: datetime | None
    walk: dict[str, Any]
    """`until` (it ends there), `newest` (the next watermark) and `place` (of the next page)."""


@dataclass(frozen=True)
class Poller:
    """Reads the lists; one worker at a time runs it, and two at once would store nothing twice."""

    database: Database
    client: Client
    calls: int
    """That one look makes at most."""

    async def run_once(self) -> str:
        """One look at all lists, the one that waited longest first.

        Raises:
            LoyaltyError: some list could not be read; the others were.
        """
        look = _Look(self.calls)
        try:
            for name in await self._names():
                await self._list(look, name)
        except _NoCallsLeft:
            pass
        if look.new:
            log.info("poll.read", new=look.new, calls=look.calls)
        if look.trouble:
            raise LoyaltyError("; ".join(look.trouble))
        return f"{look.new} new, {look.calls} calls"

    async def _names(self) -> list[str]:
        async with self.database.transaction() as connection:
            cards = await connection.fetch("SELECT DISTINCT campaign FROM polled_card WHERE member_id IS NOT NULL")
            names = ["publications", "redemptions", *sorted(CARDS + row["campaign"] for row in cards)]
            await connection.execute(
                "INSERT INTO polled_list (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", names
            )
            rows = await connection.fetch(
                """SELECT name FROM polled_list JOIN unnest($1::text[]) WITH ORDINALITY AS given (name, place)
                   USING (name) ORDER BY read_at NULLS FIRST, place""",
                names,
            )
        return [row["name"] for row in rows]

    async def _list(self, look: _Look, name: str) -> None:
        """Read a list until its walk ends. What one list is refused does not keep the others from being read."""
        try:
            while await self._page(look, await self._walk(name)):
                pass
        except LoyaltyError as error:
            log.warning("poll.trouble", list=name, reason=error.sentence)
            look.trouble.append(f"{name}: {error.sentence}")

    async def _walk(self, name: str) -> _Walk:
        async with self.database.connection() as connection:
            row = await connection.fetchrow(
                """SELECT watermark, walk, coalesce(watermark, (SELECT min(created_at) FROM member), now()) AS since
                   FROM polled_list WHERE name = $1""",
                name,
            )
        walk = row["walk"] or {"until": (row["since"] - OVERLAP).isoformat(), "newest": None, "place": None}
        return _Walk(name, row["watermark"], walk)

    async def _page(self, look: _Look, at: _Walk) -> bool:
        """Read one page and store what it tells with the place of the walk; whether the walk goes on."""
        place, until = at.walk["place"], datetime.fromisoformat(at.walk["until"])
        page = await look.ask(lambda: self._read(at.name, place))
        rows, moments = self._dated(look, at.name, storable.parsed(msgspec.json.encode(page.rows)))
        # Up to the last one that is new enough: one among them may be older by its time, for it was made up for.
        new = max((place for place, moment in enumerate(moments, 1) if moment >= until), default=0)
        wanted = rows[:new][::-1]
        newest = at.walk["newest"] or (max(moments).isoformat() if moments else None)
        on = page.next if wanted and len(wanted) == len(rows) else None
        if on is not None and at.name in {"publications", "redemptions"} and int(on) > MOST_PAGES:
            log.error("poll.too_far", list=at.name, until=at.walk["until"])
            look.trouble.append(f"{at.name}: more than {MOST_PAGES} pages since {at.walk['until']}; the rest is unread")
            on = None
        made: list[Row] = []
        cards: list[tuple[Any, ...]] = []
        try:
            for row in await self._unknown(at.name, wanted):
                try:
                    made += await self._told(look, at.name, row, cards)
                except ODD as error:
                    _poison(look, at.name, row, error)
        except (_NoCallsLeft, LoyaltyError):
            await self._keep(look, made, cards, None)
            raise
        walk = {"until": at.walk["until"], "newest": newest, "place": on} if on is not None else None
        watermark = at.watermark if on is not None or newest is None else datetime.fromisoformat(newest)
        return await self._keep(look, made, cards, (at, watermark, walk)) and on is not None

    def _dated(self, look: _Look, name: str, given: list[Any]) -> tuple[list[Row], list[datetime]]:
        """The rows that have an id and a time, and their times."""
        rows, moments = [], []
        for row in given:
            try:
                moments.append(from_lists.moment(row))
                rows.append(row)
            except ODD as error:
                _poison(look, name, row, error)
        return rows, moments

    async def _read(self, name: str, place: str | None) -> Page:
        if name == "publications":
            return await happened.publications(self.client, place)
        if name == "redemptions":
            return await happened.redemptions(self.client, place)
        return await happened.transactions(self.client, name.removeprefix(CARDS), place)

    async def _unknown(self, name: str, rows: list[Row]) -> list[Row]:
        """The rows that are not in the inbox yet, in their order."""
        async with self.database.connection() as connection:
            known = await connection.fetch(
                """SELECT DISTINCT substring(event_id FROM '[^:]+$') AS id FROM webhook
                   WHERE source_id = $1 AND event_id = ANY($2)""",
                SOURCE,
                [f"{kind}:{row['id']}" for row in rows for kind in KINDS[name.partition(":")[0]]],
            )
        ids = {row["id"] for row in known}
        return [row for row in rows if row["id"] not in ids]

    async def _told(self, look: _Look, name: str, row: Row, cards: list[tuple[Any, ...]]) -> list[Row]:
        """The webhooks that would have told of a row; none where it is about nobody of ours."""
        if name == "publications":
            return await self._publication(look, row, cards)
        if name == "redemptions":
            return from_lists.redemption(row) if _member(row.get("customer")) else []
        card = await self._card(look, row["voucher_id"])
        if card is None or card["member_id"] is None:
            return []
        return from_lists.transaction(row, card["code"], card["campaign"], str(card["member_id"]))

    async def _publication(self, look: _Look, row: Row, cards: list[tuple[Any, ...]]) -> list[Row]:
        member = _member(row.get("customer"))
        if member is None or row.get("result", "SUCCESS") != "SUCCESS":
            return []
        shown = row.get("voucher")
        if isinstance(shown, dict) and shown.get("loyalty_card"):
            cards += [(id_, shown["code"], shown.get("campaign") or "", member) for id_ in row.get("vouchers_id") or []]
            return from_lists.publication(row, [shown])
        codes = [each for each in row.get("vouchers") or [shown and shown["code"]] if each]
        full = [
            await look.ask(partial(happened.voucher, self.client, code), begun=place > 0)
            for place, code in enumerate(codes)
        ]
        return from_lists.publication(row, [each for each in full if each is not None] or [shown or {}])

    async def _card(self, look: _Look, voucher_id: str) -> Any:
        """Whose card it is, asked once of one whose publication was not read."""
        async with self.database.connection() as connection:
            if known := await connection.fetchrow("SELECT * FROM polled_card WHERE voucher_id = $1", voucher_id):
                return known
        card = await look.ask(lambda: happened.voucher(self.client, voucher_id))
        card = card or {"code": ""}  # deleted meanwhile: not asked for again
        holder = card.get("holder_id")
        found = await look.ask(lambda: happened.customer(self.client, holder)) if holder else None
        async with self.database.transaction() as connection:
            await _remember(connection, (voucher_id, card["code"], card.get("campaign") or "", _member(found)))
            return await connection.fetchrow("SELECT * FROM polled_card WHERE voucher_id = $1", voucher_id)

    async def _keep(
        self,
        look: _Look,
        made: list[Row],
        cards: list[tuple[Any, ...]],
        step: tuple[_Walk, datetime | None, dict[str, Any] | None] | None,
    ) -> bool:
        """Store it all at once; False when another worker walked on meanwhile, which stored the same."""
        async with self.database.transaction() as connection:
            for card in cards:
                await _remember(connection, card)
            for body in made:
                parsed = parse(body)
                assert parsed is not None
                new = await inbox.put(connection, parsed, body)
                WEBHOOKS.labels("polled" if new else "duplicate").inc()
                look.new += new
            if step is None:
                return False
            at, watermark, walk = step
            return bool(
                await connection.fetchval(
                    """UPDATE polled_list SET watermark = $2, walk = $3::jsonb, read_at = $6
                       WHERE name = $1 AND watermark IS NOT DISTINCT FROM $4
                         AND coalesce(walk ->> 'place', '') = $5 RETURNING true""",
                    at.name,
                    watermark,
                    None if walk is None else msgspec.json.encode(walk).decode(),
                    at.watermark,
                    at.walk["place"] or "",
                    now(),
                )
            )


KINDS: Final = {
    "publications": ("publication.succeeded",),
    "redemptions": ("redemption.succeeded", "redemption.rollback.succeeded"),
    "transactions": ("voucher.loyalty_card.transaction.created",),
}


def _poison(look: _Look, name: str, row: Any, error: Exception) -> None:
    """One odd row harms only itself. What it says is not logged: it may be about somebody."""
    identifier = row.get("id") if isinstance(row, dict) else None
    log.error("poll.poison", list=name, row=identifier, error=type(error).__name__)
    look.trouble.append(f"{name}: {identifier or 'a row'} can't be read")


async def _remember(connection: asyncpg.Connection, card: tuple[Any, ...]) -> None:
    await connection.execute(
        """INSERT INTO polled_card (voucher_id, code, campaign, member_id) VALUES ($1, $2, $3, $4)
           ON CONFLICT (voucher_id) DO UPDATE SET campaign = excluded.campaign, member_id = excluded.member_id""",
        *card,
    )


def _member(customer: Any) -> UUID | None:
    return uuid_of(customer.get("source_id")) if isinstance(customer, dict) else None
