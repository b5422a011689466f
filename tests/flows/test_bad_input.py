"""Whatever comes in wrong gets a plain answer that says what to do; it tells, stores and breaks nothing."""

from __future__ import annotations

import copy
import json
import re
import secrets
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from parties import ProgramSystem, Vault, sit_down

from smart_app.demo import Place
from smart_app.proofs.canary_search import found_in, kept_by_the_app
from smart_app.tour.browser import Browser, Page
from smart_app.tour.sandboxes import SandboxEhr, SandboxProgram, until

Payload = dict[str, Any]
TECHNICAL = re.compile(r"Traceback|File \"|line \d+|Exception|Error\b|sqlalchemy|werkzeug|flask|joserfc", re.IGNORECASE)
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
KINDS = ("Patient", "Consent", "ServiceRequest", "Task")


@pytest.fixture(scope="module", autouse=True)
def no_defect_in_the_log(demo: Place) -> Iterator[None]:
    """After everything of this file the app has not once answered 500, and met nothing unexpected."""
    start = len(_log(demo))
    yield
    lines = [json.loads(line) for line in _log(demo)[start:] if line.startswith("{")]
    assert lines
    assert [line for line in lines if line.get("status", 0) == 500 or line["event"] == "unexpected"] == []
    assert not [line for line in _log(demo)[start:] if not line.startswith("{")]


def _log(demo: Place) -> list[str]:
    return (demo.directory / "app.log").read_text().splitlines()


# -- launches ----------------------------------------------------------------------------------------------------------


