"""An erase reaches backups: what was erased opens nowhere, what was not is there again (attack 14)."""

from __future__ import annotations

import base64
import time
from dataclasses import replace

import pyrage
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from smart_app.errors import NothingToShowError
from smart_app.gateways import audit_log, rewrap
from smart_app.gateways.backup import (
    BackupError,
    Restored,
    back_up,
    note_restored,
    restore,
    ring_from_copy,
    write_key_copy,
    write_key_copy_held,
)
from smart_app.gateways.cipher import MasterCipher, MasterKey, SealError
from smart_app.gateways.door import VaultDoor
from smart_app.gateways.engine import make_engine
from smart_app.gateways.key_ring import KeyRing, LocalLock, create, opened_file
from smart_app.gateways.rewrap import rotate
from smart_app.policy.retention import Why
from smart_app.proofs.canary_search import found_in_bytes

CANARIES = ("Canary-Alias-Robin", "555-0142777", "canarybluebird", "canary-chart-901")
OFFLINE = pyrage.x25519.Identity.generate()
LOCK = LocalLock(lambda: [MasterKey(bytes(range(32)))])
DOOR = {"site_id": "main", "organization_reference": "Organization/hc1"}


@pytest.fixture
def ring(tmp_path):
    create(tmp_path / "key.ring", LOCK, "hc1")
    return KeyRing(tmp_path / "key.ring", LOCK)


@pytest.fixture
def kept(world, ring):
    """The world with its keys in the ring, as the app has it."""
    cipher = MasterCipher(ring, "hc1")
    return replace(world, cipher=cipher, door=VaultDoor(world.engine, cipher, **DOOR))


@pytest.fixture
def identity(tmp_path):
    file = tmp_path / "offline.key"
    file.write_text(f"# kept offline\n{OFFLINE}\n")
    return file


@pytest.fixture
def elsewhere(database, tmp_path, request):
    """An empty database of the same kind to restore into."""
    if database.url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'restored' / 'vault.sqlite3'}"
        return
    server = request.getfixturevalue("postgres")
    url = server.create(f"{make_url(database.url).database}_restored")
    yield url
    server.drop(url)


def erase(world, ring, copy, case_id: str) -> None:
    """As the worker does it."""

    def renew(now):
        rotate(world.engine, world.cipher, ring, now)
        write_key_copy(world.engine, "hc1", ring, copy)

    job = world.eraser(after_erase=renew)
    with world.door.inside({"who": "test"}, world.now) as (connection, vault, note):
        job.erase_in(connection, vault, note, case_id, Why.REQUEST, world.now)
    job.finish(world.now)


def read(engine, cipher, world, ids) -> str:
    """What the clinician who wrote it reads."""
    with VaultDoor(engine, cipher, **DOOR).open_for(world.clinician(), world.now) as work:
        return str(work.read(ids.patient).payload)


@pytest.mark.rule("R35")
@pytest.mark.rule("attack 14")
def test_rule_R35_a_purged_referral_is_unreadable_after_an_older_backup_was_restored(
    kept, ring, identity, elsewhere, tmp_path
):
    """Whoever has the backup, its private key, the master key, the key ring and the key copy of today cannot read what
    was erased since; everything else is there again, in seconds, and the log says that it was restored.

    Break: in ``backup`` leave out ``DELETE FROM vault_key`` and ``--exclude-table-data``.
    """
    copy, file = tmp_path / "key.copy", tmp_path / "monday.age"
    purged, other = kept.refer(), kept.refer()
    began = time.monotonic()
    back_up(kept.database.url, file, str(OFFLINE.to_public()), "hc1")
    assert write_key_copy(kept.engine, "hc1", ring, copy) == 2
    erase(kept, ring, copy, purged.case_id)
    restored = restore(file, identity, elsewhere, "hc1", LOCK, copy)
    assert restored == Restored(cases=1, erased=1)
    assert time.monotonic() - began < 60  # the drill; a center's size takes seconds too
    engine, cipher = make_engine(elsewhere), MasterCipher(KeyRing(ring.file, LOCK), "hc1")
    assert "Canary-Alias-Robin" in read(engine, cipher, kept, other)
    with pytest.raises(NothingToShowError):
        read(engine, cipher, kept, purged)
    note_restored(VaultDoor(engine, cipher, **DOOR), restored, kept.now)
    assert audit_log.verify(engine, cipher).holds
    assert [row["action"] for _, row in audit_log.entries(engine, cipher)][-1] == "restore"
    engine.dispose()
    # And in the backup itself there is no key of any case, so there is nothing to attack but AES.
    plain = pyrage.decrypt(file.read_bytes(), [OFFLINE])
    if plain.startswith(b"SQLite"):
        (tmp_path / "plain.sqlite3").write_bytes(plain)
        with make_engine(f"sqlite:///{tmp_path / 'plain.sqlite3'}").begin() as connection:
            assert connection.execute(text("SELECT count(*) FROM vault_key")).scalar_one() == 0
            assert connection.execute(text("SELECT count(*) FROM vault_case")).scalar_one() == 2


