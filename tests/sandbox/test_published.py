"""Answers and webhooks are what Voucherify publishes about itself, and its own SDK reads them."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.sandbox.programme import COUPONS, LOYALTY, buy, coupon, coupons, join, loyalty, redeem, rule, send
from tests.sandbox.published import check_answer, check_webhook
from tests.sandbox.serving import KEYS, Sink


async def test_answers_fit_the_published_schemas(api: httpx.AsyncClient) -> None:
    """Every kind of answer that the sandbox gives, against the schema of its operation."""

    async def call(method: str, path: str, body: Any = None, at: str | None = None) -> Any:
        answer = await send(api, method, path, body)
        check_answer(method, at or path.partition("?")[0], answer)
        return answer

    customer = {"source_id": "u-1", "name": "Ann", "address": {"city": "Oslo"}, "metadata": {"a": 1}}
    await call("POST", "/v1/customers", customer)
    card = {"type": "LOYALTY_CARD", "loyalty_card": {"points": 5}}
    await call("POST", "/v1/loyalties", {"name": LOYALTY, "voucher": card})
    gives = {"type": "FIXED", "points": 5}
    rules = f"/v1/loyalties/{LOYALTY}/earning-rules"
    at = "/v1/loyalties/{campaignId}/earning-rules"
    [made] = await call("POST", rules, [{"event": "order.paid", "loyalty": gives, "source": {"banner": "b"}}], at)
    await rule(api, "visit", gives)
    await call("GET", rules, at=at)
    await call("GET", f"{rules}/{made['id']}", at=at + "/{earningRuleId}")
    await call("POST", f"{rules}/{made['id']}/enable", at=at + "/{earningRuleId}/enable")
    await coupons(api, vouchers_count=1)
    amount = {"type": "DISCOUNT_VOUCHER", "discount": {"type": "AMOUNT", "amount_off": 500}}
    await call("POST", "/v1/campaigns", {"name": "5 off", "voucher": amount})
    publication = {"campaign": {"name": LOYALTY}, "customer": {"source_id": "u-1"}}
    code = (await call("POST", "/v1/publications?join_once=true", publication))["voucher"]["code"]
    await call(
        "POST", "/v1/publications", {"campaign": {"name": "5 off", "count": 2}, "customer": {"source_id": "u-1"}}
    )
    first, second = await coupon(api), await coupon(api, campaign="5 off")
    redeemables = [{"object": "voucher", "id": each} for each in (first, second)]
    order = {"source_id": "o-1", "status": "CREATED", "amount": 2000}
    await call("POST", "/v1/validations", {"redeemables": redeemables, "order": order})
    await call("POST", "/v1/validations", {"redeemables": [*redeemables, {"object": "voucher", "id": "NOPE"}]})
    who = {"source_id": "u-1"}
    one = await call("POST", "/v1/redemptions", {"redeemables": redeemables[:1], "order": order, "customer": who})
    other = {**order, "source_id": "o-2"}
    extra = [{"object": "voucher", "id": await coupon(api)}, redeemables[1]]
    two = await call("POST", "/v1/redemptions", {"redeemables": extra, "order": other, "customer": who})
    await redeem(api, "NOPE", expect=404, source_id="o-3", amount=1)
    items = [{"source_id": "mug", "related_object": "product", "quantity": 2, "price": 1000, "product": {"name": "M"}}]
    await call("POST", "/v1/orders", {"source_id": "o-1", "status": "PAID", "items": items, "customer": who})
    await call("PUT", "/v1/orders/o-1", {"metadata": {"x": 1}}, at="/v1/orders/{orderId}")
    redemption = one["redemptions"][0]["id"]
    await call("GET", f"/v1/redemptions/{redemption}", at="/v1/redemptions/{redemptionId}")
    await call("POST", f"/v1/redemptions/{redemption}/rollback", at="/v1/redemptions/{redemptionId}/rollback")
    parent = two["parent_redemption"]["id"]
    await call("POST", f"/v1/redemptions/{parent}/rollbacks", at="/v1/redemptions/{parentRedemptionId}/rollbacks")
    await call("POST", "/v1/events", {"event": "visit", "customer": who, "metadata": {"a": 1}})
    member = f"/v1/loyalties/members/{code}"
    await call("POST", f"{member}/balance", {"points": 5}, at="/v1/loyalties/members/{memberId}/balance")
    await call("GET", member, at="/v1/loyalties/members/{memberId}")
    await call("GET", f"{member}/transactions?limit=2", at="/v1/loyalties/members/{memberId}/transactions")
    await call("GET", f"/v1/loyalties/{LOYALTY}/members", at="/v1/loyalties/{campaignId}/members")
    added = {"customer": "u-2"}
    await call("POST", f"/v1/loyalties/{LOYALTY}/members", added, at="/v1/loyalties/{campaignId}/members")
    await call("GET", f"/v1/loyalties/{LOYALTY}", at="/v1/loyalties/{campaignId}")
    await call("GET", f"/v1/campaigns/{COUPONS}", at="/v1/campaigns/{campaignId}")
    await call("GET", f"/v1/vouchers/{first}", at="/v1/vouchers/{code}")
    await call("POST", f"/v1/vouchers/{first}/disable", at="/v1/vouchers/{code}/disable")
    await call("GET", "/v1/customers/u-1", at="/v1/customers/{customerId}")
    await call("GET", "/v1/orders/o-1", at="/v1/orders/{orderId}")
    product = {"source_id": "mug", "name": "Mug", "price": 500, "attributes": ["colour"]}
    await call("POST", "/v1/products", product)
    await call("GET", "/v1/products/mug", at="/v1/products/{productId}")
    await send(api, "POST", "/sandbox/metadata-schemas", {"related_object": "customer", "properties": {"a": "number"}})
    # The list's own schema requires `data` where its sample (and `data_ref`) has `schemas`: nothing fits it.
    assert (await send(api, "GET", "/v1/metadata-schemas"))["schemas"][0]["related_object"] == "customer"
    await call("GET", "/v1/metadata-schemas/customer", at="/v1/metadata-schemas/{resource}")
    for name in (
        *("customers", "campaigns", "loyalties", "vouchers", "publications", "redemptions", "orders", "products"),
    ):
        await call("GET", f"/v1/{name}?limit=100")


async def test_webhooks_fit_the_published_schemas(api: httpx.AsyncClient, sink: Sink) -> None:
    """One of every type that the sandbox sends, against the published schema of its data."""
    await loyalty(api)
    await rule(api, "visit", {"type": "FIXED", "points": 5})
    await coupons(api)
    card, code = await join(api), await coupon(api)
    answer = await redeem(api, code, source_id="o-1", status="CREATED", amount=2000)
    await redeem(api, code, expect=400, source_id="o-2", amount=2000)
    await buy(api, "o-1", 2000)
    await buy(api, "o-1", 2000)
    await send(api, "POST", f"/v1/redemptions/{answer['redemptions'][0]['id']}/rollback")
    await send(api, "POST", "/v1/events", {"event": "visit", "customer": {"source_id": "u-1"}})
    await send(api, "POST", f"/v1/loyalties/members/{card}/balance", {"points": 5})
    for verb in ("disable", "enable"):
        await send(api, "POST", f"/v1/vouchers/{code}/{verb}")
        await send(api, "POST", f"/v1/campaigns/{COUPONS}/{verb}")
    await send(api, "PUT", "/v1/customers/u-1", {"name": "Ann"})
    await send(api, "DELETE", "/v1/customers/u-1", expect=204)
    await sink.wait(1, "customer.deleted")
    await asyncio.sleep(0.05)
    assert {each.type for each in sink.got} == {
        *("customer.created", "customer.updated", "customer.deleted", "customer.rewarded.loyalty_points"),
        *("customer.order.created", "customer.order.paid", "customer.order.updated", "customer.order.canceled"),
        *("customer.custom_event", "voucher.created", "voucher.published", "publication.succeeded"),
        *("voucher.enabled", "voucher.disabled", "campaign.created", "campaign.enabled", "campaign.disabled"),
        *("redemption.succeeded", "redemption.failed", "redemption.rollback.succeeded"),
        *("voucher.loyalty_card.points_added", "voucher.loyalty_card.transaction.created"),
        "campaign.earning_rule.assigned",  # has a name, and no published data
    }
    for each in sink.got:
        if each.type != "campaign.earning_rule.assigned":
            check_webhook(each.type, each.body["data"])


def _drive(url: str) -> dict[str, Any]:
    """The till's road by the official SDK (which is synchronous); what its models made of the answers."""
    voucherify = pytest.importorskip("voucherify")
    configuration = voucherify.Configuration(
        host=url, api_key={"X-App-Id": KEYS["X-App-Id"], "X-App-Token": KEYS["X-App-Token"]}
    )
    with voucherify.ApiClient(configuration) as client:
        customers, orders = voucherify.CustomersApi(client), voucherify.OrdersApi(client)
        publications, redemptions = voucherify.PublicationsApi(client), voucherify.RedemptionsApi(client)
        loyalties, events = voucherify.LoyaltiesApi(client), voucherify.EventsApi(client)
        customers.create_customer(voucherify.CustomersCreateRequestBody.from_dict({"source_id": "u-1", "name": "Ann"}))
        who = {"source_id": "u-1"}
        joined = publications.create_publication(
            True,
            voucherify.PublicationsCreateRequestBody.from_dict({"campaign": {"name": LOYALTY}, "customer": who}),
        )
        published = publications.create_publication(
            None,
            voucherify.PublicationsCreateRequestBody.from_dict({"campaign": {"name": COUPONS}, "customer": who}),
        )
        code = published.voucher.code
        redeemables = [{"object": "voucher", "id": code}]
        order = {"source_id": "o-1", "status": "CREATED", "amount": 2000}
        body = {"redeemables": redeemables, "order": order, "customer": who}
        valid = voucherify.ValidationsApi(client).validate_stacked_discounts(
            voucherify.ValidationsValidateRequestBody.from_dict(body)
        )
        redeemed = redemptions.redeem_stacked_discounts(voucherify.RedemptionsRedeemRequestBody.from_dict(body))
        paid = orders.create_order(
            voucherify.OrdersCreateRequestBody.from_dict({"source_id": "o-1", "status": "PAID", "customer": who})
        )
        events.track_custom_event(voucherify.EventsCreateRequestBody.from_dict({"event": "visit", "customer": who}))
        card = joined.voucher.code
        member = loyalties.get_member(card)
        transactions = loyalties.list_loyalty_card_transactions(card)
        try:
            customers.get_customer("nobody")
        except voucherify.exceptions.NotFoundException as error:
            missing = error.status
        rolled_back = redemptions.rollback_redemption(redeemed.redemptions[0].id)
        return {
            "valid": valid.valid,
            "total": valid.order.total_amount,
            "redeemed": redeemed.redemptions[0].result,
            "paid": (paid.status, paid.total_amount),
            "balance": member.loyalty_card.balance,
            "points": [row.details.balance.points for row in transactions.data],
            "missing": missing,
            "rolled_back": rolled_back.result,
            "listed": len(customers.list_customers().customers),
        }


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # what the SDK says of loyalty v1
async def test_the_official_python_sdk_works_unmodified(api: httpx.AsyncClient) -> None:
    """Voucherify's own SDK 6.1.1 drives the road of an order, and its models read every answer."""
    await loyalty(api, points=50)
    await rule(api, "visit", {"type": "FIXED", "points": 5})
    await coupons(api)
    assert await asyncio.to_thread(_drive, str(api.base_url).rstrip("/")) == {
        "valid": True,
        "total": 1800,
        "redeemed": "SUCCESS",
        "paid": ("PAID", 1800),
        "balance": 73,
        "points": [5, 18],
        "missing": 404,
        "rolled_back": "SUCCESS",
        "listed": 1,
    }
