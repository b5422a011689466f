"""The referral bundle: closed, consistent in itself, and quiet about what it refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhir_profiles.referral_bundle import entry_of, release_a_of
from fhir_profiles.shapes import MAX_ISSUES
from fhir_profiles.validation import parse, validate

Payload = dict[str, Any]
Entry = Callable[..., Payload]
CANARY = "CANARY-12-Hidden-Lane"


def where(payload: Payload) -> list[str]:
    """The places of all issues."""
    return [issue.expression for issue in validate(payload, "referral-bundle")]


def test_both_directions_are_valid(inbound: Payload, outbound: Payload) -> None:
    """A referral to us and a referral from us pass, each with its own kind of address."""
    assert validate(inbound, "referral-bundle") == []
    assert validate(outbound, "referral-bundle") == []
    assert validate(parse(json.dumps(inbound).encode()), "referral-bundle") == []


def test_an_inbound_bundle_needs_neither_appointment_nor_release_a(inbound: Payload) -> None:
    """Four items are enough: who, what, the state and the release."""
    inbound["entry"] = inbound["entry"][:4]
    assert validate(inbound, "referral-bundle") == []
    assert release_a_of(inbound) is None


@pytest.mark.rule("R3")
def test_rule_R03_a_bundle_without_any_label_is_valid(inbound: Payload, walk: Callable[..., Any]) -> None:
    """A program that knows no labels can refer; labels are added on our side.

    Fails when ``label_problems`` asks for labels instead of only refusing wrong ones.
    """
    for _, item in walk(inbound):
        item.pop("meta", None)
    assert validate(inbound, "referral-bundle") == []


@pytest.mark.rule("R3")
@pytest.mark.parametrize("position", range(6))
def test_rule_R03_a_weak_or_doubled_level_is_refused_at_every_entry(inbound: Payload, position: int) -> None:
    """A label below ours, or two levels, stops the referral wherever it stands.

    Fails when ``_check_labels`` looks at the Bundle's own labels only.
    """
    system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    resource = inbound["entry"][position]["resource"]
    resource["meta"] = {"security": [{"system": system, "code": "N"}]}
    assert where(inbound) == [f"Bundle.entry[{position}].resource.meta.security"]
    resource["meta"] = {"security": [{"system": system, "code": "V"}, {"system": system, "code": "R"}]}
    assert where(inbound)[0] == f"Bundle.entry[{position}].resource.meta.security"


@pytest.mark.rule("R17")
def test_rule_R17_an_unknown_key_anywhere_is_refused_at_its_parent_and_never_named(
    inbound: Payload, walk: Callable[..., Any]
) -> None:
    """Whatever key a sender adds, at any depth, is refused, and neither the key nor its value comes back.

    Fails when ``Record.check`` names the key in its path.
    """
    ways = [way for way, _ in walk(inbound)]
    assert len(ways) > 100
    for way in ways:
        broken = deepcopy(inbound)
        target: Any = broken
        for step in way:
            target = target[step]
        target[f"{CANARY}-key"] = CANARY
        issues = validate(broken, "referral-bundle")
        assert issues, way
        assert "CANARY" not in repr(issues)


@pytest.mark.rule("R17")
def test_rule_R17_an_extension_that_fhir_allows_anywhere_is_refused_everywhere(
    inbound: Payload, walk: Callable[..., Any]
) -> None:
    """FHIR lets anybody hang words on any element; here that is refused at every element.

    Fails when ``Record.check`` skips the look for keys that are not in its table.
    """
    for way, _ in walk(inbound):
        broken = deepcopy(inbound)
        target: Any = broken
        for step in way:
            target = target[step]
        target["extension"] = [{"url": f"https://{CANARY}.example", "valueString": CANARY}]
        issues = validate(broken, "referral-bundle")
        assert issues, way
        assert "CANARY" not in repr(issues)


@pytest.mark.rule("R17")
@pytest.mark.parametrize(
    ("kind", "addition"),
    [
        ("Patient", {"address": [{"line": [CANARY]}]}),
        ("Patient", {"birthDate": "1990-01-01"}),
        ("Patient", {"telecom": [{"system": "phone", "value": "555-0100"}]}),
        ("Patient", {"contact": [{"name": {"text": CANARY}}]}),
        ("Patient", {"text": {"status": "generated", "div": CANARY}}),
        ("Patient", {"contained": [{"resourceType": "RelatedPerson"}]}),
        ("Patient", {"_gender": {"extension": []}}),
        ("ServiceRequest", {"note": [{"text": CANARY}]}),
        ("ServiceRequest", {"reasonCode": [{"text": CANARY}]}),
        ("ServiceRequest", {"insurance": [{"reference": "Coverage/1"}]}),
        ("ServiceRequest", {"encounter": {"reference": "Encounter/1"}}),
        ("ServiceRequest", {"locationReference": [{"reference": "Location/1"}]}),
        ("Task", {"description": CANARY}),
        ("Task", {"input": []}),
        ("Task", {"location": {"reference": "Location/1"}}),
        ("Consent", {"sourceAttachment": {"title": CANARY}}),
        ("Consent", {"verification": []}),
        ("Appointment", {"comment": CANARY}),
        ("Appointment", {"reasonCode": [{"text": CANARY}]}),
        ("Appointment", {"description": CANARY}),
    ],
)
def test_rule_R17_a_telling_element_is_refused(inbound: Payload, entry: Entry, kind: str, addition: Payload) -> None:
    """Address, birth date, narrative, location, insurance and the like are refused at the resource itself.

    Fails when one of these keys is added to a shape.
    """
    position = [e["resource"]["resourceType"] for e in inbound["entry"]].index(kind)
    entry(inbound, kind).update(addition)
    issues = validate(inbound, "referral-bundle")
    assert [issue.expression for issue in issues] == [f"Bundle.entry[{position}].resource"]
    assert issues[0].severity == "error"
    assert issues[0].code == "structure"
    assert "CANARY" not in repr(issues)


@pytest.mark.rule("R17")
@pytest.mark.parametrize("kind", ["RelatedPerson", "Observation", "Condition", "DocumentReference", CANARY, None, 7])
def test_rule_R17_an_extra_resource_is_refused(inbound: Payload, kind: Any) -> None:
    """Children, a perpetrator or a note cannot ride along as an entry of their own.

    Fails when ``_ByType`` lets a type through that has no shape.
    """
    inbound["entry"] = inbound["entry"][:5]
    extra = {
        "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000009",
        "request": {"method": "POST", "url": "Patient"},
    }
    inbound["entry"].append({**extra, "resource": {"resourceType": kind}})
    issues = validate(inbound, "referral-bundle")
    assert [issue.expression for issue in issues] == ["Bundle.entry[5].resource"]
    assert "CANARY" not in repr(issues)


@pytest.mark.parametrize("kind", ["Patient", "ServiceRequest", "Task"])
def test_a_second_patient_request_or_task_is_refused(inbound: Payload, kind: str) -> None:
    """One referral is about one person and one request."""
    inbound["entry"] = inbound["entry"][:4]
    double = deepcopy(next(e for e in inbound["entry"] if e["resource"]["resourceType"] == kind))
    double["fullUrl"] = "urn:uuid:00000000-0000-4000-8000-000000000009"
    inbound["entry"].append(double)
    assert "Bundle.entry" in where(inbound)


@pytest.mark.rule("R16")
def test_rule_R16_a_referral_without_a_release_is_refused(inbound: Payload) -> None:
    """No release, no referral.

    Fails when ``COUNTS`` allows zero Consents.
    """
    inbound["entry"] = [e for e in inbound["entry"] if e["resource"]["resourceType"] != "Consent"]
    assert "Bundle.entry" in where(inbound)


@pytest.mark.rule("R16")
@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("dateTime",), "Consent.dateTime"),
        (("provision", "period", "end"), "provision.period.end"),
        (("provision", "actor"), "provision.actor"),
        (("provision", "data"), "provision.data"),
        (("provision", "securityLabel"), "provision.securityLabel"),
        (("provision", "purpose"), "provision.purpose"),
        (("extension",), "extension"),
    ],
)
def test_rule_R16_a_release_that_lacks_a_part_is_refused(
    inbound: Payload, entry: Entry, path: tuple[str, ...], place: str
) -> None:
    """Signed date, expiry, recipient, scope and signer: without any one of them nothing is accepted.

    Fails when the key loses its ``!`` in the release's shape.
    """
    target = entry(inbound, "Consent")
    for step in path[:-1]:
        target = target[step]
    del target[path[-1]]
    found = where(inbound)
    assert len(found) == 1
    assert found[0].startswith("Bundle.entry[1].resource")
    assert found[0].endswith(place.split(".")[-1])


@pytest.mark.rule("R16")
def test_rule_R16_a_release_signed_by_anyone_else_is_refused(inbound: Payload, entry: Entry) -> None:
    """The signer is the survivor or a representative who is not the abuser, and nobody else.

    Fails when a third code is added to ``SIGNERS``.
    """
    entry(inbound, "Consent")["extension"][0]["valueCode"] = "spouse"
    assert where(inbound) == ["Bundle.entry[1].resource.extension[0].value"]


@pytest.mark.rule("R16")
def test_rule_R16_the_release_names_the_recipient_of_this_referral(inbound: Payload, entry: Entry) -> None:
    """A release for another organization does not open this referral.

    Fails when ``_check_release`` does not compare the recipient with the Task's owner.
    """
    actor = entry(inbound, "Consent")["provision"]["actor"][0]
    actor["reference"]["reference"] = "Organization/elsewhere"
    assert any(place.endswith("provision.actor[0].reference") for place in where(inbound))


@pytest.mark.rule("R16")
@pytest.mark.parametrize("which", [0, 1])
def test_rule_R16_the_release_names_request_and_task_of_this_bundle(inbound: Payload, entry: Entry, which: int) -> None:
    """A release that leaves out the request or the task, or names something else, does not cover this referral.

    Fails when ``_check_release`` does not ask for both request and task.
    """
    data = entry(inbound, "Consent")["provision"]["data"]
    data[which]["reference"]["reference"] = "Task/somebody-elses"
    assert any("provision.data" in place for place in where(inbound))
    del data[which]
    assert where(inbound) == ["Bundle.entry[1].resource.provision.data"]


@pytest.mark.rule("R16")
def test_rule_R16_a_release_cannot_carry_an_item_from_elsewhere(inbound: Payload, entry: Entry) -> None:
    """A third item that did not come with this referral is not released by it.

    Fails when ``_check_release`` does not look for each item's target in the bundle.
    """
    data = entry(inbound, "Consent")["provision"]["data"]
    data.append({"meaning": "instance", "reference": {"reference": "Task/somebody-elses"}})
    assert where(inbound) == ["Bundle.entry[1].resource.provision.data[2].reference"]


def test_release_a_runs_the_other_way(inbound: Payload, entry: Entry) -> None:
    """The second release is ours to them; a second one in the same direction is refused."""
    back = release_a_of(inbound)
    assert back is not None
    assert back["organization"][0]["reference"] == "Organization/hc1"
    assert entry_of(inbound, "Consent") is entry(inbound, "Consent", 0)
    back.update(
        organization=[{"reference": "Organization/harbor"}],
        provision={**back["provision"], "actor": entry(inbound, "Consent", 0)["provision"]["actor"]},
    )
    assert where(inbound)


def test_the_senders_release_is_found_whichever_stands_first(inbound: Payload) -> None:
    """The order of the two releases does not matter."""
    inbound["entry"] = [inbound["entry"][5], *inbound["entry"][:5]]
    assert validate(inbound, "referral-bundle") == []
    main = entry_of(inbound, "Consent")
    assert main is not None
    assert main["organization"][0]["reference"] == "Organization/harbor"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Task", ("for", "reference")),
        ("Task", ("focus", "reference")),
        ("ServiceRequest", ("subject", "reference")),
        ("ServiceRequest", ("supportingInfo", 0, "reference")),
        ("Consent", ("patient", "reference")),
        ("Appointment", ("basedOn", 0, "reference")),
        ("Appointment", ("participant", 0, "actor", "reference")),
    ],
)
@pytest.mark.parametrize("form", ["urn:uuid:00000000-0000-4000-8000-0000000000ff", "{kind}/other", "wrong entry"])
def test_a_reference_that_leads_elsewhere_is_refused(
    inbound: Payload, entry: Entry, kind: str, path: tuple[Any, ...], form: str
) -> None:
    """Nothing in a referral may point at another person's records."""
    target: Any = entry(inbound, kind)
    for step in path[:-1]:
        target = target[step]
    types = {"for": "Patient", "focus": "ServiceRequest", "subject": "Patient", "supportingInfo": "Consent"}
    chosen = types.get(str(path[0]), "ServiceRequest" if path[0] == "basedOn" else "Patient")
    target[path[-1]] = inbound["entry"][3]["fullUrl"] if form == "wrong entry" else form.format(kind=chosen)
    assert validate(inbound, "referral-bundle")


