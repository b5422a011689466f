"""A program's system fails in every way that systems do: its referrals wait, arrive once, and hold up nobody else's."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from second_partner import SecondPartner

from launch import backend_services
from launch.backend_services import Client
from launch.keys import KeyRing, new_key
from smart_app.delivery.worker import Worker
from smart_app.gateways import lanes
from smart_app.gateways.directory import DatedMouGate
from smart_app.gateways.partner import PartnerSender
from smart_app.workflows import release

PROGRAM = Path(__file__).parents[2] / "support" / "second_partner.py"
# fault -> does the program have the referral although we got no good answer?
FAULTS = {
    "slow": True,
    "half-closed": True,
    "lost": True,
    "deaf": False,
    "closed": False,
    "404": False,
    "429": False,
    "500": False,
    "502": False,
    "503": False,
}


@dataclass
class Line:
    """A vault, a worker with the real client, and a program's system at the other end."""

    world: Any
    program: SecondPartner
    keys: KeyRing
    worker: Worker

    def connect(self, address: str, partner_id: str = "harbor", make_partner: Any = None) -> None:
        self.world.directory.add_partner(
            make_partner(partner_id, fhir_address=f"{address}/fhir", token_endpoint=f"{address}/token")
        )

    def later(self) -> None:
        """As if the waiting time were over."""
        self.world.run("UPDATE delivery SET due_at = 0 WHERE state = 'open'")
        self.world.run("UPDATE delivery_lane SET paused_until = 0")

    def transports(self) -> list[str]:
        with self.world.engine.begin() as connection:
            rows = connection.exec_driver_sql("SELECT transport FROM vault_case ORDER BY transport")
            return list(rows.scalars())

    def waiting(self) -> int:
        return int(self.world.count("delivery", "state = 'open'"))


@pytest.fixture(scope="module")
def keys() -> KeyRing:
    return KeyRing([new_key("ES384", made_at=0, signs_from=0)])


