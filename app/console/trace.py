"""The trace of an order: every step of its road, from the rows that the steps left; nothing is kept just for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from app.console import rows
from app.db.session import Database

STEPS: tuple[tuple[str, str, str], ...] = (
    ("till", "Pay pressed at the till", "pos_simulator/routes.py"),
    ("pending", "Basket priced, order saved as pending", "app/orders/checkout.py"),
    ("redeem", "Coupon redeemed in Voucherify", "app/orders/checkout.py"),
    ("paid", "Order paid, its event in the outbox", "app/orders/checkout.py"),
    ("relay", "Relay sent the event", "app/emitter/relay.py"),
    ("door", "The door stored the event", "app/segment/routes.py"),
    ("route", "Router planned the deliveries", "app/pipeline/route.py"),
    ("function", "Insert function ran", "functions/voucherify.py"),
    ("deliver", "Order moved to paid in Voucherify", "app/pipeline/deliver.py"),
    ("voucherify", "Voucherify gave the points", "outside"),
    ("webhook", "Webhooks verified and stored", "app/webhooks/routes.py"),
    ("profile", "Balance and coupon on the profile", "app/webhooks/apply.py"),
    ("screen", "Till and phone were told", "app/live"),
)


_AFTER_ROUTE = ("function", "deliver", "voucherify", "webhook", "profile", "screen")
DECIDE = "An operator decides: see /console/unclear."
NO_POINTS_AFTER = timedelta(seconds=3)
"""An order that Voucherify counts as paid and for which no points came in this time earned none."""

PRUNED_AFTER = timedelta(days=7)
"""An older order of which nothing waits has rows that were deleted (`KEEP_…_DAYS`), not steps that are yet to come."""


@dataclass
class _Step:
    state: str = "waiting"
    at: datetime | None = None
    sent: Any = None
    received: Any = None
    note: str | None = None


async def trace(database: Database, order_id: UUID) -> dict[str, Any] | None:
    """The trace as JSON, or None when there is no such order. `at_ms` counts from the till's call."""
    # One snapshot: read one after the other, the rows would be of different moments and tell of what never was.
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        found = await rows.of_order(connection, order_id)
    if found is None:
        return None
    steps = _steps(found)
    started: datetime = found.order["created_at"]
    reached = [step.at for step in steps.values() if step.at is not None and step.state == "done"]
    missing = [name for name, step in steps.items() if step.state not in {"done", "skipped"}]
    failed = any(step.state == "failed" for step in steps.values())
    return {
        "order": {
            "id": str(order_id),
            "number": found.order["number"],
            "status": found.order["status"],
            "total": found.order["total"],
            "currency": found.order["currency"],
            "member_id": str(found.order["member_id"]) if found.order["member_id"] else None,
            "location_id": found.order["location_id"],
            "created_at": _text(started),
        },
        "state": "failed" if failed else "running" if missing else "done",
        "complete": not missing,
        "missing": missing,
        "total_ms": _since(started, max(reached)) if reached and not missing else None,
        "points": sum(row["points"] for row in found.movements) if found.movements else None,
        "coupon": found.coupons[0]["code"] if found.coupons else None,
        "profile": found.profile,
        "steps": [
            {
                "step": number,
                "name": name,
                "title": title,
                "where": where,
                "state": steps[name].state,
                "at": _text(steps[name].at),
                "at_ms": _since(started, steps[name].at),
                "sent": steps[name].sent,
                "received": steps[name].received,
                "note": steps[name].note,
            }
            for number, (name, title, where) in enumerate(STEPS, start=1)
        ],
    }


def _steps(found: rows.Found) -> dict[str, _Step]:
    steps = {name: _Step() for name, _, _ in STEPS}
    _at_the_till(steps, found)
    if found.order["status"] == "CANCELED":
        for name in list(steps)[4:]:
            steps[name] = _Step(state="skipped", note="The order was canceled.")
        return steps
    _to_segment(steps, found)
    _to_voucherify(steps, found)
    if steps["voucherify"].state != "skipped":
        _back(steps, found)
    if found.read_at - found.order["created_at"] > PRUNED_AFTER and not _waits(found):
        for name, step in steps.items():
            if step.state == "waiting":
                steps[name] = _Step("skipped", note="Its rows are not kept any more.")
    return steps


