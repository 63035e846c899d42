"""Whether validation rules let somebody have something: facts gathered, rules asked, and the refusal if they say no.

documented: the keys of refusals, their sentences, `error.message` of a rule (or of the whole definition) as
`error.error.message`. inferred: of several rules the first one to blame gives the key; a rule that lacks the
customer, the order or its items is refused with `missing_customer`, `missing_order`, `missing_order_items`; rolled
back redemptions do not count; a discount on certain products needs one of them in the order.
"""

# ruff: noqa: S608 - what is put together here are constants; values are parameters

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from app.sandbox import (
    applicability,
    logic,
    membership,
    operators,
    product_collections,
    render,
    render_loyalty,
    vouchers,
)
from app.sandbox.applicability import EVERYTHING, Applicability
from app.sandbox.errors import Failure
from app.sandbox.fidelity import documented, inferred
from app.sandbox.predicates import COUNTS, ITEMS, THINGS, Facts, Item, is_collection, is_true, missing, since
from app.sandbox.validation_rule_assignments import insert, remove, rule_found, rule_shown, shown
from app.sandbox.validation_rule_definitions import names
from app.sandbox.work import Work

Row = Mapping[str, Any]
APPLICABLE = "applicable_to"
"""Among what is omitted: that an order must have something that the discount applies to."""
_LABELS = {"DISCOUNT_VOUCHER": "Discount Coupon", "GIFT_VOUCHER": "Gift Card", "LOYALTY_CARD": "Loyalty Card"}


@dataclass(frozen=True)
class Subject:
    """Who tries what. `order` is the order's `doc` as it stands before this attempt."""

    customer: Row | None
    order: Mapping[str, Any] | None
    voucher: Row | None = None
    metadata: Mapping[str, Any] | None = None
    """The redemption's metadata."""
    event: Mapping[str, Any] | None = None
    """The metadata of the custom event that earns."""
    beside: Sequence[tuple[str | None, str]] = ()
    """Campaign and incentive (voucher or promotion tier) of what the same request has used before this."""
    lock: bool = False
    """Whether this will be carried out: then nobody else may be counted at the same time."""
    omitted: frozenset[str] = frozenset()
    """Kinds of rules that are not asked: they hold."""


@dataclass(frozen=True)
class Judgement:
    """What the validation rules of something say to one attempt."""

    failure: Failure | None = None
    applicability: Applicability = EVERYTHING
    asked: frozenset[str] = frozenset()
    """The kinds of rules that were asked."""
    not_asked: Mapping[str, list[str]] = field(default_factory=dict)
    """The numbers of the rules that were not asked, by their definitions."""


async def refusal(work: Work, related: Sequence[tuple[str, str]], subject: Subject) -> Failure | None:
    """The first violated validation rule of what is assigned to one of these objects, or None."""
    return (await judge(work, related, subject)).failure


async def judge(work: Work, related: Sequence[tuple[str, str]], subject: Subject) -> Judgement:
    """What the rules say that are assigned to one of these objects: the first violated one, and what is discounted."""
    rows = await work.all(
        "SELECT r.* FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (kind, id, place) "
        "JOIN validation_rule_assignment a ON a.related_object_type = wanted.kind AND a.related_object_id = wanted.id "
        "JOIN validation_rule r ON r.id = a.rule_id ORDER BY place, a.created_at, a.id",
        [kind for kind, _ in related],
        [identifier for _, identifier in related],
    )
    if not rows:
        return Judgement()
    facts = await _facts(work, rows, related, subject)
    label = _LABELS[subject.voucher["type"]] if subject.voucher is not None else "Promotion Tier"
    return Judgement(
        next((failure for row in rows if (failure := judged(row["id"], row["doc"], facts, label))), None),
        applicability.of([row["doc"] for row in rows], facts.items),
        frozenset().union(*(names(row["doc"]) for row in rows)) - facts.omitted,
        {
            row["id"]: [
                number
                for number, rule in row["doc"]["rules"].items()
                if number != "logic" and rule["name"] in facts.omitted
            ]
            for row in rows
        }
        if facts.omitted
        else {},
    )


