"""A dry run of an insert function: it reads what there is, and leaves no trace in Voucherify or in our database."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.db.session import Database
from app.pipeline.function_dry import CODE
from app.pipeline.functions import FunctionPool
from app.setting_groups import variables
from tests.house import ROOT
from tests.pipeline.road import count, identify, order
from tests.sandbox.programme import LOYALTY, coupons, join, loyalty, send
from tests.sandbox.serving import KEYS

PROBE = """
DESTINATION = "Probe"


class Settings:
    pass


async def on_track(event, settings, context):
    client = context.voucherify.client
    made = await client.call("POST", "/v1/customers", {"source_id": "u-9"})
    deleted = await client.call("DELETE", "/v1/customers/u-9")
    read = await client.call("GET", "/v1/customers", params={"limit": 1})
    return {**event, "made": made, "deleted": deleted, "read": read["object"]}
"""


@pytest_asyncio.fixture
async def pool(
    tmp_path: Path, database: Database, pipeline_sandbox: str, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FunctionPool]:
    """A host that has the shipped function and a probe, on an emptied sandbox with a programme in it."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions/__init__.py").touch()
    (tmp_path / "functions/probe.py").write_text(PROBE)
    shipped = (ROOT / "functions/voucherify.py").read_text().replace("Loyalty Program", LOYALTY)
    (tmp_path / "functions/voucherify.py").write_text(shipped)
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    settings = {
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(tmp_path / "data"),
        "VOUCHERIFY_API_URL": pipeline_sandbox,
        "VOUCHERIFY_APPLICATION_ID": KEYS["X-App-Id"],
        "VOUCHERIFY_SECRET_KEY": KEYS["X-App-Token"],
        "VOUCHERIFY_TRANSPORT": "v1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    await loyalty(api, points=50)
    await coupons(api, "Big basket", join_once=False)
    await api.delete("/sandbox/requests")
    async with FunctionPool(database, 1).running() as running:
        yield running


async def writes(api: httpx.AsyncClient) -> list[str]:
    """The requests that the sandbox got and that were more than a question."""
    logged = (await send(api, "GET", "/sandbox/requests"))["data"]
    return [f"{row['method']} {row['path']}" for row in logged if row["method"] != "GET"]


def dry_calls(calls: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(call["method"], call["path"]) for call in calls if call.get("dry")]


async def test_a_coupon_is_told_and_not_given(pool: FunctionPool, database: Database, api: httpx.AsyncClient) -> None:
    """The publications of card and coupon are listed with what would be sent; nothing is written here or there."""
    outcome = await pool.run("voucherify", order("o-1", price=20.0), dry=True)
    assert outcome.event is not None
    assert (outcome.outcome, outcome.event["properties"]["earned_coupon"]) == ("returned", CODE)
    card, coupon = [call for call in outcome.calls if call.get("dry")]
    assert (card["path"], card["sent"]["campaign"]["name"]) == ("/v1/publications", LOYALTY)
    assert (coupon["path"], coupon["sent"]["source_id"]) == ("/v1/publications", "big-basket:o-1")
    assert (await writes(api), await count(database, "function_once")) == ([], 0)


async def test_what_was_done_once_is_given_again(
    pool: FunctionPool, database: Database, api: httpx.AsyncClient
) -> None:
    """After a real run the dry one has the real coupon, asks Voucherify nothing, and the kept result stays alone."""
    real = await pool.run("voucherify", order("o-1", price=20.0))
    await api.delete("/sandbox/requests")
    dry = await pool.run("voucherify", order("o-1", price=20.0), dry=True)
    assert real.event is not None
    assert real.event["properties"]["earned_coupon"].startswith("10OFF-")
    assert (dry.event, dry.calls) == (real.event, [])
    assert (await writes(api), await count(database, "function_once")) == ([], 2)  # the card and the coupon


async def test_a_members_own_card_is_read(pool: FunctionPool, api: httpx.AsyncClient) -> None:
    """A member who has a card gets that one, with its balance, and nothing is listed as left out."""
    card = await join(api)
    await api.delete("/sandbox/requests")
    outcome = await pool.run("voucherify", identify(), dry=True)
    assert (outcome.outcome, outcome.log) == ("returned", f"has card {card} with 50 points")
    assert (dry_calls(outcome.calls), await writes(api)) == ([], [])


async def test_a_new_member_gets_no_card(pool: FunctionPool, api: httpx.AsyncClient) -> None:
    """Who has none yet gets one that is made up, and Voucherify hears nothing of the person."""
    outcome = await pool.run("voucherify", identify(), dry=True)
    assert (outcome.outcome, outcome.log) == ("returned", f"has card {CODE} with 0 points")
    assert dry_calls(outcome.calls) == [("POST", "/v1/publications")]
    assert await writes(api) == []
    assert (await send(api, "GET", "/v1/customers"))["total"] == 0


async def test_calls_of_a_functions_own_are_held_back_too(pool: FunctionPool, api: httpx.AsyncClient) -> None:
    """Whatever is no GET does not leave, and the function goes on with what it would have stored."""
    outcome = await pool.run("probe", order("o-1"), dry=True)
    assert outcome.event is not None
    assert {name: outcome.event[name] for name in ("made", "deleted", "read")} == {
        "made": {"source_id": "u-9"},
        "deleted": None,
        "read": "list",
    }
    assert [(call["method"], call.get("dry")) for call in outcome.calls] == [
        ("POST", True),
        ("DELETE", True),
        ("GET", None),
    ]
    assert await writes(api) == []


async def test_a_dry_run_changes_nothing_for_the_next_real_one(pool: FunctionPool, api: httpx.AsyncClient) -> None:
    """The same host runs dry and real in turn: only the real run joins."""
    await pool.run("voucherify", identify(), dry=True)
    real = await pool.run("voucherify", identify())
    assert [call.get("dry") for call in real.calls] == [None]
    assert (await writes(api), CODE in real.log) == (["POST /v1/publications"], False)
