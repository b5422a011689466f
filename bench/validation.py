"""How many resources one core validates, beside fhir.resources in the same run; and what the start costs.

    make bench                          # or: .venv/bin/python bench/validation.py --each 600

Prints one JSON object. Every resource is distinct and made by the project's own builders; nothing is cached by content.
The other engine is given the same resources and does less: no required bindings, targets, profiles or invariants.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fhir_profiles import r4
from fhir_profiles.proposed_appointment import booked_appointment, proposed_appointment
from fhir_profiles.referral_service_request import NEEDS, PRIORITIES, referral_service_request
from fhir_profiles.referral_task import OUR_BUSINESS_STATUSES, STATUSES, referral_task
from fhir_profiles.release_consent import SIGNERS, TIERS, release_consent
from fhir_profiles.safe_contact import VOICEMAILS, safe_contact
from fhir_profiles.security_labels import labels_for
from fhir_profiles.validation import gate, validate

Payload = dict[str, Any]
START = """
import json, os, time
import fhir_profiles.referral_bundle, fhir_profiles.security_labels

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

before, started = megabytes(), time.perf_counter()
from fhir_profiles import validation
validation.load()
seconds = time.perf_counter() - started
print(json.dumps({"seconds": round(seconds, 3), "added_mb": round(megabytes() - before, 1)}))
"""


class Maker:
    """Distinct resources from one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def id(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def moment(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.chance.randrange(90_000_000))

    def day(self) -> date:
        return self.moment().date()

    def task(self) -> Payload:
        asked = self.moment()
        return referral_task(
            labels=labels_for("referral-task"),
            id=self.id(),
            identifier_system="https://dsv.example/id",
            identifier_value=self.id(),
            service_request_reference=f"ServiceRequest/{self.id()}",
            patient_reference=f"Patient/{self.id()}",
            requester_reference="Organization/hc1",
            owner_reference=f"Organization/{self.id()}",
            authored_at=asked,
            due_at=asked + timedelta(hours=self.chance.randrange(1, 90)),
            status=self.chance.choice(STATUSES),
            business_status=self.chance.choice([None, *OUR_BUSINESS_STATUSES]),
        )

    def service_request(self) -> Payload:
        asked = self.day()
        is_safe = self.chance.random() < 0.5
        contact = safe_contact(
            meet="safe-contact" if is_safe else "on-site",
            asked_on=asked,
            expires_on=asked + timedelta(days=self.chance.randrange(30)),
            telecom=f"555-01{self.chance.randrange(100):02}" if is_safe else None,
            voicemail=self.chance.choice(VOICEMAILS) if is_safe else None,
            say_as=self.chance.choice([None, "the library", "work"]),
            language=self.chance.choice(["en", "es", "zh-Hans"]),
        )
        return referral_service_request(
            labels=labels_for("referral-service-request"),
            id=self.id(),
            patient_reference=f"Patient/{self.id()}",
            requester_reference="Organization/hc1",
            performer_reference=f"Organization/{self.id()}",
            consent_reference=f"Consent/{self.id()}",
            safe_contact=contact,
            authored_at=asked,
            needs=self.chance.sample(sorted(NEEDS), 2),
            priority=self.chance.choice([None, *PRIORITIES]),
        )

    def consent(self) -> Payload:
        signed = self.day()
        return release_consent(
            labels=labels_for("release-consent"),
            id=self.id(),
            patient_reference=f"Patient/{self.id()}",
            from_organization="Organization/hc1",
            to_organization=f"Organization/{self.id()}",
            item_references=[f"ServiceRequest/{self.id()}", f"Task/{self.id()}"],
            signed_on=signed,
            starts_on=signed,
            ends_on=signed + timedelta(days=self.chance.randrange(1, 60)),
            signer=self.chance.choice(SIGNERS),
            source_identifier=self.id(),
            policy_uri="https://dsv.example/policy",
            tier=self.chance.choice([None, *TIERS]),
        )

    def appointment(self) -> Payload:
        start = self.moment()
        asked = proposed_appointment(
            labels=labels_for("proposed-appointment"),
            id=self.id(),
            patient_reference=f"Patient/{self.id()}",
            service_reference="HealthcareService/nextday",
            based_on=f"ServiceRequest/{self.id()}",
            requested_start=start,
            requested_end=start + timedelta(hours=8),
        )
        is_booked = self.chance.random() < 0.5
        return booked_appointment(asked, start, start + timedelta(minutes=30)) if is_booked else asked


def rate(look: Callable[[], object], resources: int, rounds: int) -> float:
    """Resources a second, the best of some rounds: other work on the machine only ever slows."""
    best = min(_seconds(look) for _ in range(rounds))
    return resources / best


def _seconds(look: Callable[[], object]) -> float:
    started = time.perf_counter()
    look()
    return time.perf_counter() - started


def percentile(profile: str, payloads: list[Payload], share: float) -> float:
    """Milliseconds that this share of the resources stays under; each timed alone, the best of three."""
    times = []
    for payload in payloads:
        tries = []
        for _ in range(3):
            started = time.perf_counter()
            validate(payload, profile)
            tries.append(time.perf_counter() - started)
        times.append(min(tries) * 1000)
    times.sort()
    return round(times[min(len(times) - 1, int(len(times) * share))], 4)


def measure(each: int, rounds: int) -> Payload:
    """Everything that is printed."""
    maker = Maker(20261001)
    made: dict[str, list[Payload]] = {
        "referral-task": [maker.task() for _ in range(each)],
        "referral-service-request": [maker.service_request() for _ in range(each)],
        "release-consent": [maker.consent() for _ in range(each)],
        "proposed-appointment": [maker.appointment() for _ in range(each)],
    }
    pairs = [(profile, payload) for profile, payloads in made.items() for payload in payloads]
    distinct = {json.dumps(payload, sort_keys=True) for _, payload in pairs}
    assert len(distinct) == len(pairs), "two of the generated resources are equal"
    assert all(validate(payload, profile) == [] for profile, payload in pairs)
    assert all(gate.look_in_full(payload, profile, "V", payload["resourceType"]) == [] for profile, payload in pairs)
    gc.collect()
    ours = rate(lambda: [validate(payload, profile) for profile, payload in pairs], len(pairs), rounds)
    in_full = rate(
        lambda: [gate.look_in_full(payload, profile, "V", payload["resourceType"]) for profile, payload in pairs],
        len(pairs),
        rounds,
    )
    theirs = rate(lambda: [r4.structure_problems(payload) for _, payload in pairs], len(pairs), rounds)
    start = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    return {
        "bench": "validation",
        "machine": f"{platform.machine()} {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "distinct_resources": len(distinct),
        "resources_per_second": round(ours),
        "in_full_per_second": round(in_full),
        "fhir_resources_r4b_per_second": round(theirs),
        "ratio_to_fhir_resources_r4b": round(ours / theirs, 2),
        "p50_ms": {profile: percentile(profile, payloads, 0.50) for profile, payloads in made.items()},
        "p99_ms": {profile: percentile(profile, payloads, 0.99) for profile, payloads in made.items()},
        "start": json.loads(start.stdout),
        "mean_bytes": round(statistics.mean(map(len, distinct))),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=600, help="resources of each of the four types")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(json.dumps(measure(given.each, given.rounds), indent=2))


if __name__ == "__main__":
    main()
