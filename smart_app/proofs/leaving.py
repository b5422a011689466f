"""What leaves, and only then: under a release, to a program with a current agreement, by the allow-list, to no EHR
without a proof, in constant mails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from smart_app.gateways.directory import SqlDirectory
from smart_app.gateways.door import Parcel, VaultDoor
from smart_app.gateways.mail import SmtpMail
from smart_app.policy.access import Purpose, Role
from smart_app.ports import CaseKind
from smart_app.proofs.check import Check, require
from smart_app.proofs.instance import Instance, Seat
from smart_app.proofs.observers import AUTHOR, CHILD, OTHER_PATIENT, PATIENT
from smart_app.proofs.referrals import CANARIES, send
from smart_app.proofs.two_worlds import Bench
from smart_app.proofs.wire import VISIT, replaced

MAIL = ("You have an item", "You have an item.\nTiene un mensaje.")
EXTRA = "Ombelrot-Extra-91"
_SCHEDULER: dict[str, Any] = {
    "role": Role.SCHEDULER,
    "purpose": Purpose.HOPERAT,
    "patient_id": None,
    "encounter_id": None,
    "site_role": "scheduler",
}
SENT = frozenset({"Patient", "Consent", "ServiceRequest", "Task"})


def _sent(here: Instance) -> list[bytes]:
    """Bundles that a program's system was sent since the last time."""
    taken, here.senses.wire.sent = [body for body in here.senses.wire.sent if body], []
    return taken


def only_under_a_release(bench: Bench) -> None:
    """A release that ran out while the message waited, and one that was taken back: nothing is sent, by no worker."""
    here = bench.without.here
    with here.undone():
        _sent(here)
        send(here, partner="harbor", patient=PATIENT, user=AUTHOR, is_delivered=False)
        here.work(later=timedelta(days=31))
        require(_sent(here) == [], "sent after the release ran out")
    with here.undone():
        ids = send(here, partner="harbor", patient=PATIENT, user=AUTHOR, is_delivered=False)
        seat = attested(here.launch(AUTHOR, PATIENT))
        seat.ask("POST", f"sent/{ids.case}/back", form={"csrf_token": seat.token()})
        here.work()
        require(not any(b"Bundle" in body for body in _sent(here)), "sent after it was taken back")
    with here.undone():
        send(here, partner="harbor", patient=PATIENT, user=AUTHOR, is_delivered=False)
        here.work()
        require(len(_sent(here)) == 1, "under a release in force it is not sent")


def only_with_an_agreement(bench: Bench) -> None:
    """A suspended agreement: nothing is sent, the program's system and people are out with the next request."""
    here = bench.without.here
    with here.undone():
        program, person = here.program("harbor"), here.advocate("harbor")
        require(program.ask("GET", "/Task").status_code == 200, "the program's system is not let in")
        require(person.ask("GET", "/items").status_code == 200, "the program's people are not let in")
        send(here, partner="harbor", patient=PATIENT, user=AUTHOR, is_delivered=False)
        SqlDirectory(here.base.engine, here.settings.tenant_id).set_suspended("harbor", True)
        _sent(here)
        here.work()
        require(_sent(here) == [], "sent to a program whose agreement is suspended")
        require(program.ask("GET", "/Task").status_code == 401, "its system is still let in")
        require(person.ask("GET", "/items").status_code != 200, "its people are still let in")
        require(refer(attested(here.launch(AUTHOR, PATIENT))) >= 400, "the page still sends to it")


def only_the_allow_list(bench: Bench) -> None:
    """Whatever else stood in the vault, what leaves is the allow-list: no chart number, name, birth date, place,
    relative, text or nested resource."""
    here = bench.without.here
    with here.undone(), _richer_parcels():
        _sent(here)
        send(here, partner="harbor", patient=PATIENT, user=AUTHOR)
        bodies = _sent(here)
    require(len(bodies) == 1, f"{len(bodies)} bundles were sent")
    text = bodies[0].decode()
    for word in (EXTRA, PATIENT, AUTHOR, "Provewell", "1997-02-03", "contained", '"display"', "encounter"):
        require(word not in text, f"«{word}» leaves")
    require(CANARIES["phone"] in text, "the safe number does not leave, which she released")