@pytest.mark.rule("R35")
def test_rule_R35_an_older_raw_copy_of_the_database_is_dead_after_an_erase(kept, ring, tmp_path):
    """A dump or snapshot that others took, wrapped keys and all, opens with no key that is left.

    Break: leave ``drop_old_wraps`` out of ``rotate``.
    """
    purged, other = kept.refer(), kept.refer()
    with kept.engine.begin() as connection:
        taken = {row.case_id: bytes(row.wrapped) for row in connection.execute(text("SELECT * FROM vault_key"))}
    erase(kept, ring, tmp_path / "key.copy", purged.case_id)
    for holder in (ring, KeyRing(ring.file, LOCK), MasterKey(bytes(range(32)))):
        for case_id, wrapped in taken.items():
            with pytest.raises(SealError):
                MasterCipher(holder, "hc1").unwrap_case_key(case_id, wrapped)
    assert "Canary-Alias-Robin" in read(kept.engine, kept.cipher, kept, other)
    assert kept.count("erased_key") == 0


@pytest.mark.rule("attack 14")
def test_attack_14_a_backup_tells_nothing_to_who_has_no_key(kept, identity, elsewhere, tmp_path):
    """No name, number or word of a patient is in it, nor in what is inside; another key opens nothing; it is no
    database of the other kind; and nothing that exists is overwritten."""
    kept.refer()
    file = tmp_path / "monday.age"
    back_up(kept.database.url, file, str(OFFLINE.to_public()), "hc1")
    assert file.read_bytes().startswith(b"age-encryption.org/v1")
    assert file.stat().st_mode & 0o777 == 0o600
    for content in (file.read_bytes(), pyrage.decrypt(file.read_bytes(), [OFFLINE])):
        assert found_in_bytes(CANARIES, content) == []
    assert b"[A|SDV]" in content  # the search does look at the rows
    assert not list(tmp_path.glob(".backup-*"))
    with pytest.raises(BackupError, match="there already"):
        back_up(kept.database.url, file, str(OFFLINE.to_public()), "hc1")
    with pytest.raises(BackupError, match="not a public age key"):
        back_up(kept.database.url, tmp_path / "other.age", "age1nonsense", "hc1")
    write_key_copy(kept.engine, "hc1", KeyRing(tmp_path / "key.ring", LOCK), tmp_path / "key.copy")
    identity.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(BackupError, match="another key"):
        restore(file, identity, elsewhere, "hc1", LOCK, tmp_path / "key.copy")
    identity.write_text(str(OFFLINE))
    with pytest.raises(BackupError, match=r"not empty|is there already"):
        restore(file, identity, kept.database.url, "hc1", LOCK, tmp_path / "key.copy")
    other_kind = "postgresql://nobody@127.0.0.1:1/x" if "sqlite" in kept.database.url else f"sqlite:///{tmp_path}/x"
    with pytest.raises(BackupError, match="other kind"):
        restore(file, identity, other_kind, "hc1", LOCK, tmp_path / "key.copy")


def test_a_seeded_leak_is_found_in_a_backup(kept, tmp_path):
    """The search would find a name in a readable column."""
    columns = "tenant_id, alert_id, month, kind, reference, is_open"
    kept.run(f"INSERT INTO alert ({columns}) VALUES ('hc1', 'x', '2026-11', 'seeded', 'Canary-Alias-Robin', true)")
    back_up(kept.database.url, tmp_path / "leak.age", str(OFFLINE.to_public()), "hc1")
    found = found_in_bytes(CANARIES, pyrage.decrypt((tmp_path / "leak.age").read_bytes(), [OFFLINE]))
    assert found == ["Canary-Alias-Robin (raw)"]


