"""The whole demo fits on a small machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from demo_arguments import demo_arguments
from parties import Plays

from smart_app.demo import Place, Ports

BENCH = Path(__file__).resolve().parents[2] / "bench" / "footprint.py"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux: /proc/<pid>/smaps_rollup")
def test_after_one_run_of_the_flows_the_demo_takes_600_mb_at_most(
    start_process: Callable[..., Any], free_port: Callable[[], int], tmp_path: Path
) -> None:
    """A clinic's small computer can show the whole thing: EHR, program, app and worker together.

    A demo of its own: that of all other tests has had hundreds of launches by now."""
    demo = Place(tmp_path, Ports(*(free_port() for _ in range(6))))
    running = start_process(*demo_arguments(demo), timeout_seconds=90)
    Plays(*demo.sandboxes()).of("a", "p-dana")
    command = [sys.executable, str(BENCH), "--running", str(demo.directory)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    running.stop()
    measured = json.loads(result.stdout)
    assert set(measured["parts_mb"]) == {"sandbox-ehr", "sandbox-program", "app", "inbox", "worker", "demo"}
    assert all(size > 10 for size in measured["parts_mb"].values())
    assert measured["pss_mb"] <= 600, result.stdout
    assert result.returncode == 0
