"""Which items of an order an earning rule means: those of a product or a SKU, by id or source_id, or of a collection.

documented: `applicable_to`, or `object` and `id`; an item that several of them mean counts once.
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.sandbox import product_collections
from app.sandbox.errors import invalid_payload
from app.sandbox.read import one_of, required_text
from app.sandbox.work import Work

_KINDS = ("product", "sku", "products_collection")


def read(step: dict[str, Any], at: str) -> dict[str, Any]:
    """What a step of `order_items` says of its items, checked; `object` and `id` are those of the first.

    Raises:
        Failure: it names nothing.
    """
    listed = step.get("applicable_to")
    if listed is None:
        return _target(step, at)
    if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
        raise invalid_payload(f"Property {at}.applicable_to must be array of objects")
    targets = [_target(each, f"{at}.applicable_to[{place}]") for place, each in enumerate(listed)]
    return {**targets[0], "applicable_to": targets}


def _target(given: dict[str, Any], at: str) -> dict[str, Any]:
    kind = one_of(given, "object", _KINDS, at=at)
    if kind is None:
        raise invalid_payload(f"Property {at} should have required property 'object'")
    return {"object": kind, "id": required_text(given, "id", longest=500, at=at)}


async def matcher(
    work: Work, loyalty: Mapping[str, Any], order: Mapping[str, Any] | None = None
) -> Callable[[Mapping[str, Any]], bool]:
    """A test whether an item is one of those that this rule means; nothing is read for rules without items."""
    step = next(iter((loyalty.get("order_items") or {}).values()), None)
    if step is None:
        return lambda _: False
    wanted: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    for target in step.get("applicable_to") or [step]:
        wanted[target["object"]].add(target["id"])
    if wanted["product"]:
        # An item may name its product by the source_id, where the rule has the id.
        rows = await work.all("SELECT id, source_id FROM product WHERE id = ANY($1)", list(wanted["product"]))
        wanted["product"] |= {row["source_id"] for row in rows if row["source_id"]}
    collections = wanted.pop("products_collection")
    lines = (order or {}).get("items") or [] if collections else []
    inside = await product_collections.of_lines(work, lines, collections) if lines else []
    collected = [line for line, found in zip(lines, inside, strict=True) if found]
    return lambda item: item in collected or any(_names(item, kind) & names for kind, names in wanted.items())


def _names(item: Mapping[str, Any], kind: str) -> set[str]:
    nested = item.get(kind) or {}
    own = item.get("source_id") if item.get("related_object", "product") == kind else None
    names = (item.get(f"{kind}_id"), own, nested.get("id"), nested.get("source_id"))
    return {name for name in names if isinstance(name, str)}
