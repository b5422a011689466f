"""Follow the data: what is stored, what left, what arrived, and who sees it, on a real vault (demo only)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFProtect

from smart_app import guards, pages
from smart_app.policy.minimum_necessary import trimmed
from smart_app.settings import Settings
from smart_app.workflows import disclosure, inbound, referral, release, scheduling

NOTHING = "Nothing to show here"


@dataclass
class Wire:
    """What the sandboxes would say: every EHR copy arrived as written; the program got what ``sent`` holds."""

    world: Any
    sent: list[dict[str, Any]]
    posted: list[dict[str, Any]] = field(default_factory=list)

    def ehr_writes(self) -> list[dict[str, Any]]:
        told = [{"method": "POST", "body": "{}", "location": "http://localhost:9000/a/fhir/Observation/555/_history/1"}]
        for one in (*self.world.ehr.written, *self.world.ehr.booked):
            location = f"http://localhost:9000/a/fhir/{one['resourceType']}/55/_history/1"
            told.insert(0, {"method": "POST", "body": json.dumps(one, default=str), "location": location})
        return [*told, {"method": "PUT", "body": "", "location": None}]

    def partner_receipts(self) -> list[dict[str, Any]]:
        return [{"bundle": json.dumps({"entry": [{"resource": one} for one in self.sent]}, default=str)}]

    def partner_sent(self) -> list[dict[str, Any]]:
        return [{"bundle": json.dumps(one, default=str)} for one in self.posted]

    def ehr_as(self, who: str, patient_id: str) -> list[dict[str, Any]]:
        assert patient_id == "p-dana"
        return [{"resourceType": "Observation", "id": "55"}] if who == "clinician" else []


@pytest.fixture
def wire(world: Any) -> Wire:
    """Nothing has arrived anywhere yet."""
    return Wire(world, [])


@pytest.fixture
def demo(world: Any, wire: Wire, settings: Settings) -> FlaskClient:
    """The pages on a real vault, as in a demo."""
    services = replace(world.services, demo=wire)
    made = Flask("smart_app")
    made.config.update(SECRET_KEY="test")
    CSRFProtect(made)
    guards.install(made, services=services, settings=settings, partner_tokens=None)  # type: ignore[arg-type]
    pages.register(made)
    return made.test_client()


@pytest.fixture
def noted(world: Any, clinician: Callable[..., Any]) -> Any:
    """A note with a copy in the chart."""
    services, form = world.services, disclosure.DisclosureForm(wants_ehr_copy=True)
    return disclosure.record(services.door, services.ehr, clinician(), form, services.placement, services.now())


@pytest.fixture
def sent(world: Any, clinician: Callable[..., Any]) -> Any:
    """A referral to Harbor."""
    form = referral.ReferralForm("harbor", "call-now", "Wren", signed="screen")
    return referral.send(world.services, clinician(), form, world.services.now())


def rows(page: str) -> dict[str, list[str]]:
    """The "View as" table: who -> cells; one cell where all resources are alike."""
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    found = re.findall(r'<th scope="row">([^<]*)<span class="small">([^<]+)</span></th>(.*?)</tr>', table, re.DOTALL)
    assert len(found) == table.count("<tr>")  # each row says why
    return {unescape(who): re.findall(r"<td[^>]*>([^<]*)</td>", cells) for who, _why, cells in found}


def test_before_anything_happened_it_says_so(demo: FlaskClient) -> None:
    """An empty demo shows what to do."""
    assert "Nothing has happened yet" in demo.get("/follow").text


def test_a_note_is_shown_stored_sent_received_and_explained(demo: FlaskClient, noted: Any) -> None:
    """The stored note, its copy as the EHR got it, that they are the same, and each label in words."""
    page = demo.get("/follow").text
    for words in (
        "What the patient told, as one coded fact",
        "the EHR, as Observation/55",
        "The other side got exactly what was sent",
        "about domestic or sexual violence",
        "the patient said so",
    ):
        assert words in page
    assert "look at both" not in page


def test_an_altered_copy_is_named(demo: FlaskClient, world: Any, noted: Any) -> None:
    """When the EHR got something else than was sent, the page says to look."""
    del world.ehr.written[0]["meta"]
    assert "The other side got something else: look at both" in demo.get("/follow").text


def test_only_who_may_sees_a_note(demo: FlaskClient, noted: Any) -> None:
    """The clinician who wrote it sees all of it; other staff, front desk, scheduler and programs see that there is
    nothing. In the EHR only the treating clinician finds the copy."""
    page = demo.get("/follow").text
    table = rows(page)
    assert table.pop("Treating clinician (dr-lee)") == ["Everything"]
    assert list(table) == [
        "Staff who do not care for this patient",
        "Patient portal",
        "Front desk",
        "Scheduler",
        "Harbor Program (another program)",
    ]
    assert all(cells == [NOTHING] for cells in table.values())
    in_the_ehr = page[page.index("In the EHR itself") : page.index("All items")]
    assert in_the_ehr.count(NOTHING) == 4
    assert in_the_ehr.count("Observation/55") == 1


def test_a_referral_shows_what_left_and_what_was_left_out(
    demo: FlaskClient, world: Any, wire: Wire, sent: Any, clinician: Callable[..., Any]
) -> None:
    """As sent and as received are compared; another program sees nothing, its own sees the item."""
    with world.door.open_for(clinician(), world.services.now()) as work:
        kinds = ("Patient", "Consent", "ServiceRequest", "Task")
        wire.sent = [trimmed(one.payload) for kind in kinds for one in work.in_case(sent.case_id, kind)]
    page = demo.get("/follow").text
    assert page.count("The other side got exactly what was sent") == 4
    table = rows(page)
    assert table["Harbor Program (the program of this item)"] == ["Everything"]
    assert table["Northside Program (another program)"] == [NOTHING]
    wire.sent[0]["name"][0]["given"] = ["Dana"]
    assert "The other side got something else: look at both" in demo.get("/follow").text


def test_one_that_went_to_both_sides_is_compared_with_each(
    demo: FlaskClient, world: Any, wire: Wire, clinician: Callable[..., Any]
) -> None:
    """A request that went to the program and into the chart names both places; each copy is compared with what left."""
    form = referral.ReferralForm("harbor", "call-now", "Wren", signed="screen", wants_ehr_copy=True)
    sent = referral.send(world.services, clinician(), form, world.services.now())
    with world.door.open_for(clinician(), world.services.now()) as work:
        wire.sent = [trimmed(one.payload) for one in work.in_case(sent.case_id, "ServiceRequest")]
    page = demo.get("/follow").text
    assert "the program's system; the EHR, as ServiceRequest/55" in unescape(page)
    for other in ("the program", "the EHR"):
        assert f"The other side got exactly what was sent</span> ({other})" in page
        assert f"<h4>As {other} got it</h4>" in page
    world.ehr.written.clear()
    page = demo.get("/follow").text
    assert "<h4>As the EHR got it</h4>" not in page
    assert "started again since" in page


def test_a_withdrawn_referral_is_gone_for_its_program_and_stays_with_its_author(
    demo: FlaskClient, world: Any, sent: Any, clinician: Callable[..., Any]
) -> None:
    """Taken back: the program's row is empty and says why, the clinician's is not."""
    release.withdraw(world.door, clinician(), sent.case_id, world.services.now())
    page = demo.get("/follow").text
    table = rows(page)
    assert table["Harbor Program (the program of this item)"] == [NOTHING]
    assert table["Treating clinician (dr-lee)"] == ["Everything"]
    assert "release to them has ended" in unescape(page)


@pytest.fixture
def referred(world: Any, wire: Wire, harbor: Any, post: Callable[..., Any]) -> Callable[..., None]:
    """``referred(has_labels=False)``: Harbor refers somebody; the sandbox says that it sent this."""

    def refer(**changes: Any) -> None:
        made = post(**changes)
        wire.posted.append(made.bundle)
        services = world.services
        inbound.accept(
            world.door,
            harbor,
            world.harbor,
            made.bundle,
            made.body,
            world.site,
            services.now(),
            "http://127.0.0.1:8000",
        )

    return refer


@pytest.mark.parametrize("has_labels", [True, False])
def test_a_programs_request_is_shown_as_it_came_and_as_it_is_stored(
    demo: FlaskClient, referred: Callable[..., None], has_labels: bool
) -> None:
    """Beside each stored resource stands what the program sent, and in words what the door made of it: labels, ids,
    references; and that the clinic made the visit itself."""
    referred(has_labels=has_labels, release_a="appointment")
    page = unescape(demo.get("/follow").text)
    parts = 5  # Patient, two releases, ServiceRequest, Task
    assert page.count("<h4>As the program sent it</h4>") == parts
    assert page.count("<h4>As stored here</h4>") == parts + 1
    assert page.count("no id that a sender chose is kept") == parts
    assert page.count("Everything else is as it was sent.") == parts
    assert ("It came without any label. The door put all 6 on." in page) is not has_labels
    assert page.count("It came with all its labels") == (parts if has_labels else 0)
    assert "4 references inside it now lead to our ids." in page
    assert "The clinic made this itself" in page
    for words in ("release to the clinic", "release to the program"):
        assert page.count(words) == 1


def test_labels_that_the_door_raised_are_named(demo: FlaskClient, wire: Wire, referred: Callable[..., None]) -> None:
    """Of a request that came with some labels, the page names those that the door put on top."""
    referred()
    for entry in wire.posted[0]["entry"]:
        security = entry["resource"]["meta"]["security"]
        entry["resource"]["meta"]["security"] = [one for one in security if one["code"] in ("V", "SDV")]
    assert "The door raised its labels: NORDSCLCD, NOREUSE, PERSISTLABEL, COC came on top." in demo.get("/follow").text


def test_a_request_of_another_client_says_that_it_cannot_be_compared(
    demo: FlaskClient, wire: Wire, referred: Callable[..., None]
) -> None:
    """Posted by a script and not by the sandbox program: the page does not pretend to know what was sent."""
    referred()
    wire.posted.clear()
    page = demo.get("/follow").text
    assert "another client of its did" in page
    assert "As the program sent it" not in page


@pytest.mark.parametrize(
    ("release_a", "task"), [(None, "Part"), ("appointment", "Everything")], ids=["no release to it", "with one"]
)
def test_a_program_sees_of_its_own_request_what_the_survivor_lets_it(
    demo: FlaskClient, world: Any, scheduler: Any, referred: Callable[..., None], release_a: str | None, task: str
) -> None:
    """The page asks as the program's computer does: without a release to it, that it was received and no more."""
    referred(release_a=release_a)
    services = world.services
    (item,) = scheduling.queue(world.door, scheduler, services.now())
    start = services.now() + timedelta(days=1)
    scheduling.book(
        world.door,
        world.ehr,
        scheduler,
        item.appointment_reference,
        start,
        start + timedelta(minutes=30),
        None,
        services.placement,
        services.now(),
    )
    page = demo.get("/follow").text
    assert "Since it came, this was changed here: businessStatus, status." in page
    table = rows(page)
    cells = table["Harbor Program (the program of this item)"]
    columns = re.findall(r'<th scope="col">(\w+)', page[page.index("<thead>") : page.index("</thead>")])[1:]
    shown = dict(zip(columns, cells * len(columns) if len(cells) == 1 else cells, strict=True))
    assert (shown["Task"], shown["Appointment"]) == (task, NOTHING if release_a is None else "Everything")
    assert table["Scheduler"] == ["Part"]
    assert table["Treating clinician"] == [NOTHING]


