"""The dated label proof of one EHR registration (R6), and its file.

The file is made by the probe, never by hand and never committed: `make demo` makes one for its own sandbox. It names
the EHR, the resource types with their class, the date, who ran it and on which test patients. It holds no token.

It also holds what the EHR offered on that day. When a later check-up finds another version or another offer, it writes
the day and the reason into the proof: from then on the proof is void, whatever its dates say.

    A  keeps the labels and hides what they mark: a copy may be written there
    B  keeps them but shows the item to somebody it should not
    C  drops or weakens them when the item is updated
    D  drops or changes them when it is created
    E  refuses the write, or offers none
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

CLASSES = "ABCDE"

# What no program can look at: a person signs these, once per proof.
BY_HAND = (
    "Look at the test patient's portal, portal mail and phone app: nothing of the test items may show.",
    "Print an after-visit summary and export a C-CDA of the test patient: nothing of the test items may show.",
    "Open the chart of a newborn linked to the test patient: nothing may have been copied there.",
    "A full export of the EHR will hold every copy that is written: tell the patient before each one.",
    "Change a test item in the EHR's own screen, wait for the nightly jobs, and run the probe once more.",
    "If the EHR feeds a health information exchange, look there too: nothing of the test items may have gone out.",
)


class ProofError(ValueError):
    """The proof file cannot be used; the text says why."""


@dataclass(frozen=True)
class Proof:
    """What the probe found. ``classes``: resource type -> "A".."E". ``findings`` are sentences for a person.

    ``offered``: what the registered EHR offered then, as JSON values (see ``fingerprint``). ``voided_on``: since when
    the proof counts for nothing, and ``voided_because`` why, in words. ``proof_id`` tells it from every other, also
    from one that was made the same day.
    """

    registration_id: str
    ehr_name: str
    ehr_version: str
    made_on: date
    expires_on: date
    run_by: str
    test_patient_ids: tuple[str, ...]
    classes: Mapping[str, str]
    findings: tuple[str, ...] = ()
    offered: Mapping[str, Any] = field(default_factory=dict)
    voided_on: date | None = None
    voided_because: str = ""
    proof_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def is_current(self, today: date) -> bool:
        """False from the day after ``expires_on``, or when void: then nothing is written, and the app stays on."""
        return self.voided_on is None and self.made_on <= today <= self.expires_on

    def with_offer(self, offered: Mapping[str, Any]) -> Proof:
        """The same proof, remembering what the registered EHR offers."""
        return replace(self, offered=offered)

    def voided(self, today: date, because: str) -> Proof:
        """The same proof, void. The first reason stands."""
        return self if self.voided_on else replace(self, voided_on=today, voided_because=because)


def a_year_after(day: date) -> date:
    """The last day a proof made on ``day`` counts (29 February: 28 February)."""
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return day.replace(year=day.year + 1, day=28)


def write_proof(proof: Proof, path: Path) -> None:
    """Write ``proof`` whole or not at all: the app may read the file while it is being replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(json.dumps(_as_json(proof), indent=2, sort_keys=True) + "\n")
    unfinished.replace(path)


def read_proof(path: Path) -> Proof:
    """Read what ``write_proof`` wrote. Raises ``ProofError`` when the file is missing or is no proof."""
    try:
        raw = json.loads(path.read_text())
        proof = Proof(
            registration_id=str(raw["registration_id"]),
            ehr_name=str(raw["ehr_name"]),
            ehr_version=str(raw["ehr_version"]),
            made_on=date.fromisoformat(raw["made_on"]),
            expires_on=date.fromisoformat(raw["expires_on"]),
            run_by=str(raw["run_by"]),
            test_patient_ids=tuple(str(one) for one in raw["test_patient_ids"]),
            classes={str(kind): str(letter) for kind, letter in raw["classes"].items()},
            findings=tuple(str(one) for one in raw["findings"]),
            offered=dict(raw.get("offered", {})),
            voided_on=date.fromisoformat(raw["voided_on"]) if raw.get("voided_on") else None,
            voided_because=str(raw.get("voided_because", "")),
            proof_id=str(raw.get("proof_id", "")),
        )
    except OSError:
        raise ProofError(f"There is no proof at {path}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProofError(f"{path} is not a label proof; run the probe again.") from None
    if any(len(letter) != 1 or letter not in CLASSES for letter in proof.classes.values()):
        raise ProofError(f"{path} names a class other than A to E; run the probe again.")
    return proof


def _as_json(proof: Proof) -> dict[str, object]:
    return {
        "registration_id": proof.registration_id,
        "ehr_name": proof.ehr_name,
        "ehr_version": proof.ehr_version,
        "made_on": proof.made_on.isoformat(),
        "expires_on": proof.expires_on.isoformat(),
        "run_by": proof.run_by,
        "test_patient_ids": list(proof.test_patient_ids),
        "classes": dict(proof.classes),
        "findings": list(proof.findings),
        "by_hand": list(BY_HAND),
        "offered": dict(proof.offered),
        "voided_on": proof.voided_on.isoformat() if proof.voided_on else None,
        "voided_because": proof.voided_because,
        "proof_id": proof.proof_id,
    }
