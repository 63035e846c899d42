"""The sandbox started by itself: its options, what it says when something is wrong, and the example in the how-to."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.sandbox import __main__ as command
from app.sandbox.store import Store
from tests.sandbox.serving import config_for

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/run-the-sandbox-alone.md").read_text()
OPTIONS = {"--help", "--host", "--port", "--database-url", "--data-dir", "--webhook", "--no-webhooks", "--keys"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Nothing of this shell but where programs and this project are."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "DATA_DIR": str(folder / "data"), **more}


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command in an empty folder, so that no `.env` is found."""
    return subprocess.run(
        [sys.executable, "-m", "app.sandbox", *arguments],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def carry_out(script: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A script, with both of what it says in one."""
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment(folder, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        check=False,
    )


def test_the_help_says_what_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    """Every option, and the how-to, which names them as well."""
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert set(re.findall(r"--[a-z-]+", shown)) == OPTIONS
    assert set(re.findall(r"--[a-z-]+", PAGE)) >= OPTIONS
    assert "run-the-sandbox-alone.md" in re.sub(r"\s", "", shown)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "x"], "argument --port: 'x' is no port: 1 to 65535"),
        (["--port", "70000"], "argument --port: '70000' is no port"),
        (["--webhook", "ftp://x"], "argument --webhook: 'ftp://x' is no address that begins with http"),
        (["--webhook", "http://x", "--no-webhooks"], "not allowed with argument --webhook"),
        (["--reset"], "unrecognized arguments: --reset"),
    ],
)
def test_a_wrong_option_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    """With what it may be, and the exit code 2."""
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_keys_are_printed_for_a_shell(tmp_path: Path) -> None:
    """The same ones each time, with the address that the options say; nothing is started for it."""
    first, second = (run(tmp_path, "--keys", "--port", port) for port in ("8201", "8202"))
    assert (first.returncode, first.stderr) == (0, "")
    keys = dict(re.findall(r"export (\w+)=(\S+)", first.stdout))
    assert keys.pop("VOUCHERIFY_HOST") == "http://127.0.0.1:8201"
    again = dict(re.findall(r"export (\w+)=(\S+)", second.stdout))
    assert again.pop("VOUCHERIFY_HOST") == "http://127.0.0.1:8202"
    assert keys == again
    assert len(keys) == len(set(keys.values())) == 5
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["install.json"]


async def test_trouble_at_the_start_is_a_sentence(
    tmp_path: Path, make_database: Callable[[str], Awaitable[str]]
) -> None:
    """A port in use and a wrong database end it with 1, the name of what to change, and no trace-back."""
    database = await make_database("sandbox_alone")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        taken = run(tmp_path, "--port", port, "--database-url", database)
    assert taken.returncode == 1
    assert f"SANDBOX_PORT: can't listen on 127.0.0.1:{port}" in taken.stderr
    wrong = run(tmp_path, "--database-url", re.sub(r"//[^@]*@", "//nobody:x@", database), "--port", port)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("SANDBOX_DATABASE_URL")
    assert "Traceback" not in taken.stderr + wrong.stderr


async def test_the_example_in_the_how_to_does_what_it_says(
    tmp_path: Path, make_database: Callable[[str], Awaitable[str]]
) -> None:
    """The script is run as it stands, on a free port and a database of its own, and prints what the page says."""
    [script] = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    [printed] = re.findall(r"It prints:\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    database = await make_database("sandbox_example")
    ran = carry_out(
        script.replace("PYTHON=.venv/bin/python", f"PYTHON={sys.executable}"),
        tmp_path,
        SANDBOX_PORT=str(free_port()),
        SANDBOX_DATABASE_URL=database,
        LOG_LEVEL="WARNING",
    )
    broken, done = printed.splitlines()
    assert broken.startswith("curl: (")  # in which words is for curl and the moment to say
    assert ran.returncode == 0, ran.stdout
    assert re.fullmatch(rf"curl: \(\d+\) [^\n]*\n{re.escape(done)}\n", ran.stdout), ran.stdout


async def test_options_redirect_webhooks_of_an_old_database(make_database: Callable[[str], Awaitable[str]]) -> None:
    """What was asked for at this start counts, wherever webhooks went before; asked for nothing, they stay."""
    database = await make_database("sandbox_redirect")

    async def targets(*wanted: str, redirect: bool) -> set[str]:
        config = config_for(database, *wanted)
        await command._opens(config, redirect=redirect)
        store = Store(config)
        rows = await (await store.pool()).fetch("SELECT target_url FROM webhook")
        await store.close()
        return {row["target_url"] for row in rows}

    assert await targets(redirect=True) == set()
    assert await targets("http://127.0.0.1:9/a", redirect=True) == {"http://127.0.0.1:9/a"}
    assert await targets("http://127.0.0.1:9/a", redirect=False) == {"http://127.0.0.1:9/a"}
    assert await targets(redirect=True) == set()