@pytest.mark.parametrize(
    "full_url",
    [
        "https://clinic.example/fhir/Task/other",
        "https://clinic.example/fhir/Patient/00000000-0000-4000-8000-0000000000a3",
        "https://clinic.example/fhir/Task/00000000-0000-4000-8000-0000000000a3?x=1",
        "ftp://clinic.example/Task/00000000-0000-4000-8000-0000000000a3",
        "Task/00000000-0000-4000-8000-0000000000a3",
        "urn:uuid:NOT-A-UUID",
        "urn:oid:1.2.3",
    ],
)
def test_an_address_that_does_not_fit_its_resource_is_refused(outbound: Payload, full_url: str) -> None:
    """An address form of the bundle carries the type and id of what it addresses."""
    outbound["entry"][3]["fullUrl"] = full_url
    assert where(outbound)[0].endswith("entry[3].fullUrl")


def test_an_address_form_without_the_id_is_refused(outbound: Payload) -> None:
    """Where the address names an id, the resource carries it."""
    del outbound["entry"][3]["resource"]["id"]
    assert where(outbound) == ["Bundle.entry[3].fullUrl"]


def test_the_same_address_twice_is_refused(inbound: Payload) -> None:
    """Two entries never share an address."""
    inbound["entry"][4]["fullUrl"] = inbound["entry"][0]["fullUrl"]
    assert "Bundle.entry" in where(inbound)


