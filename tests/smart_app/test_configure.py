"""From nothing to a running app by commands alone, and commands that overwrite nothing."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from smart_app.cli import cli

ISSUER = "https://ehr.example.org/fhir/r4"
SAID = (
    *("--public-base-url", "https://care.example.org", "--site-name", "Riverside Health Center"),
    *("--site-phone", "555-0123", "--time-zone", "America/Chicago"),
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "config.toml"


@pytest.fixture
def made(config: Path) -> Path:
    """A new config.toml with its keys and one EHR."""
    assert run(config, "init", *SAID).exit_code == 0
    assert run(config, "ehr", "add", ISSUER, "--role", "Practitioner/1=nurse").exit_code == 0
    return config


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(config), *words])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(config: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "smart_app", "--config", str(config), *words]


@pytest.fixture
def served(config: Path) -> Iterator[str]:
    """init, ehr add, migrate, serve: each as a program of its own."""
    port = free_port()
    for words in (["init", *SAID, "--bind-port", str(port)], ["ehr", "add", ISSUER, "--template", "epic"], ["migrate"]):
        done = subprocess.run(program(config, *words), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    server = subprocess.Popen(program(config, "serve", "--threads", "2"), stderr=subprocess.DEVNULL)
    try:
        wait_for(server, f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)


def wait_for(server: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            requests.get(address, timeout=10)
        except requests.RequestException:
            assert server.poll() is None
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the app did not answer in time")


def test_app_starts_after_init_and_ehr_add(served: str) -> None:
    """Whoever types the four commands of the page has a running app, with its keys published and its EHR known."""
    assert requests.get(f"{served}/health", timeout=10).status_code == 200
    published = requests.get(f"{served}/.well-known/jwks.json", timeout=10).json()["keys"]
    assert {key["alg"] for key in published} == {"ES384", "RS384"}
    page = requests.get(f"{served}/launch?iss=https://other.example.org&launch=x", timeout=10)
    assert page.status_code == 400
    assert "frame-ancestors 'self' https://ehr.example.org" in page.headers["Content-Security-Policy"]


def test_what_init_writes_is_secret_and_is_never_written_again(config: Path) -> None:
    """Keys are for their owner alone; a second run changes nothing, whatever of it is there."""
    first = run(config, "init", *SAID)
    assert first.exit_code == 0, first.output
    files = [config, config.parent / "var" / "master.key", config.parent / "var" / "keys.json"]
    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * 3
    assert oct((config.parent / "var").stat().st_mode & 0o777) == "0o700"
    before = [file.read_bytes() for file in files]
    again = run(config, "init", *SAID)
    assert (again.exit_code, "kept as it is" in again.output) == (2, True)
    elsewhere = run(config, "init", *SAID, "--directory", str(config.parent / "elsewhere"))
    assert (elsewhere.exit_code, "--config FILE" in elsewhere.output) == (2, True)
    assert not (config.parent / "elsewhere").exists(), "no keys are made for settings that are not written"
    other = run(config.with_name("other.toml"), "init", *SAID)
    assert (other.exit_code, "--no-keys" in other.output) == (2, True)
    assert [file.read_bytes() for file in files] == before
    assert not config.with_name("other.toml").exists()
    assert run(config.with_name("other.toml"), "init", "--no-keys", *SAID).exit_code == 0


def test_init_asks_nobody_who_is_not_there(config: Path) -> None:
    """In a script what is missing is named by its flag, and nothing is written."""
    result = run(config, "init", "--site-name", "Riverside", "--time-zone", "America/Chicago")
    assert result.exit_code == 2
    assert "--public-base-url, --site-phone" in result.output
    assert not config.parent.exists()


def test_ehr_add_keeps_what_a_person_wrote(made: Path) -> None:
    """The file before the new block is the same, byte for byte, comments and mode included."""
    made.write_text("# our own note: ü\n" + made.read_text())
    made.chmod(0o640)
    before = made.read_text()
    result = run(made, "ehr", "add", "https://two.example.org/r4", "--template", "athena", "--client-id", "two")
    assert result.exit_code == 0, result.output
    assert made.read_text().startswith(before.rstrip("\n"))
    assert oct(made.stat().st_mode & 0o777) == "0o640"
    ehrs = tomllib.loads(made.read_text())["ehr"]
    assert [(ehr["id"], ehr["issuer"]) for ehr in ehrs] == [
        ("ehr-example-org", ISSUER),
        ("athena", "https://two.example.org/r4"),
    ]


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ((ISSUER,), "ehr.issuer"),
        (("https://two.example.org/r4", "--id", "ehr-example-org"), "ehr.id"),
        (("http://two.example.org/r4",), "ehr.two-example-org.issuer"),
        (("https://two.example.org/r4?x=1",), "ehr.two-example-org.issuer"),
        (
            ("https://two.example.org/r4", "--frame-origin", "https://*.example.org"),
            "ehr.two-example-org.frame_origins",
        ),
        (("https://two.example.org/r4", "--role", "Practitioner/1=king"), "ehr.two-example-org.roles"),
        (("https://two.example.org/r4", "--role", "Practitioner/*=nurse"), "ehr.two-example-org.roles"),
        (
            ("https://two.example.org/r4", "--client-secret-file", "/nowhere/x"),
            "ehr.two-example-org.client_secret_file",
        ),
        (("", "--id", "Two EHR"), "id"),
    ],
)
def test_ehr_add_leaves_the_file_alone_when_the_block_would_be_wrong(
    made: Path, words: tuple[str, ...], key: str
) -> None:
    """A mistake in the command is named like one in the file, and the app goes on with the file as it was.

    Break: replace the file in ``_append`` before ``made`` is looked at.
    """
    before = made.read_bytes()
    result = run(made, "ehr", "add", *words)
    assert result.exit_code == 2
    assert key in result.output
    assert made.read_bytes() == before
    assert sorted(file.name for file in made.parent.iterdir()) == ["config.toml", "var"]


def test_ehr_add_can_print_instead_of_write(made: Path) -> None:
    """Somebody who keeps the file elsewhere gets the block alone."""
    before = made.read_bytes()
    result = run(made, "ehr", "add", "http://localhost:8080/v/r4/fhir", "--template", "public-launcher", "--print")
    (block,) = tomllib.loads(result.output)["ehr"]
    assert (block["environment"], block["token_endpoint_auth_method"]) == ("test", "none")
    assert made.read_bytes() == before


def test_config_check_says_what_is_left_to_do(made: Path) -> None:
    """What is safe and not yet finished is a note, not a refusal."""
    result = run(made, "config", "check")
    assert result.exit_code == 0
    assert "ehr.ehr-example-org.client_id: the EHR gives it at registration" in result.output
    run(made, "ehr", "add", "https://two.example.org/r4", "--template", "public-launcher")
    told = run(made, "config", "check").output
    assert "ehr.public-launcher.test_patients: none is listed yet" in told
    assert "ehr.public-launcher.roles: nobody has a role yet" in told


def test_config_explain_and_schema_need_no_settings(tmp_path: Path) -> None:
    """Somebody who has nothing yet can read what a key is, and give the schema to an editor."""
    nowhere = tmp_path / "none.toml"
    told = run(nowhere, "config", "explain", "ehr[0].placement")
    assert (told.exit_code, "never starts" in told.output) == (0, True)
    assert run(nowhere, "config", "--explain", "ehr[0].placement").output == told.output
    assert "explain" in run(nowhere, "config").output
    assert run(nowhere, "config", "--explain", "mode", "check").exit_code == 2
    for words in (["explain", "ehr.plcement"], ["--explain", "ehr.plcement"]):
        assert run(nowhere, "config", *words).exit_code == 2
    unknown = run(nowhere, "config", "explain", "ehr.plcement")
    assert (unknown.exit_code, "ehr.placement" in unknown.output) == (2, True)
    assert json.loads(run(nowhere, "config", "schema").output)["additionalProperties"] is False


def test_keys_commands_find_the_file_that_settings_name(made: Path) -> None:
    """``keys status`` needs no file name, and ``keys create`` works while the rest is not yet whole."""
    shown = run(made, "keys", "status", "-o", "json")
    assert {one["alg"] for one in json.loads(shown.output)} == {"ES384", "RS384"}
    (made.parent / "var" / "keys.json").unlink()
    made.write_text(made.read_text().replace("America/Chicago", "Mars/Olympus"))
    assert run(made, "keys", "create").exit_code == 0
    assert run(made, "config", "check").exit_code == 2
