"""The EHR: labelled on entry, proved on writing, and nothing else is ever written there."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_profiles.appointment_ehr_copy import appointment_ehr_copy
from fhir_profiles.label_exchange import Origin, label_up
from fhir_profiles.security_labels import Label, as_security, labels_for, labels_of
from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY
from launch.errors import EhrAuthorizationEndedError, EhrError, EhrOutcomeUnknownError
from smart_app.errors import EhrUnavailableError, RefusedError
from smart_app.gateways import audit_log
from smart_app.gateways.alerts import SqlAlerts
from smart_app.gateways.ehr import EhrGateway, is_neutral, is_same_copy
from smart_app.ports import WriteBackResult

CHART = "canary-chart-901"


class FakeEhr:
    """An EHR that can lose labels, refuse, stay silent, or keep what it should delete. Every call is written down."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.rows: dict[str, dict] = {}
        self.on_read = lambda payload: payload
        self.errors: dict[str, Exception] = {}

    def for_launch(self, launch_id: str):
        assert launch_id
        return self

    def _call(self, method: str, what: str) -> None:
        self.calls.append((method, what))
        if method in self.errors:
            raise self.errors[method]

    def own_reference(self, value):
        return value.removeprefix("https://ehr.example/fhir/") if isinstance(value, str) else None

    def read(self, reference: str):
        self._call("read", reference)
        if reference not in self.rows:
            raise EhrError("status", 404)
        return self.on_read(copy.deepcopy(self.rows[reference]))

    def search(self, resource_type, params):
        self._call("search", resource_type)
        self.searched = params
        return [row for row in self.rows.values() if row.get("resourceType") == resource_type]

    def create(self, payload):
        self._call("create", payload["resourceType"])
        reference = f"{payload['resourceType']}/{len(self.rows) + 1}"
        self.rows[reference] = {**json.loads(json.dumps(payload)), "id": reference.split("/")[1]}
        return type("Created", (), {"reference": reference, "payload": None})()

    def update(self, payload):
        self._call("update", f"{payload['resourceType']}/{payload['id']}")
        self.rows[f"{payload['resourceType']}/{payload['id']}"] = payload

    def delete(self, reference: str) -> None:
        self._call("delete", reference)
        del self.rows[reference]


@pytest.fixture
def ehr(world):
    fake = FakeEhr()
    fake.rows[f"Patient/{world.patient.patient_id}"] = {
        "resourceType": "Patient",
        "id": world.patient.patient_id,
        "name": [{"family": "Canary-Surname"}],
        "birthDate": "1992-01-01",
    }
    return fake


@pytest.fixture
def gateway(world, ehr):
    return EhrGateway(ehr, world.door, SqlAlerts(world.engine, "hc1", lambda: world.now))


@pytest.fixture
def observation(world):
    """What the vault holds, as the workflow hands it over."""
    _, reference = world.disclose()
    with world.door.open_for(world.clinician(), world.now) as work:
        stored = work.read(reference)
    return {key: value for key, value in stored.payload.items() if key != "id"}


def strip_labels(payload):
    return {**payload, "meta": {}}


def writes(ehr) -> list[str]:
    return [what.split("/")[0] for method, what in ehr.calls if method in ("create", "update")]


# -- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R5")
def test_rule_R05_the_launched_patient_is_labelled_on_entry_and_never_stored(world, gateway):
    """The name in the banner carries a label while it is shown, and is in no table afterwards.

    Break: return payload unlabelled in launched_patient.
    """
    patient = gateway.launched_patient(world.clinician(), world.now)
    assert labels_of(patient) == (Label(CONFIDENTIALITY, "R"),)
    assert patient["name"] == [{"family": "Canary-Surname"}]
    raw = world.database.raw()
    assert b"Canary-Surname" not in raw
    assert world.count("vault_resource") == 0


def staff_role(number, person, **more):
    coding = [{"system": "sys", "code": f"code-{number}"}]
    return {
        "resourceType": "PractitionerRole",
        "id": str(number),
        "practitioner": {"reference": person},
        "code": [{"coding": coding}],
        **more,
    }


