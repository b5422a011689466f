"""Follow the data: what is stored, what left, what arrived, and who sees it, on a real vault (demo only)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFProtect

from smart_app import guards, pages
from smart_app.policy.minimum_necessary import trimmed
from smart_app.settings import Settings
from smart_app.workflows import disclosure, referral

NOTHING = "Nothing to show here"


@dataclass
class Wire:
    """What the sandboxes would say: every EHR copy arrived as written; the program got what ``sent`` holds."""

    world: Any
    sent: list[dict[str, Any]]

    def ehr_writes(self) -> list[dict[str, Any]]:
        return [{"method": "POST", "body": json.dumps(one, default=str)} for one in self.world.ehr.written]

    def partner_receipts(self) -> list[dict[str, Any]]:
        return [{"bundle": json.dumps({"entry": [{"resource": one} for one in self.sent]}, default=str)}]

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
    """The "View as" table: who -> cells."""
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    cells = [row.split("</th>") for row in table.split("<tr>")[1:]]
    return {
        who.rpartition(">")[2]: [cell.partition("</td>")[0] for cell in rest.split("<td>")[1:]] for who, rest in cells
    }


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
    assert len(table) == 5
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
    assert table["Harbor Program (the program of this item)"] == ["Everything"] * 4
    assert table["Northside Program"] == [NOTHING] * 4
    wire.sent[0]["name"][0]["given"] = ["Dana"]
    assert "The other side got something else: look at both" in demo.get("/follow").text


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
