"""Which lines of an order a discount on items works on: `applicable_to` of validation rules, read for one order. Pure.

documented: products, SKUs and collections that are included or excluded, `included_all`; limits of units and of amounts
for a line and for all lines of an entry; a price of its own for a line (FIXED); the places of the lines in the answer.
inferred: several rules must all let a line in; a line that two entries mean goes by the first of them; the cheapest and
the most expensive go by the price of a unit, TO them is one line, FROM them the order in which limits are used up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.sandbox.fidelity import documented, inferred
from app.sandbox.item_shares import Line, Scope
from app.sandbox.predicates import Item, matches

EFFECTS = (
    "APPLY_TO_EVERY",
    "APPLY_TO_CHEAPEST",
    "APPLY_FROM_CHEAPEST",
    "APPLY_TO_MOST_EXPENSIVE",
    "APPLY_FROM_MOST_EXPENSIVE",
)
LIMITS = ("price", "quantity_limit", "aggregated_quantity_limit", "amount_limit", "aggregated_amount_limit")
Thing = Mapping[str, Any]


@dataclass(frozen=True)
class Applicability:
    """What a discount works on, and the two lists of answers that say so."""

    scope: Scope | None = None
    """None: all lines."""
    included: tuple[dict[str, Any], ...] = ()
    excluded: tuple[dict[str, Any], ...] = ()


EVERYTHING = Applicability()


def chooses(doc: Mapping[str, Any]) -> bool:
    """Whether a definition says anything of what its discount works on."""
    given = doc["applicable_to"]
    return bool(given["included"] or given["excluded"])


def places(doc: Mapping[str, Any], items: Sequence[Item]) -> list[int] | None:
    """The places of the lines that a definition's discount applies to; None: it does not choose among them."""
    if not chooses(doc):
        return None
    given = doc["applicable_to"]
    everything = given["included_all"] or not given["included"]
    return [
        place
        for place, item in enumerate(items)
        if (everything or _among(item, given["included"])) and not _among(item, given["excluded"])
    ]


def of(docs: Sequence[Mapping[str, Any]], items: Sequence[Item]) -> Applicability:
    """What all these definitions together leave of the lines."""
    choosing = [doc for doc in docs if chooses(doc)]
    if not choosing:
        return EVERYTHING
    left = set(range(len(items)))
    for doc in choosing:
        left &= set(places(doc, items) or [])
    lines: dict[int, Line] = {}
    shared: list[tuple[frozenset[int], int]] = []
    for thing in (each for doc in choosing for each in doc["applicable_to"]["included"]):
        meant = [place for place in _arranged(thing, items) if place in left and place not in lines]
        lines |= _lines(thing, meant, items)
        if (most := thing.get("aggregated_amount_limit")) is not None:
            shared.append((frozenset(meant), most))
    if all(doc["applicable_to"]["included_all"] or not doc["applicable_to"]["included"] for doc in choosing):
        lines |= {place: Line() for place in sorted(left) if place not in lines}
    return Applicability(
        Scope(lines, tuple(shared)),
        tuple(shown for doc in choosing for each in doc["applicable_to"]["included"] for shown in _shown(each, items)),
        tuple(shown for doc in choosing for each in doc["applicable_to"]["excluded"] for shown in _shown(each, items)),
    )


def _arranged(thing: Thing, items: Sequence[Item]) -> list[int]:
    """The places of the lines that an entry means, in the order in which its limits are used up."""
    meant = _meant(thing, items)
    effect = thing.get("effect") or EFFECTS[0]
    if effect == EFFECTS[0]:
        return meant
    meant.sort(key=lambda place: items[place].price or 0, reverse=effect.endswith("EXPENSIVE"))
    return meant[:1] if effect.startswith("APPLY_TO_") else meant


def _lines(thing: Thing, meant: Sequence[int], items: Sequence[Item]) -> dict[int, Line]:
    left = thing.get("aggregated_quantity_limit")
    made = {}
    for place in meant:
        units = items[place].quantity
        if (most := thing.get("quantity_limit")) is not None:
            units = min(units, most)
        if left is not None:
            units = min(units, left)
            left -= units
        made[place] = Line(units, thing.get("amount_limit"), thing.get("price"))
    return made


def _meant(thing: Thing, items: Sequence[Item]) -> list[int]:
    return [place for place, item in enumerate(items) if _among(item, [thing])]


def _among(item: Item, things: Sequence[Thing]) -> bool:
    return any(matches(item, thing, thing.get("object") or "product") for thing in things)


def _shown(thing: Thing, items: Sequence[Item]) -> list[dict[str, Any]]:
    """An entry as answers carry it; a collection is followed by those of its products that are in the order."""
    kind = thing.get("object") or "product"
    meant = _meant(thing, items)
    names = {name: thing[name] for name in ("source_id", "product_id", "product_source_id") if thing.get(name)}
    common = {
        "effect": thing.get("effect") or EFFECTS[0],
        **{name: thing[name] for name in LIMITS if thing.get(name) is not None},
    }
    entry = {
        "object": kind,
        "id": _id_of(thing, [items[place] for place in meant]),
        **names,
        "strict": bool(thing.get("strict", False)),
        **common,
        "order_item_indices": meant,
    }
    if kind != "products_collection":
        return [entry]
    single = []
    for name in dict.fromkeys(items[place].name for place in meant):
        own = [place for place in meant if items[place].name == name]
        single.append({"object": "product", "id": name, "strict": True, **common, "order_item_indices": own})
    return [entry, *single]


def _id_of(thing: Thing, meant: Sequence[Item]) -> str:
    """The id of what an entry names; an entry by `source_id` is shown with the id that the catalogue has."""
    if thing.get("id"):
        return str(thing["id"])
    return next((item.name for item in meant if item.name.startswith("prod_")), str(thing["source_id"]))


FIDELITY = (
    documented(
        "`applicable_to` of a validation rule narrows the lines that a discount on items works on (also one that is "
        "shared out among them): products, SKUs, collections, included, excluded or all but some, with limits of units "
        "and amounts and with prices; `applicable_to`, `inapplicable_to` and `order_item_indices` say so in the answers"
    ),
    inferred(
        "several rules must all let a line in; a line that two entries mean goes by the first of them; a discount on "
        "the whole order is not narrowed; the cheapest is the line with the lowest price of a unit"
    ),
)