@pytest.mark.rule("R23")
def test_rule_R23_of_the_staff_directory_only_the_person_s_own_roles_count(world, ehr, gateway):
    """An EHR that answers with everybody's roles makes nobody what they are not, and the look-up is in the audit.

    Break: leave ``is_role_of`` out of ``_roles_of``.
    """
    me = world.clinician().user_reference
    ehr.rows = {"1": staff_role(1, me), "2": staff_role(2, "Practitioner/x"), "3": staff_role(3, me, active=False)}
    assert gateway.directory_codes(world.clinician(), world.now) == {"sys|code-1"}
    assert ehr.searched == {"practitioner": me}
    rows = [
        row for _, row in audit_log.entries(world.engine, world.cipher) if row["action"] == "read-practitioner-roles"
    ]
    assert [(row["phase"], row["entities"], row.get("outcome")) for row in rows] == [
        ("intended", [me], None),
        ("outcome", [me], "read"),
    ]
    assert "code-1" not in str(rows)


def test_a_person_who_signs_in_as_a_role_is_read_as_that_role(world, ehr, gateway):
    """Some EHRs name the role and not the person; then that role is read."""
    asker = replace(world.clinician(), user_reference="PractitionerRole/7")
    ehr.rows = {"PractitionerRole/7": staff_role(7, "Practitioner/x")}
    assert gateway.directory_codes(asker, world.now) == {"sys|code-7"}


@pytest.mark.parametrize("status", [403, 404, 410])
def test_directory_that_is_not_for_us_says_nothing(world, ehr, gateway, status):
    """An EHR that does not show its staff gives nobody a role; one that is down is no answer at all."""
    ehr.errors["search"] = EhrError("status", status)
    assert gateway.directory_codes(world.clinician(), world.now) == frozenset()
    assert gateway.is_on_care_team(world.clinician(), world.now) is False
    ehr.errors["search"] = EhrError("no-answer")
    with pytest.raises(EhrUnavailableError):
        gateway.directory_codes(world.clinician(), world.now)
    with pytest.raises(EhrUnavailableError):
        gateway.is_on_care_team(world.clinician(), world.now)


@pytest.mark.rule("R23")
@pytest.mark.parametrize(("patient", "is_member"), [(CHART, True), ("somebody-else", False)])
def test_rule_R23_care_team_of_this_patient_alone(world, ehr, gateway, patient, is_member):
    """Another patient's team does not open this chart. Break: leave ``patient_reference`` out of ``has_member``."""
    member = {"member": {"reference": world.clinician().user_reference}}
    subject = {"reference": f"Patient/{patient}"}
    ehr.rows = {"1": {"resourceType": "CareTeam", "status": "active", "subject": subject, "participant": [member]}}
    assert gateway.is_on_care_team(world.clinician(), world.now) is is_member
    assert ehr.searched == {"patient": CHART, "status": "active"}


def visit(status="in-progress", subject=f"Patient/{CHART}", **more):
    return {"resourceType": "Encounter", "id": "enc-1", "status": status, "subject": {"reference": subject}, **more}


@pytest.mark.rule("R23")
@pytest.mark.parametrize(
    ("encounter", "is_open"),
    [
        (visit(), True),
        (visit("arrived"), True),
        (visit("triaged"), True),
        (visit(subject=f"https://ehr.example/fhir/Patient/{CHART}"), True),
        *((visit(status), False) for status in ("planned", "onleave", "finished", "cancelled", "entered-in-error")),
        (visit("unknown"), False),
        (visit(["in-progress"]), False),
        (visit(subject="Patient/somebody-else"), False),
        (visit(subject=f"https://elsewhere.example/fhir/Patient/{CHART}"), False),
        (visit(subject=None), False),
        ({"resourceType": "Encounter", "id": "enc-1", "status": "in-progress"}, False),
        ({**visit(), "subject": "Patient", "meta": "none"}, False),
        (None, False),
    ],
)
def test_rule_R23_only_a_visit_of_this_patient_that_goes_on_now_is_one(world, ehr, gateway, encounter, is_open):
    """Last week's visit, a planned one or somebody else's makes nobody the care team of today.

    Break: return True for any status, or leave out the subject.
    """
    if encounter is not None:
        ehr.rows["Encounter/enc-1"] = encounter
    assert gateway.is_visit_open(world.clinician(), world.now) is is_open
    assert ehr.calls == [("read", "Encounter/enc-1")]
    intended, outcome = world.audit()
    assert (intended["action"], intended["entities"]) == ("read-launched-encounter", ["Encounter/enc-1"])
    assert (intended["phase"], outcome["phase"]) == ("intended", "outcome")
    assert world.count("vault_resource") == 0


