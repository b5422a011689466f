"""A real delivery worker in a process of its own, on a test's vault and against a test's program.

    python tests/support/delivery_worker.py DATABASE KEYS

It sends with the real client and ends on SIGTERM.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from launch.backend_services import Client
from launch.keys import KeyRing
from smart_app.delivery.worker import Worker
from smart_app.gateways.cipher import MasterCipher, MasterKey
from smart_app.gateways.directory import DatedMouGate, SqlDirectory
from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import make_engine
from smart_app.gateways.outbox import SqlJobStore
from smart_app.gateways.partner import PartnerSender

SECRET = bytes(range(32))
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # the day on which the tests' people live


def die_at(target: str, when: str, armed: Path) -> None:
    """Let this process kill itself ``when`` ("before" or "after") ``target`` ("module:name.name") runs, while armed."""
    module_name, _, path = target.partition(":")
    *outer, name = path.split(".")
    owner = functools.reduce(getattr, outer, importlib.import_module(module_name))
    function: Callable[..., Any] = getattr(owner, name)

    def die() -> None:
        try:
            armed.unlink()  # of two workers that come by at once, one dies
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    @functools.wraps(function)
    def killable(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die()
        result = function(*args, **kwargs)
        if when == "after":
            die()
        return result

    setattr(owner, name, killable)


def make_worker(database: str, keys: str, *, poll_seconds: float = 0.05) -> tuple[Worker, Engine]:
    """A worker as ``app.create_worker`` makes it, at a time at which the tests' releases are in force; its engine."""
    started = time.monotonic()

    def now() -> datetime:
        return NOW + timedelta(seconds=time.monotonic() - started)

    engine = make_engine(database)
    cipher = MasterCipher(MasterKey(SECRET), "hc1")
    door = VaultDoor(engine, cipher, site_id="main", organization_reference="Organization/hc1")
    directory = SqlDirectory(engine, "hc1")
    client = Client(KeyRing.load(Path(keys)), allows_loopback_http=True)
    gate = DatedMouGate(directory, "UTC")
    sender = PartnerSender(client, door, directory, gate, public_base_url="http://127.0.0.1:8000")
    jobs = SqlJobStore(engine, cipher, site_id="main", now=now)
    return Worker(jobs, sender, now=now, poll_seconds=poll_seconds), engine


def say(words: str) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> None:
    database, keys = sys.argv[1:]
    (worker, _), stop = make_worker(database, keys), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    say("Ready")
    worker.run(stop)


if __name__ == "__main__":
    main()
