"""A program refers somebody to the clinic: what is taken, what is refused, and what it may find out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from fhir_profiles import terminology as t
from fhir_profiles.security_labels import labels_for, labels_of
from smart_app.errors import ConflictError, InvalidError, NothingToShowError
from smart_app.gateways.door import VaultDoor
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.ports import CaseKind
from smart_app.workflows import inbound, scheduling

Post = Callable[..., Any]
BASE = "http://127.0.0.1:8000"
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
LABELER = Requester(Role.LABELER, "Device/labeler", Purpose.LABELING)
CANARIES = (b"Quillfeather", b"555-0199", b"14 Elm Street", b"Marlowe")


def _accept(
    world: Any, who: Requester, post: Any, now: datetime | None = None, body: bytes | None = None
) -> inbound.InboundAnswer:
    partner = world.directory.partner(who.user_reference.removeprefix("Organization/"))
    at = now or world.services.now()
    return inbound.accept(world.door, who, partner, post.bundle, body or post.body, world.site, at, BASE)


def _refusals(world: Any) -> list[dict[str, Any]]:
    return [row for row in world.audit("refuse") if row["rule"] == "R16"]


def _task(world: Any, who: Requester, task_id: str) -> inbound.Shown:
    with world.door.open_for(who, world.services.now()) as work:
        return inbound.task_for_partner(work, task_id)


def test_everything_is_stored_under_ids_of_ours(world: Any, harbor: Requester, post: Post) -> None:
    """Person, release, request, Task and a proposed visit stand in one case, and name each other by our ids."""
    answer = _accept(world, harbor, post(release_a="appointment"))
    assert (answer.status, answer.location) == (202, f"{BASE}/fhir/Task/{answer.task_id}")
    kinds = ("Patient", "Consent", "ServiceRequest", "Task", "Appointment")
    assert {kind: world.stored(kind) for kind in kinds} == dict(zip(kinds, (1, 2, 1, 1, 1), strict=True))
    task = world.resource(f"Task/{answer.task_id}")
    request = world.resource(task["focus"]["reference"])
    patient = world.resource(task["for"]["reference"])
    assert patient["name"] == [{"use": "anonymous", "given": ["Robin"]}]
    assert request["subject"] == task["for"]
    consent = world.resource(request["supportingInfo"][0]["reference"])
    released = {item["reference"]["reference"] for item in consent["provision"]["data"]}
    assert released == {task["focus"]["reference"], f"Task/{answer.task_id}"}
    assert "urn:uuid" not in str([task, request, patient, consent])


@pytest.mark.rule("R3")
def test_rule_R03_what_comes_without_labels_is_labelled(world: Any, harbor: Requester, post: Post) -> None:
    """A program that knows no labels is served; what it sent is stored with ours. Break: skip ``label_up`` in
    the door."""
    answer = _accept(world, harbor, post(has_labels=False))
    task = world.resource(f"Task/{answer.task_id}")
    assert labels_of(task) == labels_for("referral-task")
    request = world.resource(task["focus"]["reference"])
    assert set(labels_of(request)) == set(labels_for("referral-service-request"))
    appointment = _appointment(world)
    assert labels_of(appointment) == labels_for("proposed-appointment")


@pytest.mark.rule("R3")
@pytest.mark.parametrize("levels", [("V", "R"), ("R",), ("N",)])
def test_rule_R03_two_levels_or_one_below_ours_are_refused(
    world: Any, harbor: Requester, post: Post, levels: tuple[str, ...]
) -> None:
    """A label below ours, or two levels, is refused and nothing is stored. Break: call ``validate`` without its
    label check."""
    sent = post()
    sent.entry("ServiceRequest")["meta"]["security"] = [{"system": t.CONFIDENTIALITY, "code": code} for code in levels]
    with pytest.raises(InvalidError) as error:
        _accept(world, harbor, sent)
    assert {issue.expression for issue in error.value.issues} == {"Bundle.entry[2].resource.meta.security"}
    assert not any(world.totals().values())


def _without(part: str, path: str) -> Callable[[Any], None]:
    def change(sent: Any) -> None:
        value = sent.entry(part)
        *steps, last = path.split(".")
        for step in steps:
            value = value[step]
        del value[last]

    return change


def _with(part: str, path: str, new: Any) -> Callable[[Any], None]:
    def change(sent: Any) -> None:
        value = sent.entry(part)
        *steps, last = path.split(".")
        for step in steps:
            value = value[int(step)] if isinstance(value, list) else value[step]
        if isinstance(value, list):
            value[int(last)] = new
        else:
            value[last] = new

    return change


def _end(release: dict[str, Any]) -> None:
    """A release that was in order until the day before yesterday."""
    release["dateTime"] = "2026-10-01"
    release["provision"]["period"] = {"start": "2026-10-01", "end": "2026-11-22"}


BROKEN_RELEASES: dict[str, Callable[[Any], None]] = {
    "no signed date": _without("Consent", "dateTime"),
    "signed in the future": _with("Consent", "dateTime", "2026-11-26"),
    "no end": _without("Consent", "provision.period.end"),
    "over": lambda sent: _end(sent.entry("Consent")),
    "not begun": _with("Consent", "provision.period", {"start": "2026-12-01", "end": "2026-12-10"}),
    "longer than 90 days": _with("Consent", "provision.period", {"start": "2026-11-24", "end": "2027-02-28"}),
    "no recipient": _without("Consent", "provision.actor"),
    "another recipient": _with("Consent", "provision.actor.0.reference.reference", "Organization/elsewhere"),
    "two recipients": lambda sent: sent.entry("Consent")["provision"]["actor"].append(
        copy.deepcopy(sent.entry("Consent")["provision"]["actor"][0])
    ),
    "another discloser": _with("Consent", "organization.0.reference", "Organization/northside"),
    "no scope": _without("Consent", "scope"),
    "no items": _without("Consent", "provision.data"),
    "not the Task": lambda sent: sent.entry("Consent")["provision"]["data"].pop(),
    "no signer": _without("Consent", "extension"),
    "signed by the abuser": _with("Consent", "extension.0.valueCode", "abuser"),
    "a deny": _with("Consent", "provision.type", "deny"),
    "withdrawn": _with("Consent", "status", "inactive"),
    "no sensitivity named": _with("Consent", "provision.securityLabel", [{"system": t.CONFIDENTIALITY, "code": "V"}]),
    "no release at all": lambda sent: sent.bundle["entry"].pop(1),
    "for another center": _with("Task", "owner.reference", "Organization/hc2"),
    "in another program's name": _with("Task", "requester.reference", "Organization/northside"),
}


@pytest.mark.rule("R16")
@pytest.mark.parametrize("what", BROKEN_RELEASES)
def test_rule_R16_without_a_release_in_force_for_us_nothing_is_kept(
    world: Any, harbor: Requester, post: Post, what: str
) -> None:
    """A missing, foreign, lapsed or badly signed release is refused; nothing of the body stays, and the denial is
    audited with program and rule. Break: return no issues from ``attestation.problems`` and from ``validate``."""
    sent = post(alias="Quillfeather", phone="555-0199")
    BROKEN_RELEASES[what](sent)
    with pytest.raises(InvalidError) as error:
        _accept(world, harbor, sent)
    assert error.value.issues
    assert all(issue.expression.startswith("Bundle") for issue in error.value.issues)
    assert not any(world.totals().values())
    assert [row["partner"] for row in _refusals(world)] == ["harbor"]
    told = str([(issue.expression, issue.text) for issue in error.value.issues]) + str(world.audit())
    assert not any(canary in told.encode() + world.bytes_on_disk() for canary in CANARIES)


@pytest.mark.rule("R16")
@pytest.mark.parametrize("kind", ["Patient", "ServiceRequest", "Task"])
def test_rule_R16_a_release_names_each_sensitivity_of_what_it_opens(
    world: Any, harbor: Requester, post: Post, scheduler: Requester, kind: str
) -> None:
    """A referral that says more than its release opens would be answered "received", and no scheduler could see whom
    to call: it is refused at once. Break: leave ``_unnamed`` out of ``_issues``."""
    sent = post()
    label = {"system": t.ACT_CODE, "code": "SEX"}
    sent.entry(kind)["meta"]["security"].append(label)
    with pytest.raises(InvalidError) as error:
        _accept(world, harbor, sent)
    assert [issue.expression for issue in error.value.issues] == ["Bundle.entry[1].resource.provision.securityLabel"]
    assert not any(world.totals().values())
    sent.entry("Consent")["provision"]["securityLabel"].append(label)
    _accept(world, harbor, sent)
    (item,) = scheduling.queue(world.door, scheduler, world.services.now())
    assert (item.alias, bool(item.contact)) == ("Robin", True)


@pytest.mark.rule("R16")
def test_rule_R16_release_a_is_held_to_the_same(world: Any, harbor: Requester, post: Post) -> None:
    """The release that lets us tell day and time is checked too: from us, to this program. Break: leave ``back`` out
    of the loop in ``_issues``."""
    sent = post(release_a="appointment")
    _end(sent.entry("Consent", 1))
    with pytest.raises(InvalidError) as error:
        _accept(world, harbor, sent)
    assert [issue.expression for issue in error.value.issues] == ["Bundle.entry[4].resource.provision.period"]
    assert not any(world.totals().values())


SMUGGLED: dict[str, Callable[[Any], None]] = {
    "an address": _with("Patient", "address", [{"line": ["14 Elm Street"]}]),
    "a family name": _with("Patient", "name.0.family", "Quillfeather"),
    "a birth date": _with("Patient", "birthDate", "1991-01-01"),
    "a contact": _with("Patient", "contact", [{"name": {"text": "Marlowe"}}]),
    "a note": _with("ServiceRequest", "note", [{"text": "Marlowe hit her"}]),
    "a narrative": _with("ServiceRequest", "text", {"status": "generated", "div": "<div>Marlowe</div>"}),
    "a reason": _with("ServiceRequest", "reasonCode", [{"text": "Marlowe"}]),
    "a patient instruction": _with("ServiceRequest", "patientInstruction", "Marlowe"),
    "a display": _with("Task", "for.display", "Quillfeather"),
    "a description": _with("Task", "description", "Marlowe"),
    "a contained item": _with("Task", "contained", [{"resourceType": "RelatedPerson", "id": "Marlowe"}]),
    "a key of their own": _with("Patient", "Marlowe", True),
    "a service of their own": _with("ServiceRequest", "performer.0.reference", "HealthcareService/Quillfeather"),
    "one more resource": lambda sent: sent.bundle["entry"].append(
        {
            "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000009",
            "request": {"method": "POST", "url": "RelatedPerson"},
            "resource": {"resourceType": "RelatedPerson", "name": [{"text": "Marlowe"}]},
        }
    ),
    "a second person": lambda sent: sent.bundle["entry"].append(
        {
            "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000009",
            "request": {"method": "POST", "url": "Patient"},
            "resource": {**copy.deepcopy(sent.entry("Patient")), "name": [{"use": "anonymous", "given": ["Marlowe"]}]},
        }
    ),
}


@pytest.mark.rule("R17")
@pytest.mark.parametrize("what", SMUGGLED)
def test_rule_R17_more_than_the_allow_list_is_refused_without_an_echo(
    world: Any, harbor: Requester, post: Post, what: str
) -> None:
    """Addresses, narrative, other people and unknown fields are refused; the answer names a place in the schema and
    repeats nothing. Break: answer with the sender's own key or value."""
    sent = post(alias="Quillfeather", phone="555-0199")
    SMUGGLED[what](sent)
    with pytest.raises(InvalidError) as error:
        _accept(world, harbor, sent)
    told = str([(issue.expression, issue.text) for issue in error.value.issues]) + str(world.audit())
    assert not any(canary in told.encode() + world.bytes_on_disk() for canary in CANARIES)
    assert not any(world.totals().values())


