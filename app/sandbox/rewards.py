"""Rewards: the catalogue of what points can buy: coupons, credits, points of another programme, products, money off.

documented: the objects, `invalid_balance`, `resource_in_use` with the assignments, lists, a product by its id and SKU,
the ratio of paying with points as text or number. inferred: a reward keeps its kind; metadata merges key by key; a
`stock` of null is no limit; only products count how often they were redeemed, null as long as they were not.
"""

from typing import Any

import asyncpg
from litestar import Router, delete, get, post, put
from litestar.params import FromPath

from app.sandbox import campaigns, lists, products, render_loyalty, skus
from app.sandbox.errors import Failure, invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, argument, integer, mapping, one_of, page, read_object, required_text, text
from app.sandbox.store import TheStore
from app.sandbox.work import Work

ASSIGNED = """
  SELECT a.*, r.name, r.type, r.doc, r.stock, r.redeemed, r.created_at AS reward_created_at,
    r.updated_at AS reward_updated_at FROM reward_assignment a
  JOIN reward r ON r.id = a.reward_id WHERE a.campaign_id = $1
"""
"""The assignments of a programme, each with its reward; for `of` and `render.reward_assignment`."""
CAMPAIGN, COIN, MATERIAL = "CAMPAIGN", "COIN", "MATERIAL"
_KINDS = {"campaign": CAMPAIGN, "coin": COIN, "product": MATERIAL}
"""The part of `parameters` that says what a reward gives, and the type of rewards that have it."""
_GIVING = ("DISCOUNT_COUPONS", "GIFT_VOUCHERS", "LOYALTY_PROGRAM")
_MOST = 2**31


async def found(work: Work, reference: str, *, lock: bool = False) -> asyncpg.Record:
    row = await work.one(f"SELECT * FROM reward WHERE id = $1{' FOR UPDATE' if lock else ''}", reference)  # noqa: S608
    if row is None:
        raise not_found("reward", reference)
    return row


def of(assignment: asyncpg.Record) -> dict[str, Any]:
    """The reward of an assignment that was read together with it."""
    times = {name: assignment[f"reward_{name}"] for name in ("created_at", "updated_at")}
    return render_loyalty.reward({**assignment, "id": assignment["reward_id"], **times})


async def parameters_of(work: Work, body: dict[str, Any], kind: str | None = None) -> tuple[str, dict[str, Any]]:
    """The type of a reward and its parameters, as they are kept; `kind` is the type that it has already."""
    given = mapping(body, "parameters")
    named = [name for name in _KINDS if mapping(given, name, at=".parameters")]
    if len(named) != 1:
        raise invalid_payload("Property .parameters should have one of the properties 'campaign', 'coin', 'product'")
    [name] = named
    if _KINDS[name] != (one_of(body, "type", tuple(_KINDS.values())) or kind or _KINDS[name]) or (
        kind not in {None, _KINDS[name]}
    ):
        raise invalid_payload(f"Property .parameters.{name} can't be used for a reward of another type")
    inside, at = mapping(given, name, at=".parameters"), f".parameters.{name}"
    read = {"campaign": _campaign, "coin": _coin, "product": _product}[name]
    return _KINDS[name], {name: await read(work, inside, at)}


async def _campaign(work: Work, given: dict[str, Any], at: str) -> dict[str, Any]:
    campaign = await campaigns.found(work, required_text(given, "id", at=at))
    kind = campaign["campaign_type"]
    if kind not in _GIVING:
        raise Failure(400, "invalid_campaign", "Invalid Campaign", f"A campaign of the type {kind} can't be a reward")
    made = {"id": campaign["id"], "type": kind}
    if kind == "DISCOUNT_COUPONS":
        return made
    balance = integer(given, "balance", least=-_MOST, most=_MOST, at=at)
    if balance is None or balance < 1:
        raise Failure(
            400,
            "invalid_balance",
            "Property 'parameters.campaign.balance' is invalid",
            f"Property 'parameters.campaign.balance' must be greater than zero for campaign type: {kind}",
        )
    return {"id": campaign["id"], "balance": balance, "type": kind}


async def _coin(_: Work, given: dict[str, Any], at: str) -> dict[str, Any]:
    """So many points are worth so much money, in major units. Both may come as text."""
    exchange = _positive(given.get("exchange_ratio"), f"{at}.exchange_ratio")
    points = _positive(given.get("points_ratio", 1), f"{at}.points_ratio")
    if not points.is_integer():
        raise invalid_payload(f"Property {at}.points_ratio must be integer")
    return {"exchange_ratio": int(exchange) if exchange.is_integer() else exchange, "points_ratio": int(points)}


def _positive(given: Any, at: str) -> float:
    try:
        value = float(given) if isinstance(given, int | float | str) and not isinstance(given, bool) else 0.0
    except (ValueError, OverflowError):
        value = 0.0
    if not 0.0001 <= value <= _MOST:
        raise invalid_payload(f"Property {at} must be a number from 0.0001 to {_MOST}")
    return value


