"""Sends one referral to one program, as requester ``system-delivery``.

Order: agreement, release (nothing connects without it), token, release once more at the last moment with the row
``intended`` committed, the allow-list copy as the last step before HTTP, the answer, the row ``outcome``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson

from launch.errors import PartnerSystemError
from smart_app.gateways.door import Crossing, Parcel, VaultDoor
from smart_app.policy.minimum_necessary import OutboundError, outbound_bundle
from smart_app.ports import Directory, Job, MouGate, Partner, SendOutcome, SendResult

# SMART has no scope for a transaction: one ``.c`` for each entry.
SCOPE = "system/Patient.c system/Consent.c system/ServiceRequest.c system/Task.c"


class Client(Protocol):
    """Posts with our own backend-services token; raises ``PartnerSystemError``."""

    def post(
        self,
        *,
        fhir_address: str,
        token_endpoint: str,
        client_id: str,
        scope: str,
        body: bytes | Callable[[], bytes],
    ) -> Any:
        """A 2xx answer, or the error."""


class NotReleasedError(Exception):
    """The release ended between the first look and the last."""


class PartnerSender:
    """Implements ``ports.Sender``; safe between threads."""

    def __init__(
        self, client: Client, door: VaultDoor, directory: Directory, mou_gate: MouGate, *, public_base_url: str
    ) -> None:
        self._client = client
        self._door = door
        self._directory = directory
        self._mou_gate = mou_gate
        self._public_base_url = public_base_url

    def send(self, job: Job, now: datetime) -> SendOutcome:
        """One attempt. Without a release in force: ``NOT_RELEASED`` and no connection at all (R9)."""
        if job.kind != "referral":
            # A program's FHIR address takes referrals; that one was cancelled, a person tells it by phone.
            return SendOutcome(SendResult.REFUSED, "cancel-by-phone")
        partner_id = self._door.may_release(job, now)
        if partner_id is None:
            return SendOutcome(SendResult.NOT_RELEASED, "not-released")
        partner = self._directory.partner(partner_id)
        if partner is None or not self._mou_gate.is_open(partner_id, now):
            return SendOutcome(SendResult.REFUSED, "agreement-not-current")
        if not (partner.fhir_address and partner.token_endpoint and partner.our_client_id):
            return SendOutcome(SendResult.REFUSED, "no-fhir-address")
        return self._post(job, partner, _clock_from(now))

    def _post(self, job: Job, partner: Partner, clock: Callable[[], datetime]) -> SendOutcome:
        announced: list[Crossing] = []

        def body() -> bytes:
            parcel = self._door.release(job, clock())
            if parcel is None:
                raise NotReleasedError
            announced.append(parcel.crossing)
            return self._trimmed(parcel)

        outcome = SendOutcome(SendResult.RETRY, "interrupted")
        try:
            outcome = self._asked(partner, body)
        finally:
            for crossing in announced:
                crossing.outcome = outcome.error_code or outcome.result.value
                self._door.end_crossing(crossing, clock())
        return outcome

    def _asked(self, partner: Partner, body: Callable[[], bytes]) -> SendOutcome:
        try:
            self._client.post(
                fhir_address=str(partner.fhir_address),
                token_endpoint=str(partner.token_endpoint),
                client_id=str(partner.our_client_id),
                scope=SCOPE,
                body=body,
            )
        except NotReleasedError:
            return SendOutcome(SendResult.NOT_RELEASED, "not-released")
        except OutboundError:
            return SendOutcome(SendResult.REFUSED, "outbound-not-valid")
        except PartnerSystemError as error:
            result = SendResult.REFUSED if error.is_permanent else SendResult.RETRY
            return SendOutcome(result, error.reason[:40], error.retry_after_seconds)
        return SendOutcome(SendResult.DELIVERED)

    def _trimmed(self, parcel: Parcel) -> bytes:
        """The last step before HTTP: only what the allow-list keeps leaves (R12). The same bytes name for each try."""
        bundle = outbound_bundle(
            parcel.patient,
            parcel.consent,
            parcel.service_request,
            parcel.task,
            public_base_url=self._public_base_url,
            bundle_identifier=f"b-{parcel.task['id']}",
        )
        return orjson.dumps(bundle)


def _clock_from(now: datetime) -> Callable[[], datetime]:
    """``now`` moving on with the time that passes: fetching a token may take a while, a release may end meanwhile."""
    started = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - started)
