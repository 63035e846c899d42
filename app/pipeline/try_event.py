"""One event through a mapping, saved or not, as far as the request that would be sent. Nothing is sent.

The steps are those of the road, in its order (rule 7). One that would stop the event says so and the next are shown all
the same, as far as they can be: whoever mends one thing sees what comes after it.
"""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

import httpx

from app import jsvalues
from app.destinations.addresses import VARIABLE, AllowedHosts, refused
from app.destinations.base import Action, Payload
from app.errors import LoyaltyError
from app.pipeline.bridge import payload_for
from app.pipeline.configure_mappings import Draft, mapping_faults, trigger_faults
from app.pipeline.configure_settings import secrets, shown_request, without_secrets
from app.pipeline.functions import Outcome
from app.pipeline.mapping import compile_mapping
from app.pipeline.mappings import wants
from app.pipeline.registry import Connected
from app.pipeline.subscriptions import Trigger, compile_trigger

Run = Callable[[dict[str, Any]], Awaitable[Outcome]]
"""Runs the destination's insert function on an event, dry."""


@dataclass(frozen=True)
class Step:
    """One step. `passes` is None where it was not asked."""

    name: str
    """`enabled`, `integrations`, `filters`, `trigger`, `function`, `mapping`, `request`."""
    passes: bool | None
    sentence: str


@dataclass(frozen=True)
class Tried:
    """What became of the event."""

    would_send: bool
    steps: list[Step]
    event: dict[str, Any] | None
    """What was tried; None where no event was found that the trigger takes."""
    function: Outcome | None = None
    payload: Payload | None = None
    request: dict[str, Any] | None = None
    """`{method, url, headers, body}`, secrets masked."""


@dataclass
class _Road:
    steps: list[Step] = field(default_factory=list)

    def step(self, name: str, passes: bool | None, sentence: str) -> None:
        self.steps.append(Step(name, passes, sentence))

    @property
    def open(self) -> bool:
        return all(step.passes for step in self.steps)


def trigger_of(text: str) -> Trigger | None:
    """The trigger, compiled; None where it can't be read."""
    return None if trigger_faults(text) else compile_trigger(text)


def nothing_to_try(draft: Draft, looked_at: int) -> Tried:
    """No event was given and none was found."""
    faults = trigger_faults(draft.trigger)
    sentence = (
        f"It can't be read: {faults[0].message}" if faults else f"None of the latest {looked_at:,} events meets it."
    )
    return Tried(False, [Step("trigger", False, sentence)], None)


async def try_event(
    to: Connected, draft: Draft, event: dict[str, Any], run: Run | None, allowed: AllowedHosts
) -> Tried:
    """Take the event along the road of this mapping. `run` is None where the destination has no function.

    `allowed` are hosts that may be called though they are not public.
    """
    road = _Road()
    hidden = secrets(to.destination, to.settings)
    shaped = _gates(road, to, draft, event)
    outcome = await run(shaped) if run is not None else None
    if outcome is None:
        road.step("function", True, "This destination has no insert function.")
    else:
        road.step("function", outcome.outcome == "returned", _function_sentence(outcome))
        shaped = outcome.event or {} if outcome.outcome == "returned" else shaped
        outcome = replace(
            outcome, error=without_secrets(outcome.error, hidden), log=without_secrets(outcome.log, hidden)
        )
    payload, request = None, None
    if outcome is None or outcome.outcome == "returned":
        payload, request = _made(road, to, draft, shaped, hidden, allowed)
    else:
        road.step("mapping", None, "The function returned no event to map.")
    return Tried(road.open, road.steps, event, outcome, payload, request)


