"""What to make of a delivery that did not succeed: pure."""

from dataclasses import dataclass

from app.backoff import backoff
from app.destinations.base import SettingsError
from app.errors import LoyaltyError, VoucherifyError, VoucherifyRejectsKeys, VoucherifyUnclear

DOWN = frozenset({0, 429, 502, 503, 504})
"""Statuses that speak of the destination and not of the row: no answer, over the limit, a gateway, maintenance."""


SETTLE = 5.0
"""Seconds that a request without an answer is given to be carried out, before anybody looks whether it was."""


@dataclass(frozen=True)
class Verdict:
    """How to go on. `own`: the row fails for reasons of its own, so its hold and its budget run."""

    outcome: str
    """`retry`, `refused`, `unclear`."""
    sentence: str
    wait: float = 0.0
    """Seconds until the next try."""
    own: bool = False


def verdict(error: LoyaltyError, attempts: int) -> Verdict:
    """Judge the error of a delivery's n-th attempt (from 0)."""
    wait = error.retry_after or backoff(attempts, cap=300.0)
    if isinstance(error, VoucherifyRejectsKeys | SettingsError):
        # Wrong keys or a wrong address are the operator's to mend, and concern every row: they wait, not given up.
        return Verdict("retry", error.sentence, max(wait, 30.0))
    if not error.retryable:
        return Verdict("refused", error.sentence)
    if isinstance(error, VoucherifyUnclear):
        wait = max(wait, SETTLE)
    down = isinstance(error, VoucherifyError) and error.code in DOWN
    outcome = "unclear" if isinstance(error, VoucherifyUnclear) else "retry"
    return Verdict(outcome, error.sentence, wait, own=not down)
