"""Migrations: there and back, no difference to the models, and several processes that start at once."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.db import embedded, migrate
from app.errors import SettingError
from tests.conftest import MakeDatabase
from tests.house import ROOT


async def tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows}


async def shape(url: str) -> list[tuple[Any, ...]]:
    """Every column, constraint and index, as far as names and definitions say it."""
    connection = await asyncpg.connect(url)
    try:
        columns = await connection.fetch(
            """SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
               WHERE table_schema = 'public' ORDER BY 1, 2"""
        )
        constraints = await connection.fetch(
            """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
               WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"""
        )
        indexes = await connection.fetch("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
    finally:
        await connection.close()
    return [tuple(row) for row in (*columns, *constraints, *indexes)]


async def test_an_old_server_is_refused_in_words(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lacks what sessions ask for is named with its version before anything is made."""
    url = await make_database("old")
    await migrate.refuse_old_server(url)
    monkeypatch.setattr(migrate, "OLDEST", 99)
    with pytest.raises(SettingError, match="PostgreSQL 99 or newer is needed, and this one is 1"):
        await migrate.refuse_old_server(url)


async def test_up_down_and_up_again(make_database: MakeDatabase) -> None:
    """Every migration can be taken back, leaves nothing, and leads to the same schema the second time."""
    url = await make_database("migrations")
    await migrate.upgrade(url)
    first = await shape(url)
    assert {"orders", "emission", "member", "event", "delivery", "webhook"} <= await tables(url)
    await migrate.downgrade(url, "base")
    assert await tables(url) == {"alembic_version"}
    await migrate.upgrade(url)
    assert await shape(url) == first


async def test_models_and_migrations_agree(template: str) -> None:
    """After all migrations the schema is what the models say: nobody forgot to write one."""
    await migrate.check(template)


async def test_an_upgrade_that_was_done_is_nothing(template: str) -> None:
    """Migrating again changes nothing."""
    before = await shape(template)
    await migrate.upgrade(template)
    assert await shape(template) == before


async def test_two_that_migrate_at_once_take_turns(make_database: MakeDatabase) -> None:
    """Several processes that migrate one new database at the same moment all succeed."""
    url = await make_database("migrations")
    await asyncio.gather(*[migrate.upgrade(url) for _ in range(4)])
    await migrate.check(url)


async def test_several_that_create_one_database_at_once(postgres: str) -> None:
    """Several processes that find the database missing make it once, and none of them fails."""
    name = f"race {os.getpid()}"
    url = embedded.database_url(postgres, name)
    try:
        await asyncio.gather(*[migrate.create_database(url) for _ in range(4)])
        assert await tables(url) == set()
        await migrate.create_database(url)
    finally:
        connection = await asyncpg.connect(postgres)
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.close()


async def migrated(folder: Path, url: str, *arguments: str) -> tuple[int, str, str]:
    """Run `python -m app.migrate` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app.migrate", *arguments),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(folder), "DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def test_first_keys_are_printed_once(make_database: MakeDatabase, tmp_path: Path) -> None:
    """Of processes that start at once on a new database, one prints the keys; later starts print none."""
    url = await make_database("first_start")
    ended = await asyncio.gather(*[migrated(tmp_path, url, "--json") for _ in range(2)])
    assert [code for code, _, _ in ended] == [0, 0], ended
    printed = [json.loads(out) for _, out, _ in ended]
    (first,) = [made for made in printed if made["first_start"]]
    assert first["admin_token"].startswith("admin_")
    assert len(first["register_keys"]) == 12
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM access_key") == 13
        assert await connection.fetchval("SELECT count(*) FROM write_key") == 5
    finally:
        await connection.close()
    assert await migrated(tmp_path, url) == (0, "", "")


@pytest.mark.parametrize("url", ["{server}", "postgresql://u:hunter2@127.0.0.1:9/x", "mysql://u:hunter2@h/x"])
async def test_a_database_that_can_not_be_used_is_named(postgres: str, tmp_path: Path, url: str) -> None:
    """An unknown user, no server, another kind of address: one sentence, no trace-back, no password."""
    stranger = re.sub("//[^@/]*@", "//nobody:hunter2@", postgres)
    code, out, error = await migrated(tmp_path, url.format(server=stranger))
    assert (code, out) == (1, "")
    assert error.startswith("DATABASE_URL")
    assert error.count("\n") == 1
    assert "hunter2" not in error
