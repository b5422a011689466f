"""What a program may write back, and what it may never."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fhir_profiles import terminology as t
from fhir_profiles.referral_task import appointment_output, business_status_of, status_reason
from smart_app.errors import (
    ConflictError,
    InvalidError,
    NothingToShowError,
    PreconditionError,
    RefusedError,
)
from smart_app.policy.access import Requester
from smart_app.policy.task_states import STATUSES
from smart_app.ports import Stored
from smart_app.workflows import follow_up, inbound, referral, release, scheduling, status_update

BASE = "http://127.0.0.1:8000"
OURS = "Organization/hc1"
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=29)  # release A (30 days) still covers, a release B of 26 days does not
Release = Callable[..., dict[str, Any]]


@dataclass
class Sent:
    """One referral of ours at Harbor."""

    world: Any
    clinician: Requester
    harbor: Requester
    case_id: str
    task_id: str

    def read(self, who: Requester | None = None, now: datetime = NOW) -> inbound.Shown:
        with self.world.door.open_for(who or self.harbor, now) as work:
            return inbound.task_for_partner(work, self.task_id)

    def put(self, body: dict[str, Any] | None = None, *, now: datetime = NOW, **changes: Any) -> status_update.Updated:
        shown = self.read(now=now)
        wanted = {**copy.deepcopy(shown.payload), **changes} if body is None else body
        return status_update.update_from_partner(self.world.door, self.harbor, self.task_id, wanted, shown.etag, now)

    def post(self, consent: dict[str, Any], who: Requester | None = None) -> Stored:
        return release.record_from_partner(
            self.world.door, who or self.harbor, consent, NOW, our_organization=OURS, public_base_url=BASE
        )

    def stored(self) -> dict[str, Any]:
        return dict(self.world.resource(f"Task/{self.task_id}"))

    def refusals(self) -> list[dict[str, Any]]:
        return [row for row in self.world.audit("refuse") if row["rule"] == "R20"]

    def status(self, now: datetime = NOW) -> referral.ReferralStatus:
        return referral.status_of(self.world.door, self.clinician, self.case_id, now)


@pytest.fixture
def sent(world: Any, clinician: Callable[..., Requester], harbor: Requester) -> Sent:
    form = referral.ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Robin", signed="paper")
    result = referral.send(world.services, clinician(), form, NOW)
    return Sent(world, clinician(), harbor, result.case_id, result.task_reference.removeprefix("Task/"))


def _without_release(sent: Sent, release_b: Release) -> None:
    """No release B was ever posted."""


def _ended(sent: Sent, release_b: Release) -> None:
    sent.post(release_b(sent.stored(), "outcome"))


def _withdrawn(sent: Sent, release_b: Release) -> None:
    posted = sent.post(release_b(sent.stored(), "outcome"))
    with sent.world.door.open_for(sent.clinician, NOW) as work:
        work.amend(posted.reference, lambda consent: {**consent, "status": "inactive"})


def _tier_none(sent: Sent, release_b: Release) -> None:
    sent.post(release_b(sent.stored(), "none"))
    sent.post(release_b(sent.stored(), None))


NO_RELEASE = {
    "none": (_without_release, NOW),
    "ended": (_ended, LATER),
    "withdrawn": (_withdrawn, NOW),
    "tier none": (_tier_none, NOW),
}


@pytest.mark.rule("R20")
@pytest.mark.parametrize("why", NO_RELEASE)
def test_rule_R20_without_a_release_in_force_no_status_is_stored(sent: Sent, release_b: Release, why: str) -> None:
    """Whatever a program tells without the survivor's release is refused, not stored, and audited without the value.
    Break: drop the ``Tier.NONE`` check and return True from ``is_inside``."""
    arrange, now = NO_RELEASE[why]
    arrange(sent, release_b)
    before = sent.stored()
    told = 0
    for status in STATUSES:
        with pytest.raises(RefusedError):
            sent.put(now=now, status=status)
        told += 1
    for code in ("contact-made", "5.1.1", "5.1.2"):
        with pytest.raises(RefusedError):
            sent.put(now=now, businessStatus=business_status_of(code))
        told += 1
    assert sent.stored() == before
    assert len(sent.refusals()) == told
    assert all(row["partner"] == "harbor" for row in sent.refusals())
    assert "contact-made" not in str(sent.refusals())


@pytest.mark.rule("R20")
def test_rule_R20_a_release_to_somebody_else_or_for_another_item_is_none(
    sent: Sent, release_b: Release, northside: Requester
) -> None:
    """A release that names another recipient, discloser, Task or survivor is not taken, and opens nothing. Break: drop
    a line of ``attestation.problems``, or the patient check of ``release``."""
    task = sent.stored()
    both = [f"Task/{sent.task_id}", task["focus"]["reference"]]
    tomorrow = {"signed_on": date(2026, 11, 26), "starts_on": date(2026, 11, 26)}
    wrong: list[tuple[dict[str, Any], list[str]]] = [
        ({"to_organization": "Organization/hc2"}, ["Consent.provision.actor[0].reference"]),
        ({"from_organization": "Organization/northside"}, ["Consent.organization[0]"]),
        ({"patient_reference": "Patient/somebody-else"}, ["Consent.patient"]),
        ({"item_references": both[1:]}, ["Consent.provision.data"]),
        ({"item_references": both}, ["Consent.provision.data"]),
        (tomorrow, ["Consent.dateTime", "Consent.provision.period"]),
    ]
    for changes, expressions in wrong:
        with pytest.raises(InvalidError) as error:
            sent.post(release_b(task, "outcome", **changes))
        assert [issue.expression for issue in error.value.issues] == expressions
    with pytest.raises(NothingToShowError):
        sent.post(release_b(task, "outcome", item_references=["Task/made-up"]))
    with pytest.raises(NothingToShowError):
        sent.post(release_b(task, "outcome", from_organization="Organization/northside"), northside)
    assert sent.world.stored("Consent") == 1
    with pytest.raises(RefusedError):
        sent.put(status="accepted")


@pytest.mark.rule("R20")
@pytest.mark.parametrize(
    "changes",
    [
        {"owner": {"reference": "Organization/northside"}},
        {"restriction": {"period": {"end": "2027-01-01T00:00:00Z"}}},
        {"focus": {"reference": "ServiceRequest/other"}},
        {"identifier": [{"system": "https://harbor.example", "value": "mine"}]},
        {"businessStatus": business_status_of("received-by-inbox")},
        {"businessStatus": business_status_of("patient-reports-connected")},
        {"businessStatus": business_status_of("no-information")},
        {"statusReason": {"coding": [{"system": t.REFERRAL_REASON, "code": "language"}], "text": "Her case"}},
        {"status": "completed"},
        {"status": "entered-in-error"},
        {"businessStatus": business_status_of("5.1.2")},
        {"output": [appointment_output("Appointment/theirs")]},
    ],
)
def test_rule_R20_outside_field_or_tier_nothing_is_stored(
    sent: Sent, release_b: Release, changes: dict[str, Any]
) -> None:
    """Inside a "contact" release another field or a word of a higher tier is refused whole. Break: return True from
    ``is_inside``."""
    sent.post(release_b(sent.stored(), "contact"))
    before = sent.stored()
    with pytest.raises(RefusedError):
        sent.put(**changes)
    assert sent.stored() == before
    assert len(sent.refusals()) == 1


def test_inside_the_release_the_program_tells_step_by_step(sent: Sent, release_b: Release) -> None:
    """Accepted, contact made, working on it: each shows on the clinician's page while the release lasts."""
    assert sent.status().state == "sent"
    sent.post(release_b(sent.stored(), "contact"))
    sent.put(status="accepted")
    assert (sent.status().state, sent.status().is_released) == ("accepted", True)
    sent.put(status="in-progress", businessStatus=business_status_of("contact-made"))
    assert "spoke" in sent.status().state_words
    assert sent.refusals() == []


