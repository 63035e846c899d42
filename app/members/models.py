"""The member: ours first. Its id is the Segment `userId` and the Voucherify `source_id`."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel

from app.db.base import utc_field


class Member(SQLModel, table=True):
    """Somebody who joined the programme."""

    __tablename__ = "member"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    phone: str = Field(unique=True)
    """E.164."""
    card: str | None = Field(default=None, unique=True)
    """The code of the loyalty card; Voucherify gives it a moment after the enrolment."""
    first_name: str = ""
    last_name: str = ""
    email: str | None = None
    source: str
    """The source that enrolled the member: `till`, `phone` or `online-store`."""
    created_at: datetime = utc_field()
