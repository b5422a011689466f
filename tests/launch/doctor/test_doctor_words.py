"""What the doctor prints: plain words for a person, the same for a machine, and never a secret."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from launch.doctor.check_fhir import judge_refusals
from launch.doctor.watch import watch_one_launch
from launch.doctor.wire import FAILURE_WORDS, Reply, Wire
from launch.sandbox.control import TOKEN_KINDS
from smart_app.tour.browser import Browser

SECRET_MEMBERS = ("d", "p", "q", "dp", "dq", "qi")


def watched(clinic: Any, *more: str, **launch: Any) -> Result:
    """``doctor --watch`` as a command, and one launch while it waits."""
    results: list[Result] = []
    command = ("doctor", clinic.issuer, "--watch", "--minutes", "1", *more)
    thread = threading.Thread(target=lambda: results.append(clinic.run(*command)))
    thread.start()
    watches, deadline = clinic.site().watches(), time.monotonic() + 30
    while not watches.of("a", now=int(time.time())):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    Browser().get(clinic.launch_url(**launch))
    thread.join(60)
    assert results, "the watch did not end"
    return results[0]


def test_a_watch_prints_every_part_of_a_launch(clinic: Any) -> None:
    """Context, scopes granted, role and the rule that matched, cookie, frame and banner, each on a line of its own."""
    result = watched(clinic)
    for words in (
        "Open the app in Sandbox EHR A from the chart of a listed test patient",
        "A launch has begun; the EHR has the browser now.",
        "The launch came about.",
        "Patient: a listed test patient is in context.",
        "Encounter: the visit is in context.",
        "Patient banner: the EHR wants us to show name and birth date.",
        "Scopes: all that we asked",
        'Role: physician, by the rule roles: "Practitioner/dr-lee" = "physician".',
        "Cookie: it came back with the browser",
        "Frame: this browser does not say",
        "(exit code 0)",
    ):
        assert words in " ".join(result.output.split()), (words, result.output)
    assert result.exit_code == 0
    assert "p-dana" not in result.output


def test_a_watched_launch_that_is_refused_says_why_and_what_to_ask(clinic: Any) -> None:
    """The command ends with 1, and the sentence for the vendor stands under the line."""
    clinic.set(wrong_nonce=True)
    result = watched(clinic)
    assert result.exit_code == 1
    assert "The launch was refused." in result.output
    assert "Ask: Your id_token must repeat the nonce of the authorization request." in result.output


def test_a_watch_without_a_launch_ends_with_3(clinic: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever, and the first thing to look at is named."""
    slept = iter([*range(5), 61])
    monkeypatch.setattr("launch.doctor.watch.time", _Clock(slept))
    site, said = clinic.site(), list[str]()
    code = watch_one_launch(
        site, site.named("a"), minutes=1, say=said.append, as_json=False, sleep=lambda seconds: None
    )
    assert (code, said[-1].startswith("No launch came.")) == (3, True)
    assert next(slept, None) is None, "it waited for as long as it said"


class _Clock:
    """Seconds as they are told, one for each time somebody looks."""

    def __init__(self, seconds: Iterator[int]) -> None:
        self._seconds = seconds

    def monotonic(self) -> float:
        return float(next(self._seconds))

    def time(self) -> float:
        return time.time()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--watch", "--proof"], "Choose one of --watch and --proof."),
        (["--proof"], "Name the test patient: --patient ID."),
        (["--proof", "--patient", "p-rosa"], "not one of test_patients"),
        (["--proof", "--patient", "p-dana"], "Where do the tokens come from?"),
        (["--proof", "--patient", "p-dana", "--tokens", "/nowhere"], "cannot be read"),
    ],
)
def test_what_cannot_begin_says_what_is_missing_and_ends_with_2(clinic: Any, arguments: list[str], words: str) -> None:
    """A wrong command line is one sentence with its remedy; nothing was asked of anybody."""
    result = clinic.run("doctor", clinic.issuer, *arguments)
    assert (result.exit_code, words in result.output) == (2, True), result.output


@pytest.mark.parametrize("arguments", [["--watch"], ["--proof", "--patient", "p-dana"]])
def test_a_stranger_s_address_is_neither_watched_nor_proved(clinic: Any, arguments: list[str]) -> None:
    """Only registered EHRs are looked at, in whatever way."""
    result = clinic.run("doctor", "https://elsewhere.example/fhir", *arguments)
    assert (result.exit_code, "not registered here" in result.output) == (2, True)


@pytest.mark.rule("R6")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"software_version": "2"}, "the version of the EHR"),
        ({"fhir_version": "4.3.0"}, "the FHIR release"),
        ({"statement_lacks": ["Observation.update"]}, "what can be created, read or updated"),
        ({"statement_lacks": ["Observation._security"]}, "search by label"),
    ],
)
def test_rule_R06_drift_voids_the_proof_until_a_new_one_is_made(
    clinic: Any, change: dict[str, Any], words: str
) -> None:
    """An upgraded EHR is named by what changed, the proof file is void, and only a new probe brings copies back.

    Break: in ``check_proof._change`` leave out ``_void``."""
    clinic.set(**change)
    report = clinic.doctor()
    told = {one["id"]: one for one in report["findings"]}
    assert words in told["proof.drift"]["words"]
    assert "The proof is now marked void" in told["proof.drift"]["words"]
    assert json.loads(clinic.place.proof.read_text())["voided_on"]
    clinic.set(software_version="1", fhir_version="4.0.1", statement_lacks=[])
    again = {one["id"]: one["light"] for one in clinic.doctor()["findings"]}
    assert again["proof.void"] == "red", "an EHR that went back to what it was is not proved again by that"
    renewed = clinic.run(
        "doctor", clinic.issuer, "--proof", "--patient", "p-dana", "--control", clinic.place.ehr_control
    )
    assert renewed.exit_code == 0, renewed.output
    assert {one["id"]: one["light"] for one in clinic.doctor()["findings"]}["proof.current"] == "green"


