"""What the door takes, for the description of the API: its handlers read bodies as bytes, so no model can tell."""

from dataclasses import dataclass
from typing import Any

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

_TRACK = {
    "type": "track",
    "userId": "u-1",
    "event": "Coffee Drunk",
    "properties": {"cups": 2},
    "timestamp": "2026-11-22T09:30:00.000Z",
}


def taking(example: dict[str, Any]) -> type[Operation]:
    """An operation whose body is a JSON object like this one."""

    @dataclass
    class Taking(Operation):
        def __post_init__(self) -> None:
            body = OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT), example=example)
            self.request_body = RequestBody(content={"application/json": body}, required=True)

    return Taking


BATCH = taking({"writeKey": "…", "sentAt": "2026-11-22T09:30:01.000Z", "batch": [_TRACK]})
IMPORT = taking(
    {"writeKey": "…", "batch": [{("action" if name == "type" else name): value for name, value in _TRACK.items()}]}
)
SINGLE = taking({"writeKey": "…", **{name: value for name, value in _TRACK.items() if name != "type"}})
"""Of `/v1/track`: the path has the type."""
FROM_SEGMENT = taking({**_TRACK, "messageId": "ajs-1", "receivedAt": "2026-11-22T09:30:01.250Z"})
