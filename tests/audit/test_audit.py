"""The auditor on a real deployment: made wrong by hand in one way at a time, it finds just that."""

import re
from pathlib import Path

import pytest

from app.audit import rows
from app.audit.findings import DIFFERENCES, OPEN
from app.audit.rows import Scope
from app.audit.run import ALL
from app.db.session import Database
from tests.audit.conftest import Copy, Sold, asker, copied, execute, voucherify
from tests.audit.wrongs import HELD, HERE, THERE, Wrong


async def test_a_deployment_at_rest_has_no_findings(copy: Copy) -> None:
    """Nothing is found where nothing is wrong, and the figures say how much was looked at."""
    report = await copy.audit()
    assert report.shown() | {"figures": {}} == {
        "figures": {},
        "differences": 0,
        "open": 0,
        "under_way": 0,
        "kinds": {},
        "findings": [],
        "unasked": [],
    }
    figures = report.figures
    assert (figures["orders"], figures["orders_paid"], figures["orders_canceled"]) == (5, 4, 1)
    assert (figures["orders_with_coupon"], figures["members"], figures["movements"]) == (1, 5, 3)
    # Four orders of members, of which Voucherify may know; five members, at three calls each.
    assert (figures["orders_asked"], figures["members_asked"]) == (4, 5)
    assert figures["calls"] == copy.asker.made == 4 + 5 * 3


@pytest.mark.parametrize("wrong", HERE, ids=[f"{wrong.kind}-{number}" for number, wrong in enumerate(HERE)])
async def test_what_is_wrong_here_is_found(copy: Copy, wrong: Wrong) -> None:
    """Each way in which our own tables can be wrong is found as its kind, about its order or member; and no other."""
    for statement in wrong.statements:
        await copy.execute(statement)
    assert await copy.found() == expected(wrong, copy.sold)


@pytest.mark.parametrize("wrong", THERE, ids=[f"{wrong.kind}-{number}" for number, wrong in enumerate(THERE)])
async def test_what_is_wrong_there_is_found(postgres: str, sold: Sold, copy: Copy, wrong: Wrong) -> None:
    """Each way in which Voucherify can have something else is found, and no other."""
    async with copied(postgres, sold.sandbox_url) as url:
        database = Database(url, pool=4)
        for statement in wrong.statements:
            await execute(database, statement, sold)
        await database.close()
        async with voucherify(url) as client:
            copy.asker = asker(client)
            assert await copy.found() == expected(wrong, sold)


def expected(wrong: Wrong, sold: Sold) -> dict[str, set[str]]:
    found = {wrong.kind: {wrong.subject}, **wrong.also}
    return {kind: {subject.format(**sold.names) for subject in subjects} for kind, subjects in found.items()}


@pytest.mark.parametrize(("kind", "statement"), HELD, ids=[kind for kind, _ in HELD])
async def test_what_is_open_is_no_difference(copy: Copy, kind: str, statement: str) -> None:
    """What waits or is held is listed as open, and nothing that waits behind it is called a difference."""
    await copy.execute(statement)
    report = await copy.audit()
    assert set(report.counts) == {kind}
    assert (report.differences, report.open > 0) == (0, True)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE delivery SET finished_at = now(), passed = true WHERE id = {early}",
        """WITH late AS (UPDATE delivery SET finished_at = now() WHERE id = {early})
           INSERT INTO decision (subject, decision, note, made_by, made_at)
           VALUES ('delivery:{early}', 'send_again', '', 'Ann', now())""",
    ],
    ids=["passed", "decided"],
)
async def test_what_was_passed_may_come_later(copy: Copy, statement: str) -> None:
    """A row that was passed by the rule, or put back by an operator, may be delivered after its successors."""
    await copy.execute(statement)
    assert await copy.found() == {}


async def test_orders_are_read_in_pages(copy: Copy) -> None:
    """Every order is read once, whatever the size of a page, and those before the scope are not."""
    pages = [page async for page in rows.orders(copy.database, Scope(ALL), page=2)]
    numbers = [order.number for page in pages for order in page]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert numbers == sorted(set(numbers))
    since = Scope(next(order.at for order in pages[1]))
    assert sum([len(page) async for page in rows.orders(copy.database, since)]) < 5


def test_every_kind_is_tried() -> None:
    """No kind of finding is without a test that makes it happen."""
    elsewhere = {"points_doubled", "points_unequal"}  # in test_members
    tried = {wrong.kind for wrong in HERE + THERE} | {kind for kind, _ in HELD} | elsewhere
    assert tried == DIFFERENCES.keys() | OPEN.keys()


def test_the_page_explains_every_kind() -> None:
    """The how-to has each kind of finding in its tables."""
    page = (Path(__file__).parents[2] / "docs/how-to/audit-a-deployment.md").read_text()
    explained = {kind for line in page.splitlines() if line.startswith("| `") for kind in re.findall(r"`(\w+)`", line)}
    assert DIFFERENCES.keys() | OPEN.keys() <= explained
