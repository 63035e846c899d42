"""The embedded Postgres: starts for anybody, anywhere, twice, after a crash; and says why where it cannot."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import psutil  # type: ignore[import-untyped]  # it has no types and comes with the wheel
import pytest

from app.db import embedded
from app.db.embedded_place import PostgresError, place_of
from app.errors import SettingError

ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="needs an ordinary user")


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "a folder with spaces, $HOME and 'quotes'"
    yield folder
    embedded.remove(folder)


def answer(url: str, sql: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def postmaster(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))


def test_starts_on_any_path_and_answers(data_dir: Path) -> None:
    """A path with spaces, quotes and a dollar sign gets a PostgreSQL 18 that keeps what it is told."""
    url = embedded.start(data_dir)
    assert str(answer(url, "SHOW server_version")).startswith("18")
    assert answer(url, "SHOW fsync") == "on"
    answer(url, "CREATE TABLE kept (n int)")
    embedded.stop(data_dir)
    assert embedded.running(data_dir) is None
    assert answer(embedded.start(data_dir), "SELECT count(*) FROM kept") == 0


def test_listens_on_no_port_and_lets_nobody_else_in(data_dir: Path) -> None:
    """The server has a socket that only the owner of the data can reach, on a short path, and no TCP port."""
    url = embedded.start(data_dir)
    place = place_of(data_dir)
    assert answer(url, "SHOW listen_addresses") == ""
    assert place.socket_dir.stat().st_mode & 0o777 == 0o700
    assert place.socket_dir.stat().st_uid == place.cluster.stat().st_uid == place.uid
    assert len(str(place.socket_dir / ".s.PGSQL.5432")) <= 103


def test_starting_twice_is_one_server(data_dir: Path) -> None:
    """Processes that start at the same moment agree on one server, and a later start leaves it alone."""
    program = (
        "import sys; from pathlib import Path; from app.db import embedded; print(embedded.start(Path(sys.argv[1])))"
    )
    with ThreadPoolExecutor(3) as pool:
        told = list(
            pool.map(
                lambda _: subprocess.run(
                    [sys.executable, "-c", program, str(data_dir)], cwd=ROOT, capture_output=True, text=True, check=True
                ).stdout.strip(),
                range(3),
            )
        )
    pid = postmaster(data_dir).pid
    assert set(told) == {embedded.start(data_dir)}
    assert postmaster(data_dir).pid == pid


def test_two_clones_at_once(data_dir: Path, tmp_path: Path) -> None:
    """Two data folders have two servers that know nothing of each other."""
    other = tmp_path / "other"
    try:
        first, second = embedded.start(data_dir), embedded.start(other)
        answer(first, "CREATE DATABASE only_here")
        assert answer(second, "SELECT count(*) FROM pg_database WHERE datname = 'only_here'") == 0
        embedded.stop(other)
        assert embedded.running(data_dir) == first
    finally:
        embedded.remove(other)


def test_starts_after_a_kill(data_dir: Path) -> None:
    """After kill -9 the left-over pid file and socket do not keep the next start from working, at the same address."""
    url = embedded.start(data_dir)
    process = postmaster(data_dir)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    assert embedded.running(data_dir) is None
    assert embedded.start(data_dir) == url
    assert answer(url, "SELECT 1") == 1


def test_a_dead_servers_number_may_belong_to_another_program(data_dir: Path) -> None:
    """A pid file that names a live process which is no Postgres of this folder counts as left over."""
    embedded.start(data_dir)
    embedded.stop(data_dir)
    place = place_of(data_dir)
    owner = place.uid if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "60"], cwd="/", user=owner) as other:
        try:
            pid_file = place.cluster / "postmaster.pid"
            pid_file.write_text(f"{other.pid}\n{place.cluster}\n1\n5432\n/tmp\n\n  1  1\nready   \n")
            assert embedded.running(data_dir) is None
            assert answer(embedded.start(data_dir), "SELECT 1") == 1
            assert other.poll() is None
        finally:
            other.kill()


def test_a_swept_temp_folder(data_dir: Path) -> None:
    """Where the socket was deleted from /tmp, while stopped or under the running server, a start brings it back."""
    url = embedded.start(data_dir)
    shutil.rmtree(place_of(data_dir).socket_dir)
    assert embedded.running(data_dir) is None
    assert answer(embedded.start(data_dir), "SELECT 1") == 1
    embedded.stop(data_dir)
    assert not place_of(data_dir).socket_dir.exists()
    assert answer(embedded.start(data_dir), "SELECT 1") == 1
    assert embedded.start(data_dir) == url


def test_a_crash_while_making_the_cluster_leaves_no_half(data_dir: Path) -> None:
    """What a killed initdb left behind is thrown away, and the cluster that is then made is whole."""
    data_dir.mkdir(parents=True)
    half = (place_of(data_dir).cluster.parent) / "postgres-draft-1"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    assert answer(embedded.start(data_dir), "SELECT 1") == 1
    assert not half.exists()


@as_root
def test_a_socket_folder_of_somebody_else_is_not_entered(data_dir: Path) -> None:
    """A folder that another user put under our name in /tmp is refused with a sentence, neither used nor deleted."""
    embedded.start(data_dir)
    embedded.stop(data_dir)
    folder = place_of(data_dir).socket_dir
    folder.mkdir()
    with pytest.raises(PostgresError, match="somebody else"):
        embedded.start(data_dir)
    folder.rmdir()


def test_data_of_another_release_is_left_alone(data_dir: Path) -> None:
    """A cluster of an older PostgreSQL is refused with a sentence that says what to do."""
    embedded.start(data_dir)
    embedded.stop(data_dir)
    (data_dir / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(PostgresError, match="PostgreSQL 17"):
        embedded.start(data_dir)


def test_why_postgres_does_not_start_is_told(data_dir: Path) -> None:
    """Postgres's own reason and the place of its log are in the sentence."""
    embedded.start(data_dir)
    embedded.stop(data_dir)
    (data_dir / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(PostgresError, match=r"no_such_setting|configuration file .* contains errors") as caught:
        embedded.start(data_dir)
    assert str(data_dir / "logs" / "postgres.log") in caught.value.sentence


def test_a_data_dir_that_is_a_file(tmp_path: Path) -> None:
    """A DATA_DIR that cannot be a folder stops with one sentence that names the setting."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"^DATA_DIR: "):
        embedded.start(tmp_path / "file")


def test_remove_leaves_nothing(data_dir: Path) -> None:
    """After remove there is no process, no socket and no data, wherever the data was."""
    embedded.start(data_dir)
    place, process = place_of(data_dir), postmaster(data_dir)
    embedded.remove(data_dir)
    process.wait(10)
    assert not place.cluster.exists()
    assert not place.socket_dir.exists()
    assert not (data_dir / "postgres").is_symlink()


def test_database_url() -> None:
    """Only the database changes in an address; user, host, port and options stay."""
    assert embedded.database_url("postgresql://u:p@h:1/postgres?x=1", "loyalty") == "postgresql://u:p@h:1/loyalty?x=1"
    assert embedded.database_url("postgresql://u@/postgres?host=/tmp/s", "a b") == "postgresql://u@/a%20b?host=/tmp/s"


@as_root
def test_root_opens_no_folder(data_dir: Path, tmp_path: Path) -> None:
    """For root the server runs as another user, and no folder above the data is opened to that user for it."""
    tmp_path.chmod(0o700)
    embedded.start(data_dir)
    assert postmaster(data_dir).uids().effective == pwd.getpwnam("nobody").pw_uid
    assert tmp_path.stat().st_mode & 0o777 == 0o700


@as_root
def test_root_copies_binaries_that_only_root_can_reach(tmp_path: Path) -> None:
    """A clone below a folder that is closed to all but root runs from a copy of the binaries."""
    closed = tmp_path / "closed"
    shutil.copytree(
        Path(sys.prefix), closed / ".venv", symlinks=True, ignore=shutil.ignore_patterns("pginstall", "playwright")
    )
    closed.chmod(0o700)
    program = (
        "import sys; from pathlib import Path; from app.db import embedded, embedded_place;"
        "d = Path(sys.argv[1]); embedded.start(d); print(embedded_place.place_of(d).binaries); embedded.remove(d)"
    )
    site = next((closed / ".venv").glob("lib/python*/site-packages"))
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, str(closed / ".data")],
        env={"PYTHONPATH": f"{ROOT}:{site}", "PATH": os.defpath}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "/var/lib/loyalty-accelerator/software-" in done.stdout


@as_root
def test_root_runs_the_data_of_an_ordinary_user_as_that_user(tmp_path: Path) -> None:
    """Data that an ordinary user made is found by root, stays in its place and stays that user's."""
    user = pwd.getpwnam("nobody")
    home = Path("/var/tmp") / f"loyalty-test-{os.getpid()}"  # pytest's own folders are closed to other users
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    try:
        program = (
            "import os, sys; from pathlib import Path; from app.db import embedded, embedded_place;"
            "os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[3]));"
            "embedded.start(Path(sys.argv[1]))"
        )
        made = subprocess.run(
            [sys.executable, "-c", program, str(home), str(user.pw_gid), str(user.pw_uid)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode != 0 and "Permission" in made.stderr:
            pytest.skip("this checkout cannot be read by other users")
        assert made.returncode == 0, made.stderr
        assert embedded.running(home) is not None
        assert answer(embedded.start(home), "SELECT 1") == 1
        assert not (home / "postgres").is_symlink()
        assert postmaster(home).uids().effective == user.pw_uid
    finally:
        embedded.remove(home)
        shutil.rmtree(home, ignore_errors=True)


@as_root
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """On a disk without room the sentence names the folder, how much is free, and the way out."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        user = pwd.getpwnam("nobody")
        os.chown(disk, user.pw_uid, user.pw_gid)
        (disk / "postgres").mkdir()  # as if an ordinary user had begun there
        os.chown(disk / "postgres", user.pw_uid, user.pw_gid)
        with pytest.raises(PostgresError, match=r"disk that holds .*disk is full: 20 MB are free.*DATA_DIR"):
            embedded.start(disk)
    finally:
        embedded.remove(disk)
        subprocess.run(["umount", str(disk)], check=True)


@as_user
def test_an_ordinary_user_has_the_data_in_the_data_dir(data_dir: Path) -> None:
    """For an ordinary user the cluster lies in DATA_DIR and the server runs as that user."""
    embedded.start(data_dir)
    assert not (data_dir / "postgres").is_symlink()
    assert postmaster(data_dir).uids().effective == os.geteuid()


def test_start_is_quick(data_dir: Path) -> None:
    """A second start takes far less than the seconds that a newcomer would notice."""
    embedded.start(data_dir)
    embedded.stop(data_dir)
    begin = time.monotonic()
    embedded.start(data_dir)
    assert time.monotonic() - begin < 3
