"""The doctor's commands: ``doctor`` (check-up, watch, proof), and ``label-probe`` (the proof alone, no settings)."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from launch.doctor import report
from launch.doctor.check_fhir import read_offer
from launch.doctor.check_proof import fingerprint
from launch.doctor.check_transport import can_trust
from launch.doctor.examination import Options, examine
from launch.doctor.findings import ExitCode, exit_code
from launch.doctor.label_probe import RESOURCE_TYPES, ProbeError, ProbeTokens, run_probe
from launch.doctor.probe_tokens import KINDS, held_tokens, minted_tokens, tokens_of
from launch.doctor.site import DoctorSite, SetUpError, site_of
from launch.doctor.site_proof import BY_HAND, Proof, write_proof
from launch.doctor.watch import watch_one_launch
from launch.doctor.wire import FHIR_JSON, Wire
from launch.registrations import Registration

__all__ = ["doctor", "label_probe", "minted_tokens", "tokens_of"]

TYPES = click.Choice(RESOURCE_TYPES)
FILE = click.Path(dir_okay=False, path_type=Path)
WATCH_MINUTES = 15


@click.command("doctor")
@click.argument("issuer", metavar="ISSUER")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--browser/--no-browser", default=True, help="Try our cookie in a framed page, where Chromium is.")
@click.option("--keep-proof", is_flag=True, help="Never mark a proof void, whatever changed at the EHR.")
@click.option("--trusted", type=click.Path(exists=True, dir_okay=False), help="File of extra root certificates (PEM).")
@click.option("--watch", is_flag=True, help="Wait for one launch of a listed test patient and print what came of it.")
@click.option("--minutes", type=click.IntRange(1, 60), default=WATCH_MINUTES, show_default=True, help="For --watch.")
@click.option("--proof", is_flag=True, help="Run the label probe and write the site proof. Needs --patient and tokens.")
@click.option("--patient", metavar="ID", help="For --proof: a listed test patient who has a test proxy.")
@click.option("--tokens", type=FILE, help=f"For --proof: JSON file, mode 0600, with tokens for {', '.join(KINDS)}.")
@click.option("--control", metavar="URL", help="For --proof at the sandbox EHR: its control port gives the tokens.")
@click.option("--fhir-base", metavar="URL", help="For --proof: the NON-PRODUCTION base of this EHR, if it is another.")
@click.option("--type", "types", multiple=True, type=TYPES, default=RESOURCE_TYPES, help="For --proof; repeatable.")
@click.option("--service", default="HealthcareService/office", metavar="REFERENCE", help="For --proof: who is booked.")
@click.option("--run-by", metavar="NAME", help="For --proof: who runs it. Default: your user name here.")
@click.option("--out", type=FILE, help="For --proof: the file to write. Default: proof_file of this EHR in settings.")
@click.pass_context
def doctor(context: click.Context, /, issuer: str, output: str, watch: bool, proof: bool, **options: Any) -> None:
    """Say whether launches from ISSUER (a FHIR base or registration id of config.toml) will work, before one is made.

    Exit codes: 0 all green; 1 launches do not work or are not safe; 2 our own settings or usage; 3 the EHR does not
    answer; 4 warnings only; 5 launches work and nothing may be written to the EHR. Each finding says in a sentence what
    to ask the vendor.
    """
    try:
        site = site_of(context)
        if watch and proof:
            raise SetUpError("Choose one of --watch and --proof.")
        if watch:
            _watch(site, issuer, output, options["minutes"])
        if proof:
            _prove(site, _known(site, issuer), options)
        _check_up(site, issuer, output, options)
    except (SetUpError, ProbeError) as error:
        _stop(str(error))


def _check_up(site: DoctorSite, issuer: str, output: str, options: dict[str, Any]) -> NoReturn:
    chosen = Options(options["browser"], not options["keep_proof"], options["trusted"])
    if chosen.trusted is not None and not can_trust(chosen.trusted):
        raise SetUpError("The file of --trusted holds no certificates in PEM.")
    found = examine(site, issuer, chosen)
    click.echo(report.as_json(found) if output == "json" else report.as_text(found))
    sys.exit(exit_code(found.findings))


def _watch(site: DoctorSite, issuer: str, output: str, minutes: int) -> NoReturn:
    registration = _known(site, issuer)
    seen = watch_one_launch(site, registration, minutes=minutes, say=click.echo, as_json=output == "json")
    sys.exit(seen)


def _prove(site: DoctorSite, registration: Registration, options: dict[str, Any]) -> NoReturn:
    facts, patient = site.facts(registration), options["patient"]
    base = options["fhir_base"] or registration.issuer
    out = options["out"] or facts.proof_file
    if not patient:
        raise SetUpError("Name the test patient: --patient ID. Never a real person.")
    if facts.test_patients and patient not in facts.test_patients:
        raise SetUpError("This patient is not one of test_patients in settings. A probe writes to test patients only.")
    is_demo = site.registrations.allows_loopback_http
    if facts.environment == "production" and options["fhir_base"] is None and not is_demo:
        raise SetUpError(
            "This registration is for production. Name the NON-PRODUCTION base of the same EHR: --fhir-base URL"
        )
    if out is None:
        raise SetUpError("Name the proof file: --out FILE, and name it in settings as proof_file.")
    tokens = held_tokens(options["tokens"], options["control"], registration.id, patient)
    made = _probed(registration.id, base, tokens, patient, options)
    _keep(made, out, _offered_at(site, registration))


@click.command("label-probe")
@click.option("--registration", required=True, metavar="ID", help="Registration the proof is for, as in config.toml.")
@click.option("--fhir-base", required=True, metavar="URL", help="FHIR base of a NON-PRODUCTION server of that EHR.")
@click.option("--patient", required=True, metavar="ID", help="A test patient who has a proxy. Never a real person.")
@click.option("--control", metavar="URL", help="Control port of the sandbox EHR; it gives the tokens.")
@click.option("--tokens", type=FILE, help=f"JSON file, mode 0600, with one token each for: {', '.join(KINDS)}.")
@click.option("--type", "types", multiple=True, type=TYPES, default=RESOURCE_TYPES, help="Resource type; repeatable.")
@click.option("--service", default="HealthcareService/office", metavar="REFERENCE", help="Whose visit is booked.")
@click.option("--run-by", metavar="NAME", help="Who runs this; the proof keeps it. Default: your user name here.")
@click.option("--out", required=True, type=FILE, help="The proof file to write.")
def label_probe(registration: str, fhir_base: str, patient: str, out: Path, **options: Any) -> None:
    """Find out whether an EHR keeps our labels and hides what they mark, without any settings.

    Exit code 0: class A for each type. 1: some type is not (the proof says so, nothing will be written there).
    2: nothing was proved.
    """
    try:
        tokens = held_tokens(options["tokens"], options["control"], registration, patient)
        _keep(_probed(registration, fhir_base, tokens, patient, options), out, {}, code_when_not_a=1)
    except (ProbeError, ValueError) as error:
        _stop(str(error))


def _probed(registration_id: str, base: str, tokens: ProbeTokens, patient: str, options: dict[str, Any]) -> Proof:
    return run_probe(
        registration_id=registration_id,
        fhir_base=base,
        tokens=tokens,
        patient_id=patient,
        run_by=options["run_by"] or _user_name(),
        today=datetime.now(UTC).date(),
        resource_types=options["types"],
        service_reference=options["service"],
    )


def _offered_at(site: DoctorSite, registration: Registration) -> dict[str, Any]:
    """What the registered EHR offers now, which is what later check-ups compare with; {} when it does not say."""
    reply = Wire(site.registrations, registration).get(registration.issuer + "/metadata", FHIR_JSON)
    offer = read_offer(reply.json_object()) if reply.status == 200 else None
    return fingerprint(offer) if offer is not None else {}


def _keep(made: Proof, out: Path, offered: dict[str, Any], *, code_when_not_a: int = ExitCode.NO_COPY) -> NoReturn:
    if offered:
        made = made.with_offer(offered)
    write_proof(made, out)
    for line in _in_words(made, out):
        click.echo(line)
    sys.exit(ExitCode.ALL_GREEN if set(made.classes.values()) == {"A"} else code_when_not_a)


def _in_words(proof: Proof, out: Path) -> list[str]:
    return [
        f"{proof.ehr_name} {proof.ehr_version}, test patient {', '.join(proof.test_patient_ids)}",
        *(f"  {kind}: class {letter}" for kind, letter in proof.classes.items()),
        *(f"  - {finding}" for finding in proof.findings),
        "By hand, before this EHR is used with real patients:",
        *(f"  [ ] {line}" for line in BY_HAND),
        f"Written to {out}; it counts until {proof.expires_on.isoformat()} or until the EHR is upgraded.",
    ]


def _known(site: DoctorSite, issuer: str) -> Registration:
    registration = site.named(issuer)
    if registration is None:
        raise SetUpError("This issuer is not registered here; `warm-referral doctor ISSUER` lists those that are.")
    return registration


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "not named"


def _stop(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(ExitCode.SETUP)
