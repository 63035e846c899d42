"""What the sandbox answers when it refuses, in Voucherify's two shapes.

Failure           Voucherify's error object: {code, key, message, details, request_id, resource_id, resource_type}
└── NotEmulated   501: Voucherify has this, the sandbox not (yet)
FrameworkFailure  what Voucherify's web framework answers itself: {statusCode, error, message}
"""

from http import HTTPStatus
from typing import Any

from app.sandbox.fidelity import documented

FIDELITY_PAGE = "docs/reference/fidelity.md"


class Failure(Exception):
    """A request that is refused with Voucherify's error object; the transaction it happened in is rolled back."""

    def __init__(
        self,
        code: int,
        key: str | None,
        message: str,
        details: str | None = None,
        *,
        resource_id: str | None = None,
        resource_type: str | None = None,
        custom: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.custom = custom
        """What the makers of a validation rule want said when it is violated."""
        self.fields: dict[str, Any] = {
            "code": code,
            "key": key,
            "message": message,
            "details": details,
            "resource_id": resource_id,
            "resource_type": resource_type,
            "error": {"message": custom} if custom is not None else None,
        }

    @property
    def key(self) -> str:
        return str(self.fields["key"])

    def body(self, request_id: str) -> dict[str, Any]:
        """The error object. Fields that say nothing are left out, as Voucherify does."""
        return {name: value for name, value in {**self.fields, "request_id": request_id}.items() if value is not None}


class NotEmulated(Failure):
    """Voucherify can do this and the sandbox can't."""

    def __init__(self, what: str) -> None:
        super().__init__(
            501,
            "not_emulated",
            "Not emulated by the sandbox",
            f"{what} is not emulated by the sandbox; what is, and what is not: {FIDELITY_PAGE}",
        )


class FrameworkFailure(Exception):
    """Refused before Voucherify itself saw the request: not JSON, too large."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def body(self) -> dict[str, Any]:
        return {"statusCode": self.code, "error": HTTPStatus(self.code).phrase, "message": str(self)}


def not_found(kind: str, identifier: str) -> Failure:
    return Failure(
        404,
        "not_found",
        "Resource not found",
        f"Cannot find {kind} with id {identifier}",
        resource_id=identifier,
        resource_type=kind,
    )


def invalid_payload(details: str) -> Failure:
    return Failure(400, "invalid_payload", "Invalid payload", details)


def invalid_query(details: str) -> Failure:
    return Failure(400, "invalid_query_params", "Invalid query params", details)


def duplicate(kind: str, name: str, by: str = "id") -> Failure:
    return Failure(
        409,
        "duplicate_found",
        "Duplicated resource found",
        f"Duplicated {kind} exists with {by} {name}",
        resource_id=name,
        resource_type=kind,
    )


FIDELITY = (
    documented(
        "error object with `request_id`; another shape for invalid JSON (400) and for more than 10 MB "
        "(413); 405 with a hint"
    ),
)
