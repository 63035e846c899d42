"""Kept as long as needed, not longer (rule 16): old rows go in small batches."""

from app.db.session import Database

BATCH = 5_000
KEPT = {
    "event_key": ("received_at", "7 days"),
    "change": ("created_at", "1 day"),
    "reject": ("received_at", "7 days"),
    "lease": ("until", "1 hour"),
}
"""Table: its time column, and how long a row is kept."""


async def prune(database: Database) -> int:
    """Delete one batch of each table's old rows; returns how many went."""
    gone = 0
    for table, (column, kept) in KEPT.items():
        async with database.connection() as connection:
            deleted = await connection.execute(
                f"""DELETE FROM {table} WHERE ctid = ANY(ARRAY(
                        SELECT ctid FROM {table} WHERE {column} < now() - interval '{kept}' LIMIT {BATCH}))"""  # noqa: S608
            )
            gone += int(deleted.rpartition(" ")[2])
    return gone
