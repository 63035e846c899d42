"""Errors at the door, in Segment's own shape: `{"code", "message"}`."""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ExceptionHandlersMap
from prometheus_client import Counter

from app.db.trouble import NOT_THE_WORK
from app.errors import Busy, LoyaltyError
from app.segment.browsers import FOR_BROWSERS
from app.telemetry import log

ASKED_TO_WAIT = Counter("loyalty_door_asked_to_wait_total", "Requests that the door answered 429.", ["reason"])


class DoorError(LoyaltyError):
    """The request can't be read. `code` is what Segment would say."""

    status = 400

    def __init__(self, code: str, sentence: str, *, retry_after: float | None = None) -> None:
        super().__init__(sentence, retry_after=retry_after)
        self.code = code


class TooManyRequests(DoorError):
    """Not now: Segment's libraries keep what they have and come again."""

    status = 429
    reason = ""

    def __init__(self, sentence: str, *, retry_after: float) -> None:
        super().__init__("too_many_requests", sentence, retry_after=retry_after)


class Backlogged(TooManyRequests):
    """There is more than can be worked on soon."""

    reason = "backlog"


class TooFast(TooManyRequests):
    """One sender writes faster than the rate that is set."""

    reason = "rate"


def _answer(_: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    if isinstance(error, RequestEntityTooLarge):  # so large that it was not even read: to Segment it is the same error
        error = too_large()
    if isinstance(error, NOT_THE_WORK):
        log.error("door.database_away", error=repr(error)[:500])
        error = Busy("The events can't be stored just now. Send them again.", retry_after=2)
    headers = dict(FOR_BROWSERS)  # without these a page could not even read that it failed
    if isinstance(error, LoyaltyError):
        code = error.code if isinstance(error, DoorError) else "too_many_requests"
        if error.retry_after:
            seconds = str(max(1, round(error.retry_after)))
            headers["retry-after"] = seconds
            if isinstance(error, TooManyRequests):
                ASKED_TO_WAIT.labels(error.reason).inc()
                headers["x-ratelimit-reset"] = seconds
        return Response({"code": code, "message": error.sentence}, status_code=error.status, headers=headers)
    if not isinstance(error, HTTPException):
        log.error("door.failed", exc_info=error)
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = error.detail if isinstance(error, HTTPException) else "Something went wrong here. Send it again."
    code = "bad_request" if status < 500 else "internal"
    return Response({"code": code, "message": message}, status_code=status, headers=headers)


def too_large() -> DoorError:
    return DoorError("request_too_large", "A request may have 500 KB at most.")


door_errors: ExceptionHandlersMap = {LoyaltyError: _answer, HTTPException: _answer, Exception: _answer}
