"""The sandbox EHR's FHIR server: who may do what, and the R4 interactions it offers."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import requests


def _is_outcome(response, code: str | None = None) -> bool:
    issue = response.json()["issue"][0]
    return response.json()["resourceType"] == "OperationOutcome" and code in (None, issue["code"])


# -- tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["Patient/p-dana", "Patient", "Observation?patient=p-dana", "Nonsense/1", ""])
def test_nothing_opens_without_a_token(world, path) -> None:
    """Without a token every address gives the same answer: sign in first."""
    answer = world.get(path, None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert "error=" not in answer.headers["WWW-Authenticate"]
    assert _is_outcome(answer, "login")


def test_a_token_that_is_not_alive_here_opens_nothing(world) -> None:
    """A made-up, malformed, expired or foreign token is refused, and the answer says the token is the reason."""
    foreign = world.minted("clinician", base="b")
    expired = world.minted("clinician", expires_in=-1)
    for token in ("made-up", "white space", foreign, expired, "x" * 600, "é".encode().decode("latin-1")):
        answer = world.get("Patient/p-dana", token)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert _is_outcome(answer)
    good = world.minted("clinician")
    for header in (f"Basic {good}", good, f"Bearer  {good}"):
        answer = requests.get(f"{world.fhir_base()}/Patient/p-dana", headers={"Authorization": header}, timeout=10)
        assert answer.status_code == 401
    assert world.get(f"Patient/p-dana?access_token={good}", None).status_code == 401
    assert world.get("Patient/p-dana", good).status_code == 200


def test_what_the_server_can_do_is_open_to_all(world) -> None:
    """The description of the server needs no token, and says where writing is possible."""
    for base, writes in (("a", True), ("b", False)):
        statement = requests.get(f"{world.fhir_base(base)}/metadata", timeout=10).json()
        assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
        offered = {
            one["type"]: {interaction["code"] for interaction in one["interaction"]}
            for one in statement["rest"][0]["resource"]
        }
        assert ("create" in offered["Observation"]) is writes
        assert "create" not in offered["Patient"]


# -- scopes and compartment ------------------------------------------------------------------------------------------


def test_a_scope_allows_what_it_says_and_no_more(world, observation) -> None:
    """Reading does not allow writing, one type does not allow another, and searching is its own permission."""
    token = world.minted("clinician", scope="patient/Observation.r user/Practitioner.s")
    assert world.get("Observation/p-dana-bp-1", token).status_code == 200
    assert world.get("Practitioner?_id=dr-lee", token).status_code == 200
    for method, path, body in (
        ("GET", "Observation?patient=p-dana", None),
        ("GET", "Practitioner/dr-lee", None),
        ("GET", "Encounter?patient=p-dana", None),
        ("GET", "Patient/p-dana", None),
        ("POST", "Observation", observation()),
        ("PUT", "Observation/p-dana-bp-1", observation(id="p-dana-bp-1")),
        ("DELETE", "Observation/p-dana-bp-1", None),
    ):
        answer = world.fhir(method, path, token, body)
        assert answer.status_code == 403, (method, path)
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
        assert _is_outcome(answer, "forbidden")


def test_a_patient_launch_opens_one_chart(world, observation) -> None:
    """A token for one patient reads, searches and writes nothing of another."""
    token = world.token("a")["access_token"]
    assert world.get("Patient/p-dana", token).status_code == 200
    for path in ("Patient/p-rosa", "Patient?_id=p-rosa", "Observation?patient=p-rosa", "Observation/p-rosa-bp-1"):
        assert world.get(path, token).status_code == 403, path
    assert world.get("Observation?subject=Patient/p-rosa", token).status_code == 403
    assert world.get("Observation?patient=p-dana,p-rosa", token).status_code == 403
    every = world.get("Observation", token).json()
    assert {entry["resource"]["subject"]["reference"] for entry in every["entry"]} == {"Patient/p-dana"}
    assert world.fhir("POST", "Observation", token, observation("p-rosa")).status_code == 403


def test_an_update_cannot_move_a_record_to_another_patient(fresh, observation) -> None:
    """A record that was written for one patient stays in that chart."""
    token = fresh.minted("clinician")
    made = fresh.fhir("POST", "Observation", token, observation(), Prefer="return=representation").json()
    moved = made | {"subject": {"reference": "Patient/p-rosa"}}
    assert fresh.fhir("PUT", f"Observation/{made['id']}", token, moved).status_code == 403
    wide = fresh.minted("clinician", scope="user/*.cruds")
    assert fresh.fhir("PUT", f"Observation/{made['id']}", wide, moved).status_code == 403


def test_roles_bound_what_scopes_allow(fresh, observation) -> None:
    """A scheduler books and nothing else; patients, proxies and other apps write nothing, whatever their scope says."""
    visit = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-12-01T10:00:00Z",
        "end": "2026-12-01T10:20:00Z",
        "participant": [{"actor": {"reference": "Practitioner/dr-lee"}, "status": "accepted"}],
    }
    scope = "user/*.cruds patient/*.cruds"
    scheduler = fresh.minted("scheduler", scope=scope, patient="p-dana")
    assert fresh.fhir("POST", "Appointment", scheduler, visit).status_code == 201
    assert fresh.fhir("POST", "Observation", scheduler, observation()).status_code == 403
    for kind in ("patient", "proxy", "third-party"):
        token = fresh.minted(kind, scope=scope)
        assert fresh.fhir("POST", "Observation", token, observation()).status_code == 403
        assert fresh.fhir("POST", "Appointment", token, visit).status_code == 403


def test_the_read_only_base_takes_no_write(world, observation) -> None:
    """At the EHR without write-back every write is refused as not possible, even with a scope for it."""
    token = world.minted("clinician", base="b")
    for method, path in (
        ("POST", "Observation"),
        ("PUT", "Observation/p-dana-bp-1"),
        ("DELETE", "Observation/p-dana-bp-1"),
    ):
        answer = world.fhir(
            method, path, token, observation(id="p-dana-bp-1") if method != "DELETE" else None, base="b"
        )
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET, HEAD"
        assert _is_outcome(answer, "not-supported")
    assert world.fhir("POST", "Patient", world.minted("clinician"), {"resourceType": "Patient"}).status_code == 405


def test_a_granular_scope_gives_its_category_only(fresh, observation) -> None:
    """A patient app that may see one category sees that category and nothing beside it."""
    fresh.fhir("POST", "Observation", fresh.minted("clinician"), observation(level=None))
    token = fresh.minted(
        "third-party",
        scope="patient/Observation.rs?category=http://hl7.org/fhir/us/core/CodeSystem/us-core-category|sdoh",
    )
    found = fresh.get("Observation", token).json()
    assert (found["total"], len(found["entry"])) == (1, 1)
    assert fresh.get("Observation/p-dana-bp-1", token).status_code == 403


# -- reading and searching -------------------------------------------------------------------------------------------


def test_reading_by_id_and_by_version(fresh, observation) -> None:
    """Each version of a record can be read by its number, and the current one by name."""
    token = fresh.minted("clinician")
    made = fresh.fhir("POST", "Observation", token, observation(), Prefer="return=representation").json()
    path = f"Observation/{made['id']}"
    fresh.fhir("PUT", path, token, made | {"status": "amended"}, If_Match='W/"1"')
    current = fresh.get(path, token)
    assert (current.headers["ETag"], current.json()["status"]) == ('W/"2"', "amended")
    assert fresh.get(f"{path}/_history/1", token).json()["status"] == "final"
    assert fresh.get(f"{path}/_history/3", token).status_code == 404
    history = fresh.get(f"{path}/_history", token).json()
    assert (history["type"], history["total"]) == ("history", 2)
    assert [entry["request"]["method"] for entry in history["entry"]] == ["PUT", "POST"]


def test_absent_and_unknown_things(world) -> None:
    """An id that is not there is "not found"; a type this EHR does not keep is "not supported"."""
    token = world.minted("clinician")
    for path, code in (
        ("Observation/nobody", "not-found"),
        ("Observation/" + "x" * 65, "not-found"),
        ("Claim/1", "not-supported"),
    ):
        answer = world.get(path, token)
        assert answer.status_code == 404
        assert _is_outcome(answer, code)
    assert world.get("Patient/p-dana", token, Accept="text/xml").status_code == 406
    assert world.fhir("PATCH", "Observation/p-dana-bp-1", token, []).status_code == 405
    assert world.fhir("POST", "", token, {"resourceType": "Bundle"}).status_code == 404


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("Observation?patient=p-rosa", 3),
        ("Observation?patient=Patient/p-rosa", 3),
        ("Observation?subject:Patient=p-rosa", 3),
        ("Observation?patient=p-rosa&code=85354-9", 2),
        ("Observation?patient=p-rosa&code=http://loinc.org|85354-9,http://loinc.org|29463-7", 3),
        ("Observation?patient=p-rosa&code=http://snomed.info/sct|85354-9", 0),
        ("Observation?patient=p-rosa&category=vital-signs&status=final", 3),
        ("Observation?patient=p-rosa&status=entered-in-error", 0),
        ("Observation?patient=p-rosa&date=ge1990&date=lt1991", 0),
        ("Observation?patient=p-rosa&date=gt2020-01-01", 3),
        ("Observation?patient=p-rosa&_id=p-rosa-bp-1,p-rosa-bp-2", 2),
        ("Observation?patient=p-rosa&_summary=count", 3),
        ("Encounter?patient=p-rosa&status=in-progress", 1),
        ("Patient?identifier=http://localhost/sandbox/mrn|QZMRN-70411", 1),
        ("Patient?identifier=QZMRN-70411", 1),
        ("Patient?family=zarce", 1),
        ("Patient?name=Luz&gender=female", 1),
        ("Appointment?actor=Patient/p-rosa", 1),
        ("Appointment?practitioner=nurse-ortiz&status=booked", 1),
        ("Practitioner?_id=dr-lee", 1),
        ("RelatedPerson?patient=p-dana", 1),
    ],
)
def test_search_finds_what_was_asked(world, query, total) -> None:
    """A search gives the records that match, and says how many there are."""
    token = world.minted("clinician", scope="user/*.rs")
    answer = world.get(query, token)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == total
    entries = answer.json().get("entry", [])
    assert len(entries) == (0 if "_summary" in query else total)
    assert all(entry["fullUrl"].startswith(world.fhir_base("a") + "/") for entry in entries)


@pytest.mark.parametrize(
    "query",
    [
        "Observation?made-up=1",
        "Observation?patient=p-rosa&_count=many",
        "Observation?_count=1&_count=2",
        "Observation?date=yesterday",
        "Observation?_sort=value",
        "Observation?_revinclude=Provenance:target",
        "Observation?_include=Observation:performer",
        "Patient?phone=303",
        "Observation?patient.name=x",
        "Observation?_summary=text",
    ],
)
def test_a_search_that_is_not_understood_is_refused(world, query) -> None:
    """A filter that this EHR does not know is never ignored: an ignored filter shows too much."""
    answer = world.get(query, world.minted("clinician", scope="user/*.rs"))
    assert answer.status_code == 400
    assert _is_outcome(answer, "not-supported")


def test_pages_link_inside_the_base_and_repeat_nothing(world) -> None:
    """Turning the pages gives every record once, and each link stays on this EHR."""
    token = world.minted("clinician", scope="user/*.rs")
    seen, address = [], "Observation?category=vital-signs&_count=4&_sort=_id"
    while address:
        bundle = world.get(address, token).json()
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        assert len(bundle["entry"]) <= 4
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert all(url.startswith(world.fhir_base("a") + "/Observation?") for url in links.values())
        address = links.get("next")
    assert len(seen) == len(set(seen)) == bundle["total"]
    assert seen == sorted(seen)


def test_a_search_may_be_posted(world) -> None:
    """A search in a form keeps the patient's id out of the address, and is no write."""
    token = world.minted("clinician", patient="p-rosa")
    before = len(world.ehr.writes)
    answer = requests.post(
        f"{world.fhir_base()}/Observation/_search", data={"patient": "p-rosa"}, timeout=10,
        headers={"Authorization": f"Bearer {token}"},
    )  # fmt: skip
    assert answer.json()["total"] == 3
    assert len(world.ehr.writes) == before


