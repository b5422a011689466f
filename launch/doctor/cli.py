"""``label-probe``: run the probe, print what it found, write the proof file."""

from __future__ import annotations

import getpass
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click
import requests

from launch.doctor.label_probe import RESOURCE_TYPES, ProbeError, ProbeTokens, run_probe
from launch.doctor.site_proof import BY_HAND, Proof, write_proof

KINDS = ("clinician", "scheduler", "patient", "proxy", "third-party", "unprivileged-staff")
TYPES = click.Choice(RESOURCE_TYPES)


@click.command("label-probe")
@click.option("--registration", required=True, metavar="ID", help="Registration the proof is for, as in config.toml.")
@click.option("--fhir-base", required=True, metavar="URL", help="FHIR base of a NON-PRODUCTION server of that EHR.")
@click.option("--patient", required=True, metavar="ID", help="A test patient who has a proxy. Never a real person.")
@click.option("--control", metavar="URL", help="Control port of the sandbox EHR; it gives the tokens.")
@click.option("--tokens", type=click.File(), help=f"JSON file with one token each for: {', '.join(KINDS)}.")
@click.option("--type", "types", multiple=True, type=TYPES, default=RESOURCE_TYPES, help="Resource type; repeatable.")
@click.option("--service", default="HealthcareService/office", metavar="REFERENCE", help="Whose visit is booked.")
@click.option("--run-by", metavar="NAME", help="Who runs this; the proof keeps it. Default: your user name here.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The proof file to write.")
def label_probe(
    registration: str,
    fhir_base: str,
    patient: str,
    control: str | None,
    tokens: TextIO | None,
    types: tuple[str, ...],
    service: str,
    run_by: str | None,
    out: Path,
) -> None:
    """Find out whether an EHR keeps our labels and hides what they mark.

    Exit code 0: class A for each type. 1: some type is not (the proof says so, nothing will be written there).
    2: nothing was proved.
    """
    try:
        held = tokens_of(json.load(tokens)) if tokens else minted_tokens(control, registration, patient)
        proof = run_probe(
            registration_id=registration,
            fhir_base=fhir_base,
            tokens=held,
            patient_id=patient,
            run_by=run_by or _user_name(),
            today=datetime.now(UTC).date(),
            resource_types=types,
            service_reference=service,
        )
    except (ProbeError, ValueError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    write_proof(proof, out)
    for line in _in_words(proof, out):
        click.echo(line)
    sys.exit(0 if set(proof.classes.values()) == {"A"} else 1)


def tokens_of(mapping: dict[str, str]) -> ProbeTokens:
    """Tokens by the names of ``KINDS``. Raises ``ProbeError`` naming what is missing."""
    missing = [kind for kind in KINDS if not mapping.get(kind) and kind != "scheduler"]
    if missing:
        raise ProbeError(f"Tokens are missing for: {', '.join(missing)}.")
    return ProbeTokens(
        clinician=mapping["clinician"],
        patient=mapping["patient"],
        proxy=mapping["proxy"],
        third_party=mapping["third-party"],
        unprivileged_staff=mapping["unprivileged-staff"],
        scheduler=mapping.get("scheduler"),
    )


def minted_tokens(control: str | None, registration: str, patient: str) -> ProbeTokens:
    """Tokens from the sandbox EHR's control port. Raises ``ProbeError`` when it gives none."""
    if control is None:
        raise ProbeError("Where do the tokens come from? Name --tokens FILE, or --control URL for the sandbox EHR.")
    return tokens_of({kind: _minted(control, registration, kind, patient) for kind in KINDS})


def _minted(control: str, registration: str, kind: str, patient: str) -> str:
    wish = {"base": registration, "kind": kind, "patient": patient}
    try:
        answer = requests.post(f"{control.rstrip('/')}/token", json=wish, timeout=20, allow_redirects=False)
        return str(answer.json()["access_token"])
    except (requests.RequestException, ValueError, KeyError, TypeError):
        raise ProbeError(f"{control} gave no {kind} token for this patient.") from None


def _in_words(proof: Proof, out: Path) -> list[str]:
    return [
        f"{proof.ehr_name} {proof.ehr_version}, test patient {', '.join(proof.test_patient_ids)}",
        *(f"  {kind}: class {letter}" for kind, letter in proof.classes.items()),
        *(f"  - {finding}" for finding in proof.findings),
        "By hand, before this EHR is used with real patients:",
        *(f"  [ ] {line}" for line in BY_HAND),
        f"Written to {out}; it counts until {proof.expires_on.isoformat()} or until the EHR is upgraded.",
    ]


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "not named"
