"""Tiers of a programme: made and read, and the tier that each member is in, which follows the points and the days.

documented: the objects, the events when a member joins, goes up or down, stays longer or leaves; new tiers move members
whose tier has no term both ways, others only up. inferred: a member's tier is looked at at the end of whatever moved
the points; a rule that is named in a mapping must be there; rules on tier events fire for it at most a few times in one
request, so that two that lift each other come to an end.
"""

# ruff: noqa: S608 - what is put together here are constants and columns of an allow-list; values are parameters

from typing import Any

import asyncpg
from litestar import Router, get, post
from litestar.params import FromPath

from app.sandbox import (
    campaigns,
    customers,
    earning,
    ledger,
    lists,
    render,
    render_loyalty,
    rewards,
    tier_rules,
    tiering,
    vouchers,
)
from app.sandbox.calendar_days import midnight
from app.sandbox.clock import iso
from app.sandbox.errors import invalid_payload, not_found
from app.sandbox.fidelity import documented
from app.sandbox.ids import new_id
from app.sandbox.loyalties import LOYALTY, member
from app.sandbox.read import AnyRequest, integer, mapping, number, one_of, order, page, read_json, required_text
from app.sandbox.store import Store, TheStore
from app.sandbox.tier_rules import Place, Tier
from app.sandbox.work import Work

_ROUNDS = 5
_BATCH = 50
_MOST_AT_ONCE = 100
_COLLECTED = "('POINTS_ACCRUAL', 'POINTS_ADDITION', 'PENDING_POINTS_ACTIVATION')"
_DAYS = ("tier_id", "start_date", "expiration_date", "next_tier_id", "next_start")


async def settle_moved(work: Work) -> None:
    """Look at the tiers of all whose points moved in this transaction. Called before it commits."""
    for _ in range(_ROUNDS):
        moved, work.moved = work.moved, {}
        if not moved:
            return
        for card in moved.values():
            await settle(work, card)
    work.moved = {}


async def settle_now(work: Work, card: render.Row) -> render.Row:
    """Look at the tier of one card, and at what follows from it; answers the card after that."""
    work.moved.pop(card["id"], None)
    await settle(work, card)
    moved: render.Row | None = work.moved.get(card["id"])
    return card if moved is None else moved


async def settle(work: Work, card: render.Row) -> None:
    """Put the holder of this card into the tier of the points and the day, and tell of it. The holder is locked."""
    if not card["holder_id"] or not card["tiered"]:
        return
    rows = await work.all(
        "SELECT t.*, c.doc -> 'loyalty_tiers_expiration' AS settings "
        "FROM loyalty_tier t JOIN campaign c ON c.id = t.campaign_id WHERE t.campaign_id = $1 ORDER BY t.from_points",
        card["campaign_id"],
    )
    stored = await work.one("SELECT * FROM member_tier WHERE voucher_id = $1", card["id"])
    before = Place(*(stored[name] for name in _DAYS)) if stored is not None else Place()
    settings = rows[0]["settings"] or tier_rules.BY_BALANCE
    points, earlier = await _points(work, card, settings)
    tiers = [Tier(row["id"], row["from_points"], row["to_points"]) for row in rows]
    after, what = tier_rules.settle(settings, tiers, before, ledger.today(work), points, earlier)
    if after != before:
        await _store(work, card, after)
    if what is not None:
        await _tell(work, card, {row["id"]: row for row in rows}, before.tier, what)


async def _points(work: Work, card: render.Row, settings: dict[str, Any]) -> tuple[int, int]:
    """The balance; or what was collected in this period, and in the one before."""
    if not tier_rules.by_period(settings):
        return render_loyalty.card_balance(card), 0
    zone = work.config.time_zone
    this, earlier = (midnight(day, zone) for day in tier_rules.periods(settings, ledger.today(work)))
    row = await work.one(
        "SELECT coalesce(sum(points) FILTER (WHERE created_at >= $2), 0)::bigint AS now, "
        "coalesce(sum(points) FILTER (WHERE created_at < $2), 0)::bigint AS earlier FROM point_transaction "
        f"WHERE voucher_id = $1 AND created_at >= $3 AND type IN {_COLLECTED}",
        card["id"],
        this,
        earlier,
    )
    assert row is not None
    return row["now"], row["earlier"]


