"""Power goes off at the worst moments: nothing is lost, nothing is double, and the same message again is one case.

Every test kills app or worker with SIGKILL at one named point (``kill_points.py``) and lets it start again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from kill_points import KILL_POINTS
from parties import Desk, ProgramSystem, Vault, case_of, sit_down

from launch.sandbox.program_messages import SENDERS, changed_task, release_b
from smart_app.demo import Place, Ports
from smart_app.tour.browser import Form, Page
from smart_app.tour.sandboxes import SandboxEhr, SandboxProgram, bundle_of, resource_in, until

LAUNCHER = Path(__file__).parent / "killable.py"
PATIENT = "p-dana"
RESTART_SECONDS = 40.0


@dataclass
class World:
    """A demo whose app and worker can be killed."""

    place: Place
    ehr: SandboxEhr
    program: SandboxProgram
    vault: Vault
    harbor: ProgramSystem
    launcher: Any

    def arm(self, point: str) -> None:
        """The next process that comes by this point dies there."""
        (self.place.directory / "armed").write_text(point)

    @property
    def deaths(self) -> int:
        """How often something was started again."""
        file = self.place.directory / "deaths"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def killed(self, point: str, action: Callable[[], Any]) -> Any:
        """Do ``action`` while ``point`` is armed; wait until what died is back. None when the caller got no answer."""
        before = self.deaths
        self.arm(point)
        answer = None
        with contextlib.suppress(requests.ConnectionError):
            answer = action()
        assert until(lambda: self.deaths > before, seconds=RESTART_SECONDS), f"nothing died at {point}: {self.evidence}"
        assert until(self._is_up, seconds=RESTART_SECONDS), f"it did not start again after {point}: {self.evidence}"
        return answer

    @property
    def evidence(self) -> str:
        """What launcher, app and worker said last."""
        logs = [(self.place.directory / name).read_text()[-1500:] for name in ("app.log", "worker.log")]
        return "\n".join([self.launcher.output, str(self.launcher.popen.poll()), *logs])

    def _is_up(self) -> bool:
        try:
            return requests.get(f"{self.place.app_url}/health", timeout=5).ok
        except requests.RequestException:
            return False

    def copies(self, resource_type: str) -> int:
        """How many records of this type the treating clinician finds at EHR a."""
        kind = "scheduler" if resource_type == "Appointment" else "clinician"
        return len(self.ehr.found("a", kind, PATIENT, f"{resource_type}?patient={PATIENT}"))

    def delivered(self, since: int) -> list[dict[str, Any]]:
        """What the program has received beyond the first ``since``, once our outbox is empty."""
        waiting = "SELECT count(*) FROM delivery WHERE state = 'open'"
        assert until(lambda: self.vault.rows(waiting) == [(0,)], seconds=40)
        return self.program.received()[: len(self.program.received()) - since]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(
    request: pytest.FixtureRequest,
    start_process: Any,
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """The same deaths on both databases."""
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres").create("killable")
    place = Place(tmp_path_factory.mktemp("killable"), Ports(*(free_port() for _ in range(6))), database)
    ports = map(str, vars(place.ports).values())
    launcher = start_process(str(LAUNCHER), str(place.directory), database or "-", *ports, timeout_seconds=90)
    made = World(place, *place.sandboxes(), Vault(place), ProgramSystem(place), launcher)
    yield made
    made.vault.close()
    launcher.stop()


@pytest.fixture(autouse=True)
def nothing_is_torn(world: World) -> Iterator[None]:
    """After every kill: the audit chain holds, each case is whole, and the program has each Task once."""
    yield
    assert not (world.place.directory / "armed").exists(), "the armed point was not reached"
    assert world.vault.audit_holds()
    sizes = world.vault.rows(
        "SELECT c.kind, (SELECT count(*) FROM vault_resource r WHERE r.case_id = c.case_id AND r.version = 1"
        " AND r.resource_type <> 'Consent'), (SELECT count(*) FROM vault_key k WHERE k.case_id = c.case_id)"
        " FROM vault_case c"
    )
    assert set(sizes) <= {("disclosure", 1, 1), ("referral", 3, 1), ("inbound", 4, 1)}
    tasks = [resource_in(bundle_of(item), "Task")["identifier"][0]["value"] for item in world.program.received()]
    assert len(tasks) == len(set(tasks))


def test_there_are_kill_points_for_app_and_worker() -> None:
    """Enough of the dangerous moments have a name, each a different one."""
    names = [point.name for point in KILL_POINTS]
    assert len(set(names)) == len(names) >= 10
    tried = {*NOTES, *REFERRALS, *INBOUND, *BOOKINGS, *WORKER, "release-before-answer", "status-before-answer"}
    of_withdrawals = {"worker-recall-announced", "worker-recall-sent"}  # tried by test_traffic.py, with all of worker's
    assert tried | of_withdrawals == set(names)


NOTES = {"note-before-commit": (0, 0), "note-before-copy": (1, 0), "note-copied": (1, 1)}


@pytest.mark.rule("attack 8")
@pytest.mark.parametrize("point", NOTES)
def test_attack_8_a_note_is_saved_once(world: World, point: str) -> None:
    """Power off while a note is saved; pressing Save again gives one note and one copy at most.

    Break: leave the receipt out of ``workflows.disclosure.record``.
    """
    desk = sit_down(world.ehr, "a", "dr-lee", PATIENT, answer="alone")
    page = desk.open("note")
    before, copies = world.vault.counts(), world.copies("Observation")
    world.killed(point, lambda: desk.submit("/note", wants_ehr_copy="yes"))
    stored, copied = NOTES[point]
    assert world.vault.counts()["Observation"] - before["Observation"] == stored
    assert world.copies("Observation") - copies == copied
    again = desk.browser.submit(page, page.form("/note"), {"wants_ehr_copy": "yes"})
    assert (again.status, again.url.endswith("/note/saved")) == (200, True)
    assert world.vault.counts()["Observation"] - before["Observation"] == 1
    assert world.copies("Observation") - copies == (1 if point != "note-before-copy" else 0)
    if stored:
        assert "look in the chart" in again.text


REFERRALS = {"referral-before-commit": (0, 0), "referral-before-copy": (1, 0), "referral-before-page": (1, 1)}


@pytest.mark.rule("attack 8")
@pytest.mark.parametrize("point", REFERRALS)
def test_attack_8_a_referral_is_sent_once(world: World, point: str) -> None:
    """Power off while a referral is sent; pressing Send again leads to the same page, and the program has it once.

    Break: leave the receipt out of ``workflows.referral.send``.
    """
    before, copies, known = world.vault.counts(), world.copies("ServiceRequest"), len(world.program.received())
    desk, page, form = _reviewed(world)
    sends = {"signed": "screen", "step": "send-and-copy"}
    world.killed(point, lambda: desk.browser.submit(page, form, sends))
    stored, copied = REFERRALS[point]
    assert world.vault.counts()["Task"] - before["Task"] == stored
    assert world.copies("ServiceRequest") - copies == copied
    again = desk.browser.submit(page, form, sends)
    assert (again.status, "/sent/" in again.url) == (200, True)
    assert world.vault.counts()["Task"] - before["Task"] == 1
    assert world.copies("ServiceRequest") - copies == (1 if point != "referral-before-copy" else 0)
    arrived = world.delivered(known)
    assert [item["times_received"] for item in arrived] == [1]
    assert desk.browser.submit(page, form, sends).url == again.url


INBOUND = {"inbound-receipt-claimed": 0, "inbound-before-commit": 0, "inbound-before-answer": 1}


@pytest.mark.rule("attack 8")
@pytest.mark.parametrize("point", INBOUND)
def test_attack_8_a_program_that_sends_again_has_one_case(world: World, point: str) -> None:
    """Power off while a program refers somebody; the same message again is accepted and makes one case.

    Break: let ``inbound.accept`` store without ``claim_receipt``.
    """
    before, bundle = world.vault.counts(), world.harbor.bundle()
    world.harbor.token()
    assert world.killed(point, lambda: world.harbor.post(bundle)) is None
    assert world.vault.counts()["vault_case"] - before["vault_case"] == INBOUND[point]
    answers = [world.harbor.post(bundle) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200 if INBOUND[point] else 202, 200]
    assert len({answer.headers["Location"] for answer in answers}) == 1
    after = world.vault.counts()
    after.subtract(before)
    kinds = ("vault_case", "Task", "Appointment", "Patient", "ServiceRequest")
    assert [after[kind] for kind in kinds] == [1] * len(kinds)


BOOKINGS = {"booking-before-commit": (0, 0), "booking-before-copy": (1, 0), "booking-copied": (1, 1)}


@pytest.mark.parametrize("point", BOOKINGS)
def test_a_visit_is_booked_once(world: World, point: str) -> None:
    """Power off while a visit is booked: visit and request agree, and pressing Book again books nothing twice."""
    alias = f"Odd {point}"
    location = world.harbor.post(world.harbor.bundle(alias, tells_time=True)).headers["Location"]
    desk = sit_down(world.ehr, "a", "sched-kim", None)
    item = desk.browser.get(desk.page.links_by_text[alias])
    form = next(form for form in item.forms if "book" in form.choices.get("step", []))
    copies, values = world.copies("Appointment"), {"step": "book", "chart": PATIENT}
    world.killed(point, lambda: desk.browser.submit(item, form, values))
    booked, copied = BOOKINGS[point]
    assert _status_at_program(world, location) == ("accepted" if booked else "requested")
    assert world.copies("Appointment") - copies == copied
    again = desk.browser.submit(item, form, values)
    assert again.status == (409 if booked else 200)
    shown = desk.browser.get(item.url)
    assert "Booked" in shown.text
    if booked:
        assert "look at the EHR schedule" in shown.text
    assert world.copies("Appointment") - copies == (0 if point == "booking-before-copy" else 1)
    assert _status_at_program(world, location) == "accepted"


def test_a_programs_release_is_stored_once(world: World) -> None:
    """Power off before the program has its answer: the same release again is the one already stored."""
    task_url, task = _task_at_program(world)
    release = release_b(
        SENDERS["harbor"],
        task_url=task_url,
        patient_reference=task["for"]["reference"],
        tier="contact",
        signer="self",
        today=datetime.now(UTC).date(),
    )
    before = world.vault.counts()
    assert world.killed("release-before-answer", lambda: world.harbor.post(release, "/Consent")) is None
    answers = [world.harbor.post(release, "/Consent") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert world.vault.counts()["Consent"] - before["Consent"] == 1


def test_a_programs_status_is_stored_once(world: World) -> None:
    """Power off before the program has its answer: sending the status again changes nothing, reading shows it."""
    task_url, _ = _task_at_program(world)
    assert world.program.release(task_url, "contact")["status"] == 201
    path = task_url.removeprefix(f"{world.place.app_url}/fhir")
    read = world.harbor.send("GET", path)
    body = json.dumps(changed_task(read.json(), status="accepted")).encode()
    sends = {"If-Match": read.headers["ETag"]}
    assert world.killed("status-before-answer", lambda: world.harbor.send("PUT", path, body, sends)) is None
    versions = _versions(world, path)
    assert world.harbor.send("PUT", path, body, sends).status_code in (200, 412)
    assert world.harbor.send("GET", path).json()["status"] == "accepted"
    assert _versions(world, path) == versions == 2


# name of the point -> how often the program may have been asked
WORKER = {
    "worker-before-claim-commit": 1,
    "worker-claimed": 1,
    "worker-before-connection": 1,
    "worker-sent": 2,
    "worker-before-complete": 2,
    "worker-inside-complete": 2,
    "worker-completed": 1,
}


@pytest.mark.rule("attack 8")
@pytest.mark.parametrize("point", WORKER)
def test_attack_8_a_killed_worker_delivers_once(world: World, point: str) -> None:
    """Power off in the worker at any moment of a send: the program ends with one item, the clinic with one count.

    Break: let ``gateways.partner._trimmed`` make a new bundle identifier for each try.
    """
    known = len(world.program.received())
    counted = _sends_counted(world)
    desk, page, form = _reviewed(world)
    sent = world.killed(point, lambda: desk.browser.submit(page, form, {"signed": "screen", "step": "send"}))
    assert sent is not None
    assert sent.status == 200
    world.vault.run("UPDATE delivery SET lease_until = 0 WHERE state = 'open'")  # its lease runs out
    arrived = world.delivered(known)
    assert [item["times_received"] for item in arrived] == [WORKER[point]]
    assert _sends_counted(world) == counted + 1
    assert world.vault.rows("SELECT count(*) FROM delivery WHERE state <> 'done'") == [(0,)]
    assert "Received by their system" in desk.browser.get(sent.url).text


def test_a_program_that_was_down_gets_it_once(world: World) -> None:
    """The program's computer is off: the clinician is told at once and offered the phone; it comes back, once."""
    known = len(world.program.received())
    world.program.set(down=True)
    try:
        desk, page, form = _reviewed(world)
        sent = desk.browser.submit(page, form, {"signed": "screen", "step": "send"})
        assert until(lambda: _transport(world, case_of(sent)) == "trying")
        waiting = desk.browser.get(sent.url)
        assert "555-0100" in waiting.text
        assert len(world.program.received()) == known
    finally:
        world.program.set(down=False)
    arrived = world.delivered(known)
    assert [item["times_received"] for item in arrived] == [1]
    assert until(lambda: _transport(world, case_of(sent)) == "delivered")


