"""Validations of codes, gift cards and promotion tiers: `POST /v1/validations`, which always answers 200.

It changes nothing, unless it has a session: then what applies is locked for the redemption with the session's key.
"""

from collections.abc import Mapping
from typing import Any

from litestar import Router, post

from app.sandbox import customers, lists, order_items, orders, redeemables, sessions, stacking
from app.sandbox.discounts import all_together, evaluate
from app.sandbox.ids import new_id, tracking_id
from app.sandbox.read import AnyRequest, mapping, read_object, text
from app.sandbox.redeemables import Outcome
from app.sandbox.store import TheStore


@post("/validations", status_code=200)
async def validate(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    session = sessions.read(body)
    given = mapping(body, "order")
    wanted = orders.read(given, ".order")
    customer_given = mapping(body, "customer")
    async with store.work() as work:
        wanted_redeemables = redeemables.read(body, work.stacking)
        reference = text(customer_given, "id") or text(customer_given, "source_id")
        customer = await customers.find(work, reference) if reference else None
        # A known order is taken as it is stored; what the request says about it does not count.
        stored = await orders.find(work, known) if (known := wanted.id or wanted.source_id) else None
        doc = await order_items.resolved(work, wanted.doc, keep=False) if stored is None else {}
        order = stored["doc"] if stored is not None else orders.merged(None, doc) if given else None
        outcomes = await evaluate(
            work,
            wanted_redeemables,
            order,
            lock=session is not None,
            session=session.key if session else None,
            customer=customer,
            metadata=mapping(body, "metadata"),
        )
        valid = any(outcome.applies for outcome in outcomes)
        if session is not None and valid:
            await sessions.lock(
                work,
                session,
                [
                    (each.voucher, each.credits)
                    for each in outcomes
                    if each.applies and each.voucher and not each.purchase  # there are no sessions for loyalty cards
                ],
            )
        customer_id = customer["id"] if customer is not None else None
        rules = work.stacking
        shown = [outcome_shown(outcome, customer_id, work.call.request_id, rules) for outcome in outcomes]
    answer: dict[str, Any] = {"id": new_id("valid"), "valid": valid}
    if valid:
        answer["redeemables"] = [each for each in shown if each["status"] == "APPLICABLE"]
        last = next((outcome.order for outcome in reversed(outcomes) if outcome.order), None)
        if last is not None and order is not None:
            answer["order"] = order_shown(all_together(order, last), customer_id, items=True)
    else:
        answer["redeemables"] = shown
    if inapplicable := [each for each in shown if each["status"] == "INAPPLICABLE"]:
        answer["inapplicable_redeemables"] = inapplicable
    if skipped := [each for each in shown if each["status"] == "SKIPPED"]:
        answer["skipped_redeemables"] = skipped
    tracking = text(body, "tracking_id") or (reference or "")
    if session is not None and valid:
        answer["session"] = session.shown()
    return {**answer, "tracking_id": tracking_id(tracking), "stacking_rules": stacking.shown(rules)}


def outcome_shown(
    outcome: Outcome, customer_id: str | None, request_id: str, rules: Mapping[str, Any]
) -> dict[str, Any]:
    """One redeemable in the answer of a validation, or among those that a redemption left out."""
    shown: dict[str, Any] = {"id": outcome.code, "object": outcome.kind}
    if categories := stacking.marked(outcome.categories, rules):
        shown["categories"] = categories
    if outcome.error is not None:
        return {"status": "INAPPLICABLE", **shown, "result": {"error": outcome.error.body(request_id)}}
    if outcome.skipped is not None:
        message = outcome.skipped.replace("_", " ").capitalize()
        return {"status": "SKIPPED", **shown, "result": {"details": {"key": outcome.skipped, "message": message}}}
    return {"status": "APPLICABLE", **shown, **effect_shown(outcome, customer_id, rules)}


def effect_shown(
    outcome: Outcome, customer_id: str | None, rules: Mapping[str, Any], *, items: bool = False
) -> dict[str, Any]:
    """What one redeemable does, as validations and qualifications tell it."""
    row = outcome.tier if outcome.tier is not None else outcome.voucher
    assert row is not None
    return {
        **({"order": order_shown(outcome.order, customer_id, items=items)} if outcome.order else {}),
        "applicable_to": lists.whole(list(outcome.applicability.included)),
        "inapplicable_to": lists.whole(list(outcome.applicability.excluded)),
        "result": outcome.result,
        "metadata": row["doc"].get("metadata", {}),
        "categories": stacking.marked(outcome.categories, rules),
        **({"name": row["name"], "banner": row["doc"].get("banner")} if outcome.tier is not None else {}),
        "campaign_id": row["campaign_id"],
        "campaign_name": row["campaign"],
    }


def order_shown(order: dict[str, Any], customer_id: str | None, *, items: bool = False) -> dict[str, Any]:
    left_out = {"redemptions"} if items else {"redemptions", "items"}
    return {
        **{name: value for name, value in order.items() if name not in left_out},
        "customer_id": customer_id,
        "referrer_id": None,
        "object": "order",
    }


router = Router("/", route_handlers=[validate])
