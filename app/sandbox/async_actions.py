"""What the live service does in the background after it has answered, and how far it is.

documented: the object and its types, the list with the newest first. inferred: here the work is done before the answer
goes out, so every action is DONE.
"""

from datetime import datetime
from typing import Any

from litestar import Router, get
from litestar.params import FromPath

from app.sandbox import lists
from app.sandbox.clock import iso, parse_time
from app.sandbox.errors import invalid_query, not_found
from app.sandbox.fidelity import inferred
from app.sandbox.ids import new_id
from app.sandbox.read import AnyRequest, argument, page
from app.sandbox.store import TheStore
from app.sandbox.work import Work


async def done(work: Work, kind: str, count: int, message: str, **result: Any) -> str:
    """Keep that this was done, for `count` objects; answers the action's id."""
    moment = iso(work.now)
    doc = {
        "id": new_id("aa"),
        "type": kind,
        "status": "DONE",
        "operation_status": "SUCCESS",
        "result": {"message": message, "done_count": count, **result},
        "created_at": moment,
        "updated_at": moment,
        "request_id": work.call.request_id,
        "progress": 100,
        "processing_time": 0,
        "object": "async_action",
    }
    await work.run(
        "INSERT INTO async_action (id, type, doc, created_at) VALUES ($1, $2, $3, $4)", doc["id"], kind, doc, work.now
    )
    return str(doc["id"])


@get("/async-actions")
async def list_actions(request: AnyRequest, store: TheStore) -> dict[str, Any]:
    limit, _ = page(request)
    end: datetime | None = None
    if (given := argument(request, "end_date")) is not None:
        try:
            end = parse_time(given.replace(" ", "+"))
        except ValueError as error:
            raise invalid_query("Property .end_date cannot be recognized as a ISO-8601 compliant date") from error
    async with store.work() as work:
        rows = await work.all(
            "SELECT doc FROM async_action WHERE $1::timestamptz IS NULL OR created_at < $1 "
            "ORDER BY created_at DESC, id DESC LIMIT $2",
            end,
            limit,
        )
    left_out = {"result", "processing_time"}
    shown = [{name: value for name, value in row["doc"].items() if name not in left_out} for row in rows]
    listed = lists.numbered("async_actions", shown, len(shown))
    del listed["total"]
    return listed


@get("/async-actions/{reference:str}")
async def get_action(reference: FromPath[str], store: TheStore) -> dict[str, Any]:
    async with store.work() as work:
        doc = await work.value("SELECT doc FROM async_action WHERE id = $1", reference)
    if doc is None:
        raise not_found("async_action", reference)
    shown: dict[str, Any] = doc
    return shown


router = Router("/", route_handlers=[list_actions, get_action])

FIDELITY = (inferred("**Async actions** are DONE when the answer goes out"),)
