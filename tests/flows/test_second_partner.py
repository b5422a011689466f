"""A partner that somebody else wrote works with us both ways: its program shares no code with ours (see
``second_partner.py``). The app, its worker and the partner talk over real connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from killable import prepare
from second_partner import SecondPartner
from werkzeug.serving import make_server

from smart_app.app import create_app, seed_demo_partners
from smart_app.demo import Place, Ports
from smart_app.guards import EXTENSION
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.ports import Services
from smart_app.settings import load
from smart_app.tour.sandboxes import until
from smart_app.worker_app import create_worker
from smart_app.workflows import referral, release, scheduling
from smart_app.workflows.referral import ReferralForm


class AdultWithoutChart:
    """The one thing that a referral asks an EHR: how old the patient is."""

    def launched_patient(self, requester: Requester, now: datetime) -> dict[str, Any]:
        return {"resourceType": "Patient", "id": requester.patient_id, "birthDate": "1990-02-03"}


CLINICIAN = Requester(
    Role.CLINICIAN,
    "Practitioner/dr-lee",
    Purpose.TREAT,
    patient_id="p-dana",
    encounter_id="e-1",
    registration_id="b",
    launch_id="l-1",
    site_role="physician",
)
SCHEDULER = Requester(
    Role.SCHEDULER,
    "Practitioner/sched-kim",
    Purpose.HOPERAT,
    registration_id="b",
    launch_id="l-2",
    site_role="scheduler",
)


@dataclass
class Both:
    """The clinic and the partner."""

    services: Services
    partner: SecondPartner

    def refer(self) -> referral.ReferralResult:
        form = ReferralForm(partner_id="harbor", meet="survivor-calls", alias="Canary Wren", signed="screen")
        return referral.send(self.services, CLINICIAN, form, self.services.now())

    def arrived(self, result: referral.ReferralResult) -> Any:
        def find() -> Any:
            items = list(self.partner.items.values())
            return next((one for one in items if one.part("Task")[1]["id"] == result.task_reference[5:]), None)

        assert until(lambda: find() is not None, seconds=20)
        return find()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Both]:
    place = Place(tmp_path_factory.mktemp("second"), Ports(*(free_port() for _ in range(5))))
    prepare(place)
    settings = load(place.config)
    app = create_app(settings)
    partner = SecondPartner(lambda: app.test_client().get("/.well-known/jwks.json").get_json())
    partner.listen()
    seed_demo_partners(settings, partner.origin)
    served = make_server("127.0.0.1", place.ports.app, app, threaded=True)
    stop = threading.Event()
    worker = create_worker(settings)
    threads = [
        threading.Thread(target=served.serve_forever, daemon=True),
        threading.Thread(target=worker.run, args=(stop,), daemon=True),
    ]
    for thread in threads:
        thread.start()
    partner.sign_in(f"{place.app_url}/fhir")
    yield Both(replace(app.extensions[EXTENSION].services, ehr=AdultWithoutChart()), partner)
    stop.set()
    served.shutdown()
    for thread in threads:
        thread.join(20)
    partner.close()


def test_from_the_clinic_to_the_program_and_its_word_back(both: Both) -> None:
    """The clinic refers; the program takes it, posts the survivor's release, and says that it works on it; the clinic
    sees that, and nothing that the release does not open."""
    sent = both.refer()
    item = both.arrived(sent)
    url, task = item.part("Task")
    assert "Canary Wren" in str(item.part("Patient")[1]["name"])
    patient = task["for"]["reference"]
    shown = both.partner.call("GET", url)
    assert (shown.status_code, shown.json()["status"]) == (200, "requested")
    accepted = {**shown.json(), "status": "accepted"}
    refused = both.partner.call("PUT", url, accepted, **{"If-Match": shown.headers["ETag"]})
    assert refused.status_code == 403  # no release B yet
    given = both.partner.release("harbor", "hc1", patient, [url], "contact")
    assert both.partner.call("POST", "/Consent", given).status_code == 201
    etag = both.partner.call("GET", url).headers["ETag"]
    assert both.partner.call("PUT", url, accepted).status_code == 428
    updated = both.partner.call("PUT", url, accepted, **{"If-Match": etag})
    assert (updated.status_code, updated.json()["status"]) == (200, "accepted")
    stale = both.partner.call("PUT", url, {**accepted, "status": "in-progress"}, **{"If-Match": etag})
    assert stale.status_code == 412
    done = both.partner.call(
        "PUT", url, {**updated.json(), "status": "completed"}, **{"If-Match": updated.headers["ETag"]}
    )
    assert done.status_code == 403  # tier contact says nothing about how it ended
    status = referral.status_of(both.services.door, CLINICIAN, sent.case_id, both.services.now())
    assert status.state == "accepted"


@pytest.mark.rule("R11")
def test_rule_R11_taken_back_the_program_hears_cancelled_within_five_seconds(both: Both) -> None:
    """She takes it back: the other side is told "cancelled", no reason, and reads nothing any more.

    Break: return REFUSED for every cancel in PartnerSender.send.
    """
    sent = both.refer()
    item = both.arrived(sent)
    state = lambda: referral.status_of(both.services.door, CLINICIAN, sent.case_id, both.services.now())  # noqa: E731
    assert until(lambda: "Received" in state().state_words, seconds=20)
    release.withdraw(both.services.door, CLINICIAN, sent.case_id, both.services.now())
    assert until(lambda: item.status == "cancelled", seconds=5)
    assert not {"statusReason", "note", "businessStatus"} & item.told[0].keys()
    assert both.partner.call("GET", item.part("Task")[0]).status_code == 404
    assert until(lambda: not state().needs_call, seconds=5)


def test_from_the_program_to_the_clinic_and_a_day_back(both: Both) -> None:
    """The program refers, twice because the answer was lost; a scheduler books; the program reads day and time."""
    bundle = both.partner.referral("Canary Finch", "555-0142")
    first = both.partner.call("POST", "", bundle)
    again = both.partner.call("POST", "", bundle)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.headers["Location"] == again.headers["Location"]
    assert first.content == again.content
    changed = {**bundle, "entry": bundle["entry"][:-1]}
    assert both.partner.call("POST", "", changed).status_code == 409
    task = both.partner.call("GET", first.headers["Location"])
    assert (task.status_code, task.json()["status"], "output" in task.json()) == (200, "requested", False)
    now = both.services.now()
    (waiting,) = scheduling.queue(both.services.door, SCHEDULER, now)
    start = (now + timedelta(days=1)).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    scheduling.book(
        both.services.door,
        both.services.ehr,
        SCHEDULER,
        waiting.appointment_reference,
        start,
        start + timedelta(minutes=30),
        None,
        both.services.placement,
        now,
    )
    booked = both.partner.call("GET", first.headers["Location"]).json()
    assert booked["status"] == "accepted"
    visit = booked["output"][0]["valueReference"]["reference"]
    told = both.partner.call("GET", f"/{visit}").json()
    assert datetime.fromisoformat(told["start"]) == start
    assert (told["status"], "comment" in told, "reasonCode" in told) == ("booked", False, False)


def test_somebody_else_s_key_opens_nothing(both: Both) -> None:
    """A stranger with a key of their own gets no token at the clinic, and a made-up word opens nothing at theirs."""
    stranger = SecondPartner(lambda: {"keys": []})
    with pytest.raises(Exception, match="400"):
        stranger.sign_in(both.partner.clinic)
    assert both.partner.grant({"client_assertion": ["x.y.z"], "grant_type": ["client_credentials"]}) is None
