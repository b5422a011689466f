"""The settings as one frozen object: what each key is, its default, an example. Reading and judging are next door."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from launch.registrations import Registrations, parse
from smart_app.policy.clinic_calendar import ClinicCalendar
from smart_app.policy.placement import PlacementSettings, RegistrationPlacement
from smart_app.policy.site_role import RoleRules
from smart_app.settings.proof_file import ProofFile

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
ClinicalRole = Literal["physician", "nurse", "medical-assistant", "social-worker", "behavioral-health"]
CareTeamSource = Literal["treating-role", "ehr-care-team"]
CLINICAL_ROLES: frozenset[str] = frozenset(
    {"physician", "nurse", "medical-assistant", "social-worker", "behavioral-health"}
)
PLACEABLE: frozenset[str] = frozenset({"Observation", "ServiceRequest", "Appointment"})
EHR_AND_VAULT = "ehr-and-vault"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SiteSettings(_Part):
    """The health center's site: what people see, and when it is open."""

    id: str = Field("main", description="short id of this site, used in counts", min_length=1, max_length=40)
    name: str = Field(
        description="name of the health center as patients know it", min_length=1, examples=["Riverside Health Center"]
    )
    phone: str = Field(description="public phone of the clinic", min_length=1, examples=["555-0123"])
    time_zone: str = Field(description="IANA time zone of the clinic", examples=["America/Chicago"])
    cut_off: time = Field(
        time(17, 0), description="local time after which the next day is one day later (R37)", examples=["16:30"]
    )
    opens: time = Field(time(8, 0), description="local opening time", examples=["07:30"])
    closes: time = Field(time(17, 0), description="local closing time", examples=["19:00"])
    weekdays: frozenset[int] = Field(
        frozenset({1, 2, 3, 4, 5}), description="open days, 1 = Monday to 7 = Sunday", examples=[[1, 2, 3, 4, 5, 6]]
    )
    closed_on: frozenset[date] = Field(frozenset(), description="extra closed days", examples=[["2026-12-24"]])
    keeps_us_federal_holidays: bool = Field(True, description="closed on US federal holidays", examples=[False])
    places_per_day: int | None = Field(
        None, ge=1, description="visits kept free each day for programs' requests", examples=[4]
    )

    def calendar(self) -> ClinicCalendar:
        """When this site is open."""
        return ClinicCalendar(
            self.time_zone,
            self.cut_off,
            self.opens,
            self.closes,
            self.weekdays,
            self.closed_on,
            self.keeps_us_federal_holidays,
        )


class EhrSiteSettings(_Part):
    """What differs from ``[site]`` where this EHR is used. A key that is left out is that of ``[site]``."""

    name: str | None = Field(None, description="name of that place as patients know it", examples=["Riverside West"])
    phone: str | None = Field(None, description="public phone of that place", examples=["555-0177"])
    time_zone: str | None = Field(None, description="IANA time zone of that place", examples=["America/Denver"])
    cut_off: time | None = Field(None, description="as in [site]", examples=["16:30"])
    opens: time | None = Field(None, description="as in [site]", examples=["07:30"])
    closes: time | None = Field(None, description="as in [site]", examples=["19:00"])
    weekdays: frozenset[int] | None = Field(None, description="as in [site]", examples=[[1, 2, 3, 4]])
    closed_on: frozenset[date] | None = Field(None, description="as in [site]", examples=[["2026-12-24"]])
    keeps_us_federal_holidays: bool | None = Field(None, description="as in [site]", examples=[False])
    places_per_day: int | None = Field(None, ge=1, description="as in [site]", examples=[2])


