"""The CapabilityStatement of a base: exactly what ``fhir_server`` does, no more."""

from __future__ import annotations

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


def statement(addresses: Addresses, base: str, *, fhir_version: str = "4.0.1", has_revocation: bool = True) -> Payload:
    """What can be asked of this base."""
    security = _security(addresses, base, has_revocation)
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-01",
        "kind": "instance",
        "software": {"name": "Sandbox EHR", "version": "1"},
        "implementation": {"description": f"Sandbox EHR {base.upper()}, synthetic people", "url": addresses.fhir(base)},
        "fhirVersion": fhir_version,
        "format": ["json"],
        "rest": [{"mode": "server", "security": security, "resource": _resources(base)}],
    }


def _security(addresses: Addresses, base: str, has_revocation: bool) -> Payload:
    service = {"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR"}
    uris = [
        {"url": "authorize", "valueUri": f"{addresses.oauth(base)}/authorize"},
        {"url": "token", "valueUri": addresses.token_endpoint(base)},
    ]
    uris += [{"url": "revoke", "valueUri": f"{addresses.oauth(base)}/revoke"}] if has_revocation else []
    return {"service": [{"coding": [service]}], "extension": [{"url": _OAUTH_URIS, "extension": uris}]}


def _resources(base: str) -> list[Payload]:
    return [_resource(name, is_writable=base in WRITE_BASES and name in WRITABLE_TYPES) for name in TYPES]


def _resource(name: str, *, is_writable: bool) -> Payload:
    interactions = ["read", "vread", "history-instance", "search-type"]
    interactions += ["create", "update", "delete"] if is_writable else []
    operations = {"operation": [{"name": "everything", "definition": EVERYTHING}]} if name == "Patient" else {}
    return {
        "type": name,
        **operations,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": False,
        "searchInclude": [f"{name}:{parameter}" for parameter in INCLUDED_ELEMENTS if parameter in PARAMETERS[name]],
        "searchParam": [
            {"name": parameter, "type": _PARAMETER_TYPES.get(parameter, "token")} for parameter in PARAMETERS[name]
        ],
    }
