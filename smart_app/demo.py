"""``warm-referral demo``: a sandbox EHR, a sandbox DSV program, the app and its worker, on this computer only.

Everything it needs is made under one folder (default ``var/demo``) on the first run and kept for the next.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import requests

from smart_app.tour.sandboxes import SandboxEhr, SandboxProgram

START_TIMEOUT_SECONDS = 45.0
STOP_TIMEOUT_SECONDS = 8.0


class DemoError(Exception):
    """The demo cannot start or go on; the text is one sentence with the remedy."""


@dataclass(frozen=True)
class Ports:
    """Where each part listens; all loopback."""

    app: int = 8000
    ehr: int = 9000
    ehr_control: int = 9001
    program: int = 9100
    program_control: int = 9101
    inbox: int = 8100


@dataclass(frozen=True)
class Place:
    """The demo's folder and URLs."""

    directory: Path
    ports: Ports = field(default_factory=Ports)
    database: str | None = None

    @property
    def config(self) -> Path:
        """The settings file the demo writes."""
        return self.directory / "config.toml"

    @property
    def database_url(self) -> str:
        """The vault: a SQLite file in the folder unless ``database`` names another."""
        return self.database or f"sqlite:///{self.directory / 'vault.sqlite3'}"

    @property
    def app_url(self) -> str:
        """The app, on another site than the EHR."""
        return f"http://127.0.0.1:{self.ports.app}"

    @property
    def inbox_url(self) -> str:
        """The inbox for programs; by name, because a passkey is bound to a host name."""
        return f"http://localhost:{self.ports.inbox}"

    @property
    def ehr_url(self) -> str:
        """The sandbox EHR."""
        return f"http://localhost:{self.ports.ehr}"

    @property
    def program_url(self) -> str:
        """The sandbox DSV program."""
        return f"http://localhost:{self.ports.program}"

    @property
    def ehr_control(self) -> str:
        """Switches of the sandbox EHR."""
        return f"http://127.0.0.1:{self.ports.ehr_control}"

    @property
    def program_control(self) -> str:
        """Switches of the sandbox DSV program."""
        return f"http://127.0.0.1:{self.ports.program_control}"

    def sandboxes(self) -> tuple[SandboxEhr, SandboxProgram]:
        """Both sandboxes, as the tour talks to them."""
        return SandboxEhr(self.ehr_url, self.ehr_control), SandboxProgram(self.program_control)

    @property
    def proof(self) -> Path:
        """The label proof that the probe writes before the app starts; never committed."""
        return self.directory / "proof-a.json"


def prepare(place: Place, *, create_keys: Callable[[Path], None]) -> None:
    """Make folder, keys and settings; keep what is there already. Settings are written anew: ports may differ."""
    place.directory.mkdir(parents=True, exist_ok=True)
    master_key = place.directory / "master.key"
    if not master_key.exists():
        _write_secret(master_key, base64.b64encode(secrets.token_bytes(32)).decode())
    keys = place.directory / "app-keys.json"
    if not keys.exists():
        create_keys(keys)
    template = (Path(__file__).parent / "demo_config.toml").read_text()
    for name, value in _names(place).items():
        template = template.replace(f"@{name}@", value)
    place.config.write_text(template)


def require_free_ports(ports: Ports) -> None:
    """Raises ``DemoError`` naming the first busy port and the flag that moves it."""
    for flag, port in vars(ports).items():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                option = "--" + flag.replace("_", "-") + "-port"
                raise DemoError(
                    f"Port {port} is busy: stop what uses it, or choose another with {option} NUMBER."
                ) from None


class Processes:
    """The demo's child processes; leaving the ``with`` block stops them all, in reverse order."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for _name, process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        for _name, process in reversed(self._running):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name: str, arguments: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        """Start ``python ARGUMENTS``; its output goes to ``<folder>/<name>.log``."""
        log = (self._place.directory / f"{name}.log").open("wb")
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own arguments
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            start_new_session=True,  # Ctrl-C reaches the demo alone; it stops the others in order
        )
        log.close()
        self._running.append((name, process))

    def wait_for(self, name: str, url: str) -> None:
        """Until ``url`` answers at all. Raises ``DemoError`` if the process ends or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            self.require_alive()
            try:
                requests.get(url, timeout=2, allow_redirects=False)
            except requests.RequestException:
                time.sleep(0.05)
            else:
                return
        raise DemoError(f"The {name} did not start in time: read {self._place.directory / (name + '.log')}.")

    def require_alive(self) -> None:
        """Raises ``DemoError`` naming the first process that ended by itself."""
        for name, process in self._running:
            if process.poll() is not None:
                raise DemoError(f"The {name} stopped by itself: read {self._place.directory / (name + '.log')}.")

    def pids(self) -> dict[str, int]:
        """Name -> process id, for those who measure."""
        return {name: process.pid for name, process in self._running}


