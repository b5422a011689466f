"""The label probe tells an EHR that keeps and hides from one that only looks so (R6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from launch.doctor.cli import label_probe, minted_tokens
from launch.doctor.label_probe import ProbeError, ProbeTokens, run_probe
from launch.doctor.site_proof import Proof, ProofError, a_year_after, read_proof, write_proof

TODAY = date(2026, 11, 24)
PATIENT = "p-dana"  # she has a proxy


@dataclass(frozen=True)
class SandboxEhr:
    """A running sandbox EHR."""

    url: str
    control: str

    def set(self, **knobs: Any) -> None:
        """Make it misbehave."""
        requests.post(f"{self.control}/set", json=knobs, timeout=10).raise_for_status()

    def reset(self) -> None:
        """As it was at start."""
        requests.post(f"{self.control}/reset", timeout=20).raise_for_status()

    def writes(self) -> list[dict[str, Any]]:
        """Everything that was written to it, as received."""
        received: list[dict[str, Any]] = requests.get(f"{self.control}/writes", timeout=10).json()
        return received

    def probe(self, *types: str, base: str = "a", **changes: Any) -> Proof:
        """Run the probe as the demo does."""
        arguments = {
            "registration_id": base,
            "fhir_base": f"{self.url}/{base}/fhir",
            "tokens": minted_tokens(self.control, base, PATIENT),
            "patient_id": PATIENT,
            "run_by": "tests",
            "today": TODAY,
            "resource_types": types or ("Observation",),
        }
        return run_probe(**(arguments | changes))


@pytest.fixture(scope="module")
def running_ehr(
    start_process: Callable[..., Any], free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> SandboxEhr:
    port, control = free_port(), free_port()
    database = tmp_path_factory.mktemp("ehr") / "ehr.sqlite3"
    arguments = ["--port", str(port), "--control", str(control), "--database", str(database)]
    start_process("-m", "launch.sandbox", "ehr", *arguments)
    return SandboxEhr(f"http://localhost:{port}", f"http://127.0.0.1:{control}")


@pytest.fixture
def ehr(running_ehr: SandboxEhr) -> Iterator[SandboxEhr]:
    yield running_ehr
    running_ehr.reset()


@pytest.mark.rule("R6")
def test_an_ehr_that_keeps_and_hides_gets_class_a_for_each_type(ehr: SandboxEhr) -> None:
    """Where every label comes back and no outsider sees a trace, a copy may be written, for a year."""
    proof = ehr.probe("Observation", "ServiceRequest", "Appointment")
    assert proof.classes == {"Observation": "A", "ServiceRequest": "A", "Appointment": "A"}, proof.findings
    assert proof.expires_on == date(2027, 11, 24)
    assert (proof.registration_id, proof.test_patient_ids, proof.run_by) == ("a", (PATIENT,), "tests")
    assert proof.ehr_name
    assert proof.ehr_version


@pytest.mark.rule("R6")
@pytest.mark.rule("attack 2")
def test_an_ehr_that_shows_labelled_items_to_outsiders_is_class_b(ehr: SandboxEhr) -> None:
    """Labels that are kept but not obeyed protect nobody; the proof says who could see the item."""
    ehr.set(filter_labels=False)
    proof = ehr.probe()
    assert proof.classes == {"Observation": "B"}
    for who in ("the patient's portal", "a proxy", "a patient app", "staff without access"):
        assert any(who in finding and "can tell" in finding for finding in proof.findings), who


@pytest.mark.rule("R6")
def test_an_ehr_that_loses_labels_on_an_update_is_class_c(ehr: SandboxEhr) -> None:
    """An edit in the EHR must not open what was closed."""
    ehr.set(strip_labels_on_update=True)
    assert ehr.probe().classes == {"Observation": "C"}


@pytest.mark.rule("R6")
def test_an_ehr_that_drops_labels_is_class_d(ehr: SandboxEhr) -> None:
    """An EHR that says "created" and forgets the label is found before a real patient is."""
    ehr.set(strip_labels=True)
    proof = ehr.probe("Observation", "ServiceRequest")
    assert proof.classes == {"Observation": "D", "ServiceRequest": "D"}
    assert any("the labels are empty" in finding for finding in proof.findings)


def test_an_ehr_that_refuses_the_write_is_class_e(ehr: SandboxEhr) -> None:
    """A refused write is a clear answer: the vault is the only home."""
    ehr.set(refuse_create={"Observation": 403})
    assert ehr.probe().classes == {"Observation": "E"}


def test_an_ehr_that_offers_no_create_is_never_written_to(ehr: SandboxEhr) -> None:
    """The probe reads what a server offers before it writes anything."""
    before = len(ehr.writes())
    assert ehr.probe("Observation", "Appointment", base="b").classes == {"Observation": "E", "Appointment": "E"}
    assert len(ehr.writes()) == before


def test_an_answer_without_body_is_read_by_its_location(ehr: SandboxEhr) -> None:
    """Some EHRs answer a create with nothing but a relative address; the probe copes."""
    ehr.set(empty_create=True)
    assert ehr.probe().classes == {"Observation": "A"}


def test_sensitive_labels_are_sent_only_after_the_harmless_ones_held(ehr: SandboxEhr) -> None:
    """At an EHR that fails with test labels, no item ever carries the label that tells."""
    ehr.set(filter_labels=False)
    ehr.probe("Observation", "ServiceRequest")
    assert ehr.writes()
    assert [write for write in ehr.writes() if '"SDV"' in (write["body"] or "")] == []


def test_everything_the_probe_wrote_is_taken_back(ehr: SandboxEhr) -> None:
    """After a probe the test patient's chart is as it was: no current item of the probe is left standing."""
    ehr.probe("Observation", "ServiceRequest", "Appointment")
    tokens = minted_tokens(ehr.control, "a", PATIENT)
    for kind, token in (("Observation", tokens.clinician), ("ServiceRequest", tokens.clinician)):
        found = requests.get(
            f"{ehr.url}/a/fhir/{kind}",
            params={"patient": PATIENT},
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        ).json()
        resources = [entry["resource"] for entry in found.get("entry", [])]
        assert [r["id"] for r in resources if "security" in r["meta"] and r["status"] != "entered-in-error"] == []


