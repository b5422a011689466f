"""From /launch to /callback: what is sent, what is believed, and what is refused before or after it."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine

from launch.errors import EhrNotGrantedError
from launch.tables import launch_pending

SMALL_SCOPE = "launch openid fhirUser online_access"


def asked(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


def callback(launch_app: Any, browser: Any, query: Any) -> Any:
    return browser.get("/callback", query_string=query)


# --- /launch ---------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@32")
@pytest.mark.requirement("smart@45")
def test_authorization_request_is_complete(launch_app: Any, ehr: Any) -> None:
    """The EHR gets everything the standard asks for, each exactly once, and nothing twice."""
    url = launch_app.begin(launch_app.browser(), ehr)
    query = asked(url)
    assert url.startswith(ehr.origin + "/authorize?")
    assert {name: len(values) for name, values in query.items()} == dict.fromkeys(query, 1)
    assert query["response_type"] == ["code"]
    assert query["client_id"] == ["care-connections"]
    assert query["redirect_uri"] == ["http://127.0.0.1:8000/callback"]
    assert query["aud"] == [ehr.fhir_base]
    assert query["launch"] == ["canary-launch"]
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["code_challenge"][0]) == 43
    assert query["scope"] == [
        "launch openid fhirUser online_access patient/Patient.rs patient/Encounter.rs user/Practitioner.rs"
    ]
    assert len(query["state"][0]) >= 43
    assert len(query["nonce"][0]) >= 43


@pytest.mark.requirement("smart@35")
def test_aud_is_the_iss_as_it_was_sent(launch_app: Any, ehr: Any) -> None:
    """An EHR that sends its address with a slash at the end gets it back with that slash, byte for byte."""
    url = launch_app.begin(launch_app.browser(), ehr, iss=ehr.fhir_base + "/")
    assert asked(url)["aud"] == [ehr.fhir_base + "/"]


@pytest.mark.requirement("smart@46")
@pytest.mark.requirement("smart@148")
def test_write_scopes_are_asked_only_where_we_write(make_launch_app: Any, ehr: Any) -> None:
    """An EHR with write-back is asked for creating those types only; no wildcard is ever asked."""
    app = make_launch_app(ehr, write_types=("Observation", "Appointment"))
    (scope,) = asked(app.begin(app.browser(), ehr))["scope"]
    assert "patient/Observation.cruds" in scope
    assert "user/Appointment.cruds" in scope
    assert "ServiceRequest" not in scope
    assert "*" not in scope


@pytest.mark.requirement("smart@2")
@pytest.mark.requirement("smart@39")
def test_state_nonce_and_challenge_are_new_each_time(launch_app: Any, ehr: Any) -> None:
    """Two launches share no secret, even of the same browser."""
    browser = launch_app.browser()
    first, second = (asked(launch_app.begin(browser, ehr)) for _ in range(2))
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]


@pytest.mark.requirement("smart@40")
def test_state_cannot_be_guessed(launch_app: Any, ehr: Any) -> None:
    """Of a hundred launches each has another state, and what changes from one to the next is 122 bits or more.

    Breaks when the state is a number that counts, the time, or ``token_urlsafe(12)``.
    """
    browser = launch_app.browser()
    states = [asked(launch_app.begin(browser, ehr))["state"][0] for _ in range(100)]
    assert len(set(states)) == 100
    assert len({len(state) for state in states}) == 1
    # What a hundred draws show of each place is less than there is, never more.
    assert sum(math.log2(len(set(place))) for place in zip(*states, strict=True)) >= 122


@pytest.mark.parametrize(
    "query",
    [
        {"launch": "x"},
        {"iss": ["{base}", "{base}"], "launch": "x"},
        {"iss": "{base}", "launch": ["x", "y"]},
        {"iss": "{base}", "launch": ""},
        {"iss": "", "launch": "x"},
        {"iss": "{base}", "launch": "x" * 4097},
        {"iss": "{base}" + "x" * 2000, "launch": "x"},
        {"iss": "{base}", "launch": "x\r\ny"},
    ],
)
def test_incomplete_launch_is_refused_before_any_network(launch_app: Any, ehr: Any, query: dict[str, Any]) -> None:
    """A launch that misses, doubles or overfills iss or launch gets a plain page, and no EHR is called."""
    filled = {
        name: [one.replace("{base}", ehr.fhir_base) for one in ([value] if isinstance(value, str) else value)]
        for name, value in query.items()
    }
    answer = launch_app.browser().get("/launch", query_string=filled)
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "launch-request"
    assert ehr.received == []
    assert "Set-Cookie" not in answer.headers


@pytest.mark.requirement("smart@36")
@pytest.mark.requirement("smart@166")
@pytest.mark.parametrize("query", [{"iss": "{base}"}, {}, {"iss": "https://evil.example/fhir"}])
def test_opening_from_outside_the_ehr_says_where_the_app_is(
    launch_app: Any, ehr: Any, query: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bookmark or a portal (a standalone launch) gets a page that says where in the EHR the app is, and nothing goes
    out.

    Breaks when ``begin`` does not look for ``launch`` first.
    """
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("something was sent"))
    filled = {name: value.format(base=ehr.fhir_base) for name, value in query.items()}
    answer = launch_app.browser().get("/launch", query_string=filled)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "standalone-launch")
    assert "open the patient's chart" in answer.get_json()["next_step"]
    assert "phone list" in answer.get_json()["next_step"]
    assert launch_app.events[-1].reason == "standalone-launch/standalone-launch"


