"""One owner for the order (rule 6): PENDING, redemption, PAID with its emission. Each step can be taken up again."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec

from app.db.base import now
from app.db.session import Database
from app.emitter.outbox import emit
from app.errors import BadInput, Busy, Conflict, NotFound, Refused, VoucherifyError, VoucherifyUnclear
from app.live import changes
from app.orders import store
from app.orders.basket import Line, price, totals
from app.orders.models import Order
from app.orders.recheck import first_look
from app.orders.translate import order_completed, voucherify_order
from app.telemetry import log
from app.voucherify import orders as voucherify_orders
from app.voucherify.client import Client
from app.voucherify.redemptions import REASONS, redeem, redemption, standing


@dataclass(frozen=True)
class Purchase:
    """What a till or a phone asks for. `client` is who asks: an idempotency key counts within it."""

    client: str
    idempotency_key: str
    source: str
    location_id: str
    lines: tuple[Line, ...]
    register_name: str | None = None
    member_id: UUID | None = None
    coupon: str | None = None

    def hash(self) -> str:
        """Equal for equal purchases: tells a repetition from another purchase under the same key."""
        return hashlib.sha256(
            msgspec.json.encode([self.location_id, self.lines, self.member_id, self.coupon], order="sorted")
        ).hexdigest()


@dataclass(frozen=True)
class Checkout:
    """Places orders, and takes up those that were left PENDING."""

    database: Database
    voucherify: Client
    pending_after: float = 30.0
    """Seconds after which a PENDING order is taken up: well past the time-out of the call that it may wait for."""

    async def place(self, purchase: Purchase) -> Order:
        """Take an order from the basket to PAID, or return the answer that this key got before.

        Raises `Refused` when the coupon is refused (the order is CANCELED, nothing was redeemed), `Busy` when it is
        not known yet (ask again with the same key), `Conflict` for another purchase under the same key.
        """
        async with self.database.transaction() as connection:
            order, is_new = await self._begin(connection, purchase)
        if order.request_hash != purchase.hash():
            raise Conflict("This Idempotency-Key was used for another order: use a new key for a new order.")
        if order.status == "PENDING":
            try:
                order = await (self._finish(order) if is_new else self.take_up(order.id))
            except VoucherifyError as error:
                raise self._unclear(order.id, error.sentence) from error
        if order.status == "CANCELED":
            raise Refused(order.refusal or "The order was canceled.", order_id=str(order.id))
        return order

    async def take_up(self, order_id: UUID) -> Order:
        """Go on with an order whose checkout was cut off: finish what Voucherify did, else roll it back."""
        async with self.database.transaction() as connection:
            touched = await store.touch(connection, order_id, self.pending_after)
            order = await store.locked(connection, order_id)
        if order.status == "PENDING" and not touched:
            raise Busy("This order is being paid. Ask again with the same Idempotency-Key.", retry_after=5)
        if order.status != "PENDING":
            return order
        log.info("order.taken_up", order_id=str(order_id))
        if order.redemption is None:
            return await self._pay(order.id, None)
        return await self._settle(
            order.id, "The coupon was not redeemed, because the checkout was cut off. Nothing was redeemed: pay again."
        )

    async def _begin(self, connection: asyncpg.Connection, purchase: Purchase) -> tuple[Order, bool]:
        """(a) Price the basket and commit the order PENDING; or find the order that this key made before."""
        existing = await store.by_key(connection, purchase.client, purchase.idempotency_key)
        if existing is not None:
            return existing, False
        location = await store.location(connection, purchase.location_id)
        if location is None:
            raise BadInput(f"There is no location {purchase.location_id!r}.", field="location_id")
        if purchase.member_id is not None and await store.member(connection, purchase.member_id) is None:
            raise NotFound("No member has this id.")
        if purchase.coupon and purchase.member_id is None:
            raise BadInput("A coupon needs a member: send member_id with it.", field="coupon")
        products = await store.products(connection, {line.product_id for line in purchase.lines})
        lines = price(purchase.lines, products)
        due = totals(lines, 0, location)
        order = Order(
            id=uuid4(),
            client=purchase.client,
            idempotency_key=purchase.idempotency_key,
            request_hash=purchase.hash(),
            source=purchase.source,
            location_id=location.id,
            register_name=purchase.register_name,
            member_id=purchase.member_id,
            status="PENDING",
            currency=location.currency,
            lines=lines,
            amount=due.amount,
            tax=due.tax,
            total=due.total,
            coupon=purchase.coupon,
            created_at=now(),
        )
        if order.coupon:
            # Stored before it is sent: whoever takes this order up knows that it may have been done.
            body = redemption(
                order.coupon, voucherify_order(order, location), {"source_id": str(order.member_id)}, str(order.id)
            )
            order.redemption = {"sent": body}
        stored = await store.insert(connection, order)
        if stored is not None:
            await changes.append(connection, [changes.of_order(str(order.id), "order.pending")])
            return stored, True
        existing = await store.by_key(connection, purchase.client, purchase.idempotency_key)
        assert existing is not None
        return existing, False

    async def _finish(self, order: Order) -> Order:
        """(b) Redeem, when there is something to redeem, and (c) pay."""
        if order.redemption is None:
            return await self._pay(order.id, None)
        try:
            # The call must be over before anybody else may take the order up: its time-out counts per read and write.
            async with asyncio.timeout(self.pending_after * 0.8):
                answer = await redeem(self.voucherify, order.redemption["sent"])
        except TimeoutError as error:
            raise self._unclear(order.id, "Voucherify was too slow.") from error
        except VoucherifyUnclear as error:
            raise self._unclear(order.id, error.sentence) from error
        except VoucherifyError as error:
            if not error.may_be_done:
                # A 503 may be a proxy's, which knows nothing of what is behind it; other answers are a certain no.
                recheck = error.code >= 500
                return await self._cancel(order.id, _refusal(error), answered=error.answer, recheck=recheck)
            return await self._settle(order.id, _refusal(error), answered=error.answer)
        try:
            redeemed = _redeemed(answer["order"], answer["redemptions"][0]["id"], answer)
        except (KeyError, IndexError, TypeError) as error:
            raise self._unclear(order.id, "Voucherify's answer names no order and redemption.") from error
        return await self._pay(order.id, redeemed)

    async def _settle(self, order_id: UUID, refusal: str, answered: Any = None) -> Order:
        """Pay the order when Voucherify has redeemed its coupon, else cancel it. The call must be over by now.

        Voucherify may be at it still: so a canceled order is looked at again.
        """
        found = await voucherify_orders.get(self.voucherify, str(order_id))
        done = standing(found or {})
        if found is not None and done:
            return await self._pay(order_id, _redeemed(found, done[0], found))
        return await self._cancel(order_id, refusal, answered, recheck=True)

    def _unclear(self, order_id: UUID, reason: str) -> Busy:
        log.warning("redemption.unclear", order_id=str(order_id), reason=reason)
        return Busy(
            f"It is not known yet whether the coupon was redeemed: {reason.rstrip('.')}. The order is kept; "
            "ask again with the same Idempotency-Key.",
            retry_after=self.pending_after,
        )

    async def _pay(self, order_id: UUID, redeemed: dict[str, Any] | None) -> Order:
        """(c) PAID and its `Order Completed`, in one commit. A second call changes nothing."""
        async with self.database.transaction() as connection:
            order = await store.locked(connection, order_id)
            if order.status != "PENDING":
                return order
            location = await store.location(connection, order.location_id)
            assert location is not None
            member = await store.member(connection, order.member_id) if order.member_id else None
            if redeemed is not None:
                order.redemption = {**(order.redemption or {}), **redeemed}
            due = totals(order.lines, (redeemed or {}).get("discount", 0), location)
            order.discount, order.tax, order.total = due.discount, due.tax, due.total
            order.status, order.paid_at = "PAID", now()
            await store.save(connection, order)
            told = order_completed(order, location, member, await store.visit(connection, order))
            await emit(connection, order.source, told, str(order.id))
            await changes.append(connection, [changes.of_order(str(order.id), "order.paid")])
        log.info("order.paid", order_id=str(order.id), number=order.number)
        return order

    async def _cancel(self, order_id: UUID, refusal: str, answered: Any = None, *, recheck: bool = False) -> Order:
        """CANCELED, for good. `recheck`: the redemption may still be carried out, and is then to be rolled back."""
        async with self.database.transaction() as connection:
            order = await store.locked(connection, order_id)
            if order.status == "PENDING":
                order.status, order.refusal = "CANCELED", refusal
                order.redemption = {
                    **(order.redemption or {}),
                    "answered": answered,
                    "ended_at": now().isoformat(),
                }
                if recheck:
                    order.recheck_at = await first_look(connection)
                await store.save(connection, order)
                await changes.append(connection, [changes.of_order(str(order.id), "order.canceled")])
        log.info("order.canceled", order_id=str(order.id), number=order.number)
        return order


def _redeemed(order: dict[str, Any], redemption_id: str, answered: Any) -> dict[str, Any]:
    """What is kept of a redemption: its id, what it took off (minor units), and the order's status over there.

    The status is CREATED when our override was honoured; PAID, the documented default, means it has earned already.
    """
    discount = order.get("total_applied_discount_amount", order.get("total_discount_amount", 0))
    return {
        "id": redemption_id,
        "discount": int(discount or 0),
        "order_status": order.get("status"),
        "answered": answered,
        "ended_at": now().isoformat(),
    }


def _refusal(error: VoucherifyError) -> str:
    if error.retryable:
        return f"The coupon can't be checked now. {error.sentence} Nothing was redeemed: take it off, or try again."
    return f"The coupon can't be used: {REASONS.get(error.key, error.sentence)}. Nothing was redeemed."
