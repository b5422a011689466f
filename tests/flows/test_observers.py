"""Whoever is not on the referral finds no trace of it at the EHR: no record, no count, no tag, no history (R6)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from parties import Plays

from smart_app.tour.sandboxes import OBSERVERS, SandboxEhr

# Mothers, people with a proxy, and people without one.
PATIENTS = ("p-dana", "p-rosa", "p-marcus")
DSV_TYPES = ("Observation", "ServiceRequest")
ABSENT = "00000000-0000-4000-8000-000000000000"
TELLING = re.compile(
    r"\bSDV\b|warm-referral|NORDSCLCD|NOREUSE|PERSISTLABEL|disclosure|violence|410606002|308440001|[Hh]arbor|"
    r'"code":\s*"[RV]"'
)
SEARCHES = (
    "{kind}?patient={patient}",
    "{kind}?subject=Patient/{patient}",
    "{kind}?patient={patient}&_summary=count",
    "{kind}?patient={patient}&_count=1",
    "{kind}?patient={patient}&_sort=-_lastUpdated",
    "{kind}?patient={patient}&_elements=id",
    "{kind}?patient={patient}&_lastUpdated=ge2020-01-01",
    "{kind}?patient={patient}&_include={kind}:subject",
    "{kind}?patient={patient}&status={status}",
    "{kind}?_id={id}",
    "{kind}?_security=V",
    "{kind}?_security=http://terminology.hl7.org/CodeSystem/v3-ActCode|SDV",
    "{kind}?_security=V&_summary=count",
    "{kind}?category={category}",
    "{kind}?code={code}",
)


@dataclass
class Observer:
    """A live token of somebody who is not on the referral."""

    kind: str
    base: str
    token: str

    def get(self, path: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/fhir+json"}
        return requests.get(f"{self.base}/{path}", headers=headers, timeout=20, allow_redirects=False)

    def search_by_form(self, kind: str, form: dict[str, str]) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/fhir+json"}
        return requests.post(f"{self.base}/{kind}/_search", data=form, headers=headers, timeout=20)


@dataclass(frozen=True)
class Hidden:
    """One of our records as the treating clinician finds it, and how many others of its type the chart has."""

    payload: dict[str, Any]
    others: int

    @property
    def kind(self) -> str:
        return str(self.payload["resourceType"])

    @property
    def id(self) -> str:
        return str(self.payload["id"])


def observer(ehr: SandboxEhr, kind: str, patient: str, base: str = "a") -> Observer:
    body = {"base": base, "kind": kind, "patient": patient}
    token = requests.post(f"{ehr.control}/token", json=body, timeout=20).json()["access_token"]
    return Observer(kind, f"{ehr.url}/{base}/fhir", token)


def hidden(ehr: SandboxEhr, patient: str) -> list[Hidden]:
    """Our records of this patient at EHR a."""
    found = []
    for kind in DSV_TYPES:
        records = ehr.found("a", "clinician", patient, f"{kind}?patient={patient}&_count=100")
        ours = [record for record in records if "SDV" in json.dumps(record.get("meta", {}))]
        found += [Hidden(record, len(records) - len(ours)) for record in ours]
    return found


def traces(someone: Observer, patient: str, records: list[Hidden]) -> Iterator[str]:
    """Every sign of ``records`` that this observer can get by asking for them."""
    for record in records:
        yield from _traces_by_id(someone, record)
        yield from _traces_by_search(someone, patient, record)
    everything = someone.get(f"Patient/{patient}/$everything")
    if _tells(everything, records) or not everything.ok:
        yield f"$everything: {everything.status_code}"


def _traces_by_id(someone: Observer, record: Hidden) -> Iterator[str]:
    """A record that is hidden answers like one that never was, to the byte."""
    for suffix in ("", "/_history", "/_history/1", "/_history/2", "?_elements=id"):
        answer = someone.get(f"{record.kind}/{record.id}{suffix}")
        absent = someone.get(f"{record.kind}/{ABSENT}{suffix}")
        same = (answer.status_code, answer.content, _kept(answer)) == (404, absent.content, _kept(absent))
        if not same or absent.status_code != 404:
            yield f"{record.kind}/<id>{suffix}: {answer.status_code}"


def _traces_by_search(someone: Observer, patient: str, record: Hidden) -> Iterator[str]:
    values = {
        "kind": record.kind,
        "patient": patient,
        "id": record.id,
        "status": record.payload["status"],
        "category": record.payload.get("category", [{}])[0].get("coding", [{}])[0].get("code", "none"),
        "code": record.payload["code"]["coding"][0]["code"],
    }
    for search in SEARCHES:
        answer = someone.get(search.format(**values))
        if _tells(answer, [record]):
            yield f"{search}: tells"
        if "patient={patient}" in search and "status" not in search and answer.json().get("total") != record.others:
            yield f"{search}: counts {answer.json().get('total')} of {record.others}"
    by_form = someone.search_by_form(record.kind, {"patient": patient})
    if _tells(by_form, [record]) or by_form.json().get("total") != record.others:
        yield f"{record.kind}/_search: tells"


def _tells(answer: requests.Response, records: list[Hidden]) -> bool:
    """The answer holds one of our words or ids. The address of a search repeats what was asked and is left out."""
    body = answer.json()
    body.pop("link", None)
    text = json.dumps(body)
    return TELLING.search(text) is not None or any(record.id in text for record in records)


def _kept(answer: requests.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "Date"}


@pytest.mark.rule("R6")
@pytest.mark.parametrize("patient", PATIENTS)
@pytest.mark.parametrize("kind", OBSERVERS)
def test_rule_R06_others_find_no_trace_at_the_ehr(ehr: SandboxEhr, plays: Plays, kind: str, patient: str) -> None:
    """Patient, proxy, another app and the front desk ask in every way there is, and find what was there before.

    Break: switch the sandbox's ``filter_labels`` off, or let the app write a copy without labels.
    """
    plays.of("a", patient)
    records = hidden(ehr, patient)
    assert {record.kind for record in records} == set(DSV_TYPES)  # the treating clinician does find them
    assert list(traces(observer(ehr, kind, patient), patient, records)) == []


@pytest.mark.parametrize("kind", OBSERVERS)
def test_a_leak_would_be_found(ehr: SandboxEhr, plays: Plays, turn: Callable[..., None], kind: str) -> None:
    """The search for traces is itself tried: when the EHR stops hiding, each kind of question finds one."""
    plays.of("a", "p-dana")
    records = hidden(ehr, "p-dana")[:1]
    turn(filter_labels=False)
    found = " ".join(traces(observer(ehr, kind, "p-dana"), "p-dana", records))
    for question in (
        "<id>:",
        "_history:",
        "_history/1:",
        "_summary=count",
        "_security=V:",
        "_id=",
        "_search:",
        "everything",
    ):
        assert question in found


@pytest.mark.rule("R6")
@pytest.mark.parametrize("patient", PATIENTS)
def test_rule_R06_portal_and_other_screens_show_no_trace(ehr: SandboxEhr, plays: Plays, patient: str) -> None:
    """The portal, a proxy at the portal, the front desk, the scheduler and IT see a chart as if nothing had happened.

    Break: switch the sandbox's ``filter_labels`` off.
    """
    plays.of("a", patient)
    records = hidden(ehr, patient)
    screens = [f"portal/{patient}", f"portal/{patient}?as=proxy"]
    screens += [f"chart/{patient}?as={who}" for who in ("clerk-dunn", "sched-kim", "it-raman", "lead-osei")]
    for screen in (*screens, "schedule?as=clerk-dunn"):
        answer = requests.get(f"{ehr.url}/a/{screen}", timeout=20)
        assert answer.status_code == 200
        assert not re.search(r"SDV|warm-referral|violence|disclosure|[Hh]arbor|very restricted", answer.text), screen
        assert not [record.id for record in records if record.id in answer.text]
    treating = requests.get(f"{ehr.url}/a/chart/{patient}?as=dr-lee", timeout=20)
    assert "SDV" in treating.text


def test_a_child_is_not_linked_to_her_mothers_records(ehr: SandboxEhr, plays: Plays) -> None:
    """In the child's chart there is nothing of her mother's, whoever looks."""
    plays.of("a", "p-rosa")
    for kind in ("clinician", *OBSERVERS):
        someone = observer(ehr, kind, "p-luz")
        for resource_type in DSV_TYPES:
            assert not _tells(someone.get(f"{resource_type}?patient=p-luz"), [])
        assert not _tells(someone.get("Patient/p-luz/$everything"), [])


@pytest.mark.rule("R6")
def test_rule_R06_the_other_ehr_holds_nothing(ehr: SandboxEhr, plays: Plays) -> None:
    """At EHR b, where nothing may be written, even the clinician finds no record of ours after all flows.

    Break: let ``placement.decide`` place everything at "ehr-and-vault".
    """
    plays.of("b", "p-dana")
    someone = observer(ehr, "clinician", "p-dana", base="b")
    for resource_type in (*DSV_TYPES, "Appointment"):
        assert not _tells(someone.get(f"{resource_type}?patient=p-dana"), [])
    assert not [write for write in ehr.writes() if write["base"] == "b"]
