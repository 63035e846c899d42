"""Metadata of many vouchers in one call.

documented: only metadata, no upserts, the shape of the results with their errors, 202. inferred: metadata merges key by
key, null removes a key; codes that there are not are reported and the others changed; `voucher.updated` is not sent.
"""

from datetime import timedelta
from typing import Any

from litestar import Router, post

from app.sandbox import async_actions, csv_files, voucher_edits
from app.sandbox.clock import iso
from app.sandbox.errors import invalid_payload, not_found
from app.sandbox.fidelity import documented, inferred
from app.sandbox.read import AnyRequest, mapping, read_list, read_object, required_text, texts
from app.sandbox.store import TheStore
from app.sandbox.work import Work

_KEPT = timedelta(days=1)
"""How long a report is said to be there; here the result says all, and there is none."""


@post("/vouchers/bulk/async", status_code=202)
async def update_in_bulk(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    items = await read_list(request)
    wanted: dict[str, dict[str, Any]] = {}
    for place, item in enumerate(items):
        if item.get("metadata") is None:
            raise invalid_payload(f"Property [{place}] should have required property 'metadata'")
        code = required_text(item, "code", at=f"[{place}]")
        wanted[code] = {**wanted.get(code, {}), **mapping(item, "metadata", at=f"[{place}]")}
    _refuse_too_many(len(items))
    async with store.work() as work:
        done, errors = await _merge(work, wanted)
        result = {
            "failed_count": len(errors),
            "reports": [],
            "reports_available_till": iso(work.now + _KEPT),
            "errors": errors,
        }
        told = "Vouchers have been updated"
        return {"async_action_id": await async_actions.done(work, "VOUCHERS.BULK_UPDATE", done, told, **result)}


@post("/vouchers/metadata/async", status_code=202)
async def update_metadata_in_bulk(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    body = await read_object(request)
    for name in ("codes", "metadata"):
        if body.get(name) is None:
            raise invalid_payload(f"Payload should have required property '{name}'")
    codes, metadata = texts(body, "codes", most=csv_files.MOST_LINES), mapping(body, "metadata")
    async with store.work() as work:
        done, errors = await _merge(work, dict.fromkeys(codes, metadata))
        told = "Vouchers' metadata has been updated"
        kind = "VOUCHERS.METADATA_UPDATE"
        return {"async_action_id": await async_actions.done(work, kind, done, told, errors=errors)}


def _refuse_too_many(count: int) -> None:
    if count > csv_files.MOST_LINES:
        raise invalid_payload(f"Payload must NOT have more than {csv_files.MOST_LINES} items")


async def _merge(work: Work, wanted: dict[str, dict[str, Any]]) -> tuple[int, list[dict[str, Any]]]:
    """Lay metadata over that of the vouchers with these codes; answers how many there are, and what is not there."""
    rows = await voucher_edits.lock_all(work, list(wanted))
    merged = [{**(row["doc"].get("metadata") or {}), **wanted[row["code"]]} for row in rows]
    await work.run(
        "UPDATE voucher SET doc = doc || jsonb_build_object('metadata', new.metadata), updated_at = $3 "
        "FROM unnest($1::text[], $2::jsonb[]) AS new (id, metadata) WHERE voucher.id = new.id",
        [row["id"] for row in rows],
        [{name: value for name, value in each.items() if value is not None} for each in merged],
        work.now,
    )
    missing = [not_found("voucher", code) for code in sorted(set(wanted) - {row["code"] for row in rows})]
    errors = [
        {**{name: each.fields[name] for name in ("message", "details", "key")}, "code": each.fields["resource_id"]}
        for each in missing
    ]
    return len(rows), errors


router = Router("/", route_handlers=[update_in_bulk, update_metadata_in_bulk])

FIDELITY = (
    documented("metadata of many vouchers by `vouchers/bulk/async` and `vouchers/metadata/async`, with their errors"),
    inferred(
        "codes that there are not are reported as errors of the action, and the others are changed; no "
        "`voucher.updated` is sent; a list has up to 10,000 items"
    ),
)