@pytest.fixture
def line(world: Any, make_partner: Any, keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setattr(backend_services, "TIMEOUT", (1.0, 1.0))
    program = SecondPartner(keys.public_jwks)
    program.listen()
    client = Client(keys, allows_loopback_http=True)
    gate = DatedMouGate(world.directory, "UTC")
    sender = PartnerSender(client, world.door, world.directory, gate, public_base_url="http://127.0.0.1:8000")
    made = Line(world, program, keys, Worker(world.jobs, sender, now=lambda: world.now))
    made.connect(program.origin, make_partner=make_partner)
    yield made
    program.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_referral_survives_an_outage_and_arrives_once(line: Line, fault: str) -> None:
    """Whatever breaks at the program, the referral waits here, is sent again, and is one referral there.

    Break: name the bundle by a new number for each try in PartnerSender._trimmed; or let Worker._write_down call
    complete for RETRY.
    """
    line.world.refer()
    if fault == "closed":
        line.program.close()
    line.program.fault = fault
    assert line.worker.run_once() == 1
    assert (line.waiting(), line.transports()) == (1, ["trying"])
    assert len(line.program.items) == FAULTS[fault]
    if fault == "closed":
        line.program.listen(line.program.port)
    line.program.fault = ""
    line.later()
    assert line.worker.run_once() == 1
    assert (line.waiting(), line.transports()) == (0, ["delivered"])
    (item,) = line.program.items.values()
    assert item.arrivals == 1 + FAULTS[fault]
    assert line.world.alerts() == []


def test_a_program_whose_process_is_killed_gets_its_referral_after_its_restart(
    line: Line, make_partner: Any, free_port: Callable[[], int], tmp_path: Path
) -> None:
    """Its computer dies and comes back: the referral waits meanwhile."""
    port, published = free_port(), tmp_path / "published.json"
    published.write_text(json.dumps(line.keys.public_jwks()))
    line.connect(f"http://127.0.0.1:{port}", make_partner=make_partner)

    def start() -> subprocess.Popen[str]:
        arguments = [sys.executable, str(PROGRAM), str(port), str(published)]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "Ready\n"
        return process

    first = start()
    line.world.refer()
    first.kill()
    first.wait(20)
    assert (line.worker.run_once(), line.waiting()) == (1, 1)
    second = start()
    try:
        line.later()
        assert (line.worker.run_once(), line.waiting(), line.transports()) == (1, 0, ["delivered"])
    finally:
        second.kill()
    out, _ = second.communicate(timeout=20)
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize("fault", ["429", "503"])
def test_a_program_that_asks_for_time_gets_it_from_everybody(line: Line, make_partner: Any, fault: str) -> None:
    """Asked to wait two minutes, nothing more is sent to this program in that time, and others are not held up.

    Break: drop the call of note_failure in SqlJobStore.retry.
    """
    line.connect(line.program.origin, "northside", make_partner)
    line.program.fault, line.program.retry_after = fault, 120
    line.world.refer()
    started = time.time()
    line.worker.run_once()
    line.world.refer()  # a second one for the same program
    assert line.worker.run_once() == 0
    assert line.world.count("delivery", f"state = 'open' AND due_at >= {started + 118}") == 1
    assert line.world.count("delivery_lane", f"paused_until >= {started + 118}") == 1
    line.program.fault, line.program.our_id = "", "northside"
    line.world.refer("northside")
    assert line.worker.run_once() == 1
    assert line.transports() == ["delivered", "queued", "trying"]


def test_a_program_that_is_down_is_asked_by_one_message_and_then_gets_all(line: Line, make_partner: Any) -> None:
    """After a few failures one message asks now and then instead of all; the first answer lets all others go.

    Break: let lanes.with_room give SENDS places to every lane; or drop the update in lanes.note_answer.
    """
    line.program.close()
    for _ in range(lanes.TRIP + 2):
        line.world.refer()
    for _ in range(lanes.TRIP):
        line.world.run("UPDATE delivery SET due_at = 0 WHERE state = 'open'")
        line.worker.run_once()
    line.world.run("UPDATE delivery SET due_at = 0 WHERE state = 'open'")
    assert line.worker.run_once() == 0  # it is left alone now
    line.later()
    assert line.worker.run_once() == 1  # one asks
    line.later()
    line.program.listen(line.program.port)
    line.world.run(
        "UPDATE delivery SET due_at = :later WHERE state = 'open' AND attempts > 1", later=time.time() + 90000
    )
    assert line.world.count("delivery", f"due_at > {time.time()}") > 1
    assert line.worker.run_once() == 1  # one asks, and hears an answer
    assert line.world.count("delivery_lane") == 0
    while line.worker.run_once():
        pass
    assert line.waiting() == 0
    assert [item.arrivals for item in line.program.items.values()] == [1] * (lanes.TRIP + 2)


def test_the_pause_grows_to_minutes_and_not_beyond() -> None:
    """A program that comes back after a weekend has its referrals within minutes."""
    pauses = [lanes.pause_seconds(failures, None) for failures in range(1, 40)]
    assert pauses[: lanes.TRIP - 1] == [0.0] * (lanes.TRIP - 1)
    assert pauses == sorted(pauses)
    assert pauses[-1] == lanes.LONGEST_PAUSE_SECONDS
    assert lanes.pause_seconds(1, 3600) == lanes.pause_seconds(39, 3600) == 3600


def test_after_days_of_silence_it_still_arrives_once(line: Line) -> None:
    """A program that was away for three weeks gets the referral when it is back, and a person was told long before."""
    line.program.fault = "500"
    line.world.refer()
    for _ in range(25):
        line.later()
        assert line.worker.run_once() == 1
    assert line.world.alerts() == ["delivery-delayed"]
    assert line.world.count("delivery", "state = 'open' AND attempts = 25") == 1
    line.program.fault = ""
    line.world.now += timedelta(days=21)
    line.later()
    line.worker.run_once()
    assert (line.waiting(), line.transports(), len(line.program.items)) == (0, ["delivered"], 1)


@pytest.mark.rule("R11")
def test_rule_R11_taken_back_during_an_outage_the_program_ends_with_cancelled(line: Line) -> None:
    """The answer was lost and then she withdrew: the program had it, and is told "cancelled" when it can be reached.

    Break: in UnitOutbox.add return early for every cancel.
    """
    ids = line.world.refer()
    line.program.fault = "lost"
    line.worker.run_once()
    release.withdraw(line.world.door, line.world.clinician(), ids.case_id, line.world.now)
    for _ in range(3):
        line.later()
        assert line.worker.run_once() == 1
    assert line.world.alerts() == ["recall-by-phone"]  # seconds later a person is asked to call, and we go on trying
    line.program.fault = ""
    line.later()
    line.worker.run_once()
    (item,) = line.program.items.values()
    assert (item.status, "statusReason" in item.told[-1], line.program.unknown) == ("cancelled", False, [])
    assert (line.waiting(), line.transports()) == (0, ["told"])