class Listener:
    """A server that nobody may speak to: it counts who connects."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.close()


def require_plain(page: Page, status: int, words: str, *never: str) -> None:
    """A page for a person: what happened, what to do next, numbers to call, and nothing of what was sent."""
    assert page.status == status, page.text[:300]
    assert words in page.text
    assert re.search(r"Ask|Open|open|Wait|Close", page.text)
    assert any(link.endswith("/phones") for link in page.links)
    assert not TECHNICAL.search(page.html), TECHNICAL.search(page.html)
    assert [word for word in never if word in page.html] == []


@pytest.mark.rule("attack 9")
@pytest.mark.parametrize(
    "iss",
    [
        "http://127.0.0.1:{port}/fhir",
        "http://localhost:{port}/a/fhir",
        "http://{ehr}@127.0.0.1:{port}/a/fhir",
        "http://127.0.0.1:{port}/?x=http://{ehr}/a/fhir",
        "http://127.0.0.1:{port}#http://{ehr}/a/fhir",
        "http://{ehr}.127.0.0.1:{port}/a/fhir",
        "//127.0.0.1:{port}/a/fhir",
        "http://{ehr}/a/fhir/../../b/fhir",
        "http://{ehr}/A/fhir",
        "http://{ehr}/a/fhir//",
        "http://{ehr}/a/fhir?x=1",
        "HTTP://{ehr}/a/fhir",
        " http://{ehr}/a/fhir",
        "file:///etc/passwd",
        "x",
    ],
)
def test_attack_09_an_unknown_ehr_is_refused_before_any_connection(demo: Place, listener: Listener, iss: str) -> None:
    """An address that is not registered letter by letter gets a page, and nobody is called to find out.

    Break: fetch ``.well-known/smart-configuration`` of ``iss`` before ``registrations.for_issuer``.
    """
    sent = iss.format(port=listener.port, ehr=urlsplit(demo.ehr_url).netloc)
    page = Browser().get(f"{demo.app_url}/launch?iss={quote(sent, safe='')}&launch=abc")
    if sent == sent.strip():
        require_plain(page, 400, "This EHR is not registered here.", str(listener.port), "passwd")
        assert "Ask your health-center IT" in page.text
    assert page.status == 400
    assert listener.connections == 0


def test_the_listener_would_notice(listener: Listener) -> None:
    """The counter itself is tried: one connection is one."""
    socket.create_connection(("127.0.0.1", listener.port)).close()
    assert until(lambda: listener.connections, seconds=5) == 1


@pytest.mark.parametrize(
    "query",
    [
        "launch=abc",
        "iss={iss}&launch=",
        "iss=&launch=abc",
        "iss={iss}&launch=abc&launch=def",
        "iss={iss}&iss={iss}&launch=abc",
        "iss={iss}&launch=" + "x" * 5000,
        "iss={iss}&launch=a%00b",
        "iss={iss}&launch=a%0D%0ASet-Cookie:x",
    ],
)
def test_a_launch_that_lacks_or_doubles_something_is_explained(demo: Place, query: str) -> None:
    """An EHR that is set up wrongly: the person reads what to do."""
    iss = quote(f"{demo.ehr_url}/a/fhir", safe="")
    page = Browser().get(f"{demo.app_url}/launch?{query.format(iss=iss)}")
    require_plain(page, 400, "did not send what a launch needs", "abc", "xxxxx")
    assert "Open the app from a patient's chart" in page.text


@pytest.mark.requirement("smart@36")
@pytest.mark.parametrize("query", ["", "iss={iss}", "iss=https://evil.example/fhir"])
def test_opening_from_a_bookmark_says_where_the_app_is(demo: Place, query: str) -> None:
    """A bookmark or a portal is not the EHR: the page says where in the EHR the app is, and the numbers are there.

    Break: in ``Authorization.begin``, leave out the look for ``launch``.
    """
    page = Browser().get(f"{demo.app_url}/launch?{query.format(iss=quote(f'{demo.ehr_url}/a/fhir', safe=''))}")
    require_plain(page, 400, "opens from inside the EHR only", "evil.example")
    assert "open the patient's chart" in page.text
    assert page.link("/phones")


@pytest.mark.parametrize(
    "query", ["", "state=made-up&code=abc", "code=abc", "state=a&state=b&code=abc", "state=" + "x" * 200]
)
def test_a_return_with_a_wrong_state_is_explained(demo: Place, query: str) -> None:
    """Nobody comes in with a state that was never given out."""
    require_plain(Browser().get(f"{demo.app_url}/callback?{query}"), 400, "started somewhere else", "made-up", "abc")


@pytest.mark.rule("attack 11")
def test_attack_11_a_return_is_for_the_browser_that_began_and_for_once(ehr: SandboxEhr, demo: Place) -> None:
    """The address with code and state does not work in another browser, and not twice.

    Break: leave ``session_id`` out of the ``where`` of ``LaunchStore.take_pending``.
    """
    browser = Browser()
    back = _callback_address(browser, ehr.launch_url("a", "dr-lee", "p-dana"))
    state, code = (parse_qs(urlsplit(back).query)[name][0] for name in ("state", "code"))
    other = Browser()
    _callback_address(other, ehr.launch_url("a", "dr-lee", "p-rosa"))  # it has a cookie and a launch on its way, too
    for stranger in (Browser(), other):
        require_plain(stranger.get(back), 400, "started somewhere else", state, code)
    assert browser.get(back).status == 200
    require_plain(browser.get(back), 400, "already used", state, code)


def _callback_address(browser: Browser, launch_url: str) -> str:
    """Where the EHR would send this browser back to, without going there."""
    page = Page(browser._send("GET", launch_url, None))
    (form,) = (form for form in page.forms if form.goes_by_itself)
    return str(browser._send(form.method, form.action, form.fields).headers["Location"])


@pytest.mark.requirement("smart@50")
@pytest.mark.parametrize(
    ("switch", "status", "words"),
    [
        ({"expire_codes": True}, 502, "did not complete the sign-in"),
        ({"error_redirect": "access_denied"}, 403, "did not allow this app to open"),
        ({"error_redirect": "<script>alert(1)</script>"}, 403, "did not allow this app to open"),
        ({"mixed_up_iss": True}, 403, "did not allow this app to open"),
        ({"missing_iss": True}, 403, "did not allow this app to open"),
        ({"wrong_aud": True}, 403, "did not say who you are"),
        ({"wrong_nonce": True}, 403, "did not say who you are"),
        ({"wrong_id_token_iss": True}, 403, "did not say who you are"),
        ({"wrong_at_hash": True}, 403, "did not say who you are"),
        ({"unsigned_id_token": True}, 403, "did not say who you are"),
        ({"fhir_user": "foreign"}, 403, "did not say who you are"),
        ({"fhir_user": "patient"}, 403, "did not say who you are"),
        ({"fhir_user": "none"}, 403, "did not say who you are"),
        ({"drop_scopes": ["openid"]}, 403, "did not say who you are"),
        ({"without_patient": True}, 403, "from a patient's chart"),
        ({"server_error": True, "retry_after_seconds": 0}, 502, "The EHR did not answer"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_an_ehr_that_answers_wrongly_is_explained(
    ehr: SandboxEhr, vault: Vault, turn: Callable[..., None], switch: dict[str, Any], status: int, words: str
) -> None:
    """A code that came too late, an identity that is not for us, too small a grant: nobody is let in, all is said."""
    before = vault.counts()
    turn(**switch)
    desk = sit_down(ehr, "a", "dr-lee", "p-dana")
    require_plain(desk.page, status, words, "<script>", "p-dana", "access_denied", "another-app", "Thrumwhistle")
    assert vault.counts() == before


@pytest.mark.requirement("smart@147")
def test_without_the_right_to_read_the_patient_cards_and_phones_stay_open(
    ehr: SandboxEhr, vault: Vault, turn: Callable[..., None]
) -> None:
    """An EHR that does not let the app read the patient opens a smaller app: the page says what is off and what to ask
    IT for; cards and numbers work, nothing can be saved.

    Break: in chart.home, leave out the look at ``may_read_patient``.
    """
    before = vault.counts()
    turn(drop_scopes=["patient/Patient.rs"])
    desk = sit_down(ehr, "a", "dr-lee", "p-dana")
    assert desk.page.status == 200
    for words in ("read whose chart this is", "Ask your IT for: patient/Patient.rs"):
        assert words in desk.page.text
    for path in ("phones", "cards/read", "cards"):
        assert desk.open(path).status == 200
        assert "Dana" not in desk.page.text
    assert desk.force("privacy", answer="alone", limits_said="yes", interpreter="trained").status == 200
    for path in ("note", "connect/harbor"):
        assert desk.open(path).status == 403
        assert "nothing can be saved or sent here" in desk.page.text
    assert vault.counts() == before


def test_without_the_right_to_write_the_note_stays_here(ehr: SandboxEhr, turn: Callable[..., None]) -> None:
    """The EHR grants less than was asked for: the note is kept here, and the page says that no copy was made."""
    turn(drop_scopes=["patient/Observation.cruds"])
    desk = sit_down(ehr, "a", "dr-lee", "p-walter", answer="alone")
    desk.open("note")
    saved = desk.submit("/note", wants_ehr_copy="yes")
    assert saved.status == 200
    assert "did not take a copy" in saved.text
    assert "own encrypted store" in saved.text


# -- programs ----------------------------------------------------------------------------------------------------------

Change = Callable[[Payload, str], "bytes | Payload"]


def part(bundle: Payload, kind: str) -> Payload:
    """The first resource of a type."""
    return next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind)


def place(bundle: Payload, kind: str) -> str:
    number = next(n for n, e in enumerate(bundle["entry"]) if e["resource"]["resourceType"] == kind)
    return f"Bundle.entry[{number}].resource"


def _set(kind: str, **elements: Any) -> Change:
    def change(bundle: Payload, word: str) -> Payload:
        filled = json.loads(json.dumps(elements).replace("WORD", word))
        part(bundle, kind).update(filled)
        return bundle

    return change


def _labels(kind: str, *codes: str) -> Change:
    def change(bundle: Payload, word: str) -> Payload:
        security = part(bundle, kind)["meta"]["security"]
        security[:] = [label for label in security if label["system"] != CONFIDENTIALITY]
        security += [{"system": CONFIDENTIALITY, "code": code} for code in codes]
        return bundle

    return change


def _key(kind: str) -> Change:
    def change(bundle: Payload, word: str) -> Payload:
        part(bundle, kind)[word] = "x"
        return bundle

    return change


def _raw(make: Callable[[bytes, bytes], bytes]) -> Change:
    return lambda bundle, word: make(json.dumps(bundle).encode(), word.encode())


def _nested(bundle: Payload, word: str) -> bytes:
    return b'{"resourceType":"Bundle","x":' + b'{"a":' * 60 + json.dumps(word).encode() + b"}" * 61


def _without(kind: str) -> Change:
    def change(bundle: Payload, word: str) -> Payload:
        part(bundle, "Patient")["name"][0]["given"] = [word]
        bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] != kind]
        return bundle

    return change


def _extra(bundle: Payload, word: str) -> Payload:
    more = {"resourceType": "Condition", "note": [{"text": word}], "subject": {"reference": "Patient/1"}}
    bundle["entry"].append({"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": more})
    return bundle


def _period(start: str, end: str) -> Change:
    def change(bundle: Payload, word: str) -> Payload:
        part(bundle, "Consent")["provision"]["period"] = {"start": start, "end": end}
        part(bundle, "Patient")["name"][0]["given"] = [word]
        return bundle

    return change


BODIES: dict[str, tuple[int, str | None, Change]] = {
    "empty": (400, None, lambda bundle, word: b""),
    "cut off": (400, None, _raw(lambda body, word: body[: len(body) // 2] + word)),
    "not UTF-8": (400, None, _raw(lambda body, word: body + b"\xff" + word)),
    "a list": (400, None, _raw(lambda body, word: b"[" + body + b"]")),
    "a text": (400, None, _raw(lambda body, word: b'"' + word + b'"')),
    "not a number": (400, None, _raw(lambda body, word: body[:-1] + b',"x":NaN,"y":"' + word + b'"}')),
    "half a character": (400, None, _raw(lambda body, word: body[:-1] + b',"' + word + b'":"\\ud800"}')),
    "a key twice": (400, None, _raw(lambda body, word: body[:-1] + b',"' + word + b'":1,"' + word + b'":2}')),
    "too deep": (400, None, _nested),
    "too large": (413, None, _raw(lambda body, word: body[:-1] + b',"x":"' + word * 60_000 + b'"}')),
    "spaces up to the limit": (413, None, _raw(lambda body, word: body[:-1] + b" " * 1_000_000 + b'}')),
    "two confidentiality codes on a Task": (422, "Task.meta.security", _labels("Task", "V", "R")),
    "two confidentiality codes on a Consent": (422, "Consent.meta.security", _labels("Consent", "R", "N")),
    "a label below ours": (422, "ServiceRequest.meta.security", _labels("ServiceRequest", "N")),
    "a level that does not exist": (422, "Patient.meta.security", _labels("Patient", "X")),
    "an unknown status": (422, "Task.status", _set("Task", status="WORD")),
    "an unknown element": (422, "Task", _key("Task")),
    "a narrative": (422, "ServiceRequest", _set("ServiceRequest", note=[{"text": "WORD"}])),
    "a text block": (422, "Patient", _set("Patient", text={"status": "generated", "div": "<div>WORD</div>"})),
    "an address": (422, "Patient", _set("Patient", address=[{"line": ["WORD"]}])),
    "something contained": (422, "Task", _set("Task", contained=[{"resourceType": "Patient", "id": "WORD"}])),
    "a number for a text": (422, "Patient.name", _set("Patient", name=[{"use": "anonymous", "given": [7]}])),
    "an extra record": (422, "Bundle.entry", _extra),
    "no release": (422, "Bundle.entry", _without("Consent")),
    "a release that ended": (422, "Consent", _period("2020-01-01", "2020-01-31")),
    "a release for a year": (422, "Consent.provision.period", _period("2026-01-01", "2030-12-31")),
    "a referral to another clinic": (
        422, "Consent.provision.actor", _set("Task", owner={"reference": "Organization/WORD"}),
    ),
    "a referral by another program": (
        422, "ServiceRequest.requester", _set("Task", requester={"reference": "Organization/northside"}),
    ),
    "a release to another clinic": (422, "Consent.provision.actor", lambda bundle, word: _actor(bundle, word)),
}  # fmt: skip


def _actor(bundle: Payload, word: str) -> Payload:
    part(bundle, "Consent")["provision"]["actor"][0]["reference"] = {"reference": f"Organization/{word}"}
    return bundle


def require_outcome(answer: requests.Response, status: int, expression: str | None, word: str) -> None:
    """An OperationOutcome that says where, in our words; nothing of what was sent."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["Content-Type"] == "application/fhir+json"
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"]
    assert word not in answer.text
    assert word not in str(answer.headers)
    assert not TECHNICAL.search(json.dumps([issue.get("diagnostics", "") for issue in outcome["issue"]]))
    if expression is not None:
        found = [one for issue in outcome["issue"] for one in issue.get("expression", [])]
        assert found
        assert any(one.startswith(expression) for one in found), found
        assert all(re.fullmatch(r"[A-Z][A-Za-z]+(\.[A-Za-z]+(\[\d+\])?)*", one) for one in found), found


