"""The dashboard at `/sandbox`: pages made on the server, for the person beside the sandbox. They need no script.

Like all of `/sandbox` they take no keys, so keep the sandbox off public networks. What changes something is refused
when another site's page sends it, and keys are shown only to a browser on the sandbox's own machine.
"""

import ipaddress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jinja2
from litestar import Router, get, post
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Redirect, Response

from app.sandbox import control, dashboard_rows, webhooks
from app.sandbox.clock import iso
from app.sandbox.edge import TheEdge
from app.sandbox.errors import FIDELITY_PAGE, Failure
from app.sandbox.read import AnyRequest, argument, count
from app.sandbox.store import Store, TheStore

HERE = Path(__file__).parent
_STATES = ("WAITING", "DELIVERED", "FAILED")
_SHOWN_REQUESTS = 100
_NOTHING = "\N{EN DASH}"
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=jinja2.ChainableUndefined,  # the objects differ by their kind; what one has not is left empty
    trim_blocks=True,
    lstrip_blocks=True,
)


def moment(value: str | datetime | None) -> str:
    """A time as people read it, in UTC."""
    if value is None:
        return _NOTHING
    text = value if isinstance(value, str) else str(iso(value))
    return text.replace("T", " ")[:19]


def money(amount: int | None) -> str:
    """Minor units as an amount; the sandbox knows no currency."""
    return _NOTHING if amount is None else f"{amount // 100:,}.{amount % 100:02}"


def masked(secret: str) -> str:
    return "•" * 8 + secret[-4:]


