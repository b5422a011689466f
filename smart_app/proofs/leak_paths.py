"""The list of ways in which a hidden record shows at a FHIR server (``fhir.md`` section 7), one check each.

Northside's system asks about a referral between the clinic and Harbor, in the world where it is there and in the one
where it is not, and in the same world by its ids and by ids that belong to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from smart_app.proofs.check import Check, require
from smart_app.proofs.instance import Instance, Seat
from smart_app.proofs.leaving import attested
from smart_app.proofs.observers import AUTHOR, CHILD, INBOUND, OUT_TO_INBOX, OUT_TO_SYSTEM, PATIENT
from smart_app.proofs.recording import Exchange, alike, first_difference
from smart_app.proofs.referrals import Ids, as_bytes, bundle
from smart_app.proofs.two_worlds import Bench

Ask = Callable[[Seat, Ids], Sequence[Exchange]]
JSON = "application/fhir+json"
FIRST = "00000000-0000-4000-8000-000000000000"  # before every id


def _both(bench: Bench, ask: Ask) -> list[Exchange]:
    """The same in the world with it and without; by its own ids and by nobody's. Gives what came back."""
    found: list[Exchange] = []
    for variant in (OUT_TO_SYSTEM, INBOUND):
        world = bench.worlds[variant]
        asked = ((world.here, world.ids), (world.here, bench.without.ids), (bench.without.here, bench.without.ids))
        answers = []
        for here, ids in asked:
            with here.undone():
                answers.append(ask(here.program("northside"), ids))
        with_it, by_nobodys, without = answers
        for what, other in (("without it", without), ("by ids of nothing", by_nobodys)):
            difference = first_difference(other, with_it)
            require(difference is None, f"{variant}, {what}: {difference}")
        found += with_it
    return found


def _all_are(found: Iterable[Exchange], *statuses: int) -> None:
    for one in found:
        require(one.status in statuses, f"{alike(one.asked)}: {one.status}")


def _queries(*queries: str) -> Ask:
    return lambda seat, ids: [seat.record("GET", f"/Task?{query.format(**vars(ids))}") for query in queries]


def totals(bench: Bench) -> None:
    """Counts, totals, short pages and next links are over what the caller may see."""
    found = _both(bench, _queries("", "_count=1", "_count=100", "status=requested", f"_count=1&_after={FIRST}"))
    _all_are(found, 200)
    for one in found:
        require("next" not in one.body or '"total":1' not in one.body, f"{one.asked}: a next page of one")


def not_offered(bench: Bench, queries: tuple[str, ...]) -> None:
    """Refused unread, in constant bytes, before any look-up in the vault."""
    found = _both(bench, _queries(*queries))
    _all_are(found, 400)
    require(len({one.body for one in found}) == 1, "the refusals differ")
    require(len({one.statements for one in found}) == 1, "the refusals differ in statements")


def changed_since(bench: Bench) -> None:
    """What the caller may filter by works on what it is shown."""
    _all_are(_both(bench, _queries("_lastUpdated=ge2020-01-01", "_lastUpdated=gt2099-01-01", "status=cancelled")), 200)


def elements(bench: Bench) -> None:
    """No part of a record can be asked for, so labels are never left out of one that is shown."""
    not_offered(bench, ("_elements=id", "_summary=true", "_summary=text", "_elements=status&_count=1"))
    world = bench.worlds[INBOUND]
    with world.here.undone():
        shown = world.here.program("harbor").record("GET", f"/Task/{world.ids.task}")
    labels = json.loads(shown.body).get("meta", {}).get("security", [])
    require(any(label.get("code") == "SDV" for label in labels), "what is shown has no labels")