def test_parts_and_neighbours_of_a_record(world) -> None:
    """A search may ask for some elements only, or for the visit and patient along with the record."""
    token = world.minted("clinician", patient="p-rosa")
    part = world.get("Observation/p-rosa-bp-1?_elements=status", token).json()
    assert "component" not in part
    assert part["meta"]["tag"][0]["code"] == "SUBSETTED"
    bundle = world.get("Observation?_id=p-rosa-bp-1&_include=Observation:patient", token).json()
    assert [(entry["search"]["mode"], entry["resource"]["id"]) for entry in bundle["entry"]] == [
        ("match", "p-rosa-bp-1"),
        ("include", "p-rosa"),
    ]
    assert bundle["total"] == 1
    everything = world.get("Patient/p-rosa/$everything", token).json()
    assert {"Patient", "Observation", "Encounter"} <= {
        entry["resource"]["resourceType"] for entry in everything["entry"]
    }
    assert world.get("Patient/p-luz/$everything", token).status_code == 403


# -- writing ---------------------------------------------------------------------------------------------------------


def test_a_create_answers_as_prefer_asks(fresh, observation) -> None:
    """A stored record has an id of the EHR's and a place; its content comes back only when asked for."""
    token = fresh.minted("clinician")
    quiet = fresh.fhir("POST", "Observation", token, observation(id="mine"))
    assert (quiet.status_code, quiet.content) == (201, b"")
    assert quiet.headers["Location"].startswith(f"{fresh.fhir_base()}/Observation/")
    assert quiet.headers["Location"].endswith("/_history/1")
    assert "/mine/" not in quiet.headers["Location"]
    full = fresh.fhir("POST", "Observation", token, observation(), Prefer="return=representation")
    assert full.json()["meta"]["security"] == observation()["meta"]["security"]
    assert full.headers["ETag"] == 'W/"1"'
    told = fresh.fhir("POST", "Observation", token, observation(), Prefer="return=OperationOutcome")
    assert told.json()["resourceType"] == "OperationOutcome"
    read_back = fresh.get(quiet.headers["Location"].rsplit("/_history", 1)[0], token).json()
    kept = {name: value for name, value in read_back.items() if name not in ("id", "meta")}
    assert kept == {name: value for name, value in observation().items() if name != "meta"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"resourceType": "ServiceRequest"}, 400),
        ({"status": None}, 422),
        ({"status": "banana"}, 422),
        ({"code": None}, 422),
        ({"subject": None}, 422),
        ({"subject": {"reference": "Patient/nobody"}}, 422),
        ({"subject": {"reference": "Group/1"}}, 422),
        ({"encounter": {"reference": "Encounter/p-rosa-past-1"}}, 422),
        ({"encounter": {"reference": "Encounter/nowhere"}}, 422),
        ({"performer": [{"reference": "Practitioner/nobody"}]}, 422),
        ({"modifierExtension": [{"url": "http://example.org/x", "valueBoolean": True}]}, 422),
        ({"meta": []}, 400),
    ],
)
def test_a_record_that_cannot_be_right_is_not_stored(fresh, observation, change, status) -> None:
    """A write with a wrong type, status, patient, visit or author is refused, and nothing is stored."""
    token = fresh.minted("clinician", scope="user/Observation.cruds")
    before = fresh.get("Observation?patient=p-dana", token).json()["total"]
    body = {name: value for name, value in (observation() | change).items() if value is not None}
    answer = fresh.fhir("POST", "Observation", token, body)
    assert answer.status_code == status
    assert _is_outcome(answer)
    assert fresh.get("Observation?patient=p-dana", token).json()["total"] == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"resourceType":"Observation","resourceType":"Observation"}', 400),
        (b'{"resourceType":"Observation","x":NaN}', 400),
        (b"[" * 50 + b"]" * 50, 400),
        (b'{"resourceType":"Observation","x":"' + b"x" * 1_000_000 + b'"}', 413),
    ],
    ids=["empty", "words", "list", "not-utf8", "duplicate", "nan", "deep", "big"],
)
def test_a_body_that_is_no_record_is_refused(world, body, status) -> None:
    """Broken, doubled, bottomless or oversized content gets a plain refusal."""
    answer = world.fhir("POST", "Observation", world.minted("clinician"), body)
    assert answer.status_code == status
    assert _is_outcome(answer)


