"""Test-only launcher: one demo folder's sandboxes, app and worker, where app and worker die at a named kill point.

    python tests/flows/killable.py FOLDER DATABASE APP EHR EHR_CONTROL PROGRAM PROGRAM_CONTROL

DATABASE is the URL of the vault, or "-" for a SQLite file in FOLDER; the rest are five ports.

Whoever writes the name of a kill point into FOLDER/armed makes the next process that reaches it kill its whole process
group with SIGKILL, as a power cut would. It is started again at once, and FOLDER/deaths gets one more line.
Everything is imported once and forked: a restart takes a moment instead of seconds.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from kill_points import KILL_POINTS, KillPoint

from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from launch.sandbox.__main__ import main as sandbox
from smart_app import demo
from smart_app.app import migrate, seed_demo_partners
from smart_app.cli import cli
from smart_app.settings import load

TYPES = ("Observation", "ServiceRequest", "Appointment")
SANDBOXES = ("sandbox-ehr", "sandbox-program")


def wrap(point: KillPoint, folder: Path) -> None:
    """Put the kill around its function. An unknown name stops the launcher: a kill point must not rot."""
    module_name, _, path = point.target.partition(":")
    *outer, name = path.split(".")
    owner = functools.reduce(getattr, outer, importlib.import_module(module_name))
    function: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(function)
    def killable(*args: Any, **kwargs: Any) -> Any:
        if point.when == "before":
            die_if_armed(point, folder)
        result = function(*args, **kwargs)
        if point.when == "after":
            die_if_armed(point, folder)
        return result

    setattr(owner, name, killable)


def die_if_armed(point: KillPoint, folder: Path) -> None:
    armed = folder / "armed"
    if armed.exists() and armed.read_text() == point.name:
        armed.unlink()
        os.killpg(os.getpgrp(), signal.SIGKILL)
        time.sleep(60)  # the signal is on its way: nothing more may happen


class Children:
    """What runs now. Each child leads a process group of its own, so that a kill reaches what it started as well."""

    def __init__(self, place: demo.Place) -> None:
        self._place = place
        self._pids: dict[int, str] = {}

    def start(self, name: str) -> None:
        pid = os.fork()
        if pid == 0:
            self._become(name)
        self._pids[pid] = name

    def _become(self, name: str) -> None:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        log = os.open(self._place.directory / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(log, stream)
        code = 1
        try:
            code = self._run(name)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        finally:
            os._exit(code)

    def _run(self, name: str) -> int:
        ports, folder = self._place.ports, self._place.directory
        if name == "sandbox-ehr":
            ehr = ["ehr", "--port", str(ports.ehr), "--control", str(ports.ehr_control), "--app", self._place.app_url]
            return sandbox([*ehr, "--database", str(folder / "ehr.sqlite3")])
        if name == "sandbox-program":
            program = ["program", "--port", str(ports.program), "--control", str(ports.program_control)]
            program += ["--clinic", self._place.app_url, "--database", str(folder / "program.sqlite3")]
            return sandbox([*program, "--keys", str(folder / "program-keys.json")])
        for point in KILL_POINTS:
            if point.process == name:
                wrap(point, folder)
        cli(["--config", str(self._place.config), {"app": "serve", "worker": "work"}[name]])
        return 0

    def watch(self) -> None:
        """Start again whoever was killed; anything else that ends is an error."""
        while True:
            pid, status = os.wait()
            name = self._pids.pop(pid, None)
            if name is None:
                continue
            if name in SANDBOXES or not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
                sys.exit(f"The {name} stopped by itself with status {status}.")
            self.start(name)
            with (self._place.directory / "deaths").open("a") as deaths:
                deaths.write(f"{name}\n")

    def stop(self) -> None:
        for pid in reversed(self._pids):
            os.kill(pid, signal.SIGTERM)


def prepare(place: demo.Place) -> None:
    """Keys, settings, a proof as the probe would write it, and the vault."""
    demo.prepare(place, create_keys=create_key_file)
    today = datetime.now(UTC).date()
    write_proof(
        Proof("a", "Sandbox", "1", today, a_year_after(today), "flow tests", ("p-dana",), dict.fromkeys(TYPES, "A")),
        place.proof,
    )
    settings = load(place.config)
    migrate(settings)
    seed_demo_partners(settings, place.program_url)


def wait_for(url: str) -> None:
    deadline = time.monotonic() + demo.START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            requests.get(url, timeout=5)
        except requests.RequestException:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"{url} did not answer in time.")


def main() -> None:
    folder, database, *ports = sys.argv[1:]
    place = demo.Place(Path(folder), demo.Ports(*map(int, ports)), None if database == "-" else database)
    children = Children(place)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for name in SANDBOXES:
            children.start(name)
        prepare(place)
        for name in ("app", "worker"):
            children.start(name)
        for url in (f"{place.ehr_control}/state", f"{place.program_control}/state", f"{place.app_url}/health"):
            wait_for(url)
        sys.stdout.write("Ready\n")
        sys.stdout.flush()
        children.watch()
    finally:
        children.stop()


if __name__ == "__main__":
    main()
