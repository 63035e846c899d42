"""Calls to the project that a programme is loaded into: counted, and made again where Voucherify says not now.

By path, not by a typed verb for each thing: of a dozen kinds each is listed, made and changed in one place alone, and a
verb for that would be longer than the line that calls it.
The client keeps to the rate limit. What it does not send, for it would have to wait too long, waits here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import VoucherifyError, VoucherifyRefused, VoucherifyUnavailable
from app.voucherify.client import Call, Client

PAGE = 100
"""Rows that Voucherify lists at a time, at most."""
MOST_PAGES = 100
TRIES = 5


class InterruptedWrite(Exception):
    """A call that changes something got no answer, or a failure in its middle: it may have been done."""


@dataclass
class Caller:
    """A client that waits when Voucherify says so, and repeats what certainly was not done."""

    client: Client
    tell: Callable[[str], None] = lambda _: None
    """Told when there is a longer wait."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    reads: int = 0
    writes: int = 0

    def __post_init__(self) -> None:
        before = self.client.observe

        def seen(call: Call) -> None:
            if call.method == "GET":
                self.reads += 1
            else:
                self.writes += 1
            if before is not None:
                before(call)

        self.client.observe = seen

    async def get(self, path: str, params: Mapping[str, str | int | bool] | None = None) -> Any:
        """One `GET`; None for 404."""
        for attempt in range(TRIES):
            try:
                return await self.client.call("GET", path, params=params)
            except VoucherifyRefused as error:
                if error.code == 404:
                    return None
                raise
            except VoucherifyError as error:
                if not error.retryable or attempt == TRIES - 1:
                    raise
                await self._wait(error, attempt)
        raise AssertionError("unreachable")

    async def write(self, method: str, path: str, body: Any = None) -> Any:
        """One call that changes something; repeated only when it certainly was not carried out.

        Raises:
            InterruptedWrite: whether it was carried out is not known.
            VoucherifyError: it was refused, or can't be done now.
        """
        for attempt in range(TRIES):
            try:
                return await self.client.call(method, path, body)
            except VoucherifyError as error:
                if not error.retryable:
                    raise
                not_begun = isinstance(error, VoucherifyUnavailable) and error.code in {0, 423, 429, 503}
                if not not_begun or error.may_be_done:
                    await self._wait(error, attempt)
                    raise InterruptedWrite(error.sentence) from error
                if attempt == TRIES - 1:
                    raise
                await self._wait(error, attempt)
        raise AssertionError("unreachable")

    async def listed(self, path: str) -> list[dict[str, Any]]:
        """All rows of a list that has pages."""
        rows, _ = await self.some(path, MOST_PAGES)
        return rows

    async def some(self, path: str, pages: int) -> tuple[list[dict[str, Any]], bool]:
        """The rows of the first pages of a list, and whether these are all."""
        rows: list[dict[str, Any]] = []
        for page in range(1, pages + 1):
            answer = await self.get(path, {"limit": PAGE, "page": page}) or {}
            found = answer if isinstance(answer, list) else answer.get(answer.get("data_ref", "data")) or []
            rows += found
            if len(found) < PAGE or len(rows) >= (answer.get("total") or PAGE * MOST_PAGES):
                return rows, True
        return rows, False

    async def _wait(self, error: VoucherifyError, attempt: int) -> None:
        seconds = error.retry_after if error.retry_after is not None else 0.5 * 2.0**attempt
        if seconds > 5:
            self.tell(f"{error.sentence} Going on in {seconds:.0f} s …")
        await self.sleep(seconds)
