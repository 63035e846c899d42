"""A webhook's settings, its signature, and the headers that it leaves with."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from app import jsvalues
from app.destinations.base import Request, Settings, SettingsError
from app.destinations.fields import Fault, Field, PayloadError
from app.destinations.web import NOT_AN_ADDRESS, encoded, is_address

SETTINGS: Final = (
    Field(
        "sharedSecret",
        "Shared Secret",
        "password",
        help="If set, requests carry the header X-Signature: the body's HMAC-SHA1 under this secret, in hex.",
    ),
    Field(
        "url",
        "URL",
        help="Where mappings without a URL of their own send to. It is also asked (HEAD) whether it is up.",
    ),
)

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
# What belongs to the connection, and a name that must be the address's own.
_NOT_OURS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)


def signature(secret: str, body: bytes) -> str:
    """Lower-case hex HMAC-SHA1 of the body as it leaves, as Segment signs its webhooks."""
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


def request(method: str, url: str, headers: Mapping[str, Any], data: Any, settings: Settings, key: str) -> Request:
    """The signed request. `key` is the value of `Idempotency-Key`; empty: there is none.

    Raises:
        PayloadError: the URL is none, or a header can't be sent.
    """
    if not is_address(url):
        raise PayloadError(Fault("$.url", "/url", NOT_AN_ADDRESS))
    whole = {"content-type": "application/json"}
    if key:
        whole["idempotency-key"] = key
    whole |= _own(headers)
    secret, body = settings.get("sharedSecret"), encoded(data)
    whole.pop("x-signature", None)  # whoever writes the mapping may not sign in our name
    if secret and body is not None:
        whole["x-signature"] = signature(secret, body)
    return Request(method, url, whole, data)


def test_connection(settings: Settings) -> tuple[Request, ...]:
    """A HEAD, which changes nothing: any answer shows that somebody is there. None where no URL is set up.

    It does not show whether the receiver accepts the secret: only a delivery does.

    Raises:
        SettingsError: the URL is none.
    """
    url = settings.get("url")
    if not url:
        return ()
    if not is_address(url):
        raise SettingsError(NOT_AN_ADDRESS)
    return (Request("HEAD", url, {}),)


def _own(headers: Mapping[str, Any]) -> dict[str, str]:
    """The mapping's own headers, in lower case; those without a value are left out."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        if value is None:
            continue
        text = jsvalues.to_string(value) if not isinstance(value, dict | list) else None
        if text is None or not _NAME.fullmatch(name) or not _VALUE.fullmatch(text) or name.lower() in _NOT_OURS:
            raise PayloadError(Fault("$.headers", "/headers", f"The header {name!r} can't be sent with this value."))
        kept[name.lower()] = text
    return kept
