"""From the bytes of a request to its messages: inflated and decoded within bounds, then sorted out. Pure."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from app.db import storable
from app.log.log import NewEvent
from app.segment import messages
from app.segment.errors import DoorError, too_large
from app.segment.refusals import Refused
from app.segment.write_keys import KeyOwner

MAX_BATCH = 500 * 1024
MAX_BATCH_MESSAGES = 2_500


@dataclass(frozen=True)
class Sender:
    """Who sent a request."""

    owner: KeyOwner | None
    """None: the write key is nobody's."""
    address: str

    @property
    def source(self) -> str | None:
        return self.owner.slug if self.owner is not None else None

    def rejection(self) -> str | None:
        """Segment's code for why nothing of this sender can be taken in, or None."""
        if self.owner is None:
            return "unknown_source"
        return None if self.owner.enabled else "source_disabled"


def inflated(body: bytes, encoding: str) -> bytes:
    """The text in a body, gzipped or plain, never more than the limit when inflated."""
    if encoding.strip().lower() in {"gzip", "x-gzip"}:
        inflate = zlib.decompressobj(wbits=31)
        try:
            body = inflate.decompress(body, MAX_BATCH + 1)
        except zlib.error as error:
            raise DoorError("bad_request", "The body says that it is gzip, but it is not.") from error
        if len(body) <= MAX_BATCH and (not inflate.eof or inflate.unused_data):
            raise DoorError("bad_request", "The body must be one whole gzip stream and nothing after it.")
    if len(body) > MAX_BATCH:
        raise too_large()
    return body


def decoded(text: bytes) -> Any:
    """The JSON in a text, whatever it is."""
    try:
        return storable.parsed(text)
    except ValueError as error:
        raise DoorError("bad_request", "The body is not valid JSON.") from error


def listed(body: Any) -> tuple[list[Any], str | None]:
    """The messages of a batch, or none of them and Segment's code for why."""
    items = body.get("batch") if isinstance(body, dict) else body
    if not isinstance(body, dict) or not isinstance(items, list | None):
        return [], "bad_request"
    return (items, None) if items else ([], "empty_batch")


def renamed(item: Any) -> Any:
    """A message as the clients of `/v1/import` wrote it, which called its type `action`."""
    if not isinstance(item, dict) or "type" in item or "action" not in item:
        return item
    return {("type" if name == "action" else name): value for name, value in item.items()}


def refuse_too_large(items: Sequence[Any], most: int = messages.MAX_MESSAGE) -> None:
    """Raise when one message is larger than a message may be."""
    if any(len(msgspec.json.encode(item)) > most for item in items):
        raise DoorError("message_too_large", "A message may have 32 KB at most.")


def sorted_out(
    items: Sequence[Any],
    sender: Sender,
    complete: Callable[[dict[str, Any]], dict[str, Any]],
    received_at: datetime,
    most: int | None = None,
) -> tuple[list[NewEvent], list[Refused]]:
    """What is taken in, and what is not with the reason why. One bad message harms no other.

    `most`: bytes that a message may have, where no request is refused for one that has more.
    """
    source, nothing = sender.source, sender.rejection()
    taken: list[NewEvent] = []
    refused: list[Refused] = []
    for item in items[:MAX_BATCH_MESSAGES]:
        code = nothing or messages.rejection(item)
        if code is None and most is not None and len(msgspec.json.encode(item)) > most:
            code = "message_too_large"
        if code is None and source is not None:
            taken.append(messages.new_event(complete(item), source, received_at))
        else:
            refused.append(Refused(code or "unknown_source", item, source, sender.address))
    if beyond := items[MAX_BATCH_MESSAGES:]:
        code = nothing or "too_many_requests"
        refused.append(Refused(code, beyond[0], source, sender.address, len(beyond)))
    return taken, refused
