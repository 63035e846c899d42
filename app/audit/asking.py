"""What the auditor asks Voucherify: counted, bounded and paced, for the shop lives on the same quota."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from app.audit.members import Engine, Published, Transaction
from app.errors import VoucherifyRefused, VoucherifyUnavailable, VoucherifyUnclear
from app.voucherify import orders, publications
from app.voucherify.client import Client
from app.voucherify.happened import PAGE
from app.voucherify.loyalty import LoyaltyV1

Answer = TypeVar("Answer")
TRIES = 4
"""Of a call that Voucherify can't take now. All calls here only read, so each may be repeated."""


class BudgetSpentError(Exception):
    """All calls that were allowed have been made."""


@dataclass
class Asker:
    """Reads from Voucherify within a budget of calls."""

    client: Client
    budget: int
    per_minute: int
    longest_pause: float = 60.0
    """Seconds until a call is tried again, at most."""
    made: int = 0
    _next: float = field(default=0.0)

    @property
    def left(self) -> int:
        return self.budget - self.made

    async def ask(self, question: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """One call that reads; None for 404.

        Raises:
            BudgetSpentError: no call is left.
            VoucherifyError: it was refused, or could not be answered after several tries.
        """
        for attempt in range(TRIES):
            await self._turn()
            try:
                return await question()
            except VoucherifyRefused as error:
                if error.code == 404:
                    return None
                raise
            except (VoucherifyUnavailable, VoucherifyUnclear) as error:
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(min(error.retry_after or 2.0**attempt, self.longest_pause))
        raise AssertionError("unreachable")

    async def _turn(self) -> None:
        if self.left < 1:
            raise BudgetSpentError
        self.made += 1
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._next - clock()))
        self._next = clock() + 60.0 / self.per_minute

    async def order(self, source_id: str) -> dict[str, Any] | None:
        return await self.ask(lambda: orders.get(self.client, source_id))

    async def member(self, member_id: str, card: str | None) -> Engine:
        """Publications, and the card with its whole history: three calls for most members."""
        published = await self._published(member_id)
        if card is None:
            return Engine(None, (), published)
        # The balance last: what is in the history must be in it. One moved meanwhile is young, and so under way.
        transactions = await self._transactions(card)
        found = await self.ask(lambda: LoyaltyV1(self.client).card(card))
        return Engine(found.balance if found else None, transactions, published)

    async def _published(self, member_id: str) -> list[Published]:
        found: list[Published] = []
        for page in range(1, 101):
            listed = await self.ask(partial(publications.of, self.client, member_id, page=page)) or []
            found += [_publication(each) for each in listed]
            if len(listed) < PAGE:
                break
        return found

    async def _transactions(self, card: str) -> list[Transaction]:
        found: list[Transaction] = []
        place: str | None = None
        while page := await self.ask(partial(LoyaltyV1(self.client).transactions, card, place)):
            found += [_transaction(each) for each in page.rows]
            place = page.next
            if place is None:
                break
        return found


def _publication(shown: dict[str, Any]) -> Published:
    voucher = shown.get("voucher")
    card = isinstance(voucher, dict) and voucher.get("type") == "LOYALTY_CARD"
    return Published(
        publications.code_of(shown), card, shown.get("source_id"), datetime.fromisoformat(shown["created_at"])
    )


def _transaction(shown: dict[str, Any]) -> Transaction:
    details = shown.get("details") or {}
    balance = details.get("balance") or {}
    named = [shown.get("source_id"), (details.get("redemption") or {}).get("id")]
    return Transaction(
        id=shown["id"],
        type=shown["type"],
        points=int(balance.get("points") or 0),
        balance=balance.get("balance"),
        at=datetime.fromisoformat(shown["created_at"]),
        order_id=(details.get("order") or {}).get("source_id"),
        rule=(details.get("earning_rule") or {}).get("id"),
        names=frozenset(each for each in named if isinstance(each, str)),
    )
