"""The client against the strict sandbox EHR, each its own process or server, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from flask import Flask, Response, jsonify
from launch_events import noted_in
from sqlalchemy import Engine
from werkzeug.serving import make_server

from launch import routes
from launch import session as launch_session
from launch.client_authentication import JwksCache
from launch.errors import EhrAuthorizationEndedError, EhrError, LaunchError
from launch.keys import KeyRing
from launch.registrations import parse
from launch.store import LaunchStore

SECURITY = [
    {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"},
    {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"},
]


class Browser:
    """Follows each redirect by hand, and sends a cookie back to the host that set it, as browsers do.

    ``requests`` keeps a Secure cookie from http on this computer; browsers count loopback as safe.
    """

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}

    def get(self, url: str, method: str = "GET") -> requests.Response:
        host = str(urlsplit(url).netloc)
        held = self.cookies.setdefault(host, {})
        cookie = "; ".join(f"{name}={value}" for name, value in held.items())
        answer = requests.request(method, url, headers={"Cookie": cookie}, allow_redirects=False, timeout=20)
        held.update(answer.cookies.get_dict())
        return answer

    def post(self, url: str) -> requests.Response:
        return self.get(url, "POST")

    def walk(self, url: str) -> requests.Response:
        for _ in range(6):
            answer = self.get(url)
            if answer.status_code not in (302, 303):
                return answer
            url = urljoin(url, answer.headers["Location"])
        raise AssertionError("the redirects do not end")


class Clinic:
    """The running app and EHR, and what a test asks of them."""

    def __init__(self, ours: str, control: str, launch: routes.Launch, events: list[Any]) -> None:
        self.ours, self.control, self.launch, self.events = ours, control, launch, events

    def knob(self, **values: Any) -> None:
        requests.post(self.control + "/set", json=values, timeout=10).raise_for_status()

    def open(self, browser: Browser, base: str = "a", user: str = "dr-lee", patient: str | None = "p-dana") -> Any:
        wish = {"base": base, "user": user, "patient": patient}
        return browser.walk(requests.post(self.control + "/launch", json=wish, timeout=10).json()["url"])


@pytest.fixture(scope="module")
def sandbox_ports(start_process: Callable[..., Any], free_port: Callable[[], int], tmp_path_factory: Any) -> Any:
    ours, ehr, control = free_port(), free_port(), free_port()
    database = tmp_path_factory.mktemp("sandbox") / "ehr.sqlite"
    arguments = ["ehr", "--port", str(ehr), "--control", str(control), "--database", str(database)]
    start_process("-m", "launch.sandbox", *arguments, "--app", f"http://127.0.0.1:{ours}")
    return ours, ehr, control


@pytest.fixture
def clinic(
    sandbox_ports: Any, launch_engine: Engine, cipher: Any, keys: KeyRing, key_file: Path, request: Any
) -> Iterator[Clinic]:
    ours, ehr, control = sandbox_ports
    requests.post(f"http://127.0.0.1:{control}/reset", timeout=20).raise_for_status()
    origin, alg = f"http://localhost:{ehr}", getattr(request, "param", "ES384")
    block = {"client_id": "care-connections", "frame_origins": [origin], "signing_alg": alg}
    registrations = parse(
        {
            "public_base_url": f"http://127.0.0.1:{ours}",
            "keys_file": str(key_file),
            "allows_loopback_http": True,
            "product_name": "Care Connections",
            "ehr": [
                {**block, "id": "a", "issuer": origin + "/a/fhir", "name": "A",
                 "write_types": ["Observation", "ServiceRequest", "Appointment"]},
                {**block, "id": "b", "issuer": origin + "/b/fhir", "name": "B"},
            ],
        }
    )  # fmt: skip
    app, events = Flask("clinic"), []
    launch = routes.install(
        app, registrations, engine=launch_engine, cipher=cipher, tenant_id="hc1", on_event=noted_in(events),
        is_partner_open=lambda _: False, keys=keys,
    )  # fmt: skip
    _add_pages(app)
    server = make_server("127.0.0.1", ours, app, threaded=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield Clinic(f"http://127.0.0.1:{ours}", f"http://127.0.0.1:{control}", launch, events)
    server.shutdown()
    server.server_close()


def _add_pages(app: Flask) -> None:
    @app.errorhandler(LaunchError)
    def render(error: LaunchError) -> tuple[Response, int]:
        return jsonify(code=error.code), error.status

    @app.get("/v/<launch_id>/")
    def home(launch_id: str) -> Response:
        return jsonify(launch_session.current_launch(launch_id).to_json())

    @app.post("/v/<launch_id>/leave")
    def leave(launch_id: str) -> str:
        launch_session.end_launch(launch_id)
        return "left"


@pytest.mark.requirement("smart@62")
@pytest.mark.parametrize("clinic", ["ES384", "RS384"], indirect=True)
@pytest.mark.parametrize("base", ["a", "b"])
def test_launch_and_patient_read_end_to_end(clinic: Clinic, base: str) -> None:
    """A clinician opens the app from a chart, and the app reads that patient and that visit; no other chart opens."""
    context = clinic.open(Browser(), base).json()
    assert context["registration_id"] == base
    assert context["fhir_user"] == "Practitioner/dr-lee"
    assert context["patient_id"] == "p-dana"
    connection = clinic.launch.fhir_clients.for_launch(context["launch_id"])
    assert connection.read("Patient/p-dana")["id"] == "p-dana"
    assert connection.read(f"Encounter/{context['encounter_id']}")["status"] == "in-progress"
    assert connection.search("Encounter", {"patient": "p-dana"})
    assert connection.is_granted("Observation", "c") is (base == "a")
    with pytest.raises(EhrError) as refusal:
        connection.read("Patient/p-marcus")
    assert refusal.value.status in (403, 404)


def test_scheduler_enters_without_a_chart(clinic: Clinic) -> None:
    """A scheduler's launch opens, and holds no patient and no visit."""
    context = clinic.open(Browser(), user="sched-kim", patient=None).json()
    assert (context["fhir_user"], context["patient_id"], context["encounter_id"]) == (
        "Practitioner/sched-kim", None, None,
    )  # fmt: skip