@pytest.mark.rule("R20")
def test_rule_R20_when_the_release_ends_the_program_s_words_leave_the_page(sent: Sent, release_b: Release) -> None:
    """After release B the page shows our own fact again. Break: hand ``state_words`` the tier "outcome" always."""
    sent.post(release_b(sent.stored(), "contact"))
    sent.put(status="rejected", statusReason={"coding": [{"system": t.REFERRAL_REASON, "code": "no-capacity"}]})
    assert sent.status().needs_call
    later = sent.status(LATER)
    assert (later.state, later.is_released, later.needs_call) == ("sent", False, False)


def test_the_outcome_tier_lets_an_ending_and_an_appointment_through(sent: Sent, release_b: Release) -> None:
    """Only with the widest release a program tells how it ended."""
    sent.post(release_b(sent.stored(), "outcome"))
    sent.put(status="accepted")
    sent.put(
        status="completed",
        businessStatus=business_status_of("5.1.4"),
        output=[appointment_output("Appointment/theirs")],
    )
    assert sent.status().state == "completed"
    assert sent.stored()["output"][0]["valueReference"]["reference"] == "Appointment/theirs"


def test_reasons_are_our_codes_in_our_words(sent: Sent, release_b: Release) -> None:
    """A reason we do not know becomes "unable" and its text is dropped; a cancel says no reason."""
    sent.post(release_b(sent.stored(), "contact"))
    unknown = {"coding": [{"system": "https://harbor.example", "code": "abuser-is-client"}], "text": "Marlowe"}
    sent.put(status="rejected", statusReason=unknown)
    assert sent.stored()["statusReason"]["coding"] == [{"system": t.REFERRAL_REASON, "code": "unable"}]
    assert "Marlowe" not in str(sent.stored())


