"""Sending to a program: only with the survivor's release, only what it names, and twice is once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from fhir_profiles.terminology import ID_TASK
from launch.errors import PartnerSystemError
from smart_app.delivery_ports import SendResult
from smart_app.gateways import audit_log
from smart_app.gateways.directory import DatedMouGate
from smart_app.gateways.partner import PartnerSender
from smart_app.policy.consent import withdrawn
from smart_app.workflows import release

ALLOWED_TYPES = ["Patient", "Consent", "ServiceRequest", "Task"]


class FakeClient:
    """A program's FHIR address. Asks for the body after it "got its token", as the real one does."""

    def __init__(self) -> None:
        self.calls = 0
        self.bodies: list[bytes] = []
        self.error: Exception | None = None
        self.before_body = lambda: None
        self.before_bytes = lambda: None
        self.named = None

    def post(self, *, fhir_address, token_endpoint, client_id, scope, body, last_look):
        self.calls += 1
        assert (fhir_address, client_id) == ("http://localhost:9100/fhir", "care-connections")
        self.before_body()
        made = body()
        self.before_bytes()
        last_look()
        self.bodies.append(made)
        if self.error:
            raise self.error

    def put(self, *, path, identifier, **rest):
        self.named = (path, identifier)
        content = rest.pop("body")
        self.post(**rest, body=lambda: content, last_look=lambda: None)


@pytest.fixture
def client():
    return FakeClient()


@pytest.fixture
def sender(world, client):
    gate = DatedMouGate(world.directory, "America/Chicago")
    return PartnerSender(client, world.door, world.directory, gate, public_base_url="http://127.0.0.1:8000")


def claim(world):
    (job,) = world.jobs.claim(limit=1, lease_seconds=60)
    return job


def amend_consent(world, ids, change) -> None:
    with world.door.open_for(world.clinician(), world.now) as work:
        work.amend(ids.consent, change)


def test_a_released_referral_is_sent_with_what_the_release_names(world, sender, client):
    """The program gets the four parts of the referral, each with its label."""
    ids = world.refer()
    assert sender.send(claim(world), world.now).result is SendResult.DELIVERED
    bundle = json.loads(client.bodies[0])
    resources = [entry["resource"] for entry in bundle["entry"]]
    assert [one["resourceType"] for one in resources] == ALLOWED_TYPES
    assert all(one["meta"]["security"] for one in resources)
    assert bundle["entry"][3]["fullUrl"] == f"http://127.0.0.1:8000/fhir/{ids.task}"


def test_the_same_referral_has_the_same_name_each_time(world, sender, client):
    """Sent twice because of a lost answer, it is one referral: its numbers do not change."""
    world.refer()
    job = claim(world)
    sender.send(job, world.now)
    sender.send(job, world.now + timedelta(hours=3))
    assert client.bodies[0] == client.bodies[1]


@pytest.mark.rule("R9")
@pytest.mark.parametrize(
    "change",
    [
        withdrawn,
        lambda c: {**c, "status": "entered-in-error"},
        lambda c: with_provision(c, period={"start": "2026-12-24", "end": "2026-12-30"}),
        lambda c: with_provision(
            c, data=[d for d in c["provision"]["data"] if "Task" not in d["reference"]["reference"]]
        ),
        lambda c: with_provision(c, data=[d for d in c["provision"]["data"] if "Task" in d["reference"]["reference"]]),
        lambda c: with_provision(
            c, actor=[{**c["provision"]["actor"][0], "reference": {"reference": "Organization/northside"}}]
        ),
        lambda c: (
            with_provision(c, purpose=[{**c["provision"]["purpose"][0], "code": "TREAT"}])
            | {"patient": {"reference": "Patient/other"}, "performer": [{"reference": "Patient/other"}]}
        ),
        lambda c: with_provision(
            c, securityLabel=[{**c["provision"]["securityLabel"][0], "code": "R"}, c["provision"]["securityLabel"][1]]
        ),
    ],
    ids=[
        "withdrawn",
        "in error",
        "not yet",
        "no task",
        "no request",
        "another program",
        "another patient",
        "lower level",
    ],
)
def test_rule_R09_without_a_release_in_force_nothing_connects(world, sender, client, change):
    """Take any part of the release away and no byte and no connection leaves.

    Break: return partner_id first in VaultDoor.may_release.
    """
    ids = world.refer()
    amend_consent(world, ids, change)
    outcome = sender.send(claim(world), world.now)
    assert outcome.result is SendResult.NOT_RELEASED
    assert client.calls == 0
    row = world.audit()[-1]
    assert (row["who"], row["action"], row["rule"]) == ("system-delivery", "refuse", "R9")