@pytest.mark.rule("R26")
def test_rule_R26_a_chart_is_opened_by_three_crossings_announced_before_the_first(world, ehr, gateway):
    """Before visit, patient or person is asked for, the log names all; afterwards it says of each what came of it.

    Break: in ``VaultDoor.crossings`` yield before the rows ``intended`` are committed, or give all one id.
    """
    about = {"subject": {"reference": f"Patient/{CHART}"}, "status": "in-progress"}
    ehr.rows["Encounter/enc-1"] = {"resourceType": "Encounter", "id": "enc-1", **about}
    ehr.rows["Practitioner/dr-lee"] = {"resourceType": "Practitioner", "id": "dr-lee"}
    rows_when_asked = []
    ehr.on_read = lambda payload: rows_when_asked.append(len(world.audit())) or payload
    chart = gateway.open_chart(world.clinician(), world.now)
    assert chart.is_visit_open is True
    assert Label(CONFIDENTIALITY, "R") in labels_of(chart.patient)
    patient = f"Patient/{world.patient.patient_id}"
    assert chart.staff["id"] == "dr-lee"
    assert ehr.calls == [("read", "Encounter/enc-1"), ("read", patient), ("read", "Practitioner/dr-lee")]
    assert rows_when_asked == [3, 3, 3]
    rows = world.audit()
    assert [(row["phase"], row["action"], row["entities"]) for row in rows] == [
        (phase, f"read-{kind}", [entity])
        for phase in ("intended", "outcome")
        for kind, entity in (
            ("launched-encounter", "Encounter/enc-1"),
            ("launched-patient", patient),
            ("signed-in-staff", "Practitioner/dr-lee"),
        )
    ]
    assert [row["crossing"] for row in rows[:3]] == [row["crossing"] for row in rows[3:]]
    assert len({row["crossing"] for row in rows}) == 3
    assert [row["outcome"] for row in rows[3:]] == ["read"] * 3
    assert audit_log.verify(world.engine, world.cipher).holds
    assert world.count("vault_resource") == 0


@pytest.mark.parametrize(
    ("error", "is_open", "outcomes"),
    [
        (EhrError("no-answer"), None, ["failed-no-answer"] * 3),
        (EhrError("status", 404), False, ["failed-404"] * 3),
        (None, False, ["failed-404", "read", "failed-404"]),
    ],
)
def test_what_an_ehr_does_not_tell_of_a_chart_is_not_known(world, ehr, gateway, error, is_open, outcomes):
    """No answer about the visit is neither yes nor no; a visit that is not there is none, and the patient is read."""
    if error is not None:
        ehr.errors["read"] = error
    chart = gateway.open_chart(world.clinician(), world.now)
    assert (chart.is_visit_open, chart.patient is None) == (is_open, error is not None)
    assert [row["outcome"] for row in world.audit()[3:]] == outcomes


def test_no_chart_is_opened_without_a_patient_and_a_visit(world, ehr, gateway):
    """A launch without either asks the EHR for neither."""
    for requester in (world.scheduler(), world.clinician(encounter_id=None)):
        with pytest.raises(RefusedError):
            gateway.open_chart(requester, world.now)
    assert ehr.calls == []


def test_an_ehr_that_does_not_say_whether_a_visit_is_open_is_said_to_be_away(world, ehr, gateway):
    """No answer is no "no": whoever asked may ask again."""
    for error in (EhrError("no-answer"), EhrError("status", 500), EhrAuthorizationEndedError("x", 401)):
        ehr.errors["read"] = error
        with pytest.raises(EhrUnavailableError):
            gateway.is_visit_open(world.clinician(), world.now)
    with pytest.raises(RefusedError):
        gateway.is_visit_open(world.clinician(encounter_id=None), world.now)


