"""Migrates, and keeps what the first start prints once: the admin token and the register keys.

`python -m scripts.lib.first_start` does it for docker-compose; ./scripts/demo does it on its way.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from app.errors import LoyaltyError
from app.settings import load_settings
from scripts.lib.say import Stop, say

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, repr=False)
class Keys:
    """What the demo signs in with. No `repr`: they must not reach a log."""

    admin_token: str
    register_keys: Mapping[str, str]
    """By the name of the register."""


def migrate(data_dir: Path, environment: Mapping[str, str]) -> Keys:
    """Make or upgrade the databases; answers the keys, those of the first start at a later one as well."""
    done = subprocess.run(
        [sys.executable, "-m", "app.migrate", "--json"],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Stop("The database could not be brought up to date:\n" + "\n".join(f"    {line}" for line in lines[-8:]))
    said = json.loads(done.stdout)
    if said["admin_token"]:
        keys = Keys(said["admin_token"], said["register_keys"])
        _store(data_dir, keys)
        return keys
    return stored(data_dir)


def stored(data_dir: Path) -> Keys:
    """The keys of the first start. Raises `Stop` when they were not kept here."""
    try:
        return Keys(**json.loads((data_dir / "demo.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise Stop(
            f"The keys that the first start printed are not in {data_dir / 'demo.json'}, and they are shown only once. "
            "Start clean with ./scripts/demo --reset, or put back that file."
        ) from error


def _store(data_dir: Path, keys: Keys) -> None:
    draft = data_dir / f".demo.json.{os.getpid()}"
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(keys), indent=2) + "\n")
    draft.replace(data_dir / "demo.json")


def main() -> int:
    try:
        data_dir = load_settings().data_dir
        migrate(data_dir, {})
    except (Stop, LoyaltyError) as error:
        say(str(error))
        return 1
    say(f"The databases are up to date; the keys are in {data_dir / 'demo.json'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
