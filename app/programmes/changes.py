"""What of a thing that is there already can be changed over the API: the fields of its PUT, as published. Pure.

Segments and the tiers of a loyalty programme have no PUT; codes, welcome points and how points expire are in none.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "campaign": (
        "start_date",
        "expiration_date",
        "description",
        "metadata",
        "activity_duration_after_publishing",
        "join_once",
        "auto_join",
        "voucher.discount",
        "voucher.gift",
        "referral_program",
        "loyalty_tiers_expiration",
    ),
    "promotion tier": ("banner", "action", "metadata", "hierarchy"),
    "reward": ("parameters", "stock", "attributes", "metadata"),
    "validation rule": ("rules", "error", "context_type"),
    "earning rule": (
        "validation_rule_id",
        "loyalty",
        "active",
        "start_date",
        "expiration_date",
        "pending_points",
        "metadata",
    ),
    "price": ("parameters",),
}
"""By kind. Where a field is deeper in what makes the thing than in its PUT, this is the way to it: its last word is the
field of the PUT."""
_ANOTHER_KIND = frozenset({"type", "campaign_type", "event", "voucher.discount.type"})
"""Where one of these differs it is another kind of thing, which no PUT makes of it."""
_SANDBOX_REFUSES = frozenset({("earning rule", "validation_rule_id")})
_MATERIAL_ONLY = frozenset({("reward", "stock"), ("reward", "attributes")})


def changeable(kind: str, wanted: Mapping[str, Any], differing: Collection[str], *, sandbox: bool) -> dict[str, str]:
    """The differing places that a PUT can change, each with the way to its field."""
    if not _ANOTHER_KIND.isdisjoint(differing):
        return {}
    able = [
        way
        for way in _FIELDS.get(kind, ())
        if not (sandbox and (kind, way) in _SANDBOX_REFUSES)
        and (wanted.get("type") == "MATERIAL" or (kind, way) not in _MATERIAL_ONLY)
    ]
    return {
        where: way for where in differing for way in able if where == way or where.startswith((f"{way}.", f"{way}["))
    }


def put(wanted: Mapping[str, Any], ways: Collection[str]) -> dict[str, Any]:
    """The body of the PUT: of what is wanted only what these ways lead to."""
    return dict(_taken(wanted, ways))


def _taken(wanted: Mapping[str, Any], ways: Collection[str]) -> Iterator[tuple[str, Any]]:
    for way in ways:
        value: Any = wanted
        *_, field = words = way.split(".")
        for word in words:
            value = value[word]
        yield field, value