@pytest.mark.parametrize(
    ("received", "level"),
    [([], "R"), (["N"], "R"), (["R"], "R"), (["V"], "V"), (["V", "N"], "V"), (["banana"], "V"), (["U"], "R")],
)
def test_what_the_ehr_labels_higher_stays_higher(received, level):
    """We never make an EHR's record look less private than the EHR does."""
    labels = [Label(CONFIDENTIALITY, code) for code in received]
    payload = {"resourceType": "Patient", "meta": {"security": as_security([*labels, Label(ACT_CODE, "SDV")])}}
    assert labels_of(label_up(payload, Origin.LAUNCHED).payload) == (
        Label(CONFIDENTIALITY, level),
        Label(ACT_CODE, "SDV"),
    )


@pytest.mark.rule("R26")
def test_rule_R26_a_read_at_the_ehr_is_announced_first_and_its_outcome_follows(world, ehr, gateway):
    """Before the chart is asked, the log says so; afterwards it says what came of it.

    Break: yield before begin_crossing.
    """
    rows_when_asked = []
    ehr.on_read = lambda payload: rows_when_asked.append(len(world.audit())) or payload
    gateway.launched_patient(world.clinician(), world.now)
    intended, outcome = world.audit()
    assert rows_when_asked == [1]
    assert (intended["phase"], outcome["phase"], outcome["outcome"]) == ("intended", "outcome", "read")
    assert intended["crossing"] == outcome["crossing"]
    assert audit_log.verify(world.engine, world.cipher).holds


@pytest.mark.rule("R26")
def test_rule_R26_no_row_no_crossing(world, ehr, gateway, monkeypatch):
    """When the log cannot be written, the chart is not asked. Break: swallow the error of begin_crossing."""

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(audit_log.AuditLog, "append", broken)
    with pytest.raises(OSError, match="disk full"):
        gateway.launched_patient(world.clinician(), world.now)
    assert ehr.calls == []


@pytest.mark.parametrize(
    "error", [EhrError("no-answer"), EhrError("status", 500), EhrAuthorizationEndedError("x", 401)]
)
def test_an_ehr_that_does_not_answer_is_said_in_words(world, ehr, gateway, error):
    """The page says that the EHR did not answer, and the log says so too."""
    ehr.errors["read"] = error
    with pytest.raises(EhrUnavailableError) as caught:
        gateway.launched_patient(world.clinician(), world.now)
    assert "phone list" in caught.value.said
    assert world.audit()[-1]["outcome"].startswith("failed-")


def test_without_a_chart_there_is_no_patient_to_read(world, ehr, gateway):
    """A scheduler has no chart open and reads none."""
    with pytest.raises(RefusedError):
        gateway.launched_patient(world.scheduler(), world.now)
    assert ehr.calls == []


# -- writing --------------------------------------------------------------------------------------------------------


def test_a_copy_that_comes_back_as_it_was_sent_is_saved(world, ehr, gateway, observation):
    """Only what was read back unchanged, label and all, is called saved."""
    written = gateway.write_back(world.clinician(), observation, world.now)
    assert (written.result, written.reference) == (WriteBackResult.SAVED, "Observation/2")
    assert ehr.calls == [("create", "Observation"), ("read", "Observation/2")]
    assert world.alerts() == []
    outcome = world.audit()[-1]
    assert (outcome["outcome"], outcome["made"]) == ("saved", "Observation/2")


