"""./scripts/demo and ./scripts/test as a person meets them first: before anything is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("python", "python3", "python3.11", "python3.12", "python3.13", "python3.14")
LOCK = f"no-such-package-anywhere==1.0 --hash=sha256:{'0' * 64}\n"


def clone(folder: Path, lock: str) -> Path:
    """The part of a clone that set-up needs, with a lock file of one's own."""
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.lock", "requirements-dev.lock"):
        (folder / name).write_text(lock)
    return folder


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # Nothing of this machine's pip and uv: the sentences must not depend on them.
    bare = {"PATH": f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        command, cwd="/", env={**bare, "PIP_CONFIG_FILE": os.devnull, **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def fake_pythons(folder: Path, version: str) -> str:
    """A PATH on which every Python is of one old version."""
    folder.mkdir()
    for name in NAMES:
        program = folder / name
        program.write_text(f'#!/bin/sh\ncase "$2" in *print*) echo {version};; *"< (3, 11)"*) exit 1;; esac\n')
        program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.mark.parametrize("command", ["demo", "test"])
def test_an_old_python_is_told(tmp_path: Path, command: str) -> None:
    """Where every Python is too old, one sentence says which there is, which is needed, and what to do."""
    done = run(tmp_path, str(ROOT / "scripts" / command), PATH=fake_pythons(tmp_path / "bin", "3.9.2"))
    assert done.returncode == 1
    assert "needs Python 3.11 or newer, and here python3 is Python 3.9.2." in done.stderr
    assert "PYTHON=" in done.stderr
    assert done.stdout == ""


def test_a_python_can_be_named(tmp_path: Path) -> None:
    """PYTHON=… is taken before whatever is on PATH."""
    path = fake_pythons(tmp_path / "bin", "3.9.2")
    done = run(tmp_path, str(ROOT / "scripts/demo"), "--help", PATH=path, PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr


def test_help_needs_nothing(tmp_path: Path) -> None:
    """--help answers in a fresh clone on a path with spaces, and installs nothing for that."""
    folder = clone(tmp_path / "my clone", LOCK)
    done = run(folder, str(folder / "scripts/demo"), "--help")
    assert done.returncode == 0, done.stderr
    for option in ("--once", "--json", "--reset", "--keep", "--stop", "--restart"):
        assert option in done.stdout
    assert not (folder / ".venv").exists()


@pytest.mark.parametrize(
    ("options", "sentence"), [(["--keep"], "--keep goes with"), (["--stop", "--once"], "stands alone")]
)
def test_options_that_do_not_go_together(tmp_path: Path, options: list[str], sentence: str) -> None:
    """A combination without a meaning is refused before anything is done."""
    folder = clone(tmp_path / "clone", LOCK)
    done = run(folder, str(folder / "scripts/demo"), *options)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (folder / ".venv").exists()


def test_stop_in_a_fresh_clone(tmp_path: Path) -> None:
    """--stop where nothing was ever started says so and installs nothing."""
    folder = clone(tmp_path / "clone", LOCK)
    done = run(folder, str(folder / "scripts/demo"), "--stop")
    assert (done.returncode, done.stderr) == (0, "No demo runs in this clone.\n")


def test_no_network_is_told_and_begun_again(tmp_path: Path) -> None:
    """Without the package index the first start ends with a sentence; the next one tries again."""
    folder = clone(tmp_path / "my clone", LOCK)
    for _ in range(2):
        done = run(folder, str(folder / "scripts/demo"), "--once", PIP_INDEX_URL="http://127.0.0.1:9/simple")
        assert done.returncode == 1
        assert "the package index cannot be reached. Check the network" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_a_package_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    """A package whose hash differs from the lock file is not installed, and the sentence says why."""
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/no_such_package_anywhere-1.0-py3-none-any.whl").write_bytes(b"not what was locked")
    folder = clone(tmp_path / "clone", LOCK)
    done = run(folder, str(folder / "scripts/demo"), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path / "wheels"))
    assert done.returncode == 1
    assert "a package is not the one that the lock file names" in done.stderr


def test_installed_once(tmp_path: Path) -> None:
    """What the lock says is installed once; a changed lock is installed again, and a removed .venv is made again."""
    folder = clone(tmp_path / "clone", "# nothing\n")
    install = "from scripts.lib.bootstrap import install, is_installed as i; a = i(['requirements.lock']);"
    install += "install(['requirements.lock']); print(a, i(['requirements.lock']))"

    def outcome() -> str:
        done = subprocess.run(
            [sys.executable, "-c", install], cwd=folder, capture_output=True, text=True, check=True, timeout=120
        )
        return done.stdout.strip()

    assert outcome() == "False True"
    assert outcome() == "True True"
    (folder / "requirements.lock").write_text("# nothing else\n")
    assert outcome() == "False True"
    shutil.rmtree(folder / ".venv")
    assert outcome() == "False True"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """On a disk without room the first start ends with a sentence that says how much is free and needed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "none", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        folder = clone(disk / "clone", LOCK)
        done = run(folder, str(folder / "scripts/demo"), "--once")
        assert done.returncode == 1
        assert "The disk is full. Make room: 29 MB are free where the clone lies, and 600 MB are needed." in done.stderr
    finally:
        subprocess.run(["umount", str(disk)], check=True)
