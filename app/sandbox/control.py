"""What the sandbox has and Voucherify has not: its clock, its faults, its log of requests, its webhook targets, reset.

These addresses take no keys: they are for the person and the tests beside the sandbox. Keep it off public networks.
"""

from typing import Any
from urllib.parse import urlsplit

from litestar import Router, delete, get, post
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Response

from app.sandbox import fixed_ids, lists, metadata, nightly, referral_tiers, webhooks
from app.sandbox.clock import iso, parse_time
from app.sandbox.edge import Edge, TheEdge
from app.sandbox.errors import FIDELITY_PAGE, Failure, invalid_payload, not_found
from app.sandbox.read import AnyRequest, argument, number, page, read_object, text
from app.sandbox.store import Store, TheStore

_FURTHEST = 100 * 366 * 86400
_PAGE = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sandbox</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color:#1c1c1c}}</style>
<h1>A Voucherify you can run on a plane</h1>
<p>This is the sandbox of the Loyalty Accelerator: it answers a part of Voucherify's public API (<code>/v1</code>), its
door for Segment (<code>/segmentio</code>), and sends signed webhooks. It is not
Voucherify and not affiliated with it.</p>
<p>What it emulates and how sure that is: <code>{FIDELITY_PAGE}</code>.</p>
<p><a href="/sandbox">The dashboard</a>, or by themselves:</p>
<ul>
<li><a href="/sandbox/health">/sandbox/health</a></li>
<li><a href="/sandbox/requests">/sandbox/requests</a>: what was called, and what was answered</li>
<li><a href="/sandbox/webhooks">/sandbox/webhooks</a>: where webhooks go; POST changes it</li>
<li><a href="/sandbox/deliveries">/sandbox/deliveries</a>: the webhooks themselves</li>
<li><a href="/sandbox/clock">/sandbox/clock</a>: the time here; POST moves it</li>
<li><a href="/sandbox/faults">/sandbox/faults</a>: trouble on demand</li>
<li><a href="/sandbox/limits">/sandbox/limits</a>: how many calls the plan allows</li>
<li><code>POST /sandbox/metadata-schemas</code>, <code>POST /sandbox/referral-tiers</code>,
<code>POST /sandbox/ids</code>, <code>POST /sandbox/reset</code></li>
</ul></html>"""


@get("/", media_type=MediaType.HTML, sync_to_thread=False)
def front_page() -> str:
    return _PAGE


@get("/sandbox/health")
async def health(store: TheStore) -> Response[dict[str, Any]]:
    """200 when the database answers, 503 when it does not."""
    try:
        await (await store.pool()).fetchval("SELECT 1")
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is the same
        return Response({"status": "down", "database": type(error).__name__}, status_code=503)
    known = {"time": iso(store.clock.now()), "project_id": store.project_id}
    return Response({"status": "ok", "database": "ok", **known})


@get("/sandbox/clock")
async def get_clock(store: TheStore) -> dict[str, Any]:
    await store.pool()  # the offset is known when the database is
    return {"now": iso(store.clock.now()), "offset_seconds": round(store.clock.offset.total_seconds(), 3)}


@post("/sandbox/clock", status_code=200)
async def move_clock(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """`{"advance": seconds}`, `{"set": "2027-01-01T00:00:00Z"}` or `{"reset": true}`.

    What is due by the new time is done before this answers.
    """
    return await moved(store, await read_object(request))


async def moved(store: Store, body: dict[str, Any]) -> dict[str, Any]:
    """Move the clock as `body` says."""
    await store.pool()
    seconds, moment = number(body, "advance", least=-_FURTHEST, most=_FURTHEST), text(body, "set")
    if [seconds is not None, moment is not None, body.get("reset") is True].count(True) != 1:
        raise invalid_payload("Payload must have one of 'advance' (seconds), 'set' (ISO-8601) and 'reset' (true)")
    if seconds is not None:
        store.clock.advance(seconds)
    elif moment is not None:
        try:
            store.clock.set(parse_time(moment))
        except ValueError as error:
            raise invalid_payload("Property .set cannot be recognized as a ISO-8601 compliant date") from error
    else:
        store.clock.reset()
    await store.save_clock()
    await nightly.run_due(store)
    store.wake()
    return {"now": iso(store.clock.now()), "offset_seconds": round(store.clock.offset.total_seconds(), 3)}


@get("/sandbox/faults")
async def get_faults(store: TheStore) -> dict[str, Any]:
    return store.faults.shown()


@post("/sandbox/faults", status_code=200)
async def set_faults(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """Set the faults that are named, leave the others; see `Faults` for what there is."""
    return await planned(store, await read_object(request))


async def planned(store: Store, body: dict[str, Any]) -> dict[str, Any]:
    try:
        store.faults.change(body)
    except ValueError as error:
        raise invalid_payload(str(error)) from error
    return store.faults.shown()


@delete("/sandbox/faults", status_code=200)
async def clear_faults(store: TheStore) -> dict[str, Any]:
    store.faults.clear()
    return store.faults.shown()


@get("/sandbox/limits")
async def get_limits(store: TheStore) -> dict[str, Any]:
    return store.limits.shown()


@post("/sandbox/limits", status_code=200)
async def set_limits(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """`{"calls_per_minute": 100}`, `{"calls_per_hour": 100}` or both; null switches one off."""
    return await limited(store, await read_object(request))


async def limited(store: Store, body: dict[str, Any]) -> dict[str, Any]:
    try:
        store.limits.change(body)
    except ValueError as error:
        raise invalid_payload(str(error)) from error
    return store.limits.shown()


@delete("/sandbox/limits", status_code=200)
async def clear_limits(store: TheStore) -> dict[str, Any]:
    store.limits.clear()
    return store.limits.shown()


@get("/sandbox/requests")
async def list_requests(request: AnyRequest, edge: TheEdge) -> dict[str, Any]:
    """The last requests to the API, oldest first; filters: `method`, `path` (how it begins), `limit` (the last)."""
    method, path = argument(request, "method"), argument(request, "path") or ""
    rows = [row for row in edge.log if row["path"].startswith(path) and method in {None, row["method"]}]
    limit = argument(request, "limit") or ""
    shown = rows[-int(limit) :] if limit.isascii() and limit.isdigit() and len(limit) < 10 and int(limit) else rows
    return {"object": "list", "data_ref": "data", "data": shown, "total": len(rows)}


@delete("/sandbox/requests", status_code=204)
async def clear_requests(edge: TheEdge) -> None:
    edge.log.clear()


@get("/sandbox/webhooks")
async def list_webhooks(store: TheStore) -> dict[str, Any]:
    return {"data": await webhooks.overview(store)}


@post("/sandbox/webhooks", status_code=200)
async def set_webhooks(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """`{"target_url": "http://…"}` or `{"target_urls": […]}`: everything goes there from now on, switched on."""
    return await directed(store, await read_object(request))


async def directed(store: Store, body: dict[str, Any]) -> dict[str, Any]:
    """Send webhooks where `body` says."""
    given = body.get("target_urls", [body.get("target_url")])
    if not isinstance(given, list) or not all(isinstance(url, str) for url in given):
        raise invalid_payload("Payload should have required property 'target_url'")
    for url in given:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise invalid_payload(f"Property .target_url must be an address, but is {url}")
    await store.register_webhooks(tuple(dict.fromkeys(given)))
    store.wake()
    return {"data": await webhooks.overview(store)}


@get("/sandbox/deliveries")
async def list_deliveries(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """The webhooks, newest first, with their bodies; `type` and `state` (WAITING, DELIVERED, FAILED) filter."""
    limit, offset = page(request)
    rows = await (await store.pool()).fetch(
        "SELECT id, webhook_id, event_type, state, attempts, due_at, delivered_at, answer, "
        "convert_from(body, 'UTF8')::jsonb AS body FROM delivery "
        "WHERE ($1::text IS NULL OR event_type = $1) AND ($2::text IS NULL OR state = $2) "
        "ORDER BY seq DESC LIMIT $3 OFFSET $4",
        argument(request, "type"),
        argument(request, "state"),
        limit,
        offset,
    )
    return {"data": [dict(row) for row in rows]}


@post("/sandbox/deliveries/{delivery:str}/resend", status_code=202)
async def resend_delivery(delivery: FromPath[str], store: TheStore) -> dict[str, Any]:
    """Send it now, whatever became of it: the same body, signed again, with its retries anew."""
    sent = await webhooks.send_again(store, delivery)
    if sent is None:
        raise not_found("delivery", delivery)
    return sent


@post("/sandbox/webhooks/{webhook:str}/enable", status_code=200)
async def enable_webhook(webhook: FromPath[str], store: TheStore) -> dict[str, Any]:
    return await _switched(store, webhook, active=True)


@post("/sandbox/webhooks/{webhook:str}/disable", status_code=200)
async def disable_webhook(webhook: FromPath[str], store: TheStore) -> dict[str, Any]:
    return await _switched(store, webhook, active=False)


async def _switched(store: Store, webhook: str, *, active: bool) -> dict[str, Any]:
    if not await webhooks.switch(store, webhook, active=active):
        raise not_found("webhook", webhook)
    return {"data": [each for each in await webhooks.overview(store) if each["id"] == webhook]}


@post("/sandbox/metadata-schemas", status_code=200)
async def define_schema(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    async with store.work() as work:
        return await metadata.define(work, body)


@get("/sandbox/metadata-schemas")
async def list_all_schemas(store: TheStore) -> dict[str, Any]:
    """Those of custom events too, which `/v1/metadata-schemas` does not show."""
    async with store.work() as work:
        rows = await work.all("SELECT doc FROM metadata_schema ORDER BY related_object, name")
    return {"object": "list", "data_ref": "schemas", "schemas": [row["doc"] for row in rows], "total": len(rows)}


@post("/sandbox/referral-tiers", status_code=200)
async def define_referral_tiers(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """What who refers friends gets: `{"campaign": …, "tiers": […]}`; see `referral_tiers.define`."""
    body = await read_object(request)
    async with store.work() as work:
        tiers = await referral_tiers.define(work, body)
    return lists.numbered("data", tiers, len(tiers))


@get("/sandbox/referral-tiers")
async def list_referral_tiers(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """Those of one campaign: `?campaign=`, its id or name."""
    async with store.work() as work:
        tiers = await referral_tiers.listed(work, argument(request, "campaign") or "")
    return lists.numbered("data", tiers, len(tiers))


@post("/sandbox/ids", status_code=200)
async def fix_id(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    """`{"object": "campaign", "name": "Loyalty Program", "id": "camp_…"}`: the id it gets when it is made."""
    body = await read_object(request)
    async with store.work() as work:
        return await fixed_ids.define(work, body)


@post("/sandbox/reset", status_code=200)
async def reset(store: TheStore, edge: TheEdge) -> dict[str, Any]:
    """Back to the first start: no data, no log, real time, no faults or limits, the configured webhook targets."""
    return await wiped(store, edge)


async def wiped(store: Store, edge: Edge) -> dict[str, Any]:
    await store.wipe()
    edge.log.clear()
    return {"status": "ok"}


async def from_here(request: AnyRequest) -> None:
    """Refuse what a page of another site makes a browser send: these addresses take no keys.

    Raises:
        Failure: it comes from another site's page.
    """
    if request.method not in {"GET", "HEAD"} and request.headers.get("sec-fetch-site") == "cross-site":
        raise Failure(403, "forbidden", "Forbidden", "A page of another site may not change the sandbox")


router = Router(
    "/",
    route_handlers=[
        front_page,
        health,
        get_clock,
        move_clock,
        get_faults,
        set_faults,
        clear_faults,
        get_limits,
        set_limits,
        clear_limits,
        list_requests,
        clear_requests,
        list_webhooks,
        set_webhooks,
        enable_webhook,
        disable_webhook,
        list_deliveries,
        resend_delivery,
        define_schema,
        list_all_schemas,
        define_referral_tiers,
        list_referral_tiers,
        fix_id,
        reset,
    ],
    before_request=from_here,
)