@pytest.fixture
def word() -> str:
    """A word that was never anywhere before."""
    return f"Zyx{secrets.token_hex(9)}"


@contextmanager
def nothing_kept(demo: Place, vault: Vault, word: str) -> Iterator[None]:
    """No row more, and the word nowhere on disk. The denial itself is in the audit log, without it."""
    before = vault.counts()
    yield
    assert vault.counts() == before
    assert found_in([word], kept_by_the_app(demo.directory)) == []


@pytest.mark.rule("R17")
@pytest.mark.parametrize("name", BODIES)
def test_rule_R17_a_bad_referral_is_refused_and_forgotten(
    demo: Place, vault: Vault, harbor: ProgramSystem, word: str, name: str
) -> None:
    """A message that is not what it should be is refused with the place of the fault, and leaves nothing.

    Break: put the value into an Issue's text in ``shapes.Report``, or store before ``_issues`` is asked.
    """
    status, expression, change = BODIES[name]
    bundle = harbor.bundle(word)
    sent = change(copy.deepcopy(bundle), word)
    kind, _, rest = (expression or "").partition(".")
    if kind in KINDS:
        expression = f"{place(bundle, kind)}.{rest}".removesuffix(".")
    with nothing_kept(demo, vault, word):
        answer = harbor.post(sent)
        require_outcome(answer, status, expression, word)


