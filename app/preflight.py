"""What must hold before a process starts: each failure is one sentence, not a trace-back."""

import asyncpg

from app.db import migrate
from app.db.session import database_url
from app.errors import SettingError, VoucherifyUnavailable, VoucherifyUnclear
from app.settings import Settings
from app.telemetry import log
from app.voucherify.client import Client
from app.voucherify.loyalty import LoyaltyV1


async def preflight(settings: Settings) -> None:
    """Check the database's schema and the Voucherify account; warn of what is allowed but unwise."""
    if settings.development_sign_in and settings.listen.web_host not in {"127.0.0.1", "::1", "localhost"}:
        log.warning(
            "sign_in.open",
            reason="WEB_HOST lets others in, and AUTH_DEVELOPMENT_SIGN_IN is on: anybody who reaches it may sell",
        )
    await _schema(database_url(settings))
    if not settings.uses_sandbox:
        await _account(settings)


async def _schema(url: str) -> None:
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except asyncpg.InvalidCatalogNameError as error:
        raise SettingError("The database does not exist yet: run `python -m app.migrate` first.") from error
    except asyncpg.InvalidPasswordError as error:
        raise SettingError("DATABASE_URL: Postgres refuses this user and password.") from error
    except (OSError, asyncpg.PostgresError) as error:
        raise SettingError(f"DATABASE_URL: Postgres can't be reached: {error}") from error
    try:
        found = await connection.fetchval("SELECT to_regclass('alembic_version')")
        version = await connection.fetchval("SELECT version_num FROM alembic_version") if found else None
    finally:
        await connection.close()
    if version != migrate.head():
        raise SettingError("The database's schema is not the one of this version: run `python -m app.migrate` first.")


async def _account(settings: Settings) -> None:
    """Refuse wrong keys, and an account that has loyalty v2 only. An outage is no reason not to start."""
    client = Client.of(settings)
    try:
        await LoyaltyV1(client).check()
    except (VoucherifyUnavailable, VoucherifyUnclear) as error:
        log.warning("voucherify.unchecked", reason=error.sentence)
    finally:
        await client.close()
