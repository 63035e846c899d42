"""The tables of docs/reference/fidelity.md out of the markers in app/sandbox: `python -m scripts.lib.fidelity --help`.

The text around the tables is written by hand. Rows come in the order of the modules below, and in a module in the order
of its markers. What the sandbox refuses is read from the places that raise `NotEmulated`.
"""

import argparse
import ast
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.sandbox.fidelity import Mark

ROOT = Path(__file__).parents[2]
SANDBOX = ROOT / "app" / "sandbox"
PAGE = ROOT / "docs" / "reference" / "fidelity.md"
HEAD = ("| behaviour | how sure |", "|---|---|")
SECTIONS = {
    "The protocol": ("edge", "errors", "ids", "read", "app"),
    "What it does": (),  # every module that is in no other section
    "Webhooks": ("outbox", "webhooks", "work"),
}
FIRST = ("customers", "orders", "earning", "ledger", "publications", "discounts", "redemptions", "rewards", "rollbacks")
"""Modules that the reader wants first; the others follow by name."""
REFUSED = "Refused when asked for"


def modules(section: str) -> list[str]:
    """The modules whose markers stand in a section."""
    if SECTIONS[section]:
        return list(SECTIONS[section])
    elsewhere = {name for names in SECTIONS.values() for name in names}
    found = {path.stem for path in SANDBOX.glob("*.py")} - elsewhere - {"__main__", "__init__", "fidelity"}
    return [name for name in FIRST if name in found] + sorted(found - set(FIRST))


def marks(module: str) -> tuple[Mark, ...]:
    made: tuple[Mark, ...] = getattr(importlib.import_module(f"app.sandbox.{module}"), "FIDELITY", ())
    return made


def row(mark: Mark) -> str:
    """One line of the table."""
    return f"| {mark.behaviour} | {mark.sure}{f'; {mark.note}' if mark.note else ''} |"


def refused() -> list[str]:
    """What the code refuses as not emulated, in its own words; `…` stands for what the request says."""
    found: set[str] = set()
    for path in sorted(SANDBOX.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NotEmulated":
                found |= {text for argument in node.args[:1] if (text := _text(argument)) and text[0].isalpha()}
    return sorted(found, key=str.lower)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def made(page: str) -> str:
    """The page with its tables made anew."""
    for section in SECTIONS:
        rows = [row(mark) for module in modules(section) for mark in marks(module)]
        page = _replaced(page, section, [*HEAD, *rows])
    return _replaced(page, REFUSED, [f"- {text}" for text in refused()])


def _replaced(page: str, section: str, lines: list[str]) -> str:
    before, heading, rest = page.partition(f"## {section}\n")
    if not heading:
        raise SystemExit(f"{PAGE.name} has no heading `## {section}`.")
    body, following, after = rest.partition("\n## ")
    kept = [line for line in body.strip("\n").split("\n") if not line.startswith(("|", "- "))]
    text = "\n".join(kept).strip("\n")
    table = "\n".join(lines)
    return f"{before}{heading}\n{text + chr(10) * 2 if text else ''}{table}\n{following}{after}"


def unmarked(page: str) -> Iterator[tuple[str, str]]:
    """Rows of the page that no marker makes, as (section, marker to put into a module)."""
    for section in SECTIONS:
        known = {row(mark) for module in modules(section) for mark in marks(module)}
        body = page.partition(f"## {section}\n")[2].partition("\n## ")[0]
        for line in body.splitlines():
            if line.startswith("|") and line not in {*HEAD, *known}:
                behaviour, _, sure = line.strip("| ").rpartition(" | ")
                yield section, marker(behaviour, sure)


def marker(behaviour: str, sure: str) -> str:
    """The marker that makes such a row."""
    found = re.match(r"(documented|asserted|inferred)\W*(.*)", sure)
    kind, note = (found[1], found[2].rstrip(")") if "(" not in found[2] else found[2]) if found else ("inferred", sure)
    return f"{kind}({behaviour!r}{f', {note!r}' if note else ''}),"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.lib.fidelity",
        description="Make the tables of docs/reference/fidelity.md out of the markers in app/sandbox.",
        epilog="Exit code: 0 the page is as it should be, 1 it is not.",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--write", action="store_true", help="write the page")
    how.add_argument("--unmarked", action="store_true", help="print the rows that stand on the page alone, as markers")
    options = parser.parse_args(arguments)
    page = PAGE.read_text()
    if options.unmarked:
        found = list(unmarked(page))
        print("\n".join(f"{section}: {text}" for section, text in found))
        return 1 if found else 0
    new = made(page)
    if options.write:
        PAGE.write_text(new)
        return 0
    return 0 if new == page else 1


if __name__ == "__main__":
    sys.exit(main())
