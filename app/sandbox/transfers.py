"""Points from some cards to another: `POST …/members/{m}/transfers`.

documented: several cards at once, of any programmes and customers, all with holders; the answer is the card that got
them; they expire by the rules of its programme, from the day of the transfer; two transactions that name each other.
inferred: all or nothing; the points of one card at most its balance; a card cannot give to itself.
"""

from typing import Any

from litestar import Router, post
from litestar.params import FromPath

from app.sandbox import campaigns, ledger, render, render_loyalty, vouchers
from app.sandbox.errors import Failure, invalid_payload
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.loyalties import member
from app.sandbox.read import AnyRequest, integer, read_json, required_text, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_MOST_AT_ONCE = 100
_SIMPLE = (
    *("id", "code", "loyalty_card", "type", "campaign", "campaign_id", "is_referral_code", "holder_id"),
    *("category_id", "categories", "active", "created_at", "updated_at", "start_date", "expiration_date"),
    *("metadata", "object"),
)


@post("/loyalties/{campaign:str}/members/{reference:str}/transfers", status_code=200)
async def transfer_points(
    campaign: FromPath[str], reference: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    wanted = _read(await read_json(request))
    async with store.work() as work:
        target = await member(work, reference, campaign)
        sources = [await member(work, each["code"]) for each in wanted]
        cards = await _locked(work, [target["id"], *(card["id"] for card in sources)])
        for each, source in zip(wanted, sources, strict=True):
            if source["id"] == target["id"]:
                raise invalid_payload("Points cannot be transferred from a loyalty card to itself")
            await _transfer(work, cards, source["id"], target["id"], each)
        return render.voucher(cards[target["id"]], work.config.url)


def _read(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise invalid_payload("Payload must be array")
    if not 1 <= len(given) <= _MOST_AT_ONCE:
        raise invalid_payload(f"Payload must have 1 to {_MOST_AT_ONCE} items")
    made = []
    for place, each in enumerate(given):
        at = f"[{place}]"
        points = integer(each, "points", least=1, most=2**31, at=at)
        if points is None:
            raise invalid_payload(f"Property {at} should have required property 'points'")
        made.append(
            {
                "code": required_text(each, "code", at=at),
                "points": points,
                "reason": text(each, "reason", at=at),
                "source_id": text(each, "source_id", at=at),
            }
        )
    return made


async def _locked(work: Work, card_ids: list[str]) -> dict[str, render.Row]:
    """The cards by id, their holders locked first and all in one order, as the jobs of the night do."""
    holders = "SELECT holder_id FROM voucher WHERE id = ANY($1)"
    await work.run(f"SELECT 1 FROM customer WHERE id IN ({holders}) ORDER BY id FOR UPDATE", card_ids)  # noqa: S608 - constants
    await work.run("SELECT 1 FROM voucher WHERE id = ANY($1) ORDER BY id FOR UPDATE", card_ids)
    rows = await work.all(f"{vouchers.SELECT} WHERE v.id = ANY($1)", card_ids)
    for row in rows:
        if not row["holder_id"]:
            raise Failure(
                400, "invalid_voucher", "Invalid voucher", "Points can be transferred on published cards only."
            )
        if not row["active"] or not row["campaign_active"]:
            raise Failure(400, "loyalty_card_not_active", "Loyalty card is not active", row["code"])
    return {row["id"]: row for row in rows}


async def _transfer(
    work: Work, cards: dict[str, render.Row], source_id: str, target_id: str, wanted: dict[str, Any]
) -> None:
    source, target, points = cards[source_id], cards[target_id], wanted["points"]
    if render_loyalty.card_balance(source) < points:
        raise Failure(400, "loyalty_card_points_exceeded", "loyalty card points exceeded", source["code"])
    out, into = new_id("vtx"), new_id("vtx")
    given = {name: wanted[name] for name in ("source_id", "reason")}
    channel = work.call.channel or "API"
    named = {"source_voucher": _simple(work, source), "destination_voucher": _simple(work, target)}
    left = await ledger.move(
        work, source, -points, "POINTS_TRANSFER_OUT", details=named, source=channel, related=(out, into), **given
    )
    came = await ledger.move(
        work, target, points, "POINTS_TRANSFER_IN", details=named, source=channel, related=(into, out), **given
    )
    cards[source_id], cards[target_id] = left.card, came.card
    both = {
        "source_voucher": render.voucher(left.card, work.config.url),
        "destination_voucher": render.voucher(came.card, work.config.url),
    }
    for movement in (left, came):
        card = movement.card
        holder = await work.one("SELECT * FROM customer WHERE id = $1", card["holder_id"])
        campaign = render.simple_campaign(await campaigns.found(work, card["campaign_id"]))
        work.announce(
            work.event("voucher.loyalty_card.transaction.created", card["id"], "evvou"),
            ledger.transaction_data(work, movement, campaign, holder, **both),
            lane=card["holder_id"],
        )
        work.announce(
            work.event("customer.voucher.loyalty_card.points_transferred", card["holder_id"]),
            {
                "customer": render.simple_customer(holder),
                "campaign": campaign,
                "voucher": render.voucher(card, work.config.url),
                **both,
                "transaction": movement.transaction,
            },
        )


def _simple(work: Work, card: render.Row) -> dict[str, Any]:
    shown = render.voucher(card, work.config.url)
    return {name: shown[name] for name in _SIMPLE}


router = Router("/", route_handlers=[transfer_points])

FIDELITY = (
    documented(
        "**Transfers** of points from cards to a card, of any programmes: paired transactions, expiry by "
        "the rules of where they come"
    ),
    inferred("a transfer is done whole or not at all; it counts as subtracted where it left"),
)
