"""One statement for many rows.

Not COPY: between its parts the server waits for us where none of its time-outs for clients that stand still counts. A
process that is paused just there would hold its locks, and hold up everybody who needs them, until it wakes. And not
`executemany`, which is planned and locks as one statement for each row.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg


async def execute(connection: asyncpg.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run a statement that takes the columns of these rows as arrays, `unnest($1::text[], …)`; nothing without rows."""
    if rows:
        await connection.execute(statement, *map(list, zip(*rows, strict=True)))
