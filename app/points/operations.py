"""Moving points once: a row is committed before the request leaves, and without an answer it is looked up (rule 5).

Nothing is ever sent twice by itself. What can't be found in the end is UNCLEAR: held and shown, for a person to decide.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import TextClause, func
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel import cast, col, select, text, update
from sqlmodel.ext.asyncio.session import AsyncSession

from app.db.base import now
from app.db.session import Database, raw_connection
from app.errors import BadInput, Busy, Conflict, NotFound, Refused, VoucherifyError
from app.live import changes
from app.members.models import Member
from app.points.models import PointOperation
from app.points.words import refusal, refusal_by_rule
from app.telemetry import log
from app.voucherify.loyalty import LookUp, Loyalty, Outcome, Request, Reward

WAITS = (5.0, 30.0, 300.0)
"""Seconds before each look-up of a request without an answer: one that is under way is given time to be carried out."""


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for. `client` is who asks: an idempotency key counts within it."""

    client: str
    idempotency_key: str
    member_id: UUID
    reward_id: str | None = None
    """The reward to buy; None for an adjustment."""
    points: int | None = None
    """Of an adjustment: what to add (positive) or to take off (negative)."""
    reason: str = ""

    def hash(self) -> str:
        """Equal for equal requests: tells a repetition from another request under the same key."""
        asked = [self.member_id, self.reward_id, self.points, self.reason]
        return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()


