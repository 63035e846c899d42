"""docker-compose.yml holds together with the settings; that it runs is tried by hand, see docs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.setting_groups import variables

ROOT = Path(__file__).parents[2]
ONE_SHOT = {"migrate", "seed"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return loaded


def test_every_setting_about_accounts_is_handed_on(services: dict[str, Any]) -> None:
    """What `.env` says about Voucherify, Segment and sign-in reaches the containers, each value under its own name."""
    handed = services["web"]["environment"]
    wanted = {name for name in variables() if name.split("_")[0] in {"VOUCHERIFY", "SEGMENT", "AUTH", "DATA"}}
    wanted -= {"DATA_DIR", "VOUCHERIFY_TIMEOUT"}
    assert wanted <= set(handed)
    for name in wanted:
        assert handed[name] == f"${{{name}:-}}"


def test_only_settings_are_handed_on(services: dict[str, Any]) -> None:
    """No name in the containers' environment is misspelt: each is a setting."""
    assert set(services["web"]["environment"]) <= set(variables())


def test_all_of_ours_run_alike(services: dict[str, Any]) -> None:
    """Every container of ours has the same image, settings and volume, no rights, and nothing writable but data."""
    ours = {name: service for name, service in services.items() if name != "db"}
    for key in ("image", "environment", "volumes", "read_only", "cap_drop"):
        assert len({str(service[key]) for service in ours.values()}) == 1, key
    assert (ROOT / "Dockerfile").read_text().rstrip().splitlines()[-3].startswith("USER loyalty")


def test_what_stays_up_is_watched_and_local(services: dict[str, Any]) -> None:
    """Each lasting container has a health check, and ports are published on this machine only."""
    for name, service in services.items():
        assert ("healthcheck" in service) == (name not in ONE_SHOT), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_sandbox_has_a_name_that_segments_destination_takes(services: dict[str, Any]) -> None:
    """The sandbox is reached under the alias it has, and that passes the official destination's check of addresses."""
    alias = services["sandbox"]["networks"]["default"]["aliases"][0]
    url = services["web"]["environment"]["SANDBOX_URL"]
    assert url == f"http://{alias}:8100"
    assert re.match(r"^https?://([\w-]+\.)+[a-z]{2,6}(:\d+)?$", url)
