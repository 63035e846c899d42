"""How the Voucherify destination reaches Voucherify: its settings, addresses and headers.

`segmentio` is the transport of Segment's own Voucherify destination, which speaks to a gateway that Voucherify runs for
it: another host (`api` becomes `segmentio`), other headers, a quota of its own, and only metadata that the project's
schema defines is kept. `v1` is Voucherify's public API with an API key. One setting chooses.
"""

import re
from base64 import b64encode
from functools import lru_cache
from typing import Any, Final

from app.destinations.base import Request, Settings, SettingsError
from app.destinations.fields import Field

SETTINGS: Final = (
    Field("apiKey", "Application ID", "password", required=True),
    Field("secretKey", "Secret Key", "password", required=True),
    Field(
        "customURL",
        "Custom Voucherify URL",
        required=True,
        help="Where requests go: https://segmentio.voucherify.io (with us1. or as1. in front in those regions) for the "
        "transport segmentio, https://api.voucherify.io for v1.",
    ),
    Field("transport", "Transport", help="segmentio (what Segment itself uses, and the default) or v1."),
)

# Segment's pattern. It wants a dot in the host, so http://127.0.0.1:8100 passes and http://localhost:8100 does not.
_URL: Final = re.compile(
    r"https?://(?:www\.)?[-a-zA-Z0-9@:%._+~#=]{1,256}\.[a-zA-Z0-9()]{1,6}\b[-a-zA-Z0-9()@:%_+.~#?&/=]*", re.ASCII
)


def uses_v1(settings: Settings) -> bool:
    """Whether the public API is the transport.

    Raises:
        SettingsError: the setting has a value that is no transport.
    """
    transport = settings.get("transport") or "segmentio"
    if transport not in ("segmentio", "v1"):
        raise SettingsError(f"The transport is segmentio or v1, not {transport!r}.")
    return bool(transport == "v1")


def segmentio(settings: Settings, path: str, body: Any, method: str = "POST") -> Request:
    """A request to the gateway, byte for byte the one that Segment sends.

    `authorization` is `Basic` with the application id alone, without `:` and secret, which RFC 7617 would not accept.

    Raises:
        SettingsError: a key is missing, or the address is missing or malformed.
    """
    address, authorization, secret_key = _gateway(*_checked(settings))
    headers = {"authorization": authorization, "secret-key": secret_key, "user-agent": "Segment (Actions)"}
    if body is not None:
        headers["content-type"] = "application/json"
    return Request(method, f"{address}/segmentio/{path}", headers, body)


def v1(settings: Settings, path: str, body: Any, method: str = "POST") -> Request:
    """A request to the public API.

    Raises:
        SettingsError: a key is missing, or the address is missing or malformed.
    """
    address, application_id, secret_key = _checked(settings)
    headers = {"x-app-id": application_id, "x-app-token": secret_key}
    if body is not None:
        headers["content-type"] = "application/json"
    return Request(method, f"{address.rstrip('/')}/v1/{path}", headers, body)


def test_connection(settings: Settings) -> tuple[Request, ...]:
    """Requests that change nothing and are refused where the keys are wrong: one for each door that the actions use."""
    api = v1(settings.get("api") or settings, "customers?limit=1", None, "GET")
    if uses_v1(settings):
        return (api,)
    gateway = segmentio(settings, "test-authentication", None, "GET")
    return (gateway, api) if "api" in settings else (gateway,)


def _checked(settings: Settings) -> tuple[str, str, str]:
    """Address, application id and secret key."""
    application_id, secret_key, address = (settings.get(name) for name in ("apiKey", "secretKey", "customURL"))
    if not application_id or not secret_key:
        raise SettingsError("The request is missing Application ID or Secret Key.")
    if not address:
        raise SettingsError("URL not provided.")
    if not _is_url(address):
        raise SettingsError(
            f"The Custom URL: {address} is invalid. "
            "It probably lacks the HTTP/HTTPS protocol or has an incorrect format."
        )
    return address, application_id, secret_key


@lru_cache(maxsize=64)
def _is_url(address: str) -> bool:
    return _URL.fullmatch(address) is not None


@lru_cache(maxsize=64)
def _gateway(address: str, application_id: str, secret_key: str) -> tuple[str, str, str]:
    """The parts of every request to one gateway; there are as many as a deployment has Voucherify projects."""
    return address, f"Basic {_base64(application_id)}", _base64(secret_key)


def _base64(text: str) -> str:
    return b64encode(text.encode("utf-8", "replace")).decode("ascii")
