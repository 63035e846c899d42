"""The description of our API at `/schema`: what Litestar reads off the handlers, and what it cannot see there.

It sees no guard and takes every refusal for one of its own. Which roles a route wants, and that all refusals are
problem+json, is added here from the same facts that make it so.
"""

from litestar import Litestar
from litestar import Router as LitestarRouter
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    Schema,
    SecurityScheme,
)
from litestar.routes import HTTPRoute

from app.auth.principal import role_of

CONFIG = OpenAPIConfig(
    title="Loyalty Accelerator",
    version="0.1.0",
    render_plugins=[
        SwaggerRenderPlugin(
            js_url="/static/swagger/swagger-ui-bundle.js",
            css_url="/static/swagger/swagger-ui.css",
            standalone_preset_js_url="/static/swagger/swagger-ui-standalone-preset.js",
            favicon='<link rel="icon" href="/static/swagger/favicon-32x32.png">',
        )
    ],
    openapi_router=LitestarRouter("/schema", route_handlers=[], opt={"role": "public"}),
)
KEY = SecurityScheme(
    type="http",
    scheme="bearer",
    description="A key made by `python -m app.access make`, or the token of a sign-in.",
)
REFUSALS = {
    "400": (
        "Bad input: the sentence names the field and the fix.",
        "BadInput",
        "points must not be 0.",
    ),
    "401": ("No credentials, or none that are known.", "NotSignedIn", "Sign in, or send an access key."),
    "403": ("The credentials have another role.", "NotAllowed", "This needs the role operator."),
    "404": ("There is no such thing.", "NotFound", "No member has this id."),
    "409": ("Somebody was faster, or this key was used for another request.", "Conflict", "It was changed meanwhile."),
    "422": ("It is understood, and can't be done.", "Refused", "The coupon has been used."),
    "503": ("Too much at once, or a part is away: ask again after `Retry-After`.", "Busy", "Try again in a moment."),
}
"""Status: what it means, and an example's title and detail."""
ELSEWHERE = ("/v1/", "/bridge/", "/webhooks/", "/health", "/metrics", "/schema")
"""Where another protocol rules, errors included."""


def complete(app: Litestar) -> None:
    """Add to the description what each route refuses, and that it wants a key."""
    described = app.openapi_schema
    assert described.components is not None
    described.components.security_schemes = {"key": KEY}
    for route in app.routes:
        item = (described.paths or {}).get(getattr(route, "path_format", ""))
        if item is None or not isinstance(route, HTTPRoute) or route.path.startswith(ELSEWHERE):
            continue
        for handler in route.route_handlers:
            for method in handler.http_methods:
                operation: Operation | None = getattr(item, method.lower(), None)
                if operation is not None:
                    _state(operation, method, role_of(handler))


def _state(operation: Operation, method: str, role: str) -> None:
    answers = operation.responses = dict(operation.responses or {})
    parameters = [each for each in operation.parameters or [] if isinstance(each, Parameter)]
    statuses = {"503"} | ({"400"} if "400" in answers else set())
    if role != "public":
        operation.security = [{"key": []}]
        operation.description = f"{operation.description or ''}\n\nRole: {role}.".strip()
        statuses |= {"401", "403"}
    if any(each.param_in == "path" for each in parameters):
        statuses.add("404")
    if method in {"POST", "PATCH", "DELETE"} and role != "public":
        statuses.add("409")
    if any(each.name == "Idempotency-Key" for each in parameters):
        statuses.add("422")
    answers.update({status: _problem(status) for status in statuses})


def _problem(status: str) -> OpenAPIResponse:
    meaning, title, detail = REFUSALS[status]
    text = Schema(type=OpenAPIType.STRING)
    schema = Schema(
        type=OpenAPIType.OBJECT,
        properties={"status": Schema(type=OpenAPIType.INTEGER), "title": text, "detail": text, "type": text},
        required=["status", "title", "detail"],
    )
    example = Example(value={"status": int(status), "title": title, "detail": detail})
    content = {"application/problem+json": OpenAPIMediaType(schema=schema, examples={title: example})}
    return OpenAPIResponse(description=meaning, content=content)
