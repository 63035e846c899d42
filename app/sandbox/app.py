"""The ASGI application: routers, errors in Voucherify's shapes, and the sender of webhooks beside them."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import structlog
from litestar import Litestar, Response, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.types import Receive, Scope, Send

from app.sandbox import (
    activity,
    assets,
    async_actions,
    auto_redeem,
    campaigns,
    categories,
    control,
    csv_imports,
    customers,
    dashboard,
    earning_estimates,
    earning_rules,
    events,
    loyalties,
    member_rewards,
    metadata,
    nightly,
    openapi,
    orders,
    pending_points,
    point_buckets,
    product_collections,
    products,
    promotion_stacks,
    promotions,
    publications,
    qualifications,
    redemptions,
    referral_holders,
    reward_assignments,
    rewards,
    rollbacks,
    segmentio,
    segments,
    sessions,
    skus,
    stacking_rules,
    tiers,
    transactions,
    transfers,
    validation_rules,
    validations,
    voucher_bulk,
    voucher_edits,
    voucher_imports,
    vouchers,
)
from app.sandbox.config import SandboxConfig
from app.sandbox.edge import API, Edge
from app.sandbox.errors import Failure, FrameworkFailure, NotEmulated
from app.sandbox.read import AnyRequest
from app.sandbox.store import Store
from app.sandbox.webhooks import Sender
from app.sandbox.work import CALL, Work

log = structlog.get_logger()
_DOCUMENTED = {
    "/v1/orders/export": {"POST"},
    "/v1/orders/import": {"POST"},
}
"""Methods that Voucherify has at an address of which the sandbox has others: 501, not 405."""


class Sandbox:
    """The sandbox as an ASGI application; `store` and `edge` are open to tests."""

    def __init__(self, config: SandboxConfig) -> None:
        self.store = Store(config)
        self.store.before_commit = _what_follows
        self.litestar = Litestar(
            route_handlers=[
                Router("/v1", route_handlers=[module.router for module in V1]),
                stacking_rules.router,
                assets.router,
                segmentio.router,
                control.router,
                dashboard.router,
                openapi.router,
            ],
            dependencies={
                "store": Provide(lambda: self.store, sync_to_thread=False),
                "edge": Provide(lambda: self.edge, sync_to_thread=False),
            },
            exception_handlers={
                Failure: _failure,
                FrameworkFailure: _framework_failure,
                NotFoundException: _no_such_address,
                MethodNotAllowedException: _no_such_method,
                HTTPException: _other,
                asyncpg.DataError: _unfit_data,
                asyncpg.DeadlockDetectedError: _at_once,
                asyncpg.ForeignKeyViolationError: _at_once,  # what it refers to was deleted in this moment
                Exception: _broken,
            },
            lifespan=[self._lifespan],
            openapi_config=None,
            logging_config=None,  # its own would override ours
            request_max_body_size=None,
        )
        self.edge = Edge(self.litestar, self.store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.edge(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Litestar) -> AsyncIterator[None]:
        await self.store.pool()
        async with Sender(self.store).running(), nightly.running(self.store):
            log.info("sandbox.started", url=self.store.config.url)
            yield
        await self.store.close()


async def _what_follows(work: Work) -> None:
    """In the same transaction: the tiers of those whose points moved, and the segments of those who were touched."""
    await _points_spent_and_counted(work)
    if work.announced:
        await segments.settle(work)
        await _points_spent_and_counted(work)  # who enters a segment may earn


async def _points_spent_and_counted(work: Work) -> None:
    await auto_redeem.settle(work)
    await tiers.settle_moved(work)
    await auto_redeem.settle(work)  # a rule on tiers gives points


V1: list[Any] = [
    activity,
    async_actions,
    campaigns,
    categories,
    csv_imports,
    customers,
    earning_estimates,
    earning_rules,
    events,
    loyalties,
    member_rewards,
    metadata,
    orders,
    pending_points,
    point_buckets,
    product_collections,
    products,
    promotions,
    publications,
    qualifications,
    redemptions,
    referral_holders,
    reward_assignments,
    rewards,
    rollbacks,
    segments,
    sessions,
    skus,
    promotion_stacks,
    tiers,
    transactions,
    transfers,
    validation_rules,
    validations,
    voucher_bulk,
    voucher_edits,
    voucher_imports,
    vouchers,
]


def create_app(config: SandboxConfig) -> Sandbox:
    return Sandbox(config)


def _answer(failure: Failure) -> Response[dict[str, Any]]:
    return Response(failure.body(CALL.get().request_id), status_code=failure.code)


def _failure(_: AnyRequest, failure: Failure) -> Response[dict[str, Any]]:
    return _answer(failure)


def _framework_failure(_: AnyRequest, failure: FrameworkFailure) -> Response[dict[str, Any]]:
    return Response(failure.body(), status_code=failure.code)


def _no_such_address(request: AnyRequest, _: NotFoundException) -> Response[dict[str, Any]]:
    path = request.scope["path"]
    if path.startswith((*API, "/api/")):
        return _answer(NotEmulated(f"{request.method} {path}"))
    return _answer(Failure(404, "not_found", "Resource not found", f"There is no {path} in the sandbox"))


def _no_such_method(request: AnyRequest, _: MethodNotAllowedException) -> Response[dict[str, Any]]:
    method, path = request.method, request.scope["path"]
    documented = _documented(path)
    if method in documented:
        return _answer(NotEmulated(f"{method} {path}"))
    ours = {each for route in request.app.routes for each in route.methods if _fits(route.path, path)}
    allowed = " or ".join(sorted((ours | documented) - {"OPTIONS"}))
    message = f"{method} is not supported by this endpoint. Did you mean {allowed}?"
    return _answer(Failure(405, "method_not_allowed", message))


def _documented(path: str) -> set[str]:
    return next((methods for template, methods in _DOCUMENTED.items() if _fits(template, path)), set())


def _fits(template: str, path: str) -> bool:
    wanted, parts = template.split("/"), path.rstrip("/").split("/")
    return len(wanted) == len(parts) and all(a == b or a[:1] == "{" for a, b in zip(wanted, parts, strict=True))


def _other(_: AnyRequest, error: HTTPException) -> Response[dict[str, Any]]:
    return Response(FrameworkFailure(error.status_code, error.detail).body(), status_code=error.status_code)


def _unfit_data(_: AnyRequest, error: asyncpg.DataError) -> Response[dict[str, Any]]:
    log.info("request.unfit_data", error=type(error).__name__)
    return _answer(Failure(400, "invalid_payload", "Invalid payload", "A value is outside of what can be stored"))


def _at_once(_: AnyRequest, __: asyncpg.PostgresError) -> Response[dict[str, Any]]:
    return _answer(Failure(400, "multiple_requests", "Multiple requests", "Another request works on the same objects"))


def _broken(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    log.error("request.broken", method=request.method, path=request.scope["path"], exc_info=error)
    return _answer(Failure(500, "internal_error", "Internal Server Error"))