@contextmanager
def _richer_parcels() -> Iterator[None]:
    """As if everything about a person stood in the vault."""
    release = VaultDoor.release
    more = {
        "telecom": [{"value": EXTRA}],
        "address": [{"text": EXTRA}],
        "birthDate": EXTRA,
        "contact": [{"name": EXTRA}],
        "contained": [{"resourceType": "Patient", "id": EXTRA}],
        "note": [{"text": EXTRA}],
        "encounter": {"display": EXTRA},
        "reasonCode": [{"text": EXTRA}],
        "insurance": [{"display": EXTRA}],
        "description": EXTRA,
        "text": {"div": EXTRA},
    }

    def richer(door: VaultDoor, *args: Any) -> Parcel | None:
        parcel = release(door, *args)
        if parcel is None:
            return None
        parts: dict[str, Any] = {
            name: {**getattr(parcel, name), **more} for name in ("patient", "service_request", "task")
        }
        return replace(parcel, **parts)

    with replaced(VaultDoor, "release", richer):
        yield


def no_copy_without_proof(bench: Bench) -> None:
    """Copies are set up and wanted, and the site proof ran out: no EHR is written to (R6, R8)."""
    here = bench.without.here
    with here.undone():
        here.senses.wire.writes.clear()
        send(here, partner="harbor", patient=PATIENT, user=AUTHOR)
        seat = attested(here.launch(AUTHOR, PATIENT))
        require(note(seat, wants_copy=True) == 303, "the note was not kept here")
        writes = here.senses.wire.writes
        require(writes == [], f"an EHR was written to: {writes}")


def nothing_before_the_question(bench: Bench) -> None:
    """Before the privacy question, and after "not private", nothing is recorded or sent; cards and phones are open."""
    here = bench.without.here
    with here.undone():
        for answer in ("", "not-private"):
            seat = here.launch(AUTHOR, PATIENT)
            if answer:
                attested(seat, answer)
            before = here.rows()
            for path in ("note", "connect/harbor"):
                form = {"csrf_token": seat.token(), "step": "review", "once": "x"}
                status = seat.ask("POST", path, form=form).status_code
                require(status == 403, f"{path} after «{answer}»: {status}")
            require(here.rows() == before, f"something was kept after «{answer}»")
            for path in ("cards", "phones"):
                require(seat.ask("GET", path).status_code == 200, f"{path} is closed")
        seat = attested(here.launch(AUTHOR, PATIENT))
        require(refer(seat) == 303 and note(seat) == 303, "after the question it is still locked")


def nothing_for_minors(bench: Bench) -> None:
    """In a child's chart nothing is recorded or sent; cards and phones are open."""
    here = bench.without.here
    with here.undone():
        seat = attested(here.launch(AUTHOR, CHILD))
        before = here.rows()
        require(refer(seat) in (403, 404), "a child was referred")
        require(note(seat) in (403, 404, 409), "a note was kept about a child")
        require(here.rows() == before, "something about a child was kept")
        require(seat.ask("GET", "cards").status_code == 200, "cards are closed")


def only_this_patients_visit(bench: Bench) -> None:
    """A launch whose visit is another patient's gives no care team: the patient's referrals are not shown by it."""
    here = bench.without.here
    with here.undone():
        ids = send(here, partner="harbor", patient=PATIENT, user=AUTHOR)
        for visit, wanted in ((f"{VISIT}{PATIENT}", 200), (f"{VISIT}{OTHER_PATIENT}", 404)):
            seat = attested(here.launch("nurse-ortiz", PATIENT, visit=visit))
            status = seat.ask("GET", f"sent/{ids.case}").status_code
            require(status == wanted, f"with the visit {visit}: {status}")


