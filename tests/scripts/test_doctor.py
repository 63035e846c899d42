"""./scripts/doctor: all is well in a house that runs, and each thing that can be wrong is named with what to click."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.setting_groups import variables
from app.settings import Settings, load_settings
from app.voucherify.signature import verify
from scripts.lib.doctor import CHECKS, Finding, examine
from tests.house import House

ROOT = Path(__file__).parents[2]
RATES = {"x-rate-limit-limit": "100", "x-rate-limit-remaining": "80"}
SCHEMAS = [{"related_object": "customer", "properties": {"registered_customer": {}, "enrolled_by": {}}}]
Answers = Mapping[str, httpx.Response]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Those of an adopter with a real project and a public address."""
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    given = {
        "DATA_DIR": str(tmp_path / "data"),
        "VOUCHERIFY_APPLICATION_ID": "id",
        "VOUCHERIFY_SECRET_KEY": "key",
        "VOUCHERIFY_INTEGRATION_APPLICATION_ID": "integration",
        "VOUCHERIFY_INTEGRATION_SECRET_KEY": "key",
        "VOUCHERIFY_WEBHOOK_SECRET": "the-webhook-secret",
        "PUBLIC_URL": "https://loyalty.example.com",
        "VOUCHERIFY_CALLS_PER_MINUTE": "60",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return load_settings()


def world(**changes: httpx.Response | Exception) -> httpx.MockTransport:
    """Voucherify, its door for Segment and our own web process; `changes` by a word in the address."""

    def answer(request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        for word, changed in changes.items():
            if word.replace("_", "-") in url:
                if isinstance(changed, Exception):
                    raise changed
                return changed
        if "webhooks" in url:
            signature = request.headers["x-voucherify-signature"]
            return httpx.Response(400 if verify("the-webhook-secret", request.content, signature) else 401)
        if "metadata-schemas" in url:
            return httpx.Response(200, json={"schemas": SCHEMAS})
        return httpx.Response(200, json={"total": 0}, headers=RATES)

    return httpx.MockTransport(answer)


def bad(settings: Settings, transport: httpx.MockTransport) -> list[Finding]:
    return [found for found in examine(settings, transport) if found.state in {"fail", "hint"}]


def test_all_is_well_in_a_house(house: House) -> None:
    """Web, worker and sandbox of an install that runs: nothing fails, and the exit code says so."""
    told = json.loads(house.run("scripts.lib.doctor", "--json"))
    assert told["ok"]
    assert [found["check"] for found in told["findings"] if found["state"] != "ok"] == []
    assert len(told["findings"]) == len(CHECKS)


def test_a_real_project_that_is_right_has_one_hint(settings: Settings) -> None:
    """All that can be asked is right; whether Voucherify sends its webhooks is what a person must look at."""
    assert [(found.check, found.state) for found in bad(settings, world())] == [("webhooks", "hint")]


@pytest.mark.parametrize(
    ("changes", "check", "state", "said", "click"),
    [
        ({"v1": httpx.ConnectError("x")}, "keys", "fail", "does not answer", "DATA_REGION"),
        ({"v1": httpx.Response(401, json={})}, "keys", "fail", "does not accept", "Application keys"),
        (
            {"v1": httpx.Response(403, json={"key": "forbidden", "message": "Project is bound to different region"})},
            *("keys", "fail", "not in the region", "us1.api"),
        ),
        ({"v1": httpx.Response(403, json={"message": "No"})}, "keys", "fail", "may not read", "permissions"),
        ({"v1": httpx.Response(503, text="<html>")}, "keys", "fail", "answered 503", "later"),
        ({"campaigns": httpx.Response(200, json={})}, "plan", "hint", "no X-Rate-Limit", "proxy"),
        (
            {"campaigns": httpx.Response(200, json={}, headers={**RATES, "x-rate-limit-limit": "50"})},
            *("plan", "fail", "VOUCHERIFY_CALLS_PER_MINUTE is 60", "50 or less"),
        ),
        ({"v1/loyalties": httpx.Response(403, json={})}, "loyalty", "fail", "v2 only", "July"),
        (
            {"loyalties": httpx.Response(403, json={"message": "No loyalty"})},
            *("loyalty", "fail", "No loyalty", "plan"),
        ),
        (
            {"metadata_schemas": httpx.Response(200, json={"schemas": []})},
            *("schema", "hint", "customer.enrolled_by (string)", "Metadata schema"),
        ),
        ({"metadata_schemas": httpx.Response(200, text="<html>")}, "schema", "fail", "can't be checked", "again"),
        ({"segmentio": httpx.Response(401)}, "integration", "fail", "refuses", "Integration = Segment"),
        ({"segmentio": httpx.ConnectError("x")}, "integration", "fail", "does not answer", "SEGMENTIO_URL"),
        ({"webhooks": httpx.Response(401)}, "webhook secret", "fail", "another webhook secret", "again"),
        ({"webhooks": httpx.Response(200)}, "webhook secret", "fail", "200 and 200", "tunnel"),
        ({"webhooks": httpx.ReadTimeout("x")}, "webhook secret", "fail", "does not answer", "use-a-tunnel"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) and len(value) < 16 else "",
)
def test_what_is_wrong_is_named(
    settings: Settings, changes: dict[str, Any], check: str, state: str, said: str, click: str
) -> None:
    """Each trouble is one finding of its check, with a sentence and with what to click."""
    found = next(found for found in bad(settings, world(**changes)) if found.check == check)
    assert found.state == state
    assert said in found.said
    assert click in found.click


def test_polls_need_no_address(settings: Settings) -> None:
    """With no address and no webhook secret nothing fails once lists are polled, and the feed that is on is told."""
    hidden = replace(settings, public_url="http://127.0.0.1:8000", webhook_secret=None)
    assert {found.check for found in bad(hidden, world())} >= {"webhook address", "webhook secret"}
    findings = examine(replace(hidden, poll_every=30.0, poll_calls=20), world())
    assert {found.state for found in findings} == {"ok", "skipped"}
    told = next(found.said for found in findings if found.check == "feed")
    assert "every 30 s, with 40 calls a minute at most" in told


def test_polls_that_take_the_plan_are_a_hint(settings: Settings) -> None:
    """More than half of the plan for looking is said, with the settings that change it."""
    eager = replace(settings, poll_every=10.0, poll_calls=20)
    found = next(found for found in bad(eager, world()) if found.check == "feed")
    assert (found.state, "120 calls" in found.said, "VOUCHERIFY_POLL_EVERY" in found.click) == ("hint", True, True)


@pytest.mark.parametrize(
    ("change", "check", "said"),
    [
        (lambda settings: replace(settings, public_url="http://127.0.0.1:8000"), "webhook address", "can't reach"),
        (lambda settings: replace(settings, public_url="http://till.local"), "webhook address", "can't reach"),
        (lambda settings: replace(settings, public_url="http://loyalty.example.com"), "webhook address", "no https"),
        (lambda settings: replace(settings, webhook_secret=None), "webhook secret", "is not set"),
        (
            lambda settings: replace(settings, webhook_secret=SecretStr("another")),
            *("webhook secret", "another webhook secret"),
        ),
    ],
    ids=["loopback", "local", "http", "no secret", "other secret"],
)
def test_settings_that_are_wrong_are_named(
    settings: Settings, change: Callable[[Settings], Settings], check: str, said: str
) -> None:
    """What is wrong on our side of the webhooks is told before anybody waits for one."""
    assert said in next(found for found in bad(change(settings), world()) if found.check == check).said


def test_without_keys_the_rest_is_still_checked(settings: Settings) -> None:
    """What needs the API is skipped, not failed again; the integration key and the webhooks are looked at."""
    findings = {found.check: found.state for found in examine(settings, world(v1=httpx.Response(401, json={})))}
    assert [name for name, state in findings.items() if state == "skipped"] == ["plan", "loyalty", "schema"]
    assert (findings["integration"], findings["webhook secret"]) == ("ok", "ok")


def test_the_command(tmp_path: Path) -> None:
    """--help needs no settings; wrong settings are exit code 2 and a sentence; a failure is 1."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "scripts.lib.doctor", *arguments],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path / "d"), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert "Exit code: 0" in run("--help").stdout
    wrong = run(VOUCHERIFY_APPLICATION_ID="id")
    assert (wrong.returncode, "VOUCHERIFY_SECRET_KEY is not set" in wrong.stderr) == (2, True)
    nobody = run("--json", SANDBOX_PORT="9", WEB_PORT="9")
    assert (nobody.returncode, json.loads(nobody.stdout)["ok"]) == (1, False)
    shown = run(SANDBOX_PORT="9", WEB_PORT="9")
    assert "→ Start the sandbox" in shown.stdout
