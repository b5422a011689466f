"""What leaves to a partner: new resources made by copying the paths that ``minimum_necessary.toml`` keeps (R12).

Nothing is ever removed from a resource; what is not listed is simply not copied. The finished bundle is held to its own
profile, so that a mistake here ends in a refusal and not in a message.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from fhir_profiles import referral_patient, release_consent, safe_contact
from fhir_profiles.construction import ConstructionError
from fhir_profiles.r4 import StructureError
from fhir_profiles.referral_bundle import entry_of, referral_bundle
from fhir_profiles.referral_service_request import NEEDS, needs_of
from fhir_profiles.security_labels import high_water_mark, labels_of
from fhir_profiles.terminology import ID_BUNDLE, profile
from smart_app.policy import leaving
from smart_app.policy.day_words import day_words

_PATIENT, _CONSENT, _REQUEST, _TASK = "Patient", "Consent", "ServiceRequest", "Task"


class OutboundError(ValueError):
    """What was to be sent breaks its own profile. ``expressions`` are element paths; no value is ever in here."""

    def __init__(self, expressions: Sequence[str]) -> None:
        super().__init__("nothing was sent: the referral breaks its own profile at " + ", ".join(expressions))
        self.expressions = tuple(expressions)


def outbound_bundle(
    patient: dict[str, Any],
    consent: dict[str, Any],
    service_request: dict[str, Any],
    task: dict[str, Any],
    *,
    public_base_url: str,
    bundle_identifier: str,
) -> dict[str, Any]:
    """The referral bundle as the partner receives it; its addresses are ``<public_base_url>/fhir/<Type>/<id>``.

    ``bundle_identifier`` is an opaque value, the same for every attempt at this referral. Raises ``OutboundError`` when
    the result does not pass its own profile, for example because a label is missing.
    """
    parts = [trimmed(part) for part in (patient, consent, service_request, task)]
    kinds = [part.get("resourceType") for part in parts]
    if kinds != [_PATIENT, _CONSENT, _REQUEST, _TASK] or not all(labels_of(part) for part in parts):
        raise OutboundError(["Bundle.entry"])
    base = public_base_url.rstrip("/")
    try:
        bundle = referral_bundle(
            labels=[high_water_mark(labels_of(part) for part in parts)],
            identifier_system=ID_BUNDLE,
            identifier_value=bundle_identifier,
            entries=[(f"{base}/fhir/{part['resourceType']}/{part.get('id')}", part) for part in parts],
        )
    except StructureError as error:
        raise OutboundError(error.paths) from None
    except ConstructionError:
        raise OutboundError(["Bundle"]) from None
    problems = leaving.problems(bundle, "referral-bundle")
    if problems:
        raise OutboundError(problems)
    return bundle


def outbound_cancel(task: dict[str, Any]) -> dict[str, Any]:
    """The cancelled Task as the partner receives it: what it got before with another status, and no reason (R11).

    Raises ``OutboundError`` when the result does not pass its own profile, or is not cancelled.
    """
    made = trimmed(task)
    if made.get("status") != "cancelled":
        raise OutboundError(["Task.status"])
    problems = leaving.problems(made, "referral-task")
    if problems:
        raise OutboundError(problems)
    return made


def trimmed(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A new resource that holds the kept paths of its type and nothing else. An unknown type leaves nothing."""
    made = _copied(payload, _tree(str(payload.get("resourceType"))))
    return made if isinstance(made, dict) else {}


def reason_for_omission(resource_type: str, element: str) -> str | None:
    """Why this element does not leave; None when it does (or part of it)."""
    table = _tables()
    kept = {path.split(".")[0].split("[")[0] for path in table.get(resource_type, {}).get("keep", {})}
    if element in kept:
        return None
    return str(table.get(resource_type, {}).get("skip", {}).get(element, table["otherwise"]))


