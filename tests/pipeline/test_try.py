"""./scripts/try, run as a person or another program runs it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command from another folder, for it finds its own."""
    return subprocess.run(
        [ROOT / "scripts" / "try", *arguments],
        cwd="/",
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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["mapping", "--event", "{}"], "mapping needs --mapping as well"),
        (["fql", "--trigger", "type"], "give an --event too"),
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
