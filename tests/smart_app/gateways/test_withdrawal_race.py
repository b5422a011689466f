"""She takes her word back while two workers are sending: nothing arrives at the program more than a second later."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from launch.keys import create_key_file
from smart_app.workflows import release

SUPPORT = Path(__file__).parents[2] / "support"
TIMES = 500
LATE_SECONDS = 1.0


@dataclass
class Processes:
    """Processes of this test, each ended by its own id."""

    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, str(SUPPORT / name), *arguments], stdout=subprocess.PIPE)
        self.running.append(process)
        return process

    def stop(self) -> list[int]:
        for process in self.running:
            process.terminate()
        return [process.wait(30) for process in self.running]


@pytest.fixture
def processes() -> Iterator[Processes]:
    made = Processes()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    create_key_file(file)
    return file


@pytest.mark.rule("R11")
def test_rule_R11_nothing_arrives_later_than_a_second_after_she_withdrew(
    world: Any,
    make_partner: Any,
    processes: Processes,
    key_file: Path,
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    """Five hundred times she withdraws while two workers send: some were sent before, none arrives later than a second
    after. What arrived is told "cancelled", and only after it arrived; of what never left nobody hears.

    Break: in PartnerSender._post let ``body`` sleep two seconds before it returns, and drop ``last_look``; or in
    UnitOutbox.add, give the cancel no lease; or drop ``_stop_what_waits`` with the second look at the release.
    """
    port, arrivals = free_port(), tmp_path / "arrivals"
    origin = f"http://127.0.0.1:{port}"
    program = make_partner("harbor", fhir_address=f"{origin}/fhir", token_endpoint=f"{origin}/token")
    world.directory.add_partner(program)
    processes.start("timed_program.py", str(port), str(arrivals))
    for _ in range(2):
        processes.start("delivery_worker.py", world.database.url, str(key_file))
    for process in processes.running:
        assert process.stdout is not None
        assert process.stdout.readline() == b"Ready\n"
    chance = random.Random(20261124)
    withdrawn: dict[str, float] = {}
    for _ in range(TIMES):
        ids = world.refer()
        time.sleep(chance.choice([0, 0, 0.005, 0.015, 0.03, 0.06]))
        release.withdraw(world.door, world.clinician(), ids.case_id, world.now)
        withdrawn[ids.task.removeprefix("Task/")] = time.time()
    _until_nothing_waits(world)
    messages = [json.loads(line) for line in arrivals.read_text().splitlines()]
    sent = {one["task"]: one["at"] for one in messages if one["status"] == "requested"}
    told = {one["task"]: one["at"] for one in messages if one["status"] == "cancelled"}
    assert [at - withdrawn[task] for task, at in sent.items() if at > withdrawn[task] + LATE_SECONDS] == []
    assert 0 < len(sent) < TIMES, "no race: all were sent, or none"
    assert len(messages) == len(sent) + len(told)  # nothing arrived twice
    assert told.keys() == sent.keys()
    assert all(told[task] > at for task, at in sent.items())
    assert world.count("delivery", "state <> 'done'") == 0
    assert world.count("vault_case", "is_open") == 0


def _until_nothing_waits(world: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while world.count("delivery", "state = 'open'") and time.monotonic() < deadline:
        time.sleep(0.1)