@pytest.mark.rule("R7")
@pytest.mark.parametrize(
    "alter",
    [
        strip_labels,
        lambda p: {**p, "meta": {"security": p["meta"]["security"][1:]}},
        lambda p: {**p, "meta": {"security": [*p["meta"]["security"], {"system": ACT_CODE, "code": "VIO"}]}},
        lambda p: {**p, "valueBoolean": False},
        lambda p: {key: value for key, value in p.items() if key != "performer"},
        lambda p: {**p, "text": {"status": "generated", "div": "<div>violence disclosed</div>"}},
    ],
)
def test_rule_R07_a_copy_that_comes_back_altered_is_taken_off_and_told(world, ehr, gateway, observation, alter):
    """When the EHR drops a label or changes a word, our copy is taken off the chart and the privacy officer is
    told.

    Break: return True from is_same_copy.
    """
    ehr.on_read = alter
    altered: list[str | None] = []
    gateway = EhrGateway(ehr, world.door, SqlAlerts(world.engine, "hc1", lambda: world.now), on_altered=altered.append)
    written = gateway.write_back(world.clinician(), observation, world.now)
    assert (written.result, written.reference) == (WriteBackResult.LABELS_LOST, None)
    assert altered == [world.clinician().registration_id]
    assert "Observation/2" not in ehr.rows
    assert writes(ehr) == ["Observation"]
    assert world.alerts() == ["ehr-write-labels-lost"]
    assert world.count("vault_resource", "resource_type = 'Observation'") == 1  # the vault copy stands


@pytest.mark.rule("R7")
def test_rule_R07_an_ehr_that_does_not_delete_is_asked_to_mark_it_as_an_error(world, ehr, gateway, observation):
    """Where the EHR keeps what it should delete, an empty shell marked as an error is left, and somebody looks."""
    ehr.on_read, ehr.errors["delete"] = strip_labels, EhrError("status", 403)
    written = gateway.write_back(world.clinician(), observation, world.now)
    assert (written.result, written.reference) == (WriteBackResult.LABELS_LOST, "Observation/2")
    shell = ehr.rows["Observation/2"]
    assert shell["status"] == "entered-in-error"
    assert "violence" not in str(shell)
    assert "disclosure" not in str(shell)  # the profile's address would tell
    assert "category" not in shell
    assert world.alerts() == ["ehr-copy-still-there", "ehr-write-labels-lost"]
    assert set(writes(ehr)) == {"Observation"}


@pytest.mark.rule("R7")
def test_rule_R07_a_copy_that_cannot_be_taken_off_is_an_alarm(world, ehr, gateway, observation):
    """If a bare copy may still be on the chart, the privacy officer hears that, too."""
    ehr.on_read = strip_labels
    ehr.errors |= {"delete": EhrError("status", 403), "update": EhrError("status", 403)}
    written = gateway.write_back(world.clinician(), observation, world.now)
    assert (written.result, written.reference) == (WriteBackResult.LABELS_LOST, "Observation/2")
    assert world.alerts() == ["ehr-copy-still-there", "ehr-write-labels-lost"]
    assert world.audit()[-1]["outcome"] == "labels-lost-still-there"


@pytest.mark.rule("R7")
@pytest.mark.parametrize(
    ("error", "result"),
    [
        (EhrError("status", 400), WriteBackResult.REFUSED),
        (EhrError("status", 403), WriteBackResult.REFUSED),
        (EhrError("status", 422), WriteBackResult.REFUSED),
        (EhrOutcomeUnknownError("no-answer"), WriteBackResult.UNKNOWN),
        (EhrOutcomeUnknownError("status", 500), WriteBackResult.UNKNOWN),
    ],
)
def test_rule_R07_a_failed_write_is_never_tried_again_nor_put_elsewhere(
    world, ehr, gateway, observation, error, result
):
    """A refused or unanswered write ends there: no second try, no note, no message, no other kind of record.

    Break: call create again after EhrOutcomeUnknownError.
    """
    ehr.errors["create"] = error
    assert gateway.write_back(world.clinician(), observation, world.now).result is result
    assert ehr.calls == [("create", "Observation")]
    assert world.alerts() == [f"ehr-write-{result.value}"]


@pytest.mark.rule("R7")
def test_rule_R07_a_copy_that_cannot_be_read_back_is_not_called_saved(world, ehr, gateway, observation):
    """What we cannot look at again, we take back."""
    ehr.errors["read"] = EhrError("no-answer")
    written = gateway.write_back(world.clinician(), observation, world.now)
    assert (written.result, written.reference) == (WriteBackResult.UNKNOWN, None)
    assert ehr.calls[-1] == ("delete", "Observation/2")


