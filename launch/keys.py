"""Our own signing keys: private JWKs in a file that only we can read, at least one for each algorithm.

Two algorithms because an EHR or partner may take either. All keys of the file are published; one of each algorithm
signs. A rotation adds a key that is published at once and signs from a later moment, so that whoever keeps our key set
for a while knows it before it is used; the key before it stays published until somebody retires it. The file is written
whole or not at all, and a running program reads it again when it was replaced: every process changes at the same
moment, which a restart of one after the other would not give.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

SigningKey = ECKey | RSAKey
ALGORITHMS = ("ES384", "RS384")
MIN_RSA_BITS = 2048
_RSA_BITS = 3072
# All that is ever published of a key. A list of what may go out, not of what may not: new members stay inside.
PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use")
_LOG = logging.getLogger("launch.keys")


class KeyFileError(ValueError):
    """The key file cannot be used; the text says what to do and holds nothing of the file."""


@dataclass(frozen=True)
class KeptKey:
    """One key of the file. ``made_at`` and ``signs_from`` are seconds since 1970; 0 in files of an earlier version."""

    key: SigningKey = field(repr=False)
    made_at: float = 0.0
    signs_from: float = 0.0

    @property
    def kid(self) -> str:
        """Its id."""
        return str(self.key.kid)

    @property
    def alg(self) -> str:
        """ "ES384" or "RS384"."""
        return str(self.key.alg)


def new_key(alg: str, *, made_at: float, signs_from: float) -> KeptKey:
    """A fresh private key. Its id is its thumbprint (RFC 7638), so no two keys share one."""
    key: SigningKey
    if alg == "ES384":
        key = ECKey.generate_key("P-384", {"alg": alg, "use": "sig"}, private=True, auto_kid=True)
    else:
        key = RSAKey.generate_key(_RSA_BITS, {"alg": alg, "use": "sig"}, private=True, auto_kid=True)
    return KeptKey(key, made_at, signs_from)


def create_key_file(path: Path) -> None:
    """Write fresh ES384 and RS384 keys to ``path``, readable by its owner only. Never overwrites: ``KeyFileError``."""
    now = time.time()
    text = as_text([new_key(alg, made_at=now, signs_from=now) for alg in ALGORITHMS])
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFileError(f"{path} exists. It is kept as it is; give another name to make new keys.") from error
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)


def as_text(kept: Sequence[KeptKey]) -> str:
    """What the file holds: a JWK Set, each key with the moments that are ours alone."""
    moments = [{"made_at": one.made_at, "signs_from": one.signs_from} for one in kept]
    return json.dumps(
        {"keys": [{**one.key.as_dict(private=True), **when} for one, when in zip(kept, moments, strict=True)]}
    )


def read_key_file(path: Path) -> tuple[KeptKey, ...]:
    """The keys of a file. ``KeyFileError`` when it is absent, readable by others, or not as it was written."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path} cannot be read. Make it with: warm-referral keys create") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(f"{path} can be read by others. Allow its owner only: chmod 600 {path}")
    try:
        kept = tuple(_kept(member) for member in json.loads(text)["keys"])
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        # The cause may quote key material: it is dropped, not chained.
        raise KeyFileError(f"{path} does not hold private signing keys. Make it again with: keys create") from None
    if len({one.kid for one in kept}) != len(kept):
        raise KeyFileError(f"{path} holds two keys with one kid. Make it again with: keys create")
    return kept


class KeyRing:
    """Our private keys, as they are now. Its text form shows key ids only."""

    def __init__(
        self, keys: Sequence[KeptKey], *, path: Path | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._kept = tuple(keys)
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = _signature(path)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(one.kid for one in self._kept)})"

    @classmethod
    def load(cls, path: Path, *, clock: Callable[[], float] = time.time) -> KeyRing:
        """Read a key file, and read it again whenever it is replaced. ``KeyFileError`` as ``read_key_file``."""
        ring = cls((), path=path, clock=clock)  # its mark is taken before it is read: a change in between is seen
        ring._kept = read_key_file(path)
        return ring

    def signing_key(self, alg: str = "ES384") -> SigningKey:
        """The key that signs with ``alg`` ("ES384" or "RS384") now. ``KeyFileError`` when there is none."""
        signing = signing_now(self._current(), alg, self._clock())
        if signing is None:
            raise KeyFileError(f"The key file has no key for {alg}. Make a new one with: warm-referral keys create")
        return signing.key

    def public_jwks(self) -> dict[str, Any]:
        """The JWK Set to publish: public members only."""
        published = (one.key.as_dict(private=False) for one in self._current())
        return {"keys": [{name: key[name] for name in PUBLIC_MEMBERS if name in key} for key in published]}

    def _current(self) -> tuple[KeptKey, ...]:
        """The keys of the file as it is now. A file that cannot be used changes nothing: the keys we have go on."""
        if self._path is None or (seen := _signature(self._path)) == self._seen:
            return self._kept
        with self._lock:
            if seen != self._seen:
                self._seen = seen
                try:
                    self._kept = read_key_file(self._path)
                except KeyFileError:
                    _LOG.error("keys-file-unusable")
        return self._kept


def signing_now(kept: Sequence[KeptKey], alg: str, now: float) -> KeptKey | None:
    """Of the keys of one algorithm the one that began to sign last; before any began, the first of them. Among equals
    (files of an earlier version) the first of the file."""
    of_alg = [one for one in kept if one.alg == alg]
    begun = [one for one in of_alg if one.signs_from <= now]
    return (
        max(begun, key=lambda one: one.signs_from)
        if begun
        else min(of_alg, key=lambda one: one.signs_from, default=None)
    )


def _signature(path: Path | None) -> tuple[int, int, int] | None:
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status is not None else None


def _kept(member: dict[str, Any]) -> KeptKey:
    made_at, signs_from = (float(member.get(name, 0.0)) for name in ("made_at", "signs_from"))
    plain = {name: value for name, value in member.items() if name not in ("made_at", "signs_from")}
    return KeptKey(_private_key(plain), made_at, signs_from)


def _private_key(member: dict[str, Any]) -> SigningKey:
    kind: type[ECKey] | type[RSAKey] = {"ES384": ECKey, "RS384": RSAKey}[member["alg"]]  # type: ignore[assignment]
    key: SigningKey = kind.import_key(member)
    if not key.is_private or not isinstance(member.get("kid"), str) or not member["kid"]:
        raise ValueError("not a private key with a kid")
    if isinstance(key, ECKey) and key.curve_name != "P-384":
        raise ValueError("wrong curve")
    if isinstance(key, RSAKey) and key.raw_value.key_size < MIN_RSA_BITS:
        raise ValueError("too short")
    return key