def versions(bench: Bench) -> None:
    """ETag, If-Match and If-None-Match are looked at after the permit; nothing is made by a PUT."""
    body = as_bytes({"resourceType": "Task", "status": "accepted", "intent": "order"})

    def ask(seat: Seat, ids: Ids) -> Sequence[Exchange]:
        made = []
        for tag in ('W/"1"', 'W/"7"', "*", "W/junk"):
            for header in ("If-Match", "If-None-Match", "If-Modified-Since"):
                headers: Mapping[str, str] = {header: tag}
                for kind, one in (("Task", ids.task), ("ServiceRequest", ids.request), ("Appointment", ids.visit)):
                    made.append(seat.record("GET", f"/{kind}/{one}", headers=headers))
            put = as_bytes(_task(ids))
            made.append(seat.record("PUT", f"/Task/{ids.task}", body=put, headers={"If-Match": tag}, content_type=JSON))
            made.append(
                seat.record("PUT", f"/Task/{ids.task}", body=body, headers={"If-Match": tag}, content_type=JSON)
            )
        return made

    found = _both(bench, ask)
    _all_are(found, 404, 422)
    require(any(one.status == 404 and one.asked.startswith("PUT") for one in found), "no PUT got as far as the permit")


def _task(ids: Ids) -> dict[str, object]:
    """A Task that its form alone does not refuse."""
    return {
        "resourceType": "Task",
        "id": ids.task,
        "status": "accepted",
        "intent": "order",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "identifier": [{"system": "https://clinic.example/id/task", "value": ids.task}],
        "focus": {"reference": f"ServiceRequest/{ids.request}"},
        "for": {"reference": f"Patient/{ids.patient}"},
        "authoredOn": "2026-01-01",
        "requester": {"reference": "Organization/hc1"},
        "owner": {"reference": "Organization/northside"},
        "restriction": {"period": {"end": "2026-02-01T00:00:00Z"}},
    }


def operations(bench: Bench) -> None:
    """Form searches, batches, operations, exports and subscriptions are not offered: constant bytes, no look-up."""

    def ask(seat: Seat, ids: Ids) -> Sequence[Exchange]:
        paths = (
            ("POST", "/Task/_search"),
            ("GET", f"/Patient/{ids.patient}/$everything"),
            ("GET", f"/Task/{ids.task}/$meta"),
            ("GET", "/$export"),
            ("GET", "/Observation/$lastn"),
            ("POST", "/$graphql"),
            ("POST", "/Subscription"),
            ("GET", f"/Task/{ids.task}/_history/1"),
            ("GET", f"/Patient/{ids.patient}"),
            ("GET", "/Patient"),
            ("GET", f"/Consent/{ids.consent}"),
            ("GET", "/Appointment"),
            ("GET", "/Slot"),
            ("DELETE", f"/Task/{ids.task}"),
        )
        return [seat.record(method, path) for method, path in paths]

    found = _both(bench, ask)
    _all_are(found, 400)
    require(len({(one.body, one.statements) for one in found}) == 1, "the refusals differ")


def duplicates(bench: Bench) -> None:
    """An identifier that another program used is no duplicate; the answer to one's own says nothing new; a reference to
    something hidden is answered like one to nothing."""

    def ask(seat: Seat, ids: Ids) -> Sequence[Exchange]:
        here = seat.instance
        first = as_bytes(bundle(here, "northside", once="one-more", alias="Kim"))
        other = as_bytes(bundle(here, "northside", once="one-more", alias="Lee"))
        made = [seat.record("POST", "", body=body, content_type=JSON) for body in (first, first, other)]
        consent = as_bytes({"resourceType": "Consent", "patient": {"reference": f"Patient/{ids.patient}"}})
        return [*made, seat.record("POST", "/Consent", body=consent, content_type=JSON)]

    found = _both(bench, ask)
    statuses = [one.status for one in found[:3]]
    require(statuses == [202, 200, 409], f"new, again, changed: {statuses}")
    require(found[0].body == found[1].body, "the same again is answered by other bytes")


