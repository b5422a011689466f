"""How many referrals one core takes in: token checked, validated, labelled, encrypted, audited, committed with fsync.

    make bench-inbound                  # or: .venv/bin/python bench/inbound.py --seconds 20

Prints one JSON object. Three servers run side by side on loopback and get the same referrals in turn: the app under
gunicorn as it is served, ``bench/ceiling.py`` (libraries alone, the same gunicorn), and @medplum/fhir-router's
in-memory repository behind Express, where Node is at hand. A rate is referrals per second of CPU that the serving
processes used, so a busy machine changes it little, and a ratio less. PostgreSQL's own processes are not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import platform
import shutil
import sqlite3
import statistics
import sys
import tarfile
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

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "support")]

import ceiling  # noqa: E402
from databases import PostgresServer, find_program  # noqa: E402
from serving import Server  # noqa: E402

EXAMPLE = ROOT / "examples" / "post_referral.py"
CORE = ROOT / "fhir_profiles" / "definitions" / "hl7.fhir.r4.core-4.0.1.tgz"
ROUND = 50  # referrals to one server before the next has its turn
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPES = "system/Patient.c system/Consent.c system/ServiceRequest.cr system/Task.crus"


def settings_in(folder: Path, database: str | None = None) -> Settings:
    """A demo's settings in ``folder``, and its database there or at ``database``; nothing else is started."""
    place = demo.Place(folder, database=database)
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


def bodies(count: int) -> list[bytes]:
    """So many referrals, each with its own ids."""
    made, names = template(), ("n", "patient", "consent", "request", "task")
    return [made.substitute({name: f"urn:uuid:{uuid.uuid4()}" for name in names}).encode() for _ in range(count)]


def definitions() -> bytes:
    """R4's own StructureDefinitions, without which the other server takes nothing."""
    with tarfile.open(CORE) as archive:
        named = [one for one in archive.getnames() if one.startswith("package/StructureDefinition-")]
        return b"[" + b",".join(read.read() for one in named if (read := archive.extractfile(one)) is not None) + b"]"


def compare(servers: dict[str, Server], token: str, seconds: float) -> dict[str, dict[str, float]]:
    """Post rounds of distinct referrals to each server in turn, until the app had ``seconds`` of CPU; per server the
    CPU milliseconds and the median wall milliseconds of one referral."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    for_ceiling = {**headers, "Authorization": f"Bearer {ceiling.TOKEN}"}
    cpu, wall = dict.fromkeys(servers, 0.0), {name: list[float]() for name in servers}
    warm = True
    while warm or cpu["app"] < seconds:
        for name, server in servers.items():
            sent = bodies(ROUND)
            server.reconnect()
            before = server.cpu_seconds()
            for body in sent:
                started = time.perf_counter()
                status, said = server.post("/fhir", body, for_ceiling if name == "ceiling" else headers)
                wall[name].append(time.perf_counter() - started)
                if status != 202:
                    sys.exit(f"{name} answered {status}: {said[:300]!r}")
            cpu[name] += 0 if warm else server.cpu_seconds() - before
        if warm:
            wall = {name: [] for name in servers}
        warm = False
    return {
        name: {"cpu_ms": cpu[name] / len(took) * 1000, "wall_ms": statistics.median(took) * 1000}
        for name, took in wall.items()
    }


def run(folder: Path, seconds: float, database: str | None) -> dict[str, dict[str, float]]:
    """Everything on one database: SQLite in ``folder``, or ``database``."""
    settings = settings_in(folder, database)
    client = create_app(settings).test_client()
    token = token_for(client, settings)
    python, serving = sys.executable, str(HERE / "serving.py")
    servers = {"app": Server([python, serving, "app", str(demo.Place(folder).config)])}
    servers["ceiling"] = Server([python, serving, "ceiling", database or str(folder)])
    if (ROOT / "node_modules" / "@medplum" / "fhir-router").is_dir() and shutil.which("node"):
        servers["medplum"] = Server(["node", str(HERE / "inbound_medplum.js")], definitions())
    try:
        return compare(servers, token, seconds)
    finally:
        for server in servers.values():
            server.stop()


def figures(found: dict[str, dict[str, float]]) -> dict[str, float | None]:
    """Rates by CPU time, and what the app reaches of the other two."""
    app, medplum = found["app"]["cpu_ms"], found.get("medplum", {}).get("cpu_ms")
    return {
        "inbound_referrals_per_second_per_core": round(1000 / app, 1),
        "inbound_ratio_to_ceiling": round(found["ceiling"]["cpu_ms"] / app, 3),
        "inbound_ratio_to_medplum": None if medplum is None else round(medplum / app, 3),
        "ceiling_per_second_per_core": round(1000 / found["ceiling"]["cpu_ms"], 1),
        "medplum_per_second_per_core": None if medplum is None else round(1000 / medplum, 1),
        "one_client_wall_p50_ms": round(found["app"]["wall_ms"], 2),
    }


class Durable(PostgresServer):
    """A throw-away PostgreSQL that syncs each commit."""

    def __init__(self, initdb: str, postgres: str) -> None:
        super().__init__(initdb, postgres, is_durable=True)

    close = PostgresServer.stop


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=5, help="CPU seconds of the app to measure")
    options.add_argument("--no-postgres", action="store_true", help="SQLite only")
    given = options.parse_args()
    logs.configure(stream=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        told: dict[str, object] = {**figures(run(Path(folder), given.seconds, None))}
    initdb, postgres = find_program("initdb"), find_program("postgres")
    if initdb and postgres and not given.no_postgres:
        with tempfile.TemporaryDirectory() as folder, contextlib.closing(Durable(initdb, postgres)) as server:
            told["postgresql"] = figures(run(Path(folder), given.seconds, server.create("bench")))
    told |= {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "machine": platform.machine()}
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
