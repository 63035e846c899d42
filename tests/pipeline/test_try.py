"""./scripts/try, run as a person or another program runs it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def run(
    *arguments: str, lines: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command from another folder, for it finds its own."""
    return subprocess.run(
        [ROOT / "scripts" / "try", *arguments],
        cwd="/",
        env=environment,
        input=lines,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_json_lines() -> None:
    """Each line gets one line, in order, and a broken line does not stop the rest."""
    questions: list[Any] = [
        {"mapping": {"a": {"@path": "$.b"}}, "payload": {"b": [1.5, "é\ud83d"]}},
        {"mapping": {"@path": "$.b"}, "payload": {}},
        {"mapping": {"@bogus": 1}, "payload": {}},
    ]
    lines = "\n".join([json.dumps(questions[0]), "{oops", json.dumps(questions[1]), "", json.dumps(questions[2])])

    answers = [json.loads(line) for line in run("mapping", lines=lines).stdout.splitlines()]

    assert answers[0] == {"output": {"a": [1.5, "é\ud83d"]}}
    assert "Line 2 is not JSON" in answers[1]["error"]
    assert answers[2:] == [{"undefined": True}, {"error": "/ has an invalid directive: @bogus."}]


def test_one_mapping() -> None:
    """One event and one mapping show the output; the event may be a file."""
    shown = run("mapping", "--mapping", '{"a": {"@path": "$.b"}}', "--event", '{"b": 1}')

    assert (shown.returncode, json.loads(shown.stdout)) == (0, {"a": 1})


def test_one_trigger(tmp_path: Path) -> None:
    """One event, from a file, and one trigger show whether it is taken."""
    event = tmp_path / "event.json"
    event.write_text('{"type": "track"}')

    shown = run("fql", "--trigger", 'type = "track"', "--event", str(event))

    assert (shown.returncode, json.loads(shown.stdout)) == (0, {"match": True})


def test_one_event_through_the_bridge() -> None:
    """One event shows the requests of the official presets."""
    shown = run("bridge", "--event", '{"type": "identify", "userId": "u1"}')

    assert json.loads(shown.stdout)["requests"][0]["body"] == {"source_id": "u1", "address": {}, "type": "identify"}
    assert 'taken by Create Or Update Customer: type = "identify"' in shown.stderr
    assert 'payload: {"source_id":"u1","address":{},"type":"identify"}' in shown.stderr
    assert 'not taken by Add Custom Event (Track Event): type = "track"' in shown.stderr


def test_one_trigger_is_linted() -> None:
    """A trigger that Segment reads otherwise than it says is answered as Segment does, with a word of warning."""
    event = '{"type": "page", "event": "Sale"}'
    shown = run("fql", "--trigger", 'type = "track" OR event = "Sale"', "--event", event)

    assert (shown.returncode, json.loads(shown.stdout)) == (0, {"match": False})
    assert shown.stderr.splitlines() == [
        "warning: `OR` is no connector: only small letters are, others are ignored, which leaves `and`.",
        '  Segment reads: type is "track" and event is "Sale"',
        '  write instead: type = "track" or event = "Sale"',
    ]


def test_the_mapping_of_an_action() -> None:
    """With an action the output is what it would send, its own mapping is the default, and traps are told."""
    event = '{"type": "identify", "userId": 5, "traits": {"firstName": "Ann"}}'
    shown = run("mapping", "--action", "upsertCustomer", "--event", event)

    assert json.loads(shown.stdout) == {"source_id": "5", "address": {}, "type": "identify"}
    assert "firstName (read: first_name)" in shown.stderr
    refused = run("mapping", "--action", "upsertCustomer", "--event", '{"type": "identify"}')
    assert refused.returncode == 1
    assert "The root value is missing the required field 'source_id'." in refused.stderr
    webhook = run("mapping", "--action", "send", "--event", '{"type": "page"}')
    assert json.loads(webhook.stdout)["data"] == {"type": "page"}


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        ('{"a": {"@bogus": 1}}', "error: /a has an invalid directive: @bogus.\n"),
        ('{"a": {"@liquid": "{{"}}', "error: /a: The @liquid template can't be used"),
    ],
)
def test_an_error_is_said_once(mapping: str, told: str) -> None:
    """What the lint has said of a mapping that can't be used is not said again, and its path stands there once."""
    failed = run("mapping", "--mapping", mapping, "--event", "{}")
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert failed.stderr.startswith(told)


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """No database that runs, and the sandbox not running either."""
    return {"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path)}


def test_one_event_through_a_function(nowhere: dict[str, str]) -> None:
    """A dry run shows the event that the function returns and the calls for card and coupon that it would have made."""
    event = {"type": "track", "userId": "u1", "event": "Order Completed", "properties": {"total": 30, "order_id": "o1"}}
    shown = run("function", "--event", json.dumps(event), environment=nowhere)

    answer = json.loads(shown.stdout)
    assert list(answer) == ["outcome", "event", "error", "log", "calls"]
    assert (shown.returncode, answer["outcome"], answer["error"]) == (0, "returned", None)
    assert answer["event"]["properties"]["earned_coupon"]
    assert [(call["method"], call["path"], call["dry"]) for call in answer["calls"] if "dry" in call] == [
        ("POST", "/v1/publications", True)
    ] * 2


def test_functions_by_lines(nowhere: dict[str, str]) -> None:
    """Each line is an event for a function; one process runs them all, and a broken line harms only itself."""
    questions: list[Any] = [
        {"event": {"type": "page", "userId": "u1"}},
        {"event": "text"},
        {"event": {"type": "page"}, "function": "nope"},
        {"event": {"type": "delete"}, "function": "voucherify"},
    ]
    shown = run("function", lines="\n".join(map(json.dumps, questions)), environment=nowhere)

    returned, no_event, nope, unsupported = map(json.loads, shown.stdout.splitlines())
    assert (returned["outcome"], returned["event"]) == ("returned", questions[0]["event"])
    assert no_event == {"error": "The event must be an object with a type."}
    assert nope == {"error": "There is no function 'nope' in functions/. There is: voucherify."}
    assert unsupported["outcome"] == "unsupported_event_type"


def test_the_examples_of_the_page(nowhere: dict[str, str]) -> None:
    """Each example in the how-to prints what stands under it."""
    page = (ROOT / "docs/how-to/try-a-mapping.md").read_text()
    examples = re.findall(r"^```text\n\$ ((?:[^\n]*\\\n)*[^\n]*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert {kind for command, _ in examples for kind in re.findall(r"scripts/try (\w+)", command)} == {
        "mapping",
        "fql",
        "bridge",
        "function",
    }
    for command, printed in examples:
        shown = subprocess.run(
            ["sh", "-c", f"{command} 2>&1"],
            cwd=ROOT,
            env=nowhere,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert shown.stdout == printed, command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["mapping", "--event", "{}"], "mapping needs --mapping or --action as well"),
        (["fql", "--trigger", "type"], "give an --event too"),
        (["bridge", "--trigger", "x", "--event", "{}"], "bridge takes no --trigger"),
        (["function", "--function", "nope", "--event", '{"type": "page"}'], "There is no function 'nope'"),
        (["mapping", "--action", "nope", "--event", "{}"], "invalid choice: 'nope'"),
        (["bridge", "--event", "{oops"], "no file of that name can be read"),
        (["mapping", "--mapping", '{"@bogus": 1}', "--event", "{}"], "has an invalid directive: @bogus"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], sentence: str) -> None:
    """A mistake ends the command with one clear sentence and not with a traceback."""
    failed = run(*arguments)

    assert failed.returncode != 0
    assert sentence in failed.stderr
    assert "Traceback" not in failed.stderr