def with_provision(consent, **changes):
    return {**consent, "provision": {**consent["provision"], **changes}}


@pytest.mark.rule("R9")
def test_rule_R09_a_release_that_ran_out_while_the_program_was_down_sends_nothing(world, sender, client):
    """After days of waiting the release may be over: then the message stays here."""
    world.refer(days=30)
    assert sender.send(claim(world), world.now + timedelta(days=32)).result is SendResult.NOT_RELEASED
    assert client.calls == 0


@pytest.mark.rule("R11")
def test_rule_R11_the_release_is_read_again_right_before_the_bytes_leave(world, sender, client):
    """Withdrawn while we were fetching our key: still nothing leaves. Break: build the body before client.post."""
    ids = world.refer()
    client.before_body = lambda: amend_consent(world, ids, withdrawn)
    assert sender.send(claim(world), world.now).result is SendResult.NOT_RELEASED
    assert client.bodies == []


@pytest.mark.rule("R11")
def test_rule_R11_a_task_that_was_taken_back_is_not_sent(world, sender, client):
    """A cancelled referral does not leave, whatever its release says."""
    ids = world.refer()
    with world.door.open_for(world.clinician(), world.now) as work:
        work.amend(ids.task, lambda task: {**task, "status": "cancelled"})
    assert sender.send(claim(world), world.now).result is SendResult.NOT_RELEASED
    assert client.calls == 0


@pytest.mark.rule("R19")
def test_rule_R19_without_a_current_agreement_nothing_connects(world, sender, client, make_partner):
    """A suspended or expired agreement stops the send, and a person is told.

    Break: drop mou_gate in PartnerSender.send.
    """
    world.refer()
    job = claim(world)
    world.directory.set_suspended("harbor", True)
    assert sender.send(job, world.now).result is SendResult.REFUSED
    world.directory.set_suspended("harbor", False)
    assert sender.send(job, world.now + timedelta(days=80)).result is SendResult.NOT_RELEASED
    world.directory.add_partner(make_partner("harbor", fhir_address=None))
    assert sender.send(job, world.now) == type(sender.send(job, world.now))(SendResult.REFUSED, "no-fhir-address")
    assert client.calls == 0


@pytest.mark.rule("R12")
def test_rule_R12_the_allow_list_is_the_last_step_before_http(world, sender, client, monkeypatch):
    """Whatever else is in the vault, only the listed items leave.

    Break: dump the parcel's payloads instead of outbound_bundle in PartnerSender._trimmed.
    """
    world.refer()
    stored = type(world.door).release

    def with_more(door, job, now):
        parcel = stored(door, job, now)
        parcel.patient.update(birthDate="1992-01-01", telecom=[{"value": "canary"}], address=[{"city": "canary"}])
        parcel.task.update(note=[{"text": "canary"}], businessStatus={"text": "canary"})
        parcel.service_request.update(reasonCode=[{"text": "canary"}], note=[{"text": "canary"}])
        return parcel

    monkeypatch.setattr(type(world.door), "release", with_more)
    assert sender.send(claim(world), world.now).result is SendResult.DELIVERED
    assert b"canary" not in client.bodies[0].replace(b"canarybluebird", b"")
    assert b"birthDate" not in client.bodies[0]
    assert b"Practitioner" not in client.bodies[0]  # no clinician is named
    assert world.patient.patient_id.encode() not in client.bodies[0]
    assert b"display" not in client.bodies[0]


