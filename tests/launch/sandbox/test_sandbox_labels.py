"""At ``/a`` the sandbox EHR keeps labels and hides what they mark, as if it were not there."""

from __future__ import annotations

import json
import re

import pytest

OUTSIDERS = ("patient", "proxy", "third-party", "unprivileged-staff")
US_CORE = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def _create(world, payload, **more) -> str:
    answer = world.fhir("POST", payload["resourceType"], world.minted("clinician", **more), payload)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].rsplit("/", 3)[1]


def _looks(identifier: str) -> list[str]:
    """Every address at which somebody might look for a trace of one Observation."""
    return [
        f"Observation/{identifier}",
        f"Observation/{identifier}/_history",
        f"Observation/{identifier}/_history/1",
        f"Observation/{identifier}?_elements=status",
        "Observation?patient=p-dana",
        "Observation?patient=p-dana&_summary=count",
        "Observation?patient=p-dana&_count=1",
        "Observation?patient=p-dana&_count=0",
        "Observation?patient=p-dana&_sort=-_lastUpdated",
        f"Observation?_id={identifier}",
        f"Observation?_security={CONFIDENTIALITY}|V",
        f"Observation?_security={CONFIDENTIALITY}|R",
        "Observation?_security=SDV",
        f"Observation?category={US_CORE}|sdoh",
        f"Observation?_id={identifier}&_include=Observation:patient",
        "Patient/p-dana/$everything",
    ]


def _normal(text: str, identifier: str) -> str:
    """An answer without what differs between any two moments or ids."""
    return re.sub(r"20\d\d-[\d:.TZ+-]+", "TIME", text.replace(identifier, "ID"))


@pytest.mark.rule("R6")
@pytest.mark.parametrize("kind", OUTSIDERS)
@pytest.mark.parametrize("level", ["V", "R"])
def test_rule_R06_an_outsider_sees_no_trace(fresh, observation, kind, level) -> None:
    """With a labelled record in the chart, every answer to a patient, proxy, app or clerk is what it was without it.

    Break: let ``Ehr.is_visible`` return True.
    """
    outsider = fresh.minted(kind, patient="p-dana")
    before = {look: fresh.get(look, outsider) for look in _looks("absent-0")}
    identifier = _create(fresh, observation(level=level))
    for look, absent in zip(_looks(identifier), before.values(), strict=True):
        now = fresh.get(look, outsider)
        assert now.status_code == absent.status_code, look
        assert _normal(now.text, identifier) == _normal(absent.text, "absent-0"), look
        headers = {name: value for name, value in now.headers.items() if name not in ("Date", "Content-Length")}
        assert headers == {
            name: value for name, value in absent.headers.items() if name not in ("Date", "Content-Length")
        }
    seen = fresh.get(f"Observation/{identifier}", fresh.minted("clinician"))
    assert seen.status_code == 200


@pytest.mark.parametrize("role", ["nurse-ortiz", "ma-brooks", "sw-haddad", "bh-novak"])
def test_those_who_treat_see_it(fresh, observation, role) -> None:
    """Nurse, medical assistant, social worker and behavioral health see what the physician recorded."""
    identifier = _create(fresh, observation())
    token = fresh.minted("clinician", user=role)
    assert fresh.get(f"Observation/{identifier}", token).json()["meta"]["security"][0]["code"] == "V"
    assert fresh.get(f"Observation?_security={CONFIDENTIALITY}|V", token).json()["total"] == 1


@pytest.mark.parametrize("user", ["coord-ellis", "officer-grant", "lead-osei", "it-raman", "clerk-dunn", "sched-kim"])
def test_those_who_do_not_treat_do_not(fresh, observation, user) -> None:
    """Coordinator, officer, lead, IT, front desk and scheduler do not see it, whatever their scope says."""
    identifier = _create(fresh, observation())
    for kind in ("clinician", "scheduler", "unprivileged-staff"):
        token = fresh.minted(kind, user=user, scope="user/*.rs patient/*.rs")
        assert fresh.get(f"Observation/{identifier}", token).status_code == 404


def test_unlabelled_and_normal_content_is_not_hidden(fresh, observation) -> None:
    """A blood pressure, and a record marked as normal, show to the patient as before."""
    for level in (None, "N"):
        identifier = _create(fresh, observation(level=level))
        assert fresh.get(f"Observation/{identifier}", fresh.minted("patient")).status_code == 200


