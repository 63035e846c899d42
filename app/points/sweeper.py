"""Operations that were left without an answer: looked up when it is time, never sent by guess.

Before that, those are begun that nobody asks for: what canceled orders had earned is taken back.
"""

from sqlmodel import col, select

from app.errors import VoucherifyError
from app.points.models import PointOperation
from app.points.operations import Points
from app.points.taken_back import take_back
from app.telemetry import log

BATCH = 50


async def sweep(points: Points) -> int:
    """Take up the operations that are due; returns how many were settled. Run by one worker at a time."""
    await take_back(points)
    async with points.database.session() as session:
        due = await session.exec(
            select(PointOperation.id).where(points.due()).order_by(col(PointOperation.touched_at)).limit(BATCH)
        )
        ids = due.all()
    settled = 0
    for operation_id in ids:
        try:
            settled += (await points.take_up(operation_id)).status in {"DONE", "REFUSED"}
        except VoucherifyError as error:
            log.warning("points.still_pending", operation=str(operation_id), reason=error.sentence)
            break  # the next one would be told the same; this one goes to the end
    return settled
