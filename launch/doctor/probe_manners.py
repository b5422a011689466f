"""What an EHR does with ordinary reads, tried with the clinician's test token: redirects, page links, repeats.

Nothing of it decides a class. It says beforehand what the app will refuse or put up with in use.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

from launch.doctor.fhir_caller import FhirCaller

PAGES = 4
SEARCHED = ("Encounter", "Observation")


def manners(caller: FhirCaller, token: str, patient_id: str) -> list[str]:
    """Sentences about paging. Empty where there was nothing to page through."""
    for kind in SEARCHED:
        said = _paging(caller, token, kind, {"patient": patient_id, "_count": "1"})
        if said is not None:
            return [said]
    return ["Paging: the test patient has too few items to try it."]


def _paging(caller: FhirCaller, token: str, kind: str, params: dict[str, str]) -> str | None:
    answer = caller.ask("GET", kind, token=token, params=params)
    seen: set[str] = set()
    has_repeat = False
    for _ in range(PAGES):
        bundle = answer.payload if answer.is_ok and answer.payload else {}
        ids = [str((e.get("resource") or {}).get("id")) for e in bundle.get("entry") or [] if isinstance(e, dict)]
        has_repeat = has_repeat or bool(seen & set(ids))
        seen |= set(ids)
        address = _next(bundle)
        if address is None:
            break
        address = urljoin(caller.base + "/", address)
        if not address.startswith(caller.base + "/") or ".." in urlsplit(address).path:
            return "Paging: the next page is on another host. The app does not go there: long lists stay incomplete."
        answer = caller.ask("GET", address.removeprefix(caller.base + "/"), token=token)
    else:
        return _words(has_repeat)
    return _words(has_repeat) if len(seen) > 1 else None


def _words(has_repeat: bool) -> str:
    return (
        "Paging: pages repeat items. The app drops what it has already."
        if has_repeat
        else "Paging: works, and stays on the same host."
    )


def _next(bundle: dict[str, Any]) -> str | None:
    for link in bundle.get("link") or []:
        if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
            return str(link["url"])
    return None