def test_a_body_in_pieces_is_counted_too(demo: Place, vault: Vault, harbor: ProgramSystem, word: str) -> None:
    """Leaving out the length does not get a larger message in."""
    pieces = iter([b'{"resourceType":"Bundle","x":"', *[word.encode() * 1000] * 60, b'"}'])
    headers = {"Authorization": f"Bearer {harbor.token()}", "Content-Type": "application/fhir+json"}
    with nothing_kept(demo, vault, word):
        answer = requests.post(f"{demo.app_url}/fhir", data=pieces, headers=headers, timeout=20)
        require_outcome(answer, 413, None, word)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "", {"Content-Type": "text/plain"}, 415),
        ("POST", "", {"Authorization": ""}, 401),
        ("POST", "", {"Authorization": "Bearer WORD"}, 401),
        ("POST", "", {"Authorization": "Basic WORD"}, 401),
        ("POST", "?WORD=1", {}, 400),
        ("GET", "/Task?patient=WORD", {}, 400),
        ("GET", "/Patient?name=WORD", {}, 400),
        ("GET", "/Task/WORD", {}, 404),
        ("GET", "/Task/../Patient/WORD", {}, 400),
        ("GET", "/Appointment/WORD", {}, 404),
        ("GET", "/Patient/WORD", {}, 400),
        ("GET", "/Task/WORD/_history", {}, 400),
        ("POST", "/Patient/WORD/$everything", {}, 400),
        ("DELETE", "/Task/WORD", {}, 400),
        ("PUT", "/Task/WORD", {}, 428),
        ("PUT", "/Task/WORD", {"If-Match": 'W/"1"'}, 422),
        ("POST", "/Consent", {}, 422),
        ("PATCH", "/Task/WORD", {}, 428),
        ("PATCH", "/Task/WORD", {"If-Match": 'W/"1"'}, 415),
        ("GET", "/Task?status=WORD", {}, 400),
        ("GET", "/Task/WORD/$status", {}, 404),
        ("PUT", "/HealthcareService/WORD", {"If-Match": 'W/"1"'}, 403),
    ],
)
def test_a_request_that_is_not_offered_tells_nothing(
    demo: Place,
    vault: Vault,
    harbor: ProgramSystem,
    word: str,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
) -> None:
    """Other methods, other addresses, other words: a short answer that repeats nothing."""
    sent = {name: value.replace("WORD", word) for name, value in headers.items()}
    body = json.dumps({"resourceType": "Task", "id": word, "status": word}).encode()
    if path == "/Consent":
        body = json.dumps({"resourceType": "Consent", "status": word, word: 1}).encode()
    with nothing_kept(demo, vault, word):
        answer = harbor.send(method, path.replace("WORD", word), body if method != "GET" else None, sent)
        require_outcome(answer, status, None, word)