@pytest.mark.rule("R26")
def test_rule_R26_a_send_is_announced_as_a_disclosure_and_its_outcome_follows(world, sender, client):
    """Each time something leaves, the log names the release by which it left.

    Break: drop consents in VaultDoor.release.
    """
    ids = world.refer()
    rows = len(world.audit())
    announced = []
    client.before_body = lambda: announced.append(len(world.audit()) - rows)
    sender.send(claim(world), world.now)
    intended, outcome = world.audit()[rows:]
    assert announced == [0]  # nothing was opened before the token was there
    assert (intended["phase"], outcome["phase"], outcome["outcome"]) == ("intended", "outcome", "delivered")
    assert intended["crossing"] == outcome["crossing"]
    assert (intended["who"], intended["is_disclosure"], intended["consents"]) == (
        "system-delivery",
        True,
        [ids.consent],
    )
    assert len(intended["entities"]) == 3
    assert audit_log.verify(world.engine, world.cipher).holds


@pytest.mark.rule("R26")
def test_rule_R26_without_the_announcing_row_nothing_leaves(world, sender, client, monkeypatch):
    """When the log cannot be written, the referral waits."""
    world.refer()
    job = claim(world)

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(audit_log.AuditLog, "append", broken)
    with pytest.raises(OSError, match="disk full"):
        sender.send(job, world.now)
    assert client.bodies == []


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (PartnerSystemError("no-answer"), SendResult.RETRY),
        (PartnerSystemError("post-status-404", status=404), SendResult.RETRY),
        (PartnerSystemError("post-status-503", status=503, retry_after_seconds=77), SendResult.RETRY),
        (PartnerSystemError("post-status-422", status=422, is_permanent=True), SendResult.REFUSED),
    ],
)
def test_a_program_that_is_down_is_tried_again_and_one_that_refuses_is_not(world, sender, client, error, result):
    """A program that is down or has lost its path gets another try; one that cannot take it is called by a person."""
    world.refer()
    client.error = error
    outcome = sender.send(claim(world), world.now)
    assert (outcome.result, outcome.error_code) == (result, error.reason)
    assert outcome.retry_after_seconds == error.retry_after_seconds
    assert world.audit()[-1]["outcome"] == error.reason


def test_a_worker_may_only_release_its_own_job(world, sender, client):
    """A worker that lost its message, or names another's referral, gets nothing out."""
    from dataclasses import replace

    ids, other = world.refer(), world.refer(queue=False)
    job = claim(world)
    for wrong in (
        replace(job, lease="someone-elses"),
        replace(job, case_id=other.case_id, reference=other.task),
        replace(job, reference=other.task),
        replace(job, change=job.change + 1),
    ):
        assert sender.send(wrong, world.now).result is SendResult.NOT_RELEASED
    assert client.calls == 0
    assert sender.send(job, world.now).result is SendResult.DELIVERED
    assert ids.task.encode() in client.bodies[0]


@pytest.mark.rule("R5")
def test_rule_R05_a_referral_with_a_row_that_cannot_be_trusted_is_not_sent(world, sender, client):
    """If any part of the case lost its label or its content was swapped, nothing of it leaves.

    Break: drop _is_unlabelled in VaultDoor._releasable.
    """
    world.refer()
    world.database.run_unchecked("UPDATE vault_resource SET labels = '' WHERE resource_type = 'Patient'", {})
    assert sender.send(claim(world), world.now).result is SendResult.NOT_RELEASED
    assert client.calls == 0
    assert world.alerts() == ["vault-row-not-trusted"]


@pytest.mark.rule("R11")
def test_rule_R11_the_program_is_told_cancelled_and_no_reason(world, sender, client):
    """Taken back after it arrived: the program gets its own item once more, cancelled, and not a word about why.

    Break: copy statusReason in minimum_necessary.toml, or send the Task as it is stored in PartnerSender._recall.
    """
    ids = world.refer()
    world.jobs.complete(claim(world), outcome="delivered")
    rows = len(world.audit())
    release.withdraw(world.door, world.clinician(), ids.case_id, world.now)
    assert sender.send(claim(world), world.now).result is SendResult.DELIVERED
    told = json.loads(client.bodies[-1])
    task_id = ids.task.split("/")[1]
    assert client.named == ("Task", f"{ID_TASK}|{task_id}")
    assert (told["resourceType"], told["id"], told["status"]) == ("Task", task_id, "cancelled")
    assert not {"statusReason", "businessStatus", "lastModified", "note", "output"} & told.keys()
    intended, outcome = [row for row in world.audit()[rows:] if row["who"] == "system-delivery"]
    assert (intended["action"], intended["phase"], outcome["outcome"]) == ("recall", "intended", "delivered")
    assert [entity["what"].split("/")[0] for entity in intended["entities"]] == ["Task"]