@pytest.mark.rule("R7")
@pytest.mark.parametrize(
    "kind",
    ["DocumentReference", "Communication", "Condition", "Composition", "Task", "Consent", "Patient", "Appointment"],
)
def test_rule_R07_no_other_kind_of_record_is_ever_written(world, ehr, gateway, observation, kind):
    """Notes, messages, problems and documents are never written by this app. Break: add the type to ehr.COPIED."""
    with pytest.raises(RefusedError):
        gateway.write_back(world.clinician(), {**observation, "resourceType": kind}, world.now)
    assert ehr.calls == []


@pytest.mark.rule("attack 10")
def test_a_copy_for_another_chart_is_refused_before_the_network(world, ehr, gateway, observation):
    """A mother's record is never written into the child's chart that happens to be open."""
    other = {**observation, "subject": {"reference": "Patient/p-luz"}}
    with pytest.raises(RefusedError):
        gateway.write_back(world.clinician(), other, world.now)
    with pytest.raises(RefusedError):
        gateway.write_back(world.scheduler(), observation, world.now)
    assert ehr.calls == []


def test_an_unlabelled_copy_never_leaves(world, ehr, gateway, observation):
    """Without its label nothing goes to the chart."""
    with pytest.raises(RefusedError):
        gateway.write_back(world.clinician(), strip_labels(observation), world.now)
    assert ehr.calls == []


# -- booking --------------------------------------------------------------------------------------------------------


@pytest.fixture
def visit(world):
    start = world.now + timedelta(days=1)
    return appointment_ehr_copy(
        labels=labels_for("appointment-ehr-copy"),
        start=start,
        end=start + timedelta(minutes=30),
        service_reference="HealthcareService/next-day",
        patient_reference="Patient/p-dana",
    )


@pytest.fixture
def at_desk(world):
    from dataclasses import replace

    return replace(world.scheduler(), launch_id="launch-1")


@pytest.mark.rule("R36")
def test_rule_R36_a_neutral_visit_is_booked(world, ehr, gateway, visit, at_desk):
    """The schedule shows an office visit at a time, and that is all; an EHR that keeps no label on it is fine."""
    ehr.on_read = lambda p: {**p, "meta": {"versionId": "1"}, "created": "2026-11-24", "minutesDuration": 30}
    written = gateway.book(at_desk, visit, world.now)
    assert (written.result, written.reference) == (WriteBackResult.SAVED, "Appointment/2")


@pytest.mark.rule("R36")
@pytest.mark.parametrize(
    "more",
    [
        {"basedOn": [{"reference": "ServiceRequest/1"}]},
        {"reasonCode": [{"text": "violence"}]},
        {"description": "Harbor Program"},
        {"comment": "call first"},
        {"patientInstruction": "x"},
        {"serviceType": [{"text": "Advocacy visit"}]},
        {"serviceType": [{"coding": [{"code": "310"}], "text": "Office visit"}]},
        {"participant": [{"actor": {"reference": "Patient/1", "display": "Rosa"}, "status": "accepted"}]},
        {"meta": {"security": as_security([Label(CONFIDENTIALITY, "R"), Label(ACT_CODE, "SDV")])}},
        {"meta": {"security": as_security([Label(CONFIDENTIALITY, "V")])}},
    ],
)
def test_rule_R36_a_telling_visit_never_leaves_and_never_stays(world, ehr, gateway, visit, at_desk, more):
    """Nothing on the schedule may hint at why she comes. Break: drop is_neutral in EhrGateway.book."""
    telling = {**visit, **more}
    assert not is_neutral(telling)
    with pytest.raises(RefusedError):
        gateway.book(at_desk, telling, world.now)
    assert ehr.calls == []


