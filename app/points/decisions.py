"""Operations that are not settled, for the people who look after them, and what they decide about the unclear ones."""

from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import cast, col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.db.session import Database, raw_connection
from app.errors import Conflict, NotFound
from app.live import changes
from app.pipeline.decisions import Choice, record
from app.points.models import PointOperation
from app.telemetry import log

NOT_DONE = "This was looked into: it was not done, and no points were moved."


async def open_operations(database: Database, limit: int = 100) -> list[PointOperation]:
    """The operations that are UNCLEAR, then those that are PENDING; of each the ones that wait longest first."""
    async with database.session() as session:
        rows = await session.exec(
            select(PointOperation)
            .where(col(PointOperation.status).in_(["UNCLEAR", "PENDING"]))
            .order_by(col(PointOperation.status).desc(), col(PointOperation.touched_at), col(PointOperation.id))
            .limit(limit)
        )
        return list(rows.all())


async def open_of(session: AsyncSession, member_id: UUID) -> list[PointOperation]:
    """A member's operations that are not settled, the oldest first."""
    rows = await session.exec(
        select(PointOperation)
        .where(PointOperation.member_id == member_id, col(PointOperation.status).in_(["PENDING", "UNCLEAR"]))
        .order_by(col(PointOperation.created_at))
    )
    return list(rows.all())


async def decide(database: Database, operation_id: UUID, choice: Choice, note: str, made_by: str) -> PointOperation:
    """Settle an UNCLEAR operation as an operator found it, and keep the decision; answers the operation after it.

    `done` and `not_done` end it. With `send_again` it is PENDING once more: the sweeper looks whether it was done
    meanwhile, and if not sends it, once.

    Raises:
        NotFound: there is no such operation.
        Conflict: it is not UNCLEAR; of two who decide at once, one is told so.
    """
    values: dict[Choice, dict[str, Any]] = {
        "done": {"status": "DONE", "refusal": None, "finished_at": func.now()},
        "not_done": {"status": "REFUSED", "refusal": NOT_DONE, "finished_at": func.now()},
        "send_again": {
            "status": "PENDING",
            "refusal": None,
            # No moment of sending: it has yet to leave.
            "sent": col(PointOperation.sent).op("||")(cast({"at": None}, JSONB)),
        },
    }
    async with database.session() as session:
        decided = await session.exec(
            update(PointOperation)
            .where(col(PointOperation.id) == operation_id, col(PointOperation.status) == "UNCLEAR")
            .values(**values[choice], touched_at=func.now())
        )
        operation = await session.get(PointOperation, operation_id)
        if operation is None:
            raise NotFound("No operation has this id.")
        if not decided.rowcount:
            raise Conflict(f"This operation is {operation.status} by now: there is nothing to decide.")
        connection = await raw_connection(session)
        await record(connection, f"points:{operation_id}", choice, note, made_by)
        change = changes.of_member(operation.member_id, f"points.{operation.status.lower()}", id=str(operation_id))
        await changes.append(connection, [change])
    log.info("points.decided", operation=str(operation_id), decision=choice)
    return operation
