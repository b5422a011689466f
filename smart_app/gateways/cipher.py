"""Encryption at rest: one master key, one data key per case wrapped by it, AES-256-GCM (design: stack.md section 5).

A sealed value is  format (1) | key id (8) | nonce (12) | ciphertext and tag.  What is encrypted is deflated first and
padded, so that sizes come in steps of 256 bytes. The associated data names tenant, table, row, version and key: a
sealed value moved to another row, or put back from an older version, does not open.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
import struct
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

KEY_BYTES = 32
KEY_ID_BYTES = 8
NONCE_BYTES = 12  # 96 random bits, the size AES-GCM is made for
INDEX_BYTES = 16
PAD_TO = 256
FORMAT = b"\x01"
_HEADER = len(FORMAT) + KEY_ID_BYTES + NONCE_BYTES


class MasterKeyError(Exception):
    """The master key cannot be used; the text says what to do and never holds the key."""


class SealError(Exception):
    """A sealed value does not open here: altered, moved, rolled back, or sealed under another key."""


@dataclass(frozen=True)
class MasterKey:
    """32 secret bytes from which every other key is derived. ``key_id`` tells two master keys apart."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise MasterKeyError(f"The master key must be {KEY_BYTES} bytes, base64: make one with create_key_file.")

    @classmethod
    def load(cls, file: Path | None = None, environment: str | None = None) -> MasterKey:
        """Read the key from ``environment`` (the value, base64) if given, else from ``file`` (base64, mode 0600)."""
        if environment:
            return cls(_decoded(environment))
        if file is None:
            raise MasterKeyError("No master key: name a key file, or set it in the environment.")
        try:
            if file.stat().st_mode & 0o077:
                raise MasterKeyError(f"Others can read the master key file: run chmod 600 {file}.")
            return cls(_decoded(file.read_text(encoding="ascii")))
        except (OSError, UnicodeDecodeError):
            raise MasterKeyError(f"The master key file {file} cannot be read.") from None

    @property
    def key_id(self) -> bytes:
        """Eight bytes that name this key without telling anything about it."""
        return self.derive("key-id")[:KEY_ID_BYTES]

    @cached_property
    def _wrap(self) -> SealingKey:
        return SealingKey(self.key_id, self.derive("wrap"))

    def wrapping(self) -> SealingKey:
        """What wraps the data keys of new cases."""
        return self._wrap

    def unwrapping(self, key_id: bytes) -> SealingKey:
        """What wrapped a data key, by the id in its wrap."""
        return self._wrap

    def derive(self, use: str) -> bytes:
        """A key of its own for one ``use``: HKDF, RFC 5869 (the master is uniform, so expand alone)."""
        return HKDFExpand(SHA256(), KEY_BYTES, f"warm-referral|{use}".encode()).derive(self.secret)


def create_key_file(path: Path) -> None:
    """Write a new random master key to ``path``, mode 0600. Never overwrites: that would lose every case."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")


@dataclass(frozen=True)
class SealingKey:
    """One AES-256 key with its id; seals and opens."""

    key_id: bytes
    secret: bytes = field(repr=False)

    @cached_property
    def _box(self) -> AESGCM:
        return AESGCM(self.secret)

    def seal(self, plaintext: bytes, *place: str) -> bytes:
        """Encrypt; ``place`` (tenant, table, row, version …) is bound as associated data."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._box.encrypt(nonce, _padded(plaintext), _bound(self.key_id, place))
        return FORMAT + self.key_id + nonce + sealed

    def open(self, sealed: bytes, *place: str) -> bytes:
        """Decrypt. Raises ``SealError`` for anything that was not sealed by this key for this very place."""
        if sealed[: len(FORMAT)] != FORMAT or sealed[len(FORMAT) : len(FORMAT) + KEY_ID_BYTES] != self.key_id:
            raise SealError("sealed by another key or format")
        nonce = sealed[_HEADER - NONCE_BYTES : _HEADER]
        try:
            return _unpadded(self._box.decrypt(nonce, sealed[_HEADER:], _bound(self.key_id, place)))
        except (InvalidTag, ValueError):
            raise SealError("altered, moved or rolled back") from None


class Keys(Protocol):
    """Where a cipher has its keys from: the key ring, or the master key itself where there is none (tests, tools)."""

    @property
    def key_id(self) -> bytes:
        """Stands in whatever the derived keys sealed."""

    def derive(self, use: str) -> bytes:
        """A key of its own for one ``use``."""

    def wrapping(self) -> SealingKey:
        """What wraps the data keys of new cases."""

    def unwrapping(self, key_id: bytes) -> SealingKey:
        """Raises ``SealError`` for a key that is not, or no longer, there."""


