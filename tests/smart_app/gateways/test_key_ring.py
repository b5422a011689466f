"""The file that wraps the keys of cases: sealed by the master key, replaced whole, and never made twice."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest

from smart_app.gateways import key_ring
from smart_app.gateways.cipher import MasterCipher, MasterKey, MasterKeyError, SealError, wrapping_id
from smart_app.gateways.key_ring import KeyRing, LocalLock, create, open_or_create, plugged_in

OLD, NEW = MasterKey(bytes(range(32))), MasterKey(bytes(range(1, 33)))
LOCK = LocalLock(lambda: [OLD])


@pytest.fixture
def file(tmp_path):
    create(tmp_path / "key.ring", LOCK, "hc1")
    return tmp_path / "key.ring"


def test_the_file_is_for_its_owner_and_tells_nothing(file):
    """Nobody else on the computer reads it, and whoever does finds no key in it."""
    ring = KeyRing(file, LOCK)
    assert file.stat().st_mode & 0o777 == 0o600
    kept = json.loads(json.dumps(ring.content()))
    secrets = [*kept["lasting"].values(), *(one["key"] for one in kept["wraps"])]
    assert len(secrets) == 6
    assert not any(secret in file.read_text() for secret in secrets)
    assert "key" not in repr(ring.wrapping()).replace("key_id", "").replace("SealingKey", "")


def test_of_two_processes_that_start_at_once_one_makes_the_ring(file):
    """The other takes what is there, whole; nothing else is left in the folder."""
    before = file.read_bytes()
    with pytest.raises(FileExistsError):
        create(file, LOCK, "hc1")
    assert file.read_bytes() == before
    assert [one.name for one in file.parent.iterdir()] == ["key.ring"]


def test_it_opens_with_its_master_key_and_no_other(file):
    """Another master key, a cut file and a lost one are each one sentence, not a crash."""
    with pytest.raises(MasterKeyError, match="another master key"):
        KeyRing(file, LocalLock(lambda: [NEW]))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(MasterKeyError, match="cannot be read"):
        KeyRing(file, LOCK)
    file.unlink()
    with pytest.raises(MasterKeyError, match="not there"):
        KeyRing(file, LOCK)


def test_another_process_s_new_key_is_seen_at_once(file):
    """Whoever opened the ring earlier wraps by the new key, and opens what it wrapped."""
    mine, theirs = KeyRing(file, LOCK), KeyRing(file, LOCK)
    before = MasterCipher(mine, "hc1").new_case_key("c1")[1]
    theirs.add_wrap()
    after = MasterCipher(theirs, "hc1").new_case_key("c2")[1]
    assert wrapping_id(before) != wrapping_id(after)
    cipher = MasterCipher(mine, "hc1")
    assert wrapping_id(cipher.new_case_key("c3")[1]) == wrapping_id(after)
    cipher.unwrap_case_key("c1", before)
    cipher.unwrap_case_key("c2", after)
    theirs.drop_old_wraps()
    cipher.new_case_key("c4")  # which looks at the file
    with pytest.raises(SealError):
        cipher.unwrap_case_key("c1", before)
    cipher.unwrap_case_key("c2", after)


def test_keys_that_must_last_stay_when_the_master_key_changes(file):
    """The log and the search digests are those of before."""
    ring = KeyRing(file, LOCK)
    before = (MasterCipher(ring, "hc1").blind_index("patient", "a", "1"), ring.key_id)
    ring.save(LocalLock(lambda: [NEW]))
    with pytest.raises(MasterKeyError):
        KeyRing(file, LOCK)
    again = KeyRing(file, LocalLock(lambda: [OLD, NEW]))
    assert (MasterCipher(again, "hc1").blind_index("patient", "a", "1"), again.key_id) == before


def test_the_old_content_is_overwritten_when_the_file_is_replaced(file):
    """Whoever keeps the old file open finds zeros in it. Break: leave ``os.pwrite`` out of ``replace_file``."""
    with file.open("rb") as old:
        KeyRing(file, LOCK).add_wrap()
        assert old.read().strip(b"\0") == b""


def test_a_database_whose_ring_is_lost_gets_no_second_one(world, tmp_path):
    """A new ring in place of a lost one would make every record unreadable for good.

    Break: in ``open_or_create`` leave out the comparison with ``used``.
    """
    file = tmp_path / "first.ring"
    ring = open_or_create(file, LOCK, "hc1", engine=world.engine, master=OLD)
    world.cipher = world.door._cipher = MasterCipher(ring, "hc1")
    world.disclose()
    with pytest.raises(MasterKeyError, match="put its copy in its place"):
        open_or_create(tmp_path / "second.ring", LOCK, "hc1", engine=world.engine, master=OLD)
    assert open_or_create(file, LOCK, "hc1", engine=world.engine, master=OLD).key_id == ring.key_id


def test_what_the_master_key_alone_wrapped_before_still_opens(world, tmp_path):
    """A database of an earlier version goes on as it was; its log holds."""
    ids = world.refer()
    ring = open_or_create(tmp_path / "key.ring", LOCK, "hc1", engine=world.engine, master=OLD)
    world.door._cipher = MasterCipher(ring, "hc1")
    with world.door.open_for(world.clinician(), world.now) as work:
        assert work.read(ids.task)
    assert len(ring.wrap_ids) == 2  # the next rotation ends the first of them


class OurKms:
    """What a package of a key service offers."""

    def wrap(self, secret: bytes) -> bytes:
        return b"kms:" + secret[::-1]

    def unwrap(self, wrapped: bytes) -> bytes:
        return wrapped.removeprefix(b"kms:")[::-1]


def test_a_key_service_seals_the_ring_by_two_functions(tmp_path, monkeypatch):
    """It is found by its name among installed packages, asked when the ring is read or written, never for a case."""
    found = [
        EntryPoint("our-kms", f"{__name__}:OurKms", key_ring.PLUGINS),
        EntryPoint("half", "json", key_ring.PLUGINS),
    ]
    monkeypatch.setattr(EntryPoint, "load", lambda one: OurKms() if one.name == "our-kms" else json)
    monkeypatch.setattr(key_ring.metadata, "entry_points", lambda group: found if group == key_ring.PLUGINS else [])
    lock = plugged_in("our-kms")
    create(tmp_path / "key.ring", lock, "hc1")
    cipher = MasterCipher(KeyRing(tmp_path / "key.ring", lock), "hc1")
    monkeypatch.setattr(OurKms, "unwrap", None)
    cipher.unwrap_case_key("c1", cipher.new_case_key("c1")[1])
    for name, words in (("half", "lacks wrap or unwrap"), ("nobody-s", "No installed package")):
        with pytest.raises(MasterKeyError, match=words):
            plugged_in(name)
