"""The auditor as a command, and its manners towards Voucherify."""

import argparse
import asyncio
import json
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from app.audit.__main__ import audited, main, options
from app.audit.asking import Asker, BudgetSpentError
from app.errors import SettingError, VoucherifyUnavailable
from app.voucherify.client import Client
from tests.audit.conftest import Copy
from tests.web import settings_of

ROOT = Path(__file__).parents[2]


def given(*arguments: str) -> argparse.Namespace:
    return options(arguments)


def run(copy: Copy, folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DATA_DIR", str(folder))
    monkeypatch.setenv("DATABASE_URL", copy.database.url)
    # It would leave all loggers of this test process with the stderr of one test, which is closed after it.
    monkeypatch.setattr("app.audit.__main__.configure_logging", lambda *_: None)
    return main(arguments)


async def test_exit_codes_and_json(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 without differences, also when something is open; 1 with one, which the JSON names with what to do."""
    await copy.execute("UPDATE emission SET status = 'dead' WHERE message_id = 'order-completed:{small}'")
    assert await asyncio.to_thread(run, copy, tmp_path, monkeypatch, "--local", "--settling", "0") == 0
    said = capsys.readouterr().out
    assert "Open: emission_dead (1)" in said
    assert "Voucherify was not asked" in said
    await copy.execute("DELETE FROM order_fact WHERE order_id = '{first}'")
    assert await asyncio.to_thread(run, copy, tmp_path, monkeypatch, "--local", "--settling", "0", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["differences"], report["open"]) == (1, 1)
    [difference] = [finding for finding in report["findings"] if finding["difference"]]
    assert (difference["kind"], difference["subject"]) == ("fact_missing", f"order {copy.sold.first}")
    assert difference["to_do"]


async def test_nothing_to_reach_is_two(tmp_path: Path) -> None:
    """A database that is not there, and a Voucherify that is not there, end it with a sentence."""
    nowhere = settings_of(tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(SettingError, match="can't be read"):
        await audited(nowhere, given("--local"))


@pytest.mark.parametrize("wrong", [["--calls", "0"], ["--since", "yesterday"], ["--nonsense"]])
def test_wrong_usage_is_two(wrong: list[str]) -> None:
    """Options that mean nothing are refused before anything is done."""
    with pytest.raises(SystemExit) as ended:
        options(wrong)
    assert ended.value.code == 2


async def test_the_budget_is_kept_and_what_was_left_out_is_said(copy: Copy) -> None:
    """With a small budget no more calls are made, and the report says that it is of a part."""
    copy.asker.budget = 5
    report = await copy.audit()
    assert report.figures["calls"] == copy.asker.made == 5
    assert "All 5 calls were used" in report.unasked[0]


async def test_a_part_can_be_audited(copy: Copy) -> None:
    """`--orders N` looks at the newest orders alone, and at what was made since."""
    report = await copy.audit(newest=2)
    assert (report.figures["orders"], report.differences) == (2, 0)
    await copy.execute("DELETE FROM order_fact WHERE order_id = '{first}'")
    assert (await copy.audit(newest=2)).differences == 0
    assert (await copy.audit(sample=True)).differences == 1


async def test_calls_are_paced_and_repeated() -> None:
    """Calls keep their distance, a 429 is waited out and asked again, and each try counts."""
    answers = iter([429, 200, 404])
    client = Client(
        "http://v",
        SecretStr("a"),
        SecretStr("b"),
        transport=httpx.MockTransport(
            lambda _: httpx.Response(next(answers), json={}, headers={"retry-after": "0.01"})
        ),
    )
    asker = Asker(client, budget=3, per_minute=600)
    began = time.monotonic()
    assert await asker.order("1") == {}
    assert await asker.order("2") is None
    assert time.monotonic() - began >= 0.2  # three calls, a tenth of a second apart
    with pytest.raises(BudgetSpentError):
        await asker.order("3")
    await client.close()


def long_history(request: httpx.Request) -> httpx.Response:
    """250 transactions and as many publications, a page at a time."""
    moment = "2026-11-22T12:00:00.000Z"
    if request.url.path == "/v1/publications":
        numbers = range(250)[(int(request.url.params["page"]) - 1) * 100 :][:100]
        made = [{"voucher": {"code": f"C{each}"}, "source_id": None, "created_at": moment} for each in numbers]
        return httpx.Response(200, json={"publications": made})
    if request.url.path.endswith("/transactions"):
        first = int(request.url.params.get("starting_after_id", "-1")) + 1
        numbers = range(250)[first:][:100]
        rows = [{"id": str(each), "type": "x", "details": {}, "created_at": moment} for each in numbers]
        return httpx.Response(200, json={"data": rows, "has_more": first + 100 < 250})
    return httpx.Response(200, json={"code": "CC-1", "loyalty_card": {"points": 7}})


async def test_a_long_history_is_read_whole() -> None:
    """Publications and transactions are read page by page to their end."""
    client = Client("http://v", SecretStr("a"), SecretStr("b"), transport=httpx.MockTransport(long_history))
    asker = Asker(client, budget=100, per_minute=1_000_000)
    engine = await asker.member("m", "CC-1")
    assert [each.id for each in engine.transactions] == [str(number) for number in range(250)]
    assert len({each.code for each in engine.published}) == 250
    assert (engine.balance, asker.made) == (7, 3 + 3 + 1)
    await client.close()


async def test_an_outage_ends_it() -> None:
    """A Voucherify that can't be reached is asked a few times, and then it is said."""
    client = Client("http://127.0.0.1:1", SecretStr("a"), SecretStr("b"))
    asker = Asker(client, budget=100, per_minute=100_000)
    asker.longest_pause = 0.01
    with pytest.raises(VoucherifyUnavailable):
        await asker.order("x")
    assert asker.made == 4
    await client.close()


def test_the_launcher_shows_its_help() -> None:
    """`./scripts/audit --help` runs from any folder."""
    done = subprocess.run(
        [ROOT / "scripts/audit", "--help"], cwd="/", capture_output=True, text=True, check=True, timeout=60
    )
    assert "--per-minute" in done.stdout
