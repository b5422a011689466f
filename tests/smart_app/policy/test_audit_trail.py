"""What a privacy officer reads in the log, and what is handed out of it as FHIR."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_profiles.validation import validate
from smart_app.policy.audit_trail import as_audit_event, disclosures, line_of

AT = "2026-11-03T15:00:00+00:00"
ADDRESSES = {"harbor": "https://harbor.example/fhir"}


def entity(kind: str = "Observation", result: str = "permit", rule: str = "D7") -> dict[str, str]:
    return {"what": f"{kind}/ab-1/_history/2", "labels": "[C|V][A|SDV]", "result": result, "rule": rule}


def row(**changes: Any) -> dict[str, Any]:
    read = {
        "at": AT,
        "who": "Practitioner/dr-lee",
        "role": "clinician",
        "site_role": "physician",
        "purpose": "TREAT",
        "crossing": "c-1",
        "phase": "vault",
        "action": "read",
        "entities": [entity()],
    }
    return {**read, **changes}


def sent(**changes: Any) -> dict[str, Any]:
    out = {
        "who": "system-delivery",
        "purpose": "COC",
        "phase": "intended",
        "action": "release",
        "partner": "harbor",
        "consents": ["Consent/r-1"],
        "is_disclosure": True,
        "entities": [{"what": f"{kind}/x-1/_history/1", "labels": "[C|V][A|SDV]"} for kind in ("Patient", "Task")],
    }
    return row(**{**out, **changes})


def test_a_line_says_who_did_what_and_by_which_rule() -> None:
    """The officer reads ids, an action, the answer and the rule."""
    line = line_of(7, row())
    assert (line.position, line.who, line.role, line.action) == (7, "Practitioner/dr-lee", "physician", "read")
    assert (line.items, line.answer, line.rules) == (("Observation/ab-1",), "shown", ("D7",))
    assert line_of(8, row(entities=[entity(result="deny", rule="D11")])).answer == "not shown"


@pytest.mark.rule("R26")
def test_rule_R26_each_disclosure_is_listed_under_its_release_with_what_became_of_it() -> None:
    """A patient can be told what left, when, to whom and under which release; what was undone too.

    Break: in ``disclosures`` leave out the outcomes.
    """
    outcome = sent(phase="outcome", outcome="delivered")
    (one,) = disclosures([(3, sent()), (4, outcome)])
    assert (one.consent, one.to, one.outcome, one.position) == ("Consent/r-1", "harbor", "delivered", 3)
    assert one.items == ("Patient/x-1", "Task/x-1")
    (waiting,) = disclosures([(3, sent())])
    assert waiting.outcome == "sent"


@pytest.mark.rule("R26")
def test_rule_R26_what_a_program_reads_under_a_release_is_a_disclosure_and_what_it_was_denied_is_not() -> None:
    """A read by a program counts with what it was shown alone."""
    read = row(
        who="Organization/harbor",
        is_disclosure=True,
        consents=["Consent/r-1"],
        entities=[entity("Task"), entity("Appointment", result="deny")],
    )
    (one,) = disclosures([(9, read), (10, row())])
    assert (one.to, one.items, one.outcome) == ("harbor", ("Task/ab-1",), "read")


@pytest.mark.parametrize(
    "record",
    [
        row(),
        row(action="list", entities=[entity("Task"), entity("Patient")]),
        row(action="create"),
        row(action="amend", entities=[entity(result="deny")]),
        row(who="Organization/harbor", role="advocate", purpose="COC"),
        row(phase="intended", system="ehr", action="read-launched-patient", entities=["Patient/p-dana"]),
        sent(),
        sent(partner="somebody-new"),
    ],
)
def test_what_is_handed_out_keeps_our_profile(record: dict[str, Any]) -> None:
    """An exported event is a valid AuditEvent, and says nothing of how sensitive what was touched is."""
    event = as_audit_event(5, record, addresses=ADDRESSES)
    if record.get("partner") == "somebody-new":
        assert event is None
        return
    assert event is not None
    assert validate(event, "access-audit-event") == []
    assert "SDV" not in str(event.get("entity"))
    assert event["id"] == "row-5"


@pytest.mark.parametrize("record", [row(action="launch-completed", phase="launch", entities=[]), sent(phase="outcome")])
def test_what_is_no_access_is_left_out(record: dict[str, Any]) -> None:
    """A sign-in has no AuditEvent here."""
    assert as_audit_event(5, record, addresses=ADDRESSES) is None
