"""How many referrals one core takes in: token checked, validated, labelled, encrypted, audited, committed with fsync.

    make bench                          # or: .venv/bin/python bench/inbound.py --seconds 20

Prints one JSON object. The whole app is in the loop, without a socket: what a web server adds is not measured.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey

from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from launch.token_endpoint import PartnerClient, register_client
from smart_app import demo, logs
from smart_app.app import create_app, migrate, seed_demo_partners
from smart_app.foundation import lay_foundation
from smart_app.settings import Settings, load

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "post_referral.py"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPES = "system/Patient.c system/Consent.c system/ServiceRequest.cr system/Task.crus"


def settings_in(folder: Path) -> Settings:
    """A demo's settings and database in ``folder``; nothing else is started."""
    place = demo.Place(folder)
    demo.prepare(place, create_keys=create_key_file)
    today = datetime.now(UTC).date()
    types = ("Observation", "ServiceRequest", "Appointment")
    proof = Proof("a", "none", "0", today, a_year_after(today), "bench", (), dict.fromkeys(types, "A"))
    write_proof(proof, place.proof)
    settings = load(place.config)
    migrate(settings)
    seed_demo_partners(settings, place.program_url)
    return settings


def token_for(client: FlaskClient, settings: Settings) -> str:
    """An access token of Harbor's system, with a key made here."""
    key = ECKey.generate_key("P-384", {"alg": "ES384", "use": "sig"}, private=True, auto_kid=True)
    registered = PartnerClient("harbor-system", jwks={"keys": [key.as_dict(private=False)]})
    register_client(lay_foundation(settings).engine, settings.tenant_id, registered)
    claims = {"iss": "harbor-system", "sub": "harbor-system", "aud": f"{settings.public_base_url}/token"}
    claims |= {"exp": int(time.time()) + 240, "jti": str(uuid.uuid4())}  # type: ignore[dict-item]
    assertion = jwt.encode({"alg": "ES384", "kid": key.kid, "typ": "JWT"}, claims, key, algorithms=["ES384"])
    form = {"grant_type": "client_credentials", "scope": SCOPES, "client_assertion": assertion}
    answer = client.post("/token", data=form | {"client_assertion_type": ASSERTION_TYPE})
    return str(answer.get_json()["access_token"])


def template() -> Template:
    """The referral of ``examples/post_referral.py``, with all but its own ids filled in."""
    names: dict[str, object] = {}
    exec(EXAMPLE.read_text().split("ask = ", 1)[0], names)
    today = datetime.now(UTC)
    days = {"today": f"{today:%F}", "later": f"{today + timedelta(days=14):%F}"}
    filled = names["REFERRAL"].safe_substitute(us="Organization/harbor", **days, **names["FIXED"])  # type: ignore
    return Template(filled)


def measure(client: FlaskClient, token: str, seconds: float) -> dict[str, float]:
    """Post distinct referrals for ``seconds``; rate and latencies in milliseconds."""
    body, headers = template(), {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    took: list[float] = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        ids = {name: f"urn:uuid:{uuid.uuid4()}" for name in ("n", "patient", "consent", "request", "task")}
        data = body.substitute(ids).encode()
        started = time.perf_counter()
        answer = client.post("/fhir", data=data, headers=headers)
        took.append((time.perf_counter() - started) * 1000)
        if answer.status_code != 202:
            sys.exit(f"a referral was answered {answer.status_code}: {answer.get_data(as_text=True)[:300]}")
    took.sort()
    return {
        "inbound_referrals_per_second_per_core": round(1000 / statistics.fmean(took), 1),
        "p50_ms": round(took[len(took) // 2], 2),
        "p95_ms": round(took[int(len(took) * 0.95)], 2),
        "referrals": len(took),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=10)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(Path(folder))
        client = create_app(settings).test_client()
        token = token_for(client, settings)
        logs.configure(stream=io.StringIO())
        measure(client, token, 1)
        figures: dict[str, object] = {**measure(client, token, given.seconds)}
    figures |= {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "machine": platform.machine()}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
