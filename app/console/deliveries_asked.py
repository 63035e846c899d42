"""A selection of deliveries as it stands in an address or in a form: texts, of which empty ones do not count."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from litestar.params import QueryParameter

from app.db.session import Database
from app.errors import BadInput
from app.members import service
from app.members.phone import e164
from app.pipeline.replay_selection import Selection, Status, checked

Text = Annotated[str, QueryParameter(max_length=20_000)]
Texts = Annotated[list[str] | None, QueryParameter(max_items=10)]
_STATUSES: dict[str, Status] = {
    "pending": "pending",
    "delivered": "delivered",
    "failed": "failed",
    "filtered": "filtered",
    "unclear": "unclear",
}


@dataclass(frozen=True)
class Asked:
    """What `Selection` has, as somebody wrote it."""

    destination: str = ""
    mapping: str = ""
    status: list[str] = field(default_factory=list)
    error: str = ""
    type: str = ""
    event: str = ""
    person: str = ""
    """The member's id, or a phone number that begins with +."""
    order_id: str = ""
    since: str = ""
    """ISO 8601; UTC where no zone is said."""
    until: str = ""
    ids: str = ""
    """Ids with commas between them."""
    replay: str = ""

    @property
    def query(self) -> str:
        """As the query of an address; what is empty is left out."""
        return urlencode({name: value for name, value in asdict(self).items() if value}, doseq=True)

    def but(self, **changed: Any) -> "Asked":
        return replace(self, **changed)


def provide_asked(
    destination: Text = "",
    mapping: Text = "",
    status: Texts = None,
    error: Text = "",
    type: Text = "",  # noqa: A002 - the name of the parameter
    event: Text = "",
    person: Text = "",
    order_id: Text = "",
    since: Text = "",
    until: Text = "",
    ids: Text = "",
    replay: Text = "",
) -> Asked:
    """Of a query. `status` may come several times."""
    return Asked(destination, mapping, status or [], error, type, event, person, order_id, since, until, ids, replay)


def refuse_unknown(given: Iterable[str], others: Iterable[str]) -> None:
    """Pass where each name of a query is one of `Asked` or of `others`.

    Raises:
        BadInput: one is not. Passed over, a typing error would ask for everything.
    """
    known = [*(one.name for one in fields(Asked)), *others]
    for name in given:
        if name not in known:
            raise BadInput(f"{name[:50]}: there is no such filter. There are {', '.join(known)}.")


def of_form(form: Mapping[str, Any], statuses: list[Any]) -> Asked:
    """Of the fields of a form."""
    texts = {name: str(form.get(name) or "") for name in Asked.__dataclass_fields__ if name != "status"}
    return Asked(**texts, status=[str(status) for status in statuses])


async def meant(database: Database, asked: Asked) -> Selection:
    """The selection that is meant.

    Raises:
        BadInput: a status, a time or a number is none.
    """
    given = asked.but(status=[status for status in asked.status if status])
    unknown = [status for status in given.status if status not in _STATUSES]
    if unknown:
        raise BadInput(f"status: there is none named {unknown[0][:50]!r}. There are {', '.join(_STATUSES)}.")
    selection = Selection(
        destination=given.destination,
        mapping=given.mapping,
        status=[_STATUSES[status] for status in given.status],
        error=given.error,
        type=given.type,
        event=given.event,
        person=given.person,
        order_id=given.order_id,
        since=_moment("since", given.since),
        until=_moment("until", given.until),
        ids=[_number("ids", part) for part in given.ids.replace(",", " ").split()],
        replay=_number("replay", given.replay) if given.replay.strip() else None,
    )
    return await found(database, selection)


async def found(database: Database, selection: Selection) -> Selection:
    """The selection, checked; a phone number in place of a person becomes the id of the member who has it.

    Raises:
        BadInput: it can't be asked for so, or no member has this phone.
    """
    selection = checked(selection)
    if selection.person is None or not selection.person.startswith("+"):
        return selection
    async with database.session() as session:
        member = await service.find(session, phone=e164(selection.person))
    if member is None:
        raise BadInput("person: no member has this phone.")
    return msgspec.structs.replace(selection, person=str(member.id))


def _moment(name: str, text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip()) if text.strip() else None
    except ValueError as error:
        raise BadInput(f"{name}: a time as in 2026-11-22T14:30, in UTC unless it says a zone.") from error


def _number(name: str, text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadInput(f"{name}: {text[:50]!r} is no number.")
    return int(text)