@pytest.mark.rule("attack 9")
@pytest.mark.parametrize(
    "iss",
    [
        "http://127.0.0.1:1/fhir",
        "{base}//",
        "{base}/x",
        "{base}?x",
        "{base}#x",
        "{base}/../fhir",
        "{origin}/FHIR",
        "{origin}@127.0.0.1:1/fhir",
        "https://evil.example/fhir",
        "file:///etc/passwd",
        " {base}",
        "//127.0.0.1/fhir",
    ],
)
def test_unknown_issuer_is_refused_before_any_network(
    launch_app: Any, ehr: Any, iss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An EHR that is not registered gets one sentence, and nothing is sent to it or to anybody.

    Breaks when ``for_issuer`` compares with ``startswith``, or when discovery comes first.
    """
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("something was sent"))
    address = iss.format(base=ehr.fhir_base, origin=ehr.origin)
    answer = launch_app.browser().get("/launch", query_string={"iss": address, "launch": "x"})
    assert answer.status_code == 400
    assert answer.get_json()["words"] == "This EHR is not registered here."
    assert address not in answer.get_data(as_text=True)


def test_a_preview_does_not_begin_or_use_up_a_launch(launch_app: Any, ehr: Any) -> None:
    """A HEAD request, as previews send it, changes nothing."""
    browser = launch_app.browser()
    assert browser.head("/launch", query_string={"iss": ehr.fhir_base, "launch": "x"}).status_code == 405
    assert ehr.received == []
    query = ehr.approve(launch_app.begin(browser, ehr))
    assert browser.head("/callback", query_string=query).status_code == 405
    assert callback(launch_app, browser, query).status_code == 303


# --- /callback: state ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@60")
@pytest.mark.parametrize("state", [None, "", "wrong", ["x", "y"], "x" * 200])
def test_wrong_state_is_refused(launch_app: Any, ehr: Any, state: Any) -> None:
    """A callback whose state is missing, unknown, doubled or too long exchanges nothing."""
    browser = launch_app.browser()
    query = ehr.approve(launch_app.begin(browser, ehr), state=state)
    answer = callback(launch_app, browser, query)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "state")
    assert [one.path for one in ehr.received if one.path == "/token"] == []


@pytest.mark.requirement("smart@61")
def test_state_of_another_browser_is_refused(launch_app: Any, ehr: Any) -> None:
    """A launch begun in one browser cannot be finished in another, and is not used up by the attempt.

    Breaks when ``take_pending`` no longer compares the session.
    """
    browser, other = launch_app.browser(), launch_app.browser()
    launch_app.begin(other, ehr)
    query = ehr.approve(launch_app.begin(browser, ehr))
    assert callback(launch_app, other, query).get_json()["code"] == "state"
    assert callback(launch_app, launch_app.browser(), query).get_json()["code"] == "state"
    assert callback(launch_app, browser, query).status_code == 303


@pytest.mark.requirement("smart@4")
def test_state_is_used_once(launch_app: Any, ehr: Any) -> None:
    """The same callback a second time, even with a new code, finds nothing.

    Breaks when ``take_pending`` does not delete.
    """
    browser = launch_app.browser()
    url = launch_app.begin(browser, ehr)
    assert callback(launch_app, browser, ehr.approve(url)).status_code == 303
    assert callback(launch_app, browser, ehr.approve(url)).get_json()["code"] == "state"


def test_state_expires(launch_app: Any, ehr: Any) -> None:
    """A launch that was left on the EHR's page for eleven minutes starts again, though the browser is still in use.

    Breaks when ``take_pending`` does not look at ``expires_at``.
    """
    browser = launch_app.browser()
    with time_machine.travel("2030-01-07T10:00:00Z", tick=False) as clock:
        other = launch_app.finish(browser, ehr)
        query = ehr.approve(launch_app.begin(browser, ehr))
        for _ in range(3):
            clock.shift(220)
            assert browser.get(f"/v/{other}/").status_code == 200
        assert callback(launch_app, browser, query).get_json()["code"] == "state"


def test_expired_states_are_cleared_away(launch_app: Any, ehr: Any) -> None:
    """Abandoned launches do not pile up in the database."""
    with time_machine.travel("2030-01-07T10:00:00Z", tick=False) as clock:
        for _ in range(3):
            launch_app.begin(launch_app.browser(), ehr)
        clock.shift(3600)
        launch_app.begin(launch_app.browser(), ehr)
    with launch_app.engine.connect() as connection:
        assert len(connection.execute(launch_pending.select()).all()) == 1


def test_refusal_without_cookie_says_what_to_try(launch_app: Any, ehr: Any) -> None:
    """When the browser blocked our cookie, the page offers a new window, and the check is not weakened."""
    query = ehr.approve(launch_app.begin(launch_app.browser(), ehr))
    answer = callback(launch_app, launch_app.browser(), query)
    assert answer.status_code == 400
    assert "new window" in answer.get_json()["next_step"]


# --- /callback: iss, error, code -------------------------------------------------------------------------------------


@pytest.mark.rule("attack 10")
def test_mixed_up_issuer_is_refused(make_launch_app: Any, ehr: Any, other_ehr: Any) -> None:
    """An answer that says it comes from another EHR is refused, and the code goes to no token endpoint (RFC 9207).

    Breaks when ``_require_pinned_issuer`` is not called.
    """
    app = make_launch_app(ehr, other_ehr)
    browser = app.browser()
    query = ehr.approve(app.begin(browser, ehr), iss=other_ehr.issuer)
    assert callback(app, browser, query).get_json()["code"] == "authorization-refused"
    assert [one for one in ehr.received + other_ehr.received if one.path == "/token"] == []


@pytest.mark.rule("attack 10")
def test_code_goes_only_to_the_ehr_that_was_asked(make_launch_app: Any, ehr: Any, other_ehr: Any) -> None:
    """With two EHRs and the same patient number at both, a code never reaches the other's token endpoint."""
    app = make_launch_app(ehr, other_ehr)
    browser = app.browser()
    first, second = app.begin(browser, ehr), app.begin(browser, other_ehr)
    crossed = {"code": other_ehr.approve(second)["code"], "state": asked(first)["state"][0]}
    assert callback(app, browser, crossed).get_json()["code"] == "token-refused"
    assert [one for one in other_ehr.received if one.path == "/token"] == []


def test_pinned_issuer_is_accepted_and_required_when_promised(launch_app: Any, ehr: Any) -> None:
    """An EHR that promises to name itself must do so; its own name passes."""
    ehr.configuration_changes = {"authorization_response_iss_parameter_supported": True}
    browser = launch_app.browser()
    named = ehr.approve(launch_app.begin(browser, ehr), iss=ehr.issuer)
    assert callback(launch_app, browser, named).status_code == 303
    unnamed = ehr.approve(launch_app.begin(browser, ehr))
    assert callback(launch_app, browser, unnamed).get_json()["code"] == "authorization-refused"


@pytest.mark.requirement("smart@4")
def test_error_redirect_asks_for_no_token(launch_app: Any, ehr: Any) -> None:
    """When the EHR says no, nothing goes to its token endpoint, and its words are not repeated to the person.

    Breaks when ``error`` is not looked at: the library would ask for a token in its own name.
    """
    browser = launch_app.browser()
    query = ehr.approve(
        launch_app.begin(browser, ehr), code=None, error="access_denied", error_description="<b>canary</b>"
    )
    answer = callback(launch_app, browser, query)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "authorization-refused")
    assert "canary" not in answer.get_data(as_text=True)
    assert [one for one in ehr.received if one.path == "/token"] == []
    assert launch_app.events[-1].reason == "authorization-refused/access-denied"