def test_an_illegal_move_is_refused_with_the_allowed_ones(sent: Sent, release_b: Release) -> None:
    """From "requested" nobody jumps to "completed"; the answer names the moves that are possible."""
    sent.post(release_b(sent.stored(), "outcome"))
    with pytest.raises(InvalidError) as error:
        sent.put(status="completed")
    assert error.value.issues[0].expression == "Task.status"
    assert "accepted, cancelled, rejected" in error.value.issues[0].text
    sent.put(status="rejected")
    with pytest.raises(InvalidError):
        sent.put(status="accepted")


def test_a_stale_version_is_refused(sent: Sent, release_b: Release) -> None:
    """Who read an older version has to read again."""
    sent.post(release_b(sent.stored(), "contact"))
    old = sent.read()
    sent.put(status="accepted")
    with pytest.raises(PreconditionError):
        status_update.update_from_partner(
            sent.world.door, sent.harbor, sent.task_id, {**old.payload, "status": "rejected"}, old.etag, NOW
        )
    assert sent.stored()["status"] == "accepted"


def test_repeating_what_is_there_changes_nothing(sent: Sent, release_b: Release) -> None:
    """The same body again is answered and not stored as a new version."""
    sent.post(release_b(sent.stored(), "contact"))
    sent.put(status="accepted")
    before = sent.world.stored("Task")
    assert sent.put().etag == sent.read().etag
    assert sent.world.stored("Task") == before


