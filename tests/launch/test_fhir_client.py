"""FHIR at the launched EHR: where the token goes, what is understood, and what happens when it runs out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from flask import Response, jsonify, redirect

from launch.errors import EhrError, EhrOutcomeUnknownError
from launch.fhir_client import FhirConnection
from launch.pinned_session import PinnedSession, require_inside
from launch.transport import AddressRules

BASE = "https://ehr.example/fhir"
NEW = {"resourceType": "Observation", "status": "final"}


def answering(status: int, payload: Any = None, **headers: str) -> Callable[[Any], Response]:
    body = "" if payload is None else payload if isinstance(payload, str) else json.dumps(payload)
    return lambda _: Response(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def fhir_requests(ehr: Any) -> list[Any]:
    return [one for one in ehr.received if one.path.startswith("/fhir/") and "well-known" not in one.path]


# --- where the token goes --------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@93")
@pytest.mark.rule("attack 9")
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/fhir/Patient/1",
        "https://ehr.example/other/Patient/1",
        "https://ehr.example/fhir2/Patient/1",
        "https://ehr.example/fhir/../other",
        "https://ehr.example/fhir/%2e%2e/other",
        "https://ehr.example/fhir/%252e%252e/other",
        "https://ehr.example/fhir/..%2fother",
        "https://ehr.example/fhir/..\\other",
        "https://ehr.example.evil.example/fhir/Patient/1",
        "https://ehr.example@evil.example/fhir/Patient/1",
        "https://evil.example/?https://ehr.example/fhir/Patient/1",
        "http://ehr.example/fhir/Patient/1",
        "https://ehr.example:444/fhir/Patient/1",
        "//evil.example/fhir/Patient/1",
    ],
)
def test_token_leaves_for_the_fhir_base_only(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever address is asked for, the token does not go anywhere but to the EHR it came from.

    Breaks when ``send`` does not call ``require_inside``.
    """
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", lambda *_, **__: pytest.fail("something was sent"))
    session = PinnedSession(BASE, lambda: pytest.fail("the token was asked for"))
    with pytest.raises((PermissionError, requests.RequestException)):
        session.get(url)


@pytest.mark.parametrize("url", [BASE, BASE + "/Patient/1", BASE + "/Patient?name=..%2f", BASE + "/Patient?x=a/../b"])
def test_addresses_inside_the_base_pass(url: str) -> None:
    """What belongs to the EHR is let through, dots in a search value too."""
    require_inside(url, BASE + "/")


@pytest.mark.requirement("smart@97")
@pytest.mark.rule("attack 9")
def test_page_link_elsewhere_is_not_followed(connection: FhirConnection, ehr: Any, other_ehr: Any) -> None:
    """A search answer that points to another server ends there; that server hears nothing.

    Breaks when ``_next_page`` and ``send`` both let it through.
    """
    link = [{"relation": "next", "url": other_ehr.fhir_base + "/Patient?page=2"}]
    ehr.fhir_answer = answering(200, {"resourceType": "Bundle", "link": link})
    with pytest.raises(EhrError) as failure:
        connection.search("Patient", {"_id": "p1"})
    assert failure.value.reason == "foreign-link"
    assert other_ehr.received == []


@pytest.mark.requirement("smart@98")
def test_redirect_is_not_followed(connection: FhirConnection, ehr: Any, other_ehr: Any) -> None:
    """A redirect carries the token nowhere; after a write nobody knows what it did.

    Breaks when ``PinnedSession.send`` takes a 3xx for an answer.
    """
    ehr.fhir_answer = lambda _: redirect(other_ehr.fhir_base + "/Patient/p1")
    with pytest.raises(EhrError) as refusal:
        connection.read("Patient/p1")
    assert refusal.value.reason == "redirect"
    with pytest.raises(EhrOutcomeUnknownError):
        connection.create(NEW)
    assert other_ehr.received == []


@pytest.mark.parametrize(
    "reference",
    [
        "Patient",
        "Patient/",
        "Patient/..",
        "/Patient/p1",
        "Patient/p1/x",
        "Patient/p1?x",
        "https://x/Patient/p1",
        "patient/p1",
    ],
)
def test_only_plain_references_are_read(connection: FhirConnection, ehr: Any, reference: str) -> None:
    """What is no "Type/id" is refused here, before anything is sent."""
    with pytest.raises(EhrError):
        connection.read(reference)
    with pytest.raises(EhrError):
        connection.delete(reference)
    assert fhir_requests(ehr) == []


def test_token_goes_in_the_header_and_nothing_else_goes_along(connection: FhirConnection, ehr: Any) -> None:
    """The EHR gets the token in the header it belongs in; no cookie of ours or of an earlier answer goes with it."""
    patient = ehr.resources["Patient/p1"]
    ehr.fhir_answer = lambda _: Response(json.dumps(patient), 200, {"Set-Cookie": "track=1"})
    connection.read("Patient/p1")
    connection.read("Patient/p1")
    sent = fhir_requests(ehr)[-1]
    assert sent.headers["Authorization"].removeprefix("Bearer ") in ehr.access_tokens
    assert "Cookie" not in sent.headers


