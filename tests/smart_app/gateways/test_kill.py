"""A worker that is killed at the worst moment: nothing lost, one effect at the program."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading

import pytest

from smart_app.gateways import audit_log

WORKER = """
import os, signal, sys, threading, urllib.request
from datetime import UTC, datetime
from launch.errors import PartnerSystemError
from smart_app.delivery.worker import Worker
from smart_app.gateways.cipher import MasterCipher, MasterKey
from smart_app.gateways.directory import DatedMouGate, SqlDirectory
from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import make_engine
from smart_app.gateways.outbox import SqlJobStore
from smart_app.gateways.partner import PartnerSender

url, address, kill_at = sys.argv[1:]
now = lambda: datetime(2026, 11, 24, 15, 1, tzinfo=UTC)
engine = make_engine(url)
cipher = MasterCipher(MasterKey(bytes(range(32))), "hc1")
door = VaultDoor(engine, cipher, site_id="main", organization_reference="Organization/hc1")
directory = SqlDirectory(engine, "hc1")
jobs = SqlJobStore(engine, cipher, site_id="main", now=now)


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


class Client:
    def post(self, *, body, **_):
        sent = body()
        if kill_at == "after-intended":
            die()
        urllib.request.urlopen(urllib.request.Request(address, data=sent, method="POST"), timeout=5).read()
        if kill_at == "after-answer":
            die()


if kill_at == "after-claim":
    VaultDoor.may_release = die
if kill_at == "before-complete":
    SqlJobStore.complete = die
if kill_at == "inside-complete":
    SqlJobStore._note = die
sender = PartnerSender(Client(), door, directory, DatedMouGate(directory, "UTC"), public_base_url="http://127.0.0.1:8000")
Worker(jobs, sender, now=now).run_once()
"""


@pytest.fixture
def program():
    """A program that takes a Task by its identifier once, however often it comes."""
    taken: dict[str, int] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bundle = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = bundle["entry"][3]["resource"]["identifier"][0]["value"]
            taken[name] = taken.get(name, 0) + 1
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "kill_at", ["after-claim", "after-intended", "after-answer", "before-complete", "inside-complete"]
)
def test_a_killed_worker_loses_nothing_and_doubles_nothing(world, program, kill_at):
    """Power off at any moment of a send: afterwards the program has this referral exactly once."""
    address, taken = program
    ids = world.refer()
    url = world.database.url

    def work(at: str) -> int:
        return subprocess.run([sys.executable, "-c", WORKER, url, address, at], timeout=60).returncode

    assert work(kill_at) == -9
    assert world.count("delivery", "state = 'open'") == 1
    world.run("UPDATE delivery SET lease_until = 0")  # its lease runs out
    assert work("never") == 0
    assert list(taken) == [ids.task.split("/")[1]]
    assert world.count("delivery", "state = 'done' AND case_id IS NULL") == 1
    assert world.count("vault_case", "transport = 'delivered'") == 1
    assert world.count("fact", "kind = 'referral-send' AND total = 1") == 1
    assert audit_log.verify(world.engine, world.cipher).holds
    sends = [row for row in world.audit() if row["action"] == "release"]
    arrived = taken[ids.task.split("/")[1]]
    assert len([row for row in sends if row["phase"] == "intended"]) >= arrived  # nothing left without its row
