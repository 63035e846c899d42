"""What becomes of a delivery that failed."""

import pytest

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
    ("error", "outcome", "own"),
    [
        (VoucherifyRefused("no", code=400), "refused", False),
        (VoucherifyRefused("no", code=404), "refused", False),
        (BadInput("an incomplete payload"), "refused", False),
        (VoucherifyRejectsKeys("keys", code=401), "retry", False),  # the operator mends it, no event is given up
        (SettingsError("the address is none"), "retry", False),
        (VoucherifyUnavailable("no connection"), "retry", False),
        (VoucherifyUnavailable("limit", code=429), "retry", False),
        (VoucherifyUnavailable("maintenance", code=503), "retry", False),
        (VoucherifyUnavailable("timeout", code=408), "retry", True),
        (VoucherifyUnavailable("locked", code=423), "retry", True),
        (VoucherifyUnavailable("broken by this row", code=500), "retry", True),
        (VoucherifyUnclear("no answer"), "unclear", False),
        (VoucherifyUnclear("gateway", code=504), "unclear", False),
    ],
)
def test_every_error_has_its_verdict(error: LoyaltyError, outcome: str, own: bool) -> None:
    """What can't succeed is refused, what may is tried again, and an outage does not count against the row."""
    judged = verdict(error, attempts=0)
    assert (judged.outcome, judged.own, judged.sentence) == (outcome, own, error.sentence)


def test_the_wait_grows_and_is_the_one_that_was_asked_for() -> None:
    """`Retry-After` counts as it is; without it waits double, to five minutes; wrong keys wait half a minute."""
    assert verdict(VoucherifyUnavailable("", code=429, retry_after=17), 5).wait == 17
    waits = [verdict(VoucherifyUnavailable("", code=500), attempts).wait for attempts in (0, 3, 6, 30)]
    assert waits == sorted(waits)
    assert 0.3 < waits[0] < 1
    assert waits[-1] <= 300 * 1.3
    assert verdict(VoucherifyRejectsKeys("", code=401), 0).wait >= 30
