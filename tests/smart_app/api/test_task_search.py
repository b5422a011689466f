"""A program asks for the list of its own Tasks, and gets what a read of each would show, page by page."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_profiles.validation.examine import examine
from smart_app.gateways.tables import partner_view, vault_key
from smart_app.policy.access import Requester
from smart_app.workflows import referral, scheduling

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
BASE = "http://127.0.0.1:8000"
Payload = dict[str, Any]
Post = Callable[..., Any]


def headers(who: str = "harbor", **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {who}", "Content-Type": "application/fhir+json", **more}


def set_clock(world: Any, now: datetime) -> None:
    object.__setattr__(world.services, "now", lambda: now)


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.data
    return [entry["resource"]["id"] for entry in answer.get_json().get("entry", [])]


def search(http: FlaskClient, query: str = "", who: str = "harbor") -> Any:
    return http.get(f"/fhir/Task{query and '?'}{query}", headers=headers(who))


@pytest.fixture
def send(world: Any, clinician: Callable[..., Requester]) -> Callable[..., str]:
    """Refer somebody to a program from the clinic; gives the Task's id."""

    def made(partner_id: str = "harbor") -> str:
        form = referral.ReferralForm(partner_id=partner_id, meet="survivor-calls", alias="Robin", signed="paper")
        result = referral.send(world.services, clinician(), form, world.services.now())
        return str(result.task_reference.removeprefix("Task/"))

    return made


@pytest.fixture
def refer(http: FlaskClient, post: Post) -> Callable[..., str]:
    """Refer somebody to the clinic from a program; gives the Task's id."""

    def made(number: str = "1", who: str = "harbor", **more: Any) -> str:
        body = post(number=number, sender=f"Organization/{who}", **more).body
        answer = http.post("/fhir", data=body, headers=headers(who))
        assert answer.status_code == 202, answer.data
        return str(answer.headers["Location"].rsplit("/", 1)[1])

    return made


@pytest.mark.rule("R19")
def test_rule_R19_a_program_finds_its_own_tasks_of_both_directions_and_no_other(
    http: FlaskClient, send: Any, refer: Any
) -> None:
    """What it sent and what it was sent, word for word as it reads each; another program's list holds none of them.
    Break: drop the partner from ``Vault.cases_of``, and let the judge permit all."""
    own = sorted([send(), refer("1"), refer("2")])
    theirs = [refer("3", "northside")]
    answer = search(http)
    assert ids(answer) == own
    assert ids(search(http, who="northside")) == theirs
    for entry in answer.get_json()["entry"]:
        one = entry["resource"]
        assert one == http.get(f"/fhir/Task/{one['id']}", headers=headers()).get_json()
        assert entry["fullUrl"] == f"{BASE}/fhir/Task/{one['id']}"
    assert answer.get_json()["total"] == 3
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_empty_list_and_a_full_one_are_r4(http: FlaskClient, send: Any) -> None:
    """Both can be read by whoever reads R4, and carry one confidentiality code and no other label (R4)."""
    empty = search(http).get_json()
    send()
    full = search(http).get_json()
    for bundle, level in ((empty, "U"), (full, "V")):
        assert [issue for issue in examine(bundle) if issue.severity == "error"] == []
        assert [label["code"] for label in bundle["meta"]["security"]] == [level]
    assert (empty["total"], "entry" in empty) == (0, False)


def test_pages_follow_each_other_and_lose_nothing(http: FlaskClient, refer: Any) -> None:
    """Following the next link as it stands gives each Task once, whatever comes in meanwhile."""
    known = sorted(refer(str(number)) for number in range(5))
    seen: list[str] = []
    path = "/fhir/Task?_count=2&status=requested"
    for page in range(3):
        bundle = http.get(path, headers=headers()).get_json()
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert links["self"].startswith(f"{BASE}/fhir/Task?status=requested&_count=2")
        path = links.get("next", "").removeprefix(BASE)
        if page == 0:
            refer("late")
    assert path.endswith(f"_after={seen[5]}") if path else True
    assert set(known) <= set(seen)
    assert len(seen) == len(set(seen))


