"""What the doctor must never get wrong: exit codes, private keys, a proof of an EHR that changed, who is seen."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from launch.doctor import check_keys, check_proof
from launch.doctor.check_fhir import Offer
from launch.doctor.findings import Stops, exit_code, green, not_checked, red, warning
from launch.doctor.label_probe import ProbeError
from launch.doctor.probe_tokens import held_tokens
from launch.doctor.site import EhrFacts
from launch.doctor.site_proof import Proof, read_proof, write_proof
from launch.doctor.wire import Reply
from launch.registrations import Registration
from smart_app.policy.placement import PlacementSettings, decide
from smart_app.settings import load
from smart_app.tour.browser import Browser

TODAY = date(2026, 11, 24)
EHR = Registration("a", "https://ehr.example/fhir", "app", "EHR", ("https://ehr.example",), frozenset({"Observation"}))
OFFER = Offer("EHR", "1", "4.0.1", {"Observation": frozenset({"create", "update"})})
PROOF = Proof(
    "a", "EHR", "1", TODAY, date(2027, 11, 24), "tests", ("p",), {"Observation": "A"},
    offered=check_proof.fingerprint(OFFER),
)  # fmt: skip


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([green("x", "")], 0),
        ([green("x", ""), not_checked("y", "")], 0),
        ([warning("x", ""), green("y", "")], 4),
        ([red("x", "", stops=Stops.COPY), warning("y", "")], 5),
        ([red("x", ""), red("y", "", stops=Stops.COPY)], 1),
        ([red("x", "", stops=Stops.EVERYTHING), red("y", "")], 3),
        ([red("x", "", stops=Stops.SETUP), red("y", "", stops=Stops.EVERYTHING)], 2),
    ],
)
def test_the_exit_code_is_that_of_the_most_urgent_finding(findings: list[Any], code: int) -> None:
    """A script that runs the check-up every night can tell a broken launch from a slow server."""
    assert exit_code(findings) == code


def test_an_unknown_issuer_and_a_silent_ehr_have_codes_of_their_own(clinic: Any) -> None:
    """Nothing is sent to an issuer that nobody registered."""
    report = clinic.doctor(issuer="https://elsewhere.example/fhir")
    assert (report["exit"], [one["id"] for one in report["findings"]]) == (2, ["allow-list.unknown"])


def test_a_key_set_that_shows_private_keys_is_red() -> None:
    """Private keys on the network are the first thing said, whatever else is right."""

    @dataclass
    class _Ours:
        keys_file: Path = Path("/nowhere")

    keys = [{"kid": "1", "alg": "ES384", "d": "x"}, {"kid": "2", "alg": "RS384"}]
    reply = Reply(200, {"Cache-Control": "max-age=300"}, json.dumps({"keys": keys}).encode())
    lights = {one.id: str(one.light) for one in check_keys.judge(reply, _Ours(), EHR)}  # type: ignore[arg-type]
    assert lights["keys.private"] == "red"


@pytest.mark.rule("R6")
@pytest.mark.parametrize(
    "now",
    [
        replace(OFFER, version="2"),
        replace(OFFER, interactions={"Observation": frozenset({"create"})}),
        replace(OFFER, security_search=frozenset({"Observation"})),
    ],
)
def test_rule_R06_a_proof_of_an_ehr_that_changed_is_void(tmp_path: Path, now: Offer) -> None:
    """An upgraded EHR is not the one that was proved. Breaks when ``differences`` compares nothing."""
    facts = EhrFacts(placement={"Observation": "ehr-and-vault"}, proof_file=tmp_path / "proof.json")
    write_proof(PROOF, tmp_path / "proof.json")
    found = {one.id: str(one.light) for one in check_proof.judge(EHR, facts, now, TODAY)}
    assert found["proof.drift"] == "red"
    assert read_proof(tmp_path / "proof.json").voided_on == TODAY
    assert not read_proof(tmp_path / "proof.json").is_current(TODAY)


@pytest.mark.rule("R6")
def test_rule_R06_a_void_proof_turns_copies_off_and_tells_the_officer(clinic: Any) -> None:
    """After a check-up finds another EHR, nothing is written there. Breaks when placement ignores ``voided_on``."""
    settings = load(clinic.place.config)

    def decision() -> Any:
        return decide(
            PlacementSettings(settings.placement.registrations), registration_id="a", resource_type="Observation",
            patient_id="p-dana", patient_wants_ehr_copy=True, today=read_proof(clinic.place.proof).made_on,
        )  # fmt: skip

    assert decision().has_ehr_copy
    clinic.set(fhir_version="4.3.0")
    clinic.doctor()
    assert (decision().has_ehr_copy, decision().needs_officer) == (False, True)


def test_a_watch_shows_nothing_of_anybody_who_is_not_a_listed_test_patient(clinic: Any) -> None:
    """A real patient's launch during a watch leaves one line that says so. Breaks when the list is not asked."""
    import time

    watches = clinic.site().watches()
    watch = watches.open("a", now=int(time.time()), seconds=60)
    Browser().get(clinic.launch_url(patient="p-rosa"))
    reports = [report for _, report in watches.told(watch, after=0)]
    watches.close(watch)
    assert [one.step for one in reports] == ["begun", "somebody-else"]
    assert not any(one.lines for one in reports)


def test_what_a_watch_prints_holds_no_patient(clinic: Any) -> None:
    """Neither the name nor the id of the test patient stands in the lines of a launch."""
    import time

    watches = clinic.site().watches()
    watch = watches.open("a", now=int(time.time()), seconds=60)
    Browser().get(clinic.launch_url())
    text = " ".join(line.words + line.ask for _, report in watches.told(watch, after=0) for line in report.lines)
    watches.close(watch)
    assert "Role: physician" in text
    assert "p-dana" not in text


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Tokens in an open file are anybody's; the file is named and its remedy said."""
    file = tmp_path / "tokens.json"
    file.write_text("{}")
    file.chmod(0o644)
    with pytest.raises(ProbeError, match="chmod 600"):
        held_tokens(file, None, "a", "p-dana", {})


def test_in_a_frame_of_another_site_the_cookie_comes_back(clinic: Any, require_tool: Any) -> None:
    """In a real Chromium the framed launch keeps its cookie, and the page is shown: all green, exit code 0.

    Breaks when the cookie is not Partitioned."""
    require_tool("chromium")
    result = clinic.run("doctor", clinic.issuer, "-o", "json")
    lights = {one["id"]: one["light"] for one in json.loads(result.stdout)["findings"]}
    assert (lights.get("frame.cookie"), lights.get("frame.shown")) == ("green", "green")
    assert result.exit_code == 0
