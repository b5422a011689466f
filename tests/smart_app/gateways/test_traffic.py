"""Messages that are lost, repeated and out of order, and workers that die at every point, in every mixture that
Hypothesis thinks of: one referral is one effect, nothing is lost, and every Task moves only as its table allows."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from second_partner import SecondPartner

from launch.keys import KeyRing, create_key_file
from smart_app.errors import AppError
from smart_app.gateways import audit_log
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.policy.clinic_calendar import ClinicCalendar
from smart_app.policy.task_states import Party, is_move_allowed
from smart_app.ports import Site
from smart_app.workflows import inbound, release, status_update

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS / "flows"))

from kill_points import KILL_POINTS  # noqa: E402 - it stands beside the flows

POINTS = [point.name for point in KILL_POINTS if point.process == "worker"]
FAULTS = ["", "", "", "deaf", "lost", "half-closed", "503", "404"]
WORDS = ["accepted", "rejected", "in-progress", "on-hold", "completed", "failed", "cancelled", "requested"]
BASE = "http://127.0.0.1:8000"
LABELER = Requester(Role.LABELER, "Device/labeler", Purpose.LABELING)
EXAMPLES, STEPS = 8, 8


@dataclass
class Sent:
    """A referral of ours: its ids, and what became of it as far as anybody here knows."""

    ids: Any
    is_withdrawn: bool = False
    status: str = "requested"


@dataclass
class Stage:
    """A vault, two workers, and a program's system; the same for all examples, each of which ends with empty queues."""

    world: Any
    program: SecondPartner
    farm: subprocess.Popen[str]
    armed: Path
    site: Site
    deaths: list[str] = field(default_factory=list)

    def work(self) -> list[int]:
        """Two workers at once, until nothing is due or they are dead."""
        assert self.farm.stdin is not None
        assert self.farm.stdout is not None
        self.farm.stdin.write("2\n")
        self.farm.stdin.flush()
        return list(json.loads(self.farm.stdout.readline()))

    def kill_at(self, point: str) -> None:
        """Let one of them be killed at ``point``, if any comes by."""
        (self.armed / point).touch()
        ended = self.work()
        if (self.armed / point).exists():
            (self.armed / point).unlink()
            assert ended == [0, 0]
        else:
            self.deaths.append(point)
            assert sorted(ended) == [-9, 0]

    def later(self) -> None:
        """As if all waiting times and the leases of the dead were over."""
        self.world.run("UPDATE delivery SET due_at = 0, lease_until = NULL WHERE state = 'open'")
        self.world.run("UPDATE delivery_lane SET paused_until = 0")


