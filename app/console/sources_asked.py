"""What somebody asks the feed of a source for: a filter form, in the address."""

from dataclasses import dataclass, fields
from typing import Annotated
from urllib.parse import urlencode

from litestar.params import QueryParameter

from app.console.sources_feed import Watched
from app.db.session import Database
from app.members import service

Word = Annotated[str, QueryParameter(max_length=200)]


@dataclass(frozen=True)
class Asked:
    """The filter as it was typed. Empty: all."""

    type: str = ""
    name: str = ""
    member: str = ""
    text: str = ""
    refused: str = ""
    """Anything: only what was refused."""

    def query(self, **more: str | None) -> str:
        """The filter as the part of an address after its `?`; empty without any."""
        given = {each.name: getattr(self, each.name) for each in fields(self)} | more
        return urlencode({name: value for name, value in given.items() if value})


def provide_asked(type: Word = "", name: Word = "", member: Word = "", text: Word = "", refused: Word = "") -> Asked:  # noqa: A002 - the names of the form's fields
    return Asked(*(word.replace("\x00", "") for word in (type, name, member, text, refused)))


async def meant(database: Database, source: str, asked: Asked) -> Watched:
    """What to look for. A member's phone, which begins with `+`, stands for the member's id. Raises `BadInput`."""
    type_, name, member, text = (word.strip() for word in (asked.type, asked.name, asked.member, asked.text))
    members: tuple[str, ...] | None = (member,) if member else None
    if member.startswith("+"):
        async with database.session() as session:
            found = await service.find(session, phone=member)
        members = (str(found.id),) if found else ()
    return Watched(source, type_ or None, name or None, members, text or None, refused=bool(asked.refused))
