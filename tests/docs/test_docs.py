"""The documentation says what is there, and all of it: settings, routes, metrics, tables, files and links."""

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from prometheus_client import REGISTRY
from sqlmodel import SQLModel

from app.setting_groups import variables
from app.settings import load_settings

# What the framework will drop in its next release is for the tests of the code to judge; here the app is only read.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
REFERENCE = ROOT / "docs/reference"
OWN_ADDRESSES = ("/schema", "/static/")
"""The framework's pages about the API, and files."""


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row."""
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|--"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Litestar:
    """The web process with settings of nobody's; it is not started, so the database is never called."""
    from app import main

    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("SEGMENT_WEBHOOK_SECRET", "without one, its route is not there")
    monkeypatch.chdir(tmp_path)
    return main.create_app(load_settings())


def shown(default: Any) -> str:
    """How a default is written down."""
    return "" if default is None else str(default)


def test_the_example_has_every_setting_with_its_default() -> None:
    """`.env.example` has each setting once, commented out, with its default, and nothing else."""
    lines = re.findall(r"^(#?)([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert {name: value for _, name, value in lines} == {name: shown(value) for name, value in variables().items()}
    assert len(lines) == len(variables())
    assert {mark for mark, _, _ in lines} == {"#"}


def test_the_reference_has_every_setting_with_its_default() -> None:
    """The page of settings has each setting once, with its default, and nothing else."""
    found = [
        (cells[0].strip("`"), cells[1].strip("`").replace("unset", ""))
        for cells in rows((REFERENCE / "settings.md").read_text())
        if re.fullmatch(r"`[A-Z_]+`", cells[0])
    ]
    assert sorted(found) == sorted((name, shown(value)) for name, value in variables().items())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file or folder that is there, and a heading that is on it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not heading or heading in anchors(linked), target


def test_the_road_names_files_and_functions_that_are_there() -> None:
    """Each file in the README's road exists, and each function beside it is in that file."""
    readme = (ROOT / "README.md").read_text()
    road = readme.partition("## The road of one order")[2].partition("\n## ")[0]
    steps = [cells for cells in rows(road) if cells[0].isdigit()]
    assert [int(cells[0]) for cells in steps] == list(range(1, 14))
    for cells in steps:
        named = re.findall(r"`([^`]+\.py)`((?:,? `\w+`)*)", cells[2])
        assert named, cells
        for path, functions in named:
            text = (ROOT / path).read_text()
            for function in re.findall(r"`(\w+)`", functions):
                assert re.search(rf"^\s*(async def|def|class) {function}\b|^{function}\b", text, re.MULTILINE), function


def test_the_picture_of_the_layers_is_the_contract() -> None:
    """The page about imports shows the same layers as the contract that is checked."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    page = (ROOT / "docs/why/who-may-import-whom.md").read_text()
    assert page.split("```")[1].strip().splitlines() == contracts[0]["layers"]


def test_every_file_in_backticks_is_there() -> None:
    """A page that names a file of this project names one that exists."""
    folders = "app|docs|functions|migrations|mobile_api|pos_simulator|scripts|tests"
    for page in PAGES:
        for path in re.findall(rf"`(?:\./)?((?:{folders})/[\w./*-]+)`", page.read_text()):
            assert any(ROOT.glob(path.rstrip("/"))), f"{page.name} names {path}"


def test_the_page_of_the_api_has_every_route_with_its_role(web: Litestar) -> None:
    """Method, path and role of each route are in the reference, and no route is there that is not in the app."""
    served = set()
    for route in web.routes:
        for handler in getattr(route, "route_handlers", []):
            path = re.sub(r":\w+}", "}", route.path)
            if not path.startswith(OWN_ADDRESSES):
                served |= {(method, path, handler.opt["role"]) for method in handler.http_methods - {"OPTIONS"}}
    found = [
        (cells[0], cells[1].strip("`"), cells[2])
        for cells in rows((REFERENCE / "http-api.md").read_text())
        if cells[0] in {"GET", "POST", "PUT", "PATCH", "DELETE"}
    ]
    assert len(found) == len(set(found))
    assert set(found) == served


def test_the_page_of_metrics_has_every_metric() -> None:
    """Each metric of web and worker is in the reference with its kind and labels, and nothing else is."""
    importlib.import_module("app.main")  # importing declares them
    importlib.import_module("app.worker")
    kinds: dict[str, tuple[str, frozenset[str]]] = {}
    for collector in set(REGISTRY._collector_to_names):
        name = getattr(collector, "_name", "")
        if name.startswith("loyalty_"):
            kind = str(getattr(collector, "_type", ""))
            suffix = "_total" if kind == "counter" else ""
            kinds[name + suffix] = kind, frozenset(getattr(collector, "_labelnames", ()))
    found = {
        cells[0].strip("`"): (cells[1], frozenset(re.findall(r"`(\w+)`", cells[2])))
        for cells in rows((REFERENCE / "metrics.md").read_text())
        if re.fullmatch(r"`loyalty_\w+`", cells[0])
    }
    assert found == kinds


def test_the_page_of_tables_has_every_table() -> None:
    """Each table of the schema is in the reference once, and nothing else is."""
    for models in [*ROOT.glob("app/*/models.py"), ROOT / "app/db/lease.py", ROOT / "app/jobs.py"]:
        importlib.import_module(".".join(models.relative_to(ROOT).with_suffix("").parts))
    found = [cells[0].strip("`") for cells in rows((REFERENCE / "tables.md").read_text()) if cells[0].startswith("`")]
    assert sorted(found) == sorted(SQLModel.metadata.tables)


def test_the_description_of_the_api_can_be_shown(web: Litestar) -> None:
    """`/schema`, which the pages point to, has a description to show, with the till's sale in it."""
    assert "/pos/orders" in web.openapi_schema.to_schema()["paths"]


def test_every_guarantee_names_tests_that_exist() -> None:
    """Each promise in the tables of guarantees is followed by the tests that hold it, and they are there."""
    text = (REFERENCE / "guarantees.md").read_text()
    promises = [cells for cells in rows(text) if cells[-1] != "tests"]
    assert len(promises) > 20
    for cells in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cells[-1])
        assert named, f"No test is named for: {cells[0]}"
        for file, test in named:
            assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{test}"
