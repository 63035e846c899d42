"""What is found about one member, from values: what a deployment of the demo can't be made to show."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.audit import members
from app.audit.findings import Finding, Report
from app.audit.members import Engine, MemberRow, Movement, Operation, Published, Transaction

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
MEMBER, OPERATION = UUID(int=1), UUID(int=2)


def transaction(identifier: str, points: int, balance: int | None, **more: Any) -> Transaction:
    return Transaction(identifier, "POINTS_ACCRUAL", points, balance, AT, **more)


def operation(points: int | None) -> Operation:
    return Operation(OPERATION, points, "r_1", AT)


def found(transactions: list[Transaction], balance: int, *operations: Operation, **loyalty: Any) -> list[Finding]:
    """The findings about a member whose movements are those transactions (the newest last)."""
    row = MemberRow(
        id=MEMBER,
        card="CC-1",
        created_at=AT,
        loyalty={"balance": balance, **loyalty},
        movements={each.id: Movement(each.points, AT) for each in transactions},
        coupons={},
        operations=operations,
    )
    published = [Published("CC-1", loyalty_card=True, reason=None, at=AT)]
    return list(members.check(row, Engine(balance, transactions[::-1], published)))


@pytest.mark.parametrize(
    ("transactions", "operations", "expected"),
    [
        ([transaction("vtx_1", 5, 55, names=frozenset({"r_1"}))], [operation(5)], []),
        ([transaction("vtx_1", 5, 55, names=frozenset({"r_1"}))], [operation(None)], []),
        ([transaction("vtx_1", 5, 55)], [operation(5)], ["points_missing"]),
        ([transaction("vtx_1", 6, 56, names=frozenset({"r_1"}))], [operation(5)], ["points_unequal"]),
        (
            [transaction(name, 5, balance, names=frozenset({"r_1"})) for name, balance in (("a", 55), ("b", 60))],
            [operation(5)],
            ["points_doubled"],
        ),
        # One order may earn by two rules, but not twice by one.
        ([transaction("a", 1, 51, order_id="o", rule="r"), transaction("b", 1, 52, order_id="o", rule="s")], [], []),
        (
            [transaction("a", 1, 51, order_id="o", rule="r"), transaction("b", 1, 52, order_id="o", rule="r")],
            [],
            ["earned_twice"],
        ),
        # What no rule gave, a refund for example, may come twice for one order.
        ([transaction("a", 1, 51, order_id="o"), transaction("b", 1, 52, order_id="o")], [], []),
        # What the card had before its first transaction is not known; a gap behind it is.
        ([transaction("a", 1, 51), transaction("b", 1, 53)], [], ["ledger_unequal"]),
        ([transaction("a", 1, None), transaction("b", 1, 53)], [], []),
    ],
)
def test_ledger_and_operations(
    transactions: list[Transaction], operations: list[Operation], expected: list[str]
) -> None:
    """Each case of the ledger and of points that we moved gives its findings and no others."""
    balance = transactions[-1].balance or 0
    assert [finding.kind for finding in found(transactions, balance, *operations)] == expected


@pytest.mark.parametrize(
    ("taken_back", "expected"), [((), ["earned_unpaid"]), (("a",), []), (("b",), ["earned_unpaid"])]
)
def test_what_a_canceled_order_earned(taken_back: tuple[str, ...], expected: list[str]) -> None:
    """It is named as long as its points are on the card: until just those were taken back."""
    earned = transaction("a", 5, 55, order_id="o", rule="r")
    row = MemberRow(
        MEMBER, "CC-1", AT, {"balance": 55}, {"a": Movement(5, AT)}, {},
        unpaid=frozenset({"o"}), taken_back=frozenset(taken_back),
    )  # fmt: skip
    engine = Engine(55, [earned], [Published("CC-1", loyalty_card=True, reason=None, at=AT)])
    assert [finding.kind for finding in members.check(row, engine)] == expected


def test_a_mirror_that_is_being_settled_is_not_judged() -> None:
    """A balance that is asked for again anyway is listed as open, not as a difference."""
    row = MemberRow(MEMBER, "CC-1", AT, {"balance": 1, "unsettled": True}, {}, {})
    engine = Engine(50, (), [Published("CC-1", loyalty_card=True, reason=None, at=AT)])
    assert list(members.check(row, engine)) == []


@pytest.mark.parametrize(("age", "under_way"), [(0, 1), (299, 1), (300, 0), (-3600, 0)])
def test_young_findings_are_under_way(age: int, under_way: int) -> None:
    """What is younger than the settling time is counted, not judged; what a clock ahead of ours says is judged."""
    report = Report(timedelta(seconds=300), AT)
    report.add([Finding("movement_missing", "order x", "", AT - timedelta(seconds=age))])
    assert (report.under_way, report.differences) == (under_way, 1 - under_way)


def test_a_report_is_bounded() -> None:
    """Ten thousand findings are counted, and a few hundred of them listed."""
    report = Report(timedelta(), AT)
    report.add(Finding("delivery_waiting", f"delivery {number}", "") for number in range(10_000))
    assert report.open == 10_000
    assert len(report.findings) < 500
