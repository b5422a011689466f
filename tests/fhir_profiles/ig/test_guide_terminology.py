"""The guide and the code use the same words: addresses, codes, value sets, and what the API offers."""

from __future__ import annotations

import importlib
import inspect
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fhir_profiles import (
    access_audit_event,
    disclosure_observation,
    label_provenance,
    partner_service,
    proposed_appointment,
    referral_service_request,
    referral_task,
    release_consent,
    release_signer,
    release_tier,
    safe_contact,
    terminology,
)
from fhir_profiles.security_labels import KNOWN, LEVELS, SENSITIVITIES, labels_for
from fhir_profiles.terminology import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    DISCLOSURE_KIND,
    GRAVITY_CODES,
    LAW_BASIS,
    LAWS,
    REFERRAL_NEED,
    REFERRAL_REASON,
    REFERRAL_STATUS,
    ROLE_CODE,
    US_CORE_CATEGORY,
    B,
)
from smart_app.pages.education import WORDS
from smart_app.workflows.education import OUTCOMES

Payload = dict[str, Any]
TESTS = Path(__file__).resolve().parents[1]
Pairs = set[tuple[str, str]]

# Addresses that only a value set names: R4's own status systems, which the code writes as plain codes.
PLAIN = {
    "$audit-action",
    "$audit-outcome",
    "$observation-status",
    "$request-status",
    "$task-status",
    "$consent-status",
    "$appointment-status",
    "$participation-status",
    "$days",
    "$provenance-role",
    "$network",
}


def test_every_address_is_the_one_the_code_uses(ig: Path) -> None:
    """A mistyped address is missed in silence, so the guide spells none that terminology.py does not."""
    text = (ig / "input" / "fsh" / "Aliases.fsh").read_text()
    aliases = dict(re.findall(r"^Alias: (\S+) = (\S+)$", text, flags=re.MULTILINE))
    known = {value for value in vars(terminology).values() if isinstance(value, str)}
    assert {name: url for name, url in aliases.items() if name not in PLAIN and url not in known} == {}
    spelled = {
        url
        for path in (ig / "input" / "fsh").glob("*.fsh")
        if path.name not in {"Aliases.fsh", "CapabilityStatements.fsh"}
        for url in re.findall(r"['\"](https?://[^'\"]+)['\"]", path.read_text())
        if not url.startswith(f"{B}/") and not url.startswith("https://'")
    }
    official = {"http://hl7.org/fhir/OperationDefinition/Resource-validate", "https://"}
    assert spelled - known - official == set()


OUR_CODES: dict[str, tuple[str, dict[str, str] | tuple[str, ...]]] = {
    "disclosure-kind": (
        DISCLOSURE_KIND,
        tuple(kind for kind in disclosure_observation.KINDS if kind != "intimate-partner-abuse"),
    ),
    "law-basis": (LAW_BASIS, LAWS),
    "referral-reason": (REFERRAL_REASON, dict(referral_task.REASONS)),
    "referral-status": (REFERRAL_STATUS, (*referral_task.OUR_BUSINESS_STATUSES, "appointment")),
    "referral-need": (REFERRAL_NEED, dict(referral_service_request.NEEDS)),
    "safe-contact-meet": (f"{B}/CodeSystem/safe-contact-meet", safe_contact.MEETS),
    "safe-contact-voicemail": (f"{B}/CodeSystem/safe-contact-voicemail", safe_contact.VOICEMAILS),
    "safe-contact-answerer": (f"{B}/CodeSystem/safe-contact-answerer", safe_contact.ANSWERERS),
    "release-signer": (f"{B}/CodeSystem/release-signer", release_signer.SIGNERS),
    "release-tier": (f"{B}/CodeSystem/release-tier", release_tier.TIERS),
    "education-outcome": (f"{B}/CodeSystem/education-outcome", {code: WORDS[code] for code in OUTCOMES}),
}


