"""Our own signing keys: one private JWK for each algorithm, in a file that only we can read.

Two algorithms because an EHR or partner may take either; the first key of an algorithm signs, all are published, so
a rotation puts the new key first and leaves the old one until nobody checks with it any more.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

SigningKey = ECKey | RSAKey
_RSA_BITS = 3072


class KeyFileError(ValueError):
    """The key file cannot be used; the text says what to do and holds nothing of the file."""


def create_key_file(path: Path) -> None:
    """Write fresh ES384 and RS384 keys to ``path``, readable by its owner only. Never overwrites: ``KeyFileError``."""
    keys: list[SigningKey] = [
        ECKey.generate_key("P-384", {"alg": "ES384", "use": "sig"}, private=True, auto_kid=True),
        RSAKey.generate_key(_RSA_BITS, {"alg": "RS384", "use": "sig"}, private=True, auto_kid=True),
    ]
    text = json.dumps({"keys": [key.as_dict(private=True) for key in keys]})
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFileError(f"{path} exists. It is kept as it is; give another name to make new keys.") from error
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)


class KeyRing:
    """Our private keys. Its text form shows key ids only."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._keys = tuple(keys)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(str(key.kid) for key in self._keys)})"

    @classmethod
    def load(cls, path: Path) -> KeyRing:
        """Read a key file. ``KeyFileError`` when it is absent, readable by others, or not as ``create`` writes it."""
        try:
            mode, text = path.stat().st_mode, path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyFileError(f"{path} cannot be read. Make it with: warm-referral keys create") from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyFileError(f"{path} can be read by others. Allow its owner only: chmod 600 {path}")
        try:
            keys = [_private_key(member) for member in json.loads(text)["keys"]]
        except (JoseError, ValueError, KeyError, TypeError):
            # The cause may quote key material: it is dropped, not chained.
            raise KeyFileError(f"{path} does not hold private signing keys. Make it again with: keys create") from None
        if len({key.kid for key in keys}) != len(keys):
            raise KeyFileError(f"{path} holds two keys with one kid. Make it again with: keys create")
        return cls(keys)

    def signing_key(self, alg: str = "ES384") -> SigningKey:
        """The key that signs with ``alg`` ("ES384" or "RS384"). ``KeyFileError`` when there is none."""
        for key in self._keys:
            if key.alg == alg:
                return key
        raise KeyFileError(f"The key file has no key for {alg}. Make a new one with: warm-referral keys create")

    def public_jwks(self) -> dict[str, Any]:
        """The JWK Set to publish: public members only."""
        return {"keys": [dict(key.as_dict(private=False)) for key in self._keys]}


def _private_key(member: dict[str, Any]) -> SigningKey:
    kind: type[ECKey] | type[RSAKey] = {"ES384": ECKey, "RS384": RSAKey}[member["alg"]]  # type: ignore[assignment]
    key: SigningKey = kind.import_key(member)
    if not key.is_private or not isinstance(member.get("kid"), str) or not member["kid"]:
        raise ValueError("not a private key with a kid")
    if isinstance(key, ECKey) and key.curve_name != "P-384":
        raise ValueError("wrong curve")
    return key