@pytest.mark.rule("R19")
def test_rule_R19_a_suspended_program_still_hears_that_an_item_is_taken_back(world, sender, client):
    """Open items stay cancellable whatever became of the agreement.

    Break: ask mou_gate in PartnerSender._recall.
    """
    ids = world.refer()
    world.jobs.complete(claim(world), outcome="delivered")
    world.directory.set_suspended("harbor", True)
    release.withdraw(world.door, world.clinician(), ids.case_id, world.now)
    assert sender.send(claim(world), world.now).result is SendResult.DELIVERED


@pytest.mark.parametrize("status", ["accepted", "completed"])
def test_a_cancel_that_the_states_do_not_allow_goes_to_a_person(world, sender, client, status):
    """An item that is not cancelled with us is never told as cancelled: somebody calls."""
    ids = world.refer()
    world.jobs.complete(claim(world), outcome="delivered")
    with world.door.open_for(world.clinician(), world.now) as work:
        work.amend(ids.task, lambda task: {**task, "status": status})
        work.outbox.add(kind="cancel", case_id=ids.case_id, reference=ids.task, partner_id="harbor")
    outcome = sender.send(claim(world), world.now)
    assert (outcome.result, outcome.error_code) == (SendResult.REFUSED, "cancel-by-phone")
    assert client.calls == 0


def test_a_program_without_a_system_is_told_by_phone(world, sender, client, make_partner):
    """Where no computer listens, a person is asked to call."""
    ids = world.refer()
    world.jobs.complete(claim(world), outcome="delivered")
    world.directory.add_partner(make_partner("harbor", fhir_address=None))
    release.withdraw(world.door, world.clinician(), ids.case_id, world.now)
    outcome = sender.send(claim(world), world.now)
    assert (outcome.result, outcome.error_code) == (SendResult.REFUSED, "cancel-by-phone")
    assert client.calls == 0


@pytest.mark.rule("R11")
def test_rule_R11_the_release_is_read_again_when_connecting_took_long(world, sender, client, monkeypatch):
    """Withdrawn while a slow line was being opened: the line is open and nothing is said on it.

    Break: drop the call of is_still_released in PartnerSender._post.
    """
    monkeypatch.setattr("smart_app.gateways.partner.FRESH_SECONDS", 0.0)
    ids = world.refer()
    client.before_bytes = lambda: release.withdraw(world.door, world.clinician(), ids.case_id, world.now)
    assert sender.send(claim(world), world.now).result is SendResult.NOT_RELEASED
    assert (client.calls, client.bodies) == (1, [])
    assert world.audit()[-1]["outcome"] == "not-released"


def test_a_referral_that_changed_while_connecting_is_made_anew(world, sender, client, monkeypatch):
    """What was packed and is not true any more does not leave; the next try packs it again."""
    monkeypatch.setattr("smart_app.gateways.partner.FRESH_SECONDS", 0.0)
    ids = world.refer()

    def change() -> None:
        with world.door.open_for(world.clinician(), world.now) as work:
            work.amend(ids.service_request, lambda request: request)

    client.before_bytes = change
    job = claim(world)
    outcome = sender.send(job, world.now)
    assert (outcome.result, outcome.error_code, client.bodies) == (SendResult.RETRY, "changed-meanwhile", [])
    client.before_bytes = lambda: None
    too_slow = sender.send(job, world.now)  # with no time at all to look, nothing leaves either
    assert (too_slow.result, too_slow.error_code, client.bodies) == (SendResult.RETRY, "too-slow-here", [])
    monkeypatch.setattr("smart_app.gateways.partner.FRESH_SECONDS", 60.0)
    assert sender.send(job, world.now).result is SendResult.DELIVERED


def test_a_fresh_look_is_not_repeated(world, sender, client, monkeypatch):
    """When the line is open within a moment, the release is read once."""
    world.refer()
    looks = []
    monkeypatch.setattr(type(world.door), "is_still_released", lambda *_: looks.append(1) or True)
    monkeypatch.setattr("smart_app.gateways.partner.FRESH_SECONDS", 60.0)
    assert sender.send(claim(world), world.now).result is SendResult.DELIVERED
    assert looks == []
