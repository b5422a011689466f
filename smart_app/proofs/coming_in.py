"""What comes in: only under a release, only the allow-list, labelled, answered the same for everybody; and what a
program may write back."""

from __future__ import annotations

import copy
import json
import sqlite3
from typing import Any

from smart_app.proofs.canary_search import found_in
from smart_app.proofs.check import Check, require
from smart_app.proofs.instance import Instance, Seat
from smart_app.proofs.leaving import attested
from smart_app.proofs.observers import AUTHOR, OUT_TO_INBOX, PATIENT
from smart_app.proofs.recording import Exchange, alike
from smart_app.proofs.referrals import as_bytes, bundle
from smart_app.proofs.two_worlds import Bench

WORD = "Gasworks-Ombelrot-31"
JSON = "application/fhir+json"


def _posted(seat: Seat, payload: Any) -> Exchange:
    return seat.record("POST", "", body=as_bytes(payload), content_type=JSON)


def _entries(payload: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one["resource"] for one in payload["entry"] if one["resource"]["resourceType"] == kind]


def _without(payload: dict[str, Any], kind: str) -> dict[str, Any]:
    return {**payload, "entry": [one for one in payload["entry"] if one["resource"]["resourceType"] != kind]}


def _refused(here: Instance, payload: Any, what: str) -> None:
    """422 without an echo; nothing of it is kept, on disk or in the log."""
    before = here.rows()
    one = _posted(here.program("harbor"), payload)
    require(one.status == 422, f"{what}: {one.status}")
    require(WORD not in one.body, f"{what}: the answer repeats it")
    require(WORD not in one.log, f"{what}: the log repeats it")
    require(here.rows() == before, f"{what}: something was kept")


def _nowhere(here: Instance) -> None:
    """The word stands in no file of the health center, in no form."""
    found = found_in([WORD], [one for one in here.place.directory.iterdir() if one.is_file()])
    require(found == [], f"kept after all: {found}")


def only_under_a_release(bench: Bench) -> None:
    """Without a release to this clinic, with one to another, one that is over, or one that the wrong person signed:
    422, and nothing of the body is kept."""
    here = bench.without.here
    with here.undone():
        good = bundle(here, "harbor", once="prove-release", alias=WORD, tells_time=False)
        _refused(here, _without(good, "Consent"), "no release")
        for what, change in (
            ("to another", lambda one: one["provision"]["actor"][0]["reference"].update(reference="Organization/x")),
            ("over", lambda one: one["provision"]["period"].update(start="2020-01-01", end="2020-01-31")),
            ("not active", lambda one: one.update(status="inactive")),
        ):
            wrong = copy.deepcopy(good)
            change(_entries(wrong, "Consent")[0])  # type: ignore[no-untyped-call]
            _refused(here, wrong, what)
        _nowhere(here)
        require(_posted(here.program("harbor"), good).status == 202, "a good one is not taken")


def only_the_allow_list(bench: Bench) -> None:
    """A place, a story, a relative, a nested or an additional resource, a key of the sender's own: 422, no echo."""
    here = bench.without.here
    with here.undone():
        good = bundle(here, "harbor", once="prove-list")
        for kind, key, value in (
            ("Patient", "address", [{"text": WORD}]),
            ("Patient", "contact", [{"name": {"text": WORD}}]),
            ("Patient", "birthDate", "1990-01-01"),
            ("ServiceRequest", "note", [{"text": WORD}]),
            ("ServiceRequest", "reasonCode", [{"text": WORD}]),
            ("Task", "description", WORD),
            ("Task", "contained", [{"resourceType": "Patient", "id": "x", "name": [{"text": WORD}]}]),
            ("ServiceRequest", WORD, 1),
            ("Patient", "text", {"status": "generated", "div": f"<div>{WORD}</div>"}),
        ):
            wrong = copy.deepcopy(good)
            _entries(wrong, kind)[0][key] = value
            _refused(here, wrong, f"{kind}.{'…' if key == WORD else key}")
        extra = copy.deepcopy(good)
        extra["entry"].append({"resource": {"resourceType": "Observation", "status": "final"}})
        _refused(here, extra, "an Observation more")
        _nowhere(here)


def same_for_everybody(bench: Bench) -> None:
    """Known here or not, in the chart or not: the same status, bytes, headers and number of statements."""
    here = bench.without.here
    answers = []
    for alias, once in (("Jo", "same-1"), ("Nobody-Known", "same-2"), ("Provewell", "same-3")):
        with here.undone():
            one = _posted(here.program("harbor"), bundle(here, "harbor", once=once, alias=alias))
            answers.append((one.status, alike(one.body), alike(one.headers), one.statements))
    require(len(set(answers)) == 1 and answers[0][0] == 202, f"they differ: {answers}")


def labelled(bench: Bench) -> None:
    """A label below ours and two levels are refused; what comes without labels is stored with the whole set."""
    here = bench.without.here
    confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    with here.undone():
        good = bundle(here, "harbor", once="prove-labels")
        for what, codes in (("a lower one", ["N"]), ("two levels", ["V", "R"])):
            wrong = copy.deepcopy(good)
            _entries(wrong, "Task")[0]["meta"]["security"] = [
                {"system": confidentiality, "code": code} for code in codes
            ]
            _refused(here, wrong, what)
        bare = copy.deepcopy(good)
        for one in bare["entry"]:
            one["resource"].get("meta", {}).pop("security", None)
            if not one["resource"].get("meta"):
                one["resource"].pop("meta", None)
        answer = here.program("harbor").ask("POST", "", body=as_bytes(bare), content_type=JSON)
        require(answer.status_code == 202, f"without labels: {answer.status_code}")
        task = answer.headers["Location"].rsplit("/", 1)[1]
        shown = json.loads(here.program("harbor").ask("GET", f"/Task/{task}").get_data())
        stored = {label["code"] for label in shown["meta"]["security"]}
        require({"V", "SDV"} <= stored, f"stored with {sorted(stored)}")


