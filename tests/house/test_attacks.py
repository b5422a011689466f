"""Attacks of the safety paper that are tried on the whole house: real apps, real database, nothing that leaves."""

from __future__ import annotations

import ast
import base64
import json
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_profiles.security_labels import SDV, labels_of
from fhir_profiles.terminology import CONFIDENTIALITY
from launch.doctor.neutral_words import telling
from smart_app.gateways.vault import Vault
from smart_app.ports import PatientKey
from smart_app.proofs.canary_search import forms_of
from smart_app.proofs.instance import Instance, Seat
from smart_app.proofs.leaving import attested, note, refer
from smart_app.proofs.observers import AUTHOR, INBOUND, OBSERVERS, OTHER_PATIENT, PATIENT
from smart_app.proofs.referrals import as_bytes, bundle, send
from smart_app.proofs.two_worlds import Bench

COPIED = {"Observation", "ServiceRequest"}
STEPS = ("cards", "decline", "note", "refer")
URL = re.compile(r'(?:src|href|action|url\()\s*=?\s*["\']?((?:https?:)?//[^"\'\s>)]+)')
TYPED = r'<input(?![^>]*type="(?:hidden|radio|checkbox)")[^>]*>'
CALL = re.compile(r"^([A-Z]+) (https?://[^/ ]+)(\S*) \[(.*?)\] ")


def calls_of(here: Instance) -> list[tuple[str, str, str, str]]:
    """Method, host, path and headers of every call since the last time."""
    return [found.groups() for line in here.senses.wire.take()[0].splitlines() if (found := CALL.match(line))]  # type: ignore[misc]


def walk(seat: Seat, step: str) -> None:
    """A whole launch with one step in it."""
    seat.ask("GET", "")
    attested(seat)
    seat.ask("GET", "")
    token = {"csrf_token": seat.token()}
    done = {
        "cards": lambda: seat.ask("POST", "cards", form={**token, "outcome": "offered"}).status_code,
        "decline": lambda: seat.ask("POST", "decline", form=token).status_code,
        "note": lambda: note(seat),
        "refer": lambda: refer(seat),
    }[step]()
    assert done == 303
    seat.ask("GET", "")
    seat.ask("POST", "leave", form=token)


def prove_it(here: Instance) -> None:
    """A site proof in force: copies may go to the EHR."""
    proof = json.loads(here.place.proof.read_text())
    here.place.proof.write_text(json.dumps(proof | {"expires_on": (here.now.date() + timedelta(days=9)).isoformat()}))


@pytest.mark.rule("attack 2")
@pytest.mark.rule("R8")
def test_attack_02_an_ehr_is_written_two_labelled_kinds_and_no_other(prove_bench: Bench) -> None:
    """With a proof in force and a copy wanted, an EHR that refuses everything was asked for a labelled note and a
    labelled request, once each, and for nothing in their place: no diagnosis, no document, no message.

    Break: in ``gateways/ehr.py`` create the payload without its ``meta``.
    """
    here = prove_bench.without.here
    expired = here.place.proof.read_text()
    with here.undone():
        prove_it(here)
        here.senses.settle()
        here.senses.wire.writes.clear()
        seat = attested(here.launch(AUTHOR, PATIENT))
        assert note(seat, wants_copy=True) == 303
        send(here, partner="harbor", patient=PATIENT, user=AUTHOR)
        here.place.proof.write_text(expired)
    assert {method for method, _ in here.senses.wire.writes} == {"POST"}
    assert sorted(path.rpartition("/")[2] for _, path in here.senses.wire.writes) == sorted(COPIED)
    for body in here.senses.wire.bodies:
        written = json.loads(body)
        levels = [label.code for label in labels_of(written) if label.system == CONFIDENTIALITY]
        assert levels == ["V"]
        assert SDV in labels_of(written)


