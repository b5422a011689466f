"""The OpenAPI description that programs get says what is served, and is OpenAPI."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from launch.token_endpoint import PARTNER_SCOPES, covers_system
from smart_app.api.openapi import openapi

MADE: dict[str, Any] = openapi(public_base_url="https://clinic.example", product_name="Care Connections", version="1")


def test_it_is_valid_openapi() -> None:
    """A program's tools can read it: OpenAPI's own schema finds nothing. Breaks when a response has no description."""
    assert [error.message for error in OpenAPIV31SpecValidator(MADE).iter_errors()] == []


def test_it_lists_each_route_and_no_other(app: Flask) -> None:
    """Every method of every path that the API answers, and nothing it would refuse. Breaks when a route or an entry is
    removed."""
    served = {
        (re.sub(r"<\w+>", "{id}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint.split(".")[0] in ("partner_fhir", "partner_metadata")
        and not rule.endpoint.endswith("unlisted")
        for method in (rule.methods or set()) - {"HEAD"}
    }
    served |= {("/token", "post"), ("/fhir/.well-known/smart-configuration", "get")}  # of launch, not in this app
    listed = {
        (path, method) for path, item in MADE["paths"].items() for method in item if method not in ("parameters",)
    }
    assert listed == served


def test_each_operation_has_its_own_name_and_its_refusals() -> None:
    """A client generator makes one function for each; each tells 401 and 429."""
    operations = [one for item in MADE["paths"].values() for key, one in item.items() if key != "parameters"]
    names = [one["operationId"] for one in operations]
    assert len(names) == len(set(names))
    for one in operations:
        if one.get("security") != []:
            assert {"400", "401", "403", "429"} <= set(one["responses"])


def test_the_scopes_it_names_can_be_had() -> None:
    """No program is told to ask for a scope that the token endpoint would refuse."""
    scopes = MADE["components"]["securitySchemes"]["backendServices"]["flows"]["clientCredentials"]["scopes"]
    assert scopes
    assert [scope for scope in scopes if not covers_system(PARTNER_SCOPES, scope)] == []
