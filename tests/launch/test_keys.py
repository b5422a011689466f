"""Our signing keys, and what the world sees of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from launch.cli import launch_cli
from launch.keys import KeyFileError, KeyRing, create_key_file
from launch.registrations import Registrations

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}


@pytest.mark.requirement("smart@308")
@pytest.mark.requirement("smart@309")
def test_key_file_has_both_algorithms_and_is_ours_alone(key_file: Path) -> None:
    """Fresh keys are one of each algorithm an EHR may want, in a file nobody else can read."""
    ring = KeyRing.load(key_file)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert ring.signing_key().alg == "ES384"
    assert ring.signing_key("RS384").alg == "RS384"
    with pytest.raises(KeyFileError):
        ring.signing_key("RS256")


@pytest.mark.requirement("smart@299")
@pytest.mark.requirement("smart@302")
@pytest.mark.requirement("smart@303")
@pytest.mark.requirement("smart@314")
@pytest.mark.requirement("smart@315")
@pytest.mark.requirement("smart@301")
@pytest.mark.requirement("smart@313")
def test_published_keys_are_public_and_cacheable(launch_app: Any) -> None:
    """Everybody may fetch our public keys; nothing private is among them; each has its own id.

    Breaks when ``public_jwks`` exports with ``private=True``.
    """
    answer = launch_app.browser().get("/.well-known/jwks.json")
    published = answer.get_json()["keys"]
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in answer.headers
    assert [one["alg"] for one in published] == ["ES384", "RS384"]
    assert len({one["kid"] for one in published}) == 2
    assert not any(PRIVATE_MEMBERS & set(one) for one in published)


def test_keys_are_never_overwritten(key_file: Path) -> None:
    """A second run of the command leaves the keys as they are."""
    before = key_file.read_bytes()
    with pytest.raises(KeyFileError, match="kept as it is"):
        create_key_file(key_file)
    assert key_file.read_bytes() == before


@pytest.mark.requirement("smart@295")
def test_key_file_that_others_can_read_is_refused(key_file: Path, tmp_path: Path) -> None:
    """A key that is no secret signs nothing; the remedy is in the sentence."""
    copy = tmp_path / "keys.json"
    copy.write_bytes(key_file.read_bytes())
    copy.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        KeyRing.load(copy)


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"keys": [{"kty": "RSA", "alg": "RS384"}]}', "public", "doubled", "é"]
)
def test_unusable_key_file_is_refused_without_quoting_it(key_file: Path, tmp_path: Path, content: str) -> None:
    """A broken file, public keys or a doubled key id stop the start, and no text quotes the file."""
    members = json.loads(key_file.read_text())["keys"]
    if content == "public":
        content = json.dumps(KeyRing.load(key_file).public_jwks())
    elif content == "doubled":
        content = json.dumps({"keys": [members[0], members[0]]})
    copy = tmp_path / "keys.json"
    copy.write_text(content)
    copy.chmod(0o600)
    with pytest.raises(KeyFileError) as refusal:
        KeyRing.load(copy)
    assert not any(member.get("n", "canary") in str(refusal.value) for member in members)


def test_absent_key_file_names_the_command(tmp_path: Path) -> None:
    """Who has no keys yet is told how to make them."""
    with pytest.raises(KeyFileError, match="keys create"):
        KeyRing.load(tmp_path / "none.json")


def test_text_form_of_keys_shows_ids_only(keys: KeyRing, key_file: Path) -> None:
    """Somebody who prints the keys by mistake sees their ids."""
    secrets = [value for member in json.loads(key_file.read_text())["keys"] for value in [member["d"]]]
    assert not any(secret in repr(keys) for secret in secrets)


def test_command_makes_keys_where_settings_say(tmp_path: Path) -> None:
    """``keys create`` writes the configured file, and says in one sentence that it exists when run again."""
    registrations = Registrations("https://app.example", tmp_path / "new" / "keys.json", False, "Care Connections")
    first = CliRunner().invoke(launch_cli, ["keys", "create"], obj=registrations)
    assert (first.exit_code, KeyRing.load(registrations.keys_file).signing_key().alg) == (0, "ES384")
    again = CliRunner().invoke(launch_cli, ["keys", "create"], obj=registrations)
    assert again.exit_code == 1
    assert "kept as it is" in again.output
    assert CliRunner().invoke(launch_cli, ["keys", "create"]).exit_code == 2


def test_label_probe_hangs_in_the_group() -> None:
    """The label probe is one of the commands, and its tools are loaded only when it is called."""
    listed = CliRunner().invoke(launch_cli, ["--help"])
    assert "label-probe" in listed.output
    shown = CliRunner().invoke(launch_cli, ["label-probe", "--help"])
    assert shown.exit_code == 0
    assert "--fhir-base" in shown.output