def test_writes_need_json(world, observation) -> None:
    """Only JSON is accepted."""
    answer = world.fhir("POST", "Observation", world.minted("clinician"), observation(), Content_Type="text/plain")
    assert answer.status_code == 415


def test_an_appointment_must_hold_together(fresh) -> None:
    """A booked visit has a start, an end and somebody in it."""
    token = fresh.minted("scheduler")
    good = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-12-01T10:00:00Z",
        "end": "2026-12-01T10:20:00Z",
        "participant": [{"actor": {"reference": "Location/main"}, "status": "accepted"}],
    }
    assert fresh.fhir("POST", "Appointment", token, good).status_code == 201
    for change in (
        {"end": None},
        {"start": None, "end": None},
        {"participant": [{"status": "accepted"}]},
        {"participant": []},
    ):
        body = {name: value for name, value in (good | change).items() if value is not None}
        assert fresh.fhir("POST", "Appointment", token, body).status_code == 422
    proposed = {"resourceType": "Appointment", "status": "proposed", "participant": good["participant"]}
    assert fresh.fhir("POST", "Appointment", token, proposed).status_code == 201


def test_an_outdated_update_changes_nothing(fresh, observation) -> None:
    """Two people cannot overwrite each other: the second must first see what the first did."""
    token = fresh.minted("clinician")
    made = fresh.fhir("POST", "Observation", token, observation(), Prefer="return=representation").json()
    path = f"Observation/{made['id']}"
    first = fresh.fhir("PUT", path, token, made | {"status": "amended"}, If_Match='W/"1"')
    assert (first.status_code, first.headers["ETag"]) == (200, 'W/"2"')
    late = fresh.fhir("PUT", path, token, made | {"status": "cancelled"}, If_Match='W/"1"')
    assert (late.status_code, late.json()["issue"][0]["code"]) == (412, "conflict")
    fresh.set(stale_status=409)
    assert fresh.fhir("PUT", path, token, made, If_Match='W/"1"').status_code == 409
    assert fresh.fhir("PUT", path, token, made, If_Match="one").status_code == 400
    assert fresh.get(path, token).json()["status"] == "amended"
    assert fresh.fhir("PUT", path, token, made | {"id": "other"}).status_code == 400
    assert fresh.fhir("PUT", "Observation/absent", token, made | {"id": "absent"}).status_code == 404


