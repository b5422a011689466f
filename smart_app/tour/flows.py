"""The four flows, played through the pages and the wire as people and programs would."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field

from fhir_profiles.security_labels import labels_for
from smart_app.tour.browser import Browser, Form, Page
from smart_app.tour.checks import Checks, Payload, labels_of
from smart_app.tour.sandboxes import OBSERVERS, SandboxEhr, SandboxProgram, bundle_of, resource_in, until

PHONE = "555-0142"
DSV_TYPES = ("Observation", "ServiceRequest")
TELLING = ("SDV", "basedOn", "Harbor", "harbor", "warm-referral.example", "reason", "comment", "description")
NEVER_SENT = (
    "birthDate",
    "address",
    "managingOrganization",
    "contact",
    "photo",
    "display",
    "text",
    "reasonCode",
    "note",
)


@dataclass
class Chart:
    """One clinician's open launch."""

    browser: Browser
    page: Page
    base: str
    patient: str
    written: dict[str, Payload] = field(default_factory=dict)

    @property
    def home(self) -> str:
        """Address of the launch's first page."""
        return self.page.url.split("/v/")[0] + "/v/" + self.page.url.split("/v/")[1].split("/")[0] + "/"


def launch(checks: Checks, ehr: SandboxEhr, base: str, patient: str, *, user: str = "dr-lee") -> Chart:
    """Flow 1: from the chart to the neutral first page, and the privacy question."""
    checks.flow(f"Flow 1. {user} opens the app from the chart at EHR {base}")
    browser = Browser()
    page = browser.get(ehr.launch_url(base, user, patient))
    checks.that("the launch ends on a page of its own launch id", page.status == 200 and "/v/" in page.url)
    checks.that("the first page asks for a private moment", any(f.action.endswith("/privacy") for f in page.forms))
    checks.that("the address holds no code, no state and no patient id", not _telling(page.url, patient))
    values = {"answer": "alone"}
    form = page.form("/privacy")
    if "interpreter" not in form.fields:
        values["interpreter"] = "trained"
    page = browser.submit(page, form, values)
    checks.that("after the privacy question the doors are open", page.status == 200)
    return Chart(browser, page, base, patient)


def record_disclosure(checks: Checks, ehr: SandboxEhr, chart: Chart, *, wants_copy: bool = True) -> None:
    """Flow 2: a disclosure becomes a labelled Observation, in the vault and, where proven, in the EHR."""
    checks.flow("Flow 2. What the patient told becomes a labelled Observation")
    before, known = len(ehr.writes()), _copies(ehr, chart, "Observation")
    page = chart.browser.get(chart.home + "note")
    form = page.form("/note")
    may_copy = "yes" in form.choices.get("wants_ehr_copy", [])
    page = chart.browser.submit(page, form, {"wants_ehr_copy": "yes" if may_copy and wants_copy else "no"})
    checks.that("the page says where the note lives", page.status == 200 and page.url.endswith("/note/saved"))
    writes = ehr.writes()[before:]
    if chart.base != "a":
        checks.that("an EHR without a proof receives nothing", writes == [])
        return
    profile = "disclosure-observation"
    _check_ehr_copy(checks, ehr, chart, writes, profile=profile, known=known.keys(), page=page)


def send_referral(checks: Checks, ehr: SandboxEhr, program: SandboxProgram, chart: Chart) -> Payload | None:
    """Flow 3: a referral with a release goes to the program; its status comes back only inside its own release."""
    checks.flow("Flow 3. A referral goes to the program, and only what the patient released")
    before_writes, before = len(ehr.writes()), {item["task_url"] for item in program.received()}
    known = _copies(ehr, chart, "ServiceRequest")
    page = chart.browser.get(chart.home + "connect/harbor")
    page = chart.browser.submit(page, page.form("/connect/harbor"), {"meet": "survivor-calls", "step": "review"})
    form = page.form("/connect/harbor")
    step = "send-and-copy" if "send-and-copy" in form.choices.get("step", []) else "send"
    page = chart.browser.submit(page, form, {"signed": "screen", "step": step})
    checks.that("the page says it was sent", page.status == 200 and "/sent/" in page.url)
    if chart.base == "a":
        writes = ehr.writes()[before_writes:]
        profile = "referral-service-request"
        _check_ehr_copy(checks, ehr, chart, writes, profile=profile, known=known.keys(), page=page)
    arrived = until(lambda: [item for item in program.received() if item["task_url"] not in before])
    checks.that("the program received one referral", len(arrived) == 1)
    if not arrived:
        return None
    _check_bundle(checks, arrived[0])
    _check_status_back(checks, program, chart, page.url, arrived[0]["task_url"])
    return arrived[0]


