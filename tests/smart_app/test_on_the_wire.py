"""What headers of callers and proxies can change at a running server: who called, where a trusted proxy says so."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from smart_app import foundation
from smart_app.cli import cli
from smart_app.gateways import audit_log
from smart_app.settings import load

PROXY, CALLER = "127.0.0.9", "127.0.0.1"  # every address of 127.0.0.0/8 is this computer, and can call from there
SPOOFED = {
    "Host": "evil.example",
    "Forwarded": "for=203.0.113.9;host=evil.example;proto=http",
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Port": "81",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Ssl": "off",
    "X-Real-Ip": "203.0.113.9",
    "X-Original-Url": "/evil",
    "X-Rewrite-Url": "/evil",
    "Script-Name": "/evil",
    "Path-Info": "/evil",
    "Script_Name": "/evil",
    "Path_Info": "/evil",
}


@dataclass
class Server:
    """A served app that trusts one proxy."""

    config: Path
    port: int

    def get(self, path: str, source: str, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30, source_address=(source, 0))
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def callers(self) -> list[str]:
        """Addresses in the audit, oldest first."""
        base = foundation.lay_foundation(load(self.config))
        found = [row for _, row in audit_log.entries(base.engine, base.cipher) if row["action"] == "launch-refused"]
        base.engine.dispose()
        return [row["address"] for row in found]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path_factory.mktemp("wire") / "config.toml"
    said = ["--public-base-url", "https://care.example.org", "--site-name", "Riverside", "--site-phone", "555-0123"]
    said += ["--time-zone", "America/Chicago", "--bind-port", str(port), "--trusted-proxy", f"{PROXY}/32"]
    for words in (["init", *said], ["ehr", "add", "https://ehr.example.org/fhir"], ["migrate"]):
        done = CliRunner().invoke(cli, ["--config", str(config), *words])
        assert done.exit_code == 0, done.output
    program = [sys.executable, "-m", "smart_app", "--config", str(config), "serve", "--threads", "2"]
    process = subprocess.Popen(program, stderr=subprocess.DEVNULL)
    made = Server(config, port)
    try:
        _wait(process, lambda: made.get("/health", CALLER, {}))
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _wait(process: subprocess.Popen[bytes], call: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            call()
        except OSError:
            assert process.poll() is None
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the app did not answer in time")


@pytest.mark.parametrize("source", [CALLER, PROXY])
@pytest.mark.parametrize("name", [*SPOOFED, "all"])
def test_no_header_changes_our_addresses(server: Server, source: str, name: str) -> None:
    """Whatever a caller or even our own proxy sends, the token address and the way of a request stay what settings say:
    nobody is led elsewhere with a key in hand."""
    headers = SPOOFED if name == "all" else {name: SPOOFED[name]}
    status, body = server.get("/fhir/.well-known/smart-configuration", source, headers)
    assert (status, json.loads(body)["token_endpoint"]) == (200, "https://care.example.org/token")
    assert b"evil" not in body


def test_who_called_is_told_by_the_trusted_proxy_alone(server: Server) -> None:
    """Rate limits and the audit count the caller behind our own proxy, and nobody else chooses an address.

    Break: leave the look at ``REMOTE_ADDR`` out of ``surface.BehindProxies``.
    """
    before = len(server.callers())
    for number, (source, told) in enumerate(
        [
            (CALLER, "203.0.113.1"),  # spoofed: it comes from no proxy of ours
            (PROXY, "203.0.113.2"),
            (PROXY, "198.51.100.9, 203.0.113.3"),  # what stands before is the caller's own word
            (PROXY, "::ffff:203.0.113.4"),
            (PROXY, "203.0.113.5, " + PROXY),
            (PROXY, "not-an-address"),
        ]
    ):
        status, _ = server.get(
            f"/launch?iss=https://unknown.example/{number}&launch=x", source, {"X-Forwarded-For": told}
        )
        assert status == 400
    expected = [CALLER, "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5", PROXY]
    assert server.callers()[before:] == expected
