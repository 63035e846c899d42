"""Errors at the door, in Segment's own shape: `{"code", "message"}`."""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from app.errors import LoyaltyError


class DoorError(LoyaltyError):
    """The request can't be read. `code` is what Segment would say."""

    status = 400

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def _answer(_: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    if isinstance(error, LoyaltyError):
        code = error.code if isinstance(error, DoorError) else "too_many_requests"
        headers = {"retry-after": str(max(1, round(error.retry_after)))} if error.retry_after else None
        return Response({"code": code, "message": error.sentence}, status_code=error.status, headers=headers)
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = error.detail if isinstance(error, HTTPException) else "Something went wrong here. Send it again."
    return Response({"code": "bad_request" if status < 500 else "internal", "message": message}, status_code=status)


door_errors: ExceptionHandlersMap = {LoyaltyError: _answer, HTTPException: _answer, Exception: _answer}
