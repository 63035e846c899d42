"""What a discount is, and what it does to an order. Pure: an order in, an order out.

documented: types and effects, an amount off each line (`APPLY_TO_ITEMS`), each unit (`…_BY_QUANTITY`) or shared out
among the lines (`…_PROPORTIONALLY…`), a new price for the order or the units of a line, free units that are added or
found in the order, `amount_limit` and `aggregated_amount_limit`, the algebra of the amounts. inferred: percentages and
shares round half up, and the shares add up to the whole; without validation rules for products all lines are
discounted; a percentage of a line is one of what earlier discounts left of it; nothing takes off more than is left.
"""

from collections.abc import Mapping
from typing import Any

from app.sandbox.errors import Failure, NotEmulated, invalid_payload
from app.sandbox.fidelity import documented, inferred
from app.sandbox.ids import new_id
from app.sandbox.item_shares import Line, Scope, basis, quantity_of, shares, subtotal_of, wanted_off
from app.sandbox.read import integer, number, one_of, required_text, text

Order = dict[str, Any]
Item = dict[str, Any]
Products = Mapping[str, Mapping[str, Any]]
"""Products of the catalogue by what a unit discount calls them."""


_ON_ITEMS = {
    "AMOUNT": (
        "APPLY_TO_ITEMS",
        "APPLY_TO_ITEMS_BY_QUANTITY",
        "APPLY_TO_ITEMS_PROPORTIONALLY",
        "APPLY_TO_ITEMS_PROPORTIONALLY_BY_QUANTITY",
    ),
    "PERCENT": ("APPLY_TO_ITEMS",),
    "FIXED": ("APPLY_TO_ITEMS",),
}
_VALUE = {"AMOUNT": "amount_off", "PERCENT": "percent_off", "FIXED": "fixed_amount"}
_UNITS = ("ADD_NEW_ITEMS", "ADD_MISSING_ITEMS")
_APPLIED = ("applied_discount_amount", "items_applied_discount_amount", "total_applied_discount_amount")
_MOST_UNITS = 10_000


def read(given: dict[str, Any], at: str = ".discount") -> dict[str, Any]:
    """A discount as it is kept.

    Raises:
        Failure: it is not valid, or one that the sandbox would not carry out.
    """
    kind = one_of(given, "type", ("AMOUNT", "PERCENT", "UNIT", "FIXED"), at=at)
    if kind is None:
        raise invalid_payload(f"Property {at} should have required property 'type'")
    if any(name.endswith("_formula") and value for name, value in given.items()):
        raise NotEmulated("A discount that is calculated by a formula")
    effect = text(given, "effect", at=at)
    if kind == "UNIT":
        return {"type": kind, **_read_units(given, effect, at)}
    effect = effect or "APPLY_TO_ORDER"
    if effect not in {"APPLY_TO_ORDER", *_ON_ITEMS[kind]}:
        raise NotEmulated(f"A discount of type {kind} with effect {effect}")
    value = number(given, "percent_off", most=100, at=at) if kind == "PERCENT" else integer(given, _VALUE[kind], at=at)
    if value is None:
        raise invalid_payload(f"Property {at} should have required property '{_VALUE[kind]}'")
    made: dict[str, Any] = {"type": kind, "effect": effect, _VALUE[kind]: value}
    limits = {"AMOUNT": ("aggregated_amount_limit",), "PERCENT": ("amount_limit", "aggregated_amount_limit")}
    for name in limits.get(kind, ()):
        if limit := integer(given, name, at=at):
            made[name] = limit
    return made


def _read_units(given: dict[str, Any], effect: str | None, at: str) -> dict[str, Any]:
    if effect == "ADD_MANY_ITEMS":
        units = given.get("units")
        if not isinstance(units, list) or not units or not all(isinstance(each, dict) for each in units):
            raise invalid_payload(f"Property {at}.units must be array")
        return {
            "effect": effect,
            "units": [_read_unit(each, f"{at}.units[{place}]") for place, each in enumerate(units)],
        }
    if effect not in {None, *_UNITS}:
        raise NotEmulated(f"A discount of type UNIT with effect {effect}")
    return _read_unit({**given, "effect": effect or _UNITS[0]}, at)


def _read_unit(given: dict[str, Any], at: str) -> dict[str, Any]:
    off = integer(given, "unit_off", least=1, most=_MOST_UNITS, at=at)
    effect = one_of(given, "effect", _UNITS, at=at)
    for name, value in (("unit_off", off), ("effect", effect)):
        if value is None:
            raise invalid_payload(f"Property {at} should have required property '{name}'")
    unit_type = required_text(given, "unit_type", at=at)
    if unit_type.startswith("sku_"):
        raise NotEmulated("A free unit of an SKU")
    return {"effect": effect, "unit_off": off, "unit_type": unit_type}