class Traffic(RuleBasedStateMachine):
    """The clinic refers and withdraws, the program refers and answers, and everything between them fails."""

    stage: Stage
    inbound_before: int

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self.mail: list[Callable[[], None]] = []  # what the program has written; any of it may arrive, in any order
        self.places: dict[str, set[str]] = {}  # number of a bundle of the program -> where we said that it is

    # -- from us to the program ----------------------------------------------------------------------------------

    @rule()
    def refer(self) -> None:
        self.sent.append(Sent(self.stage.world.refer()))

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 20))
    def withdraw(self, which: int) -> None:
        world, one = self.stage.world, self.sent[which % len(self.sent)]
        before = self.status_of(one)
        release.withdraw(world.door, world.clinician(), one.ids.case_id, world.now)
        one.is_withdrawn = True
        self.check_move(one, before)

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=4), is_later=st.booleans())
    def bad_line(self, faults: list[str], is_later: bool) -> None:
        """A few messages go wrong on their way, or their answers do."""
        self.refer()
        if is_later:
            self.stage.later()
        self.stage.program.faults = list(faults)
        assert self.stage.work() == [0, 0]
        self.stage.program.faults = []

    @rule(point=st.sampled_from(POINTS), fault=st.sampled_from(FAULTS), which=st.integers(0, 20))
    def dying_worker(self, point: str, fault: str, which: int) -> None:
        """Of two workers, the first that comes by ``point`` is killed there."""
        self.refer()
        if "recall" in point:
            self.stage.later()
            self.stage.work()
            self.withdraw(which)
        self.stage.later()
        self.stage.program.faults = [fault]
        self.stage.kill_at(point)
        self.stage.program.faults = []

    @rule()
    def time_passes(self) -> None:
        self.stage.later()
        assert self.stage.work() == [0, 0]

    # -- from the program to us ----------------------------------------------------------------------------------

    @rule(spoil=st.booleans())
    def program_refers(self, spoil: bool) -> None:
        bundle = self.stage.program.referral("Canary Finch", "555-0142")
        number = bundle["identifier"]["value"]
        self.places[number] = set()
        self.mail.append(lambda: self.arrive(number, bundle))
        if spoil:  # another content under the same number
            other = {**bundle, "entry": bundle["entry"][:-1]}
            self.mail.append(lambda: self.arrive(number, other))

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 20), words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
    def program_answers(self, which: int, words: list[str]) -> None:
        """The survivor's release to tell us all, and some news: as letters, each written on what is true now."""
        world, one = self.stage.world, self.sent[which % len(self.sent)]
        given = self.stage.program.release("harbor", "hc1", one.ids.patient, [one.ids.task], "outcome")
        self.mail.append(lambda: self.hear_release(given))
        with contextlib.suppress(AppError), world.door.open_for(world.program(), world.now) as work:
            shown = inbound.task_for_partner(work, one.ids.task.removeprefix("Task/"))
            for word in words:
                said = {**shown.payload, "status": word}
                self.mail.append(lambda said=said: self.hear_status(one, said, shown.etag))

    @precondition(lambda self: self.mail)
    @rule(which=st.integers(0, 20), is_kept=st.booleans())
    def arrives(self, which: int, is_kept: bool) -> None:
        """One letter arrives, whichever; if it is kept, it will arrive again."""
        letter = self.mail[which % len(self.mail)]
        if not is_kept:
            self.mail.remove(letter)
        letter()

    def arrive(self, number: str, bundle: dict[str, Any]) -> None:
        world = self.stage.world
        partner = world.directory.partner("harbor")
        with contextlib.suppress(AppError):
            answer = inbound.accept(
                world.door, world.program(), partner, bundle, orjson.dumps(bundle), self.stage.site, world.now, BASE
            )
            self.places[number].add(answer.location)

    def hear_release(self, given: dict[str, Any]) -> None:
        world = self.stage.world
        with contextlib.suppress(AppError):
            release.record_from_partner(
                world.door, world.program(), given, world.now, our_organization=world.us, public_base_url=BASE
            )

    def hear_status(self, one: Sent, said: dict[str, Any], etag: str) -> None:
        world, before = self.stage.world, self.status_of(one)
        with contextlib.suppress(AppError):
            status_update.update_from_partner(world.door, world.program(), said["id"], said, etag, world.now)
        self.check_move(one, before)

    # -- what must hold ------------------------------------------------------------------------------------------

    def status_of(self, one: Sent) -> str:
        world = self.stage.world
        with world.door.open_for(LABELER, world.now) as work:
            return str(work.read(one.ids.task).payload["status"])

    def check_move(self, one: Sent, before: str) -> None:
        after = self.status_of(one)
        assert after == before or any(is_move_allowed(before, after, party) for party in Party), (before, after)

    def teardown(self) -> None:
        """The storm is over: what waits is sent, and everything is where it belongs."""
        world, program = self.stage.world, self.stage.program
        for _ in range(3):
            self.stage.later()
            assert self.stage.work() == [0, 0]
        assert world.count("delivery", "state = 'open'") == 0
        for one in self.sent:
            name = one.ids.task.removeprefix("Task/")
            items = [item for item in program.items.values() if item.part("Task")[1]["id"] == name]
            assert len(items) == (len(items) if one.is_withdrawn else 1), "lost"
            assert len(items) <= 1, "double"
            if items and one.is_withdrawn and self.status_of(one) == "cancelled":
                assert items[0].status == "cancelled"
                assert not items[0].is_late
        assert all(len(places) <= 1 for places in self.places.values())
        stored = world.count("vault_case", "kind = 'inbound'")
        assert stored - self.inbound_before == sum(map(len, self.places.values()))
        assert audit_log.verify(world.engine, world.cipher).holds
        outcomes = [row["crossing"] for row in world.audit() if row["phase"] == "outcome"]
        assert len(outcomes) == len(set(outcomes))
        self.stage.program.items.clear()


@pytest.fixture
def stage(world: Any, make_partner: Any, tmp_path: Path) -> Iterator[Stage]:
    keys, armed = tmp_path / "keys.json", tmp_path / "armed"
    create_key_file(keys)
    armed.mkdir()
    program = SecondPartner(KeyRing.load(keys).public_jwks, today=lambda: world.now.date())
    program.listen()
    world.directory.add_partner(
        make_partner("harbor", fhir_address=f"{program.origin}/fhir", token_endpoint=f"{program.origin}/token")
    )
    world.refer()  # something for the farm to warm itself with
    farm = subprocess.Popen(
        [sys.executable, str(TESTS / "support" / "worker_farm.py"), world.database.url, str(keys), str(armed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert farm.stdout is not None
    assert farm.stdout.readline() == "Ready\n"
    program.items.clear()
    site = Site("Riverside", "555-0123", "UTC", world.us, ClinicCalendar("UTC"))
    yield Stage(world, program, farm, armed, site)
    farm.communicate(timeout=30)
    program.close()


@pytest.mark.rule("attack 8")
def test_attack_08_one_referral_is_one_effect_whatever_dies_and_however_messages_arrive(stage: Stage) -> None:
    """Any mixture of referrals, withdrawals, lost and repeated messages and killed workers ends with each referral
    once at the other side, or taken back there, and no Task ever moved against its table.

    Break: drop lease_owner in SqlJobStore._held, or claim_receipt in inbound.accept; or let _let_cancel_go do nothing.
    """

    def machine() -> Traffic:
        made = Traffic()
        made.stage = stage
        made.inbound_before = stage.world.count("vault_case", "kind = 'inbound'")
        return made

    for point in POINTS:  # each once for certain, and then in whatever mixture
        one = machine()
        one.refer()
        one.dying_worker(point, "", 0)
        one.teardown()
    assert set(stage.deaths) == set(POINTS)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(stage.deaths) > len(POINTS)
