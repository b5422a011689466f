"""The audit event: an access, a decision, an exchange, each as BALP writes it, and no person by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_profiles import r4
from fhir_profiles.access_audit_event import (
    DENIED,
    INTERACTIONS,
    PERMITTED,
    access_audit_event,
    access_decision_event,
    disclosure_event,
    exported,
)
from fhir_profiles.security_labels import as_security, labels_for
from fhir_profiles.terminology import AUTHZ_SUBTYPE, BALP, DICOM
from fhir_profiles.validation import validate

PROFILE = "access-audit-event"
NOW = datetime(2026, 10, 1, 9, 5, tzinfo=UTC)
TASK = ("Task/t1/_history/2", labels_for("referral-task"))


def access(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "labels": labels_for(PROFILE),
        "interaction": "read",
        "recorded_at": NOW,
        "requester_reference": "Practitioner/dr-lee",
        "purpose": "TREAT",
        "entities": [TASK],
        "patient_reference": "Patient/p1",
    }
    return access_audit_event(**{**given, **changes})


def decision(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "labels": labels_for(PROFILE),
        "recorded_at": NOW,
        "requester_reference": "Practitioner/dr-lee",
        "organization_reference": "Organization/hc1",
        "purpose": "TREAT",
        "outcome": PERMITTED,
        "patient_reference": "Patient/p1",
        "consent_references": ["Consent/c1"],
        "token_id": "b7d1",
    }
    return access_decision_event(**{**given, **changes})


def exchange(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "labels": labels_for(PROFILE),
        "is_sent": True,
        "recorded_at": NOW,
        "partner_reference": "Organization/harbor",
        "partner_address": "https://dsv.example/fhir",
        "purpose": "COC",
        "patient_reference": "Patient/p1",
        "entities": [TASK],
        "consent_references": ["Consent/c1"],
    }
    return disclosure_event(**{**given, **changes})


def where(payload: dict[str, Any]) -> list[str]:
    return [issue.expression for issue in validate(payload, PROFILE)]


def claims(payload: dict[str, Any]) -> list[str]:
    prefix = f"{BALP}/StructureDefinition/IHE.BasicAudit."
    return [url.removeprefix(prefix) for url in payload["meta"]["profile"] if url.startswith(prefix)]


def roles(payload: dict[str, Any]) -> list[str]:
    return [agent["type"]["coding"][0]["code"] for agent in payload["agent"]]


@pytest.mark.parametrize(
    ("interaction", "action", "balp", "agents"),
    [
        ("read", "R", ["PatientRead"], ["110152", "110153", "IRCP"]),
        ("search", "E", [], ["110153", "110152", "IRCP"]),
        ("create", "C", ["PatientCreate"], ["110153", "110152", "AUT"]),
        ("update", "U", ["PatientUpdate"], ["110153", "110152", "AUT"]),
        ("delete", "D", ["PatientDelete"], ["110150", "custodian", "AUT"]),
    ],
)
def test_each_interaction_is_written_as_balp_writes_it(
    interaction: str, action: str, balp: list[str], agents: list[str]
) -> None:
    """Each kind of access is in a form other systems can read; a search claims nothing, for it holds no query."""
    made = access(interaction=interaction)
    assert where(made) == []
    assert r4.structure_problems(made) == []
    assert (made["action"], claims(made), roles(made)) == (action, balp, agents)
    assert [agent["requestor"] for agent in made["agent"]] == [False, False, True]


def test_the_event_names_every_item_with_its_labels_and_no_person_by_name() -> None:
    """One list read is one row: the patient, then every item, with the labels it had."""
    made = access(entities=[TASK, ("Consent/c1", ())])
    assert [item["what"]["reference"] for item in made["entity"]] == ["Patient/p1", "Task/t1/_history/2", "Consent/c1"]
    assert made["entity"][1]["securityLabel"] == as_security(labels_for("referral-task"))
    assert "display" not in repr(made)
    assert where(made) == []


def test_balp_is_claimed_only_where_it_holds() -> None:
    """A denial, an access without a patient, a list of several items: none pretends to be what BALP describes."""
    assert claims(access()) == ["PatientRead"]
    for made in (
        access(outcome=DENIED),
        access(patient_reference=None),
        access(entities=[TASK, ("Consent/c1", ())]),
        access(outcome=DENIED, patient_reference=None, entities=[]),
    ):
        assert claims(made) == []
        assert where(made) == []
        made["meta"]["profile"].append(f"{BALP}/StructureDefinition/IHE.BasicAudit.PatientRead")
        assert where(made) == ["AuditEvent.meta.profile"]


def test_another_profile_of_balp_is_not_claimed() -> None:
    """A read is no creation."""
    made = access()
    made["meta"]["profile"][1] = f"{BALP}/StructureDefinition/IHE.BasicAudit.PatientCreate"
    assert where(made) == ["AuditEvent.meta.profile"]


@pytest.mark.parametrize("outcome", [PERMITTED, DENIED])
def test_a_decision_on_a_release_is_balps_authzconsent(outcome: str) -> None:
    """Permit or refusal: DICOM's security alert, four agents, and as entities the patient, the release, the token."""
    made = decision(outcome=outcome)
    assert where(made) == []
    assert r4.structure_problems(made) == []
    assert claims(made) == ["AuthZconsent"]
    assert made["type"] == {"system": DICOM, "code": "110113"}
    assert made["subtype"] == [{"system": AUTHZ_SUBTYPE, "code": "AuthZ-Consent"}]
    assert (made["action"], made["outcome"]) == ("E", outcome)
    assert roles(made) == ["110150", "IRCP", "PROV", "authserver"]
    assert [item["type"]["code"] for item in made["entity"]] == ["1", "Consent", "UserOauthAgent"]
    assert made["entity"][2]["what"] == {"identifier": {"value": "urn:ietf:params:oauth:jti:b7d1"}}
    assert "securityLabel" not in repr(made["entity"])