class MasterCipher:
    """All keys of one tenant. Implements ``ports.Cipher`` for short-lived state."""

    def __init__(self, master: Keys, tenant_id: str) -> None:
        self.tenant_id = tenant_id
        self._keys = master
        self._state = SealingKey(master.key_id, master.derive("state"))
        self.audit = SealingKey(master.key_id, master.derive("audit"))
        self._chain = master.derive(f"chain|{tenant_id}")
        self._index = master.derive(f"index|{tenant_id}")
        self._digest = master.derive(f"digest|{tenant_id}")

    def seal(self, plaintext: bytes, *, purpose: str) -> bytes:
        """Seal short-lived server-side state; opens again for the same ``purpose`` only."""
        return self._state.seal(plaintext, self.tenant_id, "state", purpose)

    def open(self, sealed: bytes, *, purpose: str) -> bytes:
        """Open what ``seal`` made. Raises ``SealError``."""
        return self._state.open(sealed, self.tenant_id, "state", purpose)

    def new_case_key(self, case_id: str) -> tuple[CaseKey, bytes]:
        """A fresh data key for one case, and its wrapped form to store. Deleting the wrapped form erases the case."""
        key = SealingKey(secrets.token_bytes(KEY_ID_BYTES), AESGCM.generate_key(KEY_BYTES * 8))
        wrapped = self._keys.wrapping().seal(key.key_id + key.secret, *self._place(case_id))
        return CaseKey(self.tenant_id, key), wrapped

    def unwrap_case_key(self, case_id: str, wrapped: bytes) -> CaseKey:
        """The data key of a case. Raises ``SealError`` if it was wrapped for another case or master key."""
        raw = self._keys.unwrapping(wrapping_id(wrapped)).open(wrapped, *self._place(case_id))
        return CaseKey(self.tenant_id, SealingKey(raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:]))

    def rewrap_case_key(self, case_id: str, wrapped: bytes) -> bytes:
        """The same data key under the newest wrapping key. Raises ``SealError``."""
        raw = self._keys.unwrapping(wrapping_id(wrapped)).open(wrapped, *self._place(case_id))
        return self._keys.wrapping().seal(raw, *self._place(case_id))

    def _place(self, case_id: str) -> tuple[str, ...]:
        return self.tenant_id, "vault_key", case_id, "1"

    def blind_index(self, kind: str, *parts: str) -> bytes:
        """16 bytes by which equal values are found without being stored. Parts are ids and stay exact: FHIR ids are
        case-sensitive, and folding case would make two patients of one EHR the same patient."""
        return hmac.digest(self._index, _framed(kind, *parts), sha256)[:INDEX_BYTES]

    def digest(self, content: bytes) -> bytes:
        """Keyed digest of a whole body: a plain one could be guessed from the few things a body may hold."""
        return hmac.digest(self._digest, content, sha256)

    def chain(self, *parts: bytes) -> bytes:
        """One link of the audit chain. Keyed, so whoever can write the table still cannot make a chain that holds."""
        return hmac.digest(self._chain, b"".join([_counted(part) for part in parts]), sha256)


def wrapping_id(wrapped: bytes) -> bytes:
    """The id of the key that wrapped this."""
    return wrapped[len(FORMAT) : len(FORMAT) + KEY_ID_BYTES]


@dataclass(frozen=True)
class CaseKey:
    """The data key of one case, bound to its tenant."""

    tenant_id: str
    _key: SealingKey

    def seal(self, plaintext: bytes, *, table: str, row_id: str, version: int) -> bytes:
        """Seal one value of one version of one row."""
        return self._key.seal(plaintext, self.tenant_id, table, row_id, str(version))

    def open(self, sealed: bytes, *, table: str, row_id: str, version: int) -> bytes:
        """Open it again. Raises ``SealError`` when it stood in another row, table or version."""
        return self._key.open(sealed, self.tenant_id, table, row_id, str(version))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        raise MasterKeyError("The master key is not valid base64.") from None


def _bound(key_id: bytes, place: tuple[str, ...]) -> bytes:
    return _framed(*place) + key_id


def _framed(*parts: str) -> bytes:
    """Each part with its length in front, so that no two different lists give the same bytes."""
    return b"".join([_counted(part.encode()) for part in parts])


def _counted(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part


def _padded(plaintext: bytes) -> bytes:
    deflated = zlib.compress(plaintext, 1)
    framed = struct.pack(">I", len(deflated)) + deflated
    return framed + bytes(-len(framed) % PAD_TO)


def _unpadded(padded: bytes) -> bytes:
    (size,) = struct.unpack_from(">I", padded)
    return zlib.decompress(padded[4 : 4 + size])
