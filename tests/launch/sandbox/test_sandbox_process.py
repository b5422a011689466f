"""The sandbox EHR as a process: it says when it is ready, stays on loopback, and stops when told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

MAX_MEGABYTES = 90


def _arguments(port: int, folder: Path, *more: str) -> list[str]:
    return ["-m", "launch.sandbox", "ehr", "--port", str(port), "--database", str(folder / "ehr.sqlite3"), *more]


def _memory_megabytes(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024


def test_it_is_small_and_answers_on_both_loopback_addresses(start_process, free_port, tmp_path) -> None:
    """The EHR says Ready, answers on both loopback addresses, has no control port unless asked, and stops in order."""
    port = free_port()
    process = start_process(*_arguments(port, tmp_path))
    host = {"Host": f"localhost:{port}"}
    for address in (f"http://127.0.0.1:{port}", f"http://[::1]:{port}"):
        assert requests.get(f"{address}/a/fhir/metadata", headers=host, timeout=10).status_code == 200
    assert "http://localhost" in process.output
    if Path("/proc/self/smaps_rollup").exists():
        assert _memory_megabytes(process.popen.pid) < MAX_MEGABYTES
    listening = subprocess.run(
        ["cat", f"/proc/{process.popen.pid}/net/tcp"], capture_output=True, text=True, check=False
    )
    assert f"00000000:{port:04X}" not in listening.stdout
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(10) == 0
    assert process.output.count("\n") == 1


def test_control_is_on_only_when_asked(start_process, free_port, tmp_path) -> None:
    """With --control the switches are on their own port; without it nothing listens beside the EHR."""
    port, control = free_port(), free_port()
    start_process(*_arguments(port, tmp_path, "--control", str(control)))
    assert requests.get(f"http://127.0.0.1:{control}/state", timeout=10).json()["knobs"]["filter_labels"] is True


def test_what_was_written_survives_a_restart(start_process, free_port, tmp_path, observation) -> None:
    """A record, and the fact that a proof of identity was used, are still there after a restart."""
    port, control = free_port(), free_port()
    arguments = _arguments(port, tmp_path, "--control", str(control))
    process = start_process(*arguments)
    token = requests.post(f"http://127.0.0.1:{control}/token", json={"kind": "clinician"}, timeout=10).json()
    headers = {"Authorization": f"Bearer {token['access_token']}", "Content-Type": "application/fhir+json"}
    base = f"http://localhost:{port}/a/fhir"
    place = requests.post(f"{base}/Observation", json=observation(), headers=headers, timeout=10).headers["Location"]
    process.stop()
    start_process(*arguments)
    assert requests.get(place, headers=headers, timeout=10).json()["meta"]["security"][0]["code"] == "V"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--app", "http://app.example.org"], "must be a loopback origin"),
        (["--app", "http://127.0.0.1:8000/path"], "must be a loopback origin"),
        (["--data", "/nowhere/at/all"], "not a folder"),
    ],
)
def test_a_wrong_argument_is_one_sentence(free_port, tmp_path, more, words) -> None:
    """A wrong address or folder ends with exit code 2 and a sentence, not a stack trace."""
    done = subprocess.run(
        [sys.executable, *_arguments(free_port(), tmp_path, *more)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_busy_port_is_named(free_port, tmp_path) -> None:
    """When something else uses the port, the message names the port and says what to do."""
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        done = subprocess.run(
            [sys.executable, *_arguments(port, tmp_path)], capture_output=True, text=True, timeout=30, check=False,
            env=dict(os.environ),
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(port) in done.stderr
