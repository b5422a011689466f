"""What real EHRs do differently: searches by form, creates that leave doubts, refusals without words, waiting times."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests
from flask import Response

from launch.ehr_line import FAILURES_TO_REST, REST_SECONDS, EhrLine, EhrWaitError, wait_seconds
from launch.errors import EhrError, EhrNotGrantedError, EhrOutcomeUnknownError, EhrStaleError
from launch.fhir_client import FhirConnection

NOTE = {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/p1"}, "code": {"text": "x"}}
JSON_FHIR = "application/fhir+json"


def fhir_requests(ehr: Any, path: str = "/fhir/") -> list[Any]:
    return [one for one in ehr.received if one.path.startswith(path) and "well-known" not in one.path]


def searchset(*resources: dict[str, Any]) -> Response:
    bundle = {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}
    return Response(json.dumps(bundle), 200, mimetype=JSON_FHIR)


# --- searching -------------------------------------------------------------------------------------------------------


def test_search_values_stand_in_no_address(connection: FhirConnection, ehr: Any) -> None:
    """What is searched for goes as a form: addresses are written into logs all along the way.

    Breaks when ``_first_page`` asks by address first.
    """
    ehr.fhir_answer = lambda _: searchset({"resourceType": "Observation", "id": "o1"})
    assert connection.search("Observation", {"patient": "canary-p1"}) == [{"resourceType": "Observation", "id": "o1"}]
    (asked,) = fhir_requests(ehr)
    assert (asked.method, asked.path, asked.query) == ("POST", "/fhir/Observation/_search", {})
    assert asked.form == {"patient": ["canary-p1"]}
    assert "Prefer" not in asked.headers


@pytest.mark.parametrize("status", [404, 405, 415, 501])
def test_an_ehr_without_posted_searches_is_asked_by_address(
    connection: FhirConnection, launched: Any, launch_app: Any, ehr: Any, status: int
) -> None:
    """An EHR that does not know searches by form is asked the other way, and from then on at once."""

    def answer(asked: Any) -> Response:
        return (
            Response("", status) if asked.method == "POST" else searchset({"resourceType": "Observation", "id": "o1"})
        )

    ehr.fhir_answer = answer
    for connected in (connection, launch_app.launch.fhir_clients.for_launch(launched[0])):
        assert len(connected.search("Observation", {"patient": "p1"})) == 1
    assert [one.method for one in fhir_requests(ehr)] == ["POST", "GET", "GET"]


def test_a_type_that_is_not_there_does_not_change_how_we_search(connection: FhirConnection, ehr: Any) -> None:
    """A 404 for both ways says nothing about forms: the next search is a form again."""
    ehr.fhir_answer = lambda _: Response("", 404)
    for _ in range(2):
        with pytest.raises(EhrError):
            connection.search("Observation", {"patient": "p1"})
    assert [one.method for one in fhir_requests(ehr)] == ["POST", "GET", "POST", "GET"]


# --- what was not granted --------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@147")
@pytest.mark.parametrize(
    "call",
    [
        lambda to: to.create({**NOTE, "resourceType": "ServiceRequest"}),
        lambda to: to.update({**NOTE, "resourceType": "ServiceRequest", "id": "s1"}),
        lambda to: to.delete("ServiceRequest/s1"),
        lambda to: to.read("ServiceRequest/s1"),
        lambda to: to.search("ServiceRequest", {"patient": "p1"}),
    ],
)
def test_what_was_not_granted_is_not_sent(connection: FhirConnection, ehr: Any, call: Callable[[Any], Any]) -> None:
    """Nothing goes to the EHR that it did not allow in its grant.

    Breaks when ``_require_granted`` returns always.
    """
    with pytest.raises(EhrNotGrantedError) as refusal:
        call(connection)
    assert refusal.value.status == 403
    assert fhir_requests(ehr) == []


# --- creating once ---------------------------------------------------------------------------------------------------


def creates(ehr: Any) -> list[Any]:
    return [one for one in fhir_requests(ehr) if one.method == "POST" and one.path == "/fhir/Observation"]


@pytest.mark.rule("R7")
def test_rule_R07_the_same_content_is_created_once(connection: FhirConnection, ehr: Any) -> None:
    """Whoever sends the same item again in a launch gets what the first time made; the EHR hears of it once.

    Breaks when ``create`` does not ask the ledger.
    """
    ehr.fhir_answer = lambda _: Response("", 201, {"Location": "Observation/o1"})
    assert connection.create(NOTE).reference == "Observation/o1"
    assert connection.create(dict(reversed(NOTE.items()))).reference == "Observation/o1"
    assert connection.create({**NOTE, "status": "amended"}).reference == "Observation/o1"
    assert len(creates(ehr)) == 2


@pytest.mark.rule("R7")
def test_rule_R07_one_of_two_at_once_is_sent(launched: Any, launch_app: Any, ehr: Any) -> None:
    """Two workers that create the same item at the same moment make one; the other does not send.

    Breaks when ``claim_note`` looks before it writes.
    """
    started, results = threading.Barrier(4), []

    def slow(asked: Any) -> Response:
        if asked.path.endswith("_search"):
            return searchset()
        time.sleep(0.3)
        return Response("", 201, {"Location": "Observation/o1"})

    ehr.fhir_answer = slow

    def create() -> None:
        connection = launch_app.launch.fhir_clients.for_launch(launched[0])
        started.wait(10)
        try:
            results.append(connection.create(NOTE).reference)
        except EhrOutcomeUnknownError as error:
            results.append(error.reason)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(results) == ["Observation/o1", "sent-before", "sent-before", "sent-before"]
    assert len(creates(ehr)) == 1


@pytest.mark.rule("R7")
def test_rule_R07_an_unknown_outcome_is_looked_up(connection: FhirConnection, ehr: Any) -> None:
    """When the answer to a create is lost, the chart is searched for the item; it is found and not sent again.

    Breaks when ``create`` does not call ``look_up``.
    """
    kept = {**NOTE, "id": "o7", "meta": {"versionId": "1"}, "issued": "2030-01-07T10:00:00Z"}

    def answer(asked: Any) -> Response:
        if asked.path.endswith("_search"):
            return searchset(
                {**NOTE, "id": "o6", "status": "amended"}, kept, {**NOTE, "id": "o8", "code": {"text": "y"}}
            )
        return Response("", 504)

    ehr.fhir_answer = answer
    created = connection.create({**NOTE, "meta": {"security": []}})
    assert (created.reference, created.payload) == ("Observation/o7", kept)
    assert fhir_requests(ehr)[-1].form == {"patient": ["p1"]}
    assert len(creates(ehr)) == 1


@pytest.mark.rule("R7")
@pytest.mark.parametrize(
    "found",
    [
        lambda: searchset(),
        lambda: searchset({**NOTE, "id": "o1"}, {**NOTE, "id": "o2"}),
        lambda: Response("", 403),
        lambda: Response("", 500),
    ],
    ids=["none", "two", "refused", "failed"],
)
def test_rule_R07_what_cannot_be_found_stays_unknown(connection: FhirConnection, ehr: Any, found: Any) -> None:
    """None, two alike, or a search that fails: nobody knows, so nobody sends again; a later look may find it.

    Breaks when ``look_up`` takes the first of several, or ``_made_before`` sends.
    """
    ehr.fhir_answer = lambda asked: found() if asked.path.endswith("_search") else Response("", 504)
    for _ in range(2):
        with pytest.raises(EhrOutcomeUnknownError):
            connection.create(NOTE)
    assert len(creates(ehr)) == 1
    ehr.fhir_answer = lambda asked: searchset({**NOTE, "id": "o9"})
    assert connection.create(NOTE).reference == "Observation/o9"
    assert len(creates(ehr)) == 1


def test_a_clear_no_may_be_tried_again(connection: FhirConnection, ehr: Any) -> None:
    """An item the EHR refused does not exist, so it may be sent again later."""
    ehr.fhir_answer = lambda _: Response("", 422)
    with pytest.raises(EhrError):
        connection.create(NOTE)
    ehr.fhir_answer = lambda _: Response("", 201, {"Location": "Observation/o1"})
    assert connection.create(NOTE).reference == "Observation/o1"
    assert len(creates(ehr)) == 2


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [409, 412])
def test_stale_is_stale_whatever_the_number(connection: FhirConnection, ehr: Any, status: int) -> None:
    """Some EHRs say 409 and some 412 when somebody else changed the item first; both mean the same here."""
    ehr.fhir_answer = lambda _: Response("", status)
    with pytest.raises(EhrStaleError) as failure:
        connection.update({**NOTE, "id": "o1"}, if_match="3")
    assert failure.value.status == status


@pytest.mark.parametrize("body", ["", "not json", '{"resourceType": "OperationOutcome"}'])
def test_a_refusal_needs_no_words(connection: FhirConnection, ehr: Any, body: str) -> None:
    """A 403 with an empty or odd body is a plain 403."""
    ehr.fhir_answer = lambda _: Response(body, 403)
    for call in (lambda: connection.read("Patient/p1"), lambda: connection.create(NOTE)):
        with pytest.raises(EhrError) as failure:
            call()
        assert failure.value.status == 403


# --- waiting and resting ---------------------------------------------------------------------------------------------


def answered(status: int, retry_after: str | None = None) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    if retry_after is not None:
        response.headers["Retry-After"] = retry_after
    return response


@pytest.mark.parametrize(
    ("status", "told", "seconds"),
    [
        (429, "30", 30),
        (429, None, 5),
        (429, "soon", 5),
        (429, "-3", 5),
        (429, "999999", 120),
        (503, "7", 7),
        (503, None, None),
        (500, "7", None),
        (200, "7", None),
    ],
)
def test_how_long_the_ehr_asks_us_to_wait(status: int, told: str | None, seconds: int | None) -> None:
    """ "Too many requests" and "come back later" are obeyed; a wrong number cannot close the app for a day."""
    assert wait_seconds(answered(status, told)) == seconds


def test_a_date_to_come_back_is_understood() -> None:
    """``Retry-After`` may be a date; one in the past means now."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    assert 35 <= (wait_seconds(answered(429, soon)) or 0) <= 41
    assert wait_seconds(answered(429, "Mon, 07 Jan 2019 10:00:00 GMT")) == 0


