"""What is unclear, as an operator sees it: deliveries and movements of points in one form; pure."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from app.pipeline.decisions import Choice, UnclearDelivery
from app.points.models import PointOperation

WORDS: dict[Choice, str] = {"done": "Done", "not_done": "Not done", "send_again": "Send again"}
_OUTCOMES = {
    None: "no end was noted: its worker died in it",
    "done": "done",
    "retry": "nothing was done",
    "refused": "refused",
    "unclear": "no answer came",
    "overruled": "no answer came; overruled by a decision",
    "found": "found",
    "not_found": "not found",
}
_TITLES = {"identify": "Customer", "group": "Group", "page": "Page", "screen": "Screen", "alias": "Alias"}


@dataclass(frozen=True)
class Step:
    """A request that left: a send, or a look-up whether an earlier send was carried out."""

    kind: str
    """`send` or `look_up`."""
    at: datetime
    milliseconds: float | None
    outcome: str
    status: int | None
    """The HTTP status; None where no answer came."""
    asked: str
    """Method and address."""
    answer: Any


@dataclass(frozen=True)
class Case:
    """Something that was sent and of which nobody can know whether it was carried out."""

    subject: str
    """`delivery:<id>` or `points:<id>`."""
    title: str
    about: str
    """Where it was going, and by which mapping or for which purpose."""
    member_id: str
    """Whose; of an event by somebody who never signed in, the anonymous id."""
    member_name: str | None
    order_id: str | None
    order_number: int | None
    happened_at: datetime
    since: datetime
    reason: str
    sent: dict[str, Any] | None
    """`{method, url, body}`; a path instead of an address where points are moved."""
    steps: tuple[Step, ...]
    choices: dict[Choice, str]
    """What each decision will do."""


def of_delivery(row: UnclearDelivery, names: dict[str, str], orders: dict[str, int]) -> Case:
    """`names` of members and `orders`' numbers, by their ids."""
    return Case(
        subject=f"delivery:{row.id}",
        title=f"“{row.event_name}”" if row.event_name else _TITLES.get(row.event_type, row.event_type),
        about=f"{row.event_type} · mapping {row.mapping} · to {row.destination}",
        member_id=row.person,
        member_name=names.get(row.person) or None,
        order_id=row.order_id if row.order_id in orders else None,
        order_number=orders.get(row.order_id or ""),
        happened_at=row.event_at,
        since=row.since,
        reason=row.reason,
        sent=row.sent,
        steps=tuple(
            Step(
                kind=one.kind,
                at=one.started_at,
                milliseconds=(one.ended_at - one.started_at).total_seconds() * 1000 if one.ended_at else None,
                outcome=_OUTCOMES.get(one.outcome, str(one.outcome)),
                status=one.status or None,
                asked=f"{one.request['method']} {one.request['url']}",
                answer=_parsed(one.answer),
            )
            for one in row.tries
        ),
        choices={
            "done": "It happened. Nothing is sent, and the delivery counts as delivered.",
            "not_done": "It did not happen and shall not. Nothing is sent, and the delivery counts as failed.",
            "send_again": "It did not happen and shall. It is sent once, now; if it happened after all, then twice.",
        },
    )


def of_points(row: PointOperation, names: dict[str, str]) -> Case:
    points = f"{abs(row.points):,} points" if row.points is not None else "its points"
    moved = f"{points} {'taken from' if row.kind == 'reward' or (row.points or 0) < 0 else 'added to'} card {row.card}"
    asked = f"{row.sent['method']} {row.sent['path']}"
    left_at = datetime.fromisoformat(row.sent["at"]) if row.sent.get("at") else row.created_at
    sent = Step("send", left_at, None, _OUTCOMES["unclear"], None, asked, row.answered)
    return Case(
        subject=f"points:{row.id}",
        title=row.title or row.kind.capitalize(),
        about=f"{row.kind}: {moved}",
        member_id=str(row.member_id),
        member_name=names.get(str(row.member_id)) or None,
        order_id=None,
        order_number=None,
        happened_at=row.created_at,
        since=row.touched_at,
        reason=row.refusal or "No reason was kept.",
        sent={"method": row.sent["method"], "url": row.sent["path"], "body": row.sent.get("body")},
        steps=(
            sent,
            *(
                Step(
                    kind="look_up",
                    at=datetime.fromisoformat(one["at"]),
                    milliseconds=None,
                    outcome=_OUTCOMES["found" if one["found"] else "not_found"],
                    status=None,
                    asked=f"GET {one['path']}",
                    answer=None,
                )
                for one in row.look_ups
            ),
        ),
        choices={
            "done": f"It happened: {moved}. Nothing is sent.",
            "not_done": f"It did not happen and shall not. Nothing is sent; {points} stay where they are.",
            "send_again": f"It did not happen and shall. It is looked for once more; if it is not found, {moved}.",
        },
    )


def uuids(texts: Iterable[str | None]) -> list[UUID]:
    """Those that are UUIDs. Events from elsewhere may name orders and people that are none of ours."""
    made = []
    for text in texts:
        with contextlib.suppress(ValueError):
            made += [UUID(text)] if text else []
    return made


def _parsed(text: str | None) -> Any:
    """An answer as JSON where it is whole JSON; long ones were cut."""
    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return text
