"""The CapabilityStatement of a base: exactly what ``fhir_server`` does, no more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from launch.sandbox.addresses import WRITE_BASES, Addresses
from launch.sandbox.records import TYPES, WRITABLE_TYPES, Payload
from launch.sandbox.search import INCLUDED_ELEMENTS, PARAMETERS

_PARAMETER_TYPES = {
    **dict.fromkeys(("patient", "subject", "encounter", "practitioner", "actor", "requester"), "reference"),
    **dict.fromkeys(("date", "authored", "birthdate", "_lastUpdated"), "date"),
    **dict.fromkeys(("name", "family", "given"), "string"),
}
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
EVERYTHING = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
EXPORT = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"


def statement(addresses: Addresses, base: str, knobs: Mapping[str, Any]) -> Payload:
    """What can be asked of this base, as far as the switches let it say so."""
    security = _security(addresses, base, has_revocation=not knobs["without_revocation"])
    rest: Payload = {"mode": "server", "security": security, "resource": _resources(base, knobs["statement_lacks"])}
    if knobs["offers_export"]:
        rest["operation"] = [{"name": "export", "definition": EXPORT}]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-01",
        "kind": "instance",
        "software": {"name": "Sandbox EHR", "version": knobs["software_version"]},
        "implementation": {"description": f"Sandbox EHR {base.upper()}, synthetic people", "url": addresses.fhir(base)},
        "fhirVersion": knobs["fhir_version"],
        "format": ["json"],
        "rest": [rest],
    }


def _security(addresses: Addresses, base: str, *, has_revocation: bool) -> Payload:
    service = {"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR"}
    uris = [
        {"url": "authorize", "valueUri": f"{addresses.oauth(base)}/authorize"},
        {"url": "token", "valueUri": addresses.token_endpoint(base)},
    ]
    uris += [{"url": "revoke", "valueUri": f"{addresses.oauth(base)}/revoke"}] if has_revocation else []
    return {"service": [{"coding": [service]}], "extension": [{"url": _OAUTH_URIS, "extension": uris}]}


def _resources(base: str, left_out: Collection[str]) -> list[Payload]:
    return [_resource(name, left_out, is_writable=base in WRITE_BASES and name in WRITABLE_TYPES) for name in TYPES]


def _resource(name: str, left_out: Collection[str], *, is_writable: bool) -> Payload:
    interactions = ["read", "vread", "history-instance", "search-type"]
    interactions += ["create", "update", "delete"] if is_writable else []
    operations = {"operation": [{"name": "everything", "definition": EVERYTHING}]} if name == "Patient" else {}
    return {
        "type": name,
        **operations,
        "interaction": [{"code": code} for code in interactions if f"{name}.{code}" not in left_out],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": False,
        "searchInclude": [f"{name}:{parameter}" for parameter in INCLUDED_ELEMENTS if parameter in PARAMETERS[name]],
        "searchParam": [
            {"name": parameter, "type": _PARAMETER_TYPES.get(parameter, "token")}
            for parameter in PARAMETERS[name]
            if f"{name}.{parameter}" not in left_out
        ],
    }
