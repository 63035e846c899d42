"""Reading requests: bodies, query strings and the checks whose failures Voucherify words in one way."""

import contextlib
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request

from app.sandbox.clock import parse_time
from app.sandbox.errors import FrameworkFailure, invalid_payload, invalid_query
from app.sandbox.fidelity import documented

AnyRequest = Request[Any, Any, Any]
LARGEST = 2**53 - 1
"""Numbers beyond it are not exact in JSON; no amount or number of points needs them."""
_MOST_DIGITS = 20


async def read_json(request: AnyRequest) -> Any:
    """The body as JSON. Nothing at all reads as an empty object, as the real service does for POSTs without a body."""
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameworkFailure(400, "Invalid request payload JSON format") from error
    if b"\\u0000" in raw:  # Postgres can't hold it, and no field has a use for it
        raise invalid_payload("Payload must not contain the character U+0000")
    return body


async def read_object(request: AnyRequest) -> dict[str, Any]:
    body = await read_json(request)
    if not isinstance(body, dict):
        raise invalid_payload("Payload must be object")
    return body


async def read_list(request: AnyRequest) -> list[dict[str, Any]]:
    """The body of a bulk call: a list of objects."""
    body = await read_json(request)
    if not isinstance(body, list):
        raise invalid_payload("Payload must be array")
    for place, item in enumerate(body):
        if not isinstance(item, dict):
            raise invalid_payload(f"Property [{place}] must be object")
    return body


def listed_metadata(body: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The source ids (each once, in one order) and the metadata of a call that gives many resources the same."""
    for name in ("source_ids", "metadata"):
        if body.get(name) is None:
            raise invalid_payload(f"Payload should have required property '{name}'")
    given = body["source_ids"]
    if not isinstance(given, list) or not all(isinstance(each, str) and 1 <= len(each) <= 500 for each in given):
        raise invalid_payload("Property .source_ids must be array")
    return sorted(set(given)), mapping(body, "metadata")


def text(body: dict[str, Any], name: str, *, longest: int = 2000, at: str = "") -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid_payload(f"Property {at}.{name} must be string")
    if len(value) > longest:
        raise invalid_payload(f"Property {at}.{name} must NOT have more than {longest} characters")
    return value


def required_text(body: dict[str, Any], name: str, *, longest: int = 2000, at: str = "") -> str:
    value = text(body, name, longest=longest, at=at)
    if value is None:
        raise invalid_payload(f"Payload should have required property '{name}'")
    if not value.strip():
        raise invalid_payload(f"Property {at}.{name} must NOT have fewer than 1 characters")
    return value


def integer(body: dict[str, Any], name: str, *, least: int = 0, most: int = LARGEST, at: str = "") -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid_payload(f"Property {at}.{name} must be integer")
    if not least <= value <= most:
        raise invalid_payload(
            f"Property {at}.{name} must be {'>= ' + str(least) if value < least else '<= ' + str(most)}"
        )
    return value


def number(body: dict[str, Any], name: str, *, least: float = 0, most: float = LARGEST, at: str = "") -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise invalid_payload(f"Property {at}.{name} must be number")
    if not least <= value <= most:
        raise invalid_payload(f"Property {at}.{name} must be {f'>= {least}' if value < least else f'<= {most}'}")
    return value


def boolean(body: dict[str, Any], name: str, *, at: str = "") -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid_payload(f"Property {at}.{name} must be boolean")
    return value


def texts(body: dict[str, Any], name: str, *, most: int, at: str = "") -> list[str]:
    """A list of texts; absent or null reads as empty."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise invalid_payload(f"Property {at}.{name} must be array")
    if len(value) > most:
        raise invalid_payload(f"Property {at}.{name} must NOT have more than {most} items")
    return value


def mapping(body: dict[str, Any], name: str, *, at: str = "") -> dict[str, Any]:
    """A nested object; absent or null reads as empty."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_payload(f"Property {at}.{name} must be object")
    return value


def one_of(body: dict[str, Any], name: str, allowed: tuple[str, ...], *, at: str = "") -> str | None:
    value = text(body, name, at=at)
    if value is not None and value not in allowed:
        raise invalid_payload(f"Property {at}.{name} must be equal to one of the allowed values")
    return value


def argument(request: AnyRequest, name: str) -> str | None:
    """One value of the query string; empty counts as absent."""
    value = request.query_params.get(name)
    if value is not None and "\x00" in value:
        raise invalid_query(f"Property .{name} must not contain the character U+0000")
    return str(value) if value else None


def moment(request: AnyRequest, name: str) -> datetime | None:
    """A time in the query string, where a plus that was not escaped has become a space."""
    given = argument(request, name)
    if given is None:
        return None
    for written in (given, given.replace(" ", "+")):
        with contextlib.suppress(ValueError):
            return parse_time(written)
    raise invalid_query(f"Property .{name} cannot be recognized as a ISO-8601 compliant date")


def flag(request: AnyRequest, name: str) -> bool:
    return argument(request, name) in {"true", "1"}


def page(request: AnyRequest, most_pages: int = 100) -> tuple[int, int]:
    """`limit` and `page` of an older list, as LIMIT and OFFSET."""
    limit = count(request, "limit", 10, 100)
    return limit, (count(request, "page", 1, most_pages) - 1) * limit


def count(request: AnyRequest, name: str, default: int, most: int) -> int:
    """A number from 1 of the query string."""
    given = argument(request, name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit():
        raise invalid_query(f"Property .{name} must be integer")
    value = int(given) if len(given) <= _MOST_DIGITS else most + 1  # Python reads no number of thousands of digits
    if not 1 <= value <= most:
        raise invalid_query(f"Property .{name} must be {'>= 1' if value < 1 else f'<= {most}'}")
    return value


def order(request: AnyRequest, allowed: dict[str, str], default: str) -> str:
    """The ORDER BY of a list: `order=-created_at`. `allowed` names the column of each field."""
    given = argument(request, "order") or default
    column = allowed.get(given.lstrip("-"))
    if column is None:
        raise invalid_query("Property .order must be equal to one of the allowed values")
    direction = "DESC" if given.startswith("-") else "ASC"
    return f"{column} {direction}, id {direction}"


def between(request: AnyRequest, name: str) -> tuple[datetime | None, datetime | None]:
    """`created_at[after]` and `created_at[before]` of a list, each None where it is not asked for."""
    return moment(request, f"{name}[after]"), moment(request, f"{name}[before]")


FIDELITY = (documented("both kinds of list: `limit` 1 to 100, `page`, and `starting_after_id` with `has_more`"),)
