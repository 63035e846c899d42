"""Sending one delivery: at the set pace, never without the lane, and never twice what may have been done (rule 5)."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from app.db.session import Database
from app.destinations.base import Action, Answer, Payload, Repeat, Request, Sent, Settings, Transport
from app.errors import DestinationError, LeaseLost, LoyaltyError
from app.pipeline import attempts, destination_state
from app.pipeline.attempts import Trying
from app.pipeline.books import Books
from app.pipeline.lanes import Claim
from app.pipeline.verdict import Ending, Verdict, verdict
from app.pipeline.waiting import Row, Unknown

DELIVERED = Verdict("delivered", "")
FOUND = Verdict("delivered", "Found done by an earlier attempt.")
NO_WAY_TO_KNOW = Verdict("held", "It was sent, no answer came, and there is no way to look it up.")
NOT_FOUND = Verdict(
    "held", "It was sent, no answer came, and it was not found afterwards, which does not prove that it was not done."
)

_LONG_AGO = Unknown(datetime.min.replace(tzinfo=UTC), elapsed=math.inf, overruled=True)
"""How an attempt from before a replay counts: looked for where that settles it, and else decided on."""


@dataclass(frozen=True)
class Way:
    """How requests of a destination leave."""

    transport: Transport
    interval: float = 0.0
    """Seconds between two calls of all workers together; 0: no pace is set."""


@dataclass(frozen=True)
class Sender:
    """Sends what the deliverer decided to send."""

    database: Database
    books: Books
    ways: Mapping[str, Way]
    """By the name of the transport."""

    async def send(
        self, lane: Claim, row: Row, way: str, action: Action, payload: Payload, settings: Settings
    ) -> Verdict | None:
        """Send the payload, unless an earlier try is found to have done it; None when the lane was lost."""
        if row.done_before:
            return DELIVERED
        try:
            to = self.ways[way]
            if not action.repeat.safe and (row.unknown is not None or row.applied):
                judged = await self._look_up(lane, row, to, action.repeat, payload, settings)
                if judged is not None:
                    return judged
            return await self._send(lane, row, to, action.build(payload, settings))
        except LeaseLost:
            return None
        except LoyaltyError as error:
            return verdict(error)

    async def _send(self, lane: Claim, row: Row, to: Way, request: Request) -> Verdict:
        """Send the request once. How it ended is in the verdict, not written down yet.

        Raises:
            LeaseLost: the lane is not ours any more, and nothing was sent.
        """
        attempt = await self._begin(lane, row, to, request, "send")
        try:
            call = await self._leave(lane, to, request)
        except LeaseLost:
            await self._end(attempt, "retry", None, "Nothing was sent: its worker had lost the lane.")
            raise
        except LoyaltyError as error:
            judged = verdict(error)
            code, answer = getattr(error, "code", None), getattr(error, "answer", None)
            return replace(judged, ending=Ending(attempt, judged.outcome, code, answer or error.sentence))
        return replace(DELIVERED, ending=Ending(attempt, "done", call.status, call.answered))

    async def charge(self, lane: Claim, way: str, calls: int) -> None:
        """Count calls that were made by an insert function against the pace."""
        interval = self.ways[way].interval
        if interval and calls:
            async with self.database.connection() as connection:
                await destination_state.reserve(connection, lane.destination, interval, calls)

    async def _look_up(
        self, lane: Claim, row: Row, to: Way, repeat: Repeat, payload: Payload, settings: Settings
    ) -> Verdict | None:
        """Find out whether an earlier try was carried out; None: it may be sent.

        Raises:
            LoyaltyError: the question got no answer.
        """
        unknown = row.unknown or _LONG_AGO
        if unknown.overruled and not repeat.sends_again:
            return None  # looked for already, and decided; where a look settles it, it costs little to look again
        if repeat.look_up is None or repeat.is_done is None:
            # Carried out before a replay: then somebody said that it shall be applied twice.
            return NO_WAY_TO_KNOW if row.unknown is not None else None
        if unknown.elapsed < repeat.delay:
            wait = repeat.delay - unknown.elapsed
            return Verdict("retry", f"It was sent and no answer came. Looked up in {wait:.0f} s.", wait)
        request = repeat.look_up(payload, settings)
        attempt = await self._begin(lane, row, to, request, "look_up")
        status, answer = 404, None
        try:
            call = await self._leave(lane, to, request)
            status, answer = call.status, call.answered
        except LoyaltyError as error:
            if not isinstance(error, DestinationError) or error.retryable or error.code != status:
                await self._end(attempt, "retry", getattr(error, "code", None), error.sentence)
                raise
        found = repeat.is_done(answer, Sent(unknown.started_at, payload))
        await self._end(attempt, "found" if found else "not_found", status, answer)
        if found:
            return FOUND
        return None if repeat.sends_again else NOT_FOUND

    async def _begin(self, lane: Claim, row: Row, to: Way, request: Request, kind: str) -> int:
        """Wait for the pace, then note what is about to leave.

        Raises:
            LeaseLost: the lane is not ours any more.
        """
        if to.interval:
            async with self.database.connection() as connection:
                pause = await destination_state.reserve(connection, lane.destination, to.interval)
            await asyncio.sleep(pause)
        attempt = await self.books.start(Trying(lane, row, request, kind))
        if attempt is None:
            raise LeaseLost
        return attempt

    async def _leave(self, lane: Claim, to: Way, request: Request) -> Answer:
        answer = await to.transport.send(
            request.method, request.url, request.body, request.headers, may_leave=lane.fence.holds
        )
        if answer.rest:
            async with self.database.connection() as connection:
                await destination_state.rest(connection, lane.destination, answer.rest)
        return answer

    async def _end(self, attempt: int, outcome: str, status: int | None, answer: Any) -> None:
        async with self.database.connection() as connection:
            await attempts.end(connection, [Ending(attempt, outcome, status, answer)])