def unlabelled_is_hidden(bench: Bench) -> None:
    """A row whose label is gone, unknown or too low is shown to nobody, and the privacy officer is told."""
    world = bench.worlds[OUT_TO_INBOX]
    here = world.here
    for label in ("", "[C|N]", "[C|V]", "[C|V][C|R][A|SDV]", "[X|V][A|SDV]"):
        with here.undone():
            connection = sqlite3.connect(here.database, timeout=20)
            connection.execute("PRAGMA ignore_check_constraints = ON")
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f'DROP TRIGGER "{name}"')
            changed = connection.execute("UPDATE vault_resource SET labels = ?", (label,)).rowcount
            connection.commit()
            connection.close()
            require(changed > 0, "no row was changed")
            seat = attested(here.launch(AUTHOR, PATIENT))
            status = seat.ask("GET", f"sent/{world.ids.case}").status_code
            require(status == 404, f"a row labelled «{label}» is shown: {status}")
            kinds = {alert.kind for alert in here.services.alerts.open_alerts()}
            require("vault-row-not-trusted" in kinds, f"nobody was told of «{label}»")


def too_low_is_hidden(bench: Bench) -> None:
    """A row that is whole, and whose own label is too low to be one of ours, is shown to nobody either."""
    world = bench.worlds[OUT_TO_INBOX]
    here, ids = world.here, world.ids
    with here.undone():
        here.relabel(ids.case, "N")
        status = attested(here.launch(AUTHOR, PATIENT)).ask("GET", f"sent/{ids.case}").status_code
        require(status == 404, f"a row labelled N is shown: {status}")
        kinds = {alert.kind for alert in here.services.alerts.open_alerts()}
        require("vault-row-not-trusted" in kinds, "nobody was told")


def back_only_under_a_release(bench: Bench) -> None:
    """Without the survivor's release to the clinic a program's word is refused in constant bytes and not stored; with
    one, only as far as its tier reaches."""
    world = bench.worlds[OUT_TO_INBOX]
    here, ids = world.here, world.ids
    with here.undone():
        here.advocate("northside").ask(
            "POST", f"/items/{ids.case}/open", form={"csrf_token": here.advocate("northside").token()}
        )
        seat = here.program("northside")
        read = seat.ask("GET", f"/Task/{ids.task}")
        require(read.status_code == 200, f"the program does not read its Task: {read.status_code}")
        shown, tag = json.loads(read.get_data()), {"If-Match": read.headers["ETag"]}
        before = here.rows()
        for status in ("accepted", "rejected", "completed", "in-progress"):
            body = as_bytes({**shown, "status": status})
            answer = seat.ask("PUT", f"/Task/{ids.task}", body=body, headers=tag, content_type=JSON)
            require(answer.status_code in (403, 422), f"{status} without a release: {answer.status_code}")
        require(here.rows() == before, "a status was stored without a release")
        again = seat.ask("GET", f"/Task/{ids.task}")
        require(again.headers["ETag"] == read.headers["ETag"], "the Task changed without a release")


def told_only_under_a_release(bench: Bench) -> None:
    """Day and time are for a program whose survivor released them; to all others the request was received."""
    here = bench.without.here
    for tells, wanted in ((True, 200), (False, 404)):
        with here.undone():
            payload = bundle(here, "harbor", once=f"tell-{tells}", tells_time=tells)
            seat = here.program("harbor")
            answer = seat.ask("POST", "", body=as_bytes(payload), content_type=JSON)
            task = answer.headers["Location"].rsplit("/", 1)[1]
            visit, before = here.visit_of(task), seat.ask("GET", f"/Task/{task}").get_data()
            desk = here.launch("sched-kim", None)
            day = here.next_open_day()
            form = {"csrf_token": desk.token(), "step": "book", "day": day, "at": "10:00", "minutes": "30"}
            booked = desk.ask("POST", f"queue/{visit}", form=form).status_code
            require(booked == 303, f"the visit was not booked: {booked}")
            status = seat.ask("GET", f"/Appointment/{visit}").status_code
            require(status == wanted, f"released {tells}: the visit is answered {status}")
            told = seat.ask("GET", f"/Task/{task}").get_data()
            require(
                (told != before) is tells, f"released {tells}: its Task says {'more' if told != before else 'nothing'}"
            )


CHECKS: tuple[Check[Bench], ...] = (
    Check("coming in: only under a release", "else 422, nothing kept, nothing repeated", only_under_a_release),
    Check(
        "coming in: only the allow-list",
        "no place, story, relative, nested or additional resource",
        only_the_allow_list,
    ),
    Check("coming in: the same for everybody", "known or unknown: same bytes, same statements", same_for_everybody),
    Check("coming in: labelled", "lower or double labels refused, none made whole", labelled),
    Check("coming in: unlabelled is hidden", "shown to nobody, and told", unlabelled_is_hidden),
    Check("coming in: too low is hidden", "a row whose label is none of ours is shown to nobody", too_low_is_hidden),
    Check(
        "coming in: back only under a release", "a program's word without one is not stored", back_only_under_a_release
    ),
    Check(
        "coming in: told only under a release", "day and time only where they were released", told_only_under_a_release
    ),
)