@pytest.mark.parametrize("dies_in", ["_rewrap", "_retire", "drop_old_wraps"])
def test_an_interrupted_rotation_resumes(kept, ring, monkeypatch, dies_in):
    """Killed anywhere, nothing is lost: everything opens meanwhile, and the next run ends the old key."""
    first = kept.refer()
    old = ring.wrap_ids

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(KeyRing if dies_in == "drop_old_wraps" else rewrap, dies_in, dies)
        with pytest.raises(KeyboardInterrupt):
            rotate(kept.engine, kept.cipher, ring, kept.now)
    assert len(ring.wrap_ids) == 2
    second = kept.refer()
    assert all(read(kept.engine, kept.cipher, kept, ids) for ids in (first, second))
    rotate(kept.engine, kept.cipher, ring, kept.now)
    assert len(ring.wrap_ids) == 1
    assert set(old).isdisjoint(ring.wrap_ids)
    assert all(read(kept.engine, kept.cipher, kept, ids) for ids in (first, second))


def test_the_key_copy_never_needs_a_key_that_is_gone(kept, ring, tmp_path):
    """A power cut between the rotation and whatever comes after it costs no restore.

    Break: in ``rotate`` call ``before_the_old_goes`` first of all.
    """
    ids, copy = kept.refer(), tmp_path / "key.copy"

    def copied() -> None:
        write_key_copy_held(kept.engine, "hc1", ring, copy)

    rotate(kept.engine, kept.cipher, ring, kept.now, before_the_old_goes=copied)
    month, wrapped = opened_file(LOCK, copy)["cases"][ids.case_id]
    assert month == "2026-11"
    kept.cipher.unwrap_case_key(ids.case_id, base64.b64decode(wrapped))


def test_a_process_that_slept_through_a_rotation_cannot_lose_a_case(kept, ring, tmp_path):
    """It wraps by the old key and is refused by the database, before anybody was told that it was kept.

    Break: drop the trigger ``vault_key_not_retired``.
    """
    sleeper = KeyRing(ring.file, LOCK)
    sleeper._look_again = lambda: None
    rotate(kept.engine, kept.cipher, ring, kept.now)
    asleep = replace(kept, door=VaultDoor(kept.engine, MasterCipher(sleeper, "hc1"), **DOOR))
    with pytest.raises(DBAPIError, match="retired"):
        asleep.disclose()
    assert kept.count("vault_case") == 0


def test_a_key_that_cannot_be_opened_does_not_stop_the_others(kept, ring):
    """One damaged row is an incident when somebody asks for it, and no reason to leave the rest as it was."""
    damaged, other = kept.refer(), kept.refer()
    kept.run(f"UPDATE vault_key SET wrapped = :zeros WHERE case_id = '{damaged.case_id}'")
    assert rotate(kept.engine, kept.cipher, ring, kept.now) == 1
    assert read(kept.engine, kept.cipher, kept, other)


def test_a_lost_ring_comes_from_the_key_copy(kept, ring, tmp_path):
    """Whoever has the master key and the key copy has everything; a ring that is there is never replaced."""
    ids, copy = kept.refer(), tmp_path / "key.copy"
    write_key_copy(kept.engine, "hc1", ring, copy)
    there = ring.file.read_bytes()
    ring_from_copy(copy, LOCK, ring.file)
    assert ring.file.read_bytes() == there
    ring.file.unlink()
    ring_from_copy(copy, LOCK, ring.file)
    assert read(kept.engine, MasterCipher(KeyRing(ring.file, LOCK), "hc1"), kept, ids)


def test_an_erase_that_was_not_finished_is_finished_by_the_next_round(kept, ring, tmp_path):
    """The worker died after the rows were gone: the next one still ends the old copies.

    Break: in ``Eraser.look`` call ``finish`` only when something was erased now.
    """
    ids, called = kept.refer(), []
    job = kept.eraser(after_erase=called.append)
    with kept.door.inside({"who": "test"}, kept.now) as (connection, vault, note):
        job.erase_in(connection, vault, note, ids.case_id, Why.REQUEST, kept.now)
    assert kept.count("erased_key") == 1
    job.look(kept.now)
    job.look(kept.now)
    assert called == [kept.now]
