"""How many resources one core validates, beside three other engines in the same run; and what the start costs.

    make bench                          # or: .venv/bin/python bench/validation.py --each 600

Prints one JSON object. Every resource is distinct and made by the project's own builders; nothing is cached by content,
and what the quick look answers is compared with the full look, on the right resources and on a broken copy of each.

The others are given the same resources and do less. fhir.resources R4B: structure, without required bindings, targets
or profiles. @medplum/core (Node; left out, with a sentence, where Node is absent): R4 with its invariants, without
bindings or profiles, for it would parse a profile anew for each resource. pyrofile-validator: R4 and our profiles, but
a share of the resources only, since each takes it some twenty milliseconds.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pyrofile_validator import Validator
from pyrofile_validator.config import ValidatorConfig

from fhir_profiles import r4
from fhir_profiles.proposed_appointment import booked_appointment, proposed_appointment
from fhir_profiles.referral_service_request import NEEDS, PRIORITIES, referral_service_request
from fhir_profiles.referral_task import OUR_BUSINESS_STATUSES, STATUSES, referral_task
from fhir_profiles.release_consent import release_consent
from fhir_profiles.release_signer import SIGNERS
from fhir_profiles.release_tier import TIERS
from fhir_profiles.safe_contact import VOICEMAILS, safe_contact
from fhir_profiles.security_labels import labels_for
from fhir_profiles.validation import gate, snapshots, validate

Payload = dict[str, Any]
Pair = tuple[str, Payload]
ROOT = Path(__file__).resolve().parents[1]
TARGET_RATE = 10_000
TARGET_P99_MS = {"referral-task": 0.3, "proposed-appointment": 0.5}
TARGET_START = {"seconds": 0.5, "added_mb": 100}
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


def broken(payload: Payload, number: int) -> Payload:
    """A copy with one thing wrong, another one for each number: a key gone, strange, or of another JSON kind."""
    keys = sorted(payload.keys() - {"resourceType"})
    key = keys[number % len(keys)]
    if number % 3 == 0:
        return {name: value for name, value in payload.items() if name != key}
    return {**payload, "banana": 1} if number % 3 == 1 else {**payload, key: number}


def assert_looks_agree(pairs: list[Pair]) -> None:
    """The quick and the full look give equal issues: none for what is right, all the same for what is not."""
    for number, (profile, payload) in enumerate(pairs):
        for one in (payload, broken(payload, number)):
            issues = validate(one, profile)
            assert issues == gate.look_in_full(one, profile, "V", payload["resourceType"]), "the two looks disagree"
            assert one is not payload or issues == [], "a resource of our own builders is refused"


def generated(each: int) -> dict[str, list[Payload]]:
    """As many resources of each of the four profiles, no two equal."""
    maker = Maker(20261001)
    made = {
        "referral-task": [maker.task() for _ in range(each)],
        "referral-service-request": [maker.service_request() for _ in range(each)],
        "release-consent": [maker.consent() for _ in range(each)],
        "proposed-appointment": [maker.appointment() for _ in range(each)],
    }
    texts = {json.dumps(payload, sort_keys=True) for payloads in made.values() for payload in payloads}
    assert len(texts) == 4 * each, "two of the generated resources are equal"
    return made


def core_and_guide() -> list[Path]:
    """HL7's definitions and our compiled guide, for the engines that read them by themselves."""
    return [*snapshots.core_sources(), snapshots.GUIDE]


def pyrofile_rate(pairs: list[Pair], rounds: int) -> float:
    """Resources a second of pyrofile-validator, with R4 and our profiles."""
    with tempfile.TemporaryDirectory() as cache, contextlib.redirect_stdout(io.StringIO()):  # trace() prints
        sources = [str(source) for source in core_and_guide()]
        validator = Validator(ValidatorConfig(local_package_paths=sources, package_cache_dir=cache))
        for _, payload in pairs[:4]:
            validator.validate_resource(payload)
        return rate(lambda: [validator.validate_resource(payload) for _, payload in pairs], len(pairs), rounds)


def medplum_rate(pairs: list[Pair], rounds: int) -> float | str:
    """Resources a second of @medplum/core, or a sentence that says why there is no number."""
    node = shutil.which("node")
    if node is None:
        return "Node is not here. On Debian: apt-get install nodejs npm"
    if not (ROOT / "node_modules" / "@medplum" / "core").is_dir():
        return "@medplum/core is not installed: npm ci --ignore-scripts"
    known = snapshots.Package(core_and_guide()).by_url.values()
    definitions = [item for item in known if item["resourceType"] == "StructureDefinition"]
    question = {"definitions": definitions, "resources": [payload for _, payload in pairs], "rounds": rounds}
    command = [node, str(ROOT / "bench" / "validation_medplum.js")]
    run = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, check=True)
    answer = json.loads(run.stdout)
    assert answer["refused"] == 0, "the other engine refuses a resource that is right"
    return float(answer["resources_per_second"])


def measure(each: int, rounds: int) -> Payload:
    """Everything that is printed."""
    made = generated(each)
    pairs = [(profile, payload) for several in zip(*_named(made), strict=True) for profile, payload in several]
    assert_looks_agree(pairs)
    gc.collect()
    ours = rate(lambda: [validate(payload, profile) for profile, payload in pairs], len(pairs), rounds)
    in_full = rate(
        lambda: [gate.look_in_full(payload, profile, "V", payload["resourceType"]) for profile, payload in pairs],
        len(pairs),
        rounds,
    )
    others = {
        "fhir_resources_r4b": rate(lambda: [r4.structure_problems(one) for _, one in pairs], len(pairs), rounds),
        "pyrofile_validator": pyrofile_rate(pairs[: max(4, len(pairs) // 50)], 2),
        "medplum_core": medplum_rate(pairs, rounds),
    }
    start = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    found = {
        "bench": "validation",
        "machine": f"{platform.machine()} {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "distinct_resources": len(pairs),
        "resources_per_second": round(ours),
        "in_full_per_second": round(in_full),
        "others_per_second": {name: round(one) if isinstance(one, float) else one for name, one in others.items()},
        "ratio_to": {name: round(ours / one, 2) for name, one in others.items() if isinstance(one, float)},
        "p50_ms": {profile: percentile(profile, payloads, 0.50) for profile, payloads in made.items()},
        "p99_ms": {profile: percentile(profile, payloads, 0.99) for profile, payloads in made.items()},
        "start": json.loads(start.stdout),
        "mean_bytes": round(statistics.mean(len(json.dumps(payload)) for _, payload in pairs)),
    }
    return {**found, "missed_targets": missed(found)}


def missed(found: Payload) -> list[str]:
    """Which of the targets, meant for one warm core, this run did not reach."""
    slow = [f"p99_ms of {name}" for name, most in TARGET_P99_MS.items() if found["p99_ms"][name] > most]
    heavy = [f"start: {name}" for name, most in TARGET_START.items() if found["start"][name] > most]
    few = ["resources_per_second"] if found["resources_per_second"] < TARGET_RATE else []
    return [*few, *slow, *heavy]


def _named(made: dict[str, list[Payload]]) -> list[list[Pair]]:
    return [[(profile, payload) for payload in payloads] for profile, payloads in made.items()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=600, help="resources of each of the four types")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(json.dumps(measure(given.each, given.rounds), indent=2))


if __name__ == "__main__":
    main()