@pytest.mark.rule("R8")
def test_rule_R08_no_run_writes_anything_of_its_own_accord(prove_bench: Bench) -> None:
    """Over every script of every observer no EHR is asked to store a diagnosis, a claim, a name, or anything at all.

    Break: in ``education.count`` write a Condition by ``services().ehr``.
    """
    here = prove_bench.without.here
    here.senses.wire.writes.clear()
    for step in STEPS:
        with here.undone():
            walk(here.launch(AUTHOR, PATIENT), step)
    for observer in OBSERVERS:
        if observer.is_on_it:
            prove_bench.without.watched(observer)
    assert here.senses.wire.writes == []


@pytest.mark.rule("attack 2")
def test_attack_02_nobody_signs_for_the_survivor(prove_bench: Bench) -> None:
    """A release that says the abuser, a proxy or nobody signed it opens nothing: refused, and nothing is kept.

    Break: let ``inbound.validate`` return nothing.
    """
    here = prove_bench.without.here
    with here.undone():
        before, seat = here.rows(), here.program("harbor")
        for signer, wanted in (("partner", 422), ("proxy", 422), ("guardian", 422), ("", 422), ("self", 202)):
            whole = as_bytes(bundle(here, "harbor", once="signed"))
            posted = whole.replace(b'"valueCode": "self"', b'"valueCode": "%s"' % signer.encode())
            assert (b'"valueCode": "self"' in posted) is (signer == "self")
            assert here.rows() == before
            answer = seat.ask("POST", "", body=posted, content_type="application/fhir+json")
            assert answer.status_code == wanted, signer


@pytest.mark.rule("attack 3")
def test_attack_03_over_the_shoulder_nothing_is_read_before_the_question(prove_bench: Bench) -> None:
    """Before the privacy question is answered, every page that a launch opens, and every open page, is neutral: words,
    title, alternative texts, icons, addresses.

    Break: put "violence" into the main block of ``templates/home.html``.
    """
    here = prove_bench.without.here
    with here.undone():
        seat = here.launch(AUTHOR, PATIENT)
        pages = [seat.ask("GET", path) for path in ("", "phones", "cards", "connect/harbor", "note", "reason")]
        pages += [here.stranger("").ask("GET", path) for path in ("/", "/phones", "/nowhere", "/launch", "/callback")]
        desks = ("sched-kim", "coord-ellis", "officer-grant", "it-raman")
        pages += [here.launch(user, None).ask("GET", "phones") for user in desks]
    told = {answer.request.path: telling(_shown(answer.get_data(as_text=True))) for answer in pages}
    assert {path: words for path, words in told.items() if words} == {}


def _shown(page: str) -> str:
    return re.sub(r'(?<=name="csrf_token" value=")[^"]*', "", page)


@pytest.mark.rule("attack 4")
def test_attack_04_the_browser_keeps_nothing(prove_bench: Bench, root: Path) -> None:
    """No page may be kept, no form remembers what was typed, a page that comes back by Back empties itself, and what is
    printed is blank but for pages that are for paper.

    Break: take ``autocomplete="off"`` out of ``templates/connect.html``.
    """
    here = prove_bench.without.here
    with here.undone():
        seat = attested(here.launch(AUTHOR, PATIENT))
        pages = [seat.ask("GET", path) for path in ("", "connect/harbor", "note", "cards", "phones")]
    for answer in pages:
        text = answer.get_data(as_text=True)
        assert answer.headers["Cache-Control"] == "no-store"
        assert all('autocomplete="off"' in tag for tag in re.findall(r"<form[^>]*>", text))
        assert all('autocomplete="off"' in tag for tag in re.findall(TYPED, text))
        assert "may-print" not in text
        assert "hide.js" in text
    script = (root / "smart_app/static/hide.js").read_text()
    assert re.search(r'"pageshow", \(event\) => \{\s*if \(!event\.persisted\) return;\s*blank\(\);', script)
    style = (root / "smart_app/static/app.css").read_text()
    assert re.search(r"@media print \{\s*body:not\(\.may-print\) > \* \{ display: none !important; \}", style)
    for storage in ("localStorage", "sessionStorage", "indexedDB", "document.cookie"):
        assert storage not in script


@pytest.mark.rule("attack 5")
def test_attack_05_the_ehr_sees_the_same_calls_whatever_was_done(prove_bench: Bench) -> None:
    """Cards given, not today, a note, a referral: the EHR's own log has the same calls of each launch, so that it does
    not tell who told something (where nothing is written to it).

    Break: take ``guards.ask_as_before_a_record`` out of ``education.count``.
    """
    here = prove_bench.without.here
    seen = {}
    for step in STEPS:
        with here.undone():
            here.senses.settle()
            walk(here.launch(AUTHOR, PATIENT), step)
            seen[step] = Counter((method, path) for method, host, path, _ in calls_of(here) if host.endswith(":9000"))
    assert sum(seen["cards"].values()) > 1
    assert all(calls == seen["cards"] for calls in seen.values()), seen


@pytest.mark.rule("attack 7")
def test_attack_07_a_key_is_worth_nothing_from_the_next_call_on(prove_bench: Bench) -> None:
    """A program whose key was stolen is closed, by its client or by its agreement: the token in use is refused at the
    next call, also by another worker, and no call to the program's key server is needed for it.

    Break: leave ``is_enabled`` out of ``PartnerTokens.require_token``.
    """
    here = prove_bench.without.here
    closings = (
        "UPDATE launch_client SET is_enabled = 0 WHERE client_id = 'harbor-system'",
        "UPDATE partner SET is_suspended = 1 WHERE partner_id = 'harbor'",
    )
    for statement in closings:
        with here.undone():
            seat = here.program("harbor")
            assert seat.ask("GET", "/Task").status_code == 200
            here.senses.settle()
            with here.base.engine.begin() as connection:
                assert connection.exec_driver_sql(statement).rowcount == 1
            answers = [seat.ask(method, path) for method, path in (("GET", "/Task"), ("POST", ""), ("GET", "/Task/x"))]
            assert [answer.status_code for answer in answers] == [401] * 3
            assert len({answer.get_data() for answer in answers}) == 1
            assert calls_of(here) == []
            assert here.program("northside").ask("GET", "/Task").status_code == 200


@pytest.mark.rule("attack 12")
def test_attack_12_pages_and_calls_reach_nobody_else(prove_bench: Bench) -> None:
    """No page loads or links anything of another site, and the app calls the EHR of the launch and the program of the
    referral, without a Referer and without a patient in any address but the chart's own.

    Break: link a font of another site in ``templates/base.html``.
    """
    here = prove_bench.without.here
    with here.undone():
        here.senses.settle()
        seat = attested(here.launch(AUTHOR, PATIENT))
        assert refer(seat) == 303
        here.work()
        desk, inbox = here.launch("sched-kim", None), here.advocate("northside")
        pages = [seat.ask("GET", path) for path in ("", "connect/harbor", "note", "cards", "cards/read", "phones")]
        pages += [desk.ask("GET", "queue"), inbox.ask("GET", "/items"), inbox.ask("GET", "/ask")]
        pages += [here.stranger("").ask("GET", path) for path in ("/", "/phones", "/nowhere")]
        calls = calls_of(here)
    foreign = {url for answer in pages for url in URL.findall(answer.get_data(as_text=True))}
    assert foreign == set()
    assert {host for _, host, _, _ in calls} == {"http://localhost:9000", "http://localhost:9100"}
    assert not [headers for *_, headers in calls if "referer" in headers.lower()]
    to_program = [path + headers for _, host, path, headers in calls if host.endswith(":9100")]
    assert not [call for call in to_program if PATIENT in call or AUTHOR in call]
    for answer in pages:
        assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.rule("R15")
def test_rule_R15_there_is_no_way_to_the_patient(prove_bench: Bench, root: Path) -> None:
    """One file of the product can send mail, it mails programs' staff alone, and no file can send an SMS or push; over
    a referral each way, with a safe number in both, nothing is sent to anybody else.

    Break: import ``smtplib`` in any other file, or mail to ``telecom`` of a safe contact.
    """
    ways = {"smtplib", "aiosmtplib", "sendgrid", "twilio", "boto3", "firebase_admin", "pywebpush", "vonage"}
    found = set()
    for package in ("smart_app", "launch", "fhir_profiles"):
        for file in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                found |= {(file.relative_to(root).as_posix(), name) for name in names if name.split(".")[0] in ways}
    assert found == {("smart_app/gateways/mail.py", "smtplib")}
    here = prove_bench.without.here
    with here.undone():
        here.senses.settle()
        send(here, partner="northside", patient=PATIENT, user=AUTHOR)
        seat = here.program("harbor")
        posted = as_bytes(bundle(here, "harbor", once="no-way"))
        assert seat.ask("POST", "", body=posted, content_type="application/fhir+json").status_code == 202
        here.work()
        here.alert()
        assert here.senses.wire.mails == []  # northside is told by phone
        assert {host for _, host, _, _ in calls_of(here)} <= {"http://localhost:9000"}


@pytest.mark.rule("R4")
def test_rule_R04_envelopes_and_whole_bodies_for_each_role(prove_bench: Bench) -> None:
    """Every Bundle that is answered has one level and no other label on itself; no desk of the clinic and no program
    that is not on the item ever reads the sensitivity label.

    Break: in ``task_searchset`` put ``SDV`` beside the level.
    """
    world = prove_bench.worlds[INBOUND]
    seen = 0
    for observer in OBSERVERS:
        for one in world.watched(observer):
            if one.body.startswith('{"resourceType":"Bundle"'):
                seen += 1
                labels = json.loads(one.body)["meta"]["security"]
                assert [label["system"] for label in labels] == [CONFIDENTIALITY], observer.name
            if observer.name.startswith(("scheduler", "coordinator", "program lead", "IT", "somebody", "a browser")):
                assert "SDV" not in one.body, (observer.name, one.asked)
    assert seen > 2


@pytest.mark.rule("R34")
def test_rule_R34_no_hash_or_token_of_a_person_leaves(prove_bench: Bench) -> None:
    """What a program is sent, and what it reads here, holds no id of the chart, of the clinician or of the visit, also
    hashed, encoded or as the digest by which our own database finds it; each referral has ids of its own.

    Break: make ``identifier_value`` of the outbound Patient a digest of the chart's id.
    """
    here = prove_bench.without.here
    with here.undone():
        here.senses.wire.sent.clear()
        for _ in range(2):
            send(here, partner="harbor", patient=PATIENT, user=AUTHOR)
        sent = [body for body in here.senses.wire.sent if b"Bundle" in body]
        read = here.program("harbor").ask("GET", "/Task").get_data()
    assert len(sent) == 2
    with here.base.engine.connect() as connection:
        digest = Vault(connection, here.base.cipher).patient_index(PatientKey("a", PATIENT))
    people = (PATIENT, f"Patient/{PATIENT}", f"a|{PATIENT}", AUTHOR, f"Practitioner/{AUTHOR}")
    for body in (*sent, read):
        for word in (*people, f"visit-of-{PATIENT}", "Provewell"):
            assert [form for form, needle in forms_of(word).items() if needle in body] == [], word
        for made in (digest.hex(), base64.b64encode(digest).decode()):
            assert made.encode() not in body
    first, second = (set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", body.decode())) for body in sent)
    assert first
    assert not first & second


@pytest.mark.rule("R29")
def test_rule_R29_no_page_about_a_patient_prints(prove_bench: Bench) -> None:
    """Of a launch only the public card may be printed; every other page comes out blank, and nothing is offered to
    print, download or export.

    Break: give ``templates/sent.html`` the body class "may-print".
    """
    world: Any = prove_bench.worlds["sent to a program's system"]
    here = world.here
    printing = set()
    with here.undone():
        seat = attested(here.launch(AUTHOR, PATIENT))
        paths = ("", "connect/harbor", "note", "cards", "cards/read", "phones", f"sent/{world.ids.case}")
        for path in paths:
            answer = seat.ask("GET", path)
            text = answer.get_data(as_text=True)
            assert answer.status_code == 200, path
            assert "attachment" not in answer.headers.get("Content-Disposition", "")
            assert not re.search(r"<a[^>]* download", text)
            if "may-print" in text:
                printing.add(path)
        attested(here.launch("nurse-ortiz", OTHER_PATIENT))
    assert printing <= {"cards/read", "phones"}
