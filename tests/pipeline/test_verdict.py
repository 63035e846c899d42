"""What becomes of a delivery that failed."""

import pytest

from app.backoff import backoff
from app.destinations.base import SettingsError
from app.errors import (
    BadInput,
    LoyaltyError,
    VoucherifyRefused,
    VoucherifyRejectsKeys,
    VoucherifyUnavailable,
    VoucherifyUnclear,
)
from app.pipeline.verdict import verdict


@pytest.mark.parametrize(
    ("error", "outcome", "blames"),
    [
        (VoucherifyRefused("no", code=400), "refused", "row"),
        (VoucherifyRefused("no", code=404), "refused", "row"),
        (BadInput("an incomplete payload"), "refused", "row"),
        (
            VoucherifyRejectsKeys("keys", code=401),
            "retry",
            "destination",
        ),  # the operator mends it, no event is given up
        (SettingsError("the address is none"), "retry", "destination"),
        (VoucherifyUnavailable("no connection"), "retry", "destination"),
        (VoucherifyUnavailable("limit", code=429), "retry", "destination"),
        (VoucherifyUnavailable("maintenance", code=503), "retry", "destination"),
        (VoucherifyUnavailable("timeout", code=408), "unclear", "either"),
        (VoucherifyUnavailable("locked", code=423), "retry", "either"),
        (VoucherifyUnavailable("broken by this row", code=500), "unclear", "either"),
        (VoucherifyUnclear("no answer"), "unclear", "either"),
        (VoucherifyUnclear("gateway", code=504), "unclear", "either"),
    ],
)
def test_every_error_has_its_verdict(error: LoyaltyError, outcome: str, blames: str) -> None:
    """What can't succeed is refused, what may is tried again, and an outage does not count against the row."""
    judged = verdict(error)
    assert (judged.outcome, judged.blames) == (outcome, blames)
    assert judged.sentence.endswith(error.sentence)


def test_the_wait_is_the_one_that_was_asked_for() -> None:
    """`Retry-After` counts as it is; without it the schedule says; wrong keys wait half a minute at least."""
    assert verdict(VoucherifyUnavailable("", code=429, retry_after=17)).wait == 17
    assert verdict(VoucherifyUnavailable("", code=500)).wait == 0
    assert verdict(VoucherifyRejectsKeys("", code=401)).wait >= 30


def test_waits_of_the_schedule_grow_to_its_end() -> None:
    """Waits double from the first to the longest, give or take a third, however often it was tried."""
    waits = [backoff(attempts, base=0.5, cap=300.0) for attempts in (0, 3, 6, 30, 5000)]
    assert waits[:4] == sorted(waits[:4])
    assert 0.3 < waits[0] < 1
    assert 200 < waits[4] <= 300 * 1.3