@pytest.mark.parametrize(("method", "url"), [("PUT", "Task"), ("DELETE", "Task"), ("POST", "Patient"), ("POST", "x")])
def test_only_a_matching_post_is_allowed(inbound: Payload, method: str, url: str) -> None:
    """A referral creates; it changes and deletes nothing."""
    inbound["entry"][3]["request"] = {"method": method, "url": url}
    assert all(place.startswith("Bundle.entry[3].request") for place in where(inbound))
    assert where(inbound)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("Task", "accepted"),
        ("Task", "received"),
        ("Consent", "inactive"),
        ("ServiceRequest", "revoked"),
        ("Appointment", "booked"),
        ("Task", "banana"),
    ],
)
def test_a_new_referral_begins_at_the_beginning(inbound: Payload, entry: Entry, kind: str, status: str) -> None:
    """Nobody can post a referral that is already accepted, withdrawn or booked."""
    entry(inbound, kind)["status"] = status
    assert any(place.endswith("resource.status") for place in where(inbound))


def test_two_requesters_are_refused(inbound: Payload, entry: Entry) -> None:
    """Request and task come from the same organization."""
    entry(inbound, "ServiceRequest")["requester"]["reference"] = "Organization/other"
    assert "Bundle.entry[2].resource.requester" in where(inbound)