@pytest.mark.parametrize("code", [None, "", ["x", "y"], "x" * 5000])
def test_callback_without_one_code_is_refused(launch_app: Any, ehr: Any, code: Any) -> None:
    """A callback with no code, an empty one, two or an endless one exchanges nothing."""
    browser = launch_app.browser()
    answer = callback(launch_app, browser, ehr.approve(launch_app.begin(browser, ehr), code=code))
    assert answer.get_json()["code"] == "authorization-refused"
    assert [one for one in ehr.received if one.path == "/token"] == []


def test_expired_code_is_a_plain_page(launch_app: Any, ehr: Any) -> None:
    """A code that the EHR no longer takes leads to a sentence with what to do, and the EHR's words stay out."""
    browser = launch_app.browser()
    query = ehr.approve(launch_app.begin(browser, ehr))
    ehr.codes.clear()
    answer = callback(launch_app, browser, query)
    assert (answer.status_code, answer.get_json()["code"]) == (502, "token-refused")
    assert "canary" not in answer.get_data(as_text=True)
    assert launch_app.events[-1].reason == "token-refused/token-invalid-grant"


@pytest.mark.requirement("smart@6")
@pytest.mark.requirement("smart@5")
def test_callback_leads_only_into_the_app(launch_app: Any, ehr: Any) -> None:
    """After the sign-in the browser goes to a page of ours, whatever else the address carried."""
    browser = launch_app.browser()
    query = ehr.approve(
        launch_app.begin(browser, ehr), next="https://evil.example", redirect_uri="https://evil.example"
    )
    location = callback(launch_app, browser, query).headers["Location"]
    assert location.startswith("/v/")


