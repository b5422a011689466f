"""The guide says what is so: what the API answers, what is asked of an EHR, and words that lead somewhere."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from fhir_profiles import referral_task
from launch import scopes
from smart_app.gateways import ehr
from smart_app.policy import leaving, task_search

ROOT = Path(__file__).resolve().parents[2]
IG = ROOT / "fhir_profiles" / "ig"
PAGES = sorted((IG / "input" / "pagecontent").glob("*.md"))
Payload = dict[str, Any]
LOOKED_UP = ("CareTeam", "PractitionerRole")  # only where configuration asks, see ``EhrSettings.read_types``


def resources() -> dict[str, Payload]:
    """Every committed resource of the guide, "ValueSet/<id>" -> resource."""
    made = [json.loads(path.read_text()) for path in (IG / "fsh-generated" / "resources").glob("*.json")]
    return {f"{one['resourceType']}/{one['id']}": one for one in made}


# What an instance says of itself and its requirements do not, and the other way round.
OF_AN_INSTANCE = {"kind", "status", "date", "software", "implementation", "instantiates"}
OF_REQUIREMENTS = {
    "kind",
    "status",
    "date",
    "id",
    "url",
    "name",
    "title",
    "experimental",
    "version",
    "publisher",
    "contact",
}


def test_the_guide_promises_what_the_server_answers(app: Flask) -> None:
    """A program's engineer who read the guide and one who asked ``GET /fhir/metadata`` know the same, word for word.
    Breaks when an interaction, an operation or a word changes in one of the two."""
    answer = app.test_client().get("/fhir/metadata")
    assert answer.status_code == 200
    served, promised = answer.get_json(), resources()["CapabilityStatement/partner-server"]
    assert served["instantiates"] == [promised["url"]]
    kept = [
        {key: value for key, value in statement.items() if key not in apart}
        for statement, apart in ((served, OF_AN_INSTANCE), (promised, OF_REQUIREMENTS))
    ]
    assert kept[0] == kept[1]


def test_what_the_guide_defines_is_what_is_served(app: Flask) -> None:
    """An operation of the guide answers, and one that it does not define is refused; the one search that is promised is
    of a program's own Tasks, by the parameters that are taken."""
    rest = resources()["CapabilityStatement/partner-server"]["rest"][0]
    listed = {one["definition"] for item in rest["resource"] for one in item.get("operation", [])}
    defined = {one["url"] for key, one in resources().items() if key.startswith("OperationDefinition/")}
    assert listed == defined
    searches = {
        item["type"]: [one["name"] for one in item["searchParam"]] for item in rest["resource"] if "searchParam" in item
    }
    assert searches == {"Task": ["_lastUpdated", "status"]}
    assert set(searches["Task"]) == {name for name in task_search.PARAMETERS if name not in ("_count", "_after")}
    routes = {rule.rule for rule in app.url_map.iter_rules() if "$" in rule.rule}
    assert routes == {"/fhir/Bundle/$validate", "/fhir/Task/<task_id>/$status"}


def _asked() -> dict[str, dict[str, str]]:
    """Type -> interaction -> SHALL or MAY."""
    statement = resources()["CapabilityStatement/ehr-requirements"]
    return {
        item["type"]: {one["code"]: one["extension"][0]["valueCode"] for one in item["interaction"]}
        for item in statement["rest"][0]["resource"]
    }


def test_the_guide_asks_of_an_ehr_what_the_scopes_ask() -> None:
    """IT can grant what the guide lists and nothing is missing: every type of every scope, and no other; the scopes
    stand there as they are asked."""
    writes = ("Appointment", "Observation", "ServiceRequest")
    everything = scopes.requested(writes, read_types=LOOKED_UP)
    wanted = [found for found in map(scopes.parse, everything.split()) if found is not None]
    assert _asked().keys() == {scope.resource_type for scope in wanted}
    for scope in wanted:
        letters = {code[0] for code in _asked()[scope.resource_type]}
        assert letters <= scope.interactions, scope.resource_type
    described = re.split(r"[\s.,;]+(?![a-z])|\s+", resources()["CapabilityStatement/ehr-requirements"]["description"])
    assert {word for word in everything.split() if word not in {part.rstrip(".,;") for part in described}} == set()


