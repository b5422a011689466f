"""She takes her word back while two workers are sending: nothing arrives at the program more than a second later."""

from __future__ import annotations

import http.server
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from smart_app.workflows import release

TIMES = 100
LATE_SECONDS = 1.0

WORKER = """
import signal, sys, threading, urllib.request
from datetime import UTC, datetime
from smart_app.delivery.worker import Worker
from smart_app.gateways.cipher import MasterCipher, MasterKey
from smart_app.gateways.directory import DatedMouGate, SqlDirectory
from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import make_engine
from smart_app.gateways.outbox import SqlJobStore
from smart_app.gateways.partner import PartnerSender

url, address = sys.argv[1:]
now = lambda: datetime(2026, 11, 24, 15, 1, tzinfo=UTC)
engine = make_engine(url)
cipher = MasterCipher(MasterKey(bytes(range(32))), "hc1")
door = VaultDoor(engine, cipher, site_id="main", organization_reference="Organization/hc1")
directory = SqlDirectory(engine, "hc1")


class Client:
    def post(self, *, body, **_):
        sent = body()
        urllib.request.urlopen(urllib.request.Request(address, data=sent, method="POST"), timeout=10).read()


sender = PartnerSender(Client(), door, directory, DatedMouGate(directory, "UTC"), public_base_url="http://127.0.0.1:8000")
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
jobs = SqlJobStore(engine, cipher, site_id="main", now=now)
print("Ready", flush=True)
Worker(jobs, sender, now=now, poll_seconds=0.01).run(stop)
"""


@pytest.fixture
def program() -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """A program that notes which Task arrived when, by the clock of this machine."""
    arrived: list[tuple[str, float]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bundle = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            arrived.append((bundle["entry"][3]["resource"]["id"], time.time()))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", arrived
    server.shutdown()
    server.server_close()


@pytest.mark.rule("R11")
def test_rule_R11_nothing_arrives_later_than_a_second_after_she_withdrew(world, program):
    """Five hundred times she withdraws while two workers send: some were sent before, none is sent after.

    Break: let a worker wait two seconds between ``door.release`` and the connection (PartnerSender._post), or drop
    ``_stop_what_waits`` together with the second look at the release.
    """
    address, arrived = program
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, world.database.url, address], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    chance = random.Random(20261124)
    withdrawn: dict[str, float] = {}
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"Ready\n"
        for _ in range(TIMES):
            ids = world.refer()
            time.sleep(chance.choice([0, 0, 0.005, 0.015, 0.03]))
            release.withdraw(world.door, world.clinician(), ids.case_id, world.now)
            withdrawn[ids.task.split("/")[1]] = time.time()
        time.sleep(LATE_SECONDS + 0.5)
    finally:
        for worker in workers:
            worker.terminate()
        codes = [worker.wait(20) for worker in workers]
    assert codes == [0, 0]
    late = [at - withdrawn[task] for task, at in arrived if at > withdrawn[task] + LATE_SECONDS]
    assert late == []
    names = [task for task, _ in arrived]
    assert len(names) == len(set(names))  # and nothing arrived twice
    assert 0 < len(names) < TIMES, "no race: all were sent, or none"
    assert world.count("delivery", "state = 'open'") == 0
