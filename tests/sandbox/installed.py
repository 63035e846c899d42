"""Other people's programs that drive the sandbox, each in a folder of its own, out of a lock file with hashes."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


def installed(lock: Path, name: str) -> Path:
    """The folder with what the lock file names; installed at the first run, then kept beside the environment.

    A process finds it by `PYTHONPATH`, and with Python's `-S` nothing of ours.
    """
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / name / digest
    if not folder.exists():
        making = folder.with_name(f"{digest}-{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
        try:
            subprocess.run(
                [*pip, "--no-deps", "--require-hashes", "--target", str(making), "-r", str(lock)],
                check=True,
                timeout=180,
            )
            if not folder.exists():  # another run may have been quicker
                making.replace(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder
