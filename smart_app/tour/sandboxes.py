"""The sandboxes' control ports, as the tour and the flow tests use them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import requests

TIMEOUT_SECONDS = 20
Payload = dict[str, Any]
Found = TypeVar("Found")
OBSERVERS = ("patient", "proxy", "third-party", "unprivileged-staff")


@dataclass(frozen=True)
class SandboxEhr:
    """The EHR: launches, tokens of each kind of observer, switches, and every write as it received it."""

    url: str
    control: str

    def launch_url(self, base: str, user: str, patient: str | None, *, with_encounter: bool = True) -> str:
        """What the EHR would open in its frame."""
        body = {"base": base, "user": user, "patient": patient, "with_encounter": with_encounter}
        return str(_post(f"{self.control}/launch", body)["url"])

    def writes(self) -> list[Payload]:
        """Every write so far, oldest first."""
        return cast("list[Payload]", _get(f"{self.control}/writes"))

    def people(self) -> list[Payload]:
        """Patients with id, name, birth date and source."""
        return cast("list[Payload]", _get(f"{self.control}/people"))

    def set(self, **knobs: Any) -> None:
        """Turn switches."""
        _post(f"{self.control}/set", knobs)

    def search(self, base: str, kind: str, patient: str, query: str) -> requests.Response:
        """A FHIR search with a token of one kind of observer; ``query`` is "Type?name=value"."""
        token = _post(f"{self.control}/token", {"base": base, "kind": kind, "patient": patient})["access_token"]
        return requests.get(
            f"{self.url}/{base}/fhir/{query}",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/fhir+json"},
            timeout=TIMEOUT_SECONDS,
        )

    def found(self, base: str, kind: str, patient: str, query: str) -> list[Payload]:
        """The resources of ``search``; none when the search itself is refused."""
        answer = self.search(base, kind, patient, query)
        entries = answer.json().get("entry", []) if answer.ok else []
        return [entry["resource"] for entry in entries if "resource" in entry]


@dataclass(frozen=True)
class SandboxProgram:
    """The DSV program: what it received, and what its advocate does."""

    control: str

    def set(self, **knobs: Any) -> None:
        """Turn switches."""
        _post(f"{self.control}/set", knobs)

    def received(self) -> list[Payload]:
        """Every referral it holds, oldest first; ``bundle`` is the raw text."""
        return cast("list[Payload]", _get(f"{self.control}/received"))

    def release(self, task_url: str, tier: str) -> Payload:
        """The survivor signs release B with this tier; the program posts it."""
        return _post(f"{self.control}/release", {"task_url": task_url, "tier": tier})

    def status(self, task_url: str, status: str) -> Payload:
        """The program writes its status on the referral."""
        return _post(f"{self.control}/status", {"task_url": task_url, "status": status})

    def refer(self, alias: str, phone: str, *, tells_time: bool, by: str = "harbor", **more: Any) -> Payload:
        """The program refers somebody to the clinic; ``tells_time``: the survivor signed release A."""
        return _post(
            f"{self.control}/refer", {"alias": alias, "phone": phone, "release_a": tells_time, "as": by, **more}
        )

    def look(self, url: str, *, by: str = "harbor") -> Payload:
        """GET with that program's own token: {"status", "body"}; ``body`` is parsed."""
        answer = cast(Payload, _get(f"{self.control}/look", {"as": by, "url": url}))
        return {**answer, "body": json.loads(answer["body"] or "{}")}


def until(question: Callable[[], Found], *, seconds: float = 15.0) -> Found:
    """Ask until the answer is true or the time is over; returns the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def bundle_of(item: Payload) -> Payload:
    """The bundle a program received, parsed."""
    return cast(Payload, json.loads(item["bundle"]))


def resource_in(bundle: Payload, resource_type: str) -> Payload:
    """The one resource of a type in a bundle. Raises ``LookupError``."""
    for entry in bundle.get("entry", []):
        if entry["resource"]["resourceType"] == resource_type:
            return cast(Payload, entry["resource"])
    raise LookupError(resource_type)


def _get(url: str, params: dict[str, str] | None = None) -> Any:
    answer = requests.get(url, params=params, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    return answer.json()


def _post(url: str, body: dict[str, Any]) -> Payload:
    answer = requests.post(url, json=body, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    return cast(Payload, answer.json())
