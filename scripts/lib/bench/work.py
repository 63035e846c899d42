"""How much the processes of an install work: their CPU, which tells where the time goes when they share the cores."""

import psutil  # type: ignore[import-untyped]  # it has no types

from scripts.lib.bench.install import Install


def cpu_seconds(install: Install) -> dict[str, float]:
    """CPU used until now, by process; Postgres with all its backends, and this process as `bench`."""
    server = int((install.settings.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
    roots = {module.removeprefix("app."): pid for module, pid in install.pids().items()}
    found = {name: _used(psutil.Process(pid)) for name, pid in roots.items()}
    return {
        name.replace("main", "web"): seconds
        for name, seconds in {**found, "postgres": _used(psutil.Process(server)), "bench": _own()}.items()
    }


def _used(process: psutil.Process) -> float:
    """Of a process and its children; those that are gone are left out."""
    seconds = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            seconds += sum(each.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return seconds


def _own() -> float:
    return float(sum(psutil.Process().cpu_times()[:2]))
