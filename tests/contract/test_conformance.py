"""The mapping language, the trigger language and the bridge, held against answers of Segment's own code."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECK = ROOT.parent / "shared" / "conformance" / "check"


@pytest.mark.skipif(not CHECK.exists(), reason="../shared/conformance, Segment's recorded answers, is not here")
@pytest.mark.parametrize("kind", ["mapping", "fql", "bridge", "liquid"])
def test_agrees_with_segment(kind: str) -> None:
    """Every recorded question gets Segment's answer: all of them, of @liquid too, though its engine is another one."""
    run = subprocess.run([CHECK, kind], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    assert run.returncode == 0, run.stdout
    counted = re.search(rf"^{kind}: (\d+)/(\d+) agree with Segment \(100\.00 %\)$", run.stdout, re.MULTILINE)
    assert counted, run.stdout
    assert counted[1] == counted[2] != "0", run.stdout