def test_several_releases_may_stand_behind_one_decision() -> None:
    """Each release that was looked at is named."""
    made = decision(consent_references=["Consent/c1", "Consent/c2"], token_id=None)
    assert where(made) == []
    assert claims(made) == ["AuthZconsent"]


@pytest.mark.parametrize("patient", ["Patient/p1", None])
def test_without_a_release_on_file_the_decision_is_by_role_and_claims_nothing(patient: str | None) -> None:
    """A decision by role alone is not passed off as one on a release."""
    made = decision(consent_references=[], patient_reference=patient)
    assert where(made) == []
    assert claims(made) == []
    assert made["subtype"][0]["code"] == "AuthZ-Role"
    made["meta"]["profile"].append(f"{BALP}/StructureDefinition/IHE.BasicAudit.AuthZconsent")
    assert where(made) == ["AuditEvent.meta.profile"]


def test_what_was_asked_for_stands_on_the_access_and_not_on_the_decision() -> None:
    """The entities of a decision are closed: no item, no label of an item."""
    made = decision()
    made["entity"].append(access()["entity"][1])
    assert where(made) == ["AuditEvent.entity"]
    with pytest.raises(ValueError, match="entities"):
        decision(patient_reference=None)


@pytest.mark.parametrize(
    ("is_sent", "code", "action", "balp"),
    [
        (True, "110106", "R", "PrivacyDisclosure.Source"),
        (False, "110107", "C", "PrivacyDisclosure.Recipient"),
    ],
)
def test_an_exchange_names_both_sides_and_the_release(is_sent: bool, code: str, action: str, balp: str) -> None:
    """What left or came in is written as BALP's disclosure, recorded by our side, under the release that allowed it."""
    made = exchange(is_sent=is_sent)
    assert where(made) == []
    assert r4.structure_problems(made) == []
    assert claims(made) == [balp]
    assert (made["type"]["code"], made["action"], made["subtype"][0]["code"]) == (code, action, "disclose")
    ours = made["agent"][0 if is_sent else 1]
    assert ours["who"] == made["source"]["observer"] == {"reference": "Device/door"}
    assert [agent["network"]["type"] for agent in made["agent"]] == (["2", "5"] if is_sent else ["5", "2"])
    assert [item["what"]["reference"] for item in made["entity"]][-1] == "Consent/c1"
    assert claims(exchange(is_sent=is_sent, outcome=DENIED)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"consent_references": []},
        {"entities": []},
        {"partner_address": "a story"},
        {"partner_reference": "Jane Roe"},
        {"purpose": "to help"},
        {"labels": labels_for("referral-task")},
    ],
)
def test_an_exchange_without_a_release_or_with_a_story_is_not_built(wrong: dict[str, Any]) -> None:
    """No release, nothing sent, words where a code belongs."""
    with pytest.raises(ValueError, match=r"entities|expected here|labels") as caught:
        exchange(**wrong)
    assert "story" not in str(caught.value)
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"interaction": "guess"},
        {"outcome": "4"},
        {"requester_reference": "Jane Roe"},
        {"recorded_at": datetime(2026, 10, 1)},
        {"entities": [("Binary/1", ())]},
        {"labels": labels_for(PROFILE)[:2]},
    ],
)
def test_an_access_that_the_profile_does_not_know_is_not_built(wrong: dict[str, Any]) -> None:
    """Each wrong argument is refused in words that do not repeat it."""
    with pytest.raises(ValueError, match=r"interaction|expected here|zone|labels") as caught:
        access(**wrong)
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize("key", ["entity", "outcomeDesc", "action"])
def test_an_event_with_free_text_or_a_wrong_action_is_refused(key: str) -> None:
    """There is no place for a story in the audit."""
    broken = {**access(), key: "D" if key == "action" else "x"}
    assert where(broken)
    query = access()
    query["entity"][0]["query"] = "cGF0aWVudA=="
    assert where(query)


