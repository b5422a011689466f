"""The site proof of this EHR (R6): is there one, does it still count, and is the EHR still the one that was proved?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from launch.doctor.check_fhir import COPIED, Offer
from launch.doctor.findings import Finding, Stops, green, not_checked, red, warning
from launch.doctor.site import EhrFacts
from launch.doctor.site_proof import Proof, ProofError, read_proof, write_proof
from launch.registrations import Registration

RENEW_WITHIN_DAYS = 60
REMEDY = "Run `warm-referral doctor ISSUER --proof` again; until then items stay in this app."
WORDS = {
    "version": "the version of the EHR",
    "software": "the name of the EHR's software",
    "fhir_version": "the FHIR release",
    "interactions": "what can be created, read or updated",
    "security_search": "search by label",
    "conditional_create": "conditional create",
}


def fingerprint(offer: Offer) -> dict[str, Any]:
    """What a proof remembers of an EHR: name, version, and what it offers on the types that are copied."""
    return {
        "software": offer.software,
        "version": offer.version,
        "fhir_version": offer.fhir_version,
        "interactions": {kind: sorted(offer.interactions.get(kind, ())) for kind in COPIED},
        "security_search": sorted(offer.security_search & set(COPIED)),
        "conditional_create": sorted(offer.conditional_create & set(COPIED)),
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """The members of a fingerprint that are not as they were."""
    return tuple(name for name in WORDS if name in then and then[name] != now.get(name))


def judge(
    registration: Registration, facts: EhrFacts, offer: Offer | None, today: date, *, may_void: bool = True
) -> Iterator[Finding]:
    """All about the proof. That of an EHR that has changed is marked void in its file, unless ``may_void`` is off."""
    wanted = facts.copied_types
    if not wanted:
        yield green("proof.not-needed", "No copy goes to this EHR, so no proof is needed.")
        return
    if facts.environment == "test":
        words = f"A test environment: copies of {', '.join(wanted)} go there for the listed test patients only."
        yield green("proof.test", words)
        return
    proof, problem = _read(registration, facts)
    if proof is None:
        yield problem
        return
    yield from _standing(proof, wanted, today)
    yield _change(proof, facts, offer, today, may_void=may_void)


def _read(registration: Registration, facts: EhrFacts) -> tuple[Proof | None, Finding]:
    missing = red("proof.missing", f"Settings want a copy here, and there is no proof. {REMEDY}", stops=Stops.COPY)
    if facts.proof_file is None:
        return None, missing
    try:
        proof = read_proof(facts.proof_file)
    except ProofError:
        return None, missing
    if proof.registration_id != registration.id:
        return None, red("proof.other", f"The proof was made for another registration. {REMEDY}", stops=Stops.COPY)
    return proof, missing


def _standing(proof: Proof, wanted: tuple[str, ...], today: date) -> Iterator[Finding]:
    failed = [kind for kind in wanted if proof.classes.get(kind) != "A"]
    if failed:
        letters = ", ".join(f"{kind} is class {proof.classes.get(kind, 'not probed')}" for kind in failed)
        yield red(
            "proof.class",
            f"The proof does not allow what settings want: {letters}. Nothing is written for these.",
            "Which configuration keeps meta.security on create and update, and filters reads by it?",
            stops=Stops.COPY,
        )
    left = (proof.expires_on - today).days
    if proof.voided_on is not None:
        yield red("proof.void", f"The proof is void since {proof.voided_on}. {REMEDY}", stops=Stops.COPY)
    elif not proof.is_current(today):
        yield red("proof.expired", f"The proof ended on {proof.expires_on}. {REMEDY}", stops=Stops.COPY)
    elif left <= RENEW_WITHIN_DAYS:
        yield warning("proof.ends-soon", f"The proof ends in {left} days, on {proof.expires_on}. Run it again in time.")
    elif not failed:
        yield green("proof.current", f"The proof of {proof.made_on} holds until {proof.expires_on} ({left} days).")


def _change(proof: Proof, facts: EhrFacts, offer: Offer | None, today: date, *, may_void: bool) -> Finding:
    if offer is None:
        return not_checked("proof.drift", "Without a CapabilityStatement it is not known whether the EHR has changed.")
    if not proof.offered:
        return warning(
            "proof.drift",
            "This proof does not say what the EHR offered then, so a change cannot be seen. Run the proof again.",
        )
    changed = differences(proof.offered, fingerprint(offer))
    if not changed:
        return green("proof.drift", f"The EHR is the one that was proved (version {offer.version}).")
    words = " and ".join(WORDS[name] for name in changed)
    marked = may_void and _void(proof, facts, today, f"changed since the proof: {words}")
    what_follows = (
        "The proof is now marked void: the running app stops writing within seconds and tells the privacy officer."
        if marked
        else "The proof file could not be marked void here: remove it, or run this where it can be written."
    )
    return red(
        "proof.drift",
        f"The EHR changed since the proof: {words}. {what_follows} {REMEDY}",
        "What changed in this environment for third-party apps, and does it touch meta.security?",
        stops=Stops.COPY,
    )


def _void(proof: Proof, facts: EhrFacts, today: date, because: str) -> bool:
    assert facts.proof_file is not None
    try:
        write_proof(proof.voided(today, because), facts.proof_file)
    except OSError:
        return False
    return True
