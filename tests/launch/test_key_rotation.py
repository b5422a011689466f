"""Changing our keys: the new one is known before it signs, the old one is known until nobody checks with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from launch import key_rotation, keys
from launch.cli import launch_cli
from launch.key_rotation import OVERLAP_SECONDS, STILL_CHECKED_SECONDS, retire, rotate, status
from launch.keys import KeyFileError, KeyRing, create_key_file, read_key_file
from launch.registrations import keys_file_problem

START = 2_000_000_000.0
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}  # RFC 7518 section 6: of EC, RSA and oct keys
OURS_ALONE = {"made_at", "signs_from"}


@pytest.fixture
def copy(key_file: Path, tmp_path: Path) -> Path:
    """Keys of an earlier version: a plain key set, without moments."""
    members = [
        {name: value for name, value in one.items() if name not in OURS_ALONE}
        for one in json.loads(key_file.read_text())["keys"]
    ]
    made = tmp_path / "keys.json"
    made.write_text(json.dumps({"keys": members}))
    made.chmod(0o600)
    return made


class Clock:
    """What time it is, for those who sign."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def kids(ring: KeyRing) -> list[str]:
    return [key["kid"] for key in ring.public_jwks()["keys"]]


def states(path: Path, now: float, alg: str = "ES384") -> list[str]:
    return [one.state for one in status(path, now) if one.alg == alg]


def test_new_key_is_published_before_it_signs_and_the_old_one_stays_until_retired(copy: Path) -> None:
    """An EHR that fetches our keys once a day never meets a signature whose key it does not know, and a program that
    is running takes part in all of it without a restart."""
    clock = Clock()
    running = KeyRing.load(copy, clock=clock)
    old = str(running.signing_key().kid)
    rotate(copy, ["ES384"], clock.now)
    new = next(one.kid for one in status(copy, clock.now) if one.state == "next")
    assert {old, new} < set(kids(running))
    assert running.signing_key().kid == old
    clock.now += OVERLAP_SECONDS - 1
    assert running.signing_key().kid == old
    clock.now += 1
    assert running.signing_key().kid == new
    assert {old, new} < set(kids(running))
    clock.now += STILL_CHECKED_SECONDS
    retire(copy, old, clock.now)
    assert old not in kids(running)
    assert running.signing_key().kid == new
    assert running.signing_key("RS384").alg == "RS384"


def test_key_that_signs_or_is_alone_or_is_still_checked_is_not_retired(copy: Path) -> None:
    """Nobody can take away by mistake what the EHR needs right now; the file stays as it was."""
    before = copy.read_bytes()
    (only,) = [one.kid for one in status(copy, START) if one.alg == "RS384"]
    with pytest.raises(KeyFileError, match="only RS384 key"):
        retire(copy, only, START)
    with pytest.raises(KeyFileError, match="No key has this kid"):
        retire(copy, "canary", START)
    assert copy.read_bytes() == before
    rotate(copy, ["RS384"], START)
    with pytest.raises(KeyFileError, match="signs now"):
        retire(copy, only, START)
    later = START + OVERLAP_SECONDS
    with pytest.raises(KeyFileError, match="retire it in 16 minutes"):
        retire(copy, only, later)
    (new,) = [one.kid for one in status(copy, later) if one.alg == "RS384" and one.kid != only]
    with pytest.raises(KeyFileError, match="signs now"):
        retire(copy, new, later)
    retire(copy, only, later + STILL_CHECKED_SECONDS)
    assert states(copy, later, "RS384") == ["signs"]


def test_a_rotation_can_be_taken_back_and_is_not_begun_twice(copy: Path) -> None:
    """Two rotations at a time would leave nobody sure which key is which; one that was a mistake is taken back."""
    rotate(copy, ["ES384"], START)
    with pytest.raises(KeyFileError, match="waits to sign already"):
        rotate(copy, ["ES384", "RS384"], START + 60)
    assert states(copy, START, "RS384") == ["signs"]
    waiting = next(one.kid for one in status(copy, START) if one.state == "next")
    retire(copy, waiting, START)
    assert states(copy, START + OVERLAP_SECONDS) == ["signs"]


