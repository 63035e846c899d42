"""Which errors say that the database is away, and which that something of ours is wrong."""

import asyncpg
import pytest
import sqlalchemy.exc

from app.db.trouble import is_away
from app.errors import NotFound


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (FileNotFoundError("the server's socket"), True),
        (sqlalchemy.exc.TimeoutError(), True),
        (sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception()), True),
        (asyncpg.TooManyConnectionsError(), True),
        (asyncpg.CannotConnectNowError(), True),
        (asyncpg.AdminShutdownError(), True),
        (asyncpg.ObjectNotInPrerequisiteStateError("the database takes no connections"), True),
        (asyncpg.DeadlockDetectedError(), True),
        (asyncpg.UniqueViolationError(), False),
        (asyncpg.DataError(), False),
        (sqlalchemy.exc.IntegrityError("INSERT", {}, Exception()), False),
        (sqlalchemy.exc.ProgrammingError("SELECT", {}, Exception()), False),
        (sqlalchemy.exc.InvalidRequestError(), False),
        (NotFound(), False),
        (KeyError("x"), False),
    ],
    ids=lambda value: f"{type(value).__module__}.{type(value).__name__}" if isinstance(value, Exception) else None,
)
def test_only_trouble_that_passes_is_called_away(error: Exception, away: bool) -> None:
    """Trying again helps against the one kind, and would hide the other."""
    assert is_away(error) == away
