"""Makes `.venv` out of the lock files and goes on in it. Runs under any Python 3.11+, with the standard library alone.

What is installed is written down in `.venv/installed.json` as the last thing, so that an installation that was broken
off is done again, and one that is complete is not looked at twice.
"""

import hashlib
import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from scripts.lib.bench.options import bench_options
from scripts.lib.options import demo_options, test_options
from scripts.lib.say import Step, Stop, say, step
from scripts.lib.turns import turn

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STATE = VENV / "installed.json"
LOG = VENV / "install.log"
RUNTIME = ("requirements.lock",)
LOCKS = {"demo": RUNTIME, "bench": RUNTIME, "test": (*RUNTIME, "requirements-dev.lock")}
MODULES = {"demo": "scripts.lib.demo", "bench": "scripts.lib.bench.main", "test": "scripts.lib.checks"}
ROOM_NEEDED = 600 * 2**20  # 250 MB of packages, and as much again while they are unpacked


@dataclass(frozen=True)
class Trouble:
    """What installers say, what it means for the person who reads it, and what to do."""

    said: str
    meaning: str
    advice: str


DISK_FULL = Trouble(
    r"No space left on device|Disk quota exceeded|os error 28",
    "the disk is full",
    "Make room: {free} MB are free where the clone lies, and {needed} MB are needed.",
)
TROUBLES = (
    DISK_FULL,
    Trouble(
        r"DO NOT MATCH THE HASHES|[Hh]ash mismatch",
        "a package is not the one that the lock file names",
        "Do not use it. If a mirror is set up for pip, try without.",
    ),
    Trouble(
        r"Temporary failure in name resolution|Name or service not known|nodename nor servname|Connection refused"
        r"|Network is unreachable|NewConnectionError|NameResolutionError|Max retries exceeded|ProxyError|timed out"
        r"|dns error|error sending request|Could not connect|SSLError|CERTIFICATE_VERIFY_FAILED",
        "the package index cannot be reached",
        "Check the network, and the proxy or mirror of pip, then run again. Only the first start needs the network.",
    ),
    Trouble(
        r"No matching distribution|no version of|has no wheels",
        "a package does not exist for this Python or system",
        "The packages are made for Python 3.11 to 3.13 on Linux and macOS; name one with PYTHON=/path/to/python.",
    ),
)


def main(arguments: Sequence[str]) -> NoReturn:
    command, rest = arguments[0], arguments[1:]
    if command == "demo":
        options = demo_options(rest)
        if options.stop and not PYTHON.exists():
            say("No demo runs in this clone.")
            sys.exit(0)
    else:  # for its help, which should not have to wait for packages
        {"test": test_options, "bench": bench_options}[command](rest)
    try:
        install(LOCKS[command])
    except Stop as stop:
        say(str(stop))
        sys.exit(1)
    except KeyboardInterrupt:
        say("Stopped; the next start goes on from here.")
        sys.exit(130)
    # Another Python's paths must not leak in: a PYTHONPATH for one project breaks the next in puzzling ways.
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    os.chdir(ROOT)
    os.execve(PYTHON, [str(PYTHON), "-m", MODULES[command], *rest], {**environment, "PYTHONNOUSERSITE": "1"})  # noqa: S606


def install(locks: Sequence[str]) -> None:
    """Bring `.venv` to what the lock files say. Raises `Stop` with a sentence when that cannot be."""
    if is_installed(locks):
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with turn(ROOT):
            if is_installed(locks):  # by the command that had its turn before
                return
            with step("packages", "making .venv; the first time takes a minute …") as line:
                _make_venv()
                for lock in locks:
                    if _state().get(lock) != _wanted(lock):
                        _install_lock(lock, line)
                        STATE.write_text(json.dumps({**_state(), lock: _wanted(lock)}, indent=2) + "\n")
                line.result = "installed"
    except OSError as error:
        raise Stop(f"The packages cannot be installed in {VENV}: {error.strerror or error}.") from error


