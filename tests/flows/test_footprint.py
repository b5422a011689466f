"""The whole demo fits on a small machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from parties import Plays

from smart_app.demo import Place

BENCH = Path(__file__).resolve().parents[2] / "bench" / "footprint.py"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux: /proc/<pid>/smaps_rollup")
def test_after_one_run_of_the_flows_the_demo_takes_600_mb_at_most(demo: Place, plays: Plays) -> None:
    """A clinic's small computer can show the whole thing: EHR, program, app and worker together."""
    plays.of("a", "p-dana")
    command = [sys.executable, str(BENCH), "--running", str(demo.directory)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    measured = json.loads(result.stdout)
    assert set(measured["parts_mb"]) == {"sandbox-ehr", "sandbox-program", "app", "inbox", "worker", "demo"}
    assert all(size > 10 for size in measured["parts_mb"].values())
    assert measured["pss_mb"] <= 600, result.stdout
    assert result.returncode == 0