@pytest.mark.rule("R36")
@pytest.mark.parametrize(
    "more",
    [
        {"basedOn": [{"reference": "ServiceRequest/1"}]},
        {"reasonCode": [{"text": "violence"}]},
        {"comment": "call first"},
        {"text": {"status": "generated", "div": "<div>advocacy</div>"}},
        {"serviceType": [{"text": "Advocacy visit"}]},
        {"start": "2030-01-01T00:00:00Z"},
        {"meta": {"security": as_security([Label(CONFIDENTIALITY, "R"), Label(ACT_CODE, "SDV")])}},
    ],
)
def test_rule_R36_a_visit_that_comes_back_telling_is_taken_off(world, ehr, gateway, visit, at_desk, more):
    """If the schedule adds something telling, or changes the time, the visit is taken off again.

    Break: return True from is_same_booking.
    """
    ehr.on_read = lambda p: {**p, **more}
    written = gateway.book(at_desk, visit, world.now)
    assert (written.result, written.reference) == (WriteBackResult.LABELS_LOST, None)
    assert "Appointment/2" not in ehr.rows


def test_the_compare_knows_the_order_of_labels_does_not_matter():
    """The same labels in another order are the same labels."""
    labels = as_security([Label(CONFIDENTIALITY, "V"), Label(ACT_CODE, "SDV")])
    assert is_same_copy({"meta": {"security": labels}, "a": 1}, {"meta": {"security": labels[::-1]}, "a": 1, "id": "1"})


@pytest.mark.rule("R22")
def test_rule_R22_staff_are_found_by_name_as_one_announced_call(world, ehr, gateway):
    """The EHR's own staff, by reference and name; what is no practitioner, or has no name, is not shown. The call is in
    the log before and after, without the name that was typed. Fails when ``named`` takes any resource."""
    name = [{"family": "Bad", "given": ["Sam"]}]
    ehr.rows = {
        "Practitioner/1": {"resourceType": "Practitioner", "id": "1", "name": name},
        "Practitioner/2": {"resourceType": "Practitioner", "id": "2"},
        "Practitioner/3": {"resourceType": "Practitioner", "name": name},
        "Practitioner/4": {"resourceType": "Practitioner", "id": "4", "name": [{"text": "S. Bad"}]},
    }
    found = gateway.find_staff(world.clinician(), "canary-typed", world.now)
    assert found == [("Practitioner/1", "Sam Bad"), ("Practitioner/4", "S. Bad")]
    assert ehr.searched == {"name": "canary-typed"}
    rows = [row for row in world.audit() if row["action"] == "search-staff"]
    assert [row["phase"] for row in rows] == ["intended", "outcome"]
    assert "canary-typed" not in str(rows)


@pytest.mark.rule("R24")
def test_rule_R24_the_person_who_signed_in_is_read_and_not_kept(world, ehr, gateway):
    """The Practitioner of the launch, through its role where the EHR names the role. What the EHR does not show, or
    does not answer, is nobody: the outcome in the log says so.

    Fails when ``signed_in_staff`` lets the error through.
    """
    ehr.rows = {
        "Practitioner/dr-lee": {"resourceType": "Practitioner", "id": "dr-lee", "telecom": [{"value": "canary-tel"}]},
        "PractitionerRole/7": {
            "resourceType": "PractitionerRole",
            "practitioner": {"reference": "https://ehr.example/fhir/Practitioner/dr-lee"},
        },
        "PractitionerRole/8": {"resourceType": "PractitionerRole"},
    }
    for user, found in (("Practitioner/dr-lee", "dr-lee"), ("PractitionerRole/7", "dr-lee")):
        staff = gateway.signed_in_staff(replace(world.clinician(), user_reference=user), world.now)
        assert staff["id"] == found
    for user in ("PractitionerRole/8", "Practitioner/gone"):
        assert gateway.signed_in_staff(replace(world.clinician(), user_reference=user), world.now) is None
    ehr.errors["read"] = EhrError("no-answer")
    assert gateway.signed_in_staff(world.clinician(), world.now) is None
    rows = [row for row in world.audit() if row["action"] == "read-signed-in-staff" and row["phase"] == "outcome"]
    assert [row["outcome"] for row in rows] == ["read", "read", "not-told", "failed-404", "failed-no-answer"]
    assert "canary-tel" not in str(world.audit())
