"""The test tokens of a proof: out of a file, the environment, or the sandbox's control port; never off a command line,
where anyone on this computer could read them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import requests

from launch.doctor.label_probe import ProbeError, ProbeTokens

KINDS = ("clinician", "scheduler", "patient", "proxy", "third-party", "unprivileged-staff")
OPTIONAL = frozenset({"scheduler"})
PREFIX = "WARM_REFERRAL_PROBE_TOKEN_"


def environment_name(kind: str) -> str:
    """Where a token is looked for in the environment: "third-party" -> WARM_REFERRAL_PROBE_TOKEN_THIRD_PARTY."""
    return PREFIX + kind.upper().replace("-", "_")


def held_tokens(
    file: Path | None, control: str | None, registration: str, patient: str, environ: Mapping[str, str] = os.environ
) -> ProbeTokens:
    """Tokens from the first of: ``file``, the sandbox's ``control`` port, the environment. ``ProbeError``."""
    if file is not None:
        return tokens_of(_from_file(file))
    if control is not None:
        return minted_tokens(control, registration, patient)
    found = {kind: environ[environment_name(kind)] for kind in KINDS if environ.get(environment_name(kind))}
    if not found:
        raise ProbeError(
            "Where do the tokens come from? Name --tokens FILE, set "
            f"{environment_name('patient')} and the others, or name --control URL for the sandbox EHR."
        )
    return tokens_of(found)


def tokens_of(mapping: Mapping[str, str]) -> ProbeTokens:
    """Tokens by the names of ``KINDS``. Raises ``ProbeError`` naming what is missing."""
    missing = [kind for kind in KINDS if not mapping.get(kind) and kind not in OPTIONAL]
    if missing:
        raise ProbeError(f"Tokens are missing for: {', '.join(missing)}.")
    return ProbeTokens(
        clinician=mapping["clinician"],
        patient=mapping["patient"],
        proxy=mapping["proxy"],
        third_party=mapping["third-party"],
        unprivileged_staff=mapping["unprivileged-staff"],
        scheduler=mapping.get("scheduler"),
    )


def minted_tokens(control: str | None, registration: str, patient: str) -> ProbeTokens:
    """Tokens from the sandbox EHR's control port. Raises ``ProbeError`` when it gives none."""
    if control is None:
        raise ProbeError("Where do the tokens come from? Name --tokens FILE, or --control URL for the sandbox EHR.")
    return tokens_of({kind: _minted(control, registration, kind, patient) for kind in KINDS})


def _from_file(path: Path) -> dict[str, str]:
    """A JSON object kind -> token, in a file that its owner alone can read."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
        read = json.loads(text)
    except (OSError, ValueError):
        raise ProbeError(f"{path} cannot be read, or is no JSON object.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ProbeError(f"{path} holds tokens and others can read it. Allow its owner only: chmod 600 {path}")
    if not isinstance(read, dict) or not all(isinstance(value, str) for value in read.values()):
        raise ProbeError(f"{path} is no JSON object of texts; it needs one token each for: {', '.join(KINDS)}.")
    return read


def _minted(control: str, registration: str, kind: str, patient: str) -> str:
    wish = {"base": registration, "kind": kind, "patient": patient}
    try:
        answer = requests.post(f"{control.rstrip('/')}/token", json=wish, timeout=20, allow_redirects=False)
        return str(answer.json()["access_token"])
    except (requests.RequestException, ValueError, KeyError, TypeError):
        raise ProbeError(f"{control} gave no {kind} token for this patient.") from None