@dataclass(frozen=True)
class Points:
    """Buys rewards and adjusts balances, and takes up what was left PENDING."""

    database: Database
    engine: Loyalty
    pending_after: float = 30.0
    """Seconds after which a call that ended in nothing we know of is taken up: well past its time-out."""
    waits: tuple[float, ...] = WAITS

    async def rewards(self, member_id: UUID) -> list[Reward]:
        """What the member can get for points; none before there is a card. Raises `Busy` while it can't be asked."""
        async with self.database.session() as session:
            member = await _member(session, member_id)
        return await self._offered(member.card) if member.card else []

    async def ask(self, wanted: Wanted) -> PointOperation:
        """Carry out what is wanted, or return what became of it when this key was used before.

        The operation is DONE, REFUSED, PENDING (no answer came, it is being looked up) or UNCLEAR. Raises `Conflict`
        for another request under the same key, `NotFound` for a member or reward that there is not.
        """
        async with self.database.session() as session:
            existing = await _by_key(session, wanted)
            member = await _member(session, wanted.member_id)
        if existing is not None:
            return await self._again(existing, wanted)
        if member.card is None:
            raise Refused("The card is not there yet: Voucherify gives it a moment after the sign-up.")
        operation = await self._planned(wanted, member.card)
        # Counted from before the commit: a process that is stopped in between must not send what others took up.
        deadline = asyncio.get_running_loop().time() + self.pending_after * 0.8
        async with self.database.session() as session:
            made = await session.exec(
                insert(PointOperation)
                .values(**{**operation.model_dump(), "touched_at": func.now()})
                .on_conflict_do_nothing(index_elements=["client", "idempotency_key"])
                .returning(col(PointOperation.id))
            )
            is_new = made.scalar_one_or_none() is not None
            stored = await _by_key(session, wanted)
            assert stored is not None
        return await (self._send(stored, deadline) if is_new else self._again(stored, wanted))

    async def take_up(self, operation_id: UUID) -> PointOperation:
        """Go on with an operation that is due, by a look-up; one that is not due is answered as it is.

        Raises `VoucherifyError` when it can't be looked up now: the operation waits for its next turn.
        """
        operation, mine = await self._claim(operation_id)
        if not mine:
            return operation
        found = await self._look_up(operation)
        asked = {"at": now().isoformat(), "path": found.path, "found": found.outcome is not None}
        look_ups = [*operation.look_ups, asked]
        log.info("points.looked_up", operation=str(operation_id), found=asked["found"])
        if found.outcome is not None:
            return await self._finish(operation, found.outcome, look_ups=look_ups)
        if operation.sent["at"] is None:
            return await self._send_again(operation, look_ups)
        reason = operation.refusal or "The process that sent it ended before an answer came."
        if len(look_ups) - operation.sent["asked_before"] < len(self.waits):
            return await self._write(operation, refusal=reason, look_ups=look_ups, touched_at=func.now())
        log.error("points.unclear", operation=str(operation_id), reason=reason)
        reason = f"{reason} It was looked for {len(look_ups) - operation.sent['asked_before']} times and not found."
        return await self._write(operation, status="UNCLEAR", refusal=reason, look_ups=look_ups, touched_at=func.now())

    def due(self) -> TextClause:
        """The condition under which an operation may be taken up: never sent, its call long over, or time to look."""
        return text(
            """status = 'PENDING' AND touched_at < now() - make_interval(secs => CASE
                 WHEN sent ->> 'at' IS NULL THEN 0
                 WHEN refusal IS NULL THEN :pending_after
                 ELSE (CAST(:waits AS float8[]))
                      [1 + jsonb_array_length(look_ups) - CAST(sent ->> 'asked_before' AS int)]
               END)"""
        ).bindparams(pending_after=self.pending_after, waits=list(self.waits))

    async def _again(self, operation: PointOperation, wanted: Wanted) -> PointOperation:
        if operation.request_hash != wanted.hash():
            raise Conflict("This Idempotency-Key was used for another request: use a new key for a new one.")
        if operation.status == "PENDING":
            try:
                return await self.take_up(operation.id)
            except VoucherifyError as error:
                log.warning("points.still_pending", operation=str(operation.id), reason=error.sentence)
        return operation

    async def _planned(self, wanted: Wanted, card: str) -> PointOperation:
        """The row of a new operation, with the request that is going to leave."""
        operation_id = uuid4()
        if wanted.reward_id is not None:
            offered = {reward.id: reward for reward in await self._offered(card)}
            reward = offered.get(wanted.reward_id)
            if reward is None:
                raise NotFound("There is no such reward.")
            kind, points, title = "reward", -reward.points, reward.name
            request = self.engine.purchase(card, reward.id, str(operation_id))
        else:
            if not wanted.points:
                raise BadInput("points must be a number other than 0.", field="points")
            kind, points, title = "adjustment", wanted.points, wanted.reason
            request = self.engine.adjustment(card, points, title, str(operation_id))
        moment = now()
        return PointOperation(
            id=operation_id,
            client=wanted.client,
            idempotency_key=wanted.idempotency_key,
            request_hash=wanted.hash(),
            kind=kind,
            member_id=wanted.member_id,
            card=card,
            points=points,
            reward_id=wanted.reward_id,
            title=title,
            status="PENDING",
            sent={**vars(request), "at": moment.isoformat(), "asked_before": 0},
            look_ups=[],
            created_at=moment,
            touched_at=moment,
        )

    async def _offered(self, card: str) -> list[Reward]:
        try:
            return await self.engine.rewards(card)
        except VoucherifyError as error:
            if not error.retryable:
                raise
            raise Busy(
                f"The rewards can't be read now. {error.sentence} No points were taken: try again.",
                retry_after=error.retry_after or 5,
            ) from error

    async def _claim(self, operation_id: UUID) -> tuple[PointOperation, bool]:
        """The operation, and whether it is ours to go on with: the touch is a lease by the database's clock."""
        async with self.database.session() as session:
            claimed = await session.exec(
                update(PointOperation)
                .where(col(PointOperation.id) == operation_id, self.due())
                .values(touched_at=func.now())
            )
            return await session.get_one(PointOperation, operation_id), bool(claimed.rowcount)

    async def _look_up(self, operation: PointOperation) -> LookUp:
        if operation.kind == "reward":
            return await self.engine.find_purchase(str(operation.member_id), str(operation.id))
        return await self.engine.find_adjustment(operation.card, str(operation.id))

    async def _send_again(self, operation: PointOperation, look_ups: list[dict[str, Any]]) -> PointOperation:
        """Send what an operator wants sent again, once: from this commit on it counts as sent."""
        deadline = asyncio.get_running_loop().time() + self.pending_after * 0.8
        sent = {"at": now().isoformat(), "asked_before": len(look_ups)}
        marked = await self._write(
            operation,
            sent=col(PointOperation.sent).op("||")(cast(sent, JSONB)),
            look_ups=look_ups,
            touched_at=func.now(),
        )
        return await self._send(marked, deadline) if marked.sent["at"] == sent["at"] else marked

    async def _send(self, operation: PointOperation, deadline: float) -> PointOperation:
        """Send the request of a row that is committed; not after `deadline`, which is a time of the loop's clock."""
        request = Request(operation.sent["method"], operation.sent["path"], operation.sent["body"])
        try:
            # A deadline that has passed already ends this where it first waits, which is before anything is sent.
            async with asyncio.timeout_at(deadline):
                outcome = await (self.engine.buy if operation.kind == "reward" else self.engine.adjust)(request)
        except TimeoutError:
            return await self._leave_open(operation, "Voucherify was too slow.")
        except VoucherifyError as error:
            if error.may_be_done:
                return await self._leave_open(operation, error.sentence)
            told = refusal(operation.kind, error)
            return await self._write(
                operation, status="REFUSED", refusal=told, answered=error.answer, finished_at=func.now()
            )
        return await self._finish(operation, outcome)

    async def _leave_open(self, operation: PointOperation, reason: str) -> PointOperation:
        log.warning("points.no_answer", operation=str(operation.id), reason=reason)
        return await self._write(operation, refusal=reason, touched_at=func.now())

    async def _finish(self, operation: PointOperation, outcome: Outcome, **more: Any) -> PointOperation:
        if not outcome.done:
            told = refusal_by_rule(operation.kind, outcome.key)
            more |= {"status": "REFUSED", "refusal": told}
        else:
            more |= {"status": "DONE", "refusal": None, "points": outcome.points, "coupon": outcome.coupon}
        return await self._write(operation, answered=outcome.answered, finished_at=func.now(), **more)

    async def _write(self, operation: PointOperation, **values: Any) -> PointOperation:
        """Note what became of it, unless somebody else took it up since; answers the row as it is now."""
        async with self.database.session() as session:
            written = await session.exec(
                update(PointOperation)
                .where(
                    col(PointOperation.id) == operation.id,
                    col(PointOperation.status) == "PENDING",
                    col(PointOperation.touched_at) == operation.touched_at,
                )
                .values(**values)
            )
            stored = await session.get_one(PointOperation, operation.id)
            if written.rowcount:
                log.info(f"points.{stored.status.lower()}", operation=str(stored.id), kind=stored.kind)
                change = changes.of_member(stored.member_id, f"points.{stored.status.lower()}", id=str(stored.id))
                await changes.append(await raw_connection(session), [change])
        return stored


async def _member(session: AsyncSession, member_id: UUID) -> Member:
    member = await session.get(Member, member_id)
    if member is None:
        raise NotFound("No member has this id.")
    return member


async def _by_key(session: AsyncSession, wanted: Wanted) -> PointOperation | None:
    query = select(PointOperation).where(
        PointOperation.client == wanted.client, PointOperation.idempotency_key == wanted.idempotency_key
    )
    return (await session.exec(query)).first()