def receive_referral(
    checks: Checks, ehr: SandboxEhr, program: SandboxProgram, *, chart: str, alias: str | None = None
) -> None:
    """Flow 4: the program refers somebody; the scheduler books; day and time go back only under release A."""
    checks.flow("Flow 4. The program refers somebody to the clinic, the scheduler books")
    alias = alias or f"Robin {secrets.token_hex(2)}"
    told = program.refer(alias, PHONE, tells_time=True)
    silent = program.refer(alias + " Two", PHONE, tells_time=False)
    for answer in (told, silent):
        checks.message("program -> clinic", answer.get("sent", {}))
        checks.that(
            "the clinic answers 202 with the address of the Task", answer["status"] == 202 and "location" in answer
        )
    checks.that("known or unknown, the answer has the same bytes", told["body"] == silent["body"])
    scheduler = Browser()
    queue = scheduler.get(ehr.launch_url("a", "sched-kim", None))
    checks.that("the scheduler sees the name to use and the safe number", alias in queue.text and PHONE in queue.text)
    before = len(ehr.writes())
    for name in (alias, alias + " Two"):
        queue = scheduler.get(queue.url)
        item = scheduler.get(queue.links_by_text[name])
        booked = scheduler.submit(item, _booking(item), {"step": "book", "chart": chart})
        checks.that(f"{name} is booked", booked.status == 200 and "Booked" in booked.text)
    _check_neutral_appointment(checks, ehr, [w for w in ehr.writes()[before:] if w["method"] == "POST"], alias)
    _check_told_back(checks, program, told, silent)


def observe_as_others(checks: Checks, ehr: SandboxEhr, base: str, patient: str) -> None:
    """Nobody else at the EHR sees a trace: no resource, no count, no tag."""
    checks.flow("Others. What patient portal, proxy, another app and other staff see at the EHR")
    for kind in OBSERVERS:
        for query in (*DSV_TYPES, "Observation?category=sdoh", "Observation?_security=V"):
            name = query if "?" in query else f"{query}?patient={patient}"
            answer = ehr.search(base, kind, patient, name)
            found = answer.json().get("entry", []) if answer.ok else []
            is_telling = "category" in query or "_security" in query
            is_clear = not any(labels_of(entry["resource"]) for entry in found) and not (found and is_telling)
            checks.that(f"{kind} searches {query} and sees no trace", is_clear and "SDV" not in answer.text)


def _booking(page: Page) -> Form:
    return next(form for form in page.forms if "book" in form.choices.get("step", []))


def _copies(ehr: SandboxEhr, chart: Chart, resource_type: str) -> dict[str, Payload]:
    """What the treating clinician finds at the EHR, by id; nothing at an EHR whose token has no such scope."""
    query = f"{resource_type}?patient={chart.patient}"
    return {r["id"]: r for r in ehr.found(chart.base, "clinician", chart.patient, query)}


