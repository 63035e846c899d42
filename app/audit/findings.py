"""What an audit can find, and its report. A difference is wrong; what is open is on the road, or held to be seen."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

MOST_SHOWN: Final = 200
"""Findings of one kind that a report lists; all are counted."""

_ASK_AGAIN: Final = "Audit again. If it stays, keep the order's trace and report it."
_REPLAY: Final = "Look at its reason, mend the cause, and send it again: docs/how-to/replay-deliveries.md."

DIFFERENCES: Final[dict[str, str]] = {
    "emission_missing": "The order is paid and nothing will tell of it: report it; the order's row has all that is "
    "needed to emit it again.",
    "emission_doubled": "Two messages tell of one order: see in Voucherify whether it earned twice.",
    "emission_unexpected": "A message tells of an order that is not paid: see in Voucherify whether it earned.",
    "event_missing": "The door answered that it has it: look for its messageId in the table `reject`.",
    "event_doubled": "See in Voucherify whether it earned twice.",
    "enrolment_missing": "Nothing told of this member: let them enrol again on another number, or report it.",
    "delivery_missing": "No mapping took it. If that was switched off or removed, audit with --since; else report it.",
    "delivery_out_of_order": "A later event of the person arrived before an earlier one: compare their attempts.",
    "fact_missing": "Reports lack this order: report it.",
    "fact_unequal": "Reports show another amount than the till: the order is right.",
    "order_not_paid": "Move the order to PAID in Voucherify, else it does not earn.",
    "order_unequal": "Compare the order's lines and its discount on both sides.",
    "redemption_missing": "The member paid less and the coupon can be used again: redeem it by hand.",
    "redemption_doubled": "Roll one redemption back in Voucherify.",
    "redemption_left": "Roll the redemption back in Voucherify, so that the member has the coupon again.",
    "earned_twice": "Take the points of one transaction off the card.",
    "earned_nothing": "Its points are missing: add what it would have earned to the card.",
    "earned_unpaid": "Take the points off the card.",
    "movement_missing": "A webhook did not come: see the webhook's log in Voucherify and send it again from there.",
    "movement_unknown": "It was made from a webhook of another project, or the card was changed: compare both.",
    "movement_unequal": "Voucherify's points count: report it.",
    "ledger_unequal": "The card's transactions do not add up to its balance: ask Voucherify's support.",
    "balance_unequal": "Till and phone show another balance than the card's: send its last webhook again.",
    "card_unequal": "The member's card here is not the one that Voucherify gave.",
    "coupon_missing": "The coupon is not in the wallet: send its publication's webhook again.",
    "coupon_unknown": "The wallet shows a coupon that Voucherify did not give to this member.",
    "coupon_used_unequal": "The wallet shows a used coupon as usable, or a usable one as used: a webhook did not come.",
    "publication_doubled": "One reason gave two codes: switch one of them off in Voucherify.",
    "points_missing": "We say that the points moved, and Voucherify's ledger does not: move them by hand.",
    "points_doubled": "The points moved twice: take one movement back.",
    "points_unequal": "Voucherify moved another number of points than was asked for: compare both.",
}
"""Each kind of difference, with what to do about it."""

OPEN: Final[dict[str, str]] = {
    "order_pending": "The sweeper finishes it or rolls it back as soon as Voucherify answers.",
    "order_to_recheck": "The sweeper looks whether its redemption was carried out late, and rolls it back.",
    "emission_waiting": "The relay sends it; its answer says why it waits.",
    "emission_dead": "Segment refused this message for good; its answer says why. " + _REPLAY,
    "event_waiting": "A worker routes it. Does one run?",
    "event_poison": "The router could not take this event. " + _REPLAY,
    "delivery_waiting": "It goes on by itself; its last error says what it waits for.",
    "delivery_failed": _REPLAY,
    "delivery_unclear": "Look into Voucherify, then decide: docs/how-to/decide-an-unclear-outcome.md.",
    "webhook_waiting": "A worker applies it. Does one run?",
    "webhook_failed": "It could not be applied, eight times. " + _REPLAY,
    "balance_unsettled": "The worker asks Voucherify for the card.",
    "points_waiting": "It is being done, or looked up.",
    "points_unclear": "Look into Voucherify, then decide: docs/how-to/decide-an-unclear-outcome.md.",
}
"""Each kind of thing that is on its way or held, with what happens to it."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be when all work is done."""

    kind: str
    """One of `DIFFERENCES` or `OPEN`."""
    subject: str
    """`order <id>`, `member <id>`, or the row: `delivery 7`."""
    sentence: str
    since: datetime | None = None
    """When it began, where it may be but a moment: while younger than the settling time it counts as under way."""


@dataclass
class Report:
    """What an audit saw. Bounded: it lists so many findings of a kind, and counts all."""

    settling: timedelta
    now: datetime
    figures: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    under_way: int = 0
    unasked: list[str] = field(default_factory=list)
    """What was left out, as sentences: an audit of a part must not look like one of all."""

    def add(self, found: Iterable[Finding]) -> None:
        for finding in found:
            if finding.since is not None and not is_settled(finding.since, self.now, self.settling):
                self.under_way += 1
                continue
            self.counts[finding.kind] += 1
            if self.counts[finding.kind] <= MOST_SHOWN:
                self.findings.append(finding)

    @property
    def differences(self) -> int:
        return sum(count for kind, count in self.counts.items() if kind in DIFFERENCES)

    @property
    def open(self) -> int:
        return sum(count for kind, count in self.counts.items() if kind in OPEN)

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "figures": self.figures,
            "differences": self.differences,
            "open": self.open,
            "under_way": self.under_way,
            "kinds": dict(sorted(self.counts.items())),
            "findings": [
                {
                    "kind": finding.kind,
                    "difference": finding.kind in DIFFERENCES,
                    "subject": finding.subject,
                    "sentence": finding.sentence,
                    "to_do": (DIFFERENCES | OPEN)[finding.kind],
                }
                for finding in self.findings
            ],
            "unasked": self.unasked,
        }


def is_settled(since: datetime, now: datetime, settling: timedelta) -> bool:
    """Whether something is old enough to be judged.

    A moment far in the future is as good as one in the past: it comes from a clock that runs ahead, as a sandbox's may.
    """
    return abs(now - since) >= settling


def text(report: Report) -> str:
    """The report for people."""
    lines = [f"{name.replace('_', ' '):18} {value}" for name, value in report.figures.items()]
    lines += [f"{'under way':18} {report.under_way}", f"{'open':18} {report.open}"]
    lines += [f"{'differences':18} {report.differences}"]
    for title, kinds in (("Differences", DIFFERENCES), ("Open", OPEN)):
        for kind in (kind for kind in kinds if report.counts[kind]):
            lines += ["", f"{title}: {kind} ({report.counts[kind]}). {kinds[kind]}"]
            shown = [finding for finding in report.findings if finding.kind == kind]
            lines += [f"  {finding.subject}: {finding.sentence}" for finding in shown]
            if report.counts[kind] > len(shown):
                lines.append(f"  … and {report.counts[kind] - len(shown)} more")
    if report.unasked:
        lines += ["", *report.unasked]
    return "\n".join(lines)
