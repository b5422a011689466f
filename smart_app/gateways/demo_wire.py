"""Only under ``demo``: asks the sandboxes' control ports what they received, and looks at the EHR as others do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from smart_app.ports import Payload

TIMEOUT_SECONDS = 5
LOOKED_AT = ("Observation", "ServiceRequest", "Appointment")
BASE = "a"  # the registration that writes back


class HttpDemoWire:
    """Implements ``ports.DemoWire``. Both addresses are loopback control ports of sandboxes of ours."""

    def __init__(self, ehr_control: str, program_control: str) -> None:
        self._ehr_control = ehr_control.rstrip("/")
        self._program_control = program_control.rstrip("/")

    def ehr_writes(self) -> list[Mapping[str, Any]]:
        """Every write the EHR received, body as it came."""
        return list(_get(f"{self._ehr_control}/writes"))

    def partner_receipts(self) -> list[Mapping[str, Any]]:
        """Every referral the program received, bundle as it came."""
        return list(_get(f"{self._program_control}/received"))

    def partner_sent(self) -> list[Mapping[str, Any]]:
        """Every referral the program posted to us, bundle as it left."""
        return list(_get(f"{self._program_control}/sent"))

    def ehr_as(self, who: str, patient_id: str) -> list[Payload]:
        """What ``who`` ("clinician", "patient", "proxy", "third-party", "unprivileged-staff", "scheduler") sees of
        this patient at the EHR, by a token of that kind."""
        base = f"{_get(f'{self._ehr_control}/state')['ehr']}/{BASE}/fhir"
        minted = requests.post(
            f"{self._ehr_control}/token",
            json={"base": BASE, "kind": who, "patient": patient_id},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        minted.raise_for_status()
        headers = {"Authorization": f"Bearer {minted.json()['access_token']}", "Accept": "application/fhir+json"}
        found: list[Payload] = []
        for kind in LOOKED_AT:
            answer = requests.get(
                f"{base}/{kind}",
                params={"patient": patient_id},
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
            if answer.status_code == 200:
                found += [entry["resource"] for entry in answer.json().get("entry", [])]
        return found


def _get(url: str) -> Any:
    answer = requests.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False)
    answer.raise_for_status()
    return answer.json()
