"""Points by hand: an operator gives some to a member, or takes some off."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from litestar import Response, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody
from pydantic import BaseModel, ConfigDict, Field

from app.auth.principal import Principal
from app.errors import Refused
from app.members.routes import PRINTABLE
from app.points.models import PointOperation
from app.points.operations import Wanted
from app.points.words import told

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=100,
        description="Made by the caller for one movement, and kept when it asks again: one key moves points once.",
    ),
]


class Adjustment(BaseModel):
    """Points to add, or (negative) to take off, and why: the member reads it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"points": 25, "reason": "Sorry for the cold coffee"}]}
    )

    points: int = Field(ge=-1_000_000, le=1_000_000)
    reason: str = Field(min_length=1, max_length=200, pattern=PRINTABLE)


@dataclass(frozen=True)
class OperationRead:
    """A movement of points. `status` is DONE, PENDING (no answer came, it is looked for) or UNCLEAR (held)."""

    id: UUID
    kind: str
    title: str
    points: int | None
    status: str
    coupon: str | None
    sentence: str | None
    """What there is to say; null where it is done."""
    created_at: datetime

    @classmethod
    def of(cls, operation: PointOperation) -> Self:
        return cls(
            operation.id,
            operation.kind,
            operation.title,
            operation.points,
            operation.status,
            operation.coupon,
            told(operation),
            operation.created_at,
        )


def answer(operation: PointOperation) -> Response[OperationRead]:
    """201 for what is done, 202 for what nobody knows yet. Raises `Refused` for what was refused."""
    if operation.status == "REFUSED":
        raise Refused(told(operation) or "", operation_id=str(operation.id))
    return Response(OperationRead.of(operation), status_code=201 if operation.status == "DONE" else 202)


@post("/members/{member_id:uuid}/points", role="operator", operation_id="adjustPoints")
async def adjust(
    state: State,
    principal: NamedDependency[Principal],
    member_id: FromPath[UUID],
    data: JSONBody[Adjustment],
    idempotency_key: IdempotencyKey,
) -> Response[OperationRead]:
    """Give points to a member or take some off. The same key and body give the same answer and move them once.

    201 done; 202 not known yet, it is being looked up; 422 refused, no points were moved.
    """
    wanted = Wanted(principal.name, idempotency_key, member_id, points=data.points, reason=data.reason)
    return answer(await state.points.ask(wanted))


router = Router("/", route_handlers=[adjust], tags=["members"])
