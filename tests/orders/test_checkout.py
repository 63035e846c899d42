"""The order saga against a real sandbox: every place where it can be cut off, and every answer that can go missing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.errors import BadInput, Busy, Conflict, LoyaltyError, NotFound, Refused
from app.orders.basket import Line
from app.orders.checkout import Checkout, Purchase
from app.orders.models import Order
from app.orders.sweeper import sweep
from app.voucherify.redemptions import redeem
from tests.orders.conftest import REDEMPTIONS, Shop, client_of


class Altered(httpx.AsyncBaseTransport):
    """The real sandbox behind it does its work; the answer to a redemption is another one."""

    def __init__(self, status: int, content: bytes) -> None:
        self._real = httpx.AsyncHTTPTransport()
        self._status, self._content = status, content

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._real.handle_async_request(request)
        if (request.method, request.url.path) != ("POST", "/v1/redemptions"):
            return response
        await response.aread()
        await response.aclose()
        return httpx.Response(self._status, content=self._content)

    async def aclose(self) -> None:
        await self._real.aclose()


@contextlib.asynccontextmanager
async def altered(shop: Shop, status: int, content: bytes = b"") -> AsyncIterator[Checkout]:
    client = client_of(str(shop.sandbox.base_url), Altered(status, content))
    yield replace(shop.checkout, voucherify=client)
    await client.close()


async def begun(shop: Shop, purchase: Purchase) -> Order:
    """An order as it is when its process died right after the first commit."""
    checkout = shop.checkout
    async with shop.database.transaction() as connection:
        order, _ = await checkout._begin(connection, purchase)
    return order


def assert_paid_with_discount(order: Order) -> None:
    assert (order.status, order.amount, order.discount, order.total) == ("PAID", 1450, 145, 1305)
    assert order.redemption is not None
    assert order.redemption["id"].startswith("r_")
    assert order.redemption["order_status"] == "CREATED"


async def test_an_order_without_a_coupon_asks_nobody(shop: Shop) -> None:
    """A plain sale is PAID with one emission, and Voucherify is not called for it."""
    await shop.sandbox.delete("/sandbox/requests")
    order = await shop.checkout.place(shop.purchase())
    assert (order.status, order.discount, order.total) == ("PAID", 0, 1450)
    assert [message["properties"]["order_id"] for message in await shop.emitted()] == [str(order.id)]
    assert (await shop.sandbox.get("/sandbox/requests")).json()["total"] == 0


async def test_a_coupon_lowers_the_order_and_does_not_earn_yet(shop: Shop) -> None:
    """With a coupon the order is PAID here with the discount, and CREATED in Voucherify: the bridge makes it earn."""
    code = await shop.coupon()
    order = await shop.checkout.place(shop.purchase(coupon=code))
    assert_paid_with_discount(order)
    there = await shop.voucherify.call("GET", f"/v1/orders/{order.id}")
    assert there["status"] == "CREATED"
    assert await shop.redeemed(code) == 1
    (message,) = await shop.emitted()
    assert (message["properties"]["coupon"], message["properties"]["discount"]) == (code, 1.45)


@pytest.mark.parametrize("by", ["the till", "the sweeper"])
async def test_a_lost_answer_is_taken_up_with_the_discount(shop: Shop, by: str) -> None:
    """The redemption is done and its answer lost: Busy, then whoever takes the order up finds the one redemption."""
    purchase = shop.purchase(coupon=await shop.coupon())
    await shop.faults(lose_answer_next=REDEMPTIONS)
    with pytest.raises(Busy, match="same Idempotency-Key") as caught:
        await shop.checkout.place(purchase)
    assert caught.value.retry_after == 30
    with pytest.raises(Busy):
        await shop.checkout.place(purchase)  # too early: the first call might still be on its way
    assert await shop.emitted() == []
    if by == "the till":
        await shop.later.place(purchase)
    else:
        assert await sweep(shop.later) == 1
    (order,) = await shop.orders()
    assert_paid_with_discount(order)
    assert (await shop.checkout.place(purchase)).id == order.id
    assert await shop.redeemed(str(purchase.coupon)) == 1
    assert len(await shop.emitted()) == 1


@pytest.mark.parametrize("by", ["the till", "the sweeper"])
async def test_no_answer_and_nothing_done_is_rolled_back(shop: Shop, by: str) -> None:
    """A gateway answers and nothing was done: Busy, then the order is CANCELED with a sentence, for good."""
    purchase = shop.purchase(coupon=await shop.coupon())
    await shop.faults(fail_next={**REDEMPTIONS, "status": 504})
    with pytest.raises(Busy):
        await shop.checkout.place(purchase)
    if by == "the sweeper":
        assert await sweep(shop.later) == 1
    for _ in range(2):
        with pytest.raises(Refused, match="Nothing was redeemed") as caught:
            await shop.later.place(purchase)
    (order,) = await shop.orders()
    assert (order.status, caught.value.extra) == ("CANCELED", {"order_id": str(order.id)})
    assert await shop.redeemed(str(purchase.coupon)) == 0
    assert await shop.emitted() == []


async def test_a_call_that_lasts_too_long_is_unclear(shop: Shop) -> None:
    """An answer later than the order may wait is not waited for, however long the client would: Busy, then PAID."""
    purchase = shop.purchase(coupon=await shop.coupon())
    await shop.faults(latency_ms=900)
    with pytest.raises(Busy, match="too slow"):
        await replace(shop.checkout, pending_after=0.5).place(purchase)
    await asyncio.sleep(0.8)
    await shop.sandbox.delete("/sandbox/faults")
    assert_paid_with_discount(await shop.later.place(purchase))


async def test_voucherify_out_of_reach_refuses_the_coupon(shop: Shop) -> None:
    """When nothing can be sent the sale ends with a sentence that says what to do, and the coupon is still good."""
    code = await shop.coupon()
    down = replace(shop.checkout, voucherify=client_of("http://127.0.0.1:9"))
    with pytest.raises(Refused, match=r"can't be reached.*Nothing was redeemed: take it off, or try again\.$"):
        await down.place(shop.purchase(coupon=code))
    assert await shop.redeemed(code) == 0
    assert_paid_with_discount(await shop.checkout.place(shop.purchase(coupon=code)))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_failure_before_the_redemption_refuses_the_coupon(shop: Shop, status: int) -> None:
    """An error after which nothing is redeemed cancels the order at once, with a sentence."""
    code = await shop.coupon()
    await shop.faults(fail_next={**REDEMPTIONS, "status": status})
    with pytest.raises(Refused, match="Nothing was redeemed"):
        await shop.checkout.place(shop.purchase(coupon=code))
    assert await shop.redeemed(code) == 0
    assert [order.status for order in await shop.orders()] == ["CANCELED"]


@pytest.mark.parametrize("status", [408, 500, 508])
async def test_a_failure_after_the_redemption_is_looked_up(shop: Shop, status: int) -> None:
    """Voucherify redeems and then answers with an error: the order is looked up, and PAID with the discount."""
    code = await shop.coupon()
    async with altered(shop, status) as checkout:
        assert_paid_with_discount(await checkout.place(shop.purchase(coupon=code)))
    assert await shop.redeemed(code) == 1


async def test_a_failure_that_can_not_be_looked_up_is_unclear(shop: Shop) -> None:
    """An error, and then no way to look: the order stays PENDING and is settled later, never guessed."""
    purchase = shop.purchase(coupon=await shop.coupon())
    await shop.faults(fail_next=[{**REDEMPTIONS, "status": 500}, {"path": "/v1/orders", "status": 503}])
    with pytest.raises(Busy):
        await shop.checkout.place(purchase)
    with pytest.raises(Refused):
        await shop.later.place(purchase)
    assert await shop.redeemed(str(purchase.coupon)) == 0


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b"[]", b'{"order": {}, "redemptions": []}'])
async def test_an_answer_that_makes_no_sense_is_unclear(shop: Shop, content: bytes) -> None:
    """A 200 without an order and a redemption (a proxy's page, say) is not taken for a discount of nothing."""
    purchase = shop.purchase(coupon=await shop.coupon())
    async with altered(shop, 200, content) as checkout:
        with pytest.raises(Busy):
            await checkout.place(purchase)
    assert_paid_with_discount(await shop.later.place(purchase))
    assert await shop.redeemed(str(purchase.coupon)) == 1


@pytest.mark.parametrize("coupon", [False, True])
async def test_one_key_at_once_sells_once(shop: Shop, coupon: bool) -> None:
    """Eight equal calls under one key at the same moment make one order; each gets it, or is told to ask again."""
    purchase = shop.purchase(coupon=await shop.coupon() if coupon else None)
    answers = await asyncio.gather(*[shop.checkout.place(purchase) for _ in range(8)], return_exceptions=True)
    assert all(isinstance(answer, Order | Busy) for answer in answers), answers
    (order,) = await shop.orders()
    assert {answer.id for answer in answers if isinstance(answer, Order)} == {order.id}
    assert (order.status, len(await shop.emitted())) == ("PAID", 1)
    if purchase.coupon:
        assert await shop.redeemed(purchase.coupon) == 1


async def test_one_coupon_at_two_tills_is_redeemed_once(shop: Shop) -> None:
    """Two tills that use one coupon at the same moment: one gets it, the other is refused by name of the reason."""
    code = await shop.coupon()
    answers = await asyncio.gather(
        shop.checkout.place(shop.purchase(coupon=code)),
        shop.checkout.place(shop.purchase(client="register:paris/1", location_id="paris", coupon=code)),
        return_exceptions=True,
    )
    (paid,) = [answer for answer in answers if isinstance(answer, Order)]
    (refused,) = [answer for answer in answers if isinstance(answer, Refused)]
    assert_paid_with_discount(paid)
    assert "used already" in refused.sentence
    assert await shop.redeemed(code) == 1


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize(
    "other", [{"lines": (Line("wash-full", 2),)}, {"member_id": None}, {"location_id": "paris"}], ids=["a", "b", "c"]
)
async def test_another_body_under_the_key_is_a_conflict(shop: Shop, other: dict[str, Any], pending: bool) -> None:
    """A key belongs to one purchase, finished or not; another one under it is refused and changes nothing."""
    purchase = shop.purchase()
    first = await begun(shop, purchase) if pending else await shop.checkout.place(purchase)
    with pytest.raises(Conflict, match="Idempotency-Key"):
        await shop.later.place(replace(purchase, **other))
    (order,) = await shop.orders()
    assert (order.id, order.status) == (first.id, first.status)


async def test_a_key_counts_within_its_client(shop: Shop) -> None:
    """Two tills may use the same key for orders of their own."""
    key = str(uuid4())
    one = await shop.checkout.place(shop.purchase(idempotency_key=key))
    other = await shop.checkout.place(shop.purchase(idempotency_key=key, client="register:warsaw/1"))
    assert one.id != other.id


async def test_a_crash_after_pending_is_settled_by_the_sweeper(shop: Shop) -> None:
    """Of orders cut off after their first commit, the one without a coupon is paid and the other is rolled back."""
    plain = await begun(shop, shop.purchase())
    with_coupon = await begun(shop, shop.purchase(coupon=await shop.coupon()))
    assert await sweep(shop.checkout) == 0  # too early
    assert await sweep(shop.later) == 2
    settled = {order.id: order for order in await shop.orders()}
    assert (settled[plain.id].status, settled[plain.id].total) == ("PAID", 1450)
    assert settled[with_coupon.id].status == "CANCELED"
    assert "Nothing was redeemed" in str(settled[with_coupon.id].refusal)
    assert [message["properties"]["order_id"] for message in await shop.emitted()] == [str(plain.id)]
    assert await sweep(shop.later) == 0


async def test_a_crash_after_the_redemption_is_settled_by_the_sweeper(shop: Shop) -> None:
    """An order cut off between the redemption and its own commit is paid with the discount, redeemed once."""
    purchase = shop.purchase(coupon=await shop.coupon())
    order = await begun(shop, purchase)
    assert order.redemption is not None
    await redeem(shop.voucherify, order.redemption["sent"])
    assert await sweep(shop.later) == 1
    assert_paid_with_discount(await shop.checkout.place(purchase))
    assert await shop.redeemed(str(purchase.coupon)) == 1


async def test_two_sweepers_settle_an_order_once(shop: Shop) -> None:
    """Sweepers and a till that come at once settle each order once: one emission each."""
    purchases = [shop.purchase() for _ in range(5)]
    orders = [await begun(shop, purchase) for purchase in purchases]
    await asyncio.gather(sweep(shop.later), sweep(shop.later), shop.later.place(purchases[0]), return_exceptions=True)
    await sweep(shop.later)
    assert {order.status for order in await shop.orders()} == {"PAID"}
    assert sorted(message["properties"]["order_id"] for message in await shop.emitted()) == sorted(
        str(order.id) for order in orders
    )


async def test_what_is_settled_stays_settled(shop: Shop) -> None:
    """An answer that comes after somebody else settled the order changes neither its status nor its total."""
    canceled = await begun(shop, shop.purchase(coupon=await shop.coupon()))
    paid = await begun(shop, shop.purchase())
    assert await sweep(shop.later) == 2
    late = {"id": "r_late", "discount": 145, "order_status": "CREATED"}
    assert (await shop.checkout._pay(canceled.id, late)).status == "CANCELED"
    assert (await shop.checkout._pay(paid.id, late)).total == 1450
    assert (await shop.checkout._cancel(paid.id, "Too late.")).status == "PAID"
    assert [message["properties"]["order_id"] for message in await shop.emitted()] == [str(paid.id)]


async def test_the_sweeper_waits_for_voucherify(shop: Shop) -> None:
    """While Voucherify can't be asked an order stays PENDING, and the others are settled all the same."""
    with_coupon = await begun(shop, shop.purchase(coupon=await shop.coupon()))
    await begun(shop, shop.purchase())
    await shop.faults(fail_next={"path": "/v1/orders", "status": 503})
    assert await sweep(shop.later) == 1
    assert [order.id for order in await shop.orders() if order.status == "PENDING"] == [with_coupon.id]
    assert await sweep(shop.later) == 1


async def test_a_till_that_asks_while_voucherify_is_down_is_asked_to_wait(shop: Shop) -> None:
    """Asking again with the key while Voucherify is down is answered Busy with a time, and the order is kept."""
    purchase = shop.purchase(coupon=await shop.coupon())
    await begun(shop, purchase)
    await shop.faults(fail_next={"path": "/v1/orders", "status": 503})
    with pytest.raises(Busy) as caught:
        await shop.later.place(purchase)
    assert caught.value.retry_after is not None
    assert [order.status for order in await shop.orders()] == ["PENDING"]


@pytest.mark.parametrize(("code", "said"), [("NONE-1", "there is no such code"), (None, "it has been used already")])
async def test_a_refused_coupon_is_told_in_words(shop: Shop, code: str | None, said: str) -> None:
    """A coupon that can't be used cancels the order with the reason as a sentence; the same key repeats it."""
    if code is None:
        code = await shop.coupon()
        await shop.checkout.place(shop.purchase(coupon=code))
    purchase = shop.purchase(coupon=code)
    sentences = []
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            await shop.checkout.place(purchase)
        sentences.append(caught.value.sentence)
    assert sentences == [f"The coupon can't be used: {said}. Nothing was redeemed."] * 2


@pytest.mark.parametrize(
    ("wrong", "kind", "said"),
    [
        ({"lines": ()}, BadInput, "lines"),
        ({"lines": (Line("gone", 1),)}, BadInput, "gone"),
        ({"lines": (Line("tea", 0),)}, BadInput, "tea"),
        ({"location_id": "atlantis"}, BadInput, "atlantis"),
        ({"member_id": uuid4()}, NotFound, "member"),
        ({"member_id": None, "coupon": "TEN-1"}, BadInput, "member_id"),
    ],
    ids=range(6),
)
async def test_a_wrong_purchase_leaves_nothing(
    shop: Shop, wrong: dict[str, Any], kind: type[LoyaltyError], said: str
) -> None:
    """A purchase that can't be is refused by name before anything is stored, and its key stays free."""
    purchase = shop.purchase()
    with pytest.raises(kind, match=said):
        await shop.checkout.place(replace(purchase, **wrong))
    assert await shop.orders() == []
    assert (await shop.checkout.place(purchase)).status == "PAID"
