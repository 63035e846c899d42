"""Trying a mapping or a connection from the web process: what the API and the screens share."""

import asyncio
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from litestar.datastructures import State

from app.auth.principal import Principal
from app.destinations.addresses import AllowedHosts
from app.destinations.base import Transport
from app.errors import DestinationError, NotFound
from app.pipeline import configure, recent_events
from app.pipeline.configure_mappings import Draft, is_too_large
from app.pipeline.configure_read import FilterRead
from app.pipeline.configure_settings import masked_mapping, secrets, without_secrets
from app.pipeline.configure_shared import no_destination
from app.pipeline.dry_runs import DryRuns
from app.pipeline.lint import Finding, Subscription, lint_destination, lint_mapping, lint_trigger
from app.pipeline.recent_events import LOOK_BACK, RecentEvent
from app.pipeline.registry import Connected, Registry
from app.pipeline.try_event import Tried, nothing_to_try, trigger_of, try_event

SAMPLES = 100
"""The latest events that a mapping is held against."""


@dataclass(frozen=True, kw_only=True)
class Tested(Tried):
    """A mapping tried on an event: what would become of it, step by step. Nothing was sent."""

    position: int | None
    """Where the event stands in the log; null for one that was given."""
    findings: list[Finding]
    """What is worth knowing about trigger and mapping, whatever the event."""


async def findings(
    state: State, to: Connected, draft: Draft, slug: str | None = None, event: dict[str, Any] | None = None
) -> list[Finding]:
    """What is worth knowing about a draft, by itself, beside its neighbours, and for the events that came of late.

    `slug` names the saved mapping that it would take the place of; `event`, which it is tried on, counts as one that
    came. Of what is too large to be saved, nothing is said.
    """
    if is_too_large(draft):
        return []
    samples = [each.message for each in await recent_events.recent(state.database, SAMPLES)]
    if event is not None and event not in samples:
        samples.insert(0, event)
    others = [other for other in await _subscriptions(state, to.slug) if other.slug != slug]
    # In a thread, as everything that reads texts of people's own: other requests go on meanwhile.
    return await asyncio.to_thread(_found, to, draft, slug or "this mapping", samples, others)


def _found(
    to: Connected, draft: Draft, slug: str, samples: list[dict[str, Any]], others: list[Subscription]
) -> list[Finding]:
    found = lint_trigger(draft.trigger)
    if (action := to.destination.actions.get(draft.action)) is not None:
        found += lint_mapping(action, draft.trigger, draft.mapping, samples)
    mine = Subscription(slug, draft.action, draft.trigger, draft.mapping)
    for other in others:
        found += lint_destination([mine, other])
    return found


async def findings_of_all(state: State, destination: str) -> list[Finding]:
    """What is worth knowing about the mappings of a destination together."""
    return await asyncio.to_thread(lint_destination, await _subscriptions(state, destination))


async def findings_of_filters(filters: list[FilterRead]) -> dict[int, list[Finding]]:
    """What is worth knowing about the conditions of filters, by their ids."""
    return {each.id: await asyncio.to_thread(lint_trigger, each.condition) for each in filters}


async def _subscriptions(state: State, destination: str) -> list[Subscription]:
    async with state.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT slug, action, trigger, mapping, enabled FROM mapping WHERE destination = $1 ORDER BY place, id",
            destination,
        )
    return [Subscription(**row) for row in rows]


@dataclass(frozen=True)
class Probe:
    """One harmless request that was sent to see whether a destination is there and takes the settings."""

    request: str
    """Method and address."""
    passes: bool
    status: int | None
    milliseconds: float
    sentence: str


async def connected(state: State, slug: str) -> Connected:
    """A destination as it is set up now.

    Raises:
        NotFound: it is not connected.
    """
    registry: Registry = state.registry
    await registry.refresh()
    if slug not in registry.connected:
        raise no_destination(slug)
    return registry.connected[slug]


async def try_draft(
    state: State,
    slug: str,
    draft: Draft,
    event: dict[str, Any] | None = None,
    position: int | None = None,
    saved: str | None = None,
) -> Tested:
    """Try a draft on an event: the one that is given, else the one at `position`, else the newest that it takes.

    Raises:
        NotFound: the destination or the event is not there.
    """
    to = await connected(state, slug)
    if event is None and position is not None:
        event = await recent_events.event_at(state.database, position)
    elif event is not None:
        position = None
    elif (found := await _newest(state, draft)) is not None:
        event, position = found.message, found.position
    if event is None:
        tried = nothing_to_try(draft, LOOK_BACK)
    else:
        runs: DryRuns = state.dry_runs
        function = runs.function_of(to.destination.name)
        run = partial(runs.run, function) if function is not None else None
        allowed = AllowedHosts.read(state.settings.general.webhook_allowed_hosts)
        tried = await try_event(to, draft, event, run, allowed)
    return Tested(position=position, findings=await findings(state, to, draft, saved, event), **vars(tried))


def seen_by(principal: Principal, tested: Tested) -> Tested:
    """What was tried as this person may see it: keys that stand in a mapping are for admins."""
    if principal.may("admin"):
        return tested
    return replace(tested, payload=masked_mapping(tested.payload), request=masked_mapping(tested.request))


async def _newest(state: State, draft: Draft) -> RecentEvent | None:
    takes = trigger_of(draft.trigger)
    return await recent_events.newest_taken(state.database, takes) if takes is not None else None


async def probe(state: State, slug: str) -> list[Probe]:
    """Send the destination's test requests and tell what came of each. They change nothing there.

    Where it is down and answers, the workers ask it at once.

    Raises:
        NotFound: it is not connected.
        SettingsError: its settings can't be used.
    """
    to = await connected(state, slug)
    transport: Transport | None = state.transports.get(to.destination.transport)
    if transport is None:
        raise NotFound(f"This process has no way to {to.name}.")
    hidden = secrets(to.destination, to.settings)
    probes = []
    for request in to.destination.test_connection(to.settings):
        started = time.perf_counter()
        try:
            answer = await transport.send(request.method, request.url, request.body, request.headers)
        except DestinationError as error:
            passes, status, sentence = False, error.code or None, error.sentence
        else:
            passes, status, sentence = True, answer.status, f"It answered {answer.status}."
        probes.append(
            Probe(
                without_secrets(f"{request.method} {request.url}", hidden),
                passes,
                status,
                round((time.perf_counter() - started) * 1000, 1),
                without_secrets(sentence, hidden),
            )
        )
    if all(probe.passes for probe in probes):
        await configure.ask_now(state.database, slug)
    return probes
