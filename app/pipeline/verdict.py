"""What to make of a delivery that did not succeed: pure."""

from dataclasses import dataclass
from typing import Any, Literal

from app.destinations.base import SettingsError
from app.errors import DestinationError, LoyaltyError

Blame = Literal["row", "destination", "either"]

DOWN = frozenset({0, 429, 503})
"""Statuses that speak of the destination alone: it can't be reached, is over its limit, or under maintenance."""
REFUSED_KEYS = "It does not accept our keys or settings: change them, then test the connection."
ANY_KEYS = 30.0
"""Seconds between two looks whether wrong keys were mended."""


@dataclass(frozen=True)
class Ending:
    """How a try ended, to be written down together with what follows from it."""

    attempt: int
    outcome: str
    status: int | None
    answer: Any


@dataclass(frozen=True)
class Verdict:
    """How to go on with a row."""

    outcome: str
    """`delivered`, `filtered`, `refused`, `retry`; `unclear`: it may have been done, so the next try looks first;
    `held`: nobody can know, so it is held for an operator."""
    sentence: str
    wait: float = 0.0
    """Seconds until the next try; 0: as the schedule says."""
    blames: Blame = "row"
    """Whose fault it is. The row's: its hold and its budget run. The destination's: all rows wait, no clock runs.
    `either`: a time-out or a 500 does not tell, so the destination is asked whether it is up."""
    ending: Ending | None = None


def verdict(error: LoyaltyError) -> Verdict:
    """Judge the error of a delivery's attempt."""
    wait = error.retry_after or 0.0
    if isinstance(error, SettingsError) or (isinstance(error, DestinationError) and error.rejects_keys):
        # Wrong keys or a wrong address are the operator's to mend, and concern every row: they wait, not given up.
        return Verdict("retry", f"{REFUSED_KEYS} {error.sentence}", max(wait, ANY_KEYS), "destination")
    if not error.retryable:
        return Verdict("refused", error.sentence)
    if isinstance(error, DestinationError) and error.may_be_done:
        return Verdict("unclear", error.sentence, wait, "either")
    if isinstance(error, DestinationError) and error.speaks_for_all and error.code in DOWN:
        return Verdict("retry", error.sentence, wait, "destination")
    return Verdict("retry", error.sentence, wait, "either")