@pytest.mark.rule("R18")
def test_rule_R18_the_same_answer_for_known_and_unknown_people(
    world: Any, harbor: Requester, post: Post, clinician: Callable[..., Requester]
) -> None:
    """Somebody who is in our records and somebody who is not get the same answer but for its number, with the same
    statements at the database. Break: look for the alias among our patients in ``accept``."""
    from smart_app.workflows.referral import ReferralForm, send

    known = ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Dana", signed="screen")
    send(world.services, clinician(), known, world.services.now())
    counts = []
    for number, alias in (("1", "Dana"), ("2", "Nobody")):
        with _counted(world) as statements:
            answer = _accept(world, harbor, post(alias=alias, number=number))
        assert answer.status == 202
        assert answer.location == f"{BASE}/fhir/Task/{answer.task_id}"
        counts.append(list(statements))
    assert counts[0] == counts[1]


@contextmanager
def _counted(world: Any) -> Iterator[list[str]]:
    """The SQL texts sent while it is open."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    event.listen(world.engine, "before_cursor_execute", note)
    yield found
    event.remove(world.engine, "before_cursor_execute", note)


def test_the_same_body_again_is_the_same_referral(world: Any, harbor: Requester, post: Post) -> None:
    """A program that repeats a message after a lost answer gets the first address; nobody is in the queue twice."""
    sent = post()
    first = _accept(world, harbor, sent)
    before = world.totals()
    again = _accept(world, harbor, sent)
    assert (first.status, again.status) == (202, 200)
    assert again.location == first.location
    assert world.totals() == before


@pytest.mark.parametrize("kept", ["Bundle", "Task"])
def test_a_known_identifier_with_another_body_is_a_conflict(
    world: Any, harbor: Requester, post: Post, kept: str
) -> None:
    """The number of a message or of a Task stands for one body only."""
    _accept(world, harbor, post())
    before = world.totals()
    changed = post(alias="Robin B", number="1" if kept == "Task" else "2")
    if kept == "Bundle":
        changed.bundle["identifier"]["value"] = "b-1"
    else:
        changed.bundle["identifier"]["value"] = "b-77"
    with pytest.raises(ConflictError):
        _accept(world, harbor, changed)
    assert world.totals() == before


def test_numbers_of_two_programs_never_meet(world: Any, harbor: Requester, northside: Requester, post: Post) -> None:
    """Another program may use the same numbers, and learns nothing from it."""
    first = _accept(world, harbor, post())
    second = _accept(world, northside, post(sender="Organization/northside"))
    assert (first.status, second.status) == (202, 202)
    assert first.task_id != second.task_id


def _appointment(world: Any) -> dict[str, Any]:
    with world.door.open_for(LABELER, world.services.now()) as work:
        (case,) = work.find_cases(CaseKind.INBOUND)
        return dict(work.in_case(case.case_id, "Appointment")[0].payload)


# When it comes (UTC) -> the day asked for in Chicago, opening time in UTC, and whether a person looks at once.
DAYS = {
    "an ordinary morning": (datetime(2026, 11, 24, 15, 0, tzinfo=UTC), date(2026, 11, 25), 14, False),
    "the day before Thanksgiving": (datetime(2026, 11, 25, 15, 0, tzinfo=UTC), date(2026, 11, 27), 14, False),
    "on the holiday itself": (datetime(2026, 11, 26, 15, 0, tzinfo=UTC), date(2026, 11, 27), 14, True),
    "Friday 16:59": (datetime(2026, 12, 4, 22, 59, tzinfo=UTC), date(2026, 12, 7), 14, False),
    "Friday 17:01": (datetime(2026, 12, 4, 23, 1, tzinfo=UTC), date(2026, 12, 7), 14, True),
    "Saturday": (datetime(2026, 12, 5, 15, 0, tzinfo=UTC), date(2026, 12, 7), 14, True),
    "over the end of daylight time": (datetime(2026, 10, 30, 15, 0, tzinfo=UTC), date(2026, 11, 2), 14, False),
    "over its beginning": (datetime(2027, 3, 12, 15, 0, tzinfo=UTC), date(2027, 3, 15), 13, False),
    "at the year's end": (datetime(2026, 12, 31, 15, 0, tzinfo=UTC), date(2027, 1, 4), 14, False),
}


@pytest.mark.rule("R37")
@pytest.mark.parametrize("when", DAYS)
def test_rule_R37_the_next_open_clinic_day_is_asked_for(
    world: Any, harbor: Requester, post: Post, scheduler: Requester, when: str
) -> None:
    """Weekends, holidays, cut-off and clock changes in the clinic's own zone; late ones are marked for a person, and
    the answer is the same. Break: propose ``now`` plus one day."""
    now, day, opens_at, is_late = DAYS[when]
    answer = _accept(world, harbor, post(signed_on=now.date() - timedelta(days=1)), now)
    assert answer.status == 202
    appointment = _appointment(world)
    opening = datetime(day.year, day.month, day.day, opens_at, 0, tzinfo=UTC)
    assert appointment["requestedPeriod"][0]["start"] == opening.isoformat().replace("+00:00", "Z")
    (item,) = scheduling.queue(world.door, scheduler, now)
    assert (item.due_on, item.needs_person) == (day, is_late)


@pytest.mark.rule("R37")
def test_rule_R37_a_later_day_only_when_the_survivor_asked_for_it(
    world: Any, harbor: Requester, post: Post, scheduler: Requester
) -> None:
    """A wish for next Saturday becomes the Monday after; a wish for tomorrow stays tomorrow; one far away goes to a
    person. Break: return ``day`` always, or move every request to the wished day."""
    wishes = {
        datetime(2026, 12, 5, 15, 0, tzinfo=UTC): (date(2026, 12, 7), False),
        datetime(2026, 11, 25, 16, 0, tzinfo=UTC): (date(2026, 11, 25), False),
        datetime(2027, 2, 1, 15, 0, tzinfo=UTC): (date(2026, 11, 25), True),
    }
    for number, wanted in enumerate(wishes):
        _accept(world, harbor, post(alias=f"R{number}", number=str(number), wanted_from=wanted))
    found = {item.alias: (item.due_on, item.needs_person) for item in scheduling.queue(world.door, scheduler, NOW)}
    assert found == {f"R{number}": expected for number, expected in enumerate(wishes.values())}


def test_an_urgent_request_goes_to_a_person(world: Any, harbor: Requester, post: Post, scheduler: Requester) -> None:
    """What a program calls urgent is on top of the list."""
    _accept(world, harbor, post(number="1"))
    _accept(world, harbor, post(number="2", alias="Now", priority="stat"))
    assert [item.alias for item in scheduling.queue(world.door, scheduler, NOW)] == ["Now", "Robin"]


@pytest.mark.rule("R21")
@pytest.mark.parametrize("tier", [None, "none"])
@pytest.mark.parametrize("what", ["nothing", "booked", "declined"])
def test_rule_R21_without_release_a_the_program_sees_received_and_nothing_else(
    world: Any, harbor: Requester, post: Post, scheduler: Requester, tier: str | None, what: str
) -> None:
    """Booked or declined, a program without the survivor's release reads the same bytes and the same ETag as before.
    Break: return the stored Task from ``task_for_partner``, or its own ETag."""
    answer = _accept(world, harbor, post(release_a=tier))
    before = _task(world, harbor, answer.task_id)
    assert before.payload["status"] == "requested"
    assert before.payload["businessStatus"] == {"coding": [{"system": t.REFERRAL_STATUS, "code": "received-by-inbox"}]}
    _decide(world, scheduler, what)
    assert _task(world, harbor, answer.task_id) == before
    assert "output" not in before.payload


@pytest.mark.rule("R21")
def test_rule_R21_with_release_a_day_and_time_come_back(
    world: Any, harbor: Requester, post: Post, scheduler: Requester
) -> None:
    """With the release, "booked" names the visit, and the visit says day and time. Break: ask for tier "outcome" in
    ``appointment_for_partner``."""
    answer = _accept(world, harbor, post(release_a="appointment"))
    assert _task(world, harbor, answer.task_id).payload["status"] == "requested"
    _decide(world, scheduler, "booked")
    task = _task(world, harbor, answer.task_id).payload
    assert task["status"] == "accepted"
    reference = task["output"][0]["valueReference"]["reference"]
    with world.door.open_for(harbor, NOW) as work:
        shown = inbound.appointment_for_partner(work, reference.removeprefix("Appointment/")).payload
    assert (shown["status"], shown["start"], shown["end"]) == (
        "booked",
        "2026-11-25T15:00:00Z",
        "2026-11-25T15:30:00Z",
    )


@pytest.mark.rule("R21")
def test_rule_R21_a_smaller_release_tells_less(world: Any, harbor: Requester, post: Post, scheduler: Requester) -> None:
    """Tier "contact" tells that it was accepted, and neither that a visit is set nor when. Break: compare the tier
    with "none" only."""
    answer = _accept(world, harbor, post(release_a="contact"))
    _decide(world, scheduler, "booked")
    task = _task(world, harbor, answer.task_id).payload
    assert task["status"] == "accepted"
    assert "output" not in task
    assert task["businessStatus"]["coding"][0]["code"] == "received-by-inbox"
    appointment_id = _appointment(world)["id"]
    with pytest.raises(NothingToShowError), world.door.open_for(harbor, NOW) as work:
        inbound.appointment_for_partner(work, appointment_id)


@pytest.mark.rule("R21")
def test_rule_R21_when_release_a_ends_the_program_sees_received_again(
    world: Any, harbor: Requester, post: Post, scheduler: Requester
) -> None:
    """After the last day of the release nothing new or old is told. Break: ignore ``now`` in ``is_in_force``."""
    answer = _accept(world, harbor, post(release_a="appointment"))
    before = _task(world, harbor, answer.task_id)
    _decide(world, scheduler, "booked")
    later = NOW + timedelta(days=40)
    with world.door.open_for(harbor, later) as work:
        assert inbound.task_for_partner(work, answer.task_id) == before
    appointment_id = _appointment(world)["id"]
    with pytest.raises(NothingToShowError), world.door.open_for(harbor, later) as work:
        inbound.appointment_for_partner(work, appointment_id)


def test_a_declined_request_is_told_inside_the_release_with_a_coded_reason(
    world: Any, harbor: Requester, post: Post, scheduler: Requester
) -> None:
    """With the release a "no" comes back as a code in fixed words."""
    answer = _accept(world, harbor, post(release_a="appointment"))
    _decide(world, scheduler, "declined")
    task = _task(world, harbor, answer.task_id).payload
    assert task["status"] == "rejected"
    assert task["statusReason"]["coding"] == [{"system": t.REFERRAL_REASON, "code": "no-capacity"}]
    assert "output" not in task


@pytest.mark.rule("R19")
def test_rule_R19_another_program_sees_nothing_of_it(
    world: Any, harbor: Requester, northside: Requester, post: Post, scheduler: Requester
) -> None:
    """For another program the Task, the request and the visit are as absent as a made-up number. Break: let
    ``links._of_partner`` take every program for the author."""
    answer = _accept(world, harbor, post(release_a="outcome"))
    _decide(world, scheduler, "booked")
    request_id = world.resource(f"Task/{answer.task_id}")["focus"]["reference"].removeprefix("ServiceRequest/")
    made_up = "00000000-0000-4000-8000-000000000000"
    readers = (
        (inbound.task_for_partner, answer.task_id),
        (inbound.service_request_for_partner, request_id),
        (inbound.appointment_for_partner, _appointment(world)["id"]),
    )
    for read, known in readers:
        for one in (known, made_up):
            with pytest.raises(NothingToShowError), world.door.open_for(northside, NOW) as work:
                read(work, one)


@pytest.mark.parametrize(
    ("zone", "now", "signed_on", "days"),
    [
        ("America/Chicago", datetime(2026, 12, 2, 4, 30, tzinfo=UTC), date(2026, 11, 24), 7),
        ("Pacific/Guam", datetime(2026, 11, 23, 22, 0, tzinfo=UTC), date(2026, 11, 24), 7),
    ],
)
def test_a_release_counts_by_the_day_of_the_clinic(
    world: Any,
    harbor: Requester,
    post: Post,
    scheduler: Requester,
    zone: str,
    now: datetime,
    signed_on: date,
    days: int,
) -> None:
    """On its last evening in Chicago and on its first morning in Guam a release is taken, and the scheduler sees it."""
    site = replace(world.site, time_zone=zone)
    organization = site.organization_reference
    door = VaultDoor(world.engine, world.cipher, site_id="main", organization_reference=organization, time_zone=zone)
    made = post(signed_on=signed_on, days=days)
    answer = inbound.accept(door, harbor, world.harbor, made.bundle, made.body, site, now, BASE)
    assert answer.status == 202
    (item,) = scheduling.queue(door, scheduler, now)
    assert item.contact["telecom"]["value"] == "555-0142"


@pytest.mark.rule("R14")
def test_rule_R14_a_safe_contact_is_hidden_after_its_end(
    world: Any, harbor: Requester, post: Post, scheduler: Requester
) -> None:
    """The number disappears at its date, for the program and in the queue. Break: drop the date check."""
    answer = _accept(world, harbor, post(phone="555-0199", days=60))
    request_id = world.resource(f"Task/{answer.task_id}")["focus"]["reference"].removeprefix("ServiceRequest/")
    for now, is_shown in ((NOW, True), (NOW + timedelta(days=32), False)):
        with world.door.open_for(harbor, now) as work:
            assert ("555-0199" in str(inbound.service_request_for_partner(work, request_id).payload)) == is_shown
        (item,) = scheduling.queue(world.door, scheduler, now)
        assert ("telecom" in item.contact) == is_shown


def _decide(world: Any, scheduler: Requester, what: str) -> None:
    with suppress(IndexError):
        item = scheduling.queue(world.door, scheduler, NOW)[0]
        if what == "booked":
            start = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)
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
        elif what == "declined":
            scheduling.decline(world.door, scheduler, item.appointment_reference, "no-capacity", NOW)