def items_in_words(bundle: Mapping[str, Any], *, recipient_name: str, sender_name: str) -> list[str]:
    """The exact items of a finished bundle, line by line, as a person sees them before the send (R12)."""
    whole = dict(bundle)
    patient, consent = entry_of(whole, _PATIENT) or {}, entry_of(whole, _CONSENT) or {}
    request, task = entry_of(whole, _REQUEST) or {}, entry_of(whole, _TASK) or {}
    period = consent["provision"]["period"]
    needs = [NEEDS[need] for need in needs_of(request)]
    return [
        f"To: {recipient_name}, and nobody else",
        f"From: {sender_name} (no clinician is named)",
        f"Name to use: {referral_patient.alias_of(patient)}",
        *_contact_in_words(safe_contact.values(safe_contact.of(request) or {})),
        f"Needs ticked: {', '.join(needs)}" if needs else "Needs ticked: none",
        f"Please look by: {task['restriction']['period']['end']}",
        f"Release: signed {day_words(consent['dateTime'])}, from {day_words(period['start'])} to "
        f"{day_words(period['end'])}",
        f"What the program may tell back under this release: {_TIERS[release_consent.tier_of(consent)]}",
    ]


_MEETS = {
    "on-site": "the advocate comes here",
    "call-now": "by phone now, from here",
    "clinic-phone": "on the clinic's phone",
    "safe-contact": "the program calls the safe number",
    "survivor-calls": "the patient calls the program",
}
_VOICEMAILS = {"none": "leave no message", "silent": "hang up without a word", "safe": "a message is safe"}
_TIERS = {
    "none": "nothing",
    "contact": "whether it can help, and that contact was made",
    "appointment": "day and time of an appointment as well",
    "outcome": "how it ended as well",
}


def _contact_in_words(parts: Mapping[str, Any]) -> list[str]:
    lines = [f"How you will meet: {_MEETS[parts['meet']]}"]
    if "at" in parts:
        lines.append(f"At: {parts['at']}")
    if "telecom" in parts:
        lines.append(f"Safe number: {parts['telecom']['value']}")
        lines.append(f"Voicemail: {_VOICEMAILS[parts.get('voicemail', 'none')]}")
        lines.append("Who may answer: " + ("anyone" if parts.get("whoMayAnswer") == "anyone" else "only the patient"))
    else:
        lines.append("Phone number: none is sent, and the program is told not to call")
    if "from" in parts:
        days = " ".join(parts.get("day", ["any day"]))
        lines.append(f"Hours: {days}, {parts['from'][:5]} to {parts['to'][:5]}")
    for key, words in (("codeWord", "Agreed word"), ("sayAs", "Say that this is"), ("language", "Language")):
        if key in parts:
            lines.append(f"{words}: {parts[key]}")
    if parts.get("interpreter"):
        lines.append("Interpreter: needed")
    if "telecom" in parts:
        lines.append(f"Do not use this contact after: {day_words(parts['expiresOn'])}")
    return lines


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(files("smart_app.policy").joinpath("minimum_necessary.toml").read_text(encoding="utf-8"))


@cache
def _tree(resource_type: str) -> dict[str, Any]:
    """The kept paths as a tree of steps; a step without children is a value to copy."""
    root: dict[str, Any] = {}
    for path in _tables().get(resource_type, {}).get("keep", {}):
        branch = root
        for step in path.split("."):
            branch = branch.setdefault(step, {})
    return root


def _copied(value: Any, tree: Mapping[str, Any]) -> Any:
    """``value`` along ``tree``; None when nothing of it is kept. A leaf copies a plain value, never an object."""
    if isinstance(value, list):
        return [item for item in (_copied(item, tree) for item in value) if item is not None] or None
    if not tree:
        return value if isinstance(value, str | bool | int) else None
    if not isinstance(value, dict):
        return None
    made: dict[str, Any] = {}
    for step, branch in tree.items():
        name, _, wanted = step.partition("[")
        chosen = _extensions(value.get(name), wanted.rstrip("]")) if wanted else value.get(name)
        copied = _copied(chosen, branch)
        if copied is not None:
            made[name] = [*made.get(name, []), *copied] if wanted else copied
    return made or None


def _extensions(value: Any, name: str) -> list[Any] | None:
    """The extensions of this name: by our canonical URL at the top, by the bare name inside a complex one."""
    if not isinstance(value, list):
        return None
    return [item for item in value if isinstance(item, dict) and item.get("url") in {name, profile(name)}]
