"""What a check-up knows about this health center: its registrations, and what settings say of each EHR beside OAuth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from launch.registrations import Registration, Registrations

SITE = "launch.doctor.site"  # in click's Context.meta: a function that reads settings, only when a command needs them


class SetUpError(Exception):
    """A check-up cannot begin; the text is one sentence that says what to do."""


@dataclass(frozen=True)
class EhrFacts:
    """``placement``: resource type -> "vault" | "ehr-and-vault". ``environment``: "test" | "production"."""

    environment: str = "production"
    test_patients: frozenset[str] = frozenset()
    placement: Mapping[str, str] = field(default_factory=dict)
    proof_file: Path | None = None

    @property
    def copied_types(self) -> tuple[str, ...]:
        """The resource types of which settings want a copy in this EHR."""
        return tuple(sorted(kind for kind, place in self.placement.items() if place == "ehr-and-vault"))


@dataclass(frozen=True)
class Listing:
    """Who offers the app, for registration forms. None: not in configuration, so the sheet leaves a line to fill in."""

    company: str
    phone: str
    support_email: str | None = None
    support_url: str | None = None
    website: str | None = None
    privacy_url: str | None = None
    terms_url: str | None = None
    signs_proof: str | None = None


@dataclass(frozen=True)
class DoctorSite:
    """Everything the doctor's commands take from settings."""

    registrations: Registrations
    ehrs: Mapping[str, EhrFacts]
    listing: Listing
    watches: Callable[[], Any] | None = None
    remedies: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> DoctorSite:
        """From plain values: ``registrations``; ``ehrs``: registration id -> the members of ``EhrFacts``; ``listing``:
        the members of ``Listing``; ``watches``: a callable that opens the store of launch watches; ``remedies``: key of
        a setting -> (what it is and where it stands, the line to write)."""
        return cls(
            told["registrations"],
            {name: EhrFacts(**facts) for name, facts in told["ehrs"].items()},
            Listing(**told["listing"]),
            told.get("watches"),
            told.get("remedies", {}),
        )

    def named(self, issuer_or_id: str) -> Registration | None:
        """The registration with this issuer (but for one trailing slash) or this id; None if there is none."""
        for one in self.registrations.ehrs:
            if issuer_or_id in (one.id, one.issuer, one.issuer + "/"):
                return one
        return None

    def facts(self, registration: Registration) -> EhrFacts:
        """What settings say of this EHR beside OAuth."""
        return self.ehrs.get(registration.id, EhrFacts())


def site_of(context: click.Context) -> DoctorSite:
    """The site of the command line that runs. ``SetUpError`` when it has none."""
    load = context.meta.get(SITE)
    if load is None:
        raise SetUpError("This command needs the app's settings: run it as `warm-referral`.")
    return DoctorSite.of(load())