@pytest.mark.parametrize("name", OUR_CODES)
def test_our_code_systems_hold_the_codes_of_the_builders(name: str, resources: dict[str, Payload]) -> None:
    """A code that a builder writes is in the guide, and the guide has none that nobody writes; words are the same."""
    url, expected = OUR_CODES[name]
    system = resources[f"CodeSystem/{name}"]
    assert system["url"] == url
    shown = {item["code"]: item["display"] for item in system["concept"]}
    if isinstance(expected, dict):
        assert shown == expected
    else:
        assert list(shown) == list(expected)


def test_every_code_system_is_compared(resources: dict[str, Payload]) -> None:
    """A new code system is compared with the code too; only the printed cards have no list in the code."""
    there = {key.split("/")[1] for key in resources if key.startswith("CodeSystem/")}
    assert there - OUR_CODES.keys() == {"card-catalog"}


def _disclosures() -> list[Payload]:
    return [
        disclosure_observation.disclosure_observation(
            labels=labels_for("disclosure-observation"),
            patient_reference="Patient/1",
            performer_reference="Practitioner/1",
            recorded_at=date(2026, 10, 1),
            kind=kind,
        )
        for kind in disclosure_observation.KINDS
    ]


def _pair(coding: Payload) -> tuple[str, str]:
    return coding["system"], coding["code"]


def _of(system: str, *codes: str) -> Pairs:
    return {(system, code) for code in codes}


def _business_statuses() -> Pairs:
    bser = ("5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.2")
    codes = (*referral_task.OUR_BUSINESS_STATUSES, *bser)
    return {_pair(referral_task.business_status_of(code)["coding"][0]) for code in codes}


NEEDS = _of(REFERRAL_NEED, *referral_service_request.NEEDS)
VALUE_SETS: dict[str, Pairs] = {
    "disclosure-kind": {_pair(item["code"]["coding"][0]) for item in _disclosures()},
    "disclosure-category": {_pair(item["category"][1]["coding"][0]) for item in _disclosures()},
    "law-basis": _of(LAW_BASIS, *LAWS),
    "referral-need": NEEDS,
    "referral-order-detail": NEEDS | {referral_service_request.CONTACT_PROHIBITED},
    "referral-task-status": _of("http://hl7.org/fhir/task-status", *referral_task.STATUSES),
    "referral-reason": _of(REFERRAL_REASON, *referral_task.REASONS),
    "referral-business-status": _business_statuses(),
    "referral-identifier-type": _of(terminology.IDENTIFIER_TYPE, "PLAC", "FILL"),
    "release-status": _of("http://hl7.org/fhir/consent-state-codes", *release_consent.STATUSES),
    "release-signer": _of(f"{B}/CodeSystem/release-signer", *release_signer.SIGNERS),
    "release-tier": _of(f"{B}/CodeSystem/release-tier", *release_tier.TIERS),
    "release-label": _of(CONFIDENTIALITY, *LEVELS) | _of(ACT_CODE, *SENSITIVITIES),
    "release-purpose": _of(ACT_REASON, "COC", "TREAT"),
    "safe-contact-meet": _of(f"{B}/CodeSystem/safe-contact-meet", *safe_contact.MEETS),
    "safe-contact-voicemail": _of(f"{B}/CodeSystem/safe-contact-voicemail", *safe_contact.VOICEMAILS),
    "safe-contact-answerer": _of(f"{B}/CodeSystem/safe-contact-answerer", *safe_contact.ANSWERERS),
    "safe-contact-day": _of("http://hl7.org/fhir/days-of-week", *safe_contact.DAYS),
    "visit-status": _of("http://hl7.org/fhir/appointmentstatus", *proposed_appointment.STATUSES),
    "visit-cancel-reason": _of(terminology.CANCELLATION_REASON, *proposed_appointment.CANCEL_REASONS),
    "capacity": _of(GRAVITY_CODES, *partner_service.CAPACITIES),
    "service-category": _of(US_CORE_CATEGORY, "sdoh") | _of(GRAVITY_CODES, *partner_service.KINDS),
    "access-type": {kind.type for kind in access_audit_event.KINDS},
    "access-interaction": {kind.subtype for kind in access_audit_event.KINDS},
    "access-action": _of("http://hl7.org/fhir/audit-event-action", *(kind.action for kind in access_audit_event.KINDS)),
    "access-network": _of("http://hl7.org/fhir/network-type", "2", "5"),
    "access-outcome": _of(
        "http://hl7.org/fhir/audit-event-outcome", access_audit_event.PERMITTED, access_audit_event.DENIED
    ),
    "label-change": _of(ACT_CODE, "LABEL", *label_provenance.CHANGES),
    "label-agent": _of(ROLE_CODE, "CLASSIFIER", "DOWNGRDER", "DECLASSIFIER"),
    "education-outcome": _of(f"{B}/CodeSystem/education-outcome", *OUTCOMES),
    "known-label": {(label.system, label.code) for label in KNOWN},
}