def test_a_poll_from_the_last_answer_s_time_gets_what_is_new(
    http: FlaskClient, world: Any, send: Any, release_b: Callable[..., Payload]
) -> None:
    """A program that asks from the last timestamp on gets what it does not know yet, and nothing twice."""
    first, second = send(), send()
    before = search(http).get_json()["timestamp"]
    set_clock(world, NOW + timedelta(minutes=20))
    assert ids(search(http, f"_lastUpdated=gt{before}")) == []
    task = http.get(f"/fhir/Task/{first}", headers=headers())
    consent = json.dumps(release_b(task.get_json(), "contact"))
    assert http.post("/fhir/Consent", data=consent, headers=headers()).status_code == 201
    body = json.dumps({**task.get_json(), "status": "accepted"})
    etag = {"If-Match": task.headers["ETag"]}
    assert http.put(f"/fhir/Task/{first}", data=body, headers=headers(**etag)).status_code == 200
    set_clock(world, NOW + timedelta(minutes=40))
    assert ids(search(http, f"_lastUpdated=gt{before}")) == [first]
    assert ids(search(http, f"_lastUpdated=le{before}")) == [second]
    assert ids(search(http, "status=accepted")) == [first]
    assert sorted(ids(search(http, "status=accepted,requested"))) == sorted([first, second])


@pytest.mark.rule("R21")
@pytest.mark.parametrize("tier", [None, "contact"])
def test_rule_R21_what_is_not_shown_does_not_move_the_time_of_the_last_change(
    http: FlaskClient, world: Any, refer: Any, scheduler: Requester, tier: str | None
) -> None:
    """A visit is booked: without release A the list stays the same to the byte, under every filter; with it the Task is
    new. Break: give ``read_since`` the stored ETag, or filter the stored status."""
    task_id = refer(release_a=tier)
    before = search(http).get_json()["timestamp"]
    set_clock(world, NOW + timedelta(minutes=20))
    asked = (f"_lastUpdated=gt{before}", "status=accepted", "status=requested", f"_lastUpdated=le{before}")
    first = [search(http, query).data for query in asked]
    (item,) = scheduling.queue(world.door, scheduler, world.services.now())
    start = NOW + timedelta(days=1)
    times = (start, start + timedelta(minutes=30), None, world.services.placement, NOW)
    scheduling.book(world.door, world.ehr, scheduler, item.appointment_reference, *times)
    then = [search(http, query).data for query in asked]
    if tier is None:
        assert then == first
    else:
        assert ids(search(http, asked[0])) == ids(search(http, asked[1])) == [task_id]
        assert ids(search(http, asked[2])) == ids(search(http, asked[3])) == []


def test_when_something_was_read_is_sealed_and_goes_with_the_case(http: FlaskClient, world: Any, send: Any) -> None:
    """The time of a program's look stands nowhere in clear, and without the case's key nobody can open it (R35)."""
    send()
    assert len(ids(search(http))) == 1
    with world.engine.begin() as connection:
        (row,) = connection.execute(partner_view.select()).all()
        assert not any(isinstance(value, datetime) for value in row)
        assert b"2026-11-24" not in bytes(row.body)
        connection.execute(vault_key.delete())
    assert ids(search(http)) == []


def test_a_search_is_one_row_of_the_audit_naming_all(http: FlaskClient, world: Any, send: Any) -> None:
    """A list read is one row with every Task in it, as a disclosure under its release (R26)."""
    wanted = {f"Task/{send()}", f"Task/{send()}"}
    count = len(world.audit())
    search(http)
    (row,) = world.audit()[count:]
    assert (row["action"], row["is_disclosure"]) == ("list", True)
    assert wanted <= {entity["what"].split("/_history")[0] for entity in row["entities"]}