def judged(rule_id: str, doc: Mapping[str, Any], facts: Facts, label: str = "Discount Coupon") -> Failure | None:
    """What one definition says to these facts. Pure."""
    rules = {number: rule for number, rule in doc["rules"].items() if number != "logic"}
    tree = logic.parse(doc["rules"]["logic"], rules)
    blamed = logic.culprit(tree, lambda number: rules[number]["name"] in facts.omitted or is_true(rules[number], facts))
    fallback = (doc.get("error") or {}).get("message")
    if blamed is not None:
        rule = rules[blamed]
        lacking = missing(rule["name"], facts)
        custom = (rule.get("error") or {}).get("message", fallback)
        return lacks(lacking) if lacking else violated(_subject_of(rule["name"]), rule_id, label, custom)
    chosen = applicability.places(doc, facts.items) if APPLICABLE not in facts.omitted else None
    if chosen is None or chosen:
        return None
    return lacks("missing_order") if facts.order is None else violated("order", rule_id, label, fallback)


def violated(about: str, rule_id: str, label: str, custom: str | None = None) -> Failure:
    return Failure(
        400,
        f"{about}_rules_violated",
        f"{about} does not match validation rules",
        f"{label} cannot be redeemed because of violated validation rules: {rule_id}",
        custom=custom,
    )


def lacks(key: str) -> Failure:
    words = key.removeprefix("missing_").replace("_", " ")
    return Failure(400, key, f"Missing {words}", f"{words.capitalize()} is required by a validation rule")


async def assign(work: Work, rule_id: str, kind: str, identifier: str, *, force: bool = False) -> asyncpg.Record:
    """Assign a rule to an object that the caller knows to be there, and tell of it.

    Raises:
        Failure: there is no such rule, it is assigned there already, or it would not be carried out there.
    """
    row = await insert(work, rule_id, kind, identifier, force=force)
    await _tell(work, "created", row)
    return row


async def withdraw(work: Work, rule_id: str, assignment_id: str) -> None:
    """Take an assignment away, and tell of it."""
    await _tell(work, "deleted", await remove(work, rule_id, assignment_id))


async def _tell(work: Work, what: str, row: asyncpg.Record) -> None:
    kind, identifier = row["related_object_type"], row["related_object_id"]
    voucher = await vouchers.find(work, identifier) if kind == "voucher" else None
    earning = await work.one("SELECT * FROM earning_rule WHERE id = $1", identifier) if kind == "earning_rule" else None
    campaign = (
        identifier if kind == "campaign" else next((each["campaign_id"] for each in (voucher, earning) if each), None)
    )
    work.announce(
        work.event(f"business_validation_rule.assignment.{what}", row["rule_id"], "evbvr"),
        {
            "rule": rule_shown(await rule_found(work, row["rule_id"])),
            "assignment": {**shown(row), "validation_status": "VALID", "validation_omitted_rules": []},
            **({"voucher": render.voucher(voucher, work.config.url)} if voucher else {}),
            "campaign": {"id": campaign, "object": "campaign"} if campaign else None,
            "earning_rule": render_loyalty.earning_rule(earning) if earning else None,
            "distribution": None,
            "promotion_tier": {"id": identifier, "object": "promotion_tier"} if kind == "promotion_tier" else None,
        },
    )


def _subject_of(name: str) -> str:
    if name.startswith("customer."):
        return "customer"
    return "order" if name.startswith(("order.", "product.", "sku.")) else "redemption"


async def _facts(work: Work, rows: list[asyncpg.Record], related: Sequence[tuple[str, str]], subject: Subject) -> Facts:
    asked: set[str] = set().union(*(names(row["doc"]) for row in rows)) - subject.omitted
    customer, voucher = subject.customer, subject.voucher
    kinds = dict(related)
    campaign = kinds.get("campaign") or (voucher["campaign_id"] if voucher is not None else None)
    incentive = voucher["id"] if voucher is not None else kinds.get("promotion_tier")
    counts = {name: await _count(work, name, campaign, incentive, subject) for name in sorted(asked & COUNTS)}
    segments: frozenset[str] = frozenset()
    if customer is not None and "customer.segment" in asked:
        segments = await membership.inside(work, customer, _segments_named(rows))
    return Facts(
        now=work.now,
        customer=customer["doc"] if customer is not None else None,
        order=subject.order,
        items=await items_of(work, subject.order, _collections_named(rows)),
        segments=segments,
        counts=counts,
        held=customer is not None and voucher is not None and voucher["holder_id"] == customer["id"],
        metadata=subject.metadata,
        event=subject.event,
        omitted=subject.omitted,
    )