def test_nothing_is_sent_before_the_time_is_over(
    connection: FhirConnection, launched: Any, launch_app: Any, ehr: Any
) -> None:
    """After "too many requests" the EHR hears nothing from any launch until the time it named is over.

    Breaks when ``_learn`` does not keep the wait.
    """
    ehr.fhir_answer = lambda _: Response("", 429, {"Retry-After": "60"})
    with pytest.raises(EhrError) as first:
        connection.read("Patient/p1")
    assert (first.value.status, first.value.retry_after_seconds) == (429, 60)
    other = launch_app.launch.fhir_clients.for_launch(launched[0])
    for call in (lambda: other.read("Patient/p1"), lambda: other.create(NOTE)):
        with pytest.raises(EhrError) as waiting:
            call()
        assert waiting.value.reason == "ehr-waiting"
        assert 55 <= (waiting.value.retry_after_seconds or 0) <= 60
        assert not isinstance(waiting.value, EhrOutcomeUnknownError)
    assert len(fhir_requests(ehr)) == 1


def test_a_new_launch_waits_too(launch_app: Any, launched: Any, connection: FhirConnection, ehr: Any) -> None:
    """While the EHR rests, a launch is told so at once instead of hanging; known addresses need no request."""
    ehr.fhir_answer = lambda _: Response("", 429, {"Retry-After": "60"})
    with pytest.raises(EhrError):
        connection.read("Patient/p1")
    launch_app.begin(launch_app.browser(), ehr)  # discovery is known: nothing is asked


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def failing() -> requests.Response:
    raise requests.ConnectionError("down")


