"""Shared by all tests: command-line options, tools that may be missing, and processes that are always ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parent / "support"))  # plain modules that tests share

from databases import PostgresServer, find_program
from demo_arguments import demo_arguments
from missing import skip_or_fail

from smart_app.demo import Place, Ports

ROOT = Path(__file__).resolve().parent.parent
SYNTHEA = ROOT.parent / "shared" / "fhir" / "synthea"  # beside the repository where we develop; users need not have it

# Chromium would otherwise look up its maker's hosts at every start.
CHROMIUM_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# tool -> what to type on Debian when it is missing
DEBIAN_PACKAGES = {
    "chromium": "apt-get install chromium",
    "git": "apt-get install git",
    "make": "apt-get install make",
    "node": "apt-get install nodejs",
    "npm": "apt-get install npm",
    "postgresql": "apt-get install postgresql",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--data",
        metavar="FOLDER",
        default=str(SYNTHEA) if SYNTHEA.is_dir() else None,
        help="folder with Synthea FHIR R4 bundles, for tests on real input",
    )
    parser.addoption("--inputs", metavar="N", type=int, help="so many new inputs for the fuzz (make fuzz)")
    parser.addoption("--chromium", metavar="FILE", help="browser for tests/browser (default: chromium on PATH)")


@pytest.fixture(scope="session")
def require_tool(pytestconfig: pytest.Config) -> Callable[[str], str]:
    """``require_tool("chromium")`` gives the program's path, or skips with the line that installs it."""

    def require(name: str) -> str:
        path = pytestconfig.getoption(f"--{name}", default=None) or shutil.which(name)
        if path is None or not os.access(path, os.X_OK):
            skip_or_fail(f"{name} is missing: {DEBIAN_PACKAGES[name]}")
        return str(path)

    return require


@pytest.fixture(scope="session")
def browser(require_tool: Callable[[str], str]) -> Iterator[Browser]:
    """One Chromium for all tests that need one: Debian's, headless. Its sandbox is off only for root, where it cannot
    run."""
    arguments = [*CHROMIUM_ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else CHROMIUM_ARGUMENTS
    chromium = require_tool("chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield running
        running.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own for all tests that need one, started when the first of them asks."""
    initdb, server = find_program("initdb"), find_program("postgres")
    if initdb is None or server is None:
        skip_or_fail(f"PostgreSQL is missing: {DEBIAN_PACKAGES['postgresql']}")
    running = PostgresServer(str(initdb), str(server))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def data_folder(pytestconfig: pytest.Config) -> Path:
    """The folder given with ``--data``; a test that needs it is skipped without it: it is no tool that one installs."""
    given = pytestconfig.getoption("--data")
    if given is None:
        pytest.skip("needs real input: pytest --data FOLDER, a folder of Synthea FHIR R4 bundles")
    folder = Path(given).resolve()
    if not any(folder.glob("*.json")):
        pytest.fail(f"--data {given}: no .json file in this folder")
    return folder


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A port of 127.0.0.1 and ::1 that nobody listens on now."""

    def find() -> int:
        while True:
            with socket.socket() as probe, socket.socket(socket.AF_INET6) as probe6:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
                try:
                    probe6.bind(("::1", port))
                except OSError:
                    continue
                return port

    return find


class Process:
    """A program started by a test: its output so far, and a way to end it."""

    def __init__(self, arguments: Sequence[str], log: Path, env: dict[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                [*arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env=env,
                start_new_session=True,  # so that ending it ends what it started, and nothing else
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, word: str, timeout_seconds: float) -> None:
        """Return when a line begins with ``word``; fail with the output when the program ends or stays silent."""
        deadline = time.monotonic() + timeout_seconds
        while not any(line.startswith(word) for line in self.output.splitlines()):
            if self.popen.poll() is not None:
                pytest.fail(f"{self.popen.args} ended with {self.popen.returncode}:\n{self.output}")
            if time.monotonic() > deadline:
                pytest.fail(f"{self.popen.args} did not print {word!r} in {timeout_seconds} s:\n{self.output}")
            time.sleep(0.05)

    def stop(self, timeout_seconds: float = 10) -> int:
        """SIGTERM, then SIGKILL for the whole group; the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout_seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        return self.popen.wait(5)


Starter = Callable[..., Process]


@pytest.fixture(scope="session")
def start_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """``start_process("-m", "launch.sandbox", "ehr", ...)`` runs our Python until ``Ready``, and ends it afterwards."""
    started: list[Process] = []

    def start(
        *arguments: str, ready: str = "Ready", timeout_seconds: float = 30, env: dict[str, str] | None = None
    ) -> Process:
        log = tmp_path_factory.mktemp("process") / "output.txt"
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        process = Process([sys.executable, *arguments], log, environment)
        started.append(process)
        process.wait_for(ready, timeout_seconds)
        return process

    yield start
    for process in reversed(started):
        process.stop()


@pytest.fixture(scope="session")
def demo(
    pytestconfig: pytest.Config,
    start_process: Starter,
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Place:
    """A whole demo on free ports: EHR, program, app and worker. ``demo.app_url`` and the others say where.

    With ``--data`` the people of the Synthea bundles are loaded as well.
    """
    place = Place(tmp_path_factory.mktemp("demo"), Ports(*(free_port() for _ in range(6))))
    arguments = demo_arguments(place)
    if pytestconfig.getoption("--data"):
        arguments += ["--data", str(Path(pytestconfig.getoption("--data")).resolve())]
    start_process(*arguments, timeout_seconds=90)
    return place