def _reviewed(world: World) -> tuple[Desk, Page, Form]:
    """A clinician before the Send button."""
    desk = sit_down(world.ehr, "a", "dr-lee", PATIENT, answer="alone")
    desk.open("connect/harbor")
    page = desk.submit("/connect/harbor", meet="survivor-calls", step="review")
    return desk, page, page.form("/connect/harbor")


def _task_at_program(world: World) -> tuple[str, dict[str, Any]]:
    """A referral that reached the program: its Task's address and the Task."""
    known = len(world.program.received())
    desk, page, form = _reviewed(world)
    desk.browser.submit(page, form, {"signed": "screen", "step": "send"})
    (item,) = world.delivered(known)
    return str(item["task_url"]), resource_in(bundle_of(item), "Task")


def _status_at_program(world: World, location: str) -> str:
    return str(world.program.look(location)["body"]["status"])


def _versions(world: World, path: str) -> int:
    statement = f"SELECT count(*) FROM vault_resource WHERE resource_id = '{path.rsplit('/', 1)[1]}'"
    return int(world.vault.rows(statement)[0][0])


def _sends_counted(world: World) -> int:
    found = world.vault.rows("SELECT sum(total) FROM fact WHERE kind = 'referral-send' AND outcome = 'delivered'")
    return int(found[0][0] or 0)


def _transport(world: World, case_id: str) -> str:
    return str(world.vault.rows(f"SELECT transport FROM vault_case WHERE case_id = '{case_id}'")[0][0])