def _waits(found: rows.Found) -> bool:
    """Whether a row says that something of this order is still to be done."""
    waiting = [row["status"] for row in (*found.deliveries, *found.others, *found.webhooks)]
    return "pending" in waiting or (found.emission is not None and found.emission["status"] == "pending")


def _at_the_till(steps: dict[str, _Step], found: rows.Found) -> None:
    order, saved = found.order, found.changes.get("order.pending")
    asked = {"member_id": str(order["member_id"] or ""), "coupon": order["coupon"], "source": order["source"]}
    steps["till"] = _Step("done", order["created_at"], asked, {"order_id": str(order["id"]), "status": order["status"]})
    saved_at = saved["created_at"] if saved else order["created_at"]
    steps["pending"] = _Step("done", saved_at, order["lines"], {"amount": order["amount"]})
    redemption = order["redemption"]
    if redemption is None:
        steps["redeem"] = _Step("skipped", note="No coupon on this order.")
    else:
        ended = redemption.get("ended_at")
        done = order["status"] == "PAID"
        steps["redeem"] = _Step(
            "done" if done else "failed" if order["status"] == "CANCELED" else "running",
            datetime.fromisoformat(ended) if ended else None,
            redemption.get("sent"),
            redemption.get("answered"),
            _refusal(order["refusal"], redemption),
        )
    if order["status"] == "PAID":
        totals = {name: order[name] for name in ("total", "discount", "tax")}
        steps["paid"] = _Step("done", order["paid_at"], {"status": "PAID"}, totals)
    elif order["status"] == "CANCELED":
        steps["paid"] = _Step("failed", order["touched_at"], note=order["refusal"])


def _refusal(refusal: str | None, redemption: dict[str, Any]) -> str | None:
    """Why the coupon was not used, and what became of it when Voucherify redeemed it after all."""
    if "rolled_back" in redemption:
        return f"{refusal} It was redeemed late, and rolled back {redemption['rolled_back']['at']}: it is free again."
    if "not_rolled_back" in redemption:
        return f"{refusal} It was redeemed late and can't be rolled back: {redemption['not_rolled_back']}"
    return refusal


def _to_segment(steps: dict[str, _Step], found: rows.Found) -> None:
    emission = found.emission
    if emission is not None:
        state = {"sent": "done", "dead": "failed"}.get(emission["status"], "running")
        note = emission["answer"] if state != "done" else None
        steps["relay"] = _Step(state, emission["sent_at"], emission["message"], emission["answer"], note)
    event = found.event
    if event is not None:
        steps["door"] = _Step(
            "done",
            event["received_at"],
            {"messageId": event["message_id"], "source": event["source"]},
            {"position": event["position"], "partition": event["partition"]},
        )
    if found.poison is not None:
        steps["route"] = _Step("failed", found.poison["created_at"], note=found.poison["error"])


