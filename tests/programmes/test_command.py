"""`./scripts/seed` as a person meets it."""

import asyncio
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from app.programmes.__main__ import options
from tests.programmes.conftest import ROOT, Place

DEMO = ROOT / "app/programmes/shipped/demo.yaml"
WRONG = """
programme: Wrong
campaigns:
  - kind: loyalty
    name: L
    welcome_points: 50
tests:
  - name: Somebody hopes for more
    given: [{member: {name: Mia}}]
    then: [{points: 70, coupons: {L: 0}}]
"""


async def run(place: Place, folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = place.command(folder, *arguments)
    said, wrong = await asyncio.to_thread(process.communicate, timeout=60)
    return process.returncode, said, wrong


async def test_a_dry_run_shows_the_plan_and_does_nothing(place: Place, tmp_path: Path) -> None:
    """The plan names what would be made and its cost in calls, and nothing is made."""
    code, said, _ = await run(place, tmp_path, str(DEMO), "--dry-run")
    assert code == 0
    assert "into the sandbox at http://127.0.0.1:" in said
    assert "To be made, with 7 calls that write:" in said
    assert "  give Loyalty Program the earning rule: 1 point for every full 1.00" in said
    assert place.written() == []


async def test_without_a_yes_nothing_is_done(place: Place, tmp_path: Path) -> None:
    """Where nobody can be asked, it says what to give and does nothing."""
    code, said, _ = await run(place, tmp_path, str(DEMO))
    assert code == 1
    assert "give --yes, or --dry-run" in said
    assert place.written() == []


async def test_loaded_and_loaded_again(place: Place, tmp_path: Path) -> None:
    """With --yes it is loaded, with each step told; the second time there is nothing to do."""
    code, said, _ = await run(place, tmp_path, str(DEMO), "--yes")
    assert code == 0
    assert "  make the campaign Big basket" in said
    assert "Done, with 7 calls that write" in said
    code, said, _ = await run(place, tmp_path, str(DEMO), "--yes")
    assert code == 0
    assert "As the file says already: 7." in said
    assert said.rstrip().endswith("Nothing to do.")


async def test_a_difference_is_an_exit_code(place: Place, tmp_path: Path) -> None:
    """A pipeline sees by the exit code that the project is not as the file says."""
    await run(place, tmp_path, str(DEMO), "--yes")
    other = tmp_path / "other.yaml"
    other.write_text(DEMO.read_text().replace("welcome_points: 50", "welcome_points: 60"))
    code, said, _ = await run(place, tmp_path, str(other), "--dry-run")
    assert code == 1
    assert "campaign Loyalty Program: voucher.loyalty_card.points is 50, the file says 60 (not over the API" in said


async def test_nobody_there_is_a_sentence(place: Place, tmp_path: Path) -> None:
    """A sandbox that does not run ends it with a sentence."""
    nobody = replace(place, own=replace(place.own, url="http://127.0.0.1:1"))
    code, _, wrong = await run(nobody, tmp_path, str(DEMO), "--dry-run")
    assert code == 1
    assert "can't be reached" in wrong
    assert "Traceback" not in wrong


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ([], "app/programmes/shipped/demo.yaml"),
        (["a.yaml", "b.yaml"], "one file at a time"),
        (["a.yaml", "--test", "--change"], "--test goes with no other option"),
    ],
)
def test_wrong_usage_is_two(wrong: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Options that mean nothing are refused; without a file it says which are shipped."""
    with pytest.raises(SystemExit) as ended:
        options(wrong)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def script(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    bare = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return subprocess.run(
        [ROOT / "scripts/seed", *arguments],
        cwd=folder,
        env=bare,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_tests_of_a_file(tmp_path: Path) -> None:
    """`--test` starts a sandbox of its own from any folder, says what failed as a person would, and is gone after."""
    (tmp_path / "wrong.yaml").write_text(WRONG)
    done = script(tmp_path, "--test", "wrong.yaml", str(DEMO))
    assert done.returncode == 1, done.stderr
    assert "  FAILED  Somebody hopes for more" in done.stdout
    assert "Mia should have 70 points, and has 50: 50 to begin with." in done.stdout
    assert "Mia should hold 0 codes of L, and holds 1." in done.stdout
    assert "  passed  A hundred points buy a coffee" in done.stdout
    assert done.stdout.rstrip().endswith("8 passed, 1 failed.")
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("programme-*/postgres.lock"))


def test_a_faulty_file_is_two(tmp_path: Path) -> None:
    """What is wrong with a file is said with its name as it was given, before anything is done."""
    (tmp_path / "faulty.yaml").write_text("programme: P\ncampaings: []\n")
    done = script(tmp_path, "faulty.yaml")
    assert done.returncode == 2
    assert "faulty.yaml, line 2, campaings: `campaings` is not a field of a programme. Did you mean" in done.stderr


def test_help_says_what_it_does(tmp_path: Path) -> None:
    """`./scripts/seed --help` runs from any folder."""
    done = script(tmp_path, "--help")
    assert done.returncode == 0
    for option in ("--dry-run", "--yes", "--change", "--test"):
        assert option in done.stdout
