"""Errors as answers: RFC 9457 problem+json, with the sentence that names the field and the fix."""

from litestar.exceptions import HTTPException, ValidationException
from litestar.plugins.problem_details import ProblemDetailsConfig, ProblemDetailsException, ProblemDetailsPlugin

from app.db.trouble import is_away
from app.errors import BadInput, Busy, LoyaltyError, NotSignedIn
from app.telemetry import log


def _of_ours(error: LoyaltyError) -> ProblemDetailsException:
    return ProblemDetailsException(
        detail=error.sentence,
        status_code=error.status,
        title=type(error).__name__,
        extra=error.extra or None,
        headers=_headers(error),
    )


def _of_litestar(error: HTTPException) -> ProblemDetailsException:
    detail = error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        faults = [f"{fault.get('key', 'body')}: {fault['message']}" for fault in error.extra if isinstance(fault, dict)]
        detail = "; ".join(faults) or detail
    return ProblemDetailsException(
        detail=detail,
        status_code=error.status_code,
        title=type(error).__name__.removesuffix("Exception"),
        headers=error.headers,
    )


def _headers(error: LoyaltyError) -> dict[str, str] | None:
    if isinstance(error, NotSignedIn):
        return {"www-authenticate": "Bearer"}
    return {"retry-after": str(max(1, round(error.retry_after)))} if error.retry_after else None


def _of_nobody(error: Exception) -> ProblemDetailsException:
    if isinstance(error, UnicodeDecodeError | RecursionError):  # a body that is not UTF-8, or a tower of brackets
        return _of_ours(BadInput("The body is not valid JSON."))
    if is_away(error):
        log.error("request.database_away", error=repr(error)[:500])
        return _of_ours(Busy("The database can't be reached just now. Try again in a moment.", retry_after=2))
    log.error("request.failed", exc_info=error)
    return ProblemDetailsException(
        detail="Something went wrong here, not in your request. It is logged; try again.",
        status_code=500,
        title="Unexpected",
    )


problems = ProblemDetailsPlugin(
    ProblemDetailsConfig(
        exception_to_problem_detail_map={
            LoyaltyError: _of_ours,
            HTTPException: _of_litestar,
            Exception: _of_nobody,
        }
    )
)
