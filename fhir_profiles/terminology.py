"""Every canonical URL and code system this project speaks, in one place.

A label or a code with a wrong scheme or a wrong case is missed in silence, so no other file spells a URL.
Where a code comes from is said beside it; ``B`` is ours and a placeholder until the project owns a domain.
"""

from __future__ import annotations

from typing import Any

Payload = dict[str, Any]

# Ours.
B = "https://warm-referral.example/fhir"
DISCLOSURE_KIND = f"{B}/CodeSystem/disclosure-kind"
REFERRAL_REASON = f"{B}/CodeSystem/referral-reason"
REFERRAL_STATUS = f"{B}/CodeSystem/referral-status"
REFERRAL_NEED = f"{B}/CodeSystem/referral-need"
LAW_BASIS = f"{B}/CodeSystem/law-basis"
LAWS = ("VAWA", "FVPSA", "VOCA")  # no HL7 code exists for them; a basis is told beside a label and opens nothing
ID_TASK = f"{B}/id/task"
ID_RELEASE = f"{B}/id/release"
ID_BUNDLE = f"{B}/id/bundle"
ID_PATIENT = f"{B}/id/patient"
ID_PARTNER = f"{B}/id/partner"
ID_OBSERVATION = f"{B}/id/observation"
POLICY_RELEASE_OUT = f"{B}/policy/release-out"
POLICY_PROGRAM = "https://www.ecfr.gov/current/title-28/section-90.4"  # what binds a program's own release (VAWA)
POLICY_LABELS = f"{B}/policy/labels/1"
MEASURE = f"{B}/Measure/program"

# HL7 terminology, https://terminology.hl7.org
THO = "http://terminology.hl7.org/CodeSystem"
CONFIDENTIALITY = f"{THO}/v3-Confidentiality"
ACT_CODE = f"{THO}/v3-ActCode"
ACT_REASON = f"{THO}/v3-ActReason"
OBSERVATION_VALUE = f"{THO}/v3-ObservationValue"
ROLE_CODE = f"{THO}/v3-RoleCode"
PARTICIPATION_TYPE = f"{THO}/v3-ParticipationType"
CONSENT_SCOPE = f"{THO}/consentscope"
CANCELLATION_REASON = f"{THO}/appointment-cancellation-reason"
AUDIT_EVENT_TYPE = f"{THO}/audit-event-type"
AUDIT_ENTITY_TYPE = f"{THO}/audit-entity-type"
OBJECT_ROLE = f"{THO}/object-role"
ROLE_CLASS = f"{THO}/v3-RoleClass"
SECURITY_ROLE = f"{THO}/extra-security-role-type"
PROVENANCE_PARTICIPANT = f"{THO}/provenance-participant-type"
RECORD_LIFECYCLE = f"{THO}/iso-21089-lifecycle"
SERVICE_TYPE = f"{THO}/service-type"
ENDPOINT_CONNECTION_TYPE = f"{THO}/endpoint-connection-type"
ENDPOINT_PAYLOAD_TYPE = f"{THO}/endpoint-payload-type"
IDENTIFIER_TYPE = f"{THO}/v2-0203"
# Deprecated home of the privacy-law codes: accepted on import, never emitted.
ACT_US_PRIVACY_LAW = f"{THO}/v3-ActUSPrivacyLaw"

# FHIR R4, https://hl7.org/fhir/R4
TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"
RESTFUL_INTERACTION = "http://hl7.org/fhir/restful-interaction"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
ABSENT_REASONS = f"{THO}/data-absent-reason"  # the code system; below, the extension that carries its codes
DATA_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
UNITS = "http://unitsofmeasure.org"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"

# Gravity SDOH Clinical Care 3.0.0, https://hl7.org/fhir/us/sdoh-clinicalcare
US_CORE_PATIENT = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
GRAVITY = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition"
GRAVITY_CODES = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
US_CORE_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
CAPACITY_STATUS = f"{GRAVITY}/SDOHCC-ExtensionHealthcareServiceCapacityStatus"

# DS4P 1.0.0, https://hl7.org/fhir/uv/security-label-ds4p
DS4P = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition"
SEC_LABEL_BASIS = f"{DS4P}/extension-sec-label-basis"
SEC_LABEL_CLASSIFIER = f"{DS4P}/extension-sec-label-classifier"
SEC_LABEL_RELATED_ARTIFACT = f"{DS4P}/extension-sec-label-related-artifact"
SEC_DISPLAY = f"{DS4P}/extension-display"
INLINE_SEC_LABEL = f"{DS4P}/extension-inline-sec-label"

# IHE BALP, https://profiles.ihe.net/ITI/BALP
BALP = "https://profiles.ihe.net/ITI/BALP"
AUTHZ_SUBTYPE = f"{BALP}/CodeSystem/AuthZsubType"
USER_AGENT_TYPES = f"{BALP}/CodeSystem/UserAgentTypes"

# BSeR 2.0.0-ballot, https://hl7.org/fhir/us/bser
BSER_BUSINESS_STATUS = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
BSER_SCHEDULED, BSER_UNATTENDED, BSER_EVENT_CANCELLED = "5.1.1", "5.1.2", "5.1.3"
BSER_EVENT_COMPLETED, BSER_CANCELLATION_REQUESTED = "5.1.4", "5.2"


def profile(profile_id: str) -> str:
    """Canonical URL of one of our profiles or extensions, for example "referral-task"."""
    return f"{B}/StructureDefinition/{profile_id}"


SAFE_CONTACT = profile("safe-contact")
RELEASE_SIGNER = profile("release-signer")
RELEASE_TIER = profile("release-tier")
MOU = profile("mou")


def coding(system: str, code: str) -> Payload:
    """A Coding without display: a display is a free text that nobody checks."""
    return {"system": system, "code": code}


def concept(system: str, code: str) -> Payload:
    """A CodeableConcept of one coding."""
    return {"coding": [coding(system, code)]}


def reference(target: str) -> Payload:
    """A Reference without display (official examples put the patient's name there)."""
    return {"reference": target}