def test_after_a_key_was_seen_the_new_one_signs_at_once(copy: Path) -> None:
    """In an emergency nobody waits for a day."""
    old = next(one.kid for one in status(copy, START) if one.alg == "ES384")
    rotate(copy, ["ES384"], START, 0)
    signing = next(one for one in status(copy, START) if one.alg == "ES384" and one.state == "signs")
    assert signing.kid != old


def test_file_is_for_its_owner_alone_and_is_replaced_whole(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation that breaks off leaves the keys as they were, and nothing lying about."""
    before = copy.read_bytes()

    def full(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(key_rotation.os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        rotate(copy, ["ES384"], START)
    assert copy.read_bytes() == before
    monkeypatch.undo()
    rotate(copy, ["ES384"], START)
    assert oct(copy.stat().st_mode & 0o777) == "0o600"
    assert [file.name for file in copy.parent.iterdir()] == ["keys.json"]


def test_two_people_do_not_change_the_keys_at_the_same_time(copy: Path) -> None:
    """Whoever comes second is told so, and no key is lost."""
    unfinished = copy.with_name("keys.json.new")
    unfinished.touch()
    with pytest.raises(KeyFileError, match=r"remove .*keys\.json\.new"):
        rotate(copy, ["ES384"], START)
    assert unfinished.exists()


def test_running_program_keeps_its_keys_when_the_file_cannot_be_used(
    copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is broken, lost or open to others changes nothing for those who work right now; the log says so
    once, in a constant word. A mended file counts again."""
    running, good = KeyRing.load(copy), copy.read_bytes()
    before = kids(running)
    for breaks in (lambda: copy.write_text("canary"), lambda: copy.chmod(0o644), copy.unlink):
        caplog.clear()
        breaks()
        os.utime(copy, ns=(1, 1)) if copy.exists() else None
        assert kids(running) == before
        assert kids(running) == before
        assert running.signing_key().kid == before[0]
        assert {record.getMessage() for record in caplog.records} <= {"keys-file-unusable"}
        copy.write_bytes(good)
        copy.chmod(0o600)
        assert kids(running) == before
    rotate(copy, ["ES384"], START)
    assert len(kids(running)) == 3


@pytest.mark.requirement("smart@301")
@pytest.mark.requirement("smart@313")
def test_no_private_member_ever_leaves(copy: Path, launch_app: Any) -> None:
    """Of each key in the file everything is either on the short public list or stays inside, and no secret value is
    anywhere in what is published."""
    rotate(copy, ["ES384", "RS384"], START)
    kept = json.loads(copy.read_text())["keys"]
    published = KeyRing.load(copy).public_jwks()["keys"]
    assert [one["kid"] for one in published] == [one["kid"] for one in kept]
    text = json.dumps(published)
    for inside, outside in zip(kept, published, strict=True):
        assert set(outside) == set(inside) - PRIVATE_MEMBERS - OURS_ALONE
        assert PRIVATE_MEMBERS & set(inside) >= {"d"}
        assert not [name for name in PRIVATE_MEMBERS & set(inside) if inside[name] in text]
        assert outside["use"] == "sig"
    served = launch_app.browser().get("/.well-known/jwks.json").get_json()["keys"]
    assert {name for one in served for name in one} <= {"kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"}


@pytest.mark.requirement("smart@301")
def test_each_of_two_locks_keeps_private_members_in_by_itself(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that is on no list stays inside, and a list that named private members would open nothing.

    Breaks, each alone: in ``public_jwks`` leave out ``PUBLIC_MEMBERS``, or say ``private=True``."""
    kept = json.loads(copy.read_text())
    for key in kept["keys"]:
        key["note"] = "canary-note"
    copy.write_text(json.dumps(kept))
    ring = KeyRing.load(copy)
    assert ring.public_jwks()["keys"]
    assert "canary-note" not in json.dumps(ring.public_jwks())
    monkeypatch.setattr(keys, "PUBLIC_MEMBERS", (*keys.PUBLIC_MEMBERS, *PRIVATE_MEMBERS))
    assert not any(PRIVATE_MEMBERS & set(one) for one in ring.public_jwks()["keys"])


@pytest.mark.requirement("smart@303")
def test_key_set_is_asked_for_again_cheaply(launch_app: Any) -> None:
    """Whoever has our keys already is told so in an empty answer that may be kept as long."""
    browser = launch_app.browser()
    first = browser.get("/.well-known/jwks.json")
    again = browser.get("/.well-known/jwks.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"] == "public, max-age=300"
    other = browser.get("/.well-known/jwks.json", headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.get_json()) == (200, first.get_json())


@pytest.mark.parametrize("missing", ["ES384", "RS384"])
def test_both_algorithms_have_to_be_there(copy: Path, missing: str) -> None:
    """A key file that could not serve every EHR is said to be so before the start."""
    members = [one for one in json.loads(copy.read_text())["keys"] if one["alg"] != missing]
    copy.write_text(json.dumps({"keys": members}))
    problem = keys_file_problem(copy)
    assert problem is not None
    assert missing in problem


@pytest.mark.parametrize("moments", [{"made_at": "canary"}, {"signs_from": None}, {"signs_from": [1]}])
def test_moments_that_are_none_are_a_sentence(copy: Path, moments: dict[str, Any]) -> None:
    """A file that somebody edited by hand is refused in words."""
    members = json.loads(copy.read_text())["keys"]
    copy.write_text(json.dumps({"keys": [{**members[0], **moments}, members[1]]}))
    with pytest.raises(KeyFileError, match="does not hold private signing keys"):
        read_key_file(copy)


@pytest.mark.parametrize("kid", ["-fi1e", "--file-of-keys", "-"])
def test_a_key_whose_id_begins_with_a_dash_can_be_retired(copy: Path, kid: str) -> None:
    """A key id may look like an option of the command; it is taken as what it is.

    Break: in ``launch/cli.py`` leave ``ignore_unknown_options`` out of ``retire``.
    """
    rotate(copy, ["ES384"], 0.0)
    kept = json.loads(copy.read_text())
    kept["keys"][0]["kid"] = kid
    copy.write_text(json.dumps(kept))
    result = CliRunner().invoke(launch_cli, ["keys", "retire", kid, "--file", str(copy)])
    assert (result.exit_code, kid in kids(KeyRing.load(copy))) == (0, False), result.output


def test_commands_rotate_and_retire_in_words(tmp_path: Path) -> None:
    """An admin changes keys with three commands, and reads what each key does; no key is ever printed."""
    path = tmp_path / "keys.json"
    create_key_file(path)
    runner, file = CliRunner(), ["--file", str(path)]
    rotated = runner.invoke(launch_cli, ["keys", "rotate", "--alg", "ES384", "--overlap-hours", "2", *file])
    assert rotated.exit_code == 0, rotated.output
    shown = runner.invoke(launch_cli, ["keys", "status", *file]).output
    assert shown.count("signs now") == 2
    assert shown.count("published, signs from") == 1
    listed = json.loads(runner.invoke(launch_cli, ["keys", "status", "-o", "json", *file]).output)
    waiting = next(one for one in listed if one["state"] == "next")
    refused = runner.invoke(launch_cli, ["keys", "retire", listed[0]["kid"], *file])
    assert (refused.exit_code, "Traceback" in refused.output) == (1, False)
    assert "signs now" in refused.output
    assert runner.invoke(launch_cli, ["keys", "retire", waiting["kid"], *file]).exit_code == 0
    at_once = runner.invoke(launch_cli, ["keys", "rotate", "--at-once", *file])
    assert at_once.output.count("old, may be retired from") == 2
    secrets = [one["d"] for one in json.loads(path.read_text())["keys"]]
    assert not any(secret in rotated.output + shown + at_once.output for secret in secrets)
