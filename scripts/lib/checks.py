"""./scripts/test: everything that guards the project, in the environment that `bootstrap` made.

All checks run, also after one has failed, and the end says which did.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.options import test_options
from scripts.lib.say import say

ROOT = Path(__file__).parents[2]
# Run as modules: a console script in .venv/bin names its Python by path, which a moved clone no longer has.
CHECKS = {
    "lint": ["-m", "ruff", "check", "--output-format=concise"],
    "format": ["-m", "ruff", "format", "--check"],
    "types": ["-m", "mypy"],
    "imports": ["-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-logo"],
}
SIDE_BY_SIDE = ["-n", str(min(4, (os.cpu_count() or 1) + 1)), "--dist", "loadfile", "--no-loadscope-reorder"]
"""One more than there are cores: more than half of a test's time is waiting for processes. A file stays in one place:
its tests share what is slow to start. Which files come first is said in tests/conftest.py: else those with most tests
would, which are the quick ones."""
CHROMIUMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
HOW_TO_GET_ONE = (
    "No Chromium was found, so the browser tests are left out. Install it (Debian: apt install chromium, Fedora: dnf "
    "install chromium, Mac: brew install --cask chromium) or name one: CHROMIUM=/path/to/chromium ./scripts/test"
)


def main(arguments: Sequence[str]) -> int:
    """Run all checks and the tests; answers 0 when all are well."""
    options, for_pytest = test_options(arguments)
    begin = time.monotonic()
    environment = dict(os.environ)
    chromium = find_chromium()
    failed = []
    if chromium:
        environment["CHROMIUM"] = chromium
    elif os.environ.get("CI") == "true":
        failed.append("browser")
    for name, command in CHECKS.items():
        if _run(name, command, environment) != 0:
            failed.append(name)
    left_out = [] if options.long else ["not long"]
    left_out += [] if chromium else ["not browser"]
    marks = ["-m", " and ".join(left_out)] if left_out and "-m" not in for_pytest else []
    if _run("tests", ["-m", "pytest", *SIDE_BY_SIDE, *marks, *for_pytest], environment) != 0:
        failed.append("tests")
    if not chromium:
        say(HOW_TO_GET_ONE)
    say(f"{'Failed: ' + ', '.join(failed) if failed else 'All is well'}  ({time.monotonic() - begin:.0f} s)")
    return 1 if failed else 0


def find_chromium() -> str | None:
    """The path of a Chromium; installed first where there is none and that can be done without asking."""
    found = _chromium_on_path()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        say("── browser: installing Chromium with apt-get")
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            subprocess.run(
                command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL, check=False
            )
        found = _chromium_on_path()
    return found


def _chromium_on_path() -> str | None:
    names = (os.environ.get("CHROMIUM", ""), *CHROMIUMS)
    return next((path for path in map(shutil.which, filter(None, names)) if path), None)


def _run(name: str, command: Sequence[str], environment: dict[str, str]) -> int:
    say(f"── {name}")
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