# --- reading ---------------------------------------------------------------------------------------------------------


def test_read_gives_the_resource_as_sent(connection: FhirConnection, ehr: Any) -> None:
    """Nothing the EHR sent is lost, extensions on plain values and elements we do not know included."""
    ehr.resources["Patient/p1"] = {**ehr.resources["Patient/p1"], "_birthDate": {"extension": []}, "future": {"a": 1}}
    assert connection.read("Patient/p1") == ehr.resources["Patient/p1"]


def test_another_resource_than_asked_is_not_found(connection: FhirConnection, ehr: Any) -> None:
    """An EHR that answers with another patient (a merged record, say) shows nobody's chart."""
    ehr.fhir_answer = answering(200, {"resourceType": "Patient", "id": "p2"})
    with pytest.raises(EhrError) as failure:
        connection.read("Patient/p1")
    assert failure.value.status == 404


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 500, 503])
def test_status_is_told_and_nothing_else(connection: FhirConnection, ehr: Any, status: int) -> None:
    """A refusal of the EHR carries its status, and none of its words."""
    ehr.fhir_answer = answering(status, {"resourceType": "OperationOutcome", "text": "canary"})
    with pytest.raises(EhrError) as failure:
        connection.read("Patient/p1")
    assert failure.value.status == status
    assert failure.value.__cause__ is None
    assert "canary" not in str(failure.value)


@pytest.mark.parametrize("body", ["not json", "[]", "[" * 100_000, '{"a":' + "x" * 6_000_000])
def test_unusable_answer_is_one_error(connection: FhirConnection, ehr: Any, body: str) -> None:
    """Broken, nested or endless answers are an EHR error and no crash of ours."""
    ehr.fhir_answer = answering(200, body)
    with pytest.raises(EhrError):
        connection.read("Patient/p1")


def test_search_follows_pages_and_drops_repeats(connection: FhirConnection, ehr: Any) -> None:
    """All pages are read; what an EHR repeats comes once, its remarks and bad entries not at all."""
    pages = {
        "1": ([{"resourceType": "Encounter", "id": "1"}, {"resourceType": "OperationOutcome", "id": "x"}], "?page=2"),
        "2": ([{"resourceType": "Encounter", "id": "1"}, {"resourceType": "Encounter", "id": "2"}], "Encounter?page=3"),
        "3": ([{"resourceType": "Encounter", "id": "3"}, {"resourceType": "Encounter"}, "garbage"], None),
    }

    def answer(asked: Any) -> Response:
        found, following = pages[asked.query.get("page", ["1"])[0]]
        url = ehr.fhir_base + "/Encounter?page=2" if following == "?page=2" else following
        link = [{"relation": "next", "url": url}] if url else []
        entry = [{"resource": one} for one in found] + ["garbage"]
        return jsonify({"resourceType": "Bundle", "entry": entry, "link": link})

    ehr.fhir_answer = answer
    found = connection.search("Encounter", {"patient": "p1", "status": ["in-progress", "planned"]})
    assert [one["id"] for one in found] == ["1", "2", "3"]
    assert fhir_requests(ehr)[0].form == {"patient": ["p1"], "status": ["in-progress", "planned"]}


def test_endless_pages_end(connection: FhirConnection, ehr: Any) -> None:
    """An EHR whose pages never end is not asked for ever."""
    link = [{"relation": "next", "url": "Encounter?again"}]
    ehr.fhir_answer = answering(200, {"resourceType": "Bundle", "link": link})
    with pytest.raises(EhrError):
        connection.search("Encounter")
    assert len(fhir_requests(ehr)) == 20


# --- writing ---------------------------------------------------------------------------------------------------------


def test_create_asks_for_what_was_stored(connection: FhirConnection, ehr: Any) -> None:
    """After a create we have what the EHR says it stored, to compare it."""
    ehr.fhir_answer = answering(201, {**NEW, "id": "o1", "meta": {"versionId": "1"}})
    created = connection.create(NEW)
    assert created.reference == "Observation/o1"
    assert created.payload is not None
    assert created.payload["meta"] == {"versionId": "1"}
    sent = fhir_requests(ehr)[-1]
    assert (sent.method, sent.headers["Prefer"]) == ("POST", "return=representation")
    assert json.loads(sent.body) == NEW


