"""The switches of the sandbox EHR: each makes it misbehave in one way a real EHR, or an attacker, has been seen to.

They are set through the control port only, which is off unless asked for, and never through the FHIR port.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

DEFAULTS: dict[str, Any] = {
    # labels
    "strip_labels": False,  # a create keeps the resource and drops meta.security
    "strip_labels_on_update": False,  # an update replaces meta.security instead of keeping what was there
    "filter_labels": True,  # /a hides R and V from those who are not treating
    # the launch
    "without_encounter": False,  # launches carry no encounter
    "fresh_encounter": False,  # a new visit at each launch instead of today's open one
    "need_patient_banner": True,  # None: the answer does not say
    "smart_style_url": None,  # None: the EHR's own; false: none; or any text
    "intent": "open-chart",
    "fhir_context": "object",  # "object" (SMART 2.2), "string" (2.0) or "none"
    # discovery
    "discovery": "right",  # "right", "not-found", "html", "redirect", or "mislabelled": JSON called text
    "drop_discovery_members": [],  # smart-configuration lacks these
    "unlisted": [],  # words that its lists of capabilities and grant types leave out
    "assertion_algs": "both",  # said of the token endpoint: "both", "RS384", "RS256" (a wrong one) or "unsaid"
    "endpoints": "absolute",  # "absolute", "relative" (to the FHIR base) or "http" (another machine, without TLS)
    "offer_plain_pkce": False,  # code_challenge_methods_supported names plain too
    "without_asymmetric": False,  # no private_key_jwt, listed or taken
    "without_permission_v2": False,  # scopes are spelled as in version 1, and no others are understood
    "without_revocation": False,  # no revocation endpoint, listed or there
    "authorize_post": "listed",  # "listed", "unlisted", or "required": GET is refused
    "separate_issuer": False,  # identity tokens come from another issuer than the FHIR base
    "jwks": "right",  # "right", "spoiled" (unusable keys beside the right ones) or "others" (another server's keys)
    "clock_skew_seconds": 0,  # how far the EHR's clock runs ahead; below zero: behind
    "slow_oauth_seconds": 0,  # discovery, keys and token endpoint
    # authorization
    "authorize": "right",  # "right", "error" (500) or "log-in": a page for a person comes before any check
    "redirect_on_file": None,  # None: the app's own; "any": whatever is asked for (an open door); or another address
    "expire_codes": False,  # a code is already too old when it arrives
    "error_redirect": None,  # an OAuth error code sent back instead of a code
    "mixed_up_iss": False,  # the callback names the other base as its issuer
    "missing_iss": False,  # the callback names no issuer though discovery promises it
    "without_iss": False,  # RFC 9207 is neither promised nor done
    "drop_scopes": [],  # granted scopes are these fewer
    # tokens
    "access_token_seconds": 300,
    "without_expires_in": False,
    "token_type": "Bearer",  # "bearer", "BEARER", "bEaReR"; "mac" is a wrong one
    "scope_in_answer": "v2",  # "v2", "v1" (.read, .write, .*), "empty" or "missing"
    "refresh_rotation": True,  # False: a refresh brings no new refresh token, the old one stays good
    "wrong_nonce": False,
    "wrong_aud": False,
    "wrong_id_token_iss": False,
    "wrong_at_hash": False,
    "unsigned_id_token": False,
    "id_token_alg": None,  # "ES384" or "RS256"; None: ES384 at /a, RS256 at /b
    "fhir_user": "absolute",  # "absolute", "relative", "foreign", "patient" or "none"
    "patient_changes_on_refresh": False,
    "without_patient": False,  # a launch from a chart answers without the patient
    # FHIR
    "refuse_create": {},  # type -> status, for example {"Observation": 403}; a bare type means 422
    "empty_create": False,  # 201, no body, relative Location, whatever Prefer said
    "stale_status": 412,  # what an outdated If-Match gets: 412, or Oracle's 409
    "foreign_next": None,  # a search's next link points to this URL; true: to an unresolvable host
    "repeat_ids": False,  # a page begins with the last entry of the page before
    "too_many_requests": False,  # 429 with Retry-After
    "retry_after_seconds": 30,  # what Retry-After says, with 429 and 503
    "retry_after_as_date": False,
    "server_error": False,  # 503 on every FHIR call
    "slow_seconds": 0,
    "redirect_reads": False,  # a read answers 302 to a foreign host
    "error_bodies": "outcome",  # "outcome", "empty" or "text": what comes with 4xx and 5xx
    "metadata": "right",  # "right", "not-found" or "needs-token"
    "fhir_version": "4.0.1",  # "4.3.0" and "3.0.2" are other releases
    "software_version": "1",  # what the EHR calls itself after an upgrade
    "statement_lacks": [],  # what the CapabilityStatement leaves out: "Patient.read", "Observation._security"
    "offers_export": False,  # the CapabilityStatement lists bulk export
    "anonymous_read": "refused",  # a call without a token: "refused" (401), "forbidden" (403) or "served"
    "without_challenge": False,  # a 401 comes without WWW-Authenticate
}
MAX_SLOW_SECONDS = 120
MAX_SKEW_SECONDS = 86_400


class KnobError(ValueError):
    """A switch that does not exist, or a value of the wrong kind. The text names the switch and what it takes."""


class Knobs:
    """A thread-safe set of switches; ``knobs["name"]`` reads one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values = dict(DEFAULTS)

    def __getitem__(self, name: str) -> Any:
        with self._lock:
            return self._values[name]

    def as_dict(self) -> dict[str, Any]:
        """All switches and their values."""
        with self._lock:
            return dict(self._values)

    def set(self, changes: Mapping[str, Any]) -> None:
        """Change several switches together, or none of them if one is wrong."""
        checked = {name: _checked(name, value) for name, value in changes.items()}
        with self._lock:
            self._values.update(checked)

    def reset(self) -> None:
        """Back to a well-behaved EHR."""
        with self._lock:
            self._values = dict(DEFAULTS)