# --- who, and with what ----------------------------------------------------------------------------------------------


@pytest.mark.rule("R23")
@pytest.mark.parametrize(
    "fhir_user",
    [
        "Patient/p1",
        "RelatedPerson/rp-gil",
        "{base}/Patient/p1",
        "Person/x",
        "Device/x",
        "https://evil.example/fhir/Practitioner/dr-lee",
        "{base}.evil.example/Practitioner/dr-lee",
        "{base}/../Practitioner/dr-lee",
        "Practitioner/dr-lee/_history/1",
        "Practitioner/",
        "",
        None,
        7,
        ["Practitioner/dr-lee"],
    ],
)
def test_rule_R23_only_staff_of_this_ehr_sign_in(launch_app: Any, ehr: Any, fhir_user: Any) -> None:
    """A patient, a relative, a machine or a user of another server does not get in, and what was issued is revoked.

    Breaks when ``parse_fhir_user`` does not look at the type.
    """
    ehr.claim_changes = {"fhirUser": fhir_user.format(base=ehr.fhir_base) if isinstance(fhir_user, str) else fhir_user}
    browser = launch_app.browser()
    answer = callback(launch_app, browser, ehr.approve(launch_app.begin(browser, ehr)))
    assert (answer.status_code, answer.get_json()["code"]) == (403, "identity")
    assert len(ehr.revoked) == 2


