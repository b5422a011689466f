"""Unsafe settings never start, and every mistake is named at once with its remedy (R41, R6)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from smart_app.cli import cli
from smart_app.settings.words import UNSAFE

Change = Callable[[dict[str, Any]], None]
TODAY = datetime.now(UTC).date()


def test_the_demo_and_a_health_center_can_start(folder: Any, as_production: Change) -> None:
    """What is safe starts, and settings are frozen from then on."""
    assert folder.loaded().mode == "demo"
    settings = folder.loaded(as_production)
    assert settings.placement.registrations["a"].proof is not None
    with pytest.raises(ValueError, match="frozen"):
        settings.product_name = "Other"


def ehr_b(**changes: Any) -> Change:
    return lambda settings: settings["ehr"][1].update(changes)


def top(**changes: Any) -> Change:
    return lambda settings: settings.update(changes)


def site(**changes: Any) -> Change:
    return lambda settings: settings["site"].update(changes)


def inbox(url: str) -> Change:
    return lambda settings: settings["inbox"].update(public_base_url=url)


def mail(**changes: Any) -> Change:
    return top(mail={"host": "mail.example.org", "sender": "office@example.org", **changes})


def without(*names: str) -> Change:
    return lambda settings: [settings.pop(name, None) for name in names] and None


def loose_file(name: str, content: str, mode: int) -> Callable[[Path], str]:
    """Makes a file with a secret in it, for everybody or for its owner."""

    def make(directory: Path) -> str:
        path = directory / name
        path.write_text(content)
        path.chmod(mode)
        return str(path)

    return make


GOOD_KEY = base64.b64encode(b"k" * 32).decode()
# The key that is named, what is changed, and the unsafe value of ``UNSAFE`` that it is (None: only wrong).
BAD: list[tuple[str, Change, str | None]] = [
    ("public_base_url", top(public_base_url="http://care.example.org"), "public_base_url"),
    ("public_base_url", top(public_base_url="https://care.example.org/app"), "public_base_url"),
    ("public_base_url", top(public_base_url="https://*.example.org"), "public_base_url"),
    ("public_base_url", top(public_base_url="https://me@care.example.org"), "public_base_url"),
    ("mode", top(mode="debug"), None),
    ("debug", top(debug=True), None),
    ("audit", top(audit="off"), None),
    ("audit", top(audit=False), None),
    ("redirect_uri", top(redirect_uri="https://*"), None),
    ("redirect_uris", top(redirect_uris=["*"]), None),
    ("scopes", top(scopes=["patient/*.*"]), None),
    ("ehr.b.scopes", ehr_b(scopes="user/*.cruds"), None),
    ("labels", top(labels=["N"]), None),
    ("confidentiality", top(confidentiality="N"), "confidentiality"),
    ("trusted_proxies[0]", top(trusted_proxies=["0.0.0.0/0"]), "trusted_proxies"),
    ("trusted_proxies[1]", top(trusted_proxies=["10.0.0.1", "::/0"]), "trusted_proxies"),
    ("trusted_proxies[0]", top(trusted_proxies=["proxy.example.org"]), "trusted_proxies"),
    ("trusted_proxies[0]", top(trusted_proxies=["*"]), "trusted_proxies"),
    ("tenant_id", without("tenant_id"), None),
    ("database_url", without("database_url"), None),
    ("site", without("site"), None),
    ("master_key_file", without("master_key_file"), "master_key_file"),
    ("master_key_file", top(master_key_file="/nowhere/master.key"), "master_key_file"),
    ("master_key", top(master_key=GOOD_KEY), "master_key"),
    ("master_key_plugin", top(master_key_plugin="our-kms"), "master_key_plugin"),
    ("key_ring_file", without("master_key_file"), "key_ring_file"),
    ("backup_recipient", top(backup_recipient="AGE-SECRET-KEY-1CANARY"), "backup_recipient"),
    ("client_secrets", top(client_secrets={"b": "canary-secret"}), "client_secrets"),
    ("keys_file", top(keys_file="/nowhere/keys.json"), "keys_file"),
    ("inbox.public_base_url", inbox("http://inbox.example.org"), "inbox.public_base_url"),
    ("inbox.public_base_url", inbox("https://192.0.2.7"), "inbox.public_base_url"),
    ("inbox.public_base_url", inbox("https://inbox.example.org/app"), "inbox.public_base_url"),
    ("inbox.public_base_url", inbox("https://care.example.org"), "inbox.public_base_url"),
    ("mail.security", mail(security="none"), "mail.security"),
    ("mail.sender", mail(sender="office"), "mail.sender"),
    ("mail.password", mail(password="canary-password"), "mail.password"),
    ("site.time_zone", site(time_zone="Mars/Olympus"), None),
    ("site.weekdays", site(weekdays=[]), None),
    ("site.opens", site(opens="18:00:00"), None),
    ("site.places_per_day", site(places_per_day=0), None),
    ("ehr", top(ehr=[]), "ehr"),
    ("ehr.issuer", lambda s: s["ehr"][1].update(issuer=s["ehr"][0]["issuer"]), "ehr"),
    ("ehr.id", ehr_b(id="a"), "ehr.id"),
    ("ehr.[1].id", lambda s: s["ehr"][1].pop("id"), None),
    ("ehr.b.issuer", ehr_b(issuer="http://ehr.example.org/b"), "ehr.issuer"),
    ("ehr.b.issuer", ehr_b(issuer="https://*.example.org/b"), "ehr.issuer"),
    ("ehr.b.issuer", ehr_b(issuer="https://ehr.example.org/b?x=1"), "ehr.issuer"),
    ("ehr.b.client_id", lambda s: s["ehr"][1].pop("client_id"), None),
    ("ehr.b.client_secret", ehr_b(client_secret="canary-secret"), None),
    (
        "ehr.b.client_secret",
        ehr_b(token_endpoint_auth_method="client_secret_basic"),
        "ehr.token_endpoint_auth_method",
    ),
    ("ehr.b.token_endpoint_auth_method", ehr_b(token_endpoint_auth_method="client_secret_post"), None),
    ("ehr.b.signing_alg", ehr_b(signing_alg="RS256"), None),
    ("ehr.b.frame_origins", ehr_b(frame_origins=[]), "ehr.frame_origins"),
    ("ehr.b.frame_origins", lambda s: s["ehr"][1].pop("frame_origins"), "ehr.frame_origins"),
    ("ehr.b.frame_origins", ehr_b(frame_origins=["*"]), "ehr.frame_origins"),
    ("ehr.b.frame_origins", ehr_b(frame_origins=["https://*.example.org"]), "ehr.frame_origins"),
    ("ehr.b.frame_origins", ehr_b(frame_origins=["http://ehr.example.org"]), "ehr.frame_origins"),
    (
        "ehr.b.test_patients",
        ehr_b(environment="test", test_patients=[], placement={"Observation": "ehr-and-vault"}),
        "ehr.test_patients",
    ),
    ("ehr.b.placement", ehr_b(placement={"Condition": "ehr-and-vault"}), "ehr.placement"),
    ("ehr.b.placement", ehr_b(placement={"Observation": "everywhere"}), None),
    ("ehr.b.placement", ehr_b(placement={"Observation*canary": "vault"}), None),
    ("ehr.b.proof_file", ehr_b(placement={"Observation": "ehr-and-vault"}), "ehr.placement"),
    (
        "ehr.b.proof_file",
        lambda s: s["ehr"][1].update(placement={"Observation": "ehr-and-vault"}, proof_file=s["ehr"][0]["proof_file"]),
        "ehr.proof_file",
    ),
    ("ehr.b.roles", ehr_b(roles={"Practitioner/x": "king"}), None),
    ("ehr.b.roles", ehr_b(roles={"Practitioner/*": "nurse"}), "ehr.roles"),
    ("ehr.b.roles", ehr_b(roles={"Patient/1": "nurse"}), "ehr.roles"),
    ("ehr.b.practitioner_roles", ehr_b(practitioner_roles={"*|*": "nurse"}), "ehr.practitioner_roles"),
    (
        "ehr.b.practitioner_roles",
        ehr_b(practitioner_roles={"http://snomed.info/sct|1": "privacy-officer"}),
        "ehr.practitioner_roles",
    ),
    ("ehr.b.treating_roles", ehr_b(treating_roles=["scheduler"]), "ehr.treating_roles"),
    ("ehr.b.care_team_sources", ehr_b(care_team_sources=["everybody"]), None),
    ("ehr.b.site.time_zone", ehr_b(site={"time_zone": "Mars/Olympus"}), None),
    ("ehr.b.site.opens", ehr_b(site={"opens": "23:00"}), None),
    (
        "demo",
        top(demo={"ehr_control": "http://127.0.0.1:1", "program_control": "http://127.0.0.1:2"}),
        None,
    ),
]


@pytest.mark.rule("R41")
@pytest.mark.requirement("smart@10")
@pytest.mark.parametrize(("key", "change", "_"), BAD, ids=[f"{n}-{key}" for n, (key, _, _) in enumerate(BAD)])
def test_rule_R41_each_unsafe_value_refuses_the_start(
    folder: Any, as_production: Change, key: str, change: Change, _: str | None
) -> None:
    """An unsafe or wrong value stops the start and names its key, never a secret.

    Break: let ``load`` return before it asks ``unsafe``.
    """
    problems = folder.problems(as_production, change)
    assert [problem for problem in problems if problem.startswith(f"{key}: ")], problems
    assert not any("canary" in problem or GOOD_KEY in problem for problem in problems)
    assert not any(problem.endswith(".") or "\n" in problem for problem in problems)  # one sentence each


@pytest.mark.rule("R41")
@pytest.mark.parametrize(
    ("key", "file", "words"),
    [
        ("master_key_file", loose_file("m", GOOD_KEY, 0o644), "chmod 600"),
        ("master_key_file", loose_file("m", "canary too short", 0o600), "does not hold"),
        ("keys_file", loose_file("k", '{"keys": []}', 0o644), "chmod 600"),
        ("keys_file", loose_file("k", '{"keys": []}', 0o600), "no key for ES384"),
        ("keys_file", loose_file("k", "canary", 0o600), "does not hold"),
    ],
)
def test_rule_R41_a_secret_that_others_can_read_refuses_the_start(
    folder: Any, key: str, file: Callable[[Path], str], words: str
) -> None:
    """A key file that other accounts can read, or that holds no key, stops the start with the command that mends it.

    Break: leave ``_key_problems`` out of ``unsafe``.
    """
    problems = folder.problems(top(**{key: file(folder.directory)}))
    assert [problem for problem in problems if problem.startswith(f"{key}: ") and words in problem], problems
    assert not any("canary" in problem for problem in problems)


@pytest.mark.rule("R41")
def test_rule_R41_every_value_that_is_called_unsafe_is_tried_here() -> None:
    """What ``config explain`` calls a value that never starts is one that was seen not to start."""
    tried = {unsafe for _, _, unsafe in BAD if unsafe is not None}
    # test_rule_R41_http_stays..., test_client_secret..., test_rule_R41_the_inbox_of_a_demo...
    elsewhere = {"mode", "bind_host", "ehr.client_secret_file", "inbox.bind_host"}
    assert tried | elsewhere == set(UNSAFE)


@pytest.mark.rule("R41")
def test_rule_R41_the_inbox_of_a_demo_listens_on_this_computer_only(folder: Any) -> None:
    """Nobody on the network reaches a demo's inbox. Break: leave its ``bind_host`` out of ``_inbox_problems``."""
    problems = folder.problems(lambda settings: settings["inbox"].update(bind_host="0.0.0.0"))
    assert [problem.split(":")[0] for problem in problems] == ["inbox.bind_host"]


