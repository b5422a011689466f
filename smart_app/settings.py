"""One frozen object of settings, from ``config.toml`` and the environment. The only file that opens either.

Environment names are ``WARM_REFERRAL_<KEY>``, nested with two underscores (``WARM_REFERRAL_SITE__PHONE``).
Start reports ALL bad keys at once, each with its remedy; unsafe values refuse start (R41). What merely expires (a
proof, an agreement) never does: it turns its feature off.
"""

from __future__ import annotations

import ipaddress
import json
import os
from datetime import date, time
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from launch.registrations import Registrations, RegistrationsError, parse
from smart_app.policy.clinic_calendar import ClinicCalendar
from smart_app.policy.placement import PlacementSettings, RegistrationPlacement, SiteProof

SiteRole = Literal[
    "physician",
    "nurse",
    "medical-assistant",
    "social-worker",
    "behavioral-health",
    "scheduler",
    "coordinator",
    "privacy-officer",
    "program-lead",
    "it-admin",
]
CLINICAL_ROLES: frozenset[str] = frozenset(
    {"physician", "nurse", "medical-assistant", "social-worker", "behavioral-health"}
)
PLACEABLE: frozenset[str] = frozenset({"Observation", "ServiceRequest", "Appointment"})


class SettingsError(Exception):
    """Start is refused. ``problems`` names every bad key, each with what to write instead."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SiteSettings(_Part):
    """The health center's site: what people see, and when it is open."""

    id: str = Field("main", description="short id of this site, used in counts", min_length=1, max_length=40)
    name: str = Field(description="name of the health center as patients know it", min_length=1)
    phone: str = Field(description="public phone of the clinic", min_length=1)
    time_zone: str = Field(description="IANA time zone of the clinic, for example America/Chicago")
    cut_off: time = Field(time(17, 0), description="local time after which the next day is one day later (R37)")
    opens: time = Field(time(8, 0), description="local opening time")
    closes: time = Field(time(17, 0), description="local closing time")
    weekdays: frozenset[int] = Field(frozenset({1, 2, 3, 4, 5}), description="open days, 1 = Monday to 7 = Sunday")
    closed_on: frozenset[date] = Field(frozenset(), description="extra closed days")
    keeps_us_federal_holidays: bool = Field(True, description="closed on US federal holidays")
    places_per_day: int | None = Field(None, ge=1, description="visits kept free each day for programs' requests")


class EhrSettings(_Part):
    """One EHR registration."""

    id: str = Field(description="short id of this registration", min_length=1, max_length=40)
    name: str = Field(description="name of the EHR as staff know it")
    issuer: str = Field(description="FHIR base URL the EHR sends as iss, byte for byte")
    client_id: str = Field(description="client id the EHR gave this app")
    frame_origins: tuple[str, ...] = Field(description="origins whose pages may frame this app; no wildcard")
    environment: Literal["test", "production"] = Field("production", description='"test" only for listed test patients')
    test_patients: frozenset[str] = Field(frozenset(), description="patient ids that a test environment may use")
    placement: dict[str, Literal["vault", "ehr-and-vault"]] = Field(
        default_factory=dict,
        description="resource type -> vault (default) or ehr-and-vault, which needs a proof (R6)",
    )
    proof_file: Path | None = Field(None, description="the dated label proof of this registration (R6)")
    roles: dict[str, SiteRole] = Field(default_factory=dict, description="fhirUser reference -> role at this site")
    treating_roles: frozenset[SiteRole] = Field(
        frozenset({"physician", "nurse", "social-worker", "behavioral-health"}),
        description="roles that count as care team when launched with the patient's encounter now",
    )

    def placement_with(self, proof: SiteProof | None) -> RegistrationPlacement:
        """Put the setting and the proof together for ``policy/placement``."""
        return RegistrationPlacement(
            registration_id=self.id,
            ehr_name=self.name,
            by_type=dict(self.placement),
            proof=proof,
            is_test_environment=self.environment == "test",
            test_patient_ids=self.test_patients,
        )


class DemoSettings(_Part):
    """Only under ``mode = "demo"``: where the sandboxes' control ports are."""

    ehr_control: str = Field(description="control URL of the sandbox EHR")
    program_control: str = Field(description="control URL of the sandbox DSV program")


