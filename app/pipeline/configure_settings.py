"""The settings of a destination: checked before they are kept, and never shown with their secrets. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from app.destinations.base import Destination, Request
from app.errors import LoyaltyError
from app.pipeline.configure_shared import Fault, refuse
from app.text import MASK

HARMLESS: Final = frozenset({"accept", "content-type", "idempotency-key", "user-agent"})
"""Headers that are shown as they are. Of all others nobody here can tell whether they carry a key."""
_SECRET_KEY: Final = re.compile(r"authorization|api[-_]?key|secret|token|password|cookie", re.IGNORECASE)
SHORTEST_SECRET: Final = 4
"""Characters. A shorter one would blot out text that only happens to be the same."""


def masked(destination: Destination, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as anybody may see them. What no field names is left out."""
    return {
        field.name: MASK if field.kind == "password" and settings[field.name] else settings[field.name]
        for field in destination.settings
        if field.name in settings
    }


def checked_settings(
    destination: Destination, given: Mapping[str, Any], old: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The settings that shall be kept, with the old secrets where the mask came back.

    Raises:
        BadInput: a setting is missing, unknown, or can't be used; the sentences quote no secret.
    """
    names = {field.name for field in destination.settings}
    faults = [
        Fault(f"settings.{name[:60]}", f"{destination.name} has no such setting.")
        for name in given
        if name not in names
    ]
    settings = dict(given)
    for field in destination.settings:
        if field.kind == "password" and settings.get(field.name) == MASK:
            if old and old.get(field.name):
                settings[field.name] = old[field.name]
            else:
                faults.append(Fault(f"settings.{field.name}", "there is none yet: give it."))
        elif settings.get(field.name) in ("", None):
            settings.pop(field.name, None)
    if faults:
        raise refuse(*faults)
    try:
        valid = destination.validate_settings(settings)
        destination.test_connection(valid)  # builds requests, and so finds an address that is none
    except LoyaltyError as error:
        raise refuse(Fault("settings", without_secrets(error.sentence, secrets(destination, settings)))) from None
    return valid


def masked_mapping(value: Any) -> Any:
    """A mapping, or what it made, without the texts under a key such as `authorization`: for who is no admin.

    Paths into the event are shown: they are no secrets.
    """
    if isinstance(value, list):
        return [masked_mapping(item) for item in value]
    if isinstance(value, dict):
        return {key: _blotted(item) if _SECRET_KEY.search(key) else masked_mapping(item) for key, item in value.items()}
    return value


def _blotted(value: Any) -> Any:
    if isinstance(value, list):
        return [_blotted(item) for item in value]
    if isinstance(value, dict):
        return {key: item if key == "@path" else _blotted(item) for key, item in value.items()}
    return MASK if isinstance(value, str) and value else value


def secrets(destination: Destination, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The secrets in the settings, wherever they stand, the longest first."""
    names = {field.name for field in destination.settings if field.kind == "password"}
    found = {text for text in _values(settings, names) if len(text) >= SHORTEST_SECRET}
    return tuple(sorted(found | {quote(text, safe="") for text in found}, key=len, reverse=True))


def _values(settings: Mapping[str, Any], names: set[str]) -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _values(value, names)
        elif name in names and isinstance(value, str):
            yield value


def without_secrets(value: Any, found: tuple[str, ...]) -> Any:
    """The same JSON with every secret masked."""
    if isinstance(value, str):
        for secret in found:
            value = value.replace(secret, MASK)
        return value
    if isinstance(value, list):
        return [without_secrets(item, found) for item in value]
    if isinstance(value, dict):
        return {key: without_secrets(item, found) for key, item in value.items()}
    return value


def shown_request(request: Request, found: tuple[str, ...]) -> dict[str, Any]:
    """A request as it would be sent, without its secrets."""
    return {
        "method": request.method,
        "url": without_secrets(request.url, found),
        "headers": {name: value if name.lower() in HARMLESS else MASK for name, value in request.headers.items()},
        "body": without_secrets(request.body, found),
    }