async def _product(work: Work, given: dict[str, Any], at: str) -> dict[str, Any]:
    product = await products.found(work, required_text(given, "id", at=at))
    reference = text(given, "sku_id", at=at)
    sku = await skus.found(work, reference, product=product["id"]) if reference else None
    return {"id": product["id"], "sku_id": sku["id"] if sku is not None else None}


def _attributes(body: dict[str, Any]) -> dict[str, Any]:
    given = mapping(body, "attributes")
    return {key: value for key in ("image_url", "description") if (value := text(given, key, at=".attributes"))}


def _stock(body: dict[str, Any], kind: str) -> int | None:
    stock = integer(body, "stock", most=_MOST)
    if stock is not None and kind != MATERIAL:
        raise invalid_payload("Property .stock can be used for a reward of the type MATERIAL only")
    return stock


@post("/rewards", status_code=200)
async def create_reward(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    name, metadata, attributes = required_text(body, "name", longest=255), mapping(body, "metadata"), _attributes(body)
    async with store.work() as work:
        kind, parameters = await parameters_of(work, body)
        row = await work.one(
            "INSERT INTO reward (id, name, type, doc, stock, created_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING *",
            new_id("rew"),
            name,
            kind,
            {"attributes": attributes, "metadata": metadata, "parameters": parameters},
            _stock(body, kind),
            work.now,
        )
        assert row is not None
        return render_loyalty.reward(row)


@get("/rewards")
async def list_rewards(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, offset = page(request)
    assignment = argument(request, "assignment_id")
    where = "$1::text IS NULL OR id = (SELECT reward_id FROM reward_assignment WHERE id = $1)"
    async with store.work() as work:
        rows = await work.all(
            f"SELECT * FROM reward WHERE {where} ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3",  # noqa: S608
            assignment,
            limit,
            offset,
        )
        total = await work.value(f"SELECT count(*) FROM reward WHERE {where}", assignment)  # noqa: S608
    return lists.numbered("data", [render_loyalty.reward(row) for row in rows], total)


@get("/rewards/{reference:str}")
async def get_reward(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        return render_loyalty.reward(await found(work, reference))


@put("/rewards/{reference:str}")
async def update_reward(reference: FromPath[str], request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        row = await found(work, reference, lock=True)
        doc = dict(row["doc"])
        if body.get("parameters") is not None:
            _, doc["parameters"] = await parameters_of(work, body, row["type"])
            await _refuse_own_points(work, row["id"], doc["parameters"])
        if "attributes" in body:
            doc["attributes"] = {**doc["attributes"], **_attributes(body)}
        metadata = {**doc["metadata"], **mapping(body, "metadata")}
        doc["metadata"] = {name: value for name, value in metadata.items() if value is not None}
        changed = await work.one(
            "UPDATE reward SET name = $2, doc = $3, stock = $4, updated_at = $5 WHERE id = $1 RETURNING *",
            row["id"],
            row["name"] if body.get("name") is None else required_text(body, "name", longest=255),
            doc,
            _stock(body, row["type"]) if "stock" in body else row["stock"],
            work.now,
        )
        assert changed is not None
        return render_loyalty.reward(changed)


async def _refuse_own_points(work: Work, identifier: str, parameters: dict[str, Any]) -> None:
    rows = await work.all("SELECT campaign_id FROM reward_assignment WHERE reward_id = $1", identifier)
    for row in rows:
        refuse_own_points(row["campaign_id"], parameters)


def refuse_own_points(campaign_id: str, parameters: dict[str, Any]) -> None:
    """Refuse a reward of points in the programme that gives them."""
    if (parameters.get("campaign") or {}).get("id") == campaign_id:
        details = "A loyalty campaign can't reward itself with loyalty points"
        raise Failure(400, "invalid_campaign", "Invalid Campaign", details, resource_id=campaign_id)


@delete("/rewards/{reference:str}", status_code=204)
async def delete_reward(reference: FromPath[str], store: TheStore) -> None:
    async with store.work() as work:
        row = await found(work, reference, lock=True)
        using = await work.all("SELECT id FROM reward_assignment WHERE reward_id = $1 ORDER BY created_at", row["id"])
        if using:
            ids = [each["id"] for each in using]
            details = f"Resource reward with id {row['id']} is in use by reward_assignments with ids [{', '.join(ids)}]"
            failure = Failure(400, "resource_in_use", "Resource in use", details)
            failure.fields |= {"related_object_ids": ids, "related_object_type": "reward_assignment"}
            raise failure
        await work.run("DELETE FROM reward WHERE id = $1", row["id"])


router = Router("/", route_handlers=[create_reward, list_rewards, get_reward, update_reward, delete_reward])

FIDELITY = (
    documented(
        "**Rewards**: coupons, credits of a gift card and points of another programme (CAMPAIGN), products and SKUs "
        "with a stock (MATERIAL), paying with points (COIN); made, changed, listed, deleted (`resource_in_use` "
        "while a programme has it); `invalid_balance`; a programme can't give its own points"
    ),
    inferred(
        "a reward keeps its kind; `redeemed` counts products alone and is null until one was given; "
        "a programme's own points as a reward are `invalid_campaign`"
    ),
)