def start_all(
    processes: Processes, place: Place, *, data: Path | None, before_app: Callable[[], Sequence[str]]
) -> Sequence[str]:
    """EHR and program first, then the probe that writes the proof, then the vault, then app, worker and inbox. Returns
    what ``before_app`` has to say."""
    p = place.ports
    folder = place.directory
    ehr = ["-m", "launch.sandbox", "ehr", "--port", str(p.ehr), "--control", str(p.ehr_control)]
    ehr += ["--app", place.app_url, "--database", str(folder / "ehr.sqlite3")]
    processes.start("sandbox-ehr", ehr + (["--data", str(data)] if data else []))
    program = ["-m", "launch.sandbox", "program", "--port", str(p.program), "--control", str(p.program_control)]
    program += ["--clinic", place.app_url, "--database", str(folder / "program.sqlite3")]
    processes.start("sandbox-program", [*program, "--keys", str(folder / "program-keys.json")])
    processes.wait_for("sandbox-ehr", f"{place.ehr_control}/state")
    processes.wait_for("sandbox-program", f"{place.program_control}/state")
    probe_labels(place)
    more = before_app()
    cli = ["-m", "smart_app", "--config", str(place.config)]
    processes.start("app", [*cli, "serve"])
    processes.start("worker", [*cli, "work"])
    processes.start("inbox", [*cli, "serve", "--surface", "advocate", "--threads", "4"])
    processes.wait_for("app", f"{place.app_url}/health")
    processes.wait_for("inbox", f"{place.inbox_url}/phones")
    processes.require_alive()
    return more


def probe_labels(place: Place) -> None:
    """Run the label probe against our own sandbox; it writes the dated proof that write-back at ``/a`` needs (R6)."""
    command = [sys.executable, "-m", "smart_app", "launch", "label-probe", "--registration", "a"]
    command += ["--fhir-base", f"{place.ehr_url}/a/fhir", "--control", place.ehr_control]
    command += ["--patient", "p-marcus", "--out", str(place.proof)]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=START_TIMEOUT_SECONDS)  # noqa: S603
    (place.directory / "label-probe.log").write_text(result.stdout + result.stderr)
    if result.returncode != 0:
        raise DemoError(f"The label probe failed: read {place.directory / 'label-probe.log'}.")


def run(
    place: Place,
    *,
    data: Path | None,
    say: Callable[[str], None],
    before_app: Callable[[], Sequence[str]],
    on_ready: Callable[[], int] | None,
) -> int:
    """Start all, print the URLs, what ``before_app`` has to say, and the ``Ready`` line; then either play ``on_ready``
    or wait for Ctrl-C."""
    started = time.monotonic()
    with Processes(place) as processes:
        try:
            more = start_all(processes, place, data=data, before_app=before_app)
            for line in [*_urls(place), *more]:
                say(line)
            say(f"Ready in {time.monotonic() - started:.1f} s. Ctrl-C stops all of it.")
            if on_ready is not None:
                return on_ready()
            while True:
                processes.require_alive()
                time.sleep(0.5)
        except KeyboardInterrupt:
            say("Stopping.")
            return 0


def _names(place: Place) -> dict[str, str]:
    return {
        "APP": place.app_url,
        "APP_PORT": str(place.ports.app),
        "INBOX": place.inbox_url,
        "INBOX_PORT": str(place.ports.inbox),
        "EHR": place.ehr_url,
        "EHR_CONTROL": place.ehr_control,
        "PROGRAM_CONTROL": place.program_control,
        "DATABASE_URL": place.database_url,
        "DIRECTORY": str(place.directory),
    }


def _urls(place: Place) -> list[str]:
    return [
        f"  Sandbox EHR            {place.ehr_url}/",
        f"  Sandbox DSV program    {place.program_url}/",
        f"  Care Connections       {place.app_url}/  (clinicians open it from a chart in the EHR)",
        f"  Follow the data        {place.app_url}/follow",
    ]


def _write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