@pytest.mark.parametrize(
    ("place", "value", "expression"),
    [
        (("agent", 2, "requestor"), False, "AuditEvent.agent"),
        (("agent", 0, "requestor"), True, "AuditEvent.agent"),
        (("agent", 2, "network"), {"address": "127.0.0.1", "type": "2"}, "AuditEvent.agent"),
        (("agent", 2, "who"), {"identifier": {"value": "app"}}, "AuditEvent.agent"),
        (("agent", 0, "who", "reference"), "Device/x", "AuditEvent.agent"),
        (("entity", 0, "securityLabel"), [{"system": "x:y", "code": "z"}], "AuditEvent.entity[0]"),
        (("entity", 0, "role", "code"), "4", "AuditEvent.entity[0]"),
        (("entity", 0, "what", "reference"), "Task/t1", "AuditEvent.entity[0].what"),
        (("subtype", 0), {"system": AUTHZ_SUBTYPE, "code": "AuthZ-Role"}, "AuditEvent.subtype[0]"),
    ],
)
def test_parts_of_two_kinds_of_event_do_not_mix(place: tuple[Any, ...], value: Any, expression: str) -> None:
    """Who asked is the one with a purpose, a patient carries no label, a read is no decision."""
    made: Any = access()
    target = made
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    assert any(one.startswith(expression) for one in where(made))


def test_what_is_handed_out_tells_no_label_of_an_item() -> None:
    """A copy of the audit for somebody else holds no labels, query or description, and the row stays as it was."""
    made = access()
    older = {
        **made,
        "entity": [*made["entity"], {"what": {"reference": "Task/t2"}, "query": "eA==", "description": "x"}],
    }
    given = exported(older)
    assert not any({"securityLabel", "query", "description"} & item.keys() for item in given["entity"])
    assert [item["what"] for item in given["entity"]] == [item["what"] for item in older["entity"]]
    assert "securityLabel" in older["entity"][1]
    assert set(INTERACTIONS) == {"read", "search", "create", "update", "delete"}