def test_a_dead_token_proves_nothing(ehr: SandboxEhr) -> None:
    """An outsider who cannot log in sees nothing either: the probe refuses to call that a proof."""
    tokens = minted_tokens(ehr.control, "a", PATIENT)
    dead = ProbeTokens(tokens.clinician, tokens.patient, "dead", tokens.third_party, tokens.unprivileged_staff)
    before = len(ehr.writes())
    with pytest.raises(ProbeError, match="a proxy"):
        ehr.probe(tokens=dead)
    assert len(ehr.writes()) == before


def test_a_silent_server_proves_nothing(free_port: Callable[[], int]) -> None:
    """No answer is no proof, said in a sentence."""
    tokens = ProbeTokens(*["never sent"] * 6)
    with pytest.raises(ProbeError, match="did not answer"):
        run_probe(
            registration_id="a",
            fhir_base=f"http://127.0.0.1:{free_port()}/fhir",
            tokens=tokens,
            patient_id=PATIENT,
            run_by="tests",
            today=TODAY,
        )
    assert "never sent" not in repr(tokens)


def test_the_command_writes_a_proof_that_the_settings_read(ehr: SandboxEhr, tmp_path: Path) -> None:
    """One command gives IT the file that switches write-back on, and prints what a person still has to look at."""
    out = tmp_path / "proof.json"
    options = {"--registration": "a", "--fhir-base": f"{ehr.url}/a/fhir", "--control": ehr.control}
    arguments = [part for pair in (options | {"--patient": PATIENT, "--out": str(out)}).items() for part in pair]
    result = CliRunner().invoke(label_probe, arguments)
    assert result.exit_code == 0, result.output
    assert "Observation: class A" in result.output
    assert "By hand" in result.output
    raw = json.loads(out.read_text())
    assert raw["registration_id"] == "a"
    assert raw["classes"]["Observation"] == "A"
    ehr.set(strip_labels=True)
    assert CliRunner().invoke(label_probe, arguments).exit_code == 1


def test_the_command_without_tokens_says_where_they_come_from(tmp_path: Path) -> None:
    """A missing option is one sentence, not a trace."""
    required = ["--registration", "a", "--fhir-base", "http://127.0.0.1:9/fhir", "--patient", PATIENT]
    result = CliRunner().invoke(label_probe, [*required, "--out", str(tmp_path / "proof.json")])
    assert result.exit_code == 2
    assert "--tokens" in result.output
    assert not (tmp_path / "proof.json").exists()


def test_a_proof_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What was found is what the app reads, and a file that is no proof is refused in words."""
    proof = Proof("a", "EHR", "1.2", TODAY, a_year_after(TODAY), "tests", (PATIENT,), {"Observation": "A"}, ("Fine.",))
    path = tmp_path / "deep" / "proof.json"
    write_proof(proof, path)
    assert read_proof(path) == proof
    assert not list(path.parent.glob("*.part"))
    for text in ("{}", "[]", "no", json.dumps(json.loads(path.read_text()) | {"classes": {"Observation": "AA"}})):
        path.write_text(text)
        with pytest.raises(ProofError):
            read_proof(path)
    with pytest.raises(ProofError, match="no proof at"):
        read_proof(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("today", "is_current"),
    [(date(2026, 11, 23), False), (TODAY, True), (date(2027, 11, 24), True), (date(2027, 11, 25), False)],
)
def test_a_proof_counts_for_a_year(today: date, is_current: bool) -> None:
    """The day after its last day, a proof opens nothing; nor does one from the future."""
    proof = Proof("a", "EHR", "1", TODAY, a_year_after(TODAY), "tests", (PATIENT,), {})
    assert proof.is_current(today) is is_current


def test_a_proof_of_leap_day_ends_on_a_day_that_exists() -> None:
    """29 February has no anniversary in most years."""
    assert a_year_after(date(2028, 2, 29)) == date(2029, 2, 28)