@pytest.mark.requirement("smart@202")
@pytest.mark.parametrize("form", ["Practitioner/dr-lee", "{base}/Practitioner/dr-lee"])
def test_fhir_user_may_be_relative_or_absolute(launch_app: Any, ehr: Any, form: str) -> None:
    """Both ways of naming the same clinician give the same clinician."""
    ehr.claim_changes = {"fhirUser": form.format(base=ehr.fhir_base)}
    browser = launch_app.browser()
    launch_id = launch_app.finish(browser, ehr)
    assert browser.get(f"/v/{launch_id}/").get_json()["fhir_user"] == "Practitioner/dr-lee"


@pytest.mark.requirement("smart@147")
@pytest.mark.parametrize("scope", [SMALL_SCOPE, "", "patient/Observation.rs", "system/Patient.rs", "patient/Patient.c"])
def test_a_small_grant_opens_a_small_app(launch_app: Any, ehr: Any, scope: str) -> None:
    """Without leave to read the launched patient the app opens, reads nothing of that patient, and the audit says what
    is missing.

    Breaks when ``_require_granted`` lets a read through.
    """
    ehr.token_changes = {"scope": scope}
    launch_id = launch_app.finish(launch_app.browser(), ehr)
    assert "patient-read" in launch_app.events[-1].reason.split()
    with pytest.raises(EhrNotGrantedError):
        launch_app.launch.fhir_clients.for_launch(launch_id).read("Patient/p1")
    assert [one.path for one in ehr.received if one.path.startswith("/fhir/Patient")] == []


def test_an_answer_without_scope_grants_what_was_asked(launch_app: Any, ehr: Any) -> None:
    """OAuth lets an EHR leave the scope out when it grants exactly what was asked; an empty one grants nothing.

    Breaks when a missing scope is read as an empty one.
    """
    ehr.token_changes = {"scope": None}
    launch_id = launch_app.finish(launch_app.browser(), ehr)
    assert launch_app.events[-1].reason == ""
    assert launch_app.launch.fhir_clients.for_launch(launch_id).read("Patient/p1")["id"] == "p1"


@pytest.mark.parametrize("scope", ["patient/Patient.read", "patient/*.rs", "user/Patient.cruds", "patient/*.*"])
def test_granted_scope_counts_in_either_spelling(launch_app: Any, ehr: Any, scope: str) -> None:
    """An EHR that grants in the older spelling, or more than asked, opens the app."""
    ehr.token_changes = {"scope": scope}
    assert launch_app.finish(launch_app.browser(), ehr)


def test_launch_without_patient_opens_for_staff_without_a_chart(launch_app: Any, ehr: Any) -> None:
    """A scheduler's launch has no patient and no encounter, whatever encounter is sent without a patient."""
    ehr.token_changes = {"patient": None, "scope": SMALL_SCOPE}
    browser = launch_app.browser()
    context = browser.get(f"/v/{launch_app.finish(browser, ehr)}/").get_json()
    assert (context["patient_id"], context["encounter_id"]) == (None, None)


@pytest.mark.parametrize("changes", [{"patient": "../p2"}, {"patient": 7}, {"encounter": ["e1"]}, {"patient": ""}])
def test_context_that_is_no_id_is_refused(launch_app: Any, ehr: Any, changes: dict[str, Any]) -> None:
    """A patient or encounter that is not an id opens no chart: guessing could open a wrong one."""
    ehr.token_changes = changes
    browser = launch_app.browser()
    answer = callback(launch_app, browser, ehr.approve(launch_app.begin(browser, ehr)))
    assert answer.get_json()["code"] == "authorization-refused"


def test_events_hold_codes_and_opaque_ids_only(launch_app: Any, ehr: Any) -> None:
    """What goes to the audit names the launch, the EHR and the clinician's id, and no secret of the launch."""
    browser = launch_app.browser()
    url = launch_app.begin(browser, ehr)
    query = ehr.approve(url)
    callback(launch_app, browser, query)
    told = repr(launch_app.events)
    assert [event.name for event in launch_app.events] == ["launch-begun", "launch-completed"]
    assert launch_app.events[-1].user_reference == "Practitioner/dr-lee"
    secrets = [query["code"], query["state"], asked(url)["nonce"][0], "canary-launch", *ehr.access_tokens]
    assert [secret for secret in secrets if secret in told] == []
