"""The web process's app behind a real server in this process: for tests that look at one door of it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from litestar import Litestar

from app.auth import keys, tokens
from app.db import migrate
from app.db.session import Database
from app.main import create_app
from app.members.service import Enrolment, enrol
from app.migrate import first_start
from app.setting_groups import variables
from app.settings import Settings, load_settings


def settings_of(folder: Path, **given: str) -> Settings:
    """The settings of a process that starts in `folder` with these variables and no others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in variables():
            patch.delenv(name, raising=False)
        for name, value in {"DATA_DIR": str(folder / "data"), **given}.items():
            patch.setenv(name, value)
        return load_settings()


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Any ASGI app behind a real server on a free port; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio does it only for sockets that name their protocol; each answer would wait 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:
        assert not task.done(), "the app did not start"
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@dataclass(frozen=True)
class Web:
    """A served app with the shop in its database, and credentials for every role."""

    url: str
    app: Litestar
    database: Database
    register_keys: dict[str, str]
    admin_token: str
    operator_key: str
    member_id: str

    @property
    def settings(self) -> Settings:
        settings: Settings = self.app.state.settings
        return settings

    def member_token(self, lasts: timedelta = timedelta(hours=1)) -> str:
        return tokens.make(
            self.settings.auth_secret, f"member:{self.member_id}", ["member"], member=self.member_id, lasts=lasts
        )

    def credentials(self) -> dict[str, str]:
        """A valid token of each role that has credentials of its own."""
        return {
            "register": self.register_keys["warsaw/2"],
            "operator": self.operator_key,
            "admin": self.admin_token,
            "member": self.member_token(),
        }

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60)

    def till(self, register: str = "warsaw/2") -> httpx.AsyncClient:
        return self.client(self.register_keys[register])


@contextlib.asynccontextmanager
async def open_web(folder: Path, database_url: str, **settings: str) -> AsyncIterator[Web]:
    """Migrate, make the shop and its keys, and serve."""
    await migrate.upgrade(database_url)
    database = Database(database_url, pool=5)
    async with database.session() as session:
        made = await first_start(session)
        operator_key = await keys.make(session, "operator", "an operator")
        member, _ = await enrol(session, Enrolment("+48601234567", "Mia"), "till")
    app = create_app(settings_of(folder, DATABASE_URL=database_url, **settings))
    async with served(app) as url:
        yield Web(url, app, database, made["register_keys"], made["admin_token"], operator_key, str(member.id))
    await database.close()