def test_two_charts_at_two_ehrs_in_one_browser(clinic: Clinic) -> None:
    """The same patient number at two EHRs gives two launches that do not mix."""
    browser = Browser()
    first, second = clinic.open(browser, "a").json(), clinic.open(browser, "b").json()
    for context in (first, second):
        assert browser.get(f"{clinic.ours}/v/{context['launch_id']}/").json() == context
    assert Browser().get(f"{clinic.ours}/v/{first['launch_id']}/").status_code == 404


def test_label_survives_create_and_read_back(clinic: Clinic) -> None:
    """What we write comes back with its labels, and can be marked as an error and deleted from the picture."""
    context = clinic.open(Browser()).json()
    connection = clinic.launch.fhir_clients.for_launch(context["launch_id"])
    created = connection.create(
        {
            "resourceType": "Observation",
            "meta": {"security": SECURITY},
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
            "subject": {"reference": "Patient/p-dana"},
        }
    )
    stored = connection.read(created.reference)
    assert stored["meta"]["security"] == SECURITY
    wrong = {**stored, "status": "entered-in-error"}
    updated = connection.update(wrong, if_match=stored["meta"]["versionId"])
    assert updated is not None
    assert updated["status"] == "entered-in-error"
    with pytest.raises(EhrError) as stale:
        connection.update(wrong, if_match=stored["meta"]["versionId"])
    assert stale.value.status in (409, 412)


def test_empty_answer_to_a_create_still_gives_the_reference(clinic: Clinic) -> None:
    """An EHR that answers with nothing but a relative address is understood."""
    clinic.knob(empty_create=True)
    context = clinic.open(Browser()).json()
    connection = clinic.launch.fhir_clients.for_launch(context["launch_id"])
    created = connection.create(
        {
            "resourceType": "Observation",
            "meta": {"security": SECURITY},
            "status": "final",
            "code": {"text": "test"},
            "subject": {"reference": "Patient/p-dana"},
        }
    )
    assert created.payload is None
    assert f"Observation/{connection.read(created.reference)['id']}" == created.reference


