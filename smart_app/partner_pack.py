"""What a program's engineer gets when the program is registered: addresses, ids, how to make a key, a referral."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from string import Template
from typing import Any

from fhir_profiles.sample_referral import shortest_referral
from smart_app.api.openapi import openapi

_TEXT = Template("""# $product: for the engineer of $name

Nothing in here is secret. Your private key stays with you: nobody at the health center ever needs it.

| what | value |
|---|---|
| FHIR base | $base/fhir |
| token endpoint (the `aud` of your assertion) | $base/token |
| discovery | $base/fhir/.well-known/smart-configuration |
| what is offered | $base/fhir/metadata |
| your client id (`iss` and `sub`) | $client_id |
| your organization in every referral | Organization/$partner_id |
| the health center in every referral | $clinic |
| your keys | $keys |
| scopes, at most | $scopes |

## Keys

An EC key on P-384 (ES384), or RSA of at least 2048 bits (RS384). Make it where it will live:

    openssl ecparam -name secp384r1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out program.pem
    openssl pkey -in program.pem -pubout -out program.pub.pem

Publish the public key as a JWK Set, each key with a `kid`, at an https address that you tell the health center, and
change keys there as you like: the old one stays listed until its last assertion is over (five minutes). Without such
an address, send the JWK Set itself; a change then needs `warm-referral partner rotate` at the health center.

## Token

Sign a JWT with `iss` and `sub` your client id, `aud` the token endpoint, `exp` at most 300 seconds ahead and a fresh
`jti` each time; `kid` and `alg` in its header. Then:

    curl -s $base/token -d grant_type=client_credentials \\
      -d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \\
      -d client_assertion="$$ASSERTION" --data-urlencode scope="$scopes"

Every fault of an assertion gets the same 400. After a minute of silence ask the health center, not the server.

## First referral

`referral.json` holds a referral about nobody. Asked first, sent second:

    curl -s $base/fhir/Bundle/\\$$validate -H "Authorization: Bearer $$TOKEN" \\
      -H "Content-Type: application/fhir+json" -d @referral.json
    curl -si $base/fhir -H "Authorization: Bearer $$TOKEN" \\
      -H "Content-Type: application/fhir+json" -d @referral.json

202 and a `Location` is yours to keep. New identifiers for a new referral; the same body again is 200. Never a real
name, an address or a story: they are refused and not kept.
""")


@dataclass(frozen=True)
class Pack:
    """The three files: name -> text."""

    files: dict[str, str]

    @property
    def text(self) -> str:
        """All of it for a screen."""
        rest = [f"## {name}\n\n```json\n{text}```\n" for name, text in self.files.items() if name.endswith(".json")]
        return "\n".join([self.files["README.md"], *rest])


def pack(
    *,
    product_name: str,
    version: str,
    public_base_url: str,
    clinic: str,
    partner_id: str,
    partner_name: str,
    client_id: str,
    keys: str,
    scopes: tuple[str, ...],
    today: date,
) -> Pack:
    """``clinic``: "Organization/<id>" of the health center; ``keys``: where the program's public keys are, in words."""
    readme = _TEXT.substitute(
        product=product_name,
        name=partner_name,
        base=public_base_url,
        client_id=client_id,
        partner_id=partner_id,
        clinic=clinic,
        keys=keys,
        scopes=" ".join(scopes),
    )
    sample = shortest_referral(today, program=f"Organization/{partner_id}", clinic=clinic)
    described = openapi(public_base_url=public_base_url, product_name=product_name, version=version)
    return Pack({"README.md": readme, "referral.json": _as_text(sample), "openapi.json": _as_text(described)})


def _as_text(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
