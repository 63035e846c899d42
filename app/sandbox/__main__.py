"""`python -m app.sandbox`: the sandbox on its own port, until SIGTERM or Ctrl-C. `--help` says what can be set."""

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg

from app.errors import LoyaltyError
from app.sandbox.app import create_app
from app.sandbox.config import SandboxConfig
from app.sandbox.store import Store
from app.serve import serve
from app.settings import load_settings
from app.telemetry import configure_logging

_SETTINGS = {
    "host": "SANDBOX_HOST",
    "port": "SANDBOX_PORT",
    "database_url": "SANDBOX_DATABASE_URL",
    "data_dir": "DATA_DIR",
}
"""Options that say what a setting can say; where both are given, the option counts."""


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m app.sandbox",
        description="A Voucherify you can run on a plane: the public API v2018-08-01, the door for Segment, and signed "
        "webhooks, with a database of its own. In a browser its address shows what is in it (/sandbox).",
        epilog="Whatever else can be set comes from the environment and .env: docs/reference/settings.md. "
        "How to use it alone and in CI: docs/how-to/run-the-sandbox-alone.md.",
    )
    parser.add_argument("--host", help="address to listen on (SANDBOX_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=_port, help="port to listen on (SANDBOX_PORT, 8100)")
    parser.add_argument(
        "--database-url",
        metavar="URL",
        help="its database, made if need be (SANDBOX_DATABASE_URL; by default an embedded Postgres in DATA_DIR)",
    )
    parser.add_argument("--data-dir", metavar="FOLDER", help="where keys and the embedded Postgres are kept (DATA_DIR)")
    targets = parser.add_mutually_exclusive_group()
    targets.add_argument(
        "--webhook",
        metavar="URL",
        action="append",
        type=_address,
        help="where webhooks go, may be given several times (by default the web process of this install)",
    )
    targets.add_argument("--no-webhooks", action="store_true", help="send no webhooks")
    parser.add_argument(
        "--keys", action="store_true", help="print address and keys as lines for a shell, and end; nothing is started"
    )
    return parser.parse_args(arguments)


def _port(given: str) -> str:
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 65535:
        raise argparse.ArgumentTypeError(f"{given!r} is no port: 1 to 65535")
    return given


def _address(given: str) -> str:
    if urlsplit(given).scheme not in {"http", "https"} or not urlsplit(given).hostname:
        raise argparse.ArgumentTypeError(f"{given!r} is no address that begins with http:// or https://")
    return given


async def _opens(config: SandboxConfig, *, redirect: bool) -> None:
    """Open the database once before serving: what is wrong with it is a sentence then, not a trace-back.

    `redirect`: whether webhooks go to the configured targets from now on, wherever they went before.
    """
    store = Store(config)
    try:
        await store.pool()
        if redirect:
            await store.register_webhooks(config.webhook_targets)
    finally:
        await store.close()


def _keys(config: SandboxConfig) -> str:
    """For `eval` in a shell, under the names that Voucherify's own SDKs use in their tests, where they have one."""
    values = {
        "VOUCHERIFY_HOST": config.url,
        "X_APP_ID": config.application_id,
        "X_APP_TOKEN": config.secret_key,
        "INTEGRATION_APPLICATION_ID": config.integration_application_id,
        "INTEGRATION_SECRET_KEY": config.integration_secret_key,
        "WEBHOOK_SECRET": config.webhook_secret,
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    os.environ |= {name: value for option, name in _SETTINGS.items() if (value := getattr(options, option))}
    try:
        settings = load_settings()
        if options.keys:
            sys.stdout.write(_keys(SandboxConfig.of(settings, database_url="")))
            return
        configure_logging(settings, "sandbox")
        config = SandboxConfig.of(settings)
        redirect = bool(options.webhook or options.no_webhooks)
        if redirect:
            config = replace(config, webhook_targets=tuple(options.webhook or ()))
        asyncio.run(_opens(config, redirect=redirect))
    except LoyaltyError as error:
        sys.exit(error.sentence)
    except (OSError, asyncpg.PostgresError) as error:
        sys.exit(f"SANDBOX_DATABASE_URL: the sandbox's database can't be opened: {error}")
    serve(create_app(config), settings.listen.sandbox_host, settings.listen.sandbox_port, "SANDBOX_PORT")


if __name__ == "__main__":
    main()
