"""The commands of ./scripts/demo, in the environment that `bootstrap` made."""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from app.db import embedded
from app.demo.shop import MEMBERS
from app.errors import LoyaltyError
from app.settings import load_settings
from scripts.lib import first_start, order, running
from scripts.lib.options import demo_options
from scripts.lib.running import Run
from scripts.lib.say import Stop, say, step
from scripts.lib.supervisor import PortTaken, Supervisor
from scripts.lib.turns import turn

OURS = ("install.json", "demo.json", "run.json", "postgres.lock", "logs")
"""What lies in DATA_DIR beside the database. DATA_DIR may be any folder, so nothing else in it is deleted."""


def run(arguments: Sequence[str]) -> int:
    """Do what the options say; answers the exit code."""
    options = demo_options(arguments)
    supervisor = Supervisor(load_settings())
    if options.stop:
        say("Stopped." if stop(supervisor) else "No demo runs in this clone.")
        return 0
    if options.restart:
        return restart(supervisor, options.restart)
    if options.reset:
        reset(supervisor)
    with turn(supervisor.data_dir):
        found = running.read(supervisor.data_dir)
        runs = _runs(found)
        if not runs:
            running.stop(found.alive())  # left over from a demo that was killed
            keys = supervisor.start()
    if runs:
        return use_running(supervisor, found, once=options.once, as_json=options.json)
    kept = False
    try:
        found = running.read(supervisor.data_dir)
        say()
        code = order.show(order.place(found.urls["web"], keys), found.urls, options.json)
        if options.once:
            if options.keep:
                running.write(supervisor.data_dir, replace(found, supervisor=None))
                kept = True
                say(f"\nIt runs on in the background: {found.urls['web']}   Stop it: ./scripts/demo --stop")
            return code
        with contextlib.suppress(KeyboardInterrupt):
            welcome(supervisor, found, keys)
            supervisor.watch()
        say("\nStopping …")
        return 0
    finally:
        if not kept:
            supervisor.stop()


def _runs(found: Run) -> bool:
    """Whether a demo runs: one with a supervisor that lives, or one that was left in the background."""
    return found.supervisor.is_alive() if found.supervisor else bool(found.alive())


def use_running(supervisor: Supervisor, found: Run, *, once: bool, as_json: bool) -> int:
    """A demo of this clone runs already: place one more order there, or say where it is."""
    web = found.urls["web"]
    if not once:
        raise Stop(f"A demo of this clone runs already: {web}   Stop it: ./scripts/demo --stop")
    say(f"  running    {web}  a demo of this clone that runs already\n")
    return order.show(order.place(web, first_start.stored(supervisor.data_dir)), found.urls, as_json)


def welcome(supervisor: Supervisor, found: Run, keys: first_start.Keys) -> None:
    """Say what to look at now, and how to sign in."""
    key = keys.register_keys[order.REGISTER]
    say(f"\nThe floor  {found.urls['web']}/   till, phone, and the road of the last order")
    if supervisor.settings.uses_sandbox:
        say(f"Sign-ins   member    {', '.join(member['phone'] for member in MEMBERS)}")
        say(f"           register  {key}   ({order.REGISTER})")
        say(f"           admin     {keys.admin_token}")
    else:
        say(f"Sign-ins   in {supervisor.data_dir / 'demo.json'}")
    say(f"Logs       {supervisor.data_dir / 'logs'}")
    say(f"Try this   kill -9 {found.processes['worker'].pid}, press Pay, then ./scripts/demo --restart worker")
    say("Ctrl-C stops everything; the data stays.")


def stop(supervisor: Supervisor) -> bool:
    """Stop this clone's demo, in this terminal, another one, or the background; answers whether one ran."""
    watcher = running.read(supervisor.data_dir).supervisor
    if watcher and watcher.is_alive():
        os.kill(watcher.pid, signal.SIGTERM)
        until = time.monotonic() + 60
        while watcher.is_alive():
            if time.monotonic() > until:
                raise Stop(f"The demo, pid {watcher.pid}, does not stop.")
            time.sleep(0.05)
        return True
    with turn(supervisor.data_dir):
        return supervisor.stop()


def restart(supervisor: Supervisor, name: str) -> int:
    """Start one process of the running demo again, with the ports it had."""
    with turn(supervisor.data_dir):
        found = running.read(supervisor.data_dir)
        if not _runs(found):
            raise Stop("No demo runs in this clone. Start one: ./scripts/demo")
        if name == "postgres" and supervisor.embedded:
            embedded.stop(supervisor.data_dir)
            embedded.start(supervisor.data_dir)
            say("The postgres runs.")
            return 0
        if name not in found.processes:
            raise Stop(f"This demo runs no {name} of its own.")
        with step(name, "starting …") as line:
            running.stop({name: found.processes[name]})
            found = supervisor.spawn(name, found)
            try:
                supervisor.wait_until_up(name, found)
            except PortTaken:
                raise Stop(f"The {name} cannot start: another program took {found.urls[name]}.") from None
            line.result = f"{found.urls[name]}  pid {found.processes[name].pid}"
    return 0


def reset(supervisor: Supervisor) -> None:
    """Stop the demo and delete its data."""
    if not supervisor.embedded:
        raise Stop("--reset deletes the embedded database, but DATABASE_URL names another one: empty that yourself.")
    with step("reset", "deleting the data of this clone …"):
        stop(supervisor)
        embedded.remove(supervisor.data_dir)
        for path in (supervisor.data_dir / name for name in OURS):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def main(arguments: Sequence[str]) -> int:
    """Run the command; every way in which it can fail ends with a sentence."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        return run(arguments)
    except (Stop, LoyaltyError) as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.")
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
