"""Keys of operators, admins and registers. Only their hashes are stored."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel

from app.db.base import utc_field


class AccessKey(SQLModel, table=True):
    """A long random token. Its SHA-256 is enough: 192 random bits can't be guessed."""

    __tablename__ = "access_key"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    role: str
    """`admin`, `operator` or `register`."""
    name: str = Field(unique=True)
    """For a register `<location>/<number>`, as in `warsaw/2`."""
    hash: str = Field(unique=True)
    location_id: str | None = None
    created_at: datetime = utc_field()
    revoked_at: datetime | None = utc_field(default=None)