def _codes_of(value_set: Payload) -> Pairs:
    return {
        (part["system"], item["code"]) for part in value_set["compose"]["include"] for item in part.get("concept", [])
    }


@pytest.mark.parametrize("name", VALUE_SETS)
def test_value_sets_hold_what_the_builders_write(name: str, resources: dict[str, Payload]) -> None:
    """What may stand in an element is the same in the guide and in the code."""
    value_set = resources[f"ValueSet/{name}"]
    assert _codes_of(value_set) == VALUE_SETS[name]
    assert value_set["url"] == f"{B}/ValueSet/{name}"


def test_value_sets_list_their_codes(resources: dict[str, Payload]) -> None:
    """Each value set can be expanded without a terminology server."""
    for key, value_set in resources.items():
        if key.startswith("ValueSet/"):
            assert all(part.get("concept") for part in value_set["compose"]["include"]), key


def test_profiles_are_named_as_in_the_code(resources: dict[str, Payload], ig: Path) -> None:
    """One name everywhere: the id, the FSH file, the builder and its file, the test, the address; each profile says
    which parent was meant."""
    for key, definition in resources.items():
        if not key.startswith("StructureDefinition/"):
            continue
        name = key.split("/")[1]
        assert definition["url"] == terminology.profile(name)
        camel = "".join(part.capitalize() for part in name.split("-"))
        assert (ig / "input" / "fsh" / f"{camel}.fsh").is_file(), name
        words = name.replace("-", "_")
        assert (ig.parent / f"{words}.py").is_file(), name
        builder = getattr(importlib.import_module(f"fhir_profiles.{words}"), words)
        kinds = {parameter.kind for parameter in inspect.signature(builder).parameters.values()}
        assert kinds == {inspect.Parameter.KEYWORD_ONLY}, name
        assert (TESTS / f"test_{words}.py").is_file(), name
        if definition["type"] != "Extension":
            assert "**Parent meant:**" in definition["description"], name
            assert "**Labels" in definition["description"], name
        assert definition["snapshot"]["element"]


LABELLED = (
    "disclosure-observation",
    "referral-service-request",
    "referral-task",
    "release-consent",
    "proposed-appointment",
    "referral-patient",
    "access-audit-event",
    "program-measure-report",
)


@pytest.mark.parametrize("name", LABELLED)
def test_each_profile_names_the_labels_that_its_builder_is_given(name: str, resources: dict[str, Payload]) -> None:
    """Who reads the guide knows the exact labels, and they are the ones we write."""
    described = resources[f"StructureDefinition/{name}"]["description"]
    words = described.split("**Labels, exactly:**")[1].split(":")[0]
    codes = {word for word in re.findall(r"[A-Z]+", words) if word not in {"A"}}
    expected = {label.code for label in labels_for(name)}
    assert codes - {"CLINAST"} == expected


def test_what_is_not_served_says_so(resources: dict[str, Payload]) -> None:
    """A draft of a search cannot be taken for something that answers today."""
    drafts = [resource for key, resource in resources.items() if key.startswith("SearchParameter/")]
    assert drafts
    for draft in drafts:
        assert draft["status"] == "draft"
        assert draft["description"].startswith("Draft, not served.")