@pytest.mark.parametrize(("bodies", "words"), [("empty", "with an empty body"), ("text", "with text that is no FHIR")])
def test_what_comes_with_a_refusal_is_said(clinic: Any, bodies: str, words: str) -> None:
    """IT reads how this EHR refuses: with an OperationOutcome, with nothing, or with bare words."""
    assert "with an OperationOutcome" in _refusal(clinic)
    clinic.set(error_bodies=bodies)
    assert words in _refusal(clinic)


def _refusal(clinic: Any) -> str:
    told = {one["id"]: one["words"] for one in clinic.doctor("--keep-proof")["findings"]}
    return str(told["refusal.no-token"])


def test_a_web_page_in_the_place_of_a_fhir_base_is_noticed() -> None:
    """Where every path is answered with a page, mistakes would pass for answers."""
    refused = Reply(401, {"WWW-Authenticate": "Bearer"}, b"{}")
    lights = {one.id: str(one.light) for one in judge_refusals(refused, Reply(200, {}, b"<html>"))}
    assert lights["refusal.nowhere"] == "warning"
    lights = {one.id: str(one.light) for one in judge_refusals(refused, Reply(404, {}, b""))}
    assert lights["refusal.nowhere"] == "green"


@pytest.mark.parametrize("failure", FAILURE_WORDS)
def test_each_way_of_not_answering_is_named(clinic: Any, failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too slow, too large, a private address, no connection: the report says which, and the exit code what follows."""
    genuine = Wire.get

    def get(self: Wire, url: str, *rest: Any) -> Reply:
        is_discovery = url.endswith("/smart-configuration")
        return Reply(failure=failure) if is_discovery else genuine(self, url, *rest)

    monkeypatch.setattr(Wire, "get", get)
    report = clinic.doctor("--keep-proof")
    told = [one for one in report["findings"] if one["id"].startswith("discovery.")]
    assert len(told) == 1
    assert FAILURE_WORDS[failure] in told[0]["words"]
    assert report["exit"] == {"refused-address": 2, "certificate": 1}.get(failure, 3)


# --- secrets ---------------------------------------------------------------------------------------------------------


def _private_values(keys_file: Path) -> set[str]:
    kept = json.loads(keys_file.read_text())["keys"]
    return {key[member] for key in kept for member in SECRET_MEMBERS if member in key}


def test_no_secret_is_ever_printed(clinic: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A shared secret, private keys and test tokens: in no report, text or JSON, no log line at DEBUG and no proof,
    whether the tokens are good, refused, or the EHR does not answer.

    Break: in ``_Probe.require_working_tokens`` quote ``token`` in place of ``who``."""
    caplog.set_level(logging.DEBUG)
    secret = "canary-client-secret-0f1e"
    config = tmp_path / "config.toml"
    symmetric = clinic.behind(clinic.place.app_url, config)
    said = config.read_text().replace(
        'client_id = "care-connections"',
        'client_id = "care-connections"\ntoken_endpoint_auth_method = "client_secret_basic"',
    )
    config.write_text(said)
    env = {f"WARM_REFERRAL_CLIENT_SECRETS__{one}": secret for one in "AB"}
    tokens = tmp_path / "tokens.json"
    canaries = {kind: f"canary-token-{kind}" for kind in TOKEN_KINDS}
    tokens.write_text(json.dumps(canaries))
    tokens.chmod(0o600)
    proof = tmp_path / "proof.json"
    prove = ("doctor", clinic.issuer, "--proof", "--patient", "p-dana", "--out", str(proof), "--type", "Observation")
    printed = [
        symmetric.run("doctor", clinic.issuer, "--no-browser", "--keep-proof", env=env),
        symmetric.run("doctor", clinic.issuer, "--no-browser", "--keep-proof", "-o", "json", env=env),
        clinic.run("doctor", clinic.issuer, "--no-browser", "--keep-proof"),
        clinic.run(*prove, "--tokens", str(tokens)),
        clinic.run(*prove, "--control", clinic.place.ehr_control),
    ]
    clinic.set(server_error=True)
    printed.append(clinic.run(*prove, "--tokens", str(tokens)))
    clinic.set(server_error=False)
    printed.append(watched(clinic))
    shown = "".join(one.output + one.stderr for one in printed) + caplog.text + proof.read_text()
    assert all(one.exception is None or isinstance(one.exception, SystemExit) for one in printed)
    assert all("discovery.document" in one.output for one in printed[:3])
    assert "Observation: class A" in printed[4].output
    assert "The launch came about." in printed[6].output
    hidden = {secret, *canaries.values(), *_private_values(clinic.place.directory / "app-keys.json")}
    assert len(hidden) > len(canaries) + 2
    assert [one for one in hidden if one in shown] == []
    assert "Bearer ey" not in shown


def test_what_an_ehr_says_of_itself_cannot_write_on_the_screen(clinic: Any) -> None:
    """A version full of control characters, or a page long, is cut down to plain letters before anybody sees it."""
    clinic.set(software_version="\x1b[2J\u202e<script>canary</script>" + "9" * 500)
    for form in ("text", "json"):
        result = clinic.run("doctor", clinic.issuer, "--no-browser", "--keep-proof", "-o", form)
        assert not [
            sign for sign in ("\x1b", "\\u001b", "\u202e", "\\u202e", "<script>", "9" * 80) if sign in result.output
        ]