CHOICES: dict[str, tuple[Any, ...]] = {
    "fhir_context": ("object", "string", "none"),
    "fhir_user": ("absolute", "relative", "foreign", "patient", "none"),
    "id_token_alg": (None, "ES384", "RS256"),
    "stale_status": (409, 412),
    "need_patient_banner": (True, False, None),
    "discovery": ("right", "not-found", "html", "redirect", "mislabelled"),
    "assertion_algs": ("both", "RS384", "RS256", "unsaid"),
    "authorize": ("right", "error", "log-in"),
    "endpoints": ("absolute", "relative", "http"),
    "authorize_post": ("listed", "unlisted", "required"),
    "jwks": ("right", "spoiled", "others"),
    "token_type": ("Bearer", "bearer", "BEARER", "bEaReR", "mac"),
    "scope_in_answer": ("v2", "v1", "empty", "missing"),
    "error_bodies": ("outcome", "empty", "text"),
    "metadata": ("right", "not-found", "needs-token"),
    "anonymous_read": ("refused", "forbidden", "served"),
    "fhir_version": ("4.0.1", "4.3.0", "3.0.2"),
}

_RANGES = {
    "slow_seconds": (0, MAX_SLOW_SECONDS),
    "slow_oauth_seconds": (0, MAX_SLOW_SECONDS),
    "clock_skew_seconds": (-MAX_SKEW_SECONDS, MAX_SKEW_SECONDS),
}


def _checked(name: str, value: Any) -> Any:
    if name not in DEFAULTS:
        raise KnobError(f"there is no switch named {name!r}; GET /state lists them")
    if name == "refuse_create":
        return _refusals(value)
    if name in CHOICES:
        if not any(value is one or (type(value) is type(one) and value == one) for one in CHOICES[name]):
            raise KnobError(f"{name} is one of {', '.join(map(repr, CHOICES[name]))}")
        return value
    default = DEFAULTS[name]
    if isinstance(default, bool) and not isinstance(value, bool):
        raise KnobError(f"{name} is true or false")
    if isinstance(default, int) and not isinstance(default, bool):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        least, most = _RANGES.get(name, (0, 86_400))
        if not is_number or not least <= value <= most:
            raise KnobError(f"{name} is a number of seconds from {least} to {most}")
    if isinstance(default, list) and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise KnobError(f"{name} is a list of strings")
    if name == "smart_style_url" and not (value is None or value is False or isinstance(value, str)):
        raise KnobError("smart_style_url is a string, false or null")
    if name in ("intent", "redirect_on_file") and not (value is None or isinstance(value, str)):
        raise KnobError(f"{name} is a string or null")
    if name == "software_version" and not isinstance(value, str):
        raise KnobError("software_version is a string")
    if name in ("error_redirect", "foreign_next") and not (value is None or isinstance(value, str | bool)):
        raise KnobError(f"{name} is a string, true, false or null")
    return value


def _refusals(value: Any) -> dict[str, int]:
    if not value:
        return {}
    if isinstance(value, str):
        return {value: 422}
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return dict.fromkeys(value, 422)
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        return {value["type"]: int(value.get("status", 422))}
    if isinstance(value, dict) and all(isinstance(status, int) for status in value.values()):
        return dict(value)
    raise KnobError('refuse_create is a type, a list of types, or {"Observation": 403}')
