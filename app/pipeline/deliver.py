"""③ The deliverer: claims lanes, and for each waiting row runs the insert function, the mapping, and the action.

Every try is a row before it leaves. A worker that finds one without an end knows that it may have been carried out.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from app.backoff import backoff
from app.db.session import Database
from app.db.trouble import NOT_THE_WORK
from app.db.wake import Wakeups
from app.errors import LoyaltyError
from app.pipeline import lanes
from app.pipeline.attempts import Finished, Ran
from app.pipeline.books import Books
from app.pipeline.bridge import payload_for
from app.pipeline.functions import FunctionPool, Outcome
from app.pipeline.lanes import Claim
from app.pipeline.mappings import CompiledMapping
from app.pipeline.registry import Connected, Registry
from app.pipeline.send import Sender
from app.pipeline.verdict import Verdict
from app.pipeline.waiting import BATCH, Row
from app.pipeline.watch import Watch
from app.telemetry import DELIVERED, log

STATUS = {"refused": "failed", "retry": "pending", "unclear": "pending", "held": "unclear"}
"""The state of a row after a verdict; other verdicts are states themselves."""


@dataclass
class Deliverer:
    """Delivers the lanes that this worker claims, several at a time."""

    database: Database
    owner: str
    books: Books
    sender: Sender
    watch: Watch
    pool: FunctionPool
    registry: Registry
    functions: Mapping[str, str]
    """The insert function of a destination, by the destination's name."""
    retry: Callable[[int], float]
    """Seconds until the next try after so many (from 0)."""
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
                    async with self.database.connection() as connection:
                        claimed = await lanes.claim(connection, self.owner, self.lease_seconds, free)
                for lane in claimed:
                    task = asyncio.create_task(self._lane(lane))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                if len(claimed) == free:
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                else:
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
                await self.books.leave(lane)

    async def _keep(self, lane: Claim) -> None:
        """Prolong the lease while the lane is worked on: one slow call may take longer than a lease."""
        while True:
            await asyncio.sleep(self.lease_seconds / 3)
            with contextlib.suppress(*NOT_THE_WORK):  # it is tried again before the lease ends
                async with self.database.connection() as connection:
                    if not await lanes.prolong(connection, lane, self.lease_seconds):
                        return

    async def _some(self, lane: Claim) -> bool:
        """Deliver the rows that wait now; whether there may be more of them."""
        rows = await self.books.waiting(lane)
        ran: dict[int, Outcome] = {}
        for row in rows:
            if not row.due:
                return False
            structlog.contextvars.bind_contextvars(order_id=row.order_id, delivery=row.id)
            begun = time.monotonic()
            judged = await self._safely(lane, row, ran)
            if judged is None or not await self._finish(lane, row, judged, time.monotonic() - begun):
                return False
        return len(rows) == BATCH

    async def _safely(self, lane: Claim, row: Row, ran: dict[int, Outcome]) -> Verdict | None:
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
            return Verdict("retry", f"{type(error).__name__}: {error}"[:2000])

    async def _deliver(self, lane: Claim, row: Row, ran: dict[int, Outcome]) -> Verdict | None:
        """Function, mapping, action. `ran`: functions' results of late."""
        known = await self._known(lane, row)
        if known is None:
            return Verdict("refused", f"The destination has no mapping named {row.mapping} that can be used.")
        to, mapping = known
        event = row.message
        if to.filters is not None:
            reason = to.filters.reason(event) if row.replayed else None
            if reason is not None:
                return Verdict("filtered", reason)
            event = to.filters.shape(event)
        if row.replayed and not mapping.takes(event):
            return Verdict("filtered", "The mapping's trigger does not take this event any more.")
        function = self.functions.get(to.destination.name)
        result = Outcome("returned", event=event)
        if function is not None:
            kept = row.function or ran.get(row.event_position)
            result = kept or await self._run_function(lane, row, to, function, event)
            ran[row.event_position] = result
        if result.outcome == "dropped":
            return Verdict("filtered", result.error or "The function dropped the event.")
        if result.retryable:
            return Verdict("retry", result.error or result.outcome, result.retry_after or 0.0, result.blames)
        if result.outcome != "returned":
            return Verdict("refused", f"{result.outcome}: {result.error}")
        try:
            payload = payload_for(mapping.action, mapping.maps, result.event or {})
        except LoyaltyError as error:
            return Verdict("refused", str(error))
        return await self.sender.send(lane, row, to.destination.transport, mapping.action, payload, to.settings)

    async def _known(self, lane: Claim, row: Row) -> tuple[Connected, CompiledMapping] | None:
        """The row's destination and mapping; looked for again when they are so new that they are not known here yet."""
        for _ in range(2):
            to = self.registry.connected.get(lane.destination)
            if to is not None and row.mapping in to.mappings:
                return to, to.mappings[row.mapping]
            await self.registry.refresh()
        return None

    async def _run_function(
        self, lane: Claim, row: Row, to: Connected, function: str, event: dict[str, Any]
    ) -> Outcome:
        """Run the insert function; a result that is not to be tried again is kept, so that it completes once."""
        outcome = await self.pool.run(function, event)
        await self.sender.charge(lane, to.destination.transport, len(outcome.calls))
        if not outcome.retryable:
            return await self.books.keep(Ran(lane, row, outcome))
        return outcome

    async def _finish(self, lane: Claim, row: Row, judged: Verdict, seconds: float) -> bool:
        """Write down how a try of so many seconds ended; whether the rows behind it may go now.

        Where the lane was lost meanwhile nothing is written, and nothing may go.
        """
        waits = judged.outcome in {"retry", "unclear"}
        own = judged.blames == "row" or (judged.blames == "either" and await self.watch.is_up(lane.destination))
        if judged.blames == "destination":
            await self.watch.note_down(lane.destination, judged.sentence, judged.wait)
        if not own:
            judged = replace(judged, wait=0.0)  # the destination's state says when, for all rows alike
        elif waits and not judged.wait:
            judged = replace(judged, wait=self.retry(row.attempts))
        held = row.held + (judged.wait + seconds if waits and own else 0.0)
        status = STATUS.get(judged.outcome, judged.outcome)
        if waits and held > self.budget:
            status = "unclear" if row.unknown or judged.outcome == "unclear" else "failed"
            judged = replace(judged, sentence=f"Given up after {self.budget / 3600:g} h. {judged.sentence}")
        passed = row.passed or held > self.order_hold  # once passed it stays so: the mark says what happened
        if not await self.books.finish(Finished(lane, row, status, judged, held, passed)):
            return False
        DELIVERED.labels(row.mapping, judged.outcome).inc()
        # Not the sentence: it may quote an answer about somebody. The row has it.
        log.info("delivery.tried", outcome=judged.outcome, mapping=row.mapping, attempt=row.attempts + 1)
        return status != "pending" or (own and passed)