def test_the_line_rests_after_failures_and_is_tried_by_one() -> None:
    """An EHR that is down is asked five times, then left alone for some seconds; then one call tries it.

    Breaks when ``_require_open`` does not move the rest on before the call that tries.
    """
    clock = _Clock()
    line = EhrLine(clock)
    for _ in range(FAILURES_TO_REST):
        with pytest.raises(requests.ConnectionError):
            line.carry(failing)
    sent: list[str] = []

    def sending() -> requests.Response:
        sent.append("x")
        with pytest.raises(EhrWaitError):
            line.carry(lambda: pytest.fail("a second call went out while one tries the line"))
        return answered(200)

    with pytest.raises(EhrWaitError) as waiting:
        line.carry(sending)
    assert 0 < waiting.value.seconds <= REST_SECONDS
    clock.now += REST_SECONDS + 1
    assert line.carry(sending).status_code == 200
    assert sent == ["x"]
    assert line.carry(lambda: answered(404)).status_code == 404


@pytest.mark.parametrize("answer", [lambda: answered(500), lambda: answered(503)])
def test_server_errors_count_and_answers_reset(answer: Callable[[], requests.Response]) -> None:
    """Four failures and an answer, again and again, is an EHR that works; five in a row is not."""
    line = EhrLine(_Clock())
    for _ in range(3):
        for _ in range(FAILURES_TO_REST - 1):
            line.carry(answer)
        line.carry(lambda: answered(403))
    for _ in range(FAILURES_TO_REST):
        line.carry(answer)
    with pytest.raises(EhrWaitError):
        line.carry(answer)


