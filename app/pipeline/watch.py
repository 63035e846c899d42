"""Whether a destination is up: asked where a row's failure leaves it open, and again and again while it is down."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.backoff import backoff
from app.db.session import Database
from app.destinations.base import Transport
from app.errors import DestinationError, LoyaltyError
from app.pipeline import destination_state
from app.pipeline.registry import Registry
from app.pipeline.verdict import verdict
from app.telemetry import log

LONGEST = 15.0
"""Seconds between two questions to a destination that is down."""


@dataclass
class Watch:
    """Keeps the state of all destinations. Every worker runs one; a question that is due is asked by one of them."""

    database: Database
    transports: Mapping[str, Transport]
    registry: Registry
    lease_seconds: float
    """Seconds that one worker has for a question; then another may ask, for this one may be gone."""
    _asked: dict[str, asyncio.Task[tuple[str, float] | None]] = field(default_factory=dict)

    async def run_once(self) -> bool:
        """Ask the destinations that are down and due; whether one of them is up again."""
        async with self.database.connection() as connection:
            due = await destination_state.to_ask(connection, self.lease_seconds)
        return any([await self._again(destination, probes) for destination, probes in due])

    async def is_up(self, destination: str) -> bool:
        """Ask it now, because a row failed and the answer does not tell why. Where it is down, that is noted."""
        # Lanes that fail together ask together.
        question = self._asked.get(destination)
        if question is None:
            question = self._asked[destination] = asyncio.create_task(self._ask(destination))
            question.add_done_callback(lambda _: self._asked.pop(destination, None))
        found = await asyncio.shield(question)
        if found is None:
            return True
        await self.note_down(destination, *found)
        return False

    async def note_down(self, destination: str, reason: str, wait: float) -> None:
        """Nothing of this destination is claimed until it answers again, first asked in `wait` seconds."""
        async with self.database.connection() as connection:
            if await destination_state.note_down(connection, destination, reason, wait or backoff(0)):
                log.warning(
                    "destination.down", destination=destination
                )  # the reason may quote an answer: the row has it

    async def _again(self, destination: str, probes: int) -> bool:
        found = await self._ask(destination)
        async with self.database.transaction() as connection:
            if found is not None:
                reason, wait = found
                await destination_state.ask_again(connection, destination, reason, wait or backoff(probes, cap=LONGEST))
                return False
            await destination_state.note_up(connection, destination)
        log.warning("destination.up", destination=destination)
        return True

    async def _ask(self, slug: str) -> tuple[str, float] | None:
        """None when it is up, else why not and how long it asks to be left alone (0: it does not say)."""
        to = self.registry.connected.get(slug)
        if to is None:
            return None  # nobody is there to ask
        try:
            for request in to.destination.test_connection(to.settings):
                transport = self.transports[to.destination.transport]
                await transport.send(request.method, request.url, request.body, request.headers)
        except LoyaltyError as error:
            if isinstance(error, DestinationError) and not error.retryable and not error.rejects_keys:
                return None  # it refused the question, so it answers
            return verdict(error).sentence, error.retry_after or 0.0
        return None