class Settings(BaseSettings):
    """All settings. Frozen after start; the app never reads a file or the environment again."""

    model_config = SettingsConfigDict(
        env_prefix="WARM_REFERRAL_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    mode: Literal["production", "demo"] = Field("production", description='"demo" allows http on loopback')
    product_name: str = Field("Care Connections", description="neutral name on every outside surface (R27)")
    public_base_url: str = Field(description="our own base URL as others reach it; never taken from the Host header")
    bind_host: str = Field("127.0.0.1", description="address the web server listens on")
    bind_port: int = Field(8000, description="port the web server listens on", ge=1, le=65535)
    trusted_proxies: tuple[str, ...] = Field((), description="proxy addresses whose forwarded headers count")
    tenant_id: str = Field(description="id of this health center, first in every key", pattern=r"^[A-Za-z0-9-]{1,40}$")
    database_url: str = Field(description="SQLAlchemy URL of the vault, for example sqlite:///var/vault.sqlite3")
    master_key_file: Path | None = Field(None, description="file with the 32-byte master key, base64")
    master_key: str | None = Field(None, description="the master key itself, only from the environment", repr=False)
    keys_file: Path = Field(description="file with our signing keys (JWKS with private members)")
    confidentiality: Literal["V", "R"] = Field("V", description="default level of new items; the floor is R (R3)")
    site: SiteSettings = Field(description="the health center's site")
    ehr: tuple[EhrSettings, ...] = Field(description="one block per EHR registration", min_length=1)
    demo: DemoSettings | None = Field(None, description="control ports of the sandboxes; only with mode demo")

    @cached_property
    def registrations(self) -> Registrations:
        """The OAuth part of each EHR, parsed by ``launch``."""
        return parse(self._oauth_part())

    @cached_property
    def placement(self) -> PlacementSettings:
        """Placement of every registration, with its proof read once at start."""
        return PlacementSettings({e.id: e.placement_with(_read_proof(e.proof_file)) for e in self.ehr})

    @cached_property
    def calendar(self) -> ClinicCalendar:
        """The clinic's calendar."""
        s = self.site
        return ClinicCalendar(
            s.time_zone, s.cut_off, s.opens, s.closes, s.weekdays, s.closed_on, s.keeps_us_federal_holidays
        )

    def ehr_for(self, registration_id: str) -> EhrSettings:
        """The settings of one registration. Raises ``KeyError`` for one that is not, or no longer, in configuration."""
        return {e.id: e for e in self.ehr}[registration_id]

    def _oauth_part(self) -> dict[str, Any]:
        return {
            "product_name": self.product_name,
            "public_base_url": self.public_base_url,
            "keys_file": str(self.keys_file),
            "allows_loopback_http": self.mode == "demo",
            "ehr": [
                {
                    "id": e.id,
                    "name": e.name,
                    "issuer": e.issuer,
                    "client_id": e.client_id,
                    "frame_origins": list(e.frame_origins),
                    "write_types": sorted(t for t, place in e.placement.items() if place == "ehr-and-vault"),
                }
                for e in self.ehr
            ],
        }


def load(path: Path | None, **overrides: Any) -> Settings:
    """Read ``path`` (TOML) and the environment; raises ``SettingsError`` with every problem found."""
    if path is not None and not path.is_file():
        raise SettingsError([f"no settings file at {path}: write one, or run `warm-referral demo` to see an example"])

    class _FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            sources = [init_settings, env_settings]
            return (*sources, TomlConfigSettingsSource(settings_cls, path)) if path else tuple(sources)

    try:
        settings = _FromFile(**overrides)
    except ValidationError as error:
        raise SettingsError([_in_words(e) for e in error.errors(include_input=False, include_url=False)]) from None
    except ValueError as error:  # TOML syntax: the parser's message names line and column, never a value
        raise SettingsError([f"{path} is not valid TOML: {error}"]) from None
    problems = unsafe(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def unsafe(settings: Settings) -> list[str]:
    """Everything about these settings that must not start (R41, R6), each with its fix."""
    problems = [*_mode_problems(settings), *_key_problems(settings), *_site_problems(settings)]
    for e in settings.ehr:
        problems += _ehr_problems(e)
    ids = [e.id for e in settings.ehr]
    problems += [
        f"ehr.id: {i!r} is used twice; give each registration its own"
        for i in sorted({i for i in ids if ids.count(i) > 1})
    ]
    try:
        parse(settings._oauth_part())
    except RegistrationsError as error:
        problems += error.problems
    return list(dict.fromkeys(problems))


def _mode_problems(settings: Settings) -> list[str]:
    problems: list[str] = []
    hosts = {"public_base_url": settings.public_base_url} | {f"ehr.{e.id}.issuer": e.issuer for e in settings.ehr}
    if settings.mode == "demo":
        if settings.demo is not None:
            hosts |= {"demo.ehr_control": settings.demo.ehr_control}
            hosts |= {"demo.program_control": settings.demo.program_control}
        problems += [
            f'{key}: mode "demo" is for this computer only; use a loopback host, or set mode = "production"'
            for key, url in hosts.items()
            if not is_loopback(urlsplit(url).hostname or "")
        ]
        if not is_loopback(settings.bind_host):
            problems.append('bind_host: mode "demo" listens on loopback only; use 127.0.0.1')
    else:
        problems += [f"{key}: must begin with https://" for key, url in hosts.items() if not url.startswith("https://")]
        if settings.demo is not None:
            problems.append('demo: belongs to mode "demo" only; remove the block')
    if os.environ.get("FLASK_DEBUG", "0") not in ("", "0", "false"):
        problems.append("FLASK_DEBUG: debug pages show data to anyone; unset it")
    return problems


def _key_problems(settings: Settings) -> list[str]:
    problems = []
    if settings.master_key is None and settings.master_key_file is None:
        problems.append("master_key_file: name a file with the master key, or set WARM_REFERRAL_MASTER_KEY")
    if settings.master_key is None and settings.master_key_file is not None and not settings.master_key_file.is_file():
        problems.append(f"master_key_file: no file at {settings.master_key_file}")
    if not settings.keys_file.is_file():
        problems.append(f"keys_file: no file at {settings.keys_file}; make one with `warm-referral launch keys create`")
    return problems


def _site_problems(settings: Settings) -> list[str]:
    problems = []
    if settings.site.time_zone not in available_timezones():
        problems.append("site.time_zone: not a time zone; write one such as America/Chicago")
    else:
        ZoneInfo(settings.site.time_zone)
    if not settings.site.weekdays or not settings.site.weekdays <= set(range(1, 8)):
        problems.append("site.weekdays: list open days as numbers 1 (Monday) to 7 (Sunday), at least one")
    if settings.site.opens >= settings.site.closes:
        problems.append("site.opens: must be before site.closes")
    return problems


def _ehr_problems(e: EhrSettings) -> list[str]:
    problems = [
        f"ehr.{e.id}.placement: {t!r} cannot be placed; only {', '.join(sorted(PLACEABLE))}"
        for t in sorted(set(e.placement) - PLACEABLE)
    ]
    wants_write = sorted(t for t, place in e.placement.items() if place == "ehr-and-vault")
    if not wants_write or e.environment == "test":
        return problems + (
            [f"ehr.{e.id}.test_patients: list the test patients of this test environment"]
            if wants_write and not e.test_patients
            else []
        )
    proof = _read_proof(e.proof_file)
    remedy = "run `warm-referral launch label-probe` and name its file, or set vault (R6)"
    if proof is None:
        problems.append(f"ehr.{e.id}.proof_file: ehr-and-vault needs a site proof; {remedy}")
    elif proof.registration_id != e.id:
        problems.append(f"ehr.{e.id}.proof_file: this proof was made for another registration; {remedy}")
    return problems


def _read_proof(path: Path | None) -> SiteProof | None:
    """A missing or unreadable proof is no proof. Its date is judged at use, not here: expiry never stops the app."""
    if path is None or not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text())
        return SiteProof(
            registration_id=raw["registration_id"],
            made_on=date.fromisoformat(raw["made_on"][:10]),
            expires_on=date.fromisoformat(raw["expires_on"][:10]),
            classes={str(k): str(v) for k, v in raw["classes"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _in_words(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "settings"
    if error["type"] == "extra_forbidden":
        return f"{key}: there is no such setting; remove it or see docs/settings.md"
    if error["type"] == "missing":
        return f"{key}: missing; see docs/settings.md"
    return f"{key}: {error['msg'][0].lower()}{error['msg'][1:]}"


def is_loopback(host: str) -> bool:
    """True for localhost and loopback addresses; names are not resolved."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
