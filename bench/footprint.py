"""How much memory the whole demo takes: the sum of PSS of all its processes after one run of the flows.

    make bench                                             # starts a demo in a new folder, plays the tour, measures
    .venv/bin/python bench/footprint.py --running FOLDER   # measures a demo that runs in FOLDER, and plays nothing

Prints one JSON object. PSS counts a page that several processes share once in all, so the sum is what the demo really
takes. Linux only (/proc/<pid>/smaps_rollup).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROC = Path("/proc")
LIMIT_MB = 600
PARTS = (
    ("sandbox-ehr", "launch.sandbox ehr"),
    ("sandbox-program", "launch.sandbox program"),
    ("inbox", " --surface advocate"),
    ("app", " serve"),
    ("worker", " work"),
    ("demo", " demo "),
)
READY = re.compile(r"Ready in ([\d.]+) s")


def processes_of(folder: Path) -> dict[int, str]:
    """Process id -> part of the demo, for every process whose command line names the demo's folder."""
    found = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        part = next((name for name, words in PARTS if words in command), None)
        if part is not None and f"{folder}" in command:
            found[int(entry.name)] = part
    return found


def pss_megabytes(pid: int) -> float:
    """Proportional set size of one process, in units of 1,000,000 bytes."""
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError("no Pss line")


def measure(folder: Path) -> dict[str, object]:
    """The sum and its parts. Several processes of one part (gunicorn's two) are added up."""
    parts: dict[str, float] = {}
    found = processes_of(folder.resolve())
    for pid, part in found.items():
        parts[part] = parts.get(part, 0.0) + pss_megabytes(pid)
    return {
        "pss_mb": round(sum(parts.values()), 1),
        "limit_mb": LIMIT_MB,
        "processes": len(found),
        "parts_mb": {part: round(size, 1) for part, size in sorted(parts.items())},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def run_and_measure() -> dict[str, object]:
    """Start the demo with the tour in a new folder, and measure when the tour has just ended."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "smart_app", "demo", "--tour", "--directory", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
            started, result = None, None
            for line in demo.stdout or ():
                started = READY.search(line) or started
                if line.startswith(("The tour is complete", "The tour found")):
                    result = measure(Path(folder))  # the demo stops right after this line: it is stopped in order
            code = demo.wait()
    if result is None or code != 0 or started is None:
        sys.exit(f"The demo ended with {code}: its ports may be busy, or the tour found a difference.")
    return {**result, "ready_seconds": float(started[1])}


if __name__ == "__main__":
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--running", type=Path, metavar="FOLDER", help="measure a demo that runs already")
    given = ask.parse_args()
    answer = measure(given.running) if given.running else run_and_measure()
    print(json.dumps(answer, indent=2))
    sys.exit(0 if float(str(answer["pss_mb"])) <= LIMIT_MB else 1)
