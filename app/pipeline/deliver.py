"""③ The deliverer: claims lanes, and for each waiting row runs the insert function, the mapping, and the action.

Every try is a row before it leaves. A worker that finds one without an end knows that it may have been carried out.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from app.backoff import backoff
from app.db.session import Database
from app.db.trouble import NOT_THE_WORK
from app.db.wake import Wakeups
from app.errors import LoyaltyError, VoucherifyRefused
from app.pipeline import attempts, lanes
from app.pipeline.bridge import payload_for
from app.pipeline.functions import FunctionPool, Outcome
from app.pipeline.lanes import Claim
from app.pipeline.mappings import CompiledMapping
from app.pipeline.verdict import Verdict, verdict
from app.telemetry import DELIVERED, log
from app.voucherify.client import Client


@dataclass
class Deliverer:
    """Delivers the lanes that this worker claims, several at a time."""

    database: Database
    owner: str
    voucherify: Client
    pool: FunctionPool
    mappings: Mapping[tuple[str, str], CompiledMapping]
    """By (destination slug, mapping slug)."""
    functions: Mapping[str, str]
    """The insert function of a destination, by the destination's name."""
    settings: Mapping[str, Mapping[str, Any]]
    """The settings of a destination, by its slug."""
    lease_seconds: float
    order_hold: float
    budget: float
    most_lanes: int
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, wakeups: Wakeups) -> None:
        """Claim and deliver until cancelled; then let go of what is held."""
        try:
            while True:
                free = self.most_lanes - len(self._running)
                claimed: Sequence[Claim] = []
                if free:
                    async with self.database.transaction() as connection:
                        claimed = await lanes.claim(connection, self.owner, self.lease_seconds, free)
                for lane in claimed:
                    task = asyncio.create_task(self._lane(lane))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                if not claimed and self._running and not free:
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                elif not claimed:
                    await wakeups.wait("deliver", 1.0)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _lane(self, lane: Claim) -> None:
        """Deliver what waits in a lane, in order, until one must wait."""
        keeper = asyncio.create_task(self._keep(lane))
        try:
            while await self._some(lane):
                pass
        except Exception:  # noqa: BLE001 - a lane that breaks must not break the others
            # The rows stay as they are and the lane is due again after a pause; nothing else is affected (rule 9).
            log.exception("lane.failed", destination=lane.destination)
            await asyncio.sleep(backoff(1))
        finally:
            keeper.cancel()
            with contextlib.suppress(Exception):
                async with self.database.transaction() as connection:
                    await lanes.leave(connection, lane)

    async def _keep(self, lane: Claim) -> None:
        """Prolong the lease while the lane is worked on: one slow call may take longer than a lease."""
        while True:
            await asyncio.sleep(self.lease_seconds / 3)
            async with self.database.connection() as connection:
                if not await lanes.prolong(connection, lane, self.lease_seconds):
                    return

    async def _some(self, lane: Claim) -> bool:
        """Deliver the rows that wait now; whether to look again."""
        async with self.database.connection() as connection:
            rows = await attempts.waiting(connection, lane)
        done = False
        ran: dict[int, Outcome] = {}
        for row in rows:
            if not row.due:
                return False
            structlog.contextvars.bind_contextvars(order_id=row.order_id, delivery=row.id)
            judged = await self._safely(lane, row, ran)
            if judged is None:
                return False
            done = True
            if judged.outcome == "retry" and not judged.own:
                return False
            if judged.outcome == "retry" and row.held + judged.wait <= self.order_hold:
                return False
        return done

    async def _safely(self, lane: Claim, row: attempts.Row, ran: dict[int, Outcome]) -> Verdict | None:
        """Take one row as far as it goes; None when the lane was lost meanwhile.

        One that breaks this code is tried again by its own clock, so that it harms only itself (rule 9): the others
        pass it after a while, and it is given up with its reason.
        """
        try:
            return await self._deliver(lane, row, ran)
        except NOT_THE_WORK:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a row does to us, the others go on
            log.error("delivery.broke", mapping=row.mapping, error=type(error).__name__)
            sentence = f"{type(error).__name__}: {error}"[:2000]
            return await self._finish(lane, row, Verdict("retry", sentence, backoff(row.attempts, cap=300.0), own=True))

    async def _deliver(self, lane: Claim, row: attempts.Row, ran: dict[int, Outcome]) -> Verdict | None:
        """Take one row as far as it goes; None when the lane was lost meanwhile. `ran`: functions' results of late."""
        mapping = self.mappings.get((lane.destination, row.mapping))
        if mapping is None:
            judged = Verdict("refused", f"The destination has no mapping named {row.mapping} any more.")
            return await self._finish(lane, row, judged)
        function = self.functions.get(mapping.destination.name)
        result = Outcome("returned", event=row.message)
        if function is not None:
            result = row.function or ran.get(row.event_position) or await self._run_function(lane, row, function)
            ran[row.event_position] = result
        if result.outcome == "dropped":
            return await self._finish(lane, row, Verdict("filtered", result.error or "The function dropped the event."))
        if result.retryable:
            wait = result.retry_after or backoff(row.attempts, cap=300.0)
            judged = Verdict("retry", result.error or result.outcome, wait, own=result.own)
            return await self._finish(lane, row, judged)
        if result.outcome != "returned":
            return await self._finish(lane, row, Verdict("refused", f"{result.outcome}: {result.error}"))
        try:
            payload = payload_for(mapping.action, mapping.maps, result.event or {})
        except LoyaltyError as error:
            return await self._finish(lane, row, Verdict("refused", str(error)))
        return await self._act(lane, row, mapping, payload)

    async def _run_function(self, lane: Claim, row: attempts.Row, function: str) -> Outcome:
        """Run the insert function; a result that is not to be tried again is kept, so that it completes once."""
        outcome = await self.pool.run(function, row.message)
        if not outcome.retryable:
            async with self.database.transaction() as connection:
                return await attempts.keep_function(connection, lane, row, outcome)
        return outcome

    async def _act(
        self, lane: Claim, row: attempts.Row, mapping: CompiledMapping, payload: dict[str, Any]
    ) -> Verdict | None:
        """Send the request, unless an earlier try is found to have done it."""
        action, settings = mapping.action, self.settings[lane.destination]
        if row.done_before:
            return await self._finish(lane, row, Verdict("delivered", ""))
        try:
            if row.maybe_done and not action.repeat.safe:
                if action.repeat.look_up is None or action.repeat.is_done is None:
                    judged = Verdict("unclear", "It was sent, no answer came, and there is no way to look it up.")
                    return await self._finish(lane, row, judged)
                if action.repeat.is_done(await self._ask(action.repeat.look_up(payload, settings))):
                    return await self._finish(lane, row, Verdict("delivered", "Found done by an earlier attempt."))
            request = action.build(payload, settings)
            async with self.database.connection() as connection:
                attempt = await attempts.start(connection, lane, row, request)
            if attempt is None:
                return None
            try:
                call = await self.voucherify.send(request.method, request.url, request.body, request.headers)
            except LoyaltyError as error:
                judged = verdict(error, row.attempts)
                code, answer = getattr(error, "code", None), getattr(error, "answer", None)
                async with self.database.connection() as connection:
                    await attempts.end(connection, attempt, judged.outcome, code, answer or error.sentence)
                if judged.outcome == "unclear":
                    judged = Verdict("retry", judged.sentence, judged.wait, judged.own)  # the next try finds out
                return await self._finish(lane, row, judged)
            async with self.database.connection() as connection:
                await attempts.end(connection, attempt, "done", call.status, call.answered)
            return await self._finish(lane, row, Verdict("delivered", ""))
        except LoyaltyError as error:
            return await self._finish(lane, row, verdict(error, row.attempts))

    async def _ask(self, request: Any) -> Any:
        try:
            return (await self.voucherify.send(request.method, request.url, None, request.headers)).answered
        except VoucherifyRefused as error:
            if error.code == 404:
                return None
            raise

    async def _finish(self, lane: Claim, row: attempts.Row, judged: Verdict) -> Verdict | None:
        """Write down how a try ended; None when the lane was lost meanwhile, and then nothing is written."""
        held = row.held + (judged.wait if judged.own else 0.0)
        if judged.outcome == "retry" and held > self.budget:
            judged = Verdict("refused", f"Given up after {self.budget / 3600:g} h. {judged.sentence}")
        status = {"refused": "failed", "retry": "pending"}.get(judged.outcome, judged.outcome)
        async with self.database.transaction() as connection:
            kept = await attempts.finish(connection, lane, row, status, judged, held, passed=held > self.order_hold)
        if not kept:
            return None
        DELIVERED.labels(row.mapping, judged.outcome).inc()
        # Not the sentence: it may quote an answer about somebody. The row has it.
        log.info("delivery.tried", outcome=judged.outcome, mapping=row.mapping, attempt=row.attempts + 1)
        return judged
