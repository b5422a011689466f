"""The patient takes a release back, by voice: nothing more leaves, the program sees nothing, our own record stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from launch.errors import PartnerSystemError
from smart_app.delivery.worker import Worker
from smart_app.errors import NothingToShowError
from smart_app.gateways.outbox import SqlJobStore
from smart_app.gateways.partner import PartnerSender
from smart_app.ports import PatientKey
from smart_app.workflows import inbound, referral, release, status_update
from smart_app.workflows.referral import ReferralForm

BASE = "http://127.0.0.1:8000"
FORM = ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Robin", signed="screen")
DANA = PatientKey("a", "p-dana")
Ask = Callable[..., Any]


@dataclass
class Network:
    """The program's system; counts every call, and fails while it is ``down``."""

    down: bool = False
    calls: int = 0
    arrived: list[bytes] = field(default_factory=list)

    def post(self, *, body: Callable[[], bytes], **_: Any) -> None:
        self.calls += 1
        if self.down:
            raise ConnectionError
        self.arrived.append(body())

    def put(self, *, body: bytes, **_: Any) -> None:
        self.calls += 1
        if self.down:
            raise PartnerSystemError("put-status-405", status=405, is_permanent=True)
        self.arrived.append(body)


@dataclass
class Sent:
    """A referral of Dana to Harbor, and everything that may still happen to it."""

    world: Any
    network: Network
    worker: Worker
    result: referral.ReferralResult
    author: Any

    def withdraw(self, who: Any = None) -> None:
        release.withdraw(self.world.door, who or self.author, self.result.case_id, self.world.services.now())

    def status(self) -> referral.ReferralStatus:
        return referral.status_of(self.world.door, self.author, self.result.case_id, self.world.services.now())

    def open_for_dana(self) -> list[referral.ReferralStatus]:
        return referral.for_chart(self.world.door, self.author, DANA, self.world.services.now())


@pytest.fixture
def sent(world: Any, clinician: Ask) -> Sent:
    """Stored and queued; no worker has looked yet."""
    services, network = world.services, Network()
    sender = PartnerSender(network, world.door, world.directory, services.mou_gate, public_base_url=BASE)
    jobs = SqlJobStore(world.engine, world.cipher, site_id="main", now=services.now)
    result = referral.send(services, clinician(), FORM, services.now())
    return Sent(world, network, Worker(jobs, sender, now=services.now), result, clinician())


@pytest.mark.rule("R11")
def test_rule_R11_a_send_that_waits_makes_no_network_call_after_it_was_taken_back(sent: Sent) -> None:
    """Taken back before it left: the worker finds nothing to send and asks nobody, and the page says that nothing had
    been delivered.

    Break: in release.withdraw, delete the line outbox.add; or in UnitOutbox.add, the call of _stop_what_waits.
    """
    sent.withdraw()
    assert sent.worker.run_once() == 0
    assert (sent.network.calls, sent.network.arrived) == (0, [])
    status = sent.status()
    assert (status.is_taken_back, status.needs_call) == (True, False)
    assert sent.open_for_dana() == []


@pytest.mark.rule("R11")
def test_rule_R11_one_that_arrived_is_closed_to_the_program_and_told(sent: Sent, harbor: Any) -> None:
    """Taken back after it arrived: the program reads and reports as if it had never been, is told "cancelled" and
    nothing else, and nobody has to call.

    Break: in release.withdraw, delete the line that amends the release.
    """
    assert sent.worker.run_once() == 1
    task_id = sent.result.task_reference.removeprefix("Task/")
    now = sent.world.services.now()
    with sent.world.door.open_for(harbor, now) as work:
        shown = inbound.task_for_partner(work, task_id)
    sent.withdraw()
    with sent.world.door.open_for(harbor, now) as work, pytest.raises(NothingToShowError):
        inbound.task_for_partner(work, task_id)
    accepted = {**shown.payload, "status": "accepted"}
    with pytest.raises(NothingToShowError):
        status_update.update_from_partner(sent.world.door, harbor, task_id, accepted, shown.etag, now)
    assert [one.needs_call for one in sent.open_for_dana()] == [True]
    sent.worker.run_once()
    told = json.loads(sent.network.arrived[1])
    assert (told["status"], "statusReason" in told) == ("cancelled", False)
    status = sent.status()
    assert (status.is_taken_back, status.needs_call, status.alias) == (True, False, "Robin")
    assert sent.open_for_dana() == []
    assert sent.world.services.alerts.open_alerts() == []


def test_a_system_that_cannot_be_told_is_told_by_phone(sent: Sent) -> None:
    """The answer got lost, so nobody knows whether the program has it, and its system takes no cancel: then the
    clinician and the privacy officer are told to call."""
    sent.network.down = True
    sent.worker.run_once()
    sent.withdraw()
    sent.worker.run_once()
    status = sent.status()
    assert (status.is_taken_back, status.needs_call, status.alias) == (True, True, "Robin")
    assert [one.needs_call for one in sent.open_for_dana()] == [True]
    assert [alert.kind for alert in sent.world.services.alerts.open_alerts()] == ["recall-by-phone"]
    assert (sent.network.calls, sent.network.arrived) == (2, [])


def test_our_own_record_stays_with_its_author(sent: Sent) -> None:
    """What the center keeps about its own care is not the program's release: the author still reads all of it."""
    sent.withdraw()
    with sent.world.door.open_for(sent.author, sent.world.services.now()) as work:
        kinds = ("Patient", "Consent", "ServiceRequest", "Task")
        found = {kind: work.in_case(sent.result.case_id, kind)[0] for kind in kinds}
    assert not any(one.is_redacted for one in found.values())
    assert found["Consent"].payload["status"] == "inactive"
    assert found["Task"].payload["statusReason"]["coding"][0]["code"] == "closed"


def test_taken_back_twice_is_taken_back_once(sent: Sent) -> None:
    """A second press changes nothing: the call to the program is not forgotten by it."""
    sent.worker.run_once()
    sent.withdraw()
    before = (sent.world.totals(), sent.world.facts())
    sent.withdraw()
    assert (sent.world.totals(), sent.world.facts()) == before
    assert sent.status().needs_call


def test_any_of_the_care_team_may_hear_it(sent: Sent, clinician: Ask) -> None:
    """The patient tells a nurse who did not write the referral but cares for them now: that is enough."""
    sent.withdraw(clinician(user="nurse-ortiz", is_treating=True))
    assert sent.status().is_taken_back


@pytest.mark.rule("attack 10")
@pytest.mark.parametrize(
    "who",
    [
        {"patient_id": "p-marcus"},
        {"registration_id": "b"},
        {"user": "ma-brooks"},
        {"user": "nurse-ortiz", "is_treating": True, "patient_id": "p-marcus"},
    ],
    ids=["author, other chart", "author, other EHR", "not caring for her", "care team of another"],
)
def test_from_another_chart_nothing_is_taken_back(sent: Sent, clinician: Ask, who: dict[str, Any]) -> None:
    """Neither the author with another patient's chart open nor somebody who does not care for this patient changes
    anything; to both it is as if it were not there.

    Break: in Judge._facts_about, drop is_of_another_chart.
    """
    with pytest.raises(NothingToShowError):
        sent.withdraw(clinician(**who))
    assert not sent.status().is_taken_back
    assert sent.worker.run_once() == 1
