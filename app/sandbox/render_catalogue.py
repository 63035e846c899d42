"""The API's objects of the catalogue: products, SKUs and collections of them. Pure: rows in, JSON values out."""

from collections.abc import Mapping
from typing import Any

from app.sandbox.clock import iso

Row = Mapping[str, Any]


def product(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "source_id": row["source_id"],
        **row["doc"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "object": "product",
    }


def sku(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "source_id": row["source_id"],
        "product_id": row["product_id"],
        **row["doc"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
        "object": "sku",
    }


def collection(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "type": row["type"],
        **row["doc"],
        "created_at": iso(row["created_at"]),
        **({"updated_at": iso(row["updated_at"])} if row["updated_at"] else {}),
        "object": "products_collection",
    }
