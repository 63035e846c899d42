"""`python -m app.sandbox`: the sandbox on its own port, until SIGTERM or Ctrl-C."""

import asyncio
import sys

import asyncpg

from app.errors import LoyaltyError
from app.sandbox.app import create_app
from app.sandbox.config import SandboxConfig
from app.sandbox.store import Store
from app.serve import serve
from app.settings import load_settings
from app.telemetry import configure_logging


async def _opens(config: SandboxConfig) -> None:
    """Open the database once before serving: what is wrong with it is a sentence then, not a trace-back."""
    store = Store(config)
    try:
        await store.pool()
    finally:
        await store.close()


def main() -> None:
    try:
        settings = load_settings()
        configure_logging(settings, "sandbox")
        config = SandboxConfig.of(settings)
        asyncio.run(_opens(config))
    except LoyaltyError as error:
        sys.exit(error.sentence)
    except (OSError, asyncpg.PostgresError) as error:
        sys.exit(f"SANDBOX_DATABASE_URL: the sandbox's database can't be opened: {error}")
    serve(create_app(config), settings.listen.sandbox_host, settings.listen.sandbox_port, "SANDBOX_PORT")


if __name__ == "__main__":
    main()