def _collections_named(rows: list[asyncpg.Record]) -> set[str]:
    """The collections of products that these definitions are about."""
    things = [
        thing
        for row in rows
        for number, rule in row["doc"]["rules"].items()
        if number != "logic" and (rule["name"] in ITEMS or rule["name"] in THINGS)
        for given in rule["conditions"].values()
        for thing in operators.values(given)
    ]
    things += [
        thing for row in rows for name in ("included", "excluded") for thing in row["doc"]["applicable_to"][name]
    ]
    return {thing["id"] for thing in things if is_collection(thing)}


def _segments_named(rows: list[asyncpg.Record]) -> list[str]:
    return [
        segment
        for row in rows
        for number, rule in row["doc"]["rules"].items()
        if number != "logic" and rule["name"] == "customer.segment"
        for given in rule["conditions"].values()
        for segment in operators.values(given)
    ]


async def _count(work: Work, name: str, campaign: str | None, incentive: str | None, subject: Subject) -> int:
    """How many redemptions a rule counts before this one."""
    wanted = campaign if name.startswith("campaign.") else incentive
    each = "customer" in name
    customer = subject.customer["id"] if subject.customer is not None else None
    if wanted is None or (each and customer is None):
        return 0
    if subject.lock and not each:  # a customer's own are counted under the customer's lock
        await work.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", wanted)
    column = "campaign_id" if name.startswith("campaign.") else "doc ->> 'related_object_id'"
    count: int = await work.value(
        f"SELECT count(*) FROM redemption WHERE object = 'redemption' AND status = 'SUCCEEDED' AND {column} = $1 "
        "AND ($2::text IS NULL OR customer_id = $2) AND ($3::timestamptz IS NULL OR created_at >= $3)",
        wanted,
        customer if each else None,
        since(name, work.now),
    )
    return count + sum(wanted in pair for pair in subject.beside)


async def items_of(
    work: Work, order: Mapping[str, Any] | None, collections: AbstractSet[str] = frozenset()
) -> tuple[Item, ...]:
    """The lines of an order with what the catalogue knows of their products, and which collections have them."""
    lines = (order or {}).get("items") or []
    if not lines:
        return ()
    wanted = [name for line in lines for name in product_collections.names_of_product(line)]
    rows = await work.all("SELECT * FROM product WHERE id = ANY($1) OR source_id = ANY($1)", wanted)
    known = {name: row for row in rows for name in (row["source_id"], row["id"]) if name}
    inside = await product_collections.of_lines(work, lines, collections) if collections else [set()] * len(lines)
    return tuple(_item(line, known, frozenset(each)) for line, each in zip(lines, inside, strict=True))


def _item(line: Mapping[str, Any], known: Mapping[str, asyncpg.Record], collections: frozenset[str]) -> Item:
    products = product_collections.names_of_product(line)
    row = next((known[name] for name in products if name in known), None)
    if row is not None:
        products += [row["id"], *([row["source_id"]] if row["source_id"] else [])]
    doc: Mapping[str, Any] = row["doc"] if row is not None else {}
    quantity = line["quantity"] if line.get("quantity") is not None else 1
    amount, price = line.get("amount"), line.get("price")
    if price is None:
        price = amount // quantity if amount is not None and quantity else doc.get("price")
    given = (line.get("product") or {}).get("metadata")
    return Item(
        products=frozenset(products),
        skus=frozenset(product_collections.names_of_sku(line)),
        quantity=quantity,
        amount=amount if amount is not None else (price or 0) * quantity,
        price=price,
        metadata=line.get("metadata") or {},
        product_metadata={**(doc.get("metadata") or {}), **(given if isinstance(given, dict) else {})},
        collections=collections,
        name=row["id"] if row is not None else next(iter(products), ""),
    )


FIDELITY = (
    documented(
        "what a validation rule refuses: `customer_`, `order_`, `redemption_rules_violated` with their "
        "sentences; `error.message` of the rule, else of the definition, as `error.error.message`"
    ),
    inferred(
        "the first rule to blame gives the key; what a rule needs and the request has not is "
        "`missing_customer`, `missing_order`, `missing_order_items`; redemptions that were rolled back do "
        "not count; a week begins on Monday, all in UTC"
    ),
    inferred("`applicable_to` with products and SKUs: an order without any of them is `order_rules_violated`"),
)
