"""What the files in `functions/` may import: the language of insert functions.

An insert function is a file with `DESTINATION`, typed `Settings`, and handlers `on_identify`, `on_track`, `on_page`,
`on_screen`, `on_group`, `on_alias`:

    async def on_track(event: Event, settings: Settings, context: Context) -> Event: ...

Each must return the event (changed or not); a type without a handler is not delivered. That, the errors below and the
five seconds are Segment's own rules for insert functions, so a function that works here can be carried over.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.voucherify import publications
from app.voucherify.client import Client
from app.voucherify.loyalty import Card, Loyalty

Event = dict[str, Any]
"""A Segment message: `type`, `userId`, `event`, `properties`, `traits`, `context`, …"""


class FunctionError(Exception):
    """Ends the function for this event. `kind` is how Segment names it, `retryable` whether it is tried again."""

    kind = "bad_request"
    retryable = False


class EventNotSupported(FunctionError):
    """This function does not take events like this one."""

    kind = "unsupported_event_type"


class InvalidEventPayload(FunctionError):
    """The event lacks something, or has it in a wrong form."""

    kind = "message_rejected"


class ValidationError(FunctionError):
    """The event is not valid for this destination."""

    kind = "message_rejected"


class DropEvent(FunctionError):
    """The event shall not reach the destination. Not a failure."""

    kind = "dropped"


class RetryError(FunctionError):
    """Try again later, with growing pauses, for four hours."""

    kind = "retry"
    retryable = True


class Memory(Protocol):
    """Where `Context.once` keeps results: in the worker's database."""

    async def recall(self, key: str) -> tuple[bool, Any]: ...
    async def keep(self, key: str, result: Any) -> None: ...


@dataclass(frozen=True)
class Voucherify:
    """The calls that loyalty functions make. A call that fails for now raises an error that is tried again."""

    client: Client
    loyalty: Loyalty

    async def join(self, campaign: str, user_id: str) -> Card:
        """Give the customer a card of a loyalty campaign; the card that is there already, if any."""
        return await self.loyalty.join(campaign, {"source_id": user_id})

    async def publish(self, campaign: str, user_id: str, source_id: str) -> str:
        """Publish one code of a campaign to the customer and return it.

        `source_id` names the reason, as in `big-basket:<order id>`: however often this is called with it, there is one
        code.
        """
        publication = await publications.publish(self.client, campaign, {"source_id": user_id}, source_id)
        return publications.code_of(publication)


@dataclass(frozen=True)
class Context:
    """What a handler can use beside the event."""

    voucherify: Voucherify
    memory: Memory
    notes: list[str] = field(default_factory=list)

    def log(self, text: str) -> None:
        """Write a line that is kept with this run, 4 KB in all. No personal data, please."""
        self.notes.append(text)

    async def once(self, key: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """Do `call` once per key of this function and return its result (JSON), now and at every later run.

        Killed between the call and the keeping of its result, it is called again: give the call a `source_id` too.
        """
        kept, result = await self.memory.recall(key)
        if not kept:
            result = await call()
            await self.memory.keep(key, result)
        return result
