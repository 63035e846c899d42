"""What a replay would send, delivery by delivery, beside what was sent: nothing is written and nothing is sent."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import asyncpg

from app.db.session import Database
from app.errors import LoyaltyError
from app.pipeline.bridge import request_for
from app.pipeline.configure_settings import secrets, shown_request, without_secrets
from app.pipeline.dry_runs import DryRuns
from app.pipeline.functions import Outcome
from app.pipeline.mappings import CompiledMapping
from app.pipeline.registry import Connected
from app.pipeline.replay import TRIES, Numbers, Wanted, chosen, numbers
from app.pipeline.replay_difference import Change, differences
from app.pipeline.replay_labels import WORDS, Label, Past, changes_nothing, label_of
from app.pipeline.replay_selection import FROM

PAGE: Final = 20
MOST_SECONDS: Final = 15.0
"""For all functions of a page together: somebody waits for it."""
OVERTAKEN: Final = "A later delivery of this person by this mapping went out since: older values would come back."


@dataclass(frozen=True)
class Preview:
    """One delivery as a replay would send it."""

    id: int
    mapping: str
    person: str
    event: str
    """The event's name, or its type where it has none."""
    order_id: str | None
    created_at: datetime
    status: str
    error: str | None
    label: Label | None
    """None: its mapping is not there any more."""
    says: str
    """What will happen, in words."""
    sent: dict[str, Any] | None
    """The last request, `{method, url, body}`; none where nothing was ever sent."""
    would_send: dict[str, Any] | None
    """None: nothing would be sent, and `says` why. Of one that is looked for first: what is sent if it is not there."""
    changes: list[Change] = field(default_factory=list)
    warning: str | None = None
    function: dict[str, Any] | None = None
    """What the insert function made of it: `{outcome, error, log, calls}`."""


@dataclass(frozen=True)
class DryRun:
    """What a replay would do."""

    numbers: Numbers
    deliveries: list[Preview]
    next_after: int | None
    """Ask with `after` for the next page; null on the last."""


@dataclass(frozen=True)
class Previewer:
    """Shows what replays would do."""

    database: Database
    dry_runs: DryRuns

    async def dry_run(self, wanted: Wanted, to: Connected, after: int = 0) -> DryRun:
        """Count all, and show one page of them, those behind the id `after`. `wanted` is a checked one.

        Raises:
            Refused: these are too many for one replay.
        """
        async with self.database.connection() as connection:
            at = await connection.fetchval("SELECT clock_timestamp()")
            counted = await numbers(connection, wanted, to, at)
            rows = await _page(connection, wanted, at, after)
        until = asyncio.get_running_loop().time() + MOST_SECONDS
        shown = [await self._preview(row, wanted, to, until) for row in rows[:PAGE]]
        return DryRun(counted, shown, shown[-1].id if len(rows) > PAGE else None)

    async def _preview(self, row: asyncpg.Record, wanted: Wanted, to: Connected, until: float) -> Preview:
        mapping = to.mappings.get(row["mapping"])
        if mapping is None:
            says = f"Left out: the destination has no mapping named {row['mapping']} any more."
            return _preview_of(row, None, says, _Made(), _sent(row, to))
        label = label_of(mapping.action.repeat, Past(row["applied"], row["unclear"]))
        if label == "would apply twice" and not wanted.twice:
            says = f"Left out, unless you say that it shall be. {WORDS[label]}"
        else:
            says = WORDS[label]
        made = await self._make(row, wanted, to, mapping, until)
        overtaken = row["overtaken"] and changes_nothing(mapping.action.repeat)
        sent = _sent(row, to)
        return _preview_of(row, label, made.reason or says, made, sent, OVERTAKEN if overtaken else None)

    async def _make(
        self, row: asyncpg.Record, wanted: Wanted, to: Connected, mapping: CompiledMapping, until: float
    ) -> "_Made":
        """Take the event as far as its request, as the deliverer would."""
        ran = None
        try:
            event = _admitted(row["message"], to, mapping)
            function = self.dry_runs.function_of(to.destination.name)
            if function is not None:
                ran = await self._run(row, wanted, function, event, until)
                event = _returned(ran)
            request = request_for(mapping.action, mapping.maps, event, to.settings)
        except _NothingSentError as nothing:
            return _Made(reason=nothing.sentence, ran=ran)
        except LoyaltyError as error:
            sentence = without_secrets(error.sentence, secrets(to.destination, to.settings))
            return _Made(reason=f"It would fail: {sentence}", ran=ran)
        shown = shown_request(request, secrets(to.destination, to.settings))
        return _Made({name: shown[name] for name in ("method", "url", "body")}, ran=ran)

    async def _run(
        self, row: asyncpg.Record, wanted: Wanted, function: str, event: dict[str, Any], until: float
    ) -> Outcome:
        """What the function makes of the event: as it was kept, or run now without any effect."""
        if wanted.function == "reuse" and row["outcome"] is not None:
            return Outcome(row["outcome"], row["returned"], row["function_error"], row["log"], row["calls"])
        if asyncio.get_running_loop().time() > until:
            raise _NothingSentError("Not tried: the insert functions of those before it took too long.")
        return await self.dry_runs.run(function, event)