def _to_voucherify(steps: dict[str, _Step], found: rows.Found) -> None:
    planned = [
        {"destination": row["destination"], "mapping": row["mapping"]} for row in (*found.deliveries, *found.others)
    ]
    if not found.deliveries:
        routed = found.changes.get("event.routed")
        anonymous = found.order["member_id"] is None and found.event is not None
        if routed is None and not anonymous:
            return
        why = "An order without a member does not go to Voucherify." if anonymous else "No mapping takes this event."
        state = "done" if planned or not anonymous else "skipped"
        note = None if planned else why
        steps["route"] = _Step(state, routed["created_at"] if routed else None, None, planned or None, note)
        for name in _AFTER_ROUTE:
            steps[name] = _Step("skipped", note=why)
        return
    first = found.deliveries[0]
    steps["route"] = _Step("done", first["created_at"], {"position": first["event_position"]}, planned)
    if found.function is not None:
        good = found.function["outcome"] in {"returned", "dropped"}
        answered = {"event": found.function["event"], "log": found.function["log"]}
        steps["function"] = _Step(
            "done" if good else "failed",
            found.function["finished_at"],
            {"calls": found.function["calls"]},
            answered,
            found.function["error"],
        )
    elif first["status"] == "pending" and first["error"]:
        steps["function"] = _Step("running", note=first["error"])
    elif first["status"] != "pending" and _sends(found):
        steps["function"] = _Step("skipped", note="This destination has no insert function.")
    sends = _sends(found)
    last = sends[-1] if sends else None
    state = {"delivered": "done", "filtered": "done", "pending": "running"}.get(first["status"], "failed")
    steps["deliver"] = _Step(
        "waiting" if state == "running" and last is None else state,
        first["finished_at"],
        last["request"] if last else None,
        {"status": last["status"], "answer": _parsed(last["answer"]), "tries": len(sends), **_others(found)}
        if last
        else None,
        f"{first['error'] or ''} {DECIDE}".lstrip() if first["status"] == "unclear" else first["error"],
    )
    if first["status"] == "filtered":
        for name in ("voucherify", "webhook", "profile", "screen"):
            steps[name] = _Step("skipped", note=first["error"])


def _sends(found: rows.Found) -> list[asyncpg.Record]:
    """The tries of the delivery that the trace is about."""
    return [row for row in found.attempts if row["kind"] == "send" and row["delivery_id"] == found.deliveries[0]["id"]]


def _others(found: rows.Found) -> dict[str, Any]:
    """What else the event was delivered to."""
    others = [{name: row[name] for name in ("id", "destination", "mapping", "status")} for row in found.others]
    return {"others": others} if others else {}


def _back(steps: dict[str, _Step], found: rows.Found) -> None:
    if found.movements:
        first = found.movements[0]
        steps["voucherify"] = _Step(
            "done",
            first["created_at"],
            None,
            [{name: row[name] for name in ("transaction_id", "type", "points", "balance")} for row in found.movements],
        )
    else:
        paid = next((row for row in found.webhooks if row["type"] == "customer.order.paid"), None)
        if paid is not None and found.read_at - paid["received_at"] > NO_POINTS_AFTER:
            steps["voucherify"] = _Step("done", paid["received_at"], note="Voucherify gave no points for this order.")
    relevant = [row for row in found.webhooks if row["status"] != "ignored"] or found.webhooks
    if relevant:
        steps["webhook"] = _Step(
            "done",
            relevant[0]["received_at"],
            [{"type": row["type"], "event": row["event_id"]} for row in found.webhooks],
            {"stored": len(found.webhooks)},
        )
        failed = next((row for row in found.webhooks if row["status"] == "failed"), None)
        applied = [row["applied_at"] for row in relevant if row["status"] == "applied"]
        if failed is not None:
            steps["profile"] = _Step("failed", note=failed["error"])
        elif steps["voucherify"].state == "done" and applied and all(row["status"] != "pending" for row in relevant):
            steps["profile"] = _Step("done", max(applied), None, found.profile)
        elif any(row["error"] for row in relevant):
            steps["profile"] = _Step("running", note=next(row["error"] for row in relevant if row["error"]))
    if steps["profile"].state == "done":
        told = found.changes.get("profile.updated")
        steps["screen"] = _Step(
            "done",
            told["created_at"] if told else steps["profile"].at,
            None,
            {"kind": told["kind"], "position": told["position"]} if told else None,
        )


def _parsed(text: str | None) -> Any:
    """An answer as JSON where it is whole JSON; long ones were cut."""
    try:
        return msgspec.json.decode(text) if text else text
    except msgspec.DecodeError:
        return text


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def _since(start: datetime, moment: datetime | None) -> float | None:
    return round((moment - start).total_seconds() * 1000, 1) if moment else None
