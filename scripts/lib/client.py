"""Plain HTTP for the commands: JSON to and from our own servers."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

# Never by a proxy: these servers are ours, mostly on this machine, where a proxy could not find them.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NoAnswer(Exception):
    """Nobody answered at that address."""


def call(
    method: str,
    url: str,
    *,
    key: str = "",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10,
) -> tuple[int, Any]:
    """Send one request; answers the status and the decoded body (text where it is no JSON). Raises `NoAnswer`."""
    sent = {"Accept": "application/json", **(headers or {})}
    if key:
        sent["Authorization"] = f"Bearer {key}"
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data=data, headers=sent, method=method)  # noqa: S310
    try:
        with _OPENER.open(request, timeout=timeout) as answer:
            return answer.status, _decode(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _decode(error.read())
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{url}: {getattr(error, 'reason', error)}") from error


def _decode(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