@pytest.mark.requirement("smart@117")
def test_short_tokens_are_renewed_again_and_again(clinic: Clinic) -> None:
    """With tokens of three seconds and a new refresh token each time, the clinician notices nothing."""
    clinic.knob(access_token_seconds=3)
    context = clinic.open(Browser()).json()
    connection = clinic.launch.fhir_clients.for_launch(context["launch_id"])
    for _ in range(3):
        clinic.knob(expire_tokens=True)
        assert connection.read("Patient/p-dana")["id"] == "p-dana"


def test_patient_changed_on_refresh_ends_it(clinic: Clinic) -> None:
    """When the chart at the EHR became another one, the launch is over on our side too."""
    browser = Browser()
    context = clinic.open(browser).json()
    clinic.knob(patient_changes_on_refresh=True, expire_tokens=True)
    with pytest.raises(EhrAuthorizationEndedError) as ended:
        clinic.launch.fhir_clients.for_launch(context["launch_id"]).read("Patient/p-dana")
    assert ended.value.reason == "patient-changed"
    assert browser.get(f"{clinic.ours}/v/{context['launch_id']}/").status_code == 404


@pytest.mark.rule("R28")
def test_rule_R28_leaving_makes_the_token_useless_at_the_ehr(
    clinic: Clinic, launch_engine: Engine, cipher: Any
) -> None:
    """After leaving, the EHR itself refuses the token that this launch had.

    Breaks when ``_after_end`` does not revoke.
    """
    browser = Browser()
    context = clinic.open(browser).json()
    row = LaunchStore(launch_engine, cipher, "hc1").launch(context["launch_id"], now=0, idle_seconds=600)
    assert row is not None
    url = f"{context['fhir_base']}/Patient/p-dana"
    headers = {"Authorization": "Bearer " + row.tokens["access_token"]}
    assert requests.get(url, headers=headers, timeout=10).status_code == 200
    browser.post(f"{clinic.ours}/v/{context['launch_id']}/leave").raise_for_status()
    assert requests.get(url, headers=headers, timeout=10).status_code == 401


@pytest.mark.parametrize(
    ("knob", "refusal"),
    [
        ({"mixed_up_iss": True}, "authorization-refused"),
        ({"missing_iss": True}, "authorization-refused"),
        ({"error_redirect": "access_denied"}, "authorization-refused"),
        ({"expire_codes": True}, "token-refused"),
        ({"wrong_nonce": True}, "identity"),
        ({"wrong_aud": True}, "identity"),
        ({"wrong_id_token_iss": True}, "identity"),
        ({"wrong_at_hash": True}, "identity"),
        ({"unsigned_id_token": True}, "identity"),
        ({"fhir_user": "foreign"}, "identity"),
        ({"fhir_user": "patient"}, "identity"),
        ({"fhir_user": "none"}, "identity"),
    ],
)
def test_misbehaving_ehr_opens_nothing(clinic: Clinic, knob: dict[str, Any], refusal: str) -> None:
    """Each fault or attack that the sandbox can play leads to a plain refusal, and no launch is kept."""
    clinic.knob(**knob)
    answer = clinic.open(Browser())
    assert answer.json() == {"code": refusal}
    assert answer.status_code in (400, 403, 502)
    assert clinic.launch.end_expired() == 0
    assert [event.name for event in clinic.events] == ["launch-begun", "launch-refused"]


@pytest.mark.parametrize("form", ["object", "string", "none"])
def test_fhir_context_in_each_form(clinic: Clinic, form: str) -> None:
    """The older and the newer way to name what else is in focus are both understood."""
    clinic.knob(fhir_context=form)
    found = clinic.open(Browser()).json()["fhir_context"]
    assert bool(found) is (form != "none")


def test_rotated_keys_of_the_ehr_are_found(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """An EHR that changed its signing keys opens the app all the same; an unknown key is looked for once a minute.

    Breaks when an unknown key id does not lead to a second look.
    """
    assert clinic.open(Browser()).status_code == 200
    clinic.knob(rotate_keys=True)
    assert clinic.open(Browser()).json() == {"code": "identity"}
    monkeypatch.setattr(JwksCache, "REFETCH_SECONDS", 0)
    assert clinic.open(Browser()).status_code == 200