def test_deleting(fresh, observation) -> None:
    """A deleted record is gone, says so to those who could see it, and keeps its history."""
    token = fresh.minted("clinician")
    location = fresh.fhir("POST", "Observation", token, observation()).headers["Location"].rsplit("/_history", 1)[0]
    for _ in range(2):
        assert fresh.fhir("DELETE", location, token).status_code == 204
    assert fresh.get(location, token).status_code == 410
    assert fresh.get(f"Observation?_id={location.rsplit('/', 1)[1]}", token).json()["total"] == 0
    assert fresh.get(f"{location}/_history", token).json()["total"] == 2
    assert fresh.fhir("PUT", location, token, observation(id=location.rsplit("/", 1)[1])).status_code == 404


# -- switches --------------------------------------------------------------------------------------------------------


def test_write_switches(fresh, observation) -> None:
    """An EHR can refuse a type, answer with nothing, or lose the labels on the way."""
    token = fresh.minted("clinician")
    fresh.set(refuse_create={"Observation": 403})
    assert fresh.fhir("POST", "Observation", token, observation()).status_code == 403
    fresh.set(refuse_create="Observation")
    assert fresh.fhir("POST", "Observation", token, observation()).status_code == 422
    fresh.set(refuse_create=None, empty_create=True)
    empty = fresh.fhir("POST", "Observation", token, observation(), Prefer="return=representation")
    assert (empty.status_code, empty.content) == (201, b"")
    assert empty.headers["Location"].startswith("Observation/")
    fresh.set(empty_create=False, strip_labels=True)
    bare = fresh.fhir("POST", "Observation", token, observation(), Prefer="return=representation").json()
    assert "security" not in bare["meta"]


