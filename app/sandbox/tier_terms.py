"""Other terms for the tiers of a programme that there is.

documented: `loyalty_tiers_expiration` can be changed by both addresses of a programme. inferred: terms that run are
counted anew from the day on which each tier was reached, a tier that was to begin with the next period begins only
where terms still say so, and every member is looked at again before the call answers.
"""

from typing import Any

from app.sandbox import render, tier_rules, vouchers
from app.sandbox.fidelity import documented, inferred
from app.sandbox.work import Work


async def changed(work: Work, campaign: render.Row, settings: dict[str, Any] | None) -> None:
    """Let the members of a programme be in their tiers by these terms; the programme is stored already."""
    await work.run(
        "SELECT 1 FROM customer WHERE id IN (SELECT holder_id FROM voucher WHERE campaign_id = $1) "
        "ORDER BY id FOR UPDATE",
        campaign["id"],
    )
    terms = settings or tier_rules.BY_BALANCE
    rows = await work.all(
        "SELECT voucher_id, start_date FROM member_tier WHERE campaign_id = $1 AND start_date IS NOT NULL",
        campaign["id"],
    )
    await work.run(
        "UPDATE member_tier SET expiration_date = new.day, updated_at = $3 "
        "FROM unnest($1::text[], $2::date[]) AS new (id, day) WHERE voucher_id = new.id",
        [row["voucher_id"] for row in rows],
        [tier_rules.term(terms, row["start_date"]) for row in rows],
        work.now,
    )
    if terms["start_date"]["type"] != "NEXT_PERIOD":
        await work.run(
            "UPDATE member_tier SET next_tier_id = NULL, next_start = NULL WHERE campaign_id = $1", campaign["id"]
        )
    cards = await work.all(
        f"{vouchers.SELECT} WHERE v.campaign_id = $1 AND v.holder_id IS NOT NULL ORDER BY v.id",
        campaign["id"],
    )
    work.moved |= {card["id"]: card for card in cards if card["tiered"]}


FIDELITY = (
    documented("the terms of a programme's tiers are changed (`loyalty_tiers_expiration`)"),
    inferred(
        "null puts the terms of tiers back to the balance; with other terms, those that run are counted anew from the "
        "day on which the tier was reached, and every member is looked at in the same transaction"
    ),
)