def span(seconds: float) -> str:
    """How far the clock is from real time."""
    minutes = round(abs(seconds) / 60)
    parts = (minutes // 1440, "d"), (minutes % 1440 // 60, "h"), (minutes % 60, "min")
    away = " ".join(f"{number} {unit}" for number, unit in parts if number)
    return f"{away} {'ahead of' if seconds > 0 else 'behind'} real time" if away else "real time"


_PAGES.filters |= {
    "moment": moment,
    "money": money,
    "masked": masked,
    "pretty": dashboard_rows.pretty,
    "span": span,
}


def _page(store: Store, template: str, *, status: int = 200, **values: Any) -> Response[str]:
    rendered = _PAGES.get_template(template).render(
        **{"problem": None, **values},
        clock=store.clock.now(),
        offset=store.clock.offset.total_seconds(),
        fidelity=FIDELITY_PAGE,
    )
    return Response(rendered, media_type=MediaType.HTML, status_code=status, headers={"cache-control": "no-store"})


def _keys_may_be_shown(request: AnyRequest) -> bool:
    """Whether the browser runs on this machine and asks it by one of its own names, with nobody in between."""
    client = request.client
    try:
        near = client is not None and ipaddress.ip_address(client.host).is_loopback
    except ValueError:
        return False
    host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    forwarded = {"forwarded", "x-forwarded-for", "x-real-ip"} & set(request.headers)
    return near and host in {"127.0.0.1", "localhost", "[::1]"} and not forwarded


async def _overview(
    request: AnyRequest, store: Store, edge: Any, *, problem: str | None = None, status: int = 200
) -> Response[str]:
    config, near = store.config, _keys_may_be_shown(request)
    keys = {
        "X-App-Id": config.application_id,
        "X-App-Token": config.secret_key,
        "Integration application id": config.integration_application_id,
        "Integration secret key": config.integration_secret_key,
        "Webhook secret": config.webhook_secret,
    }
    show = near and argument(request, "keys") == "shown"
    return _page(
        store,
        "overview.html",
        status=status,
        here="overview",
        **await dashboard_rows.overview(store),
        faults=store.faults.shown(),
        limits=store.limits.shown(),
        calls=len(edge.log),
        keys={name: key if show else masked(key) for name, key in keys.items()},
        near=near,
        shown=show,
        url=config.url,
        problem=problem,
    )


@get("/sandbox")
async def overview(request: AnyRequest, store: TheStore, edge: TheEdge) -> Response[str]:
    return await _overview(request, store, edge)


@get("/sandbox/dashboard/customers")
async def customer_list(request: AnyRequest, store: TheStore) -> Response[str]:
    wanted, page = argument(request, "q") or "", count(request, "page", 1, 10_000)
    rows = await dashboard_rows.customer_list(store, wanted, page)
    return _page(store, "customers.html", here="customers", **rows, q=wanted, page=page)


@get("/sandbox/dashboard/customers/{reference:str}")
async def customer(reference: FromPath[str], store: TheStore) -> Response[str]:
    return _page(store, "customer.html", here="customers", **await dashboard_rows.customer(store, reference))


@get("/sandbox/dashboard/campaigns")
async def campaign_list(store: TheStore) -> Response[str]:
    return _page(store, "campaigns.html", here="campaigns", campaigns=await dashboard_rows.campaign_list(store))


@get("/sandbox/dashboard/campaigns/{reference:str}")
async def campaign(reference: FromPath[str], request: AnyRequest, store: TheStore) -> Response[str]:
    wanted, page = argument(request, "q") or "", count(request, "page", 1, 10_000)
    rows = await dashboard_rows.campaign(store, reference, wanted, page)
    return _page(store, "campaign.html", here="campaigns", **rows, q=wanted, page=page)


@get("/sandbox/dashboard/vouchers/{reference:str}")
async def voucher(reference: FromPath[str], store: TheStore) -> Response[str]:
    return _page(store, "voucher.html", here="campaigns", **await dashboard_rows.voucher(store, reference))


@get("/sandbox/dashboard/webhooks")
async def webhook_list(request: AnyRequest, store: TheStore) -> Response[str]:
    return await _webhooks(request, store)


async def _webhooks(
    request: AnyRequest, store: Store, *, problem: str | None = None, status: int = 200
) -> Response[str]:
    state, page = argument(request, "state"), count(request, "page", 1, 10_000)
    return _page(
        store,
        "webhooks.html",
        status=status,
        here="webhooks",
        webhooks=await webhooks.overview(store),
        **await dashboard_rows.deliveries(store, state if state in _STATES else None, page),
        state=state,
        states=_STATES,
        page=page,
        problem=problem,
    )


@get("/sandbox/dashboard/requests")
async def request_list(request: AnyRequest, store: TheStore, edge: TheEdge) -> Response[str]:
    path, method, outcome = (argument(request, name) or "" for name in ("path", "method", "outcome"))
    rows = [
        row
        for row in reversed(edge.log)
        if row["path"].startswith(path)
        and method in {"", row["method"]}
        and (outcome != "trouble" or row["lost"] or row["status"] is None or row["status"] >= 400)
    ]
    return _page(
        store,
        "requests.html",
        here="requests",
        rows=rows[:_SHOWN_REQUESTS],
        total=len(rows),
        path=path,
        method=method,
        outcome=outcome,
    )


@get("/sandbox/dashboard/sandbox.css", sync_to_thread=False)
def style() -> Response[str]:
    return Response((HERE / "static/sandbox.css").read_text(), media_type="text/css")


@post("/sandbox/dashboard/clock")
async def move_clock(request: AnyRequest, store: TheStore, edge: TheEdge) -> Response[Any]:
    form = await _form(request)
    body: dict[str, Any] = {"reset": True} if form.get("reset") else {}
    if form.get("set"):
        body["set"] = form["set"]
    if form.get("advance"):
        body["advance"] = _number(form["advance"])
    return await _done(request, store, edge, control.moved(store, body))


@post("/sandbox/dashboard/switches")
async def set_switches(request: AnyRequest, store: TheStore, edge: TheEdge) -> Response[Any]:
    form, now = await _form(request), store.faults.shown()
    wanted: dict[str, Any] = {
        name: bool(form.get(name)) if isinstance(value, bool) else _number(form.get(name, "") or "0")
        for name, value in now.items()
        if not isinstance(value, list)
    }
    return await _done(request, store, edge, control.planned(store, wanted))


@post("/sandbox/dashboard/faults")
async def plan_fault(request: AnyRequest, store: TheStore, edge: TheEdge) -> Response[Any]:
    """Add one planned fault to those that there are."""
    form = await _form(request)
    kind, own = form.get("kind", ""), {"fail_next": "status", "delay_next": "milliseconds"}
    fault: dict[str, Any] = {name: form[name] for name in ("path", "method") if form.get(name)}
    names = ("count", *([own[kind]] if kind in own else []))
    fault |= {name: _number(form[name]) for name in names if form.get(name)}
    if form.get("rate"):
        fault["rate"] = _number(form["rate"])
    elif "count" not in fault:
        fault["count"] = None
    before = [each for each in store.faults.shown().get(kind, []) if each["count"] != 0]
    return await _done(request, store, edge, control.planned(store, {kind: [*before, fault]}))


@post("/sandbox/dashboard/faults/clear")
async def clear_faults(store: TheStore) -> Redirect:
    store.faults.clear()
    return _to("/sandbox")


@post("/sandbox/dashboard/limits")
async def set_limits(request: AnyRequest, store: TheStore, edge: TheEdge) -> Response[Any]:
    form = await _form(request)
    wanted = {name: _number(form[name]) if form.get(name) else None for name in store.limits.shown()}
    return await _done(request, store, edge, control.limited(store, wanted))


@post("/sandbox/dashboard/reset")
async def reset(request: AnyRequest, store: TheStore, edge: TheEdge) -> Response[Any]:
    return await _done(request, store, edge, control.wiped(store, edge))


@post("/sandbox/dashboard/webhooks")
async def direct_webhooks(request: AnyRequest, store: TheStore) -> Response[Any]:
    form = await _form(request)
    try:
        await control.directed(store, {"target_urls": form.get("target_urls", "").split()})
    except Failure as failure:
        return await _webhooks(request, store, problem=failure.fields["details"], status=failure.code)
    return _to("/sandbox/dashboard/webhooks")


@post("/sandbox/dashboard/webhooks/{webhook:str}/{wanted:str}")
async def switch_webhook(webhook: FromPath[str], wanted: FromPath[str], store: TheStore) -> Redirect:
    await webhooks.switch(store, webhook, active=wanted == "on")
    return _to("/sandbox/dashboard/webhooks")


@post("/sandbox/dashboard/deliveries/{delivery:str}")
async def send_again(delivery: FromPath[str], request: AnyRequest, store: TheStore) -> Response[Any]:
    try:
        await webhooks.send_again(store, delivery)
    except Failure as failure:
        return await _webhooks(request, store, problem=failure.fields["details"], status=failure.code)
    return _to("/sandbox/dashboard/webhooks")


async def _form(request: AnyRequest) -> dict[str, str]:
    return {name: value.strip() for name, value in parse_qsl((await request.body()).decode("utf-8", "replace"))}


def _number(value: str) -> Any:
    """A number as it was typed; what is none stays text, so that the check behind the form says so."""
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


async def _done(request: AnyRequest, store: Store, edge: Any, work: Any) -> Response[Any]:
    """Back to the overview, or to it with what was wrong."""
    try:
        await work
    except Failure as failure:
        return await _overview(request, store, edge, problem=failure.fields["details"], status=failure.code)
    return _to("/sandbox")


def _to(path: str) -> Redirect:
    return Redirect(path, status_code=303)


def _lost(_: AnyRequest, failure: Failure) -> Response[str]:
    """A page that there is not, in words instead of JSON."""
    rendered = _PAGES.get_template("nothing.html").render(
        problem=failure.fields["details"] or str(failure), here="", clock=None, offset=0, fidelity=FIDELITY_PAGE
    )
    return Response(rendered, media_type=MediaType.HTML, status_code=failure.code)


router = Router(
    "/",
    route_handlers=[
        overview,
        customer_list,
        customer,
        campaign_list,
        campaign,
        voucher,
        webhook_list,
        request_list,
        style,
        move_clock,
        set_switches,
        plan_fault,
        clear_faults,
        set_limits,
        reset,
        direct_webhooks,
        switch_webhook,
        send_again,
    ],
    before_request=control.from_here,
    exception_handlers={Failure: _lost},
)