async def _store(work: Work, card: render.Row, place: Place) -> None:
    if place == Place():
        await work.run("DELETE FROM member_tier WHERE voucher_id = $1", card["id"])
        return
    await work.run(
        "INSERT INTO member_tier (voucher_id, campaign_id, tier_id, start_date, expiration_date, next_tier_id, "
        "next_start, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (voucher_id) DO UPDATE SET "
        "tier_id = $3, start_date = $4, expiration_date = $5, next_tier_id = $6, next_start = $7, updated_at = $8",
        card["id"],
        card["campaign_id"],
        place.tier,
        place.start,
        place.end,
        place.next_tier,
        place.next_start,
        work.now,
    )


async def _tell(work: Work, card: render.Row, by_id: dict[str, asyncpg.Record], before: str | None, what: str) -> None:
    holder = await customers.found(work, card["holder_id"])
    now = await tiering.of_card(work, card)
    tier: render.Row = now if now is not None else by_id[str(before)]
    data: dict[str, Any] = {
        "customer": render.simple_customer(holder),
        "campaign": render.simple_campaign(await campaigns.found(work, card["campaign_id"])),
    }
    if what in {"upgraded", "downgraded"}:
        data |= {
            "loyalty_tier_from": render_loyalty.tier(by_id[str(before)]),
            "loyalty_tier_to": render_loyalty.tier(tier),
        }
    else:
        data["loyalty_tier"] = render_loyalty.tier(tier)
    event = work.event(f"customer.loyalty.tier.{what}", holder["id"])
    work.announce(event, {**data, "created_at": iso(work.now)})
    await earning.earn(work, holder, event.type, event, tier=tier)


async def settle_all(store: Store, campaign_id: str) -> None:
    """Look at the tiers of all members of a programme, some at a time."""
    last = ""
    while True:
        async with store.work() as work:
            rows = await work.all(
                "SELECT id, holder_id FROM voucher WHERE campaign_id = $1 AND holder_id IS NOT NULL AND id > $2 "
                "ORDER BY id LIMIT $3",
                campaign_id,
                last,
                _BATCH,
            )
            if not rows:
                return
            await work.run(
                "SELECT 1 FROM customer WHERE id = ANY($1) ORDER BY id FOR UPDATE", [row["holder_id"] for row in rows]
            )
            cards = await work.all(f"{vouchers.SELECT} WHERE v.id = ANY($1) ORDER BY v.id", [row["id"] for row in rows])
            work.moved = {card["id"]: card for card in cards}
        last = rows[-1]["id"]


_ALL = "/loyalties/{campaign:str}/tiers"