@pytest.mark.rule("R41")
def test_rule_R41_all_bad_keys_are_named_in_one_list(folder: Any, as_production: Change) -> None:
    """Whoever sets it up mends everything in one go: what cannot be read, what is missing, and what is unsafe beside
    it. Break: return the errors of pydantic without ``_after_repair`` in ``examined``."""

    def several(settings: dict[str, Any]) -> None:
        settings.update(public_base_url="http://care.example.org", keys_file="/nowhere/keys.json", bind_port="many")
        settings.pop("tenant_id")
        settings["site"].update(time_zone="Mars/Olympus")
        settings["ehr"][0].update(roles={"Practitioner/x": "king"}, signing_alg="none")
        settings["ehr"][1].update(placement={"Condition": "ehr-and-vault"}, frame_origin=["https://ehr.example.org"])

    keys = [problem.split(": ")[0] for problem in folder.problems(as_production, several)]
    assert sorted(keys) == sorted(
        (
            "bind_port",
            "tenant_id",
            "ehr.a.roles",
            "ehr.a.signing_alg",
            "ehr.b.frame_origin",
            "keys_file",
            "site.time_zone",
            "ehr.b.placement",
            "public_base_url",
        )
    )


@pytest.mark.rule("R41")
@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("public_base_url", top(public_base_url="http://care.example.org:8000")),
        ("public_base_url", top(public_base_url="https://care.example.org")),
        ("bind_host", top(bind_host="0.0.0.0")),
        ("ehr.b.issuer", ehr_b(issuer="http://ehr.example.org/b/fhir")),
        ("ehr.b.frame_origins", ehr_b(frame_origins=["http://ehr.example.org"])),
        ("demo.ehr_control", lambda s: s["demo"].update(ehr_control="http://ehr.example.org:9001")),
        ("demo.program_control", lambda s: s["demo"].update(program_control="http://program.example.org:9101")),
    ],
)
def test_rule_R41_http_stays_on_this_computer(folder: Any, key: str, change: Change) -> None:
    """A demo with one public host does not start. Break: leave ``_mode_problems`` out of ``unsafe``."""
    assert any(problem.startswith(f"{key}: ") for problem in folder.problems(change))


