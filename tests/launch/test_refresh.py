"""When the access token runs out: renewed once, by one, and never for another chart."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests
from flask import Response
from sqlalchemy import update

from launch.errors import EhrAuthorizationEndedError, EhrError
from launch.fhir_client import FhirConnection
from launch.tables import launch_launch


def fhir_requests(ehr: Any) -> list[Any]:
    return [one for one in ehr.received if one.path.startswith("/fhir/") and "well-known" not in one.path]


def expire_access(ehr: Any) -> None:
    ehr.access_tokens.clear()


@pytest.mark.requirement("smart@108")
@pytest.mark.requirement("smart@117")
def test_expired_token_is_renewed_once_without_scope(launched: Any, launch_app: Any, ehr: Any) -> None:
    """An expired token is renewed without the person noticing; the new refresh token replaces the old one.

    Breaks when ``session.scope = None`` is left out.
    """
    launch_id, connection = launched
    for _ in range(2):
        expire_access(ehr)
        assert connection.read("Patient/p1")["id"] == "p1"
    expire_access(ehr)
    assert launch_app.launch.fhir_clients.for_launch(launch_id).read("Patient/p1")["id"] == "p1"
    asked = [one for one in ehr.received if one.form.get("grant_type") == ["refresh_token"]]
    assert len(asked) == 3
    assert all("scope" not in one.form for one in asked)
    assert len(set(ehr.used_refresh_tokens)) == 3


def test_token_known_to_be_expired_is_renewed_before_use(launch_app: Any, ehr: Any) -> None:
    """A token whose time is over is not sent any more."""
    ehr.token_changes = {"expires_in": 1}
    launch_id = launch_app.finish(launch_app.browser(), ehr)
    launch_app.launch.fhir_clients.for_launch(launch_id).read("Patient/p1")
    assert len(fhir_requests(ehr)) == 1
    assert len(ehr.used_refresh_tokens) == 1


def test_401_after_refresh_ends_it(launched: Any, ehr: Any) -> None:
    """An EHR that refuses the renewed token too is not asked a third time."""
    ehr.fhir_answer = lambda _: Response(status=401)
    with pytest.raises(EhrAuthorizationEndedError):
        launched[1].read("Patient/p1")
    assert len(fhir_requests(ehr)) == 2


def test_without_refresh_token_a_401_ends_the_launch(launch_app: Any, ehr: Any) -> None:
    """Where the EHR gave no refresh token the person launches again."""
    ehr.token_changes = {"refresh_token": None}
    browser = launch_app.browser()
    launch_id = launch_app.finish(browser, ehr)
    expire_access(ehr)
    with pytest.raises(EhrAuthorizationEndedError):
        launch_app.launch.fhir_clients.for_launch(launch_id).read("Patient/p1")
    assert browser.get(f"/v/{launch_id}/").status_code == 404


@pytest.mark.rule("attack 10")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"patient": "p2"}, "patient-changed"),
        ({"patient": "p2", "encounter": None}, "patient-changed"),
        ({"encounter": "e2"}, "encounter-changed"),
        ({"patient": "../x"}, "launch-context"),
    ],
)
def test_patient_changed_on_refresh_ends_the_launch(
    launch_app: Any, ehr: Any, changes: dict[str, Any], reason: str
) -> None:
    """When the EHR says that the chart is another one now, nothing is shown, and that launch is over.

    Breaks when ``_renewed_context`` does not compare.
    """
    browser = launch_app.browser()
    launch_id = launch_app.finish(browser, ehr)
    connection = launch_app.launch.fhir_clients.for_launch(launch_id)
    expire_access(ehr)
    ehr.refresh_changes = changes
    with pytest.raises(EhrAuthorizationEndedError) as ended:
        connection.read("Patient/p1")
    assert ended.value.reason == reason
    assert len(fhir_requests(ehr)) == 1
    assert browser.get(f"/v/{launch_id}/").status_code == 404
    assert set(ehr.revoked) == ehr.access_tokens | ehr.refresh_tokens
    assert launch_app.events[-1].reason == reason


def test_refresh_that_does_not_repeat_the_context_changes_nothing(launch_app: Any, ehr: Any) -> None:
    """An EHR may leave patient, encounter and scope out of a refresh: they are as before."""
    browser = launch_app.browser()
    launch_id = launch_app.finish(browser, ehr)
    before = browser.get(f"/v/{launch_id}/").get_json()
    expire_access(ehr)
    ehr.refresh_changes = {"patient": None, "encounter": None, "scope": None, "refresh_token": None}
    launch_app.launch.fhir_clients.for_launch(launch_id).read("Patient/p1")
    after = browser.get(f"/v/{launch_id}/").get_json()
    assert {**after, "expires_at": 0} == {**before, "expires_at": 0}


def test_smaller_grant_on_refresh_is_noticed(launched: Any, ehr: Any) -> None:
    """When the EHR takes a permission back, the app knows."""
    expire_access(ehr)
    ehr.refresh_changes = {"scope": "patient/Patient.r"}
    launched[1].read("Patient/p1")
    assert launched[1].is_granted("Patient", "r")
    assert not launched[1].is_granted("Encounter", "r")


@pytest.mark.parametrize("failure", [(400, {"error": "invalid_grant"}), (500, ""), (200, "garbage")])
def test_failed_refresh_ends_the_launch(launch_app: Any, ehr: Any, failure: Any) -> None:
    """A refresh that was refused, or perhaps taken without our hearing of it, is never sent a second time."""
    browser = launch_app.browser()
    launch_id = launch_app.finish(browser, ehr)
    expire_access(ehr)
    ehr.token_failure = failure
    with pytest.raises(EhrAuthorizationEndedError):
        launch_app.launch.fhir_clients.for_launch(launch_id).read("Patient/p1")
    assert browser.get(f"/v/{launch_id}/").status_code == 404
    assert len([one for one in ehr.received if one.form.get("grant_type") == ["refresh_token"]]) == 1


def test_refresh_that_was_never_sent_may_be_tried_again(launch_app: Any, ehr: Any, monkeypatch: Any) -> None:
    """If no connection came about, the refresh token is still good and the launch goes on."""
    launch_id = launch_app.finish(launch_app.browser(), ehr)
    connection = launch_app.launch.fhir_clients.for_launch(launch_id)
    expire_access(ehr)
    with monkeypatch.context() as patched:
        original = requests.adapters.HTTPAdapter.send

        def send(self: Any, request: Any, **kwargs: Any) -> Any:
            if request.url.endswith("/token"):
                raise requests.ConnectTimeout
            return original(self, request, **kwargs)

        patched.setattr(requests.adapters.HTTPAdapter, "send", send)
        with pytest.raises(EhrError) as failure:
            connection.read("Patient/p1")
    assert not isinstance(failure.value, EhrAuthorizationEndedError)
    assert connection.read("Patient/p1")["id"] == "p1"


def test_refresh_token_is_used_once_by_many_at_once(launched: Any, launch_app: Any, ehr: Any) -> None:
    """Eight requests that find the token expired at the same moment renew it once, and all go on.

    Breaks when ``lease_refresh`` does not ask for a free lease.
    """
    launch_id, _ = launched
    connections = [launch_app.launch.fhir_clients.for_launch(launch_id) for _ in range(8)]
    expire_access(ehr)
    ehr.token_delay_seconds = 0.3
    results: list[Any] = []

    def read(connection: FhirConnection) -> None:
        try:
            results.append(connection.read("Patient/p1")["id"])
        except EhrError as error:
            results.append(error.reason)

    threads = [threading.Thread(target=read, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == ["p1"] * 8
    assert len(ehr.used_refresh_tokens) == 1


def test_lease_of_a_worker_that_died_is_not_taken_over(launched: Any, launch_app: Any, ehr: Any) -> None:
    """If a worker died while renewing, the token may be used: the launch ends instead of using it twice."""
    connection = launched[1]
    with launch_app.engine.begin() as database:
        database.execute(update(launch_launch).values(refresh_lease_until=int(time.time()) - 1))
    expire_access(ehr)
    with pytest.raises(EhrAuthorizationEndedError) as ended:
        connection.read("Patient/p1")
    assert ended.value.reason == "refresh-unknown"
    assert ehr.used_refresh_tokens == []


def test_leaving_during_a_refresh_revokes_the_new_tokens(launch_app: Any, ehr: Any) -> None:
    """Who leaves while the token is being renewed leaves no live token behind at the EHR."""
    browser = launch_app.browser()
    launch_id = launch_app.finish(browser, ehr)
    connection = launch_app.launch.fhir_clients.for_launch(launch_id)
    expire_access(ehr)
    ehr.token_delay_seconds = 0.5
    failures: list[str] = []

    def read() -> None:
        try:
            connection.read("Patient/p1")
        except EhrAuthorizationEndedError as error:
            failures.append(error.reason)

    reading = threading.Thread(target=read)
    reading.start()
    time.sleep(0.2)
    browser.post(f"/v/{launch_id}/leave")
    reading.join(10)
    assert failures == ["launch-over"]
    assert ehr.access_tokens <= set(ehr.revoked)


def test_ended_launch_gives_no_connection(launch_app: Any, ehr: Any) -> None:
    """A launch that is over reads nothing any more."""
    browser = launch_app.browser()
    launch_id = launch_app.finish(browser, ehr)
    browser.post(f"/v/{launch_id}/leave")
    with pytest.raises(EhrAuthorizationEndedError):
        launch_app.launch.fhir_clients.for_launch(launch_id)
