"""The partner API as OpenAPI 3.1, made from the same tables as the CapabilityStatement; a test holds it to the routes.

Bodies are FHIR: a schema says which profile holds, and the profile says the rest.
"""

from __future__ import annotations

from typing import Any

from fhir_profiles.capability_statement import INTERACTIONS, OPERATIONS, PROFILES, SEARCHES, TRANSACTION, WORDS
from fhir_profiles.terminology import profile
from smart_app.policy import task_patch
from smart_app.policy.task_search import COUNT, MOST

Schema = dict[str, Any]

FHIR_JSON = "application/fhir+json"
# Interaction -> method, is it about one item, does it take a body, status of success.
_WAYS = {
    "read": ("get", True, None, "200"),
    "create": ("post", False, FHIR_JSON, "201"),
    "update": ("put", True, FHIR_JSON, "200"),
    "patch": ("patch", True, task_patch.MEDIA_TYPE, "200"),
    "search-type": ("get", False, None, "200"),
}
_LETTERS = {"read": "r", "create": "c", "update": "u", "patch": "u", "search-type": "s"}
_WITH_VERSION = frozenset({"update", "patch"})
# Operation -> (path behind the type, methods, does it take a body, what comes back).
_OPERATIONS = {
    "validate": ("/$validate", ("post",), FHIR_JSON, "OperationOutcome"),
    "status": ("/{id}/$status", ("get", "post"), None, "Parameters"),
}
REFERRAL_SCOPES = ("system/Patient.c", "system/Consent.c", "system/ServiceRequest.c", "system/Task.c")
_REFUSALS = {
    "400": "Not listed here, or no JSON.",
    "401": "No token, a dead one, or the agreement is not in force.",
    "403": "The token or the survivor's release does not reach so far. Nothing was stored.",
    "404": "Nothing of yours is here.",
    "409": "The identifier came before with another body.",
    "412": "Another version than you read.",
    "413": "Larger than 1 MB.",
    "415": "Another content type.",
    "422": "The body breaks a rule; each issue has its expression. It was neither kept nor logged.",
    "428": "If-Match is missing.",
    "429": "Too many calls from one network; see Retry-After.",
}
_ALWAYS = ("400", "401", "403", "429")


def openapi(*, public_base_url: str, product_name: str, version: str) -> Schema:
    """The description of ``<public_base_url>``: token endpoint, metadata and everything under ``/fhir``."""
    paths: dict[str, Schema] = {}
    for kind, interactions in INTERACTIONS.items():
        for name in interactions:
            method, is_one, body, success = _WAYS[name]
            made = _interaction(kind, name, body, success)
            paths.setdefault(f"/fhir/{kind}{'/{id}' if is_one else ''}", {})[method] = made
        for name in OPERATIONS.get(kind, {}):
            path, methods, body, answer = _OPERATIONS[name]
            for method in methods:
                paths.setdefault(f"/fhir/{kind}{path}", {})[method] = _operation(kind, name, method, body, answer)
    for path, item in paths.items():
        if "{id}" in path:
            item["parameters"] = [
                _parameter("id", "path", "The id that the API gave.", {"type": "string"}, needed=True)
            ]
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{product_name}: partner API", "version": version, "description": TRANSACTION},
        "servers": [{"url": public_base_url}],
        "security": [{"backendServices": []}],
        "paths": {"/fhir": {"post": _referral()}, **_open_paths(), **dict(sorted(paths.items()))},
        "components": {"schemas": _schemas(), "securitySchemes": {"backendServices": _scheme(public_base_url)}},
    }


def _referral() -> Schema:
    made = _described("referral", "Refer somebody", TRANSACTION, REFERRAL_SCOPES)
    made["requestBody"] = _content("Bundle", FHIR_JSON, needed=True)
    location = {"Location": {"description": "The Task's address.", "schema": {"type": "string", "format": "uri"}}}
    received = {**_content("OperationOutcome", FHIR_JSON), "headers": location}
    made["responses"] = {
        "202": {"description": "Received; the same bytes whether the person is known or not.", **received},
        "200": {"description": "The same body came before: the same Location.", **received},
        **_refusals("409", "413", "415", "422"),
    }
    return made


def _interaction(kind: str, name: str, body: str | None, success: str) -> Schema:
    made = _described(f"{name}{kind}", f"{name} {kind}", WORDS[kind][name], (f"system/{kind}.{_LETTERS[name]}",))
    if name in _WITH_VERSION:
        made["parameters"] = [_parameter("If-Match", "header", "The ETag you read.", {"type": "string"}, needed=True)]
    if name == "search-type":
        made["parameters"] = _search_parameters(kind)
    if body is not None:
        made["requestBody"] = _content("JsonPatch" if name == "patch" else kind, body, needed=True)
    answer = "TaskSearchset" if name == "search-type" else kind
    told = ("412", "428") if name in _WITH_VERSION else ()
    refused = (*(("404",) if name != "search-type" else ()), *told, *(("413", "415", "422") if body else ()))
    refused = (*refused, *(("409",) if name == "create" else ()))
    made["responses"] = {
        success: {"description": WORDS[kind][name], **_content(answer, FHIR_JSON)},
        **_refusals(*refused),
    }
    return made


