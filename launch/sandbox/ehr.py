"""The whole sandbox EHR as one value that the web apps are built from: addresses, records, grants, switches, people."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launch.sandbox import people
from launch.sandbox.access import Access, level_of_versions
from launch.sandbox.addresses import BASES, WRITE_BASES, Addresses
from launch.sandbox.database import Database
from launch.sandbox.grants import Grants
from launch.sandbox.knobs import Knobs
from launch.sandbox.records import Record, Records
from launch.sandbox.signing_keys import SigningKeys

MAX_WRITES_KEPT = 2000


@dataclass
class Ehr:
    """One running EHR. ``writes`` holds every write that reached a FHIR base, as received, refused ones too."""

    addresses: Addresses
    database: Database
    data_folder: Path | None = None
    knobs: Knobs = field(default_factory=Knobs)
    writes: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_WRITES_KEPT))

    def __post_init__(self) -> None:
        self.staff = people.staff()
        self.records = {base: Records(self.database, base) for base in BASES}
        self.grants = Grants(self.database)
        self.keys = SigningKeys(self.database)
        self._loading = threading.Lock()
        self.load()

    def load(self) -> None:
        """Give each base the people it does not have yet."""
        with self._loading, self.database.transaction():
            for records in self.records.values():
                people.load(records, self.data_folder, people.utc_now())

    def reset(self) -> None:
        """Forget writes, switches, launches and tokens, and start the charts again."""
        with self.database.transaction():
            self.database.forget()
            self.load()
        self.knobs.reset()
        self.writes.clear()

    def now(self) -> float:
        """The time by this EHR's clock, which a switch can set wrong."""
        return time.time() + float(self.knobs["clock_skew_seconds"])

    def role_of(self, user: str) -> str | None:
        """The role of a signed-in "Practitioner/<id>"; None for patients and proxies."""
        member = self.staff.get(user.removeprefix("Practitioner/"))
        return member.role if member else None

    def is_visible(self, access: Access, record: Record) -> bool:
        """Whether the labels, of this version or any other, let the viewer know that the resource exists."""
        if access.base not in WRITE_BASES or not self.knobs["filter_labels"]:
            return True
        versions = self.records[access.base].versions(record.type, record.id)
        return access.may_see_level(level_of_versions(versions), record.type)

    def start_launch(self, base: str, practitioner: str, patient: str | None, *, with_encounter: bool = True) -> str:
        """A single-use launch value for the app, bound to who is signed in, the base and the chart that is open."""
        encounter = None
        if patient is not None and with_encounter and not self.knobs["without_encounter"]:
            encounter = people.open_encounter(
                self.records[base], patient, practitioner, people.utc_now(), is_fresh=self.knobs["fresh_encounter"]
            ).id
        return self.grants.new_launch(base, f"Practitioner/{practitioner}", patient, encounter)