def test_one_ehr_that_is_down_does_not_close_another(make_launch_app: Any, ehr: Any, other_ehr: Any) -> None:
    """Each EHR has its own line.

    Breaks when ``EhrLines.of`` gives every issuer the same one.
    """
    app = make_launch_app(ehr, other_ehr)
    clients = app.launch.fhir_clients
    first = clients.for_launch(app.finish(app.browser(), ehr))
    second = clients.for_launch(app.finish(app.browser(), other_ehr))
    ehr.fhir_answer = lambda _: Response("", 429, {"Retry-After": "60"})
    for _ in range(2):
        with pytest.raises(EhrError):
            first.read("Patient/p1")
    assert second.read("Patient/p1")["id"] == "p1"


# --- time limits -----------------------------------------------------------------------------------------------------


def test_every_request_of_a_launch_has_a_time_limit(launch_app: Any, ehr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Discovery, keys, token, refresh, FHIR, style and revocation: none of them can hang for ever.

    Breaks when ``BoundedSession.send`` or ``default_timeout`` is left out.
    """
    limits: dict[str, Any] = {}
    original = requests.adapters.HTTPAdapter.send

    def send(self: Any, request: Any, **kwargs: Any) -> Any:
        limits[request.path_url.split("?")[0]] = kwargs.get("timeout")
        return original(self, request, **kwargs)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    browser = launch_app.browser()
    ehr.token_changes = {"smart_style_url": ehr.origin + "/style.json"}
    launch_id = launch_app.finish(browser, ehr)
    connection = launch_app.launch.fhir_clients.for_launch(launch_id)
    ehr.access_tokens.clear()
    connection.read("Patient/p1")
    launch_app.launch.styles.of("a", ehr.origin + "/style.json")
    browser.post(f"/v/{launch_id}/leave")
    assert set(limits) == {
        "/fhir/.well-known/smart-configuration",
        "/openid/.well-known/openid-configuration",
        "/jwks",
        "/token",
        "/fhir/Patient/p1",
        "/style.json",
        "/revoke",
    }
    for path, limit in limits.items():
        longest = max(limit) if isinstance(limit, tuple) else limit
        assert longest is not None, f"{path} has no time limit"
        assert 0 < longest <= 20, f"{path} waits for {longest} seconds"
