"""Who looks, and the one script each of them follows, in either world.

A script asks for everything its observer can reach, and by the very ids of the referral that is there in one world and
not in the other (there, by ids that belong to nothing). ``is_on_it``: the variants of the referral that this observer
is on; there the worlds must differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from smart_app.gateways.mail import SmtpMail
from smart_app.proofs.instance import Instance, Seat
from smart_app.proofs.recording import Exchange, Recording
from smart_app.proofs.referrals import Ids, as_bytes

OUT_TO_SYSTEM, OUT_TO_INBOX, INBOUND = "sent to a program's system", "sent to a program's inbox", "sent by a program"
VARIANTS = (OUT_TO_SYSTEM, OUT_TO_INBOX, INBOUND)
SENT_OUT = frozenset({OUT_TO_SYSTEM, OUT_TO_INBOX})
# The one more: of this patient, by this person.
PATIENT, AUTHOR = "p-dana", "dr-lee"
OTHER_PATIENT, CHILD = "p-marcus", "p-child"
MONTH = "2026-01"


@dataclass(frozen=True)
class Observer:
    """``watch`` plays the script and gives the recording."""

    name: str
    watch: Callable[[Instance, Ids], Recording]
    is_on_it: frozenset[str] = frozenset()


def _pages(seat: Seat, ids: Ids, but: frozenset[str] = frozenset()) -> Iterator[Exchange]:
    """Every page of a launch that can be read, in the order of the URL map, but for those of some blueprints; then
    every form that names the item."""
    named = {"launch_id": seat.launch_id, "case_id": ids.case, "appointment_id": ids.visit, "month": MONTH}
    yield seat.record("GET", "")
    form = {"answer": "alone", "limits_said": "yes", "interpreter": "none", "csrf_token": seat.token()}
    yield seat.record("POST", "privacy", form=form)
    for rule in sorted(seat.app.url_map.iter_rules(), key=lambda one: one.rule):
        is_page = rule.rule.startswith("/v/<launch_id>/") and "GET" in (rule.methods or ())
        if not is_page or rule.endpoint.partition(".")[0] in but:
            continue
        for partner in ("harbor", "northside") if "partner_id" in rule.arguments else ("",):
            built = rule.build({**named, "partner_id": partner})
            yield seat.record("GET", str(built[1] if built else "").removeprefix(seat.path))
    token = {"csrf_token": seat.token()}
    yield seat.record("POST", f"sent/{ids.case}/close", form={**token, "reason": "no-information"})
    yield seat.record("POST", f"queue/{ids.visit}", form={**token, "step": "book", "day": "x", "at": "y"})
    yield seat.record("POST", f"sent/{ids.case}/back", form=token)
    yield seat.record("POST", "alerts", form={**token, "alert_id": ids.case})
    yield seat.record("GET", "")
    yield seat.record("POST", "leave", form=token)


def _staff(
    user: str, patient: str | None, *, but: frozenset[str] = frozenset(), **launch: Any
) -> Callable[[Instance, Ids], Recording]:
    return lambda here, ids: list(_pages(here.launch(user, patient, **launch), ids, but))


def _system(partner_id: str) -> Callable[[Instance, Ids], Recording]:
    """A program's system: search in every way, reads by id, with and without a version, and every write."""

    def watch(here: Instance, ids: Ids) -> Recording:
        seat, made = here.program(partner_id), []
        for query in ("", "?_count=1", "?status=requested", "?_summary=count", "?_id=" + ids.task, "?_security=V"):
            made.append(seat.record("GET", f"/Task{query}"))
        names = (("Task", ids.task), ("ServiceRequest", ids.request), ("Appointment", ids.visit))
        for kind, one in (*names, ("Consent", ids.consent), ("Patient", ids.patient)):
            for headers in ({}, {"If-None-Match": 'W/"1"'}, {"If-None-Match": "*"}):
                made.append(seat.record("GET", f"/{kind}/{one}", headers=headers))
            made.append(seat.record("GET", f"/{kind}/{one}/_history"))
        made.append(seat.record("GET", f"/Task/{ids.task}/$status"))
        json = {"content_type": "application/fhir+json"}
        task = as_bytes({"resourceType": "Task", "id": ids.task, "status": "accepted"})
        for match in ('W/"1"', 'W/"9"', "*"):
            made.append(seat.record("PUT", f"/Task/{ids.task}", body=task, headers={"If-Match": match}, **json))
        patch = b'[{"op":"replace","path":"/status","value":"accepted"}]'
        made.append(
            seat.record(
                "PATCH",
                f"/Task/{ids.task}",
                body=patch,
                headers={"If-Match": 'W/"1"'},
                content_type="application/json-patch+json",
            )
        )
        for path in ("/Consent", "", "/Bundle/$validate"):
            made.append(seat.record("POST", path, body=as_bytes(_release_of(partner_id, ids)), **json))
        return made

    return watch


def _release_of(partner_id: str, ids: Ids) -> dict[str, Any]:
    about = {"reference": f"https://clinic.example/fhir/Task/{ids.task}"}
    return {
        "resourceType": "Consent",
        "status": "active",
        "patient": about,
        "organization": [{"reference": partner_id}],
    }


