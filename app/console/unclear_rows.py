"""Reading what is unclear, and what was decided, for screens."""

from dataclasses import dataclass, replace

from sqlmodel import col, select

from app.console.unclear_cases import Case, of_delivery, of_points, uuids
from app.db.session import Database
from app.members.models import Member
from app.orders.models import Order
from app.pipeline import decisions
from app.pipeline.decisions import Made
from app.points import decisions as points
from app.points.models import PointOperation

PAGE = 20
"""Deliveries on one page."""
MOST_POINTS = 100
HISTORY = 50


@dataclass(frozen=True)
class Unclear:
    """What waits for a decision, the oldest first, and the latest decisions."""

    unclear: list[Case]
    decisions: list[Made]
    next_after: int | None
    """Ask with `?after=` for the next page; null on the last."""


async def count(database: Database) -> int:
    """How many wait for a decision: exact below a hundred of each kind."""
    async with database.connection() as connection:
        operations: int = await connection.fetchval(
            "SELECT count(*) FROM (SELECT FROM point_operation WHERE status = 'UNCLEAR' LIMIT $1) AS waiting",
            MOST_POINTS,
        )
        return operations + await decisions.count(connection, MOST_POINTS)


async def unclear(database: Database, after: int) -> Unclear:
    rows = await decisions.unclear(database, PAGE + 1, after)
    shown = rows[:PAGE]
    operations = [] if after else [row for row in await points.open_operations(database, MOST_POINTS) if _is_open(row)]
    people = [row.person for row in shown] + [str(row.member_id) for row in operations]
    async with database.session() as session:
        members = await session.exec(select(Member).where(col(Member.id).in_(uuids(people))))
        names = {str(member.id): member.first_name for member in members}
        found = await session.exec(select(Order).where(col(Order.id).in_(uuids(row.order_id for row in shown))))
        numbers = {str(order.id): order.number or 0 for order in found}
    cases = [of_delivery(row, names, numbers) for row in shown] + [of_points(row, names) for row in operations]
    return Unclear(
        unclear=sorted(cases, key=lambda case: case.since),
        decisions=await _history(database),
        next_after=shown[-1].id if len(rows) > PAGE else None,
    )


def _is_open(row: PointOperation) -> bool:
    return row.status == "UNCLEAR"


async def _history(database: Database) -> list[Made]:
    """The latest decisions; those about points with what they were about, too."""
    made = await decisions.made(database, HISTORY)
    wanted = [one.subject.removeprefix("points:") for one in made if one.subject.startswith("points:")]
    async with database.session() as session:
        rows = await session.exec(select(PointOperation).where(col(PointOperation.id).in_(uuids(wanted))))
        operations = {f"points:{row.id}": row for row in rows}
    return [
        replace(one, what=operations[one.subject].title, status=operations[one.subject].status)
        if one.subject in operations
        else one
        for one in made
    ]