def constant_mails(bench: Bench) -> None:
    """The staff alert is the same for everybody and says nothing but that there is an item."""
    here = bench.without.here
    here.senses.wire.take()
    server = SmtpMail("localhost", 2525, "none", "office@clinic.example")
    for address in ("a@program.example", "b@other.example"):
        server.send(address, here.now)
    mails = here.senses.wire.take()[1].split("\nFrom: ")
    require(len(mails) == 2, f"{len(mails)} mails")
    for mail in mails:
        head, _, body = mail.partition("\n\n")
        require(f"Subject: {MAIL[0]}\n" in head + "\n" and body.strip() == MAIL[1], f"a mail says «{mail[-80:]}»")


def least_for_the_desk(bench: Bench) -> None:
    """The scheduler reads what a visit needs: no need, no program, no label but the level."""
    here = bench.worlds["sent by a program"].here
    scheduler = replace(here.requester("sched-kim", ""), **_SCHEDULER)
    with here.undone(), here.base.door.open_for(scheduler, here.now) as work:
        cases = work.find_cases(CaseKind.INBOUND)
        read = [one for case in cases for kind in sorted(SENT) for one in work.in_case(case.case_id, kind)]
    require(len(read) > 3, f"the scheduler reads {len(read)} items")
    for one in read:
        text = str(one.payload)
        require(one.is_redacted and "SDV" not in text, f"{one.reference.split('/')[0]} is not redacted")
        for word in (
            "Organization/harbor",
            "Organization/northside",
            "performer",
            "requester': {'reference",
            "reasonCode",
        ):
            require(word not in text, f"{one.reference.split('/')[0]} shows {word}")


# -- people at pages -------------------------------------------------------------------------------------------------


def attested(seat: Seat, answer: str = "alone") -> Seat:
    """After the privacy question."""
    form = {"answer": answer, "limits_said": "yes", "interpreter": "none", "csrf_token": seat.token()}
    seat.ask("POST", "privacy", form=form)
    return seat


def refer(seat: Seat) -> int:
    """Fill in the form for Harbor, look at what leaves, send it. The status of the step where it ended."""
    token = {"csrf_token": seat.token()}
    chosen = {"step": "review", "meet": "survivor-calls", "alias": "Ruth", "release_days": "30"}
    review = seat.ask("POST", "connect/harbor", form={**token, **chosen})
    found = seat.hidden(review.get_data(as_text=True), "review")
    if review.status_code != 200 or found is None:
        return review.status_code if review.status_code != 200 else 403
    last = {"step": "send", "signed": "screen", "review": found}
    return seat.ask("POST", "connect/harbor", form={**token, **last}).status_code


def note(seat: Seat, *, wants_copy: bool = False) -> int:
    """Open the note and save it as it is."""
    once = seat.hidden(seat.ask("GET", "note").get_data(as_text=True), "once") or "none"
    form = {"csrf_token": seat.token(), "once": once, "kind": "violence-disclosed"}
    return seat.ask("POST", "note", form={**form, **({"wants_ehr_copy": "yes"} if wants_copy else {})}).status_code


CHECKS: tuple[Check[Bench], ...] = (
    Check("leaving: only under a release", "run out or taken back: nothing is sent", only_under_a_release),
    Check(
        "leaving: only with an agreement", "suspended: nothing is sent, and the program is out", only_with_an_agreement
    ),
    Check("leaving: only the allow-list", "whatever stood in the vault", only_the_allow_list),
    Check(
        "leaving: no copy without a proof", "copies wanted, proof run out: no EHR is written to", no_copy_without_proof
    ),
    Check(
        "leaving: not before the question",
        "record and send are locked, cards and phones open",
        nothing_before_the_question,
    ),
    Check("leaving: nothing for minors", "record and send are off in a child's chart", nothing_for_minors),
    Check("leaving: only this patient's visit", "another patient's visit makes no care team", only_this_patients_visit),
    Check("leaving: constant mails", "the same subject and words for everybody", constant_mails),
    Check("leaving: least for the desk", "the scheduler reads what a visit needs", least_for_the_desk),
)
