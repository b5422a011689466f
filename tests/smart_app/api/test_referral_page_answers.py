"""What docs/referral-by-fhir.md says about answers is what the API answers, asked over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_profiles.validation import parse
from smart_app.policy.access import Requester
from smart_app.workflows import referral

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "referral-by-fhir.md").read_text()
HEADERS = {"Authorization": "Bearer harbor", "Content-Type": "application/fhir+json"}
PATCH = {"Content-Type": "application/json-patch+json"}
Payload = dict[str, Any]


def blocks() -> list[str]:
    """The JSON that the page prints."""
    return re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def rows() -> set[tuple[str, str, str]]:
    """Status, issue code and text of every answer that the page lists."""
    part = PAGE.split("### At the FHIR address", 1)[1].split("\n### ", 1)[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| ")]
    return {(row[0], row[1].strip("`"), row[2]) for row in cells}


def test_exactly_the_referral_of_the_page_is_taken(http: FlaskClient, world: Any) -> None:
    """The JSON as it is printed, posted to the real API with its guards, workflows and door: 202, the answer as it is
    printed, and a visit waits for the scheduler."""
    shortest, received = blocks()[:2]
    answer = http.post("/fhir", data=shortest.encode(), headers=HEADERS)
    assert answer.status_code == 202
    assert answer.get_json() == json.loads(received)
    assert world.stored("Appointment") == 1
    task = http.get(answer.headers["Location"].removeprefix("http://127.0.0.1:8000"), headers=HEADERS)
    assert task.get_json()["status"] == "requested"
    assert http.post("/fhir", data=shortest.encode(), headers=HEADERS).status_code == 200


def _changed(how: Callable[[Payload], None]) -> bytes:
    payload = parse(blocks()[0].encode())
    how(payload)
    return json.dumps(payload).encode()


def _set(value: Any, *path: str | int) -> Callable[[Payload], None]:
    def change(payload: Payload) -> None:
        place: Any = payload
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def _resource(number: int, *path: str | int) -> tuple[str | int, ...]:
    return ("entry", number, "resource", *path)


def _both(*changes: Callable[[Payload], None]) -> Callable[[Payload], None]:
    def change(payload: Payload) -> None:
        for one in changes:
            one(payload)

    return change


NORTHSIDE = {"reference": "Organization/northside"}
LATER = {"start": "2027-01-01", "end": "2027-01-30"}
# One change of the page's referral, and the text that the page says will come.
REFUSED: dict[str, tuple[Callable[[Payload], None], str]] = {
    "owner": (
        _both(
            _set(NORTHSIDE, *_resource(3, "owner")),
            _set(NORTHSIDE, *_resource(1, "provision", "actor", 0, "reference")),
        ),
        "The owner is this clinic.",
    ),
    "requester": (
        _both(
            _set(NORTHSIDE, *_resource(3, "requester")),
            _set(NORTHSIDE, *_resource(2, "requester")),
            _set(NORTHSIDE, *_resource(1, "organization", 0)),
        ),
        "The requester is the organization whose system holds the token.",
    ),
    "performer": (
        _set(NORTHSIDE, *_resource(2, "performer", 0)),
        "The performer is this clinic or HealthcareService/nextday.",
    ),
    "not begun": (
        _set(LATER, *_resource(1, "provision", "period")),
        "The release is in force now: its period has begun and has not ended.",
    ),
    "signed ahead": (
        _set("2026-11-26", *_resource(1, "dateTime")),
        "The release is signed at a time that has come.",
    ),
    "a sensitivity that is not released": (
        _set(
            {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ADOL"}]},
            *_resource(3, "meta"),
        ),
        "The release names every sensitivity that a resource of this Bundle is labelled with.",
    ),
    "level": (
        _set("R", *_resource(1, "provision", "securityLabel", 0, "code")),
        "The release opens these items for coordination of care (purpose COC), SDV included.",
    ),
    "gate": (_set([{"text": "Marlowe"}], *_resource(2, "note")), "An element that is not allowed here is present."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_mistake_is_answered_in_the_words_of_the_page(name: str, http: FlaskClient, world: Any) -> None:
    """One thing is changed: 422, the text that the page lists, the place, and nothing is stored."""
    change, text = REFUSED[name]
    answer = http.post("/fhir", data=_changed(change), headers=HEADERS)
    assert answer.status_code == 422
    told = [issue["details"]["text"] for issue in answer.get_json()["issue"]]
    assert any(one.startswith(text) for one in told), told
    assert text in PAGE
    assert all(issue["expression"] for issue in answer.get_json()["issue"])
    assert not any(world.totals().values())


def _asked(http: FlaskClient, method: str, path: str, body: bytes = b"{}", **headers: str) -> tuple[str, str, str]:
    answer = http.open(path, method=method, data=body, headers={**HEADERS, **headers})
    issue = answer.get_json()["issue"][0]
    return str(answer.status_code), issue["code"], issue.get("details", {}).get("text", "")


def _renamed_service(http: FlaskClient) -> tuple[str, str, str]:
    path = "/fhir/HealthcareService/harbor"
    shown = http.get(path, headers=HEADERS)
    body = json.dumps({**shown.get_json(), "name": "Another"}).encode()
    return _asked(http, "PUT", path, body, **{"If-Match": shown.headers["ETag"]})


def _throttled(http: FlaskClient) -> tuple[str, str, str]:
    answers = (_asked(http, "GET", "/fhir/Task?x=1") for _ in range(2000))
    return next(answer for answer in answers if answer[0] == "429")


def test_each_answer_that_can_be_provoked_has_its_row(
    http: FlaskClient, world: Any, clinician: Callable[..., Requester], release_b: Callable[..., Payload]
) -> None:
    """Status, issue code and words of every answer, as the page lists them. Breaks when a row is removed, and when an
    answer changes its words."""
    form = referral.ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Robin", signed="paper")
    task_id = referral.send(world.services, clinician(), form, world.services.now()).task_reference[len("Task/") :]
    path = f"/fhir/Task/{task_id}"
    task = http.get(path, headers=HEADERS)
    body, etag = task.data, task.headers["ETag"]
    shortest = blocks()[0].encode()
    other = _changed(_set("Sam", *_resource(0, "name", 0, "given", 0)))
    release = release_b(task.get_json())
    again = {**release, "provision": {**release["provision"], "period": {"start": "2026-11-24", "end": "2026-12-01"}}}
    seen = {
        _asked(http, "POST", "/fhir", shortest),
        _asked(http, "POST", "/fhir", shortest),
        _asked(http, "POST", "/fhir", other),
        _asked(http, "GET", "/fhir/Task?patient=x"),
        _asked(http, "PATCH", path, b"[]", **{"If-Match": etag, **PATCH}),
        _asked(http, "PATCH", path, b"[]", **{"If-Match": etag}),
        _asked(http, "GET", path, Authorization="Bearer dead"),
        _asked(http, "GET", "/fhir/Task/none"),
        _asked(http, "PUT", path, body, **{"If-Match": etag}),
        _asked(http, "PUT", path, body),
        _asked(http, "POST", "/fhir", b"x" * 1_000_001),
        _asked(http, "POST", "/fhir", b"x" * 3_000_000),
        _asked(http, "POST", "/fhir", shortest, **{"Content-Type": "text/plain"}),
        (str(http.post("/fhir/Consent", data=json.dumps(release), headers=HEADERS).status_code), "", ""),
        _asked(http, "POST", "/fhir/Consent", json.dumps(again).encode()),
        _asked(http, "PUT", path, body, **{"If-Match": 'W/"old"'}),
        _asked(http, "PATCH", path, b'[{"op":"remove","path":"/x"}]', **{"If-Match": etag, **PATCH}),
        _renamed_service(http),
        _throttled(http),
    }
    assert {status for status, _, _ in seen} == {
        *("200", "201", "202", "400", "401", "403", "404", "409", "412", "413", "415", "422", "428", "429")
    }
    assert seen - rows() == set()
