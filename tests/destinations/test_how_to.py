"""The page about adding a destination is true: done as it says, in a copy, the third destination works."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.house import ROOT

PAGE = (ROOT / "docs/how-to/add-a-destination.md").read_text()


def test_what_the_page_says_works(tmp_path: Path) -> None:
    """Its folder and its line of the catalogue in a copy of the app make its own test pass."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files = dict(re.findall(r"```python\n# ((?:app|tests)/\S+\.py)\n(.*?)```", PAGE, re.DOTALL))
    assert len(files) == 4
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (old,), (new,) = re.findall(r"^-(.*)$", diff := _diff(), re.MULTILINE), re.findall(r"^\+(.*)$", diff, re.MULTILINE)
    catalogue = tmp_path / "app/destinations/catalogue.py"
    before = catalogue.read_text()
    assert old in before
    catalogue.write_text("from app.destinations.push import PUSH\n" + before.replace(old, new))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/destinations/test_push.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def _diff() -> str:
    (found,) = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)
    return str(found)