def test_another_system_with_the_same_letter_hides_nothing(fresh, observation) -> None:
    """A label counts by its whole name: a V of another list is not "very restricted"."""
    labels = [{"system": "http://example.org/letters", "code": "V"}]
    identifier = _create(fresh, observation(level=None, meta={"security": labels}))
    assert fresh.get(f"Observation/{identifier}", fresh.minted("patient")).status_code == 200


def test_a_scheduler_sees_the_neutral_visit_they_book(fresh) -> None:
    """A visit marked restricted shows to the scheduler who books it, one marked very restricted does not."""
    for level, status in (("R", 200), ("V", 404)):
        visit = {
            "resourceType": "Appointment",
            "status": "booked",
            "meta": {"security": [{"system": CONFIDENTIALITY, "code": level}]},
            "start": "2026-12-01T10:00:00Z",
            "end": "2026-12-01T10:20:00Z",
            "participant": [{"actor": {"reference": "Patient/p-dana"}, "status": "accepted"}],
        }
        answer = fresh.fhir("POST", "Appointment", fresh.minted("scheduler"), visit)
        identifier = answer.headers["Location"].rsplit("/", 3)[1]
        assert fresh.get(f"Appointment/{identifier}", fresh.minted("scheduler")).status_code == status
        for kind in OUTSIDERS:
            assert fresh.get(f"Appointment/{identifier}", fresh.minted(kind)).status_code == 404


def test_an_update_cannot_lose_or_lower_a_label(fresh, observation) -> None:
    """Saving a record without its labels, or with weaker ones, leaves them as they were; stronger ones are taken."""
    token = fresh.minted("clinician")
    identifier = _create(fresh, observation(level="R"))
    path = f"Observation/{identifier}"

    def labels() -> set[str]:
        return {label["code"] for label in fresh.get(path, token).json()["meta"]["security"]}

    for level, expected in ((None, {"R", "SDV"}), ("N", {"R", "SDV"}), ("V", {"V", "SDV"})):
        assert fresh.fhir("PUT", path, token, observation(level=level, id=identifier)).status_code == 200
        assert labels() == expected
    fresh.set(strip_labels_on_update=True)
    fresh.fhir("PUT", path, token, observation(level=None, id=identifier))
    assert "security" not in fresh.get(path, token).json()["meta"]
    # an earlier version was very restricted, so the whole record stays hidden
    assert fresh.get(path, fresh.minted("patient")).status_code == 404


def test_a_deleted_record_is_not_betrayed_by_its_deletion(fresh, observation) -> None:
    """Who could not see the record cannot see that there was one: "not found", never "gone"."""
    identifier = _create(fresh, observation())
    fresh.fhir("DELETE", f"Observation/{identifier}", fresh.minted("clinician"))
    assert fresh.get(f"Observation/{identifier}", fresh.minted("clinician")).status_code == 410
    assert fresh.get(f"Observation/{identifier}", fresh.minted("patient")).status_code == 404


def test_a_hidden_record_cannot_be_changed_by_guessing(fresh, observation) -> None:
    """Writing to a hidden id gets the same answer as writing to an absent one."""
    identifier = _create(fresh, observation(subject={"reference": "Patient/p-dana"}))
    token = fresh.minted("scheduler", scope="user/*.cruds")
    answers = [fresh.fhir("PUT", f"Observation/{one}", token, observation(id=one)) for one in (identifier, "absent-0")]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].content == answers[1].content


def test_the_filter_can_be_switched_off(fresh, observation) -> None:
    """The switch that makes this an EHR which only looks safe: labels kept, shown to all."""
    identifier = _create(fresh, observation())
    fresh.set(filter_labels=False)
    for kind in OUTSIDERS:
        assert fresh.get(f"Observation/{identifier}", fresh.minted(kind)).status_code == 200


def test_the_mother_of_a_child_is_an_outsider_too(fresh, observation) -> None:
    """A parent with access to a child's portal sees nothing that is labelled there."""
    identifier = _create(fresh, observation("p-luz"), patient="p-luz")
    token = fresh.minted("proxy", patient="p-luz")
    minted = json.loads(fresh.get("Observation", token).text)
    assert identifier not in json.dumps(minted)
    assert fresh.get("RelatedPerson/rp-rosa", token).status_code == 200
