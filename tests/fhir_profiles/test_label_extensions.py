"""What stands beside a label: the law, who set it, what tells more, what must be shown."""

from __future__ import annotations

import pytest

from fhir_profiles.label_extensions import (
    LONGEST_MARK,
    classifier,
    display_mark,
    label_coding,
    law_basis,
    related_artifact,
    security_with_bases,
)
from fhir_profiles.security_labels import Label, labels_for, labels_of
from fhir_profiles.terminology import CONFIDENTIALITY, DS4P, LAW_BASIS, LAWS
from fhir_profiles.validation import validate
from fhir_profiles.validation.examine import examine

V, SDV, *_ = labels_for("referral-task")


@pytest.mark.parametrize("law", LAWS)
def test_the_law_behind_a_label_is_told_in_our_own_code(law: str) -> None:
    """HL7 has no code for VAWA, FVPSA or VOCA."""
    assert law_basis(law) == {
        "url": f"{DS4P}/extension-sec-label-basis",
        "valueCoding": {"system": LAW_BASIS, "code": law},
    }


@pytest.mark.parametrize("law", ["42CFRPart2", "HIPAA", "vawa", ""])
def test_another_law_is_never_the_basis(law: str) -> None:
    """The law on substance use is not the one that protects a survivor."""
    with pytest.raises(ValueError, match="VAWA"):
        law_basis(law)


def test_who_set_a_label_is_a_machine_or_an_officer() -> None:
    """The labeler or a person of the center, by id."""
    for who in ("Device/labeler", "Practitioner/officer", "PractitionerRole/r1"):
        assert classifier(who)["valueReference"] == {"reference": who}
    for who in ("Patient/p1", "Organization/harbor", "Jane Roe", ""):
        with pytest.raises(ValueError, match="device or a practitioner"):
            classifier(who)


def test_what_tells_more_is_an_address() -> None:
    """The record of the change documents a label; the release or the law justifies it."""
    made = related_artifact("documentation", "https://clinic.example/fhir/Provenance/1")
    assert made["valueRelatedArtifact"] == {
        "type": "documentation",
        "url": "https://clinic.example/fhir/Provenance/1",
    }
    assert "resource" not in made["valueRelatedArtifact"]
    for kind in ("citation", ""):
        with pytest.raises(ValueError, match="justification"):
            related_artifact(kind, "https://clinic.example/fhir/Provenance/1")
    for url in ("Provenance/1", "a story", "https://clinic.example/?patient=1", ""):
        with pytest.raises(ValueError, match="plain absolute"):
            related_artifact("justification", url)


@pytest.mark.parametrize(
    "url",
    [
        "https://clinic.example/dsv/Consent/1",
        "https://dsv.example/fhir/Consent/1",
        "https://clinic.example/DSV-release",
        "urn:clinic:dsv:1",
    ],
)
def test_an_address_beside_a_label_does_not_say_what_it_protects(url: str) -> None:
    """Addresses are read by logs and proxies. Fails when only the lower-case word is looked for."""
    with pytest.raises(ValueError, match="says what the label protects"):
        related_artifact("documentation", url)


def test_a_mark_is_one_short_line() -> None:
    """What must be shown is a mark, not a text."""
    assert display_mark("Do not share further")["valueAnnotation"] == {"text": "Do not share further"}
    for text in ("", " x", "one\ntwo", "x" * (LONGEST_MARK + 1)):
        with pytest.raises(ValueError, match="printable line"):
            display_mark(text)


def test_all_that_may_stand_beside_a_label_is_r4() -> None:
    """A record with every extension is still R4 for another system, and its labels are the same."""
    beside = (
        law_basis("VAWA"),
        classifier("Device/labeler"),
        related_artifact("documentation", "https://clinic.example/fhir/Provenance/1"),
    )
    observation = {
        "resourceType": "Observation",
        "meta": {"extension": [display_mark("Do not share further")], "security": [label_coding(V, *beside)]},
        "status": "final",
        "code": {"text": "x"},
    }
    assert [issue for issue in examine(observation, "Observation") if issue.severity == "error"] == []
    assert labels_of(observation) == (V,)
    with pytest.raises(ValueError, match="one basis"):
        label_coding(V, law_basis("VAWA"), law_basis("VOCA"))


def test_two_laws_are_told_on_each_label() -> None:
    """Where two policies are conveyed, each label says which one it follows (DS4P)."""
    task = {"resourceType": "Task", "meta": {"security": security_with_bases([V, SDV], {V: "VAWA", SDV: "FVPSA"})}}
    assert labels_of(task) == (V, SDV)
    assert [item["extension"][0]["valueCoding"]["code"] for item in task["meta"]["security"]] == ["VAWA", "FVPSA"]
    assert not [issue for issue in validate(task, "referral-task") if "security" in issue.expression]
    assert security_with_bases([V, SDV], {V: "VAWA"})[1] == {"system": SDV.system, "code": SDV.code}
    assert security_with_bases([V], {}) == [{"system": CONFIDENTIALITY, "code": "V"}]
    with pytest.raises(ValueError, match="each label names its own"):
        security_with_bases([V, SDV, Label("x", "y")], {V: "VAWA", SDV: "VOCA"})
