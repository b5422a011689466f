"""The synthetic people of the sandbox EHR."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from launch.sandbox import people
from launch.sandbox.database import Database
from launch.sandbox.records import Records


@pytest.fixture
def records(tmp_path) -> Records:
    return Records(Database(tmp_path / "ehr.sqlite3"), "a")


NOW = datetime(2027, 3, 1, 16, 0, tzinfo=UTC)


def test_the_six_people_keep_their_ages(records) -> None:
    """Whenever the sandbox is started, the teen is 16 and the child 8."""
    people.load(records, None, NOW)
    ages = {
        record.id: people_age(record.payload["birthDate"], NOW.date())
        for record in records.every("Patient")
    }  # fmt: skip
    assert ages == {"p-rosa": 34, "p-luz": 8, "p-dana": 29, "p-marcus": 41, "p-tess": 16, "p-walter": 72}


def people_age(birth_date: str, today: date) -> int:
    born = date.fromisoformat(birth_date)
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def test_everyone_has_a_visit_open_today_and_it_is_made_once(records) -> None:
    """Each patient has one visit in progress; starting again the same day opens no second one."""
    people.load(records, None, NOW)
    people.load(records, None, NOW)
    for patient in records.every("Patient"):
        open_visits = [one for one in records.every("Encounter", patient.id) if one.payload["status"] == "in-progress"]
        assert len(open_visits) == 1
    assert len(records.every("Practitioner")) == 11


def test_a_visit_of_another_day_is_finished(records) -> None:
    """The next morning yesterday's visit is over and a new one is open."""
    people.load(records, None, NOW)
    tomorrow = datetime(2027, 3, 2, 16, 0, tzinfo=UTC)
    new = people.open_encounter(records, "p-rosa", "dr-lee", tomorrow)
    statuses = {one.id: one.payload["status"] for one in records.every("Encounter", "p-rosa")}
    assert statuses.pop(new.id) == "in-progress"
    assert set(statuses.values()) == {"finished"}


def test_the_canary_words_are_in_the_charts_and_are_odd(records) -> None:
    """Each patient's name, number, phone and street is a word that would be noticed anywhere else."""
    people.load(records, None, NOW)
    stored = json.dumps([record.payload for record in records.every("Patient") + records.every("RelatedPerson")])
    words = people.canaries()
    assert len(words) >= 24
    for word in words:
        assert word in stored or all(part in stored for part in word.split())


def test_references_between_our_records_hold(records) -> None:
    """Every record of a chart points at a patient, a member of staff or a place that is there."""
    people.load(records, None, NOW)
    for kind in (
        "Observation",
        "Encounter",
        "Appointment",
        "RelatedPerson",
        "Immunization",
        "Condition",
        "PractitionerRole",
    ):
        for record in records.every(kind):
            for reference in _references(record.payload):
                assert records.exists(*reference.split("/")), reference


def _references(value) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in _references(item)]
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [found for item in value.values() for found in _references(item)]
    return []


def test_a_bundle_is_loaded_with_its_references_resolved(records, bundle_folder) -> None:
    """A Synthea patient comes in with a chart that belongs together, what is not kept is left out, a visit is open."""
    people.load(records, bundle_folder, NOW)
    bo = next(record for record in records.every("Patient") if people.summary(record)["source"] == "synthea")
    visits = records.every("Encounter", bo.id)
    assert {visit.payload["status"] for visit in visits} == {"finished", "in-progress"}
    finished = next(visit for visit in visits if visit.payload["status"] == "finished")
    assert finished.payload["subject"] == {"reference": f"Patient/{bo.id}"}
    assert "urn:uuid:" not in json.dumps([record.payload for record in visits])
    assert len(records.every("Patient")) == 7


def test_a_folder_given_later_is_loaded_too(records, bundle_folder) -> None:
    """A sandbox that was started without the folder takes it up at the next start."""
    people.load(records, None, NOW)
    people.load(records, bundle_folder, NOW)
    assert len(records.every("Patient")) == 7


def test_real_synthea_bundles_load(records, data_folder) -> None:
    """All bundles of the folder given with --data become charts with an open visit."""
    people.load(records, data_folder, NOW)
    count = len(list(data_folder.glob("*.json")))
    loaded = [record for record in records.every("Patient") if people.summary(record)["source"] == "synthea"]
    assert len(loaded) == count
    for patient in loaded:
        assert records.every("Observation", patient.id)
        assert any(one.payload["status"] == "in-progress" for one in records.every("Encounter", patient.id))
        assert "urn:uuid:" not in json.dumps([one.payload for one in records.every("Observation", patient.id)])