class EhrSettings(_Part):
    """One EHR registration."""

    id: str = Field(
        description="short id of this registration: a-z, 0-9 and -", min_length=1, max_length=32, examples=["main-ehr"]
    )
    name: str = Field(description="name of the EHR as staff know it", examples=["Main EHR"])
    issuer: str = Field(
        description="FHIR base URL the EHR sends as iss, byte for byte", examples=["https://ehr.example.org/fhir/r4"]
    )
    client_id: str = Field(description="client id the EHR gave this app", examples=["care-connections"])
    token_endpoint_auth_method: Literal["private_key_jwt", "client_secret_basic", "none"] = Field(
        "private_key_jwt",
        description="how this app shows the EHR who it is: its keys (best), a shared secret, or not at all",
        examples=["client_secret_basic"],
    )
    client_secret_file: Path | None = Field(
        None,
        description="file with the secret that client_secret_basic needs, mode 0600",
        examples=["/etc/warm-referral/main-ehr.secret"],
    )
    signing_alg: Literal["ES384", "RS384"] = Field(
        "ES384", description="algorithm of our assertion at this EHR", examples=["RS384"]
    )
    scope_syntax: Literal["auto", "v1", "v2"] = Field(
        "auto", description="spelling of scopes; auto follows what the EHR says it can", examples=["v1"]
    )
    authorize_method: Literal["auto", "get", "post"] = Field(
        "auto",
        description="how the browser is sent to sign in; auto follows what the EHR says it can",
        examples=["get"],
    )
    private_network: bool = Field(
        False,
        description="the EHR is on the hospital's own network, where names lead to private addresses",
        examples=[True],
    )
    frame_origins: tuple[str, ...] = Field(
        description="origins whose pages may frame this app; no wildcard", examples=[["https://ehr.example.org"]]
    )
    environment: Literal["test", "production"] = Field(
        "production", description='"test": only listed test patients, and a banner on every page', examples=["test"]
    )
    test_patients: frozenset[str] = Field(
        frozenset(), description="patient ids that a test environment may open", examples=[["test-patient-1"]]
    )
    placement: dict[str, Literal["vault", "ehr-and-vault"]] = Field(
        default_factory=dict,
        description="resource type -> vault (default) or ehr-and-vault, which needs a proof (R6)",
        examples=[{"Appointment": "ehr-and-vault"}],
    )
    proof_file: Path | None = Field(
        None,
        description="the dated label proof of this registration (R6)",
        examples=["/etc/warm-referral/proof-main-ehr.json"],
    )
    roles: dict[str, SiteRole] = Field(
        default_factory=dict,
        description="fhirUser reference -> role at this site",
        examples=[{"Practitioner/123": "nurse"}],
    )
    practitioner_roles: dict[str, ClinicalRole] = Field(
        default_factory=dict,
        description='PractitionerRole code "system|code" -> clinical role; asked of the EHR for who is not in roles',
        examples=[{"http://snomed.info/sct|224535009": "nurse"}],
    )
    treating_roles: frozenset[SiteRole] = Field(
        frozenset({"physician", "nurse", "social-worker", "behavioral-health"}),
        description="roles that count as care team when launched with the patient's encounter now",
        examples=[["physician", "nurse"]],
    )
    care_team_sources: frozenset[CareTeamSource] = Field(
        frozenset({"treating-role"}),
        description="who is the care team of an open visit: who has a treating role, the EHR's CareTeam, or both",
        examples=[["treating-role", "ehr-care-team"]],
    )
    site: EhrSiteSettings = Field(
        EhrSiteSettings(), description="what differs from [site] where this EHR is used; leave out what does not"
    )

    @property
    def write_types(self) -> list[str]:
        """Resource types of which a copy is meant to go to this EHR."""
        return sorted(t for t, place in self.placement.items() if place == EHR_AND_VAULT)

    @property
    def differs_in_site(self) -> bool:
        """Is anything of the site another where this EHR is used?"""
        return bool(self.site.model_dump(exclude_none=True))

    @property
    def is_test(self) -> bool:
        """Is this a test environment, for its listed test patients only?"""
        return self.environment == "test"

    @property
    def role_rules(self) -> RoleRules:
        """Who has which role here, for ``policy/site_role``."""
        return RoleRules(dict(self.roles), dict(self.practitioner_roles))

    def read_types(self) -> list[str]:
        """What this app reads here beyond what every launch reads, because this block asks for it."""
        asks_care_team = "ehr-care-team" in self.care_team_sources
        return ["CareTeam"] * asks_care_team + ["PractitionerRole"] * bool(self.practitioner_roles)


class ListingSettings(_Part):
    """What registration forms of EHR vendors ask about whoever offers the app. Everything here becomes public: neutral
    words only. What is left out stays a line to fill in on the sheet."""

    company: str | None = Field(
        None, description="who offers the app; the site's name when left out", examples=["Riverside Health Center"]
    )
    support_email: str | None = Field(None, description="whom vendors write to", examples=["apps@example.org"])
    support_url: str | None = Field(None, description="page with help", examples=["https://example.org/apps"])
    website: str | None = Field(None, description="the organization's own page", examples=["https://example.org"])
    privacy_url: str | None = Field(
        None, description="where the privacy policy is published", examples=["https://example.org/apps/privacy"]
    )
    terms_url: str | None = Field(
        None, description="where the terms of use are published", examples=["https://example.org/apps/terms"]
    )
    signs_proof: str | None = Field(
        None, description="who signs the label proof, by role", examples=["Privacy officer and EHR manager"]
    )