def test_the_guide_asks_of_an_ehr_what_the_gateway_does() -> None:
    """What the app does at an EHR is what the guide tells IT: it must let the launch be read, it may let the three
    copies be written, read back, taken back, and people be looked up where configuration says so. Breaks when the
    gateway calls something more."""
    tree = ast.parse(Path(ehr.__file__).read_text())
    calls = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "connection"
    }
    asked = _asked()
    assert calls - {"own_reference"} == {"read", "search", "create", "delete", "update"}
    assert {kind for kind, ways in asked.items() if "search-type" in ways} == set(LOOKED_UP)
    assert all(set(asked[kind].values()) == {"MAY"} for kind in LOOKED_UP)
    assert {kind for kind, ways in asked.items() if "SHALL" in ways.values()} == {"Patient", "Encounter"}
    copies = {kind for kind, ways in asked.items() if "create" in ways}
    assert copies == set(leaving.EHR_COPIES) == {*ehr.COPIED, "Appointment"}
    assert all(set(asked[kind].values()) == {"MAY"} for kind in copies)
    assert all(set(asked[kind]) == {"read", "create", "delete", "update"} for kind in copies)
    profiles = {
        item["type"]: item.get("supportedProfile", [""])[0].rpartition("/")[2] or item["type"]
        for item in resources()["CapabilityStatement/ehr-requirements"]["rest"][0]["resource"]
        if item["type"] in copies
    }
    assert profiles == dict(leaving.EHR_COPIES)


def test_each_profile_says_which_parent_was_meant_and_why_it_is_base_r4() -> None:
    """Another team can see what to compare with, and why it is no derivation by machine."""
    for key, one in resources().items():
        if key.startswith("StructureDefinition/"):
            described = one["description"]
            assert one["baseDefinition"].startswith("http://hl7.org/fhir/StructureDefinition/"), key
            if one["type"] == "Extension":
                assert re.search(r"No (extension|published profile)|no parent", described), key
                continue
            meant = described.split("**Parent meant:**", 1)[1].split("**Labels", 1)[0]
            assert re.search(r"[Bb]ase R4", meant), key
            if not re.match(r"\s*(none|Appointment of base R4)", meant):
                assert re.search(r"(cannot|neither package can)\s+be\s+loaded\s+offline", meant), key


def test_there_is_a_page_for_each_reader() -> None:
    """A clinician, a program's engineer, IT and a privacy officer each find their own, from the front page and menu."""
    readers = {"clinician", "partner-engineer", "health-center-it", "privacy-officer"}
    assert {path.stem for path in PAGES} == readers | {"index"}
    front, config = (IG / "input" / "pagecontent" / "index.md").read_text(), (IG / "sushi-config.yaml").read_text()
    for reader in readers:
        assert f"({reader}.html)" in front
        assert f"{reader}.md:" in config
        assert f": {reader}.html" in config


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_a_page_names_exists(path: Path) -> None:
    """Profiles, code systems, invariants, rows and links that a page names are in the guide."""
    text = path.read_text()
    known = resources()
    ids = {one["id"] for one in known.values()}
    keys = {
        constraint["key"]
        for one in known.values()
        for element in one.get("snapshot", {}).get("element", [])
        for constraint in element.get("constraint", [])
    }
    assert set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", text)) - ids == set()
    assert set(re.findall(r"\bw[a-z]{2}-\d+\b", text)) - keys == set()
    for link in re.findall(r"\]\(([^)]+)\.html\)", text):
        assert link in {page.stem for page in PAGES} or link.replace("-", "/", 1) in known, link


def test_the_refusals_that_the_page_names_are_the_coded_ones() -> None:
    """ "unable" and "closed" are codes that the software reads and writes."""
    text = (IG / "input" / "pagecontent" / "partner-engineer.md").read_text()
    assert {"unable", "closed"} <= set(referral_task.REASONS)
    assert "`unable`" in text
    assert "`closed`" in text