def _gates(road: _Road, to: Connected, draft: Draft, event: dict[str, Any]) -> dict[str, Any]:
    """All that decides whether the event goes to the function; returns what the destination may see of it."""
    if to.enabled and draft.enabled:
        road.step("enabled", True, "The destination and the mapping are enabled.")
    else:
        road.step(
            "enabled", False, f"The {'mapping' if to.enabled else 'destination'} is disabled: nothing is made for it."
        )
    known_as = to.destination.name
    name = to.name if to.name == known_as else f"{to.name} (there it is {known_as})"
    if wants(event, known_as):
        road.step("integrations", True, f"The event's integrations object lets it through to {name}.")
    else:
        road.step("integrations", False, f"The event's integrations object keeps it from {name}.")
    shaped = event
    reason = to.filters.reason(event) if to.filters is not None else None
    if to.filters is not None and reason is None:
        shaped = to.filters.shape(event)
    kept = "Filters took properties away." if shaped != event else "No filter holds it back."
    road.step("filters", reason is None, reason or kept)
    faults = trigger_faults(draft.trigger)
    if faults:
        road.step("trigger", False, f"It can't be read: {faults[0].message}")
        return shaped
    try:
        takes = compile_trigger(draft.trigger)(shaped)
        road.step(
            "trigger", takes, "The trigger takes this event." if takes else "The trigger does not take this event."
        )
    except LoyaltyError as error:
        road.step("trigger", False, f"It fails on this event: {error.sentence}")
    return shaped


def _function_sentence(outcome: Outcome) -> str:
    took = f"in {outcome.milliseconds:.0f} ms"
    writes = sum(1 for call in outcome.calls if call.get("dry"))
    if outcome.outcome == "returned":
        unmade = "1 call that would have written was" if writes == 1 else f"{writes} calls that would have written were"
        held = f" {unmade} not made." if writes else ""
        return f"The insert function returned the event {took}.{held}"
    if outcome.outcome == "dropped":
        return f"The insert function dropped the event: {outcome.error or 'it gave no reason'}"
    again = "It would be tried again." if outcome.retryable else "It would not be tried again."
    return f"The insert function failed ({outcome.outcome}): {outcome.error} {again}"


def _made(
    road: _Road,
    to: Connected,
    draft: Draft,
    event: dict[str, Any],
    hidden: tuple[str, ...],
    allowed: AllowedHosts,
) -> tuple[Payload | None, dict[str, Any] | None]:
    """What the mapping makes of the event, and the request that the action makes of that."""
    action: Action | None = to.destination.actions.get(draft.action)
    if action is None:
        road.step("mapping", False, f"{to.name} has no action {draft.action[:100]!r}.")
        return None, None
    faults = mapping_faults(draft.mapping)
    if faults:
        road.step("mapping", False, " ".join(fault.message for fault in faults))
        return None, None
    try:
        payload = payload_for(action, compile_mapping(draft.mapping), event)
    except LoyaltyError as error:
        road.step("mapping", False, error.sentence)
        return None, None
    road.step("mapping", True, f"The payload of {action.title.strip()} is complete.")
    try:
        made = action.build(payload, to.settings)
        request = shown_request(made, hidden)
    except LoyaltyError as error:
        road.step("request", False, without_secrets(error.sentence, hidden))
        return payload, None
    if to.destination.transport == "web" and (host := _internal(made.url, allowed)):
        sentence = f"{host} is an address that is not public, so nothing would be sent. If it shall be called, name it"
        road.step("request", False, f"{sentence} in {VARIABLE}.")
    else:
        told = "This would be sent." if road.open else "This would be sent, if nothing above stood in the way."
        road.step("request", True, told)
    return jsvalues.clean(payload), request


def _internal(url: str, allowed: AllowedHosts) -> str | None:
    """The host of an address, where that is a number of a net which is not public. Names are not looked up here."""
    place = httpx.URL(url)
    host, port = place.host, place.port or (443 if place.scheme == "https" else 80)
    try:
        number = str(ip_address(host.partition("%")[0]))
    except ValueError:
        try:
            number = socket.inet_ntoa(socket.inet_aton(host))  # as the system reads 127.1 and 2130706433
        except OSError:
            return None
    return host if refused([number]) and not allowed.has(host, port) else None