class InboxSettings(_Part):
    """The inbox for programs without a FHIR system: a web server of its own, ``serve --surface advocate``."""

    public_base_url: str = Field(
        description="the inbox's own address as programs reach it; passkeys are bound to its host",
        examples=["https://inbox.example.org"],
    )
    bind_host: str = Field("127.0.0.1", description="address its web server listens on", examples=["127.0.0.1"])
    bind_port: int = Field(8100, description="port its web server listens on", ge=1, le=65535, examples=[8444])


class MailSettings(_Part):
    """The mail server that takes "You have an item"; without this block programs are told by phone."""

    host: str = Field(description="name of the mail server", examples=["mail.example.org"])
    port: int = Field(587, description="its port", ge=1, le=65535, examples=[465])
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="none only for a server on this computer", examples=["tls"]
    )
    sender: str = Field(description="the neutral address it comes from", examples=["office@example.org"])
    coordinator: str | None = Field(
        None,
        description="whom at the health center to tell that a program has not opened an item in time",
        examples=["desk@example.org"],
    )
    user: str | None = Field(None, description="account at the mail server", examples=["office"])
    password: SecretStr | None = Field(
        None, description="its password, only from the environment", examples=["(a password)"], repr=False
    )


class DemoSettings(_Part):
    """Only under ``mode = "demo"``: where the sandboxes' control ports are."""

    ehr_control: str = Field(description="control URL of the sandbox EHR", examples=["http://127.0.0.1:9001"])
    program_control: str = Field(
        description="control URL of the sandbox DSV program", examples=["http://127.0.0.1:9101"]
    )


