"""Categories as other resources carry them: which one a request names, and the SQL for showing it.

documented: `category_id`, or `category` by name, on campaigns, vouchers and promotion tiers, `category_id` on stacks.
inferred: a name that no category has stays a mere word, as a tag; an id that no category has is a 404; a voucher or
tier is in its campaign's category as well as in its own.
"""

from typing import Any

from app.sandbox.errors import not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import text
from app.sandbox.work import Work

CAMPAIGN = "campaign.doc ->> 'category_id'"
"""The column of a campaign that is selected by its table's name."""


def of(*columns: str) -> str:
    """SQL for a column `categories`: those whose ids are in these columns, the first in the hierarchy first."""
    return (
        "(SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', k.id, 'name', k.name, "  # noqa: S608
        "'hierarchy', k.hierarchy, 'object', 'category', "
        f"'created_at', {_moment('k.created_at')}, 'updated_at', {_moment('k.updated_at')})) "
        f"ORDER BY k.hierarchy, k.id), '[]') FROM category k WHERE k.id IN ({', '.join(columns)})) AS categories"
    )


def _moment(column: str) -> str:
    return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"


async def chosen(work: Work, body: dict[str, Any], at: str = "") -> dict[str, Any]:
    """What a request says of a category, as a part of the `doc`; empty where it says nothing, null clears.

    Raises:
        Failure: there is no such category.
    """
    identifier, name = text(body, "category_id", at=at), text(body, "category", at=at)
    if identifier is not None:
        row = await work.one("SELECT * FROM category WHERE id = $1 FOR KEY SHARE", identifier)
        if row is None:
            raise not_found("category", identifier)
        return {"category": row["name"], "category_id": row["id"]}
    if name is not None:
        row = await work.one("SELECT * FROM category WHERE name = $1 ORDER BY created_at, id LIMIT 1", name)
        return {"category": name, "category_id": row["id"] if row is not None else None}
    return {"category": None, "category_id": None} if {"category", "category_id"} & set(body) else {}


async def by_name(work: Work, names: set[str]) -> dict[str, str]:
    """The ids of the categories with these names, of those that there are."""
    rows = await work.all(
        "SELECT DISTINCT ON (name) name, id FROM category WHERE name = ANY($1) ORDER BY name, created_at, id",
        list(names),
    )
    return {row["name"]: row["id"] for row in rows}


FIDELITY = (
    documented("a category of a campaign, voucher, promotion tier or stack by `category_id`, the first three by name"),
    inferred(
        "a `category` that no category is called is a mere word; a voucher or tier is in its campaign's category and "
        "in its own; of a stack's tiers the stack's counts too"
    ),
)