@pytest.mark.rule("R19")
def test_rule_R19_another_program_finds_no_such_task(sent: Sent, northside: Requester, release_b: Release) -> None:
    """For another program our Task is as absent as a made-up one, whatever it sends. Break: let
    ``links._of_partner`` take every program for the author."""
    body = sent.read().payload
    for task_id in (sent.task_id, "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(NothingToShowError):
            status_update.update_from_partner(
                sent.world.door, northside, task_id, {**body, "id": task_id, "status": "accepted"}, "*", NOW
            )


@pytest.mark.rule("R3")
def test_rule_R03_a_put_that_lowers_a_label_is_refused(sent: Sent, northside: Requester, release_b: Release) -> None:
    """Dropping a label or its level is refused to whom may read the Task, and is absent to anybody else. Break: drop
    the ``lowers_labels`` line."""
    sent.post(release_b(sent.stored(), "outcome"))
    shown = sent.read().payload
    security = shown["meta"]["security"]
    lowered = [
        [{**label, "code": "R"} if label["system"] == t.CONFIDENTIALITY else label for label in security],
        [label for label in security if label["code"] != "SDV"],
    ]
    before = sent.stored()
    for labels in lowered:
        body = {**shown, "status": "accepted", "meta": {**shown["meta"], "security": labels}}
        with pytest.raises(RefusedError):
            sent.put(body)
        with pytest.raises(NothingToShowError):
            status_update.update_from_partner(sent.world.door, northside, sent.task_id, body, "*", NOW)
    assert sent.stored() == before
    two_levels = {**shown["meta"], "security": [*security, {"system": t.CONFIDENTIALITY, "code": "R"}]}
    with pytest.raises(InvalidError):
        sent.put({**shown, "status": "accepted", "meta": two_levels})
    unlabelled = {key: value for key, value in shown.items() if key != "meta"}
    sent.put({**unlabelled, "status": "accepted"})
    assert sent.stored()["meta"]["security"] == before["meta"]["security"]


def test_a_body_for_another_address_or_out_of_shape_is_invalid(sent: Sent) -> None:
    """The body is judged before anything is looked up."""
    shown = sent.read().payload
    for body in (
        {**shown, "id": "other"},
        {**shown, "status": "banana"},
        {**shown, "description": "x"},
        {**shown, "note": [{"text": "Marlowe"}]},
        {},
    ):
        with pytest.raises(InvalidError) as error:
            sent.put(body)
        assert "Marlowe" not in str(error.value.issues)


def test_the_same_release_again_is_one_release(sent: Sent, release_b: Release) -> None:
    """Posted twice it is stored once; its number with another content is a conflict."""
    consent = release_b(sent.stored(), "contact", source_identifier="roi-7")
    first = sent.post(consent)
    assert sent.post(consent).reference == first.reference
    assert sent.world.stored("Consent") == 2
    with pytest.raises(ConflictError):
        sent.post(release_b(sent.stored(), "outcome", source_identifier="roi-7"))


def test_a_release_may_name_the_task_by_its_full_address(sent: Sent, release_b: Release) -> None:
    """The address under our own base is our Task; the same path elsewhere is not."""
    sent.post(release_b(sent.stored(), "contact", item_references=[f"{BASE}/fhir/Task/{sent.task_id}"]))
    sent.put(status="accepted")
    with pytest.raises(InvalidError):
        sent.post(
            release_b(sent.stored(), "outcome", item_references=[f"https://elsewhere.example/fhir/Task/{sent.task_id}"])
        )


@pytest.mark.rule("R11")
def test_rule_R11_a_withdrawn_release_closes_the_task_to_the_program(sent: Sent) -> None:
    """After "I take it back" the program reads nothing of it any more, and nothing waits to be sent. Break: leave the
    Consent active in ``withdraw``."""
    release.withdraw(sent.world.door, sent.clinician, sent.case_id, NOW)
    with pytest.raises(NothingToShowError):
        sent.read()
    assert sent.stored()["status"] == "cancelled"
    assert sent.stored()["statusReason"]["coding"][0]["code"] == "closed"
    assert sent.status().state == "stopped"
    with pytest.raises(NothingToShowError):
        release.withdraw(sent.world.door, sent.clinician, "00000000-0000-4000-8000-000000000000", NOW)


@pytest.mark.parametrize("outcome", follow_up.OUTCOMES)
def test_the_clinician_closes_without_the_program(sent: Sent, outcome: str) -> None:
    """What the patient says at the next visit closes the referral; the program's view of the Task stays as it was."""
    before = sent.read()
    follow_up.close(sent.world.door, sent.clinician, sent.case_id, outcome, NOW)
    assert sent.status().state == "closed"
    assert sent.world.resource(sent.stored()["focus"]["reference"])["status"] == "completed"
    with pytest.raises(ConflictError):
        follow_up.close(sent.world.door, sent.clinician, sent.case_id, outcome, NOW)
    assert sent.read() == before


def test_only_a_word_of_the_list_closes(sent: Sent, northside: Requester) -> None:
    """Free text closes nothing, nor does somebody who is not on the referral."""
    with pytest.raises(InvalidError):
        follow_up.close(sent.world.door, sent.clinician, sent.case_id, "she went back to him", NOW)
    with pytest.raises(NothingToShowError):
        follow_up.close(sent.world.door, northside, sent.case_id, "no-information", NOW)


@pytest.mark.parametrize("tier", [None, "appointment"])
@pytest.mark.parametrize("before", ["nothing", "booked"])
def test_a_program_takes_its_own_request_back(
    world: Any, harbor: Requester, scheduler: Requester, post: Callable[..., Any], tier: str | None, before: str
) -> None:
    """The survivor changed their mind: the program cancels, the scheduler sees it, and the answer does not tell what
    had become of the request."""
    made = post(release_a=tier)
    answer = inbound.accept(world.door, harbor, world.harbor, made.bundle, made.body, world.site, NOW, BASE)
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    if before == "booked":
        start = NOW + timedelta(days=1)
        scheduling.book(
            world.door,
            world.ehr,
            scheduler,
            item.appointment_reference,
            start,
            start + timedelta(minutes=30),
            None,
            world.services.placement,
            NOW,
        )
    with world.door.open_for(harbor, NOW) as work:
        shown = inbound.task_for_partner(work, answer.task_id)
    for status in ("completed", "accepted" if shown.payload["status"] == "requested" else "rejected"):
        with pytest.raises(RefusedError):
            status_update.update_from_partner(
                world.door, harbor, answer.task_id, {**shown.payload, "status": status}, shown.etag, NOW
            )
    body = {key: value for key, value in shown.payload.items() if key != "output"} | {"status": "cancelled"}
    updated = status_update.update_from_partner(world.door, harbor, answer.task_id, body, shown.etag, NOW)
    assert updated.payload["status"] == "cancelled"
    queue = scheduling.queue(world.door, scheduler, NOW)
    assert [(one.is_cancelled, one.needs_person) for one in queue] == ([(True, True)] if before == "booked" else [])
    if before == "booked":
        scheduling.decline(world.door, scheduler, item.appointment_reference, "unable", NOW)
        assert scheduling.queue(world.door, scheduler, NOW) == []
        assert world.resource(f"Task/{answer.task_id}")["status"] == "cancelled"


@pytest.mark.rule("R21")
def test_rule_R21_a_request_that_was_declined_cannot_be_taken_back_any_more(
    world: Any, harbor: Requester, scheduler: Requester, post: Callable[..., Any]
) -> None:
    """Where the program may know the outcome it is told that there is nothing left to cancel, not that it read an old
    state. Fails when ``_cancel_own_request`` names another visit than ``task_for_partner``."""
    made = post(release_a="outcome")
    answer = inbound.accept(world.door, harbor, world.harbor, made.bundle, made.body, world.site, NOW, BASE)
    (item,) = scheduling.queue(world.door, scheduler, NOW)
    scheduling.decline(world.door, scheduler, item.appointment_reference, "unable", NOW)
    with world.door.open_for(harbor, NOW) as work:
        shown = inbound.task_for_partner(work, answer.task_id)
    assert shown.payload["status"] == "rejected"
    body = {**shown.payload, "status": "cancelled"}
    with pytest.raises(InvalidError) as error:
        status_update.update_from_partner(world.door, harbor, answer.task_id, body, shown.etag, NOW)
    assert [issue.expression for issue in error.value.issues] == ["Task.status"]


ENDINGS: dict[str, dict[str, Any]] = {
    "requested": {},
    "accepted": {"businessStatus": business_status_of("5.1.1")},
    "in-progress": {},
    "on-hold": {},
    "rejected": {"statusReason": status_reason("no-capacity")},
    "completed": {"businessStatus": business_status_of("5.1.4")},
    "failed": {"businessStatus": business_status_of("5.1.2")},
}


@pytest.mark.rule("R21")
def test_rule_R21_a_call_off_rewrites_no_ending_and_its_answer_tells_of_none(
    world: Any, harbor: Requester, post: Callable[..., Any]
) -> None:
    """Without release A a program that calls its request off reads the same words whatever became of it here, then
    and later; what was declined, completed or failed stays so in the vault. Fails when ``called_off_by_sender`` always
    says "cancelled", or when a called-off Task is shown with its stored ``businessStatus``."""
    made = post(release_a=None)
    answer = inbound.accept(world.door, harbor, world.harbor, made.bundle, made.body, world.site, NOW, BASE)
    reference, answers = f"Task/{answer.task_id}", []
    for status, more in ENDINGS.items():
        with world.door.open_for(harbor, NOW) as work:
            fresh = {key: value for key, value in work.read(reference).payload.items() if key != "statusReason"}
            work.amend(reference, lambda task, fresh=fresh, now=status, more=more: {**fresh, "status": now, **more})
            before = inbound.task_for_partner(work, answer.task_id)
        body = {**before.payload, "status": "cancelled"}
        put = status_update.update_from_partner(world.door, harbor, answer.task_id, body, before.etag, NOW)
        with world.door.open_for(harbor, NOW) as work:
            after = inbound.task_for_partner(work, answer.task_id)
        again = status_update.update_from_partner(world.door, harbor, answer.task_id, after.payload, after.etag, NOW)
        answers.append((before, put, after, again))
        held = world.resource(reference)
        is_open = status in ("requested", "accepted", "in-progress", "on-hold")
        assert held["status"] == ("cancelled" if is_open else status)
        assert held.get("statusReason") == (status_reason("closed") if is_open else more.get("statusReason"))
        with world.door.open_for(harbor, NOW) as work:  # the next round begins as a request that came in
            work.amend(reference, lambda task: {**task, "businessStatus": business_status_of("received-by-inbox")})
    assert all(one == answers[0] for one in answers)
    assert answers[0][1].payload["status"] == "cancelled"


@pytest.mark.rule("R17")
def test_rule_R17_a_release_is_kept_under_our_own_names(sent: Sent, release_b: Release) -> None:
    """No id and no version that a program made up stays in the record. Fails when ``_store`` keeps the sender's
    meta."""
    consent = release_b(sent.stored(), "contact", id="hit-her-at-12-oak")
    consent["meta"]["versionId"] = "hit-her-at-12-oak"
    kept = sent.post(consent)
    assert "oak" not in str(sent.world.resource(kept.reference))