@pytest.mark.parametrize(
    "location",
    [
        "Observation/o1",
        "/fhir/Observation/o1",
        "Observation/o1/_history/1",
        "https://evil.example/fhir/Observation/o1/_history/1",
    ],
)
def test_empty_201_gives_the_id_from_location(connection: FhirConnection, ehr: Any, location: str) -> None:
    """An EHR that answers a create with an empty page still tells the id; the address itself is never followed."""
    ehr.fhir_answer = answering(201, None, Location=location)
    created = connection.create(NEW)
    assert (created.reference, created.payload) == ("Observation/o1", None)
    assert len(fhir_requests(ehr)) == 1


@pytest.mark.rule("R7")
@pytest.mark.parametrize(
    "answer",
    [
        answering(201),
        answering(201, None, Location="elsewhere"),
        answering(201, None, Location="Patient/p1"),
        answering(202, {**NEW, "id": "o1"}),
        answering(500),
        answering(502),
        answering(504),
    ],
)
def test_rule_R7_create_of_unknown_outcome_is_said_and_not_repeated(
    connection: FhirConnection, ehr: Any, answer: Any
) -> None:
    """When nobody can say whether the item now exists, we say that, and do not send it again.

    Breaks when ``_translated`` maps a 5xx of a create to ``EhrError``.
    """
    ehr.fhir_answer = answer
    with pytest.raises(EhrOutcomeUnknownError):
        connection.create(NEW)
    assert len(fhir_requests(ehr)) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 422, 429, 501, 503])
def test_refused_create_is_known_not_to_exist(connection: FhirConnection, ehr: Any, status: int) -> None:
    """A clear no is told as a no, so that nobody looks for an item that is not there."""
    ehr.fhir_answer = answering(status)
    with pytest.raises(EhrError) as failure:
        connection.create(NEW)
    assert not isinstance(failure.value, EhrOutcomeUnknownError)
    assert failure.value.status == status


def test_create_without_answer_is_of_unknown_outcome(connection: FhirConnection, ehr: Any) -> None:
    """A connection that breaks after the item was sent leaves the question open."""

    def broken(_: Any) -> Response:
        return Response("{}", 201, {"Content-Length": "5000"})

    ehr.fhir_answer = broken
    with pytest.raises(EhrOutcomeUnknownError):
        connection.create(NEW)


def test_nobody_listening_means_nothing_was_created(launch_app: Any, ehr: Any, connection: FhirConnection) -> None:
    """If no connection came about, the item certainly does not exist."""
    connection._session.close()
    connection._session.get_adapter = lambda url: _Nobody()  # type: ignore[method-assign]
    with pytest.raises(EhrError) as failure:
        connection.create(NEW)
    assert not isinstance(failure.value, EhrOutcomeUnknownError)


class _Nobody(requests.adapters.HTTPAdapter):
    def send(self, *_: Any, **__: Any) -> Any:
        raise requests.ConnectTimeout


def test_update_names_the_version_it_was_made_from(connection: FhirConnection, ehr: Any) -> None:
    """A change made from an older version is refused by the EHR, and the next one is not bound to that version."""
    ehr.fhir_answer = answering(409)
    with pytest.raises(EhrError) as failure:
        connection.update({**NEW, "id": "o1"}, if_match="3")
    assert failure.value.status == 409
    assert fhir_requests(ehr)[-1].headers["If-Match"] == 'W/"3"'
    ehr.fhir_answer = answering(200, {**NEW, "id": "o1"})
    assert connection.update({**NEW, "id": "o1"}) == {**NEW, "id": "o1"}
    assert "If-Match" not in fhir_requests(ehr)[-1].headers


def test_delete(connection: FhirConnection, ehr: Any) -> None:
    """Deleting says so when the EHR did not."""
    ehr.fhir_answer = answering(204)
    connection.delete("Observation/o1")
    assert fhir_requests(ehr)[-1].method == "DELETE"
    ehr.fhir_answer = answering(405)
    with pytest.raises(EhrError):
        connection.delete("Observation/o1")


def test_granted_scopes_can_be_asked(connection: FhirConnection) -> None:
    """Before writing one can see that the EHR did not allow it."""
    assert connection.is_granted("Patient", "r")
    assert connection.is_granted("Observation", "c")
    assert not connection.is_granted("ServiceRequest", "c")


# --- connections -----------------------------------------------------------------------------------------------------


class KeepsOpen(BaseHTTPRequestHandler):
    """A FHIR server that keeps connections open and tells from which of them a request came."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"from": self.client_address[1]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...


def test_reads_of_one_page_take_one_connection() -> None:
    """The first page reads the visit and the patient one after the other: one handshake with the EHR, not two.

    Break: leave the body unread in ``BoundedSession.send``.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), KeepsOpen)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/fhir"
    with PinnedSession(base, lambda: "token", rules=AddressRules(allows_loopback=True)) as session:
        seen = {session.get(f"{base}/{reference}").json()["from"] for reference in ("Encounter/1", "Patient/1")}
    server.shutdown()
    server.server_close()
    assert len(seen) == 1