def _inbox(partner_id: str) -> Callable[[Instance, Ids], Recording]:
    """A person of a program at the inbox: every page, the item by its id, and every form that names it."""

    def watch(here: Instance, ids: Ids) -> Recording:
        seat = here.advocate(partner_id)
        made = [seat.record("GET", path) for path in ("/items", "/desk", "/team", "/ask", "/asked", "/passkeys")]
        token = {"csrf_token": seat.token()}
        for path in (f"/items/{ids.case}/open", f"/items/{ids.case}/release", f"/asked/{ids.case}/back"):
            made.append(seat.record("POST", path, form=token))
        made.append(seat.record("GET", f"/items/{ids.case}"))
        move = {**token, "move": "status|accepted", "etag": 'W/"1"'}
        made.append(seat.record("POST", f"/items/{ids.case}/move", form=move))
        made.append(seat.record("GET", "/items"))
        return made

    return watch


def _nobody(here: Instance, ids: Ids) -> Recording:
    """A browser without a launch: every address, also with the launch of somebody who is on the referral."""
    launch = here.launch(AUTHOR, PATIENT)
    seat, made = here.stranger(""), []
    named = {"launch_id": launch.launch_id, "case_id": ids.case, "appointment_id": ids.visit, "partner_id": "harbor"}
    named |= {
        "month": MONTH,
        "task_id": ids.task,
        "request_id": ids.request,
        "service_id": "harbor",
        "filename": "x",
        "rest": "Task",
    }
    for rule in sorted(here.clinic.url_map.iter_rules(), key=lambda one: one.rule):
        if rule.endpoint == "static" or rule.rule.startswith("/follow"):
            continue
        built = rule.build({name: named[name] for name in rule.arguments})
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT"}):
            made.append(seat.record(method, str(built[1] if built else "/"), form=None))
    return made


def _mail(here: Instance, ids: Ids) -> Recording:
    """Whoever reads the mail server: every alert that is due, and the same constant bytes for each."""
    here.senses.settle()
    here.alert()
    SmtpMail("localhost", 2525, "none", "office@clinic.example").send("staff@program.example", here.now)
    return [_seen(here, "staff alerts")]


def _operator(here: Instance, ids: Ids) -> Recording:
    """Whoever runs the servers: the health page, the sweep, and a worker that looks for work."""
    made = [here.stranger("").record("GET", "/health"), here.stranger("").record("GET", "/nowhere")]
    here.senses.settle()
    here.work()
    for app in (here.clinic, here.inbox):
        app.extensions["sweep"]()
    return [*made, _seen(here, "worker and sweep")]


def _seen(here: Instance, what: str) -> Exchange:
    """All that came of something that was no request."""
    calls, mails = here.senses.wire.take()
    return Exchange(what, 0, "", "", 0, here.senses.statements.take(), here.senses.log_since(), calls, mails)


LOG = frozenset({"audit_trail"})  # the log names every item, by right: see ``report.NOT_COMPARED``
CLINICAL = ("nurse-ortiz", "ma-brooks", "sw-haddad", "bh-novak")

OBSERVERS: tuple[Observer, ...] = (
    Observer("the author, from another patient's chart", _staff(AUTHOR, OTHER_PATIENT)),
    Observer("the author, from a child's chart", _staff(AUTHOR, CHILD)),
    Observer("the author, from the same patient id at another EHR", _staff(AUTHOR, PATIENT, registration="b")),
    Observer("the author, without a chart", _staff(AUTHOR, None)),
    *(Observer(f"{user}, from another patient's chart", _staff(user, OTHER_PATIENT)) for user in CLINICAL),
    *(
        Observer(f"{user}, from the patient's chart, no visit", _staff(user, PATIENT, has_visit=False))
        for user in CLINICAL
    ),
    Observer("scheduler", _staff("sched-kim", None), frozenset({INBOUND})),
    Observer("coordinator", _staff("coord-ellis", None)),
    Observer("privacy officer", _staff("officer-grant", None, but=LOG)),
    Observer("program lead", _staff("lead-osei", None)),
    Observer("IT admin", _staff("it-raman", None)),
    Observer("somebody without a role", _staff("nobody-known", PATIENT)),
    Observer("Harbor's system", _system("harbor"), frozenset({OUT_TO_SYSTEM, INBOUND})),
    Observer("Northside's system", _system("northside"), frozenset({OUT_TO_INBOX})),
    Observer("Harbor's inbox", _inbox("harbor"), frozenset({OUT_TO_SYSTEM, INBOUND})),
    Observer("Northside's inbox", _inbox("northside"), frozenset({OUT_TO_INBOX})),
    Observer("a browser without a launch", _nobody),
    Observer("the mail server", _mail),
    Observer("the operator", _operator),
    Observer("nurse-ortiz, from the patient's chart", _staff("nurse-ortiz", PATIENT), SENT_OUT),
    Observer("the author, from the patient's chart", _staff(AUTHOR, PATIENT), SENT_OUT),
)
