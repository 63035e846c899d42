"""Items of an order and the catalogue: an item that names a product or SKU carries what is stored about it.

documented: an item names its product or SKU by `product_id`, `sku_id`, or `source_id` with `related_object`; what the
request says of them counts for this order; `override: true` stores it, making what is not there. inferred: without a
price in the item or in what it says of its SKU or product, the stored price counts, the SKU's before the product's;
an item that names what the catalogue has not is taken as it is; a SKU is made by `override` below the item's product.
"""

from dataclasses import dataclass
from typing import Any

from app.sandbox import products, skus
from app.sandbox.errors import invalid_payload
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import LARGEST
from app.sandbox.render import Row
from app.sandbox.work import Work

_KEPT = ("name", "price", "metadata")
_KEPT_OF_SKU = ("sku", "price", "metadata")


@dataclass(frozen=True)
class _Named:
    """Which product and SKU an item names, by id or source_id."""

    product: str | None
    sku: str | None


async def resolved(work: Work, doc: dict[str, Any], *, keep: bool) -> dict[str, Any]:
    """The order with its items filled from the catalogue, and its amount. `keep`: whether `override` may store."""
    items = doc.get("items")
    if not items or not any(named.product or named.sku for named in map(_named, items)):
        return doc
    if keep:
        await _store(work, items)
    wanted = [reference for named in map(_named, items) for reference in (named.product, named.sku) if reference]
    of_sku = await _by_reference(work, "sku", wanted)
    wanted += [row["product_id"] for row in of_sku.values()]
    of_product = await _by_reference(work, "product", wanted)
    filled = [_filled(item, of_product, of_sku) for item in items]
    amount = amount_of(filled)
    if amount.get("amount", 0) > LARGEST:
        raise invalid_payload(f"Property .amount must be <= {LARGEST}")
    return {**doc, "items": filled, **amount}


def amount_of(items: list[dict[str, Any]]) -> dict[str, int]:
    """The order's amount as its items make it; nothing where no item has one."""
    amounts = [item["amount"] for item in items if "amount" in item]
    return {"amount": sum(amounts)} if amounts else {}


def without_marks(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items as they are stored and shown: `override` is an order to us, not a part of the item."""
    return [
        {
            **item,
            **{
                name: {key: value for key, value in item[name].items() if key != "override"}
                for name in ("product", "sku")
                if name in item
            },
        }
        for item in items
    ]


def _named(item: dict[str, Any]) -> _Named:
    own, kind = item.get("source_id"), item.get("related_object")
    sku, product = item.get("sku", {}), item.get("product", {})
    of_sku = item.get("sku_id") or (own if kind == "sku" else None) or _text(sku, "id") or _text(sku, "source_id")
    of_product = (
        item.get("product_id")
        or (own if kind == "product" else None)
        or _text(product, "id")
        or _text(product, "source_id")
    )
    return _Named(of_product, of_sku)


def _text(nested: dict[str, Any], name: str) -> str | None:
    value = nested.get(name)
    return value if isinstance(value, str) and value else None


async def _by_reference(work: Work, table: str, references: list[str]) -> dict[str, Row]:
    """The rows that these ids or source_ids name, under both. An id wins over another row's equal source_id."""
    rows = await work.all(f"SELECT * FROM {table} WHERE id = ANY($1) OR source_id = ANY($1)", references)  # noqa: S608
    by_source = {row["source_id"]: row for row in rows if row["source_id"]}
    return {**by_source, **{row["id"]: row for row in rows}}


def _filled(item: dict[str, Any], of_product: dict[str, Row], of_sku: dict[str, Row]) -> dict[str, Any]:
    named = _named(item)
    sku = of_sku.get(named.sku) if named.sku else None
    product = of_product.get(sku["product_id"] if sku is not None else named.product or "")
    made = dict(item)
    if product is not None:
        made |= {"product_id": product["id"], "product": _shown(product, item.get("product", {}), _KEPT)}
    if sku is not None:
        made |= {"sku_id": sku["id"], "sku": _shown(sku, item.get("sku", {}), _KEPT_OF_SKU)}
    if "amount" not in made:
        prices = (made.get(name, {}).get("price") for name in ("sku", "product"))
        price = next((each for each in prices if isinstance(each, int)), None)
        if price is not None:
            amount = price * made.get("quantity", 1)
            made |= {"price": price, "amount": amount, "subtotal_amount": amount}
    return made


def _shown(row: Row, said: dict[str, Any], kept: tuple[str, ...]) -> dict[str, Any]:
    """What is stored of a product or SKU, with what the item says of it laid over."""
    stored = {name: row["doc"].get(name) for name in kept}
    metadata = {**(stored["metadata"] or {}), **(said.get("metadata") or {})}
    whole = {"id": row["id"], "source_id": row["source_id"], **stored, **said, "metadata": metadata}
    return {name: value for name, value in whole.items() if value not in (None, {}) and name != "override"}


async def _store(work: Work, items: list[dict[str, Any]]) -> None:
    """Do what items ask with `override`: products before SKUs, and each in one order for all who store at once."""
    for item in sorted(_marked(items, "product"), key=lambda item: str(_named(item).product)):
        named, doc = _named(item).product, _said(item["product"], _KEPT)
        row = await products.find(work, named) if named else None
        if row is not None:
            if products.laid_over(row["doc"], doc) != row["doc"]:  # else many orders of one product would wait for it
                await products.change(work, row, doc)
        elif named and not named.startswith("prod_"):
            await products.upsert(work, named, doc)
    for item in sorted(_marked(items, "sku"), key=lambda item: str(_named(item).sku)):
        both, doc = _named(item), _said(item["sku"], _KEPT_OF_SKU)
        row = await skus.find(work, both.sku) if both.sku else None
        if row is not None:
            if products.laid_over(row["doc"], doc) != row["doc"]:
                await skus.change(work, row, doc)
        elif both.sku and both.product and not both.sku.startswith("sku_"):
            product = await products.find(work, both.product)
            if product is not None:
                await skus.upsert(work, product, both.sku, doc)


def _marked(items: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [item for item in items if item.get(name, {}).get("override") is True]


def _said(given: dict[str, Any], kept: tuple[str, ...]) -> dict[str, Any]:
    """What an item says of its product or SKU and is worth storing; `price` is a number of minor units."""
    fits = {"name": str, "sku": str, "price": int, "metadata": dict}
    return {name: given[name] for name in kept if isinstance(given.get(name), fits[name])}


FIDELITY = (
    documented(
        "**Items** name a product or SKU by `product_id`, `sku_id`, or `source_id` with `related_object`; "
        "what the item says of them counts for this order alone; `override: true` stores it, in orders "
        "and redemptions, not in validations"
    ),
    inferred(
        "without a price in the item, the stored price of the SKU counts, then the product's; an item "
        "that the catalogue does not know is taken as it is"
    ),
)
