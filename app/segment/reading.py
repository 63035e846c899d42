"""From the bytes of a request to its messages: inflated and decoded within bounds, then sorted out. Pure."""

import json
import math
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from app.db.trouble import without_nul
from app.log.log import NewEvent
from app.segment import messages
from app.segment.errors import DoorError, too_large
from app.segment.refusals import Refused
from app.segment.write_keys import KeyOwner

MAX_BATCH = 500 * 1024
MAX_BATCH_MESSAGES = 2_500
SURELY_FINITE = 308
"""Digits: an integer of no more is in the range of a double."""
# An escaped backslash and a pair that is whole are taken first and stay, so that what is left are halves.
_SURROGATE: Final = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


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
        return parsed(text)
    except ValueError as error:
        raise DoorError("bad_request", "The body is not valid JSON.") from error


def parsed(text: bytes) -> Any:
    """What a JSON text says, as far as it can be stored.

    U+0000 is left out, half a surrogate pair becomes U+FFFD, and a number that no double holds null: all three are
    well-formed, and nobody's order is to be lost for a product name that was cut in the middle of an emoji.

    Raises:
        ValueError: it is not JSON in UTF-8, or nested deeper than Python goes, which is 900 levels at least.
    """
    text = without_nul(text)
    try:
        try:
            return msgspec.json.decode(text)
        except ValueError:  # not JSON, or JSON that msgspec has no value for
            return _finite(_SURROGATE.sub(_whole, text))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole(escape: re.Match[bytes]) -> bytes:
    return escape[1] or rb"\ufffd"


def _finite(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:  # well-formed, and a number in it is out of range
        value = json.loads(text.decode(), parse_int=_integer, parse_constant=_refuse)
        return msgspec.json.decode(msgspec.json.encode(value))  # which writes infinity as null


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= SURELY_FINITE or math.isfinite(float(digits)) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


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
