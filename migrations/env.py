"""Alembic's way in: called by `python -m app.migrate`, and with `--new MESSAGE` to write a new one."""

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

import app.analytics.models
import app.auth.models
import app.db.lease
import app.destinations.models
import app.emitter.models
import app.jobs
import app.live.models
import app.log.models
import app.members.models
import app.orders.models
import app.pipeline.models
import app.points.models
import app.profiles.models
import app.segment.models
import app.webhooks.models  # noqa: F401 - importing a model registers its table


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_server_default=False)
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