def _check_ehr_copy(
    checks: Checks,
    ehr: SandboxEhr,
    chart: Chart,
    writes: list[Payload],
    *,
    profile: str,
    known: Collection[str],
    page: Page,
) -> None:
    resource_type = {"disclosure-observation": "Observation", "referral-service-request": "ServiceRequest"}[profile]
    created = [w for w in writes if w["method"] == "POST" and w["path"].endswith(f"/{resource_type}")]
    checks.that(f"one {resource_type} was written to the EHR, and nothing else", len(created) == 1 == len(writes))
    if not created:
        return
    sent = json.loads(created[0]["body"])
    checks.message(f"app -> EHR ({resource_type})", sent)
    wanted = {(label.system, label.code) for label in labels_for(profile)}
    checks.same_labels(f"the {resource_type} left the app with its exact labels", sent, wanted)
    added = [r for id_, r in _copies(ehr, chart, resource_type).items() if id_ not in known]
    newest = added[0] if added else None
    checks.that(f"the copy of the {resource_type} is in the chart", newest is not None)
    checks.same_labels(f"the EHR kept the labels of the {resource_type}", newest, wanted)
    checks.that(f"the page says a copy of the {resource_type} is in the EHR", "labels are unchanged" in page.text)


def _check_bundle(checks: Checks, item: Payload) -> None:
    bundle = bundle_of(item)
    checks.message("app -> program", bundle)
    types = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    wanted = ["Consent", "Patient", "ServiceRequest", "Task"]
    checks.that(
        "the bundle holds Patient alias, Consent, ServiceRequest and Task, nothing else", sorted(types) == wanted
    )
    text = item["bundle"]
    checks.that(
        "no birth date, address, reason, narrative or display left", not any(f'"{w}"' in text for w in NEVER_SENT)
    )
    for resource_type, profile in (
        ("Patient", "referral-patient"),
        ("Consent", "release-consent"),
        ("ServiceRequest", "referral-service-request"),
        ("Task", "referral-task"),
    ):
        wanted_labels = {(label.system, label.code) for label in labels_for(profile)}
        checks.same_labels(
            f"the {resource_type} carries its exact labels", resource_in(bundle, resource_type), wanted_labels
        )
    checks.that("the bundle itself carries one level and no telling code", len(bundle["meta"]["security"]) == 1)


def _check_status_back(checks: Checks, program: SandboxProgram, chart: Chart, sent_url: str, task_url: str) -> None:
    refused = program.status(task_url, "accepted")
    checks.message("program -> clinic (status without a release of its own)", refused)
    checks.that("without release B the status is refused with 403", refused["status"] == 403)
    page = chart.browser.get(sent_url)
    checks.that("the clinician's page shows nothing of it", "accepted" not in page.text.lower())
    released = program.release(task_url, "contact")
    checks.that("the program posts release B", released["status"] in (200, 201))
    taken = program.status(task_url, "accepted")
    checks.message("program -> clinic (status inside release B)", taken)
    checks.that("inside release B the status is taken", taken["status"] == 200)
    checks.that(
        "another program finds nothing at that address", program.look(task_url, by="northside")["status"] == 404
    )


def _check_neutral_appointment(checks: Checks, ehr: SandboxEhr, writes: list[Payload], alias: str) -> None:
    checks.that("the EHR schedule received the visits", len(writes) == 2)
    for write in writes:
        body = json.loads(write["body"])
        checks.message("app -> EHR (Appointment)", body)
        is_neutral = not any(word in write["body"] for word in (*TELLING, alias))
        checks.that("the Appointment is neutral in every element", is_neutral)
        checks.that("it carries no level above R", "V" not in {code for _, code in labels_of(body)})


def _check_told_back(checks: Checks, program: SandboxProgram, told: Payload, silent: Payload) -> None:
    with_release = program.look(told["location"])["body"]
    without = program.look(silent["location"])["body"]
    checks.message("clinic -> program (with release A)", with_release)
    checks.message("clinic -> program (without)", without)
    checks.that("with release A the program reads that it was accepted", with_release.get("status") == "accepted")
    outputs = [o["valueReference"]["reference"] for o in with_release.get("output", [])]
    checks.that("and where day and time are", len(outputs) == 1)
    if outputs:
        visit = program.look(told["location"].split("/Task/")[0] + "/" + outputs[0])["body"]
        checks.that("day and time are there", visit.get("status") == "booked" and "start" in visit)
    checks.that("without it the program reads only that it was received", without.get("status") == "requested")
    checks.that("and no output", "output" not in without)


def _telling(url: str, patient: str) -> bool:
    return any(word in url for word in ("code=", "state=", patient, "referral", "violence"))