@pytest.mark.rule("R41")
def test_debug_pages_never_start(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A debugger that shows data to anyone is refused, wherever it was switched on."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert any("FLASK_DEBUG" in problem for problem in folder.problems())


@pytest.mark.rule("R6")
@pytest.mark.parametrize("proof", ["none", "another's", "unreadable", "silent"])
def test_rule_R06_copies_without_a_proof_of_this_ehr_refuse_the_start(folder: Any, proof: str) -> None:
    """Nobody switches write-back on by a word in a file: the proof of this very registration has to be there, and it
    has to speak of each type that is copied. Break: leave ``_proof_problems`` out of ``_ehr_problems``."""
    if proof == "none":
        folder.proof.unlink()
    elif proof == "unreadable":
        folder.proof.write_text("{}")
    elif proof == "silent":
        folder.prove("a", TODAY, {"Observation": "A", "Appointment": "A"})
    else:
        folder.prove("b", TODAY)
    assert any(problem.startswith("ehr.a.proof_file: ") for problem in folder.problems())


@pytest.mark.rule("R6")
@pytest.mark.parametrize("now", ["expired", "void", "class-D"])
def test_rule_R06_a_proof_that_no_longer_holds_never_stops_the_app(folder: Any, now: str) -> None:
    """A proof that ran out, was voided by a check-up or came out worse turns its feature off, not the app.

    Break: look at ``expires_on`` in ``_proof_problems``.
    """
    if now == "expired":
        folder.prove("a", date(2020, 1, 1))
    elif now == "class-D":
        folder.prove("a", TODAY, {"Observation": "D", "ServiceRequest": "D", "Appointment": "A"})
    else:
        raw = json.loads(folder.proof.read_text())
        folder.proof.write_text(json.dumps({**raw, "voided_on": TODAY.isoformat(), "voided_because": "version"}))
    proof = folder.loaded().placement.registrations["a"].proof
    assert proof is not None
    assert (proof.expires_on == date(2021, 1, 1)) is (now == "expired")
    assert (proof.voided_on == TODAY) is (now == "void")


@pytest.mark.rule("R6")
def test_a_test_environment_needs_no_proof_but_its_test_patients(folder: Any) -> None:
    """In a practice EHR copies are for listed test patients, without a proof."""
    placed = {"environment": "test", "test_patients": ["p-dana"], "placement": {"Observation": "ehr-and-vault"}}
    assert folder.loaded(ehr_b(**placed)).placement.registrations["b"].is_test_environment


def test_the_command_names_every_problem_and_stops_with_2(folder: Any) -> None:
    """At the command line a bad file is a list of sentences and exit code 2, never a trace."""
    folder.change(top(bind_host="0.0.0.0", public_base_url="http://care.example.org"))
    for command in (["serve"], ["work"], ["migrate"], ["config", "check"]):
        result = CliRunner().invoke(cli, ["--config", str(folder.config), *command])
        assert (result.exit_code, "Traceback" in result.output) == (2, False)
        assert "bind_host: " in result.output
        assert "public_base_url: " in result.output
    missing = CliRunner().invoke(cli, ["--config", str(folder.directory / "none.toml"), "migrate"])
    assert missing.exit_code == 2
    assert "no settings file" in missing.output
