"""The invariants of our own profiles: which are checked here, and which by the rules beside the builders.

A rule beside a builder tells the exact place, knows a closed shape and is what the doors have always run; an invariant
in a profile tells the same to a partner's validator, at the resource as a whole. ``BY_RULES`` says where each is kept,
and a test asks both about every example.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_profiles.validation.invariants import Invariant, is_certainly_before

Node = Mapping[str, Any]
_SMALL = 10  # a count from 1 to 10 could point at a person
_MONTH_DAYS = 27


def _count_is_safe(node: Node, _: Node, __: Node) -> bool:
    if "count" not in node and "_count" not in node:
        return "extension" in node
    count = node.get("count")
    return isinstance(count, int) and (count == 0 or count > _SMALL) and "extension" not in node


def _is_a_month(node: Node, _: Node, __: Node) -> bool:
    period = node.get("period")
    start, end = (period.get("start"), period.get("end")) if isinstance(period, dict) else (None, None)
    return not is_certainly_before(end, start, _MONTH_DAYS)


OURS: dict[str, Invariant] = {"wmr-1": _count_is_safe, "wmr-2": _is_a_month}

BY_RULES: dict[str, str] = {
    "wae-1": "access_audit_event.rules",
    "wae-2": "access_audit_event.rules",
    "wae-3": "access_audit_event.rules",
    "wae-4": "access_audit_event.rules",
    "wae-5": "access_audit_event.rules",
    "wae-6": "access_audit_event.rules",
    "wae-7": "access_audit_event.rules",
    "wap-1": "proposed_appointment.rules",
    "wap-2": "proposed_appointment.rules",
    "wco-1": "release_consent.rules",
    "wco-2": "release_consent.rules",
    "wco-3": "release_consent.rules",
    "wco-4": "release_consent.rules",
    "wco-5": "release_consent.rules",
    "wco-6": "release_consent.rules",
    "wdo-1": "disclosure_observation.rules",
    "wlp-1": "label_provenance.rules",
    "wlp-2": "label_provenance.rules",
    "wlp-3": "label_provenance.rules",
    "wlp-4": "label_provenance.rules",
    "wlp-5": "label_provenance.rules",
    "wmo-1": "mou.RECORD",
    "wmr-3": "program_measure_report.rules",
    "wpe-1": "partner_endpoint.SHAPE",
    "wpm-1": "partnership_mou.rules",
    "wps-1": "partner_service.rules",
    "wrb-1": "referral_bundle.rules",
    "wrb-2": "referral_bundle.rules",
    "wrb-3": "referral_bundle.rules",
    "wrb-4": "referral_bundle.rules",
    "wrb-5": "referral_bundle.rules",
    "wrb-6": "referral_bundle.rules",
    "wrb-7": "referral_bundle.rules",
    "wrb-8": "referral_bundle.rules",
    "wrb-9": "referral_bundle.rules",
    "wrb-10": "referral_bundle.rules",
    "wrl-1": "security_labels.label_problems",
    "wrl-2": "security_labels.label_problems",
    "wrl-3": "security_labels.label_problems",
    "wrl-4": "security_labels.label_problems",
    "wrp-1": "safe_contact.RECORD",
    "wrx-1": "shapes.DATE_TIME",
    "wsc-1": "safe_contact.rules",
    "wsc-2": "safe_contact.rules",
    "wsc-3": "safe_contact.rules",
    "wsc-4": "safe_contact.rules",
    "wsr-1": "referral_service_request.rules",
    "wsr-2": "referral_service_request.rules",
    "wta-1": "referral_task.rules",
    "wta-2": "referral_task.rules",
}
