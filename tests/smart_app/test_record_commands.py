"""What IT does by commands: erase what is due, back up, restore for a drill, change the master key."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest
from click.testing import CliRunner, Result

from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from smart_app import demo, record_keeping
from smart_app.cli import cli
from smart_app.foundation import Foundation, lay_foundation, now
from smart_app.gateways.cipher import MasterCipher, MasterKey, MasterKeyError
from smart_app.gateways.key_ring import KeyRing, LocalLock
from smart_app.policy.access import Requester
from smart_app.ports import CaseKind, PatientKey
from smart_app.settings import load

Run = Callable[..., Result]
OFFLINE = pyrage.x25519.Identity.generate()


@pytest.fixture
def place(tmp_path: Path, empty_database: bytes) -> demo.Place:
    """Settings and keys of a demo that backs up to an offline key, and an empty database; nothing runs."""
    made = demo.Place(tmp_path / "demo")
    demo.prepare(made, create_keys=create_key_file)
    today = datetime.now(UTC).date()
    types = dict.fromkeys(("Observation", "ServiceRequest", "Appointment"), "A")
    write_proof(Proof("a", "none", "0", today, a_year_after(today), "test", (), types), made.proof)
    made.config.write_text(f'backup_recipient = "{OFFLINE.to_public()}"\n' + made.config.read_text())
    (made.directory / "vault.sqlite3").write_bytes(empty_database)
    (tmp_path / "offline.key").write_text(f"{OFFLINE}\n")
    return made


@pytest.fixture
def run(place: demo.Place) -> Run:
    def run_it(*words: str | Path) -> Result:
        return CliRunner().invoke(cli, ["--config", str(place.config), *map(str, words)])

    return run_it


@pytest.fixture
def base(place: demo.Place) -> Iterator[Foundation]:
    """As a process holds it that runs all the time."""
    made = lay_foundation(load(place.config))
    yield made
    made.engine.dispose()


@pytest.fixture
def keep(base: Foundation, clinician: Callable[..., Requester]) -> Callable[[], str]:
    """Open a case; its id."""

    def keep_it() -> str:
        asks = clinician()
        with base.door.open_for(asks, now()) as work:
            return work.open_case(CaseKind.DISCLOSURE, patient=PatientKey("a", asks.patient_id or ""))

    return keep_it


def opens(base: Foundation, case_id: str) -> bool:
    """Does the data key of the case open for this process?"""
    with base.door.inside({}, now()) as (_, vault, _):
        case = vault.case(case_id)
        return case is not None and bool(vault.details(case))


def master_of(file: Path) -> LocalLock:
    return LocalLock(lambda: [MasterKey.load(file)])


@pytest.mark.rule("attack 14")
def test_attack_14_the_drill_prints_seconds(run: Run, keep: Any, place: demo.Place, tmp_path: Path) -> None:
    """Back up, restore into another database, and read how long it took and how many cases are there."""
    keep(), keep()
    file, other = tmp_path / "monday.age", f"sqlite:///{tmp_path / 'drill' / 'vault.sqlite3'}"
    done = run("backup", file)
    assert done.exit_code == 0, done.output
    assert re.search(r"the key copy with 2 key\(s\), in \d+\.\d s", done.output)
    done = run("restore", file, "--identity", tmp_path / "offline.key", "--into", other)
    assert done.exit_code == 0, done.output
    assert re.search(r"Restored 2 case\(s\) in \d+\.\d s\.\n0 case\(s\) of the backup were erased since", done.output)
    done = run("restore", file, "--identity", tmp_path / "offline.key")
    assert (done.exit_code, "is there already" in done.output) == (2, True)


def test_without_a_recipient_nothing_is_backed_up(run: Run, place: demo.Place, tmp_path: Path) -> None:
    """There is no backup that is not encrypted to an offline key."""
    place.config.write_text(place.config.read_text().split("\n", 1)[1])
    done = run("backup", tmp_path / "monday.age")
    assert (done.exit_code, "backup_recipient" in done.output) == (2, True)
    assert not (tmp_path / "monday.age").exists()


def test_a_new_master_key_takes_the_old_one_s_place_while_everything_runs(
    run: Run, base: Foundation, keep: Any, place: demo.Place, tmp_path: Path
) -> None:
    """All case keys are wrapped anew at one go; a process that runs goes on; the old key opens nothing any more."""
    first, old = keep(), tmp_path / "old.key"
    old.write_bytes((place.directory / "master.key").read_bytes())
    old.chmod(0o600)
    ring_before = (place.directory / "master.ring").read_bytes()
    done = run("keys", "rotate-master")
    assert done.exit_code == 0, done.output
    assert re.search(r"Wrapped 1 case key\(s\) anew in \d+\.\d s\.", done.output)
    assert MasterKey.load(old) != MasterKey.load(place.directory / "master.key")
    assert not (place.directory / "master.key.next").exists()
    with pytest.raises(MasterKeyError, match="another master key"):
        KeyRing(place.directory / "master.ring", master_of(old))
    second = keep()
    assert opens(base, first)
    assert opens(base, second)
    assert opens(lay_foundation(load(place.config)), first)
    # The old ring, for whoever kept it: the new master key does not open it, and its keys open nothing.
    kept = tmp_path / "kept.ring"
    kept.write_bytes(ring_before)
    with pytest.raises(MasterKeyError):
        KeyRing(kept, master_of(place.directory / "master.key"))
    theirs = Foundation(**{**vars(base), "cipher": MasterCipher(KeyRing(kept, master_of(old)), "hc1")})
    theirs.door._cipher = theirs.cipher
    with pytest.raises(Exception, match="replaced"):
        opens(theirs, first)


@pytest.mark.parametrize("dies_in", ["rotate", "save", "replace_file", "unlink"])
def test_a_change_of_the_master_key_that_was_interrupted_resumes(
    run: Run, base: Foundation, keep: Any, place: demo.Place, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    """Wherever it dies, everything opens meanwhile, and the same command again ends it."""
    case_id = keep()
    where: Any = {"save": KeyRing, "unlink": Path}.get(dies_in, record_keeping)

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(where, dies_in, dies)
        assert run("keys", "rotate-master").exit_code != 0
    meanwhile = MasterKey.load(place.directory / "master.key")
    assert opens(lay_foundation(load(place.config)), case_id)
    assert opens(base, case_id)
    assert run("keys", "rotate-master").exit_code == 0
    assert opens(lay_foundation(load(place.config)), case_id)
    assert opens(base, case_id)
    assert MasterKey.load(place.directory / "master.key") != meanwhile
    assert [file.name for file in place.directory.iterdir() if "next" in file.name] == []
    assert len(base.ring.wrap_ids) == 1


def test_a_lost_key_ring_refuses_the_start_in_one_sentence(run: Run, keep: Any, place: demo.Place) -> None:
    """No second ring is made for a database that has one, and nothing starts without it."""
    keep()
    (place.directory / "master.ring").unlink()
    done = run("work")
    assert done.exit_code == 2
    assert "put its copy in its place" in done.output
    assert not (place.directory / "master.ring").exists()


def test_erase_needs_its_word_and_says_how_many(run: Run, keep: Any) -> None:
    """What is due and nothing else; a record of ours is never erased by a command."""
    keep()
    assert run("erase").exit_code == 2
    done = run("erase", "--due")
    assert (done.exit_code, done.output) == (0, "Erased 0 case(s); 0 due case(s) under a legal hold stay.\n")


def test_no_key_ever_stands_in_what_a_command_prints(run: Run, keep: Any, place: demo.Place, tmp_path: Path) -> None:
    """Neither the master key nor the offline one."""
    keep()
    printed = "".join(
        run(*words).output
        for words in (
            ("backup", tmp_path / "a.age"),
            ("keys", "rotate-master"),
            (
                "restore",
                tmp_path / "a.age",
                "--identity",
                tmp_path / "offline.key",
                "--into",
                f"sqlite:///{tmp_path}/b",
            ),
        )
    )
    assert (place.directory / "master.key").read_text().strip() not in printed
    assert str(OFFLINE) not in printed
    assert os.fspath(tmp_path) in printed