def _operation(kind: str, name: str, method: str, body: str | None, answer: str) -> Schema:
    scopes = REFERRAL_SCOPES if name == "validate" else (f"system/{kind}.r",)
    made = _described(f"{method}{kind}{name.title()}", f"${name} of {kind}", OPERATIONS[kind][name], scopes)
    if body is not None:
        made["requestBody"] = _content(kind, body, needed=True)
    refused = ("413", "415") if body else ("404",)
    made["responses"] = {"200": {"description": answer, **_content(answer, FHIR_JSON)}, **_refusals(*refused)}
    return made


def _open_paths() -> dict[str, Schema]:
    """What needs no token yet."""
    metadata = _described("metadata", "What is offered here", "The CapabilityStatement.", ())
    metadata["responses"] = {
        "200": {"description": "CapabilityStatement", **_content("CapabilityStatement", FHIR_JSON)}
    }
    smart = _described("smartConfiguration", "Where the token endpoint is", "SMART App Launch 2.2.", ())
    smart["responses"] = {
        "200": {"description": "JSON", "content": {"application/json": {"schema": {"type": "object"}}}}
    }
    token = _described("token", "A token for five minutes", "client_credentials with a signed assertion.", ())
    form = {name: {"type": "string"} for name in ("grant_type", "scope", "client_assertion_type", "client_assertion")}
    schema = {"type": "object", "required": list(form), "properties": form}
    token["requestBody"] = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}
    token["responses"] = {
        "200": {"description": "access_token, expires_in, scope"},
        "400": {"description": "The same bytes for every fault of an assertion."},
        "429": {"description": "Too many attempts; see Retry-After."},
    }
    for one in (metadata, smart, token):
        one["security"] = []
    return {
        "/fhir/metadata": {"get": metadata},
        "/fhir/.well-known/smart-configuration": {"get": smart},
        "/token": {"post": token},
    }


def _search_parameters(kind: str) -> list[Schema]:
    named = [
        _parameter(name, "query", words, {"type": "array", "items": {"type": "string"}, "maxItems": 2})
        if name == "_lastUpdated"
        else _parameter(name, "query", words, {"type": "string"})
        for name, (_, words) in SEARCHES[kind].items()
    ]
    count = {"type": "integer", "minimum": 1, "maximum": 9999, "default": COUNT}
    return [
        *named,
        _parameter("_count", "query", f"Tasks on one page; never more than {MOST}.", count),
        _parameter("_after", "query", "Written by the next link; not to be made up.", {"type": "string"}),
    ]


def _described(operation_id: str, summary: str, words: str, scopes: tuple[str, ...]) -> Schema:
    needs = f" Scopes: {' '.join(scopes)}." if scopes else ""
    return {"operationId": operation_id, "summary": summary, "description": words + needs}


def _parameter(name: str, place: str, words: str, schema: Schema, *, needed: bool = False) -> Schema:
    return {"name": name, "in": place, "required": needed, "description": words, "schema": schema}


def _content(schema: str, media_type: str, *, needed: bool = False) -> Schema:
    made: Schema = {"content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
    return {**made, "required": True} if needed else made


def _refusals(*statuses: str) -> dict[str, Schema]:
    outcome = _content("OperationOutcome", FHIR_JSON)
    return {one: {"description": _REFUSALS[one], **outcome} for one in sorted({*_ALWAYS, *statuses})}


def _schemas() -> dict[str, Schema]:
    held = {kind: _schema(kind, f"Profile {profile(name)}") for kind, name in PROFILES.items()}
    others = {kind: _schema(kind, "FHIR R4") for kind in ("CapabilityStatement", "OperationOutcome", "Parameters")}
    step: Schema = {
        "type": "object",
        "required": ["op", "path"],
        "properties": {"op": {"enum": sorted(task_patch.STEPS)}, "path": {"type": "string"}, "value": {}},
    }
    patch = {"type": "array", "minItems": 1, "maxItems": task_patch.MOST_STEPS, "items": step}
    return {**held, **others, "TaskSearchset": _schema("Bundle", "FHIR R4, type searchset"), "JsonPatch": patch}


def _schema(kind: str, words: str) -> Schema:
    return {
        "type": "object",
        "description": words,
        "required": ["resourceType"],
        "properties": {"resourceType": {"const": kind}},
    }


def _scheme(public_base_url: str) -> Schema:
    words = "SMART Backend Services: private_key_jwt with ES384 or RS384; see .well-known/smart-configuration."
    scopes = {
        f"system/{kind}.{_LETTERS[name]}": words_ for kind, told in WORDS.items() for name, words_ in told.items()
    }
    scopes |= dict.fromkeys(REFERRAL_SCOPES, "A part of a referral.")
    flow = {"tokenUrl": f"{public_base_url}/token", "scopes": dict(sorted(scopes.items()))}
    return {"type": "oauth2", "description": words, "flows": {"clientCredentials": flow}}
