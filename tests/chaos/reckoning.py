"""What one member's sale has to have come to, whatever died on its road: one order, one earning, one coupon, one
redemption, equal balances."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx

COUPON_CAMPAIGN = "Big basket"
WELCOME = 50
"""Points that the demo programme gives with the card."""


@dataclass(frozen=True)
class Sale:
    """What the till knows of a sale. The order is over the coupon's limit, and spends a coupon itself."""

    member_id: str
    card: str
    coupon: str
    """What it spends."""
    order: dict[str, Any]
    """The till's last answer."""


@dataclass(frozen=True)
class Books:
    """Where both sides of a sale are read: our own tables, and Voucherify's API."""

    database: asyncpg.Pool
    voucherify: httpx.AsyncClient

    async def differences(self, sale: Sale) -> list[str]:
        """A sentence for everything that is not as it has to be, or not done yet; none when all is settled."""
        found: list[str] = []

        def same(what: str, is_: object, should_be: object) -> None:
            if is_ != should_be:
                found.append(f"{what}: {is_!r}, should be {should_be!r}")

        await self._our_side(sale, same)
        if not found:  # it is not asked while ours is under way: each question is a call
            await self._other_side(sale, same)
        return found

    async def _our_side(self, sale: Sale, same: Any) -> None:
        order, member = sale.order, UUID(sale.member_id)
        same("till: status of its answer", order["status"], "PAID")
        orders = await self._rows("SELECT id::text, status FROM orders WHERE member_id = $1 ORDER BY number", member)
        same("orders: paid", [row["id"] for row in orders if row["status"] == "PAID"], [order["id"]])
        same("orders: still pending", [row["id"] for row in orders if row["status"] == "PENDING"], [])

        ids = [row["id"] for row in orders]
        emitted = await self._rows(
            "SELECT order_id, status FROM emission WHERE order_id = ANY($1) AND source = 'till'", ids
        )
        same("emissions of the till", [(row["order_id"], row["status"]) for row in emitted], [(order["id"], "sent")])
        unsent = await self._rows(
            "SELECT message_id, status, answer FROM emission WHERE message -> 'userId' = to_jsonb($1::text) "
            "AND status <> 'sent'",
            sale.member_id,
        )
        same("emissions not sent", unsent, [])
        events = await self._rows(
            "SELECT name, order_id FROM event WHERE person = $1 AND source = 'till'", sale.member_id
        )
        same(
            "log: completed orders",
            [row["order_id"] for row in events if row["name"] == "Order Completed"],
            [order["id"]],
        )
        doubled = await self._rows(
            "SELECT message_id FROM event WHERE person = $1 GROUP BY 1 HAVING count(*) > 1", sale.member_id
        )
        same("log: messages stored twice", doubled, [])
        poison = await self._rows(
            "SELECT error FROM poison_event JOIN event ON position = event_position WHERE person = $1", sale.member_id
        )
        same("poison events", poison, [])
        unread = await self._rows(
            """SELECT event.name FROM event JOIN log_cursor USING (partition)
               WHERE consumer = 'route' AND person = $1 AND event.position > log_cursor.position""",
            sale.member_id,
        )
        same("log: events not routed", unread, [])
        undelivered = await self._rows(
            "SELECT mapping, status, attempts, error FROM delivery WHERE person = $1 AND status <> 'delivered'",
            sale.member_id,
        )
        same("deliveries that are not delivered", undelivered, [])
        unapplied = await self._rows(
            "SELECT type, status, error FROM webhook WHERE member_id = $1 AND status NOT IN ('applied', 'ignored')",
            member,
        )
        same("webhooks not applied", unapplied, [])
        facts = await self._rows(
            "SELECT order_id, total, discount, coupon FROM order_fact WHERE user_id = $1", sale.member_id
        )
        same(
            "order facts",
            facts,
            [{"order_id": order["id"], **{name: order[name] for name in ("total", "discount", "coupon")}}],
        )

    async def _other_side(self, sale: Sale, same: Any) -> None:
        order, member = sale.order, sale.member_id
        theirs = await self._ask("/v1/orders", customer=member)
        same(
            "Voucherify: orders with status, total and redemptions",
            [
                (
                    row["source_id"],
                    row["status"],
                    row.get("total_amount", row["amount"]),
                    len(row.get("redemptions") or {}),
                )
                for row in theirs["orders"]
            ],
            [(order["id"], "PAID", order["total"], 1)],
        )
        redeemed = (await self._ask("/v1/redemptions", customer=member))["redemptions"]
        same(
            "Voucherify: redemptions",
            [(row["result"], row["voucher"]["code"]) for row in redeemed],
            [("SUCCESS", sale.coupon)],
        )
        given = (await self._ask("/v1/publications", customer=member, campaign=COUPON_CAMPAIGN))["publications"]
        earned = [row for row in given if row["voucher"]["code"] != sale.coupon]
        same(
            "Voucherify: coupons earned, by their reason",
            [row["source_id"] for row in earned],
            [f"big-basket:{order['id']}"],
        )
        wallet = await self._rows("SELECT code, redeemed_order_id FROM coupon WHERE member_id = $1", UUID(member))
        same(
            "wallet: coupons, and the order that used them up",
            {row["code"]: row["redeemed_order_id"] for row in wallet},
            {sale.coupon: order["id"], **{row["voucher"]["code"]: None for row in earned}},
        )

        ledger = (await self._ask(f"/v1/loyalties/members/{sale.card}/transactions"))["data"]
        points = {row["id"]: row["details"]["balance"]["points"] for row in ledger}
        same("Voucherify: points that were earned", list(points.values()), [order["total"] // 100])
        moved = await self._rows(
            "SELECT transaction_id, points, order_id FROM point_movement WHERE member_id = $1", UUID(member)
        )
        same("facts: movements of points", {row["transaction_id"]: row["points"] for row in moved}, points)
        same("facts: orders that the movements name", [row["order_id"] for row in moved], [order["id"]])
        card = await self._ask(f"/v1/loyalties/members/{sale.card}")
        balance = card["loyalty_card"]["balance"]
        same("Voucherify: balance", balance, WELCOME + sum(points.values()))
        mirrored = await self._rows(
            """SELECT loyalty FROM profile JOIN profile_identifier ON profile_id = id
               WHERE type = 'user_id' AND value = $1""",
            member,
        )
        same("profile: balance", [row["loyalty"].get("balance") for row in mirrored], [balance])
        same("profile: unsettled", [row["loyalty"].get("unsettled") for row in mirrored], [None])

    async def _rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.database.fetch(query, *arguments)]

    async def _ask(self, path: str, **params: str) -> dict[str, Any]:
        answer = await self.voucherify.get(path, params=params)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