class _NothingSentError(LoyaltyError):
    """Nothing would be sent."""


@dataclass(frozen=True)
class _Made:
    """How far an event came: a request, or why there is none."""

    request: dict[str, Any] | None = None
    reason: str | None = None
    ran: Outcome | None = None


def _admitted(message: dict[str, Any], to: Connected, mapping: CompiledMapping) -> dict[str, Any]:
    """The event as the insert function would get it."""
    event = message
    if to.filters is not None:
        reason = to.filters.reason(message)
        if reason is not None:
            raise _NothingSentError(f"Nothing would be sent. {reason}")
        event = to.filters.shape(message)
    if not mapping.takes(event):
        raise _NothingSentError("Nothing would be sent. The mapping's trigger does not take this event any more.")
    return event


def _returned(ran: Outcome) -> dict[str, Any]:
    """The event that the function returned."""
    if ran.outcome == "dropped":
        raise _NothingSentError(f"Nothing would be sent. {ran.error or 'The function dropped the event.'}")
    if ran.retryable:
        raise _NothingSentError(f"The function would be tried again later. {ran.error or ran.outcome}")
    if ran.outcome != "returned":
        raise _NothingSentError(f"It would fail: {ran.outcome}: {ran.error}")
    return ran.event or {}


def _sent(row: asyncpg.Record, to: Connected) -> dict[str, Any] | None:
    """The last request, without secrets."""
    sent: dict[str, Any] | None = without_secrets(row["request"], secrets(to.destination, to.settings))
    return sent


def _preview_of(
    row: asyncpg.Record,
    label: Label | None,
    says: str,
    made: _Made,
    sent: dict[str, Any] | None,
    warning: str | None = None,
) -> Preview:
    ran = made.ran
    return Preview(
        id=row["id"],
        mapping=row["mapping"],
        person=row["person"],
        event=row["name"] or row["type"],
        order_id=row["order_id"],
        created_at=row["created_at"],
        status=row["status"],
        error=row["error"],
        label=label,
        says=says,
        sent=sent,
        would_send=made.request,
        changes=differences(sent, made.request) if sent and made.request else [],
        warning=warning,
        function={"outcome": ran.outcome, "error": ran.error, "log": ran.log, "calls": ran.calls} if ran else None,
    )


async def _page(connection: asyncpg.Connection, wanted: Wanted, before: datetime, after: int) -> list[asyncpg.Record]:
    """One page of the chosen deliveries and one more, with all that is needed to tell what would become of each."""
    where = await chosen(connection, wanted.selection, before)
    where.add("delivery.id > {0}", after)
    rows: list[asyncpg.Record] = await connection.fetch(
        f"""WITH chosen AS MATERIALIZED (
                SELECT delivery.*, event.message, event.type, event.name, event.order_id
                FROM {FROM} WHERE {where.sql} ORDER BY delivery.id LIMIT {PAGE + 1}
            )
            SELECT chosen.*, coalesce(applied, false) AS applied, coalesce(unclear, false) AS unclear,
                   result.outcome, result.event AS returned, result.error AS function_error, result.log, result.calls,
                   (SELECT request FROM attempt WHERE delivery_id = chosen.id AND kind = 'send'
                    ORDER BY id DESC LIMIT 1) AS request,
                   EXISTS (SELECT FROM delivery AS later WHERE later.person = chosen.person AND later.id > chosen.id
                           AND later.destination = chosen.destination AND later.mapping = chosen.mapping
                           AND later.status = 'delivered') AS overtaken
            FROM chosen {TRIES} LEFT JOIN function_result AS result USING (event_position, destination)
            ORDER BY chosen.id""",  # noqa: S608 - our own text
        *where.arguments,
    )
    return rows