def test_each_label_is_explained_once(demo: FlaskClient, sent: Any) -> None:
    """Every label of the item stands in the list with its meaning, once, under the resources that carry it."""
    page = demo.get("/follow").text
    part = page[page.index("The labels, in words") : page.index("View as")]
    assert re.findall(r"<h3>On ([^<]+)</h3>", part) == ["all of it", "ServiceRequest and Task", "Patient", "Consent"]
    codes = re.findall(r'<dt><span class="tag">(\w+)</span></dt><dd>([^<]+)</dd>', part)
    assert len(codes) == len(dict(codes)) == 8
    assert "<details" not in part


def test_each_item_can_be_opened(demo: FlaskClient, noted: Any, sent: Any) -> None:
    """The list names every item of the demo; each opens by its address."""
    page = demo.get("/follow").text
    for case_id, words in ((noted.case_id, "A protected note"), (sent.case_id, "A referral to a program")):
        assert f"/follow?item={case_id}" in page
        assert f"<h2>{words}</h2>" in demo.get(f"/follow?item={case_id}").text


def test_the_last_thing_done_comes_first(demo: FlaskClient, noted: Any, sent: Any) -> None:
    """Whatever a page or the API made last is what the page opens with."""

    @demo.application.get("/made/<kind>/<item_id>")
    def made(kind: str, item_id: str) -> str:
        g.followed = f"{kind}/{item_id}"
        return ""

    for reference, words in ((noted.reference, "A protected note"), (sent.task_reference, "A referral to a program")):
        demo.get(f"/made/{reference}")
        assert f"<h2>{words}</h2>" in demo.get("/follow").text


def test_outside_a_demo_it_is_not_there(app: Flask) -> None:
    """Where nothing is a demo, the page does not exist."""
    assert app.test_client().get("/follow").status_code == 404
