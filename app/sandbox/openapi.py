"""`GET /sandbox/openapi.json`: what the sandbox serves, made from its routes, so that it lists what is there.

The shapes of requests are those that `shapes.py` knows. Where it knows none, the document says that JSON is taken and
no more: what is wrong with it the answer says.
"""

import re
from collections.abc import Iterator
from typing import Any

from litestar import Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from app.sandbox.read import AnyRequest
from app.sandbox.shapes import BODIES, QUERIES

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "/v1/": [{"application_id": [], "secret_key": []}],
    "/segmentio/": [{"integration_application_id": [], "integration_secret_key": []}],
}
_SCHEMES = {
    "application_id": {"type": "apiKey", "in": "header", "name": "X-App-Id"},
    "secret_key": {"type": "apiKey", "in": "header", "name": "X-App-Token"},
    "integration_application_id": {"type": "apiKey", "in": "header", "name": "authorization"},
    "integration_secret_key": {"type": "apiKey", "in": "header", "name": "secret-key"},
}
_ERROR = {
    "description": "Refused: Voucherify's error object",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "code": {"type": "integer"},
                    "statusCode": {"type": "integer"},
                    "key": {"type": "string"},
                    "message": {"type": "string"},
                    "details": {"type": "string"},
                    "request_id": {"type": "string"},
                },
                "required": ["message"],
            }
        }
    },
}


def document(routes: list[Any], url: str) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for path, method, handler in _operations(routes):
        paths.setdefault(path, {})[method.lower()] = _operation(path, method, handler)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Sandbox of the Loyalty Accelerator",
            "version": "v2018-08-01",
            "description": "A part of Voucherify's public API, emulated. It is not Voucherify.",
        },
        "servers": [{"url": url}],
        "paths": dict(sorted(paths.items())),
        "components": {"securitySchemes": _SCHEMES},
    }


def _operations(routes: list[Any]) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                    yield _PARAMETER.sub(r"{\1}", route.path), str(method), handler


def _operation(path: str, method: str, handler: HTTPRouteHandler) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(path)
    ]
    queries = QUERIES.get(f"{method} {path}") or (QUERIES["lists"] if method == "GET" and _lists(path) else {})
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in queries.items()]
    operation: dict[str, Any] = {
        "operationId": f"{handler.handler_name} {method} {path}",
        "summary": (handler.fn.__doc__ or handler.handler_name.replace("_", " ")).strip().partition("\n")[0],
        "tags": [path.split("/")[2] if path.count("/") > 1 else "sandbox"],
        "parameters": parameters,
        "responses": {str(handler.status_code): {"description": "Done"}, "default": _ERROR},
    }
    if method in {"POST", "PUT", "PATCH"}:
        body = BODIES.get(f"{method} {path}", {})
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    if security := next((each for prefix, each in _SECURITY.items() if path.startswith(prefix)), None):
        operation["security"] = security
    return operation


def _lists(path: str) -> bool:
    return path.startswith("/v1/") and not path.endswith("}")


@get("/sandbox/openapi.json", sync_to_thread=False)
def openapi(request: AnyRequest) -> dict[str, Any]:
    """What the sandbox serves, as OpenAPI."""
    return document(request.app.routes, str(request.base_url).rstrip("/"))


router = Router("/", route_handlers=[openapi])