def is_installed(locks: Sequence[str]) -> bool:
    """Whether `.venv` holds what the lock files say."""
    state = _state()
    return PYTHON.exists() and all(state.get(lock) == _wanted(lock) for lock in locks)


def _state() -> dict[str, str]:
    try:
        state: dict[str, str] = json.loads(STATE.read_text())
    except (OSError, ValueError):
        return {}
    return state


def _wanted(lock: str) -> str:
    return hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()


def _make_venv() -> None:
    """Make the environment unless there is one that works; one whose Python was removed or is too old is replaced."""
    works = [str(PYTHON), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if PYTHON.exists() and subprocess.run(works, check=False, capture_output=True).returncode == 0:
        return
    free = shutil.disk_usage(ROOT).free
    if free < ROOM_NEEDED:
        raise Stop(f"The disk is full. {_advice(DISK_FULL)}")
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(VENV)], check=False, capture_output=True, text=True, errors="replace"
    )
    if made.returncode == 0:
        return
    said = made.stdout + made.stderr
    shutil.rmtree(VENV, ignore_errors=True)
    if "ensurepip" in said:
        raise Stop(
            f"{sys.executable} has no venv module. On Debian and Ubuntu it is a package of its own: "
            f"apt install python{sys.version_info.major}.{sys.version_info.minor}-venv"
        )
    raise Stop(f"{VENV} cannot be made: {_last_line(said)}")


def _install_lock(lock: str, line: Step) -> None:
    total = sum(1 for text in (ROOT / lock).read_text().splitlines() if "==" in text)
    said = ""
    for command in _installers(lock):
        code, said = _run(command, total, line)
        if code == 0:
            return
    trouble = next((trouble for trouble in TROUBLES if re.search(trouble.said, said)), None)
    LOG.write_text(said)
    if trouble is None:
        raise Stop(f"The packages of {lock} cannot be installed: {_last_line(said)} All that was said is in {LOG}.")
    raise Stop(f"The packages of {lock} cannot be installed: {trouble.meaning}. {_advice(trouble)}")


def _installers(lock: str) -> list[list[str]]:
    """The uv way where it is on PATH, for it is quick; then pip's, which knows more of a machine's mirrors."""
    commands = []
    if uv := shutil.which("uv"):
        commands.append([uv, "pip", "install", "--require-hashes", "--python", str(PYTHON), "-r", str(ROOT / lock)])
    pip = [str(PYTHON), "-m", "pip"]
    if subprocess.run([*pip, "--version"], check=False, capture_output=True).returncode != 0:
        subprocess.run([str(PYTHON), "-m", "ensurepip"], check=False, capture_output=True)
    commands.append(
        [*pip, "install", "--require-hashes", "--no-input", "--disable-pip-version-check", "--progress-bar=off",
         "--retries=2", "--timeout=20", "-r", str(ROOT / lock)]
    )  # fmt: skip
    return commands


def _run(command: list[str], total: int, line: Step) -> tuple[int, str]:
    """Run an installer, counting on the line of progress; answers its exit code and all that it said."""
    said: list[str] = []
    fetched = 0
    told = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace"
    )
    try:
        assert process.stdout is not None
        for text in process.stdout:
            said.append(text)
            fetched += text.startswith(("Collecting ", "Processing "))
            if text.startswith("Installing collected"):
                line.show(f"unpacking {fetched} packages …")
                told = math.inf
            elif time.monotonic() - told > 1:
                line.show(f"fetching packages, {fetched} of {total} …")
                told = time.monotonic()
        return process.wait(), "".join(said)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _advice(trouble: Trouble) -> str:
    free = shutil.disk_usage(ROOT).free
    return trouble.advice.format(free=free // 2**20, needed=ROOM_NEEDED // 2**20)


def _last_line(said: str) -> str:
    lines = [text.strip() for text in said.splitlines() if text.strip()]
    errors = [text for text in lines if re.match(r"(?i)(error|fatal)\b", text)]
    return (errors or lines or [f"no reason was given (Python {platform.python_version()})"])[-1]


if __name__ == "__main__":
    main(sys.argv[1:])
