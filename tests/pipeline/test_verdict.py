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
    judged = verdict(error, attempts=0)
    assert (judged.outcome, judged.blames, judged.sentence) == (outcome, blames, error.sentence)


def test_the_wait_grows_and_is_the_one_that_was_asked_for() -> None:
    """`Retry-After` counts as it is; without it waits double, to five minutes; wrong keys wait half a minute."""
    assert verdict(VoucherifyUnavailable("", code=429, retry_after=17), 5).wait == 17
    waits = [verdict(VoucherifyUnavailable("", code=500), attempts).wait for attempts in (0, 3, 6, 30)]
    assert waits == sorted(waits)
    assert 0.3 < waits[0] < 1
    assert waits[-1] <= 300 * 1.3
    assert verdict(VoucherifyRejectsKeys("", code=401), 0).wait >= 30
