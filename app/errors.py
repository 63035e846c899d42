"""Every error that this project raises on purpose.

    LoyaltyError                      has a sentence, an HTTP status, and whether trying again can help
    ├── BadInput              400     the caller sent something wrong; the sentence names the field and the fix
    ├── NotSignedIn           401     no credentials, or credentials that are not valid (any more)
    ├── NotAllowed            403     valid credentials of a role that may not do this
    ├── NotFound              404
    ├── Conflict              409     the same key with another body, or a unique value that is taken
    ├── Refused               422     understood, and refused by a rule (a coupon that is used up, a closed till)
    ├── Busy                  503     not now; the answer carries Retry-After
    ├── LeaseLost             500     never answered to anybody: ends a piece of work that another worker has by now
    ├── SettingError          500     a setting that stops the start; names the variable
    └── DestinationError      502     a destination answered with an error, or did not answer
        ├── VoucherifyError
        │   ├── VoucherifyRefused         4xx that trying again cannot change
        │   ├── VoucherifyRejectsKeys     401 or 403
        │   ├── VoucherifyUnavailable     408, 423, 429, 5xx (not 501): certainly try again
        │   └── VoucherifyUnclear         sent, and no answer came: it may have been done
        └── WebError                      likewise of any other receiver, in `app/destinations/web.py`

A class's docstring is its default sentence.
"""

from typing import Any


class LoyaltyError(Exception):
    """Something went wrong."""

    status = 500
    retryable = False

    def __init__(self, sentence: str = "", *, retry_after: float | None = None, **extra: Any) -> None:
        """`retry_after` is in seconds; `extra` is shown to the caller beside the sentence (no secrets)."""
        self.sentence = sentence or (self.__doc__ or "").strip()
        self.retry_after = retry_after
        self.extra = extra
        super().__init__(self.sentence)


class BadInput(LoyaltyError):
    """The request is not valid."""

    status = 400


class NotSignedIn(LoyaltyError):
    """Send a valid token in the header `Authorization: Bearer …`."""

    status = 401


class NotAllowed(LoyaltyError):
    """These credentials may not do this."""

    status = 403


class NotFound(LoyaltyError):
    """There is no such thing."""

    status = 404


class Conflict(LoyaltyError):
    """This contradicts what is stored."""

    status = 409


class Refused(LoyaltyError):
    """A rule forbids this."""

    status = 422


class Busy(LoyaltyError):
    """Not now; try again in a moment."""

    status = 503
    retryable = True


class LeaseLost(LoyaltyError):
    """Somebody else has this piece of work by now."""


class SettingError(LoyaltyError):
    """A setting is wrong."""


_FAILED_MIDWAY = frozenset({408, 500}) | frozenset(range(505, 600))
"""The destination is through with the call, but may have done it before it failed."""


class DestinationError(LoyaltyError):
    """A destination answered with an error.

    `code` is the HTTP status (0 when there was no answer), `key` the destination's own error key, `answer` its body.
    """

    status = 502
    speaks_for_all = True
    """What keeps this call from being done keeps all: false where one destination has many receivers."""
    rejects_keys = False
    """It does not accept our credentials, which concerns every row and is an operator's to mend."""

    def __init__(
        self,
        sentence: str = "",
        *,
        code: int = 0,
        key: str = "",
        answer: Any = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(sentence, retry_after=retry_after)
        self.code, self.key, self.answer = code, key, answer

    @property
    def may_be_done(self) -> bool:
        """Whether the work may have been carried out all the same: then nothing is sent again before a look."""
        return self.code in _FAILED_MIDWAY


class VoucherifyError(DestinationError):
    """Voucherify answered with an error. `key` is Voucherify's own, such as `not_found`."""


class VoucherifyRefused(VoucherifyError):
    """Voucherify refused the request; sending it again would not change that."""


class VoucherifyRejectsKeys(VoucherifyError):
    """Voucherify does not accept these keys, or they lack a permission."""

    rejects_keys = True


class VoucherifyUnavailable(VoucherifyError):
    """Voucherify can't take the request now."""

    retryable = True


class VoucherifyUnclear(VoucherifyError):
    """The request was sent and no answer came back: it may have been done."""

    retryable = True
    may_be_done = True