def changed(discount: dict[str, Any], given: dict[str, Any], at: str = ".discount") -> dict[str, Any]:
    """A discount after a change, which may not be one of its type.

    Raises:
        Failure: it is.
    """
    made = read({**discount, **given}, at)
    if made["type"] != discount["type"]:
        details = "It is not possible to change Voucher discount type"
        raise Failure(400, "invalid_voucher", "Invalid Voucher", details)
    return made


def units(discount: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The free units that a discount gives; none for discounts of another type."""
    if discount["type"] != "UNIT":
        return []
    return [dict(each) for each in discount.get("units") or [discount]]


def apply(
    order: Order,
    discount: Mapping[str, Any],
    products: Products | None = None,
    *,
    scope: Scope | None = None,
    initial: bool = False,
) -> Order:
    """The order after one more discount; `…applied…` amounts are those of this discount alone.

    `scope` says on which lines a discount on items works, by default on all; `initial` that a percentage is one of the
    amount before all discounts.

    Raises:
        Failure: a discount on items of an order that has none.
    """
    order = _without(order, _APPLIED)
    order["items"] = [_without(item, ("applied_discount_amount",)) for item in order.get("items") or []]
    if discount["type"] == "UNIT":
        return _with_units(order, discount, products or {})
    if discount["effect"] == "APPLY_TO_ORDER":
        return off_order(order, wanted_off(basis(order["amount"], left(order), discount, initial=initial), discount))
    if not any(item.get("amount") for item in order["items"]):
        raise Failure(400, "missing_order_items", "order items were not specified")
    limit = min(left(order), discount.get("aggregated_amount_limit", left(order)))
    items = list(order["items"])
    scope = scope or Scope({place: Line() for place in range(len(items))})
    shared = [most for _, most in scope.shared]
    wanted = shares([(items[place], line) for place, line in scope.lines.items()], discount, initial=initial)
    for (place, line), off in zip(scope.lines.items(), wanted, strict=True):
        groups = [group for group, (places, _) in enumerate(scope.shared) if place in places]
        caps = [off, limit, subtotal_of(items[place]), *(shared[group] for group in groups)]
        off = min(caps if line.amount_limit is None else [*caps, line.amount_limit])
        limit -= off
        for group in groups:
            shared[group] -= off
        items[place] = _off_item(items[place], off)
    return _summed({**order, "items": items})


def off_order(order: Order, wanted: int) -> Order:
    """The order with this much off its whole, as far as there is that much left."""
    order = _without(order, _APPLIED)
    order["items"] = [_without(item, ("applied_discount_amount",)) for item in order.get("items") or []]
    off = max(0, min(wanted, left(order)))
    return _summed({**order, "discount_amount": order.get("discount_amount", 0) + off, "applied_discount_amount": off})


def left(order: Order) -> int:
    return max(0, int(order["amount"]) - int(order.get("total_discount_amount", 0)))


def _with_units(order: Order, discount: Mapping[str, Any], products: Products) -> Order:
    items = [dict(item) for item in order["items"]]
    amount, room = int(order["amount"]), left(order)
    for unit in units(discount):
        product = products.get(unit["unit_type"])
        place = next((place for place, item in enumerate(items) if _is_of(item, unit["unit_type"], product)), None)
        item = items[place] if place is not None else _free_item(unit["unit_type"], product)
        there, free, taken = quantity_of(item), int(unit["unit_off"]), int(item.get("discount_quantity", 0))
        found = min(free, max(0, there - taken)) if unit["effect"] == "ADD_MISSING_ITEMS" else 0
        changed = {
            **item,
            "quantity": there + free - found,
            "discount_quantity": taken + free,
            "initial_quantity": item.get("initial_quantity", there),
        }
        price = item.get("price", (product or {}).get("price"))
        if price is not None:
            worth = int(item.get("amount", 0))
            grown = price * (free - found)
            amount, room = amount + grown, room + grown
            changed |= {"price": price, "initial_amount": item.get("initial_amount", worth), "amount": worth + grown}
            changed["subtotal_amount"] = subtotal_of(changed)
            off = max(0, min(price * free, changed["subtotal_amount"], room))
            room -= off
            changed = _off_item(changed, off)
        items = [*items, changed] if place is None else [*items[:place], changed, *items[place + 1 :]]
    initial = order.get("initial_amount", order["amount"])
    return _summed({**order, "items": items, "amount": amount, "initial_amount": initial})


def _free_item(unit_type: str, product: Mapping[str, Any] | None) -> Item:
    shown = {"id": unit_type} if product is None else {name: product[name] for name in ("id", "source_id", "name")}
    identifier = product["id"] if product is not None else unit_type
    return {
        "object": "order_item",
        "id": new_id("ordli"),
        "product_id": identifier,
        "quantity": 0,
        "product": {name: value for name, value in shown.items() if value is not None},
    }


def _is_of(item: Item, unit_type: str, product: Mapping[str, Any] | None) -> bool:
    names = {unit_type, *((product["id"], product["source_id"]) if product is not None else ())} - {None}
    return item.get("product_id") in names or (
        item.get("related_object", "product") == "product" and item.get("source_id") in names
    )


def together(before: Order, after: Order) -> Order:
    """The order after all discounts of a request: what is applied is their sum."""
    if "total_discount_amount" not in after:
        return after
    made = _without(after, _APPLIED)
    for name, applied in zip(
        ("discount_amount", "items_discount_amount", "total_discount_amount"), _APPLIED, strict=True
    ):
        if name in after:
            made[applied] = after[name] - before.get(name, 0)
    earlier = {item.get("id"): item.get("discount_amount", 0) for item in before.get("items") or []}
    made["items"] = []
    for item in after.get("items") or []:
        applied_here = item.get("discount_amount", 0) - earlier.get(item.get("id"), 0)
        shown = _without(item, ("applied_discount_amount",))
        made["items"].append({**shown, "applied_discount_amount": applied_here} if applied_here else shown)
    return made


def undone(order: Order) -> Order:
    """The order as it was before all discounts: free units that were added are gone."""
    items = []
    for item in order.get("items") or []:
        if item.get("initial_quantity") == 0:
            continue
        kept = _without(item, ("discount_quantity", "discount_amount", "applied_discount_amount"))
        if "initial_quantity" in kept:
            kept["quantity"] = kept.pop("initial_quantity")
        if "initial_amount" in kept:
            kept["amount"] = kept.pop("initial_amount")
        if "amount" in kept:
            kept["subtotal_amount"] = kept["amount"]
        items.append(kept)
    made = {name: value for name, value in order.items() if not name.endswith("discount_amount")}
    made["amount"] = made.pop("initial_amount", made["amount"])
    return {**made, "items": items, "total_amount": made["amount"]}


def sent_again(before: Order, items: list[Item]) -> Order:
    """What becomes of discounts on items when a request brings the order's items again, without them.

    A line that is as it was keeps its discount and its free units, and so does a line that is nothing but free units.
    What was changed loses its discount as far as it does not fit any more.
    """
    waiting = list(before.get("items") or [])
    kept: list[Item] = []
    for item in items:
        stored = next((each for each in waiting if _same_product(each, item)), None)
        if stored is None:
            kept.append(item)
            continue
        waiting.remove(stored)
        quantities = {quantity_of(stored), stored.get("initial_quantity")}
        if quantity_of(item) in quantities and item.get("price") in {None, stored.get("price")}:
            kept.append({**item, **stored, **({"metadata": item["metadata"]} if "metadata" in item else {})})
        else:
            kept.append(_off_item(item, min(stored.get("discount_amount", 0), item.get("amount", 0)), applied=False))
    kept += [each for each in waiting if each.get("initial_quantity") == 0]
    made = {**before, "items": kept, "amount": sum(item.get("amount", 0) for item in kept)}
    if "initial_amount" in before:
        made["initial_amount"] = sum(item.get("initial_amount", item.get("amount", 0)) for item in kept)
    return _summed(made)


def _same_product(one: Item, other: Item) -> bool:
    names = ("product_id", "sku_id", "source_id")
    return any(one.get(name) is not None and one.get(name) == other.get(name) for name in names)


def _off_item(item: Item, off: int, *, applied: bool = True) -> Item:
    if not off:
        return item
    changed = {**item, "discount_amount": item.get("discount_amount", 0) + off}
    changed["subtotal_amount"] = changed["amount"] - changed["discount_amount"]
    return {**changed, "applied_discount_amount": off} if applied else changed


def _summed(order: Order) -> Order:
    """The order with its sums: over its items, over both kinds of discount, and what is left to pay."""
    made = _without(order, ("items_discount_amount", "items_applied_discount_amount"))
    for name, of_items in (("discount_amount", "items_discount_amount"), _APPLIED[:2]):
        if total := sum(item.get(name, 0) for item in made.get("items") or []):
            made[of_items] = total
    made["total_discount_amount"] = made.get("discount_amount", 0) + made.get("items_discount_amount", 0)
    made["total_applied_discount_amount"] = made.get(_APPLIED[0], 0) + made.get(_APPLIED[1], 0)
    made["total_amount"] = made["amount"] - min(made["amount"], made["total_discount_amount"])
    return made


def _without(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


FIDELITY = (
    documented(
        "**Discounts**: AMOUNT, PERCENT and FIXED on the order or on its lines (all five effects of "
        "AMOUNT), free units (`ADD_NEW_ITEMS`, `ADD_MISSING_ITEMS`, `ADD_MANY_ITEMS`), `amount_limit`, "
        "`aggregated_amount_limit`; the amounts of order and lines"
    ),
    inferred(
        "without `applicable_to` all lines of an order are discounted; shares are rounded so that they add up; no "
        "items is `missing_order_items`; free units of a product that the catalogue has not are added without a price"
    ),
    inferred("percentages round half up"),
)