@pytest.mark.parametrize("value", [None, [], {}, "x", 7, True, 1.5])
def test_a_value_of_any_wrong_kind_is_an_issue_and_never_an_error(
    inbound: Payload, walk: Callable[..., Any], value: Any
) -> None:
    """Whatever stands in place of a value, the answer is a list of issues."""
    for way, item in walk(inbound):
        for key in list(item):
            broken = deepcopy(inbound)
            target: Any = broken
            for step in way:
                target = target[step]
            if target[key] == value and type(target[key]) is type(value):
                continue
            target[key] = value
            is_free = value == "x" and key in {"value", "code", "valueString"}
            assert is_free or validate(broken, "referral-bundle"), (*way, key)


@pytest.mark.parametrize("value", [None, [], "text", 7, True])
def test_a_body_that_is_no_resource_is_an_issue(value: Any) -> None:
    """A payload that is not an object is refused, not raised."""
    assert validate(value, "referral-bundle")
    assert validate({}, "referral-bundle")


def test_a_hostile_bundle_gets_a_short_answer(inbound: Payload) -> None:
    """Thousands of mistakes earn no longer answer than fifty."""
    inbound["entry"] = [{"fullUrl": CANARY, "request": 1, "resource": []} for _ in range(6)]
    inbound["meta"] = {"security": [{"x": 1} for _ in range(24)]}
    assert 0 < len(validate(inbound, "referral-bundle")) <= MAX_ISSUES


def test_an_unknown_profile_is_our_mistake() -> None:
    """Asking for a profile that does not exist is loud."""
    with pytest.raises(KeyError):
        validate({}, "no-such-profile")


def test_validating_a_referral_is_fast(inbound: Payload) -> None:
    """A whole inbound bundle is checked in well under five milliseconds of computing time."""
    validate(inbound, "referral-bundle")
    best = min(_seconds(inbound) for _ in range(50))
    assert best < 0.005


def _seconds(payload: Payload) -> float:
    start = time.thread_time()
    validate(payload, "referral-bundle")
    return time.thread_time() - start


def test_dates_of_the_sample_are_what_the_tests_think(inbound: Payload, entry: Entry) -> None:
    """Times are written in UTC with Z, dates as dates."""
    assert entry(inbound, "Task")["restriction"]["period"]["end"] == "2026-10-02T22:00:00Z"
    assert entry(inbound, "Consent")["dateTime"] == date(2026, 10, 1).isoformat()
    assert (
        datetime(2026, 10, 2, 13, tzinfo=UTC)
        .isoformat()
        .startswith(entry(inbound, "Appointment")["requestedPeriod"][0]["start"][:16])
    )