class Settings(BaseSettings):
    """All settings. Frozen after start; the app never reads a file or the environment again, except for the two files
    that are replaced while it runs: our keys (``launch.keys``) and a site proof."""

    model_config = SettingsConfigDict(
        env_prefix="WARM_REFERRAL_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    mode: Literal["production", "demo"] = Field(
        "production", description='"demo" allows http on loopback addresses, and nothing else', examples=["demo"]
    )
    product_name: str = Field("Care Connections", description="neutral name on every outside surface (R27)")
    public_base_url: str = Field(
        description="our own base URL as others reach it; never taken from the Host header",
        examples=["https://care.example.org"],
    )
    bind_host: str = Field("127.0.0.1", description="address the web server listens on", examples=["127.0.0.1"])
    bind_port: int = Field(8000, description="port the web server listens on", ge=1, le=65535, examples=[8443])
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="addresses or networks of our own proxies; forwarded headers count from these only",
        examples=[["127.0.0.1", "10.20.0.0/28"]],
    )
    tenant_id: str = Field(
        description="id of this health center, first in every key",
        pattern=r"^[A-Za-z0-9-]{1,40}$",
        examples=["riverside"],
    )
    database_url: str = Field(
        description="SQLAlchemy URL of the vault", examples=["sqlite:////var/lib/warm-referral/vault.sqlite3"]
    )
    master_key_file: Path | None = Field(
        None,
        description="file with the 32-byte master key in base64, mode 0600",
        examples=["/etc/warm-referral/master.key"],
    )
    master_key: str | None = Field(
        None,
        description="the master key itself, only from the environment",
        repr=False,
        examples=["(32 bytes, base64)"],
    )
    master_key_plugin: str | None = Field(
        None,
        description="a key service that holds the master key instead, by the name its package offers",
        examples=["our-kms"],
    )
    key_ring_file: Path | None = Field(
        None,
        description="file with the keys that wrap case keys, sealed by the master key; beside it if left out",
        examples=["/var/lib/warm-referral/key.ring"],
    )
    key_copy_file: Path | None = Field(
        None,
        description="the one copy of all keys, on another disk, for restoring; beside the key ring if left out",
        examples=["/mnt/other-disk/warm-referral/key.copy"],
    )
    backup_recipient: str | None = Field(
        None,
        description="public age key that backups are encrypted to; its private part is kept offline",
        examples=["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
    )
    client_secrets: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="client secrets by registration id with _ for -, only from the environment",
        examples=["WARM_REFERRAL_CLIENT_SECRETS__MAIN_EHR=..."],
        repr=False,
    )
    keys_file: Path = Field(
        description="file with our signing keys (a JWK Set with private members), mode 0600",
        examples=["/etc/warm-referral/keys.json"],
    )
    audit_anchor_file: Path | None = Field(
        None,
        description="file, best on another host's disk, where the worker notes signed where the audit chain stands",
        examples=["/mnt/elsewhere/audit-anchors.jsonl"],
    )
    confidentiality: Literal["V", "R"] = Field(
        "V", description="default level of new items; the floor is R (R3)", examples=["R"]
    )
    site: SiteSettings = Field(description="the health center's site")
    ehr: tuple[EhrSettings, ...] = Field((), description="one block per EHR registration")
    listing: ListingSettings = Field(ListingSettings(), description="what registration sheets tell EHR vendors")
    inbox: InboxSettings | None = Field(None, description="the inbox for programs; leave out where there is none")
    mail: MailSettings | None = Field(None, description="the mail server for staff alerts to programs")
    demo: DemoSettings | None = Field(None, description="control ports of the sandboxes; only with mode demo")

    @cached_property
    def registrations(self) -> Registrations:
        """The OAuth part of each EHR, parsed by ``launch``."""
        return parse(self.oauth_part())

    @cached_property
    def proofs(self) -> Mapping[str, ProofFile]:
        """The site proof of each registration, read again when its file is replaced."""
        return {e.id: ProofFile(e.proof_file) for e in self.ehr}

    @property
    def placement(self) -> PlacementSettings:
        """Placement of every registration with its proof as it stands now."""
        return PlacementSettings(
            {
                e.id: RegistrationPlacement(
                    registration_id=e.id,
                    ehr_name=e.name,
                    by_type=dict(e.placement),
                    proof=self.proofs[e.id].read(),
                    is_test_environment=e.is_test,
                    test_patient_ids=e.test_patients,
                )
                for e in self.ehr
            }
        )

    @property
    def key_ring(self) -> Path:
        """Where the key ring is. Raises ``ValueError`` where settings do not say."""
        if self.key_ring_file is not None:
            return self.key_ring_file
        if self.master_key_file is None:
            raise ValueError("no key_ring_file")
        return self.master_key_file.with_suffix(".ring")

    @property
    def key_copy(self) -> Path:
        """Where the key copy is."""
        return self.key_copy_file or self.key_ring.with_suffix(".copy")

    @cached_property
    def calendar(self) -> ClinicCalendar:
        """The clinic's calendar."""
        return self.site.calendar()

    def ehr_for(self, registration_id: str) -> EhrSettings:
        """The settings of one registration. Raises ``KeyError`` for one that is not, or no longer, in configuration."""
        return {e.id: e for e in self.ehr}[registration_id]

    def site_for(self, registration_id: str) -> SiteSettings:
        """The site as it is where this EHR is used. Raises ``KeyError`` as ``ehr_for`` does."""
        differs = self.ehr_for(registration_id).site.model_dump(exclude_none=True)
        return self.site.model_copy(update=differs)

    def client_secret_of(self, e: EhrSettings) -> str | None:
        """The client secret of one registration: from the environment, else from its file. None: there is none, or its
        file cannot be read."""
        held = self.client_secrets.get(e.id.replace("-", "_"))
        if held is not None:
            return held.get_secret_value()
        if e.client_secret_file is None:
            return None
        try:
            return e.client_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None

    def oauth_part(self) -> dict[str, Any]:
        """What ``launch.registrations.parse`` takes."""
        return {
            "product_name": self.product_name,
            "public_base_url": self.public_base_url,
            "keys_file": str(self.keys_file),
            "allows_loopback_http": self.mode == "demo",
            "ehr": [self._oauth_part_of(e) for e in self.ehr],
        }

    def _oauth_part_of(self, e: EhrSettings) -> dict[str, Any]:
        names = ("id", "name", "issuer", "client_id", "token_endpoint_auth_method", "signing_alg")
        part = {name: getattr(e, name) for name in (*names, "scope_syntax", "authorize_method", "private_network")}
        part |= {"frame_origins": list(e.frame_origins), "write_types": e.write_types, "read_types": e.read_types()}
        secret = self.client_secret_of(e)
        return part if secret is None else {**part, "client_secret": secret}
