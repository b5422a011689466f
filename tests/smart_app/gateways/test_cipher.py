"""Encryption at rest: nothing opens anywhere but where it was put."""

from __future__ import annotations

import base64
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_app.gateways.cipher import (
    PAD_TO,
    MasterCipher,
    MasterKey,
    MasterKeyError,
    SealError,
    create_key_file,
)

SECRET = bytes(range(32))


@pytest.fixture
def cipher() -> MasterCipher:
    return MasterCipher(MasterKey(SECRET), "hc1")


def test_a_key_file_is_made_once_and_only_for_its_owner(tmp_path):
    """The master key is written once, readable by the app's account alone; a second try changes nothing."""
    path = tmp_path / "master.key"
    create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    with pytest.raises(FileExistsError):
        create_key_file(path)
    assert path.read_text() == before
    assert len(MasterKey.load(path).secret) == 32


@pytest.mark.parametrize("text", ["", "too short", base64.b64encode(b"x" * 31).decode(), "not base64 !!!"])
def test_a_key_that_cannot_be_right_is_refused_in_words(tmp_path, text):
    """A damaged key file stops the start with a sentence that does not repeat the key."""
    path = tmp_path / "master.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(MasterKeyError) as caught:
        MasterKey.load(path)
    assert not text or text not in str(caught.value)


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    """A key that everybody on the machine can read protects nothing."""
    path = tmp_path / "master.key"
    create_key_file(path)
    path.chmod(0o644)
    with pytest.raises(MasterKeyError, match="chmod 600"):
        MasterKey.load(path)


def test_the_environment_wins_and_no_key_at_all_is_refused(tmp_path):
    """The key may come from the environment; without any the app does not start."""
    create_key_file(tmp_path / "master.key")
    value = base64.b64encode(SECRET).decode()
    assert MasterKey.load(tmp_path / "master.key", value).secret == SECRET
    with pytest.raises(MasterKeyError):
        MasterKey.load()
    with pytest.raises(MasterKeyError):
        MasterKey.load(tmp_path / "missing.key")


def test_no_key_shows_itself(cipher):
    """A key never appears where objects are printed."""
    key, _ = cipher.new_case_key("case-1")
    shown = repr(MasterKey(SECRET)) + repr(key) + str(cipher)
    assert SECRET.hex() not in shown
    assert str(SECRET) not in shown
    assert "secret" not in repr(MasterKey(SECRET))


def test_a_sealed_value_opens_only_in_its_own_place(cipher):
    """A row's content cannot be moved to another row, table, case or older version. Break: drop place in _bound."""
    key, wrapped = cipher.new_case_key("case-1")
    sealed = key.seal(b"hello", table="vault_resource", row_id="Task/1", version=2)
    place = {"table": "vault_resource", "row_id": "Task/1", "version": 2}
    assert cipher.unwrap_case_key("case-1", wrapped).open(sealed, **place) == b"hello"
    for change in ({"version": 1}, {"row_id": "Task/2"}, {"table": "vault_case"}):
        with pytest.raises(SealError):
            key.open(sealed, **{**place, **change})
    other, _ = cipher.new_case_key("case-2")
    with pytest.raises(SealError):
        other.open(sealed, **place)
    with pytest.raises(SealError):
        cipher.unwrap_case_key("case-2", wrapped)


def test_another_master_key_or_tenant_opens_nothing(cipher):
    """A copy of the database without the right master key is noise."""
    _, wrapped = cipher.new_case_key("case-1")
    state = cipher.seal(b"state", purpose="launch")
    for other in (MasterCipher(MasterKey(bytes(32)), "hc1"), MasterCipher(MasterKey(SECRET), "hc2")):
        with pytest.raises(SealError):
            other.unwrap_case_key("case-1", wrapped)
        with pytest.raises(SealError):
            other.open(state, purpose="launch")
    with pytest.raises(SealError):
        cipher.open(state, purpose="notes")
    assert cipher.open(state, purpose="launch") == b"state"


@given(st.binary(max_size=4000), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_any_content_comes_back_and_any_flipped_bit_is_noticed(content, at):
    """What was put in comes out, byte for byte, and one changed bit is enough to refuse."""
    cipher = MasterCipher(MasterKey(SECRET), "hc1")
    sealed = cipher.seal(content, purpose="p")
    assert cipher.open(sealed, purpose="p") == content
    spot = at % len(sealed)
    bad = sealed[:spot] + bytes([sealed[spot] ^ 1]) + sealed[spot + 1 :]
    with pytest.raises(SealError):
        cipher.open(bad, purpose="p")
    with pytest.raises(SealError):
        cipher.open(sealed[:spot], purpose="p")


def test_sizes_come_in_steps(cipher):
    """The size of a record does not tell how much was said. Break: return framed in _padded."""
    sizes = {len(cipher.seal(os.urandom(size), purpose="p")) for size in range(1, 200)}
    assert len(sizes) == 1
    assert (sizes.pop() - 1 - 8 - 12 - 16) % PAD_TO == 0


def test_the_same_content_never_looks_the_same_twice(cipher):
    """Two equal records cannot be recognised as equal. Break: a constant nonce."""
    assert len({cipher.seal(b"same", purpose="p") for _ in range(200)}) == 200


def test_a_blind_index_finds_equal_ids_and_keeps_different_ones_apart(cipher):
    """Two people whose numbers differ only by upper and lower case are two people."""
    index = cipher.blind_index
    assert index("patient", "a", "901") == index("patient", "a", "901")
    assert len(index("patient", "a", "901")) == 16
    different = {
        index("patient", "a", "901"),
        index("patient", "b", "901"),
        index("author", "a", "901"),
        index("patient", "a9", "01"),
        index("patient", "a", "AbC"),
        index("patient", "a", "abc"),
        MasterCipher(MasterKey(SECRET), "hc2").blind_index("patient", "a", "901"),
    }
    assert len(different) == 7
