"""What a sheet is about: one registration of this health center, at one vendor. And the data beside this file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from launch import scopes
from launch.doctor.site import DoctorSite, EhrFacts, Listing, SetUpError
from launch.registrations import Registration

VENDORS = ("epic", "oracle", "athena", "ecw", "generic")


@dataclass(frozen=True)
class Vendor:
    """What is special about one vendor. ``answers``: (field, answer); ``ask``: questions that we cannot answer."""

    key: str
    name: str
    answers: tuple[tuple[str, str], ...]
    ask: tuple[str, ...]


@dataclass(frozen=True)
class AskedScope:
    """One scope that a launch asks. ``v1``: the same in the older spelling. ``public`` and ``plain``: why."""

    v2: str
    v1: tuple[str, ...]
    public: str
    plain: str


@dataclass(frozen=True)
class Subject:
    """One registration at one vendor, with all that settings say of it."""

    site: DoctorSite
    registration: Registration
    vendor: Vendor

    @property
    def product(self) -> str:
        """The app's neutral name."""
        return self.site.registrations.product_name

    @property
    def base(self) -> str:
        """Our own address."""
        return self.site.registrations.public_base_url

    @property
    def listing(self) -> Listing:
        """Who offers the app."""
        return self.site.listing

    @property
    def facts(self) -> EhrFacts:
        """What settings say of this EHR beside OAuth."""
        return self.site.facts(self.registration)

    @property
    def scopes(self) -> tuple[AskedScope, ...]:
        """What a launch of this registration asks, one by one, from the code that asks it."""
        return asked_scopes(self.registration)


def vendor(key: str) -> Vendor:
    """One of ``VENDORS``."""
    told, common = _data("vendors.toml")[key], _data("vendors.toml")["common"]
    answers = tuple((one["field"], one["answer"]) for one in told["answers"])
    return Vendor(key, told["name"], answers, (*told["ask"], *common["ask"]))


def chosen(site: DoctorSite, vendor_key: str, issuer: str | None) -> Registration:
    """The registration that is meant: the named one, else the vendor's by its id, else the only one. ``SetUpError``."""
    ehrs = site.registrations.ehrs
    known = ", ".join(one.id for one in ehrs)
    if issuer is not None:
        named = site.named(issuer)
        if named is None:
            raise SetUpError(f"No registration has this FHIR base or id. In config.toml: {known}.")
        return named
    of_vendor = [one for one in ehrs if one.id == vendor_key or one.id.startswith(f"{vendor_key}-")]
    candidates = of_vendor or list(ehrs)
    if len(candidates) != 1:
        raise SetUpError(f"Name the registration, by its id or FHIR base. In config.toml: {known}.")
    return candidates[0]


def asked_scopes(registration: Registration) -> tuple[AskedScope, ...]:
    """Each scope that ``launch.scopes.requested`` makes for this registration, with its reason. ``SetUpError`` for one
    that has none: a scope that nobody can explain is not asked of a vendor."""
    told = _data("scope_reasons.toml")
    newer, older = (
        scopes.requested(registration.write_types, syntax, registration.read_types).split() for syntax in ("v2", "v1")
    )
    found = []
    for scope in newer:
        key = _without_interactions(scope)
        if key not in told:
            raise SetUpError(f"Nobody has written down why {scope} is asked: add it to scope_reasons.toml.")
        same = tuple(one for one in older if _without_interactions(one) == key)
        found.append(AskedScope(scope, same, told[key]["public"], told[key]["plain"]))
    return tuple(found)


def read_types(asked: Iterable[AskedScope]) -> tuple[str, ...]:
    """The FHIR types among the scopes that are only read."""
    parsed = [scopes.parse(one.v2) for one in asked]
    return tuple(one.resource_type for one in parsed if one is not None and one.interactions == set("rs"))


def _without_interactions(scope: str) -> str:
    parsed = scopes.parse(scope)
    return scope if parsed is None else f"{parsed.level}/{parsed.resource_type}"


@cache
def _data(name: str) -> Mapping[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
