"""The EHR's own signing keys, one set per base: an ES384 and an RS256 key, made at first start, replaceable."""

from __future__ import annotations

import json
import threading
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey, import_key
from joserfc.jws import JWSRegistry

from launch.sandbox.database import Database

ALGORITHMS = ("ES384", "RS256")


class SigningKeys:
    """Sign identity tokens and publish the public halves."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()

    def sign(self, base: str, alg: str, claims: dict[str, Any]) -> str:
        """A compact JWS of the claims with the base's current key for an algorithm."""
        row = self._current(base, alg)
        key: Any = import_key(json.loads(row["jwk"]))
        header = {"alg": alg, "kid": row["kid"], "typ": "JWT"}
        return jwt.encode(header, claims, key, registry=JWSRegistry(algorithms=[alg]))

    def public(self, base: str) -> dict[str, Any]:
        """The JWKS of a base: public members only."""
        rows = [self._current(base, alg) for alg in ALGORITHMS]
        return {"keys": [_public(json.loads(row["jwk"])) for row in rows]}

    def replace(self, base: str) -> None:
        """New keys with new ids; the old ones are no longer published."""
        with self._lock:
            self._database.run("UPDATE signing_key SET is_current=0 WHERE base=?", base)

    def _current(self, base: str, alg: str) -> Any:
        with self._lock:
            row = self._find(base, alg)
            if row is None:
                key: Any = ECKey.generate_key("P-384") if alg == "ES384" else RSAKey.generate_key(2048)
                kid = f"{base}-{key.thumbprint()[:12]}"
                private = {**key.as_dict(private=True), "kid": kid, "alg": alg, "use": "sig"}
                self._database.run("INSERT INTO signing_key VALUES (?,?,?,1,?)", base, kid, alg, json.dumps(private))
                row = self._find(base, alg)
            return row

    def _find(self, base: str, alg: str) -> Any:
        return self._database.one("SELECT * FROM signing_key WHERE base=? AND alg=? AND is_current=1", base, alg)


def _public(jwk: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in jwk.items() if name in {"kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"}
    }
