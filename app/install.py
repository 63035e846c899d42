"""Secrets made once per install, so that nobody has to type one before the first start.

They live in one file in the data folder, readable by its owner only. Web, worker and sandbox read the same file and
so agree on the sandbox's keys and on the webhook secret.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True, repr=False)
class InstallSecrets:
    """The secrets of this install. No `repr`: they must not reach a log."""

    auth_secret: str
    sandbox_application_id: str
    sandbox_secret_key: str
    sandbox_integration_application_id: str
    sandbox_integration_secret_key: str
    sandbox_webhook_secret: str


def install_secrets(data_dir: Path) -> InstallSecrets:
    """Read the secrets of this install; make them at the first call.

    Two processes may call this at once: the file appears whole (hard link of a finished temporary file), and the
    loser of the race reads the winner's.
    """
    path = data_dir / "install.json"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        made = InstallSecrets(**{field.name: secrets.token_urlsafe(24) for field in fields(InstallSecrets)})
        draft = data_dir / f".install.{os.getpid()}.{secrets.token_hex(4)}"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(made), indent=2) + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return InstallSecrets(**json.loads(path.read_text()))
