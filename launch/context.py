"""What one EHR launch told us, after it was checked. A plain frozen value; holds no token and no name.

Source: https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_REFERENCE = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})")
# Whoever signs in as one of these is not staff: a patient, a proxy, or a machine.
STAFF_TYPES = frozenset({"Practitioner", "PractitionerRole"})
_LAUNCH_ROLE = "launch"
_MAX_CONTEXT_ITEMS = 50
_MAX_URL = 1024


@dataclass(frozen=True)
class ContextReference:
    """One item of SMART 2.2 ``fhirContext``: a reference ("Type/id") or a canonical, and its role; without a role it is
    what the launch is about. Of an item known by an identifier only, the number is not kept: nothing here needs it."""

    reference: str | None = None
    canonical: str | None = None
    type: str | None = None
    role: str = _LAUNCH_ROLE


@dataclass(frozen=True)
class LaunchContext:
    """One finished launch, bound to one browser session.

    ``launch_id``: our opaque id, the path segment of ``/v/<launch_id>/``.  ``registration_id``: key of the EHR in
    configuration.  ``fhir_base``: the issuer URL the EHR launched with.  ``fhir_user``: relative reference such as
    "Practitioner/123".  ``patient_id``/``encounter_id``: bare ids or None.  ``granted_scopes``: as the EHR spelled
    them.  ``needs_patient_banner``: true when ``need_patient_banner`` was absent or true.  ``expires_at``: aware UTC,
    end of the access token now held (a refresh moves it).  ``intent``: what the EHR wants opened; none is known here,
    so the first page opens.  ``style_url``: where the EHR says its colours are, not yet looked at.  ``can_renew``: a
    refresh token came along.
    """

    launch_id: str
    registration_id: str
    fhir_base: str
    fhir_user: str
    patient_id: str | None
    encounter_id: str | None
    granted_scopes: frozenset[str]
    needs_patient_banner: bool
    started_at: datetime
    expires_at: datetime
    intent: str | None = None
    tenant: str | None = None
    fhir_context: tuple[ContextReference, ...] = field(default=())
    style_url: str | None = None
    can_renew: bool = True

    def to_json(self) -> dict[str, Any]:
        """The context as JSON values, for the sealed row."""
        moments = {"started_at": self.started_at.timestamp(), "expires_at": self.expires_at.timestamp()}
        return {**asdict(self), "granted_scopes": sorted(self.granted_scopes), **moments}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LaunchContext:
        """The context back from what ``to_json`` gave."""
        return cls(
            **{
                **values,
                "granted_scopes": frozenset(values["granted_scopes"]),
                "started_at": datetime.fromtimestamp(values["started_at"], UTC),
                "expires_at": datetime.fromtimestamp(values["expires_at"], UTC),
                "fhir_context": tuple(ContextReference(**one) for one in values["fhir_context"]),
            }
        )

    def refreshed(self, granted_scopes: frozenset[str], expires_at: datetime) -> LaunchContext:
        """The same launch after its access token was renewed."""
        return replace(self, granted_scopes=granted_scopes, expires_at=expires_at)


@dataclass(frozen=True)
class AnsweredContext:
    """The launch context members of a token answer, each checked for its shape."""

    patient_id: str | None
    encounter_id: str | None
    needs_patient_banner: bool
    intent: str | None
    tenant: str | None
    fhir_context: tuple[ContextReference, ...]
    style_url: str | None


def parse(answer: Mapping[str, Any], fhir_base: str) -> AnsweredContext:
    """Read the context beside an access token. An encounter counts only together with its patient.

    Raises ``ValueError`` when ``patient`` or ``encounter`` is there but is no FHIR id: guessing opens a wrong chart.
    """
    patient_id, encounter_id = _id(answer, "patient"), _id(answer, "encounter")
    return AnsweredContext(
        patient_id,
        encounter_id if patient_id is not None else None,
        answer.get("need_patient_banner") is not False,
        _short_text(answer.get("intent")),
        _short_text(answer.get("tenant")),
        _fhir_context(answer.get("fhirContext"), fhir_base),
        _short_text(answer.get("smart_style_url"), _MAX_URL),
    )


def parse_fhir_user(value: object, fhir_base: str) -> str:
    """``fhirUser`` as "Type/id", from a relative reference or one inside our own FHIR base.

    Raises ``ValueError`` for another server's user and for anyone who is not staff (a patient or a related person).
    """
    reference = relative_reference(value, fhir_base)
    if reference is None:
        raise ValueError("not a reference inside the FHIR base")
    if reference.split("/")[0] not in STAFF_TYPES:
        raise ValueError("not staff")
    return reference


def relative_reference(value: object, fhir_base: str) -> str | None:
    """ "Type/id" from a relative reference, or from an absolute one inside ``fhir_base``; None for anything else."""
    if not isinstance(value, str):
        return None
    relative = value.removeprefix(fhir_base.removesuffix("/") + "/")
    return relative if _REFERENCE.fullmatch(relative) else None


def _id(answer: Mapping[str, Any], name: str) -> str | None:
    value = answer.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _FHIR_ID.fullmatch(value):
        raise ValueError(f"{name} is not an id")
    return value


def _short_text(value: object, most: int = 128) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= most and value.isprintable() else None


def _fhir_context(value: object, fhir_base: str) -> tuple[ContextReference, ...]:
    """Items of ``fhirContext``: 2.2 objects and the bare strings of 2.0. What has no sound shape is left out."""
    items = value[:_MAX_CONTEXT_ITEMS] if isinstance(value, list) else []
    return tuple(item for item in (_context_item(one, fhir_base) for one in items) if item is not None)


def _context_item(one: object, fhir_base: str) -> ContextReference | None:
    item: Mapping[str, Any] = {"reference": one} if isinstance(one, str) else one if isinstance(one, dict) else {}
    reference = relative_reference(item.get("reference"), fhir_base)
    canonical, kind = _short_text(item.get("canonical")), _short_text(item.get("type"))
    role = item.get("role", _LAUNCH_ROLE)
    if not isinstance(role, str) or not role:
        return None
    if reference is None and canonical is None and "identifier" not in item:
        return None
    # The patient and the encounter of the launch stand in their own members; here they need another role.
    named = reference.split("/")[0] if reference else kind
    if role == _LAUNCH_ROLE and named in ("Patient", "Encounter"):
        return None
    return ContextReference(reference, canonical, kind, role)


@dataclass(frozen=True)
class LaunchEvent:
    """Something worth an audit row: an event code and opaque ids, never a token, a code, an assertion or a name.

    ``name`` is such as "launch-started" or "partner-token-refused"; ``reason`` a short constant code.
    ``jti_hash`` is the SHA-256 of the assertion's id, ``address`` the caller's network address, ``tenant`` the EHR's
    own word for the organization this launch came from (128 characters at most; for the sealed audit only).
    """

    name: str
    reason: str = ""
    launch_id: str | None = None
    registration_id: str | None = None
    user_reference: str | None = None
    client_id: str | None = None
    scopes: frozenset[str] = frozenset()
    jti_hash: str | None = None
    address: str | None = None
    tenant: str | None = None


@dataclass(frozen=True)
class LaunchEvents:
    """Where events go. ``record(event, transaction)`` writes the audit row, in the caller's transaction where there is
    one; ``tell(event)`` hears of it once it is written."""

    record: Callable[[LaunchEvent, Connection | None], None]
    tell: Callable[[LaunchEvent], None]

    def __call__(self, event: LaunchEvent) -> None:
        """An event that stands alone: its row has a commit of its own."""
        self.record(event, None)
        self.tell(event)
