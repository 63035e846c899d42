"""What a destination is: frozen values that say which actions there are and which request each would send.

Nothing here does I/O. An action's `build` is a pure function from the validated payload and the settings to a
`Request`; whoever delivers sends it, retries it, and keeps what was answered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from app.destinations.fields import Field, Validate, compile_validator, default_mapping
from app.errors import BadInput

Payload = dict[str, Any]
Settings = Mapping[str, Any]


class SettingsError(BadInput):
    """The destination's settings can't be used: a key is missing, or the address is not one."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, ready to send. `body` is JSON, or None for none."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Any = None


class Answer(Protocol):
    """What a destination answered to a request that it carried out."""

    @property
    def status(self) -> int: ...
    @property
    def answered(self) -> Any:
        """Its body: parsed JSON, or text."""

    @property
    def rest(self) -> float:
        """Seconds that it asks to be left alone after this answer, by its rate headers; 0 when it does not say."""


class Transport(Protocol):
    """How requests reach a destination."""

    async def send(
        self,
        method: str,
        url: str,
        body: Any,
        headers: Mapping[str, str],
        *,
        may_leave: Callable[[], bool] | None = None,
    ) -> Answer:
        """Send one request, or raise a `DestinationError`.

        `may_leave` is asked when the first byte is about to go; where it says no, `LeaseLost` is raised.
        """


@dataclass(frozen=True, slots=True)
class Sent:
    """What is known of a request that was sent and got no answer."""

    started_at: datetime
    """By the database's clock."""
    payload: Payload


@dataclass(frozen=True, slots=True)
class Repeat:
    """What may be done when a request was sent and no answer came, for it may have been carried out.

    `safe`: send it again, a retry does no harm. Else `look_up` builds a request that asks, and `is_done` reads its
    answer (None for 404); without one the delivery is held as unclear, for nobody can know.
    """

    safe: bool
    look_up: Callable[[Payload, Settings], Request] | None = None
    is_done: Callable[[Any, Sent], bool] | None = None
    delay: float = 5.0
    """Seconds that the request is given to be carried out before anybody looks."""
    again: bool = True
    """Of one that is `safe`: sent again later, by a replay, though it is known to be done, it changes nothing either.
    False where that would be a second message: it is replayed only where somebody says so."""
    sends_again: bool = True
    """Where it is not found: send it again, or (False) hold it as unclear, because not found is not yet not done."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a destination can do with an event.

    `build` takes the validated payload and the destination's validated settings; it raises `SettingsError` where these
    can't be used. `validate` is compiled from `fields`.
    """

    slug: str
    title: str
    description: str
    default_trigger: str
    fields: tuple[Field, ...]
    build: Callable[[Payload, Settings], Request]
    repeat: Repeat = field(default_factory=lambda: Repeat(safe=False))
    validate: Validate = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "validate", compile_validator(self.fields))

    @property
    def default_mapping(self) -> dict[str, Any]:
        """The mapping that Segment's interface fills in for a new subscription."""
        return default_mapping(self.fields)


@dataclass(frozen=True, slots=True)
class Preset:
    """A subscription that a new destination starts with: events that meet `trigger` are mapped and go to `action`."""

    name: str
    trigger: str
    action: str
    mapping: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Destination:
    """A system that events are sent to.

    `slug` is stable; `name` is the key that people write into an event's `integrations` object. `test_connection` gives
    harmless requests, one for each of its doors, which all succeed where it is up and accepts the settings.
    """

    name: str
    slug: str
    settings: tuple[Field, ...]
    actions: Mapping[str, Action]
    presets: tuple[Preset, ...]
    test_connection: Callable[[Settings], tuple[Request, ...]]
    transport: str = "web"
    """How requests get there: `web`, to any address of the open net, or `voucherify`."""
    validate_settings: Validate = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "validate_settings", compile_validator(self.settings, remove_empty=False))
