"""Every body that the partner API answers passes the gate of its profile; one that would not is never sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from fhir_profiles import validation
from fhir_profiles.validation.examine import examine
from smart_app.gateways.tables import alert
from smart_app.policy import leaving, status_back
from smart_app.policy.access import Requester
from smart_app.workflows import inbound, referral, scheduling

HEADERS = {"Authorization": "Bearer harbor", "Content-Type": "application/fhir+json"}
Payload = dict[str, Any]
Post = Callable[..., Any]


def errors(body: bytes) -> list[str]:
    """What the gate finds wrong in an answer, asked apart from the code under test: our profile where it is claimed or
    where the type has one, else R4."""
    payload = validation.parse(body)
    kind = str(payload["resourceType"])
    profile = validation.profile_of(kind)
    if profile is None or (kind == "ServiceRequest" and "extension" not in payload):
        assert "profile" not in payload.get("meta", {})
        return [issue.expression for issue in examine(payload) if issue.severity == "error"]
    return [issue.expression for issue in validation.validate(payload, profile)]


@pytest.fixture
def our_task(world: Any, clinician: Callable[..., Requester]) -> str:
    """Path of the Task of a referral that we sent to Harbor."""
    form = referral.ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Robin", signed="paper")
    return f"/fhir/{referral.send(world.services, clinician(), form, world.services.now()).task_reference}"


def alerts(world: Any) -> list[str]:
    with world.engine.begin() as connection:
        return [row.kind for row in connection.execute(select(alert))]


@pytest.mark.parametrize("tier", [None, "none", "contact", "appointment", "outcome"])
def test_what_a_program_reads_of_its_own_request_is_in_order(
    tier: str | None, http: FlaskClient, world: Any, post: Post, scheduler: Requester
) -> None:
    """Before, while and after a visit is booked, under every release: Task, ServiceRequest and visit, each valid."""
    sent = http.post("/fhir", data=post(release_a=tier).body, headers=HEADERS)
    path = sent.headers["Location"].removeprefix(world.services.public_base_url)
    now: datetime = world.services.now()
    bodies = [sent.data, http.get(path, headers=HEADERS).data]
    (item,) = scheduling.queue(world.door, scheduler, now)
    start = now + timedelta(days=1)
    times = (start, start + timedelta(minutes=30))
    scheduling.book(
        world.door, world.ehr, scheduler, item.appointment_reference, *times, None, world.services.placement, now
    )
    task = http.get(path, headers=HEADERS)
    bodies += [task.data, http.get(f"/fhir/{item.appointment_reference}", headers=HEADERS).data]
    bodies.append(http.get(f"/fhir/{task.get_json()['focus']['reference']}", headers=HEADERS).data)
    cancelled = json.dumps({**task.get_json(), "status": "cancelled"})
    put = http.put(path, data=cancelled, headers={**HEADERS, "If-Match": task.headers["ETag"]})
    bodies += [put.data, http.get(path, headers=HEADERS).data]
    assert put.status_code == 200
    assert [errors(body) for body in bodies] == [[]] * len(bodies)


def test_what_a_program_reads_of_our_request_is_in_order(
    http: FlaskClient, world: Any, our_task: str, release_b: Callable[..., Payload]
) -> None:
    """From the first read to the end, the release and every update that is taken: each answer is valid."""
    task = http.get(our_task, headers=HEADERS)
    consent = http.post("/fhir/Consent", data=json.dumps(release_b(task.get_json(), "outcome")), headers=HEADERS)
    bodies = [task.data, consent.data]
    bodies.append(http.get(f"/fhir/{task.get_json()['focus']['reference']}", headers=HEADERS).data)
    for status in ("accepted", "in-progress", "on-hold", "in-progress", "completed"):
        now = http.get(our_task, headers=HEADERS)
        body = json.dumps({**now.get_json(), "status": status})
        answer = http.put(our_task, data=body, headers={**HEADERS, "If-Match": now.headers["ETag"]})
        assert answer.status_code == 200
        bodies.append(answer.data)
    assert [errors(body) for body in bodies] == [[]] * len(bodies)


def test_a_request_whose_safe_contact_ended_claims_no_profile(
    http: FlaskClient, world: Any, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left when the number is hidden is a plain ServiceRequest of R4, and says nothing else (R14)."""
    sent = http.post("/fhir", data=post().body, headers=HEADERS)
    path = sent.headers["Location"].removeprefix(world.services.public_base_url)
    focus = http.get(path, headers=HEADERS).get_json()["focus"]["reference"]
    monkeypatch.setattr(inbound, "has_ended", lambda *_: True)
    answer = http.get(f"/fhir/{focus}", headers=HEADERS)
    assert answer.status_code == 200
    assert "extension" not in answer.get_json()
    assert errors(answer.data) == []


def test_every_refusal_and_the_metadata_are_r4(http: FlaskClient, our_task: str, post: Post) -> None:
    """The OperationOutcome of each refusal, and the CapabilityStatement, can be read by whoever reads R4."""
    wrong = post()
    wrong.entry("Task")["note"] = [{"text": "Marlowe"}]
    del wrong.bundle["identifier"]
    answers = [
        http.get("/fhir/metadata"),
        http.get(our_task),
        http.get("/fhir/Task/none", headers=HEADERS),
        http.get("/fhir/Task?x=1", headers=HEADERS),
        http.put(our_task, data=b"{}", headers=HEADERS),
        http.post("/fhir", data=wrong.body, headers=HEADERS),
        http.post("/fhir", data=b"{", headers=HEADERS),
        http.post("/fhir", data=b"x" * 2_000_000, headers=HEADERS),
        http.post("/fhir/Consent", data=b'{"resourceType":"Consent"}', headers=HEADERS),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 400, 428, 422, 400, 413, 422]
    assert [errors(answer.data) for answer in answers] == [[]] * len(answers)


def test_an_answer_that_is_not_in_order_is_not_sent(
    http: FlaskClient, world: Any, our_task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours that would put an item into an answer ends in a plain 500 and an alert: nothing of it leaves.
    Breaks when a view answers without ``_resource``."""

    def with_more(task: Payload) -> Payload:
        return {**shown(task), "description": "Quillfeather"}

    shown = status_back.our_request_as_program_sees_it
    monkeypatch.setattr(status_back, "our_request_as_program_sees_it", with_more)
    answer = http.get(our_task, headers=HEADERS)
    assert (answer.status_code, answer.get_json()["issue"]) == (500, [{"severity": "error", "code": "exception"}])
    assert b"Quillfeather" not in answer.data
    assert "ETag" not in answer.headers
    assert alerts(world) == [leaving.ALERT]
