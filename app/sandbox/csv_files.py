"""CSV files that a form brings: their lines by header, and their cells as what they stand for.

documented: a form with the field `file`, headers in the first line, commas, columns that are no fields are metadata
(of the type that the project's metadata schema says, lists with commas), times by ISO 8601. inferred: an empty cell
says nothing; headers are read without regard to capitals, and a space is as good as an underscore; metadata that no
schema defines is text; a line that can't be taken is reported by the async action, and the others are imported.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from litestar.datastructures import UploadFile
from litestar.exceptions import HTTPException

from app.sandbox import async_actions, metadata
from app.sandbox.errors import Failure, NotEmulated, invalid_payload
from app.sandbox.read import LARGEST, AnyRequest
from app.sandbox.work import Work

MOST_LINES = 10_000
"""The live service takes 100,000 codes; here all are one transaction, which must end in time."""
_MOST_DIGITS = 16


@dataclass(frozen=True)
class Line:
    """One line below the headers, numbered from 1: its cells by header; empty ones are left out."""

    number: int
    cells: Mapping[str, str]

    def fields(self, known: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """The cells of known headers by what these are called, and the other cells."""
        fields, others = {}, {}
        for header, cell in self.cells.items():
            name = known.get(header.lower().replace(" ", "_"))
            if name is None:
                others[header] = cell
            else:
                fields[name] = cell
        return fields, others


@dataclass
class Report:
    """What became of the lines."""

    what: str
    """What a line describes, as the action's message calls it."""
    done: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)

    def fail(self, line: Line, failure: Failure, **named: str | None) -> None:
        """Keep why a line was not taken.

        Raises:
            NotEmulated: the sandbox can't do what the live service would have done.
        """
        if isinstance(failure, NotEmulated):
            raise failure
        reason = failure.fields["details"] or failure.fields["message"]
        said = {name: value for name, value in named.items() if value is not None}
        self.failed.append({"row": line.number, **said, "reason": reason})

    async def finish(self, work: Work, kind: str) -> dict[str, Any]:
        """Keep the async action, and answer its id."""
        self.failed.sort(key=lambda each: each["row"])
        message = f"{self.done} {self.what}(s) imported successfully, {len(self.failed)} failed."
        more = {"failed_count": len(self.failed), "failed": self.failed}
        return {"async_action_id": await async_actions.done(work, kind, self.done, message, **more)}


async def read(request: AnyRequest) -> tuple[list[Line], dict[str, str]]:
    """The lines of the form's file, and the other fields of the form.

    Raises:
        Failure: there is no file, or it is not CSV with headers.
    """
    try:
        form = await request.form()
    except (HTTPException, ValueError, LookupError) as error:  # the last: a part in an encoding that there is not
        raise invalid_payload("Payload is not a valid multipart/form-data form") from error
    given = form.get("file")
    raw = await given.read() if isinstance(given, UploadFile) else given
    if raw is None or not isinstance(raw, str | bytes):
        raise invalid_payload("Payload should have required property 'file'")
    try:
        whole = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid_payload("The file must be text in UTF-8") from error
    others = {name: value for name, value in form.items() if isinstance(value, str)}
    return parsed(whole), others


def parsed(whole: str) -> list[Line]:
    """The lines below the headers; blank ones are passed over, but they count."""
    if "\x00" in whole:
        raise invalid_payload("The file must not contain the character U+0000")
    try:
        rows = list(csv.reader(io.StringIO(whole, newline=""), strict=True))
    except csv.Error as error:
        raise invalid_payload(f"The file is not valid CSV: {error}") from error
    headers = [header.strip() for header in rows[0]] if rows else []
    if not any(headers):
        raise invalid_payload("The file has no headers in its first line")
    named = [header.lower().replace(" ", "_") for header in headers if header]
    if len(set(named)) < len(named):
        raise invalid_payload("The file has one header twice")
    if len(rows) - 1 > MOST_LINES:
        raise invalid_payload(f"The file must NOT have more than {MOST_LINES} lines")
    lines = []
    for number, row in enumerate(rows[1:], start=1):
        if len(row) > len(headers):
            raise invalid_payload(f"Line {number} of the file has more cells than there are headers")
        cells = {header: cell.strip() for header, cell in zip(headers, row, strict=False) if header and cell.strip()}
        if cells:
            lines.append(Line(number, cells))
    return lines


def number(cell: str, name: str) -> int | float:
    """A cell as a number.

    Raises:
        Failure: it is none, or one that JSON can't hold exactly.
    """
    try:
        value = Decimal(cell) if len(cell) <= _MOST_DIGITS else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or abs(value) > LARGEST:
        raise invalid_payload(f"{name} must be a number, not '{cell[:50]}'")
    return int(value) if value == value.to_integral_value() else float(value)


def truth(cell: str, name: str) -> bool:
    if cell.lower() not in {"true", "false"}:
        raise invalid_payload(f"{name} must be true or false, not '{cell[:50]}'")
    return cell.lower() == "true"


async def schema(work: Work, resource: str) -> dict[str, Any]:
    """What the project defines of this resource's metadata."""
    properties = await work.value(
        "SELECT doc -> 'properties' FROM metadata_schema WHERE related_object = $1 AND name = ''", resource
    )
    return properties or {}


def typed(cells: Mapping[str, str], defined: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata out of its cells, each of the type that is defined for it.

    Raises:
        Failure: a cell is not of its type.
    """
    made = {name: _typed(cell, defined[name], name) if name in defined else cell for name, cell in cells.items()}
    for name, value in made.items():
        if name in defined and not metadata.fits(value, defined[name]):
            raise invalid_payload(f"{name} must be {defined[name]['type']}, not '{cells[name][:50]}'")
    return made


def _typed(cell: str, definition: Mapping[str, Any], name: str) -> Any:
    if definition.get("array"):
        return [_typed(each.strip(), {**definition, "array": False}, name) for each in cell.split(",")]
    if definition["type"] == "number":
        return number(cell, name)
    return truth(cell, name) if definition["type"] == "boolean" else cell