def left_behind(bench: Bench) -> None:
    """What a caller may see never names what it may not: no basedOn, focus, display or history leads further."""
    world = bench.worlds[INBOUND]
    here, ids = world.here, world.ids
    with here.undone():
        page = here.launch("sched-kim", None).ask("GET", f"queue/{ids.visit}").get_data(as_text=True)
        shown = here.program("harbor").record("GET", f"/Task/{ids.task}").body
    hidden = {
        "case": ids.case,
        "task": ids.task,
        "patient": ids.patient,
        "consent": ids.consent,
        "request": ids.request,
    }
    for name, one in hidden.items():
        require(one not in page, f"the scheduler's page names the {name}")
    require(ids.case not in shown and ids.visit not in shown, "a program's Task names our case or visit")


def another_chart(bench: Bench) -> None:
    """In a child's chart, and in the chart of the same id at another EHR, there is nothing of it."""
    for variant in (OUT_TO_SYSTEM, OUT_TO_INBOX):
        world = bench.worlds[variant]
        for patient, registration in ((CHILD, "a"), (PATIENT, "b")):
            with world.here.undone(), bench.without.here.undone():
                pages = [
                    _home(here, patient, registration, ids.case)
                    for here, ids in ((world.here, world.ids), (bench.without.here, bench.without.ids))
                ]
            difference = first_difference(pages[1], pages[0])
            require(difference is None, f"{variant}, {patient} at {registration}: {difference}")


def _home(here: Instance, patient: str, registration: str, case: str) -> list[Exchange]:
    seat = attested(here.launch(AUTHOR, patient, registration=registration))
    return [seat.record("GET", path) for path in ("", "connect/harbor", f"sent/{case}")]


def no_trace_on_pages(bench: Bench) -> None:
    """No count, banner, recent list or suggestion: pages without an id in the address are the same for each desk."""
    for variant, world in bench.worlds.items():
        for user, page in (
            ("coord-ellis", "contacts"),
            ("officer-grant", "alerts"),
            ("it-raman", "registrations"),
            ("lead-osei", "agreements"),
            ("sched-kim", "queue"),
        ):
            if variant == INBOUND and user == "sched-kim":
                continue
            with world.here.undone(), bench.without.here.undone():
                pages = [[here.launch(user, None).record("GET", page)] for here in (bench.without.here, world.here)]
            difference = first_difference(*pages)
            require(difference is None, f"{variant}, {user}: {difference}")


CHECKS: tuple[Check[Bench], ...] = (
    Check("leak paths: totals and pages", "counted after the filter", totals),
    Check(
        "leak paths: includes and chains",
        "refused unread, in constant bytes",
        partial(
            not_offered,
            queries=(
                "_include=Task:focus",
                "_revinclude=Provenance:target",
                "_has:Task:focus:status=x",
                "focus.subject=x",
                "owner:missing=true",
                "_id={task}",
                "patient=Patient/{patient}",
            ),
        ),
    ),
    Check(
        "leak paths: tags, labels and sorting",
        "refused unread, in constant bytes",
        partial(
            not_offered,
            queries=(
                "_security=V",
                "_security:not=V",
                "_tag=x",
                "_sort=-_lastUpdated",
                "_profile=x",
                "_summary=count",
            ),
        ),
    ),
    Check("leak paths: filters", "over what the caller is shown", changed_since),
    Check("leak paths: parts of a record", "not offered; labels are never left out", elements),
    Check("leak paths: versions and conditions", "looked at after the permit", versions),
    Check("leak paths: operations and batches", "not offered, constant bytes, no look-up", operations),
    Check("leak paths: duplicates and references", "say nothing about what others sent", duplicates),
    Check("leak paths: what is left behind", "nothing shown leads to what is hidden", left_behind),
    Check("leak paths: another chart", "nothing of it in a child's chart or at another EHR", another_chart),
    Check("leak paths: pages", "no count, banner, list or suggestion", no_trace_on_pages),
)
