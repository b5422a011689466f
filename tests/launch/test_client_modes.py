"""How the request goes to each EHR: as which kind of client, as form or address, in which spelling of scopes."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from ehr_double import SECRET
from flask import jsonify
from urllib3.util.ssl_ import create_urllib3_context

from launch.discovery import BoundedSession

MODES = {
    "private_key_jwt": {},
    "client_secret_basic": {"token_endpoint_auth_method": "client_secret_basic", "client_secret": SECRET},
    "none": {"token_endpoint_auth_method": "none"},
}
V2, POST = "permission-v2", "authorize-post"
CAPABILITIES = ["launch-ehr", "sso-openid-connect"]


def shown_form(wanted: Any) -> Any:
    return jsonify(action=wanted.endpoint, members=list(wanted.members))


def opened(app: Any, ehr: Any) -> Any:
    return app.browser().get("/launch", query_string={"iss": ehr.fhir_base, "launch": "canary-launch"})


# --- which client ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@63")
@pytest.mark.requirement("smart@64")
@pytest.mark.requirement("smart@71")
@pytest.mark.requirement("smart@72")
@pytest.mark.requirement("smart@345")
@pytest.mark.parametrize("method", MODES)
def test_each_kind_of_client_opens_renews_and_leaves(make_launch_app: Any, ehr: Any, method: str) -> None:
    """At an EHR that takes one kind of client and no other, a launch opens, is renewed, and its tokens are revoked.

    Breaks when ``_session`` always signs.
    """
    ehr.client_method = method
    app = make_launch_app(ehr, registration=MODES[method])
    browser = app.browser()
    launch_id = app.finish(browser, ehr)
    ehr.access_tokens.clear()
    assert browser.get(f"/v/{launch_id}/patient").status_code == 200
    browser.post(f"/v/{launch_id}/leave")
    assert len(ehr.revoked) == 2


@pytest.mark.parametrize(("ours", "theirs"), [(a, b) for a in MODES for b in MODES if a != b])
def test_the_wrong_kind_of_client_is_told_to_ask_it(make_launch_app: Any, ehr: Any, ours: str, theirs: str) -> None:
    """Registered as another kind of client than configured, nobody gets in, and no credential is tried another way."""
    ehr.client_method = theirs
    app = make_launch_app(ehr, registration=MODES[ours])
    browser = app.browser()
    answer = browser.get("/callback", query_string=ehr.approve(app.begin(browser, ehr)))
    assert (answer.status_code, answer.get_json()["code"]) == (502, "token-refused")
    assert len([one for one in ehr.received if one.path == "/token"]) == 1
    assert SECRET not in answer.get_data(as_text=True) + repr(app.events)


# --- form or address -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@50")
@pytest.mark.requirement("smart@51")
@pytest.mark.requirement("smart@52")
@pytest.mark.requirement("smart@133")
@pytest.mark.parametrize(
    ("listed", "method", "is_form"),
    [
        ([POST], "auto", True),
        ([], "auto", False),
        ([POST], "get", False),
        ([], "post", True),
    ],
)
def test_form_where_the_ehr_lists_it(
    make_launch_app: Any, ehr: Any, listed: list[str], method: str, is_form: bool
) -> None:
    """The EHR's own word decides between form and address, unless the registration says otherwise.

    Breaks when ``authorization_request`` does not look at the capability.
    """
    ehr.configuration_changes = {"capabilities": [*CAPABILITIES, V2, *listed]}
    app = make_launch_app(ehr, show_form=shown_form, registration={"authorize_method": method})
    answer = opened(app, ehr)
    assert answer.status_code == (200 if is_form else 303)
    if is_form:
        page = answer.get_json()
        assert page["action"] == ehr.origin + "/authorize"
        members = dict(page["members"])
    else:
        members = {name: value for name, (value,) in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    assert members["launch"] == "canary-launch"
    assert members["response_type"] == "code"
    assert len(members) == 10
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_the_endpoint_says_itself_stays_in_its_address(make_launch_app: Any, ehr: Any) -> None:
    """An authorization endpoint that carries a query of its own keeps it, and nothing of it is sent twice."""
    address = ehr.origin + "/authorize?site=7&empty="
    ehr.configuration_changes = {"capabilities": [*CAPABILITIES, V2, POST], "authorization_endpoint": address}
    page = opened(make_launch_app(ehr, show_form=shown_form), ehr).get_json()
    assert page["action"] == address
    assert not {"site", "empty"} & dict(page["members"]).keys()


def test_a_form_and_its_answer_make_a_launch(make_launch_app: Any, ehr: Any) -> None:
    """What the form carries is bound to the browser like an address: the answer opens the launch, once."""
    ehr.configuration_changes = {"capabilities": [*CAPABILITIES, V2, POST]}
    app = make_launch_app(ehr, show_form=shown_form)
    browser = app.browser()
    page = browser.get("/launch", query_string={"iss": ehr.fhir_base, "launch": "l"}).get_json()
    query = "&".join(f"{name}={value}" for name, value in page["members"])
    back = ehr.approve(f"{page['action']}?{query}")
    assert app.browser().get("/callback", query_string=back).status_code == 400
    assert browser.get("/callback", query_string=back).status_code == 303
    assert browser.get("/callback", query_string=back).status_code == 400


# --- which spelling --------------------------------------------------------------------------------------------------


@pytest.mark.requirement("smart@137")
@pytest.mark.requirement("smart@141")
@pytest.mark.parametrize(
    ("listed", "syntax", "expected"),
    [
        ([V2], "auto", "v2"),
        ([V2, "permission-v1"], "auto", "v2"),
        (["permission-v1"], "auto", "v1"),
        ([], "auto", "v1"),
        ([V2], "v1", "v1"),
        ([], "v2", "v2"),
    ],
)
def test_scopes_are_spelled_as_the_ehr_reads_them(
    make_launch_app: Any, ehr: Any, listed: list[str], syntax: str, expected: str
) -> None:
    """Version 2 of the scopes where the EHR lists it, version 1 elsewhere, unless the registration says otherwise.

    Breaks when ``begin`` asks in version 2 always.
    """
    ehr.configuration_changes = {"capabilities": [*CAPABILITIES, *listed]}
    app = make_launch_app(ehr, write_types=("Observation", "Appointment"), registration={"scope_syntax": syntax})
    asked = parse_qs(urlsplit(opened(app, ehr).headers["Location"]).query)["scope"][0].split()
    assert asked[:4] == ["launch", "openid", "fhirUser", "online_access"]
    assert asked[4:] == {
        "v2": [
            "patient/Patient.rs", "patient/Encounter.rs", "user/Practitioner.rs",
            "user/Appointment.cruds", "patient/Observation.cruds",
        ],
        "v1": [
            "patient/Patient.read", "patient/Encounter.read", "user/Practitioner.read",
            "user/Appointment.read", "user/Appointment.write", "patient/Observation.read", "patient/Observation.write",
        ],
    }[expected]  # fmt: skip


@pytest.mark.requirement("smart@7")
@pytest.mark.requirement("smart@8")
@pytest.mark.requirement("smart@9")
@pytest.mark.requirement("smart@90")
def test_tokens_and_secret_are_nowhere_in_the_clear(make_launch_app: Any, ehr: Any) -> None:
    """No cookie, event or database row holds a token or the secret: tokens are sealed, the secret is not stored.

    Breaks when ``add_launch`` keeps tokens unsealed.
    """
    ehr.client_method = "client_secret_basic"
    app = make_launch_app(ehr, registration=MODES["client_secret_basic"])
    browser = app.browser()
    app.finish(browser, ehr)
    cookies = " ".join(cookie.value for cookie in browser._cookies.values())
    with app.engine.connect() as connection:
        rows = [
            tuple(row)
            for table in ("launch_session", "launch_launch", "launch_note", "launch_pending")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")  # four names, ours
        ]
    held = cookies + repr(rows) + repr(app.events)
    assert [one for one in (*ehr.access_tokens, *ehr.refresh_tokens, SECRET) if one in held] == []
    assert rows


@pytest.mark.requirement("smart@230")
@pytest.mark.requirement("smart@232")
@pytest.mark.requirement("smart@318")
def test_no_connection_is_older_than_tls_1_2() -> None:
    """The kind of connection that every request of ours is made with does not go below TLS 1.2.

    Breaks when a context of our own sets ``minimum_version`` lower.
    """
    assert create_urllib3_context().minimum_version >= ssl.TLSVersion.TLSv1_2
    with BoundedSession() as session:
        pool = session.get_adapter("https://ehr.example").get_connection_with_tls_context(  # type: ignore[attr-defined]
            requests.Request("GET", "https://ehr.example/").prepare(), verify=True
        )
    given = pool.conn_kw.get("ssl_context")
    assert given is None or given.minimum_version >= ssl.TLSVersion.TLSv1_2
