"""Sending one delivery: at the set pace, never without the lane, and never twice what may have been done (rule 5)."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.db.session import Database
from app.destinations.base import Action, Payload, Repeat, Request, Sent
from app.errors import LeaseLost, LoyaltyError, VoucherifyRefused
from app.pipeline import attempts, destination_state
from app.pipeline.attempts import Row, Unknown
from app.pipeline.lanes import Claim
from app.pipeline.verdict import Verdict, verdict
from app.voucherify.client import Client

DELIVERED = Verdict("delivered", "")
FOUND = Verdict("delivered", "Found done by an earlier attempt.")
NO_WAY_TO_KNOW = Verdict("held", "It was sent, no answer came, and there is no way to look it up.")
NOT_FOUND = Verdict("held", "It was sent, no answer came, and it was not found afterwards. That does not prove it.")


@dataclass(frozen=True)
class Sender:
    """Sends what the deliverer decided to send."""

    database: Database
    client: Client
    interval: float
    """Seconds between two calls of all workers together; 0: no pace is set."""

    async def send(
        self, lane: Claim, row: Row, action: Action, payload: Payload, settings: Mapping[str, Any]
    ) -> Verdict | None:
        """Send the payload, unless an earlier try is found to have done it; None when the lane was lost."""
        if row.done_before:
            return DELIVERED
        try:
            if row.unknown is not None and not action.repeat.safe:
                judged = await self._look_up(lane, row, row.unknown, action.repeat, payload, settings)
                if judged is not None:
                    return judged
            await self._call(lane, row, action.build(payload, settings), "send", lambda _: "done")
        except LeaseLost:
            return None
        except LoyaltyError as error:
            return verdict(error, row.attempts)
        return DELIVERED

    async def charge(self, lane: Claim, calls: int) -> None:
        """Count calls that were made by an insert function against the pace."""
        if self.interval and calls:
            async with self.database.connection() as connection:
                await destination_state.reserve(connection, lane.destination, self.interval, calls)

    async def _look_up(
        self, lane: Claim, row: Row, unknown: Unknown, repeat: Repeat, payload: Payload, settings: Mapping[str, Any]
    ) -> Verdict | None:
        """Find out whether an earlier try was carried out; None: it was not, and may be sent.

        Raises:
            LoyaltyError: the question got no answer.
        """
        if repeat.look_up is None or repeat.is_done is None:
            return NO_WAY_TO_KNOW
        if unknown.elapsed < repeat.delay:
            wait = repeat.delay - unknown.elapsed
            return Verdict("retry", f"It was sent and no answer came. Looked up in {wait:.0f} s.", wait)
        is_done, sent = repeat.is_done, Sent(unknown.started_at, payload)
        found = await self._call(
            lane,
            row,
            repeat.look_up(payload, settings),
            "look_up",
            lambda answer: "found" if is_done(answer, sent) else "not_found",
        )
        if found == "found":
            return FOUND
        return None if repeat.sends_again else NOT_FOUND

    async def _call(self, lane: Claim, row: Row, request: Request, kind: str, read: Callable[[Any], str]) -> str:
        """One request, noted before it leaves and after its answer; returns what `read` makes of that.

        A look-up that is answered 404 got an answer too: `read` is given None.

        Raises:
            LeaseLost: the lane is not ours any more, and nothing was sent.
            LoyaltyError: no good answer came.
        """
        if self.interval:
            async with self.database.connection() as connection:
                pause = await destination_state.reserve(connection, lane.destination, self.interval)
            await asyncio.sleep(pause)
        async with self.database.connection() as connection:
            attempt = await attempts.start(connection, lane, row, request, kind)
        if attempt is None:
            raise LeaseLost
        failed: LoyaltyError | None = None
        status: int | None
        try:
            call = await self.client.send(
                request.method, request.url, request.body, request.headers, may_leave=lane.fence.holds
            )
            status, answer, outcome = call.status, call.answered, read(call.answered)
        except LoyaltyError as error:
            status, answer = getattr(error, "code", None), getattr(error, "answer", None) or error.sentence
            if kind == "look_up" and isinstance(error, VoucherifyRefused) and status == 404:
                outcome = read(None)
            else:
                failed, outcome = error, _outcome(error, kind)
        async with self.database.connection() as connection:
            await attempts.end(connection, attempt, outcome, status, answer)
        if failed is not None:
            raise failed
        return outcome


def _outcome(error: LoyaltyError, kind: str) -> str:
    """What a failed call left behind: only a send that may have been done is unclear."""
    if isinstance(error, LeaseLost) or kind == "look_up":
        return "retry"
    return verdict(error, 0).outcome
