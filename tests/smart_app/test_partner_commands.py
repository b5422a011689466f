"""A program is registered, listed, suspended and given other keys by commands alone, and its system does what the pack
says."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey

from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from smart_app import demo
from smart_app.app import create_app
from smart_app.cli import cli
from smart_app.settings import load

FACTS = (
    *("--name", "Lantern House", "--phone", "555-0144", "--who-answers", "An advocate", "--hours", "Day and night"),
    *("--says", "They are not police.", "--says", "They help with safety.", "--says", "It is free."),
    *("--mou-until", "2099-12-31"),
)
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Run = Callable[..., Result]


@pytest.fixture
def place(tmp_path: Path) -> demo.Place:
    """Settings and keys of a demo, and an empty database; nothing runs."""
    made = demo.Place(tmp_path / "demo")
    demo.prepare(made, create_keys=create_key_file)
    today = datetime.now(UTC).date()
    types = dict.fromkeys(("Observation", "ServiceRequest", "Appointment"), "A")
    write_proof(Proof("a", "none", "0", today, a_year_after(today), "test", (), types), made.proof)
    return made


@pytest.fixture
def run(place: demo.Place) -> Run:
    def run_it(*words: str) -> Result:
        return CliRunner().invoke(cli, ["--config", str(place.config), "partner", *words])

    return run_it


@pytest.fixture
def ready(place: demo.Place, empty_database: bytes) -> demo.Place:
    (place.directory / "vault.sqlite3").write_bytes(empty_database)
    return place


def new_key() -> ECKey:
    return ECKey.generate_key("P-384", {"alg": "ES384", "use": "sig"}, private=True, auto_kid=True)


def key_file(folder: Path, key: ECKey, *, private: bool = False) -> str:
    file = folder / f"{uuid.uuid4()}.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=private)]}))
    return str(file)


def ask_token(http: FlaskClient, key: ECKey, scope: str, client_id: str = "lantern-system") -> Any:
    claims: dict[str, Any] = {"iss": client_id, "sub": client_id, "aud": "http://127.0.0.1:8000/token"}
    claims |= {"exp": int(time.time()) + 240, "jti": str(uuid.uuid4())}
    signed = jwt.encode({"alg": "ES384", "kid": key.kid, "typ": "JWT"}, claims, key, algorithms=["ES384"])
    form = {"grant_type": "client_credentials", "scope": scope, "client_assertion": signed}
    return http.post("/token", data={**form, "client_assertion_type": ASSERTION})


def test_from_a_command_to_the_first_referral(ready: demo.Place, run: Run, tmp_path: Path) -> None:
    """With what the pack holds and the program's own key: a token with all its scopes, the sample is in order, taken,
    and seen in the list; then the agreement is suspended and the next request is refused, and lifted again."""
    key, folder = new_key(), tmp_path / "pack"
    added = run("add", "lantern", *FACTS, "--jwks-file", key_file(tmp_path, key), "--pack", str(folder))
    assert added.exit_code == 0, added.output
    assert {file.name for file in folder.iterdir()} == {"README.md", "referral.json", "openapi.json"}
    readme, sample = (folder / "README.md").read_text(), (folder / "referral.json").read_bytes()
    scopes = next(line for line in readme.splitlines() if line.startswith("| scopes")).split("|")[2].strip()
    for word in ("http://127.0.0.1:8000/fhir", "http://127.0.0.1:8000/token", "lantern-system", "Organization/lantern"):
        assert word in readme
    http = create_app(load(ready.config)).test_client()
    token = ask_token(http, key, scopes).get_json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    checked = http.post("/fhir/Bundle/$validate", data=sample, headers=headers)
    assert checked.get_json()["issue"][0]["severity"] == "information"
    assert http.post("/fhir", data=sample, headers=headers).status_code == 202
    assert http.get("/fhir/Task", headers=headers).get_json()["total"] == 1
    assert "suspended" in run("suspend", "lantern").output
    assert http.get("/fhir/Task", headers=headers).status_code == 401
    assert ask_token(http, key, scopes).status_code == 400
    assert "open" in run("suspend", "lantern", "--lift").output
    assert http.get("/fhir/Task", headers=headers).status_code == 200


@pytest.mark.rule("attack 7")
def test_attack_7_after_a_rotation_the_old_key_and_its_tokens_are_dead(
    ready: demo.Place, run: Run, tmp_path: Path
) -> None:
    """A program whose key was stolen calls, and from the next request on the thief has nothing. Break: leave
    ``end_tokens`` out of ``PartnerClients.register``."""
    old, new = new_key(), new_key()
    assert run("add", "lantern", *FACTS, "--jwks-file", key_file(tmp_path, old)).exit_code == 0
    http = create_app(load(ready.config)).test_client()
    token = ask_token(http, old, "system/Task.rs").get_json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert http.get("/fhir/Task", headers=headers).status_code == 200
    rotated = run("rotate", "lantern", "--jwks-file", key_file(tmp_path, new))
    assert (rotated.exit_code, rotated.output) == (0, "lantern has new keys; 1 token(s) ended.\n")
    assert http.get("/fhir/Task", headers=headers).status_code == 401
    assert ask_token(http, old, "system/Task.rs").status_code == 400
    assert ask_token(http, new, "system/Task.rs").status_code == 200


def test_the_list_says_how_long_each_agreement_holds(ready: demo.Place, run: Run, tmp_path: Path) -> None:
    """Open, over, not begun; with room or full; where the keys are; for a person and for a script."""
    assert "No program" in run("list").output
    assert run("add", "lantern", *FACTS, "--jwks-url", "https://lantern.example/jwks.json").exit_code == 0
    assert run("add", "over", *FACTS, "--mou-from", "2020-01-01", "--mou-until", "2020-12-31").exit_code == 0
    assert run("add", "later", *FACTS, "--mou-from", "2098-01-01").exit_code == 0
    rows = {row["partner_id"]: row for row in json.loads(run("list", "-o", "json").stdout)}
    assert rows["lantern"]["keys"] == "https://lantern.example/jwks.json"
    assert rows["lantern"]["agreement"].startswith("open, ")
    assert (rows["over"]["agreement"], rows["over"]["keys"]) == ("expired on 2020-12-31", "none")
    assert rows["later"]["agreement"] == "begins on 2098-01-01"
    assert all(row["has_capacity"] for row in rows.values())
    assert len(run("list").output.splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "Lantern House", *FACTS), "PARTNER_ID is"),
        (("add", "lantern", *FACTS, "--says", "A fourth."), "three times"),
        (("add", "lantern", *FACTS, "--mou-until", "2020-01-01"), "ends before it begins"),
        (("add", "lantern", *FACTS, "--fhir-address", "https://lantern.example/fhir"), "together"),
        (("add", "lantern", *FACTS, "--name", "x" * 81), "at most 80"),
        (("add", "lantern", *FACTS, "--phone", "12 Elm Street"), "phone number"),
        (("add", "lantern", *FACTS, "--jwks-url", "http://lantern.example/jwks.json"), "https"),
        (("add", "lantern", *FACTS, "--jwks-url", "https://10.0.0.1/jwks.json"), "public host"),
        (("add", "known", *FACTS), "registered already"),
        (("suspend", "nobody"), "No program has this id"),
        (("rotate", "nobody", "--jwks-url", "https://x.example/j"), "No program has this id"),
        (("rotate", "known", "--jwks-url", "https://x.example/j"), "without keys"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(ready: demo.Place, run: Run, words: tuple[str, ...], said: str) -> None:
    """Exit 2, what is wrong and how to mend it, and nothing is registered."""
    assert run("add", "known", *FACTS).exit_code == 0
    before = run("list").output
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert "Traceback" not in result.output
    assert run("list").output == before


def test_a_private_key_is_not_taken(ready: demo.Place, run: Run, tmp_path: Path) -> None:
    """A program that sends its private key by mistake is told so, and the key is not kept."""
    key = new_key()
    result = run("add", "lantern", *FACTS, "--jwks-file", key_file(tmp_path, key, private=True))
    assert (result.exit_code, "without private members" in result.output) == (2, True)
    secret = str(key.as_dict(private=True)["d"]).encode()
    assert not any(secret in file.read_bytes() for file in ready.directory.iterdir() if file.is_file())
    for wrong in (b"", b"[]", b'{"keys": 1}', b'{"keys": []}', b"\xff"):
        file = tmp_path / "wrong.json"
        file.write_bytes(wrong)
        assert run("add", "lantern", *FACTS, "--jwks-file", str(file)).exit_code == 2


def test_an_old_schema_is_named_first(place: demo.Place, run: Run) -> None:
    """Before the database is made the command says what to run."""
    result = run("list")
    assert (result.exit_code, "warm-referral migrate" in result.output) == (2, True)
