"""The forms of a list: all of a short one, pages by number, and pages by a cursor. Pure."""

from typing import Any


def empty() -> dict[str, Any]:
    return {"object": "list", "data_ref": "data", "data": [], "total": 0}


def whole(rows: list[Any]) -> dict[str, Any]:
    """All of a short list."""
    return {**empty(), "data": rows, "total": len(rows)}


def numbered(data_ref: str, rows: list[Any], total: int) -> dict[str, Any]:
    """The older form of a list, paged by number."""
    return {"object": "list", "data_ref": data_ref, data_ref: rows, "total": total}


def by_cursor(rows: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """The newer form of a list; `rows` has one more than asked for where there are more."""
    shown: dict[str, Any] = {"object": "list", "data_ref": "data", "data": rows[:limit], "has_more": len(rows) > limit}
    if len(rows) > limit:
        shown["more_starting_after"] = rows[limit - 1]["id"]
    return shown
