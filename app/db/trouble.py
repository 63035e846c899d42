"""What can go wrong with the database."""

from typing import Final

import asyncpg
from sqlalchemy.exc import DataError, IntegrityError, InvalidRequestError, ProgrammingError, SQLAlchemyError

NOT_THE_WORK: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says of a connection that was cut in the middle of a call
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.InvalidTransactionStateError,  # broken off by the server: we were paused in its middle
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.ObjectNotInPrerequisiteStateError,  # of a database that takes no connections just now
    SQLAlchemyError,
)
"""Errors that speak of the database: gone, restarting, full, or in a deadlock. Whoever meets one does the same work
again later and blames no row for it. Any other error was caused by the row at hand."""

ANY: Final = (asyncpg.PostgresError, *NOT_THE_WORK)
"""Whatever the database says, or the way to it: what a loop has to live through that may not end before its process."""

_OUR_FAULT: Final = (DataError, IntegrityError, InvalidRequestError, ProgrammingError)


def is_away(error: BaseException) -> bool:
    """Whether an error says that the database can't be had now: gone, restarting, full, or all connections in use.

    SQLAlchemy's errors about a statement or about our use of it are none of these: they would come again.
    """
    return isinstance(error, NOT_THE_WORK) and not isinstance(error, _OUR_FAULT)
