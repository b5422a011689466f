"""How two delivery workers empty a long queue: is each referral once at its program, how fast, and in how much memory.

    make bench                          # or: .venv/bin/python bench/drain.py --deliveries 1000

Prints one JSON object. The programs' system is a process of its own that answers at once and counts what it receives;
the workers are the product's: ``warm-referral work`` on a SQLite file with full sync, or on --database in PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import requests
from sqlalchemy import text

from fhir_profiles import terminology
from fhir_profiles.referral_patient import referral_patient
from fhir_profiles.referral_service_request import referral_service_request
from fhir_profiles.referral_task import referral_task
from fhir_profiles.release_consent import release_consent
from fhir_profiles.safe_contact import safe_contact
from fhir_profiles.security_labels import labels_for
from launch.doctor.site_proof import Proof, a_year_after, write_proof
from launch.keys import create_key_file
from smart_app import demo
from smart_app.app import migrate, seed_demo_partners
from smart_app.foundation import Foundation, lay_foundation
from smart_app.policy.access import Purpose, Requester, Role
from smart_app.ports import CaseKind, PatientKey
from smart_app.settings import Settings, load

PROGRAMS, WORKERS, CASES_A_COMMIT, MEMORY_LIMIT_MB = 10, 2, 50, 120
CLINICIAN = Requester(
    Role.CLINICIAN,
    "Practitioner/bench",
    Purpose.TREAT,
    patient_id="bench",
    encounter_id="e",
    registration_id="b",
    launch_id="l",
    site_role="physician",
)


class Programs(BaseHTTPRequestHandler):
    """Every program's system: a token for everybody, and a count of what arrives."""

    protocol_version = "HTTP/1.1"
    arrived: ClassVar[Counter[str]] = Counter()
    lock = threading.Lock()

    def do_GET(self) -> None:
        if self.path == "/arrived":
            self._answer(dict(self.arrived))
        else:
            self._answer({"token_endpoint": f"http://127.0.0.1:{self.server.server_address[1]}/token"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            self._answer({"access_token": "live", "token_type": "bearer", "expires_in": 3600})
            return
        number = json.loads(body)["identifier"]["value"]
        with self.lock:
            self.arrived[number] += 1
        self._answer({})

    def _answer(self, payload: object) -> None:
        content = json.dumps(payload).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def serve_programs() -> None:
    """Print the port and serve until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Programs)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


def settings_in(folder: Path, address: str, database: str | None) -> Settings:
    """A demo's settings and database, with programs whose system is at ``address``."""
    place = demo.Place(folder, database=database)
    demo.prepare(place, create_keys=create_key_file)
    today = datetime.now(UTC).date()
    types = ("Observation", "ServiceRequest", "Appointment")
    write_proof(
        Proof("a", "none", "0", today, a_year_after(today), "bench", (), dict.fromkeys(types, "A")), place.proof
    )
    settings = load(place.config)
    migrate(settings)
    seed_demo_partners(settings, address)
    directory = lay_foundation(settings).directory
    harbor = directory.partner("harbor")
    assert harbor is not None
    for number in range(PROGRAMS):
        directory.add_partner(replace(harbor, partner_id=f"program-{number}", client_id=f"program-{number}"))
    return settings


def fill(base: Foundation, deliveries: int) -> set[str]:
    """Store that many referrals with their jobs; the numbers that their programs must receive."""
    numbers: set[str] = set()
    now = datetime.now(UTC)
    while len(numbers) < deliveries:
        with base.door.open_for(CLINICIAN, now) as work:
            for _ in range(min(CASES_A_COMMIT, deliveries - len(numbers))):
                partner_id = f"program-{len(numbers) % PROGRAMS}"
                case_id = work.open_case(CaseKind.REFERRAL, patient=PatientKey("b", "bench"), partner_id=partner_id)
                made = [work.create(part, case_id=case_id).reference for part in referral(partner_id, now)]
                work.outbox.add(kind="referral", case_id=case_id, reference=made[-1], partner_id=partner_id)
                numbers.add(f"b-{made[-1].removeprefix('Task/')}")
    return numbers


def referral(partner_id: str, now: datetime) -> list[dict[str, object]]:
    """Patient, Consent, ServiceRequest and Task of one referral."""
    patient, consent, request, task = (str(uuid.uuid4()) for _ in range(4))
    person, us, program = f"Patient/{patient}", "Organization/hc1", f"Organization/{partner_id}"
    today = now.date() - timedelta(days=1)
    return [
        referral_patient(
            labels=labels_for("referral-patient"),
            id=patient,
            identifier_system=terminology.ID_PATIENT,
            identifier_value=patient,
            alias="Robin",
        ),
        release_consent(
            labels=labels_for("release-consent"),
            id=consent,
            patient_reference=person,
            from_organization=us,
            to_organization=program,
            item_references=[f"ServiceRequest/{request}", f"Task/{task}"],
            signed_on=today,
            starts_on=today,
            ends_on=today + timedelta(days=30),
            signer="self",
            source_identifier=str(uuid.uuid4()),
            policy_uri=terminology.POLICY_RELEASE_OUT,
        ),
        referral_service_request(
            labels=labels_for("referral-service-request"),
            id=request,
            patient_reference=person,
            requester_reference=us,
            performer_reference=program,
            consent_reference=f"Consent/{consent}",
            safe_contact=safe_contact(meet="survivor-calls", asked_on=today, expires_on=today + timedelta(days=20)),
            authored_at=today,
        ),
        referral_task(
            labels=labels_for("referral-task"),
            id=task,
            identifier_system=terminology.ID_TASK,
            identifier_value=task,
            service_request_reference=f"ServiceRequest/{request}",
            patient_reference=person,
            requester_reference=us,
            owner_reference=program,
            authored_at=today,
            due_at=now + timedelta(hours=1),
        ),
    ]


def drain(base: Foundation, config: Path) -> dict[str, float]:
    """Start the workers, wait until nothing is open, end them."""
    command = [sys.executable, "-m", "smart_app", "--config", str(config), "work"]
    started = time.monotonic()
    workers = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(WORKERS)]
    memory, cpu = [0.0] * WORKERS, [0.0] * WORKERS
    try:
        while open_jobs(base):
            if any(worker.poll() is not None for worker in workers):
                raise RuntimeError("a worker ended by itself")
            time.sleep(0.5)
        seconds = time.monotonic() - started
        for place, worker in enumerate(workers):
            memory[place], cpu[place] = used_by(worker.pid)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait(60)
    return {"seconds": seconds, "worker_memory_mb": max(memory), "cpu_seconds": sum(cpu)}


def open_jobs(base: Foundation) -> int:
    with base.engine.execution_options(is_read_only=True).begin() as connection:
        return int(connection.execute(text("SELECT count(*) FROM delivery WHERE state = 'open'")).scalar_one())


def used_by(pid: int) -> tuple[float, float]:
    """Most memory a process ever had (MB) and the processor time it took (seconds), as Linux counts."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(status["VmHWM"].split()[0]) / 1024, (int(fields[11]) + int(fields[12])) / 100


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    ask.add_argument("--deliveries", type=int, default=10_000)
    ask.add_argument("--database", help="an empty PostgreSQL database's URL; else a SQLite file")
    given = ask.parse_args()
    programs = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
         "from drain import serve_programs\nserve_programs()"],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert programs.stdout is not None
        address = f"http://127.0.0.1:{int(programs.stdout.readline())}"
        with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
            settings = settings_in(Path(folder), address, given.database)
            base = lay_foundation(settings)
            wanted = fill(base, given.deliveries)
            used = drain(base, Path(folder) / "config.toml")
            arrived = arrivals(address)
            base.engine.dispose()
    finally:
        programs.kill()
        programs.wait(20)
    result = {
        "deliveries": given.deliveries,
        "workers": WORKERS,
        "programs": PROGRAMS,
        "database": "postgresql" if given.database else "sqlite",
        "lost": len(wanted - arrived.keys()),
        "doubled": sum(count > 1 for count in arrived.values()),
        "seconds": round(used["seconds"], 1),
        "deliveries_per_second": round(given.deliveries / used["seconds"], 1),
        "cpu_ms_per_delivery": round(1000 * used["cpu_seconds"] / given.deliveries, 2),
        "worker_memory_mb": round(used["worker_memory_mb"], 1),
        "python": platform.python_version(),
    }
    print(json.dumps(result))
    is_good = result["lost"] == result["doubled"] == 0 and used["worker_memory_mb"] <= MEMORY_LIMIT_MB
    return 0 if is_good and len(arrived) == given.deliveries else 1


def arrivals(address: str) -> dict[str, int]:
    """What the programs received: number of a referral -> how often."""
    counted: dict[str, int] = requests.get(f"{address}/arrived", timeout=60).json()
    return counted


if __name__ == "__main__":
    sys.exit(main())
