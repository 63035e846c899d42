"""An audit: our own tables first, then as many members and orders as the budget of calls allows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from app.audit import members, orders, rows, tables
from app.audit.asking import Asker, BudgetSpentError
from app.audit.findings import Report
from app.audit.rows import Scope
from app.db.base import now
from app.db.session import Database

ALL: Final = datetime(1970, 1, 1, tzinfo=UTC)
ORDERS_AT_ONCE = 50
"""Orders that are read just before Voucherify is asked about them: an audit takes its time, and rows change."""


@dataclass(frozen=True)
class Wanted:
    """What an operator asked for."""

    since: datetime = ALL
    newest: int | None = None
    """Only so many orders, the newest, and what was made since the first of them."""
    sample: bool = False
    settling: timedelta = timedelta(minutes=5)


@dataclass
class Audit:
    """One run. Without an asker it compares our own tables alone."""

    database: Database
    asker: Asker | None
    own_door: bool
    wanted: Wanted

    async def run(self) -> Report:
        report = Report(self.wanted.settling, now())
        scope = Scope(self.wanted.since)
        if self.wanted.newest is not None:
            since = await rows.since_of_newest(self.database, self.wanted.newest)
            scope = Scope(max(scope.since, since or ALL))
        report.figures = await rows.figures(self.database, scope)
        async for page in rows.orders(self.database, scope):
            for order in page:
                report.add(orders.check(order, own_door=self.own_door))
        async for finding in tables.findings(self.database, scope, own_door=self.own_door):
            report.add([finding])
        if self.asker is None:
            report.unasked.append("Voucherify was not asked: only our own tables were compared.")
        else:
            await self._ask(self.asker, scope, report)
        return report

    async def _ask(self, asker: Asker, scope: Scope, report: Report) -> None:
        """Each batch of orders with the members who made them, then the other members."""
        order_ids, member_ids = await rows.to_ask(self.database, scope, asker.budget, sample=self.wanted.sample)
        report.figures |= {"orders_asked": 0, "members_asked": 0}
        seen: set[UUID] = set()
        try:
            for at in range(0, len(order_ids), ORDERS_AT_ONCE):
                batch = order_ids[at : at + ORDERS_AT_ONCE]
                await self._orders(asker, [order_id for order_id, _ in batch], report)
                await self._members(asker, (member_id for _, member_id in batch), seen, report)
            await self._members(asker, member_ids, seen, report)
        except BudgetSpentError:
            report.unasked.append(
                f"All {asker.budget} calls were used before everything was asked: more with --calls, or a part of it "
                "with --since, --orders or --sample."
            )
        report.figures["calls"] = asker.made

    async def _orders(self, asker: Asker, ids: Sequence[UUID], report: Report) -> None:
        pays = await rows.paying(self.database)
        for order in await rows.some_orders(self.database, ids):
            if orders.asks(order, pays):
                found = await asker.order(str(order.id))
                report.now = now()
                report.add(orders.check_against(order, found, pays))
                report.figures["orders_asked"] += 1

    async def _members(self, asker: Asker, ids: Iterable[UUID], seen: set[UUID], report: Report) -> None:
        pays = await rows.paying(self.database)
        for member_id in ids:
            if member_id in seen:
                continue
            card = await rows.card_of(self.database, member_id)
            engine = await asker.member(str(member_id), card)
            report.now = now()
            report.add(members.check(await rows.member(self.database, member_id, pays), engine))
            report.figures["members_asked"] += 1
            seen.add(member_id)
