"""The mapping language, the trigger language and the bridge, held against answers of Segment's own code."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECK = ROOT.parent / "shared" / "conformance" / "check"


@pytest.mark.skipif(not CHECK.exists(), reason="../shared/conformance, Segment's recorded answers, is not here")
@pytest.mark.parametrize("kind", ["mapping", "fql", "bridge", "liquid"])
def test_agrees_with_segment(kind: str) -> None:
    """Every recorded question gets Segment's answer (with another Liquid engine, nine of ten would do; all agree)."""
    run = subprocess.run([CHECK, kind], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    assert run.returncode == 0, run.stdout
    assert f"{kind}: " in run.stdout
    assert "(100.00 %)" in run.stdout, run.stdout
