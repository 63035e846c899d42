"""Tiers as they are stored: those of a programme, and the one that the holder of a card is in."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from app.sandbox import earning_calculation, render
from app.sandbox.work import Work

OF_CARD = """
  SELECT t.*, m.start_date, m.expiration_date, m.created_at AS member_since, m.updated_at AS member_updated_at,
    v.holder_id, m.voucher_id
  FROM member_tier m JOIN loyalty_tier t ON t.id = m.tier_id JOIN voucher v ON v.id = m.voucher_id
"""


async def of_card(work: Work, card: render.Row) -> asyncpg.Record | None:
    """The tier that this card's holder is in; nothing is read where the programme has no tiers."""
    return await work.one(f"{OF_CARD} WHERE m.voucher_id = $1", card["id"]) if card["tiered"] else None


def mapping_of(tier: render.Row | None, kind: str, identifier: str) -> Mapping[str, Any] | None:
    """What a tier makes of the points of an earning rule (`earning_rules`) or the price of a reward (`rewards`)."""
    mappings: dict[str, Any] = tier["doc"].get(kind) or {} if tier is not None else {}
    return mappings.get(identifier)


def price(tier: render.Row | None, assignment: render.Row) -> int:
    """What a reward costs the holder of a card."""
    return earning_calculation.mapped(assignment["points"], mapping_of(tier, "rewards", assignment["id"]))


def named(tier: render.Row | None) -> dict[str, str] | None:
    return {"id": tier["id"], "name": tier["name"]} if tier is not None else None