@post(_ALL, status_code=200)
async def create_tiers(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> list[dict[str, Any]]:
    wanted = _read(await read_json(request))
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        await _known(work, row["id"], wanted)
        made = [
            await work.one(
                "INSERT INTO loyalty_tier (id, campaign_id, name, from_points, to_points, doc, created_at) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
                new_id("ltr"),
                row["id"],
                tier["name"],
                tier["from"],
                tier["to"],
                tier["doc"],
                work.now,
            )
            for tier in wanted
        ]
        shown = [render_loyalty.tier(each) for each in made if each is not None]
        for each in shown:
            work.announce(
                work.event("campaign.loyalty_tier.created", row["id"], "evcam"),
                {"campaign": render.simple_campaign(row), "loyalty_tier": each},
            )
    await settle_all(store, row["id"])
    return shown


def _read(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise invalid_payload("Payload must be array")
    if not 1 <= len(given) <= _MOST_AT_ONCE:
        raise invalid_payload(f"Payload must have 1 to {_MOST_AT_ONCE} items")
    made = []
    for place, each in enumerate(given):
        at = f"[{place}]"
        points = mapping(each, "points", at=at)
        least = integer(points, "from", at=f"{at}.points")
        if least is None:
            raise invalid_payload(f"Property {at}.points should have required property 'from'")
        most = integer(points, "to", least=least, at=f"{at}.points")
        doc = {
            "metadata": mapping(each, "metadata", at=at),
            "earning_rules": _mappings(mapping(each, "earning_rules", at=at), f"{at}.earning_rules"),
            "rewards": _mappings(mapping(each, "rewards", at=at), f"{at}.rewards"),
        }
        made.append({"name": required_text(each, "name", longest=255, at=at), "from": least, "to": most, "doc": doc})
    return made


def _mappings(given: dict[str, Any], at: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in given:
        inside = mapping(given, name, at=at)
        kind = one_of(inside, "type", ("MULTIPLY", "CUSTOM"), at=f"{at}.{name}")
        if kind == "CUSTOM":
            value: float | None = integer(inside, "points", most=2**31, at=f"{at}.{name}")
            made[name] = {"type": kind, "points": value}
        else:
            value = number(inside, "multiplier", most=10**6, at=f"{at}.{name}")
            made[name] = {"type": kind, "multiplier": value}
        if kind is None or value is None:
            raise invalid_payload(f"Property {at}.{name} should have required properties 'type' and its value")
    return made


async def _known(work: Work, campaign_id: str, wanted: list[dict[str, Any]]) -> None:
    for kind, table in (("earning_rules", "earning_rule"), ("rewards", "reward_assignment")):
        named = {identifier for tier in wanted for identifier in tier["doc"][kind]}
        rows = await work.all(
            f"SELECT id FROM {table} WHERE id = ANY($1) AND campaign_id = $2",
            list(named),
            campaign_id,
        )
        if missing := sorted(named - {row["id"] for row in rows}):
            raise not_found(table, missing[0])


@get(_ALL)
async def list_tiers(campaign: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    columns = {"created_at": "created_at", "updated_at": "updated_at", "name": "name", "points": "from_points"}
    sorting = order(request, columns, "created_at")
    async with store.work() as work:
        row = await campaigns.found(work, campaign, LOYALTY)
        rows = await work.all(f"SELECT * FROM loyalty_tier WHERE campaign_id = $1 ORDER BY {sorting}", row["id"])
    return lists.numbered("data", [render_loyalty.tier(each) for each in rows[offset : offset + limit]], len(rows))


async def _found(work: Work, campaign: str, tier: str) -> asyncpg.Record:
    program = await campaigns.found(work, campaign, LOYALTY)
    row = await work.one("SELECT * FROM loyalty_tier WHERE id = $1 AND campaign_id = $2", tier, program["id"])
    if row is None:
        raise not_found("loyalty_tier", tier)
    return row


@get(_ALL + "/{tier:str}")
async def get_tier(campaign: FromPath[str], tier: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render_loyalty.tier(await _found(work, campaign, tier))


@get(_ALL + "/{tier:str}/earning-rules")
async def list_rules_of_tier(
    campaign: FromPath[str], tier: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    limit, offset = page(request)
    async with store.work() as work:
        row = await _found(work, campaign, tier)
        rows = await work.all(
            "SELECT * FROM earning_rule WHERE campaign_id = $1 ORDER BY created_at, id", row["campaign_id"]
        )
    return lists.numbered(
        "data", [render_loyalty.earning_rule(each) for each in rows[offset : offset + limit]], len(rows)
    )


@get(_ALL + "/{tier:str}/rewards")
async def list_rewards_of_tier(
    campaign: FromPath[str], tier: FromPath[str], request: AnyRequest, store: TheStore
) -> dict[str, Any]:
    limit, offset = page(request)
    async with store.work() as work:
        row = await _found(work, campaign, tier)
        rows = await work.all(f"{rewards.ASSIGNED} ORDER BY a.created_at, a.id", row["campaign_id"])
    shown = [
        {"reward": rewards.of(each), "assignment": render_loyalty.assignment(each), "object": "loyalty_tier_reward"}
        for each in rows
    ]
    return lists.numbered("data", shown[offset : offset + limit], len(shown))


@get(["/loyalties/members/{reference:str}/tiers", "/loyalties/{campaign:str}/members/{reference:str}/tiers"])
async def list_tiers_of_member(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        card = await member(work, reference, request.path_params.get("campaign"))
        tier = await tiering.of_card(work, card)
    shown = [render_loyalty.tier(tier)] if tier is not None else []
    return lists.numbered("data", shown, len(shown))


router = Router(
    "/",
    route_handlers=[
        create_tiers,
        list_tiers,
        get_tier,
        list_rules_of_tier,
        list_rewards_of_tier,
        list_tiers_of_member,
    ],
)

FIDELITY = (
    documented(
        "the member's tier on the customer and at `members/{m}/tiers`; `MULTIPLY` and `CUSTOM` for "
        "earning rules and prices of rewards; joined, left, upgraded, downgraded, prolonged, told and "
        "earning; new tiers move members"
    ),
)