def test_read_switches(world) -> None:
    """An EHR can be busy, down or slow, send the reader elsewhere, or link to a foreign page."""
    token = world.minted("clinician")
    world.set(too_many_requests=True)
    busy = world.get("Patient/p-dana", token)
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "30")
    world.set(too_many_requests=False, server_error=True)
    assert world.get("Patient/p-dana", token).status_code == 503
    world.set(server_error=False, redirect_reads=True)
    away = world.get("Patient/p-dana", token)
    assert (away.status_code, urlsplit(away.headers["Location"]).hostname) == (302, "foreign.invalid")
    world.set(redirect_reads=False, foreign_next="http://127.0.0.1:1/next")
    links = {link["relation"]: link["url"] for link in world.get("Observation", token).json()["link"]}
    assert links["next"] == "http://127.0.0.1:1/next"
    world.set(foreign_next=None, slow_seconds=0.3)
    assert world.get("Patient/p-dana", token).elapsed.total_seconds() >= 0.3


def test_the_self_link_says_what_was_searched(world) -> None:
    """The answer repeats the search it belongs to."""
    bundle = world.get("Observation?patient=p-dana&_count=1", world.minted("clinician")).json()
    query = parse_qs(urlsplit(bundle["link"][0]["url"]).query)
    assert query == {"patient": ["p-dana"], "_count": ["1"], "_offset": ["0"]}