def test_a_message_that_is_no_http_leaves_no_word(demo: Place, word: str) -> None:
    """What the server itself refuses, a broken request line or header, is not repeated in its log either."""
    address = ("127.0.0.1", demo.ports.app)
    for request in (
        f"GET /callback?code={word} HTTP/1.1 {word}\r\n\r\n",
        f"GET /callback?code={word} HTTP/1.1\r\nHost: x\r\n{word} : {word}\r\n\r\n",
        f"GET /{word * 400} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"{word} /launch?launch={word} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"POST /fhir HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{word}\r\n",
    ):
        with socket.create_connection(address, timeout=20) as connection:
            connection.sendall(request.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 4"), request[:60]
    assert found_in([word], kept_by_the_app(demo.directory)) == []


@pytest.mark.rule("R3")
def test_rule_R03_an_unlabelled_referral_is_taken_and_labelled(vault: Vault, harbor: ProgramSystem) -> None:
    """A program that sends no labels is not turned away: every record is very restricted and sensitive from then on.

    Break: let ``Unit._labelled`` return the payload as it came.
    """
    bundle = harbor.bundle()
    for entry in bundle["entry"]:
        del entry["resource"]["meta"]
    bundle.pop("meta", None)
    known = vault.rows("SELECT max(rowid) FROM vault_resource")[0][0] or 0
    answer = harbor.post(bundle)
    assert answer.status_code == 202
    stored = dict(vault.rows(f"SELECT resource_type, labels FROM vault_resource WHERE rowid > {known}"))
    assert set(stored) == {*KINDS, "Appointment"}
    assert all("C|V" in labels and "A|SDV" in labels for labels in stored.values()), stored
    shown = harbor.send("GET", urlsplit(answer.headers["Location"]).path.removeprefix("/fhir")).json()
    assert {label["code"] for label in shown["meta"]["security"]} >= {"V", "SDV"}


@pytest.mark.rule("R16")
def test_rule_R16_the_refused_message_can_be_sent_again_mended(vault: Vault, harbor: ProgramSystem) -> None:
    """A refusal claims no identifier: the program mends its message, sends it under the same name, and is heard.

    Break: claim the receipt before the issues are looked at.
    """
    bundle = harbor.bundle()
    broken = copy.deepcopy(bundle)
    part(broken, "Consent")["status"] = "inactive"
    before = vault.counts()
    assert harbor.post(broken).status_code == 422
    assert vault.counts() == before
    assert harbor.post(bundle).status_code == 202


def test_the_same_name_with_another_body_is_a_conflict(vault: Vault, harbor: ProgramSystem, word: str) -> None:
    """Two different people cannot hide behind one message number."""
    bundle = harbor.bundle()
    assert harbor.post(bundle).status_code == 202
    before = vault.counts()
    part(bundle, "Patient")["name"][0]["given"] = [word]
    answer = harbor.post(bundle)
    require_outcome(answer, 409, None, word)
    assert vault.counts() == before


def test_forms_with_nonsense_are_refused_in_words(ehr: SandboxEhr, vault: Vault, program: SandboxProgram) -> None:
    """A page's form with made-up choices, too long words or a foreign program: plain words, nothing stored."""
    before, received = vault.counts(), len(program.received())
    desk = sit_down(ehr, "a", "dr-lee", "p-rosa", answer="alone")
    forms = [
        ("note", {"once": "made-up", "wants_ehr_copy": "no"}),
        ("note", {"once": "", "kind": "x" * 5000}),
        ("connect/harbor", {"step": "review", "meet": "made-up", "alias": "Robin"}),
        ("connect/harbor", {"step": "review", "meet": "survivor-calls", "alias": "x" * 500}),
        ("connect/harbor", {"step": "review", "meet": "safe-contact", "alias": "Robin", "phone": "<script>"}),
        ("connect/harbor", {"step": "review", "meet": "survivor-calls", "alias": "Robin", "release_days": "9999"}),
        ("connect/harbor", {"step": "review", "meet": "survivor-calls", "alias": "Robin", "needs": "made-up"}),
        ("connect/harbor", {"step": "send", "signed": "screen", "review": "made-up"}),
        ("connect/harbor", {"step": "made-up"}),
        ("connect/made-up", {"step": "review", "meet": "survivor-calls", "alias": "Robin"}),
        ("privacy", {"answer": "made-up"}),
        ("cards", {"outcome": "made-up"}),
        ("connect/harbor", {"step": "x" * 200_000}),
    ]
    for path, fields in forms:
        page = desk.force(path, **fields)
        assert page.status in (400, 404, 409, 413, 422), (path, fields, page.status)
        assert not TECHNICAL.search(page.html)
        assert "made-up" not in page.html.replace(desk.home, "")
        assert "<script>" not in page.html
    assert vault.counts() == before
    assert len(program.received()) == received
