"""What lets a page of any other site write here: the door takes write keys, which such a page shows to everybody."""

from typing import Final

from litestar import route
from litestar.datastructures import ResponseHeader
from litestar.enums import HttpMethod

PATHS: Final = ("/v1/batch", "/v1/b", "/v1/import", "/v1/{call:str}")

FOR_BROWSERS: Final = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "retry-after, x-ratelimit-reset",
}
"""On every answer of the door. No cookie of ours counts here, so any origin may read them."""


@route(
    list(PATHS),
    http_method=[HttpMethod.OPTIONS],
    role="public",
    status_code=204,
    include_in_schema=False,
    response_headers=[
        ResponseHeader(name="access-control-allow-methods", value="POST"),
        # The asterisk does not stand for Authorization, which has to be named.
        ResponseHeader(name="access-control-allow-headers", value="*, authorization"),
        ResponseHeader(name="access-control-max-age", value="86400"),
    ],
)
async def preflight() -> None:
    """Whether a page may send what it is about to send: it may."""
