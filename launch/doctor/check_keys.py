"""Our own public keys, as the EHR fetches them: there, equal to the key file, bare, and kept for minutes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from launch.doctor.findings import Finding, Stops, green, not_checked, red, warning
from launch.doctor.wire import FAILURE_WORDS, Reply
from launch.keys import KeyFileError, KeyRing
from launch.registrations import Registration, Registrations

PATH = "/.well-known/jwks.json"
WITH_KEYS = "private_key_jwt"
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
ALGORITHMS = ("ES384", "RS384")
LONGEST_CACHE_SECONDS = 86_400
_MAX_AGE = re.compile(r"max-age=(\d{1,9})")


def judge(reply: Reply, registrations: Registrations, registration: Registration) -> Iterator[Finding]:
    """All about the key set at ``public_base_url``. ``reply``: what came from there."""
    if registration.token_endpoint_auth_method != WITH_KEYS:
        yield not_checked("keys", "Our keys are not looked at: this registration signs in without them.")
        return
    document = reply.json_object() if reply.status == 200 else None
    keys = (document or {}).get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        yield _not_there(reply)
        return
    yield green(
        "keys.visible", "Our key set answers at public_base_url. (Run this once from outside your network too.)"
    )
    yield from _members(keys)
    yield _equal(keys, registrations)
    yield _cache(reply)


def _not_there(reply: Reply) -> Finding:
    why = FAILURE_WORDS[reply.failure] if reply.failure else f"the answer was status {reply.status} or no key set"
    return red(
        "keys.visible",
        f"Our key set is not to be had at public_base_url: {why}. Is the app running, and does the proxy pass "
        f"{PATH} on without a log-in?",
        stops=Stops.SETUP,
    )


def _members(keys: list[dict[str, Any]]) -> Iterator[Finding]:
    if any(PRIVATE_MEMBERS & set(key) for key in keys):
        yield red(
            "keys.private",
            "OUR KEY SET SHOWS PRIVATE KEYS. Take it off the network now, make new keys, and tell the EHR: whoever saw "
            "this set can sign in as us.",
            stops=Stops.SETUP,
        )
    else:
        yield green("keys.private", "It holds public members only.")
    kids = [key.get("kid") for key in keys]
    if None in kids or len(set(map(str, kids))) != len(kids):
        yield red(
            "keys.kid",
            "Two keys share a kid, or one has none: the EHR cannot tell which one signed. Make the key file anew.",
            stops=Stops.SETUP,
        )
    else:
        yield green("keys.kid", f"{len(kids)} keys, each with a kid of its own.")
    missing = [alg for alg in ALGORITHMS if alg not in {key.get("alg") for key in keys}]
    if missing:
        yield red(
            "keys.algorithms",
            f"No key for {' and '.join(missing)}: SMART wants an app to have both.",
            stops=Stops.SETUP,
        )
    else:
        yield green("keys.algorithms", "There is a key for ES384 and one for RS384.")


def _equal(keys: list[dict[str, Any]], registrations: Registrations) -> Finding:
    try:
        ours = KeyRing.load(registrations.keys_file).public_jwks()["keys"]
    except KeyFileError as error:
        return red("keys.equal", f"The key file cannot be used here. {error}", stops=Stops.SETUP)
    if sorted(map(_as_text, ours)) == sorted(map(_as_text, keys)):
        return green("keys.equal", "What is published equals the key file.")
    return red(
        "keys.equal",
        "What is published differs from the key file here: another app answers at public_base_url, something caches an "
        "old set, or the app was not started again after the file changed.",
        stops=Stops.SETUP,
    )


def _as_text(key: dict[str, Any]) -> str:
    return repr(sorted((name, value) for name, value in key.items() if name not in PRIVATE_MEMBERS))


def _cache(reply: Reply) -> Finding:
    control = reply.headers.get("Cache-Control", "").lower()
    age = _MAX_AGE.search(control)
    if age is None or "no-store" in control:
        return warning(
            "keys.cache",
            "No Cache-Control with max-age comes with our key set: EHRs may keep an old set through a rotation. Does "
            "the proxy drop the header?",
        )
    if int(age[1]) > LONGEST_CACHE_SECONDS:
        return warning("keys.cache", "Our key set may be kept for more than a day: a rotation would wait that long.")
    return green("keys.cache", f"The EHR may keep it for {int(age[1])} seconds.")
