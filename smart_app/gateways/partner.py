"""Sends one referral to one program, or takes one back there, as requester ``system-delivery``.

Order: agreement, release (nothing connects without it), token, release once more right before connecting with the row
``intended`` committed, the allow-list copy, the connection, the release again if that took longer than a moment, the
bytes, the answer, the row ``outcome``. So nothing leaves later than a moment after it was last allowed, however slow
this machine or that line is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson

from launch.errors import PartnerSystemError
from smart_app.delivery_ports import Job, SendOutcome, SendResult
from smart_app.gateways.door import Crossing, Parcel, VaultDoor
from smart_app.policy.minimum_necessary import OutboundError, outbound_bundle, outbound_cancel
from smart_app.ports import Directory, MouGate, Partner

# SMART has no scope for a transaction: one ``.c`` for each entry.
SCOPE = "system/Patient.c system/Consent.c system/ServiceRequest.c system/Task.c"
CANCEL_SCOPE = "system/Task.u"
FRESH_SECONDS = 0.2  # how old the last look at the release may be when the first byte is written
LOOKS = 10  # a machine that needs longer for a look, this often in a row, tries again later


class Client(Protocol):
    """Writes with our own backend-services token; raises ``PartnerSystemError``."""

    def post(
        self,
        *,
        fhir_address: str,
        token_endpoint: str,
        client_id: str,
        scope: str,
        body: bytes | Callable[[], bytes],
        last_look: Callable[[], None] | None,
    ) -> Any:
        """A 2xx answer, or the error. ``last_look`` is called right before the first byte is written."""

    def put(
        self,
        *,
        fhir_address: str,
        token_endpoint: str,
        client_id: str,
        scope: str,
        path: str,
        identifier: str,
        body: bytes | Callable[[], bytes],
    ) -> Any:
        """A 2xx answer, or the error: the resource of type ``path`` with ``identifier`` now is ``body``."""


class NotReleasedError(Exception):
    """The release ended between the first look and the last."""


class NotFreshError(Exception):
    """What was packed is not what may leave now, or nobody could say in time: later again. The text is the code."""


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
        if job.kind == "cancel":
            return self._recall(job, _clock_from(now))
        partner_id = self._door.may_release(job, now)
        if partner_id is None:
            return SendOutcome(SendResult.NOT_RELEASED, "not-released")
        partner = self._directory.partner(partner_id)
        if partner is None or not self._mou_gate.is_open(partner_id, now):
            return SendOutcome(SendResult.REFUSED, "agreement-not-current")
        if not _has_system(partner):
            return SendOutcome(SendResult.REFUSED, "no-fhir-address")
        return self._post(job, partner, _clock_from(now))

    def _post(self, job: Job, partner: Partner, clock: Callable[[], datetime]) -> SendOutcome:
        announced: list[Crossing] = []
        packed: list[tuple[float, Parcel]] = []  # when the release was looked at, and what it allowed

        def body() -> bytes:
            looked_at = time.monotonic()
            parcel = self._door.release(job, clock())
            if parcel is None:
                raise NotReleasedError
            announced.append(parcel.crossing)
            packed.append((looked_at, parcel))
            return self._trimmed(parcel)

        def last_look() -> None:
            looked_at, parcel = packed[-1]
            for _ in range(LOOKS):
                if time.monotonic() - looked_at <= FRESH_SECONDS:
                    return
                looked_at = time.monotonic()
                if not self._door.is_still_released(job, parcel, clock()):
                    if self._door.may_release(job, clock()) is None:
                        raise NotReleasedError
                    raise NotFreshError("changed-meanwhile")
            raise NotFreshError("too-slow-here")

        def send() -> None:
            self._client.post(**_ways(partner), scope=SCOPE, body=body, last_look=last_look)

        return self._announced(send, announced, clock)

    def _recall(self, job: Job, clock: Callable[[], datetime]) -> SendOutcome:
        """Tell "cancelled" and nothing else. Needs no agreement: open items stay cancellable (R19). Where it cannot be
        told by a system, a person calls."""
        recall = self._door.recall(job, clock())
        if recall is None:
            return SendOutcome(SendResult.REFUSED, "cancel-by-phone")
        partner = self._directory.partner(recall.partner_id)

        def send() -> None:
            if partner is None or not _has_system(partner):
                raise PartnerSystemError("cancel-by-phone", is_permanent=True)
            told = outbound_cancel(recall.task)
            number = told["identifier"][0]
            self._client.put(
                **_ways(partner),
                scope=CANCEL_SCOPE,
                path="Task",
                identifier=f"{number['system']}|{number['value']}",
                body=orjson.dumps(told),
            )

        return self._announced(send, [recall.crossing], clock)

    def _announced(
        self, send: Callable[[], None], announced: list[Crossing], clock: Callable[[], datetime]
    ) -> SendOutcome:
        """``send``, and then the row ``outcome`` of everything that was announced in the log, whatever happens."""
        outcome = SendOutcome(SendResult.RETRY, "interrupted")
        try:
            outcome = self._asked(send)
        finally:
            for crossing in announced:
                crossing.outcome = outcome.error_code or outcome.result.value
                self._door.end_crossing(crossing, clock())
        return outcome

    def _asked(self, send: Callable[[], None]) -> SendOutcome:
        try:
            send()
        except NotReleasedError:
            return SendOutcome(SendResult.NOT_RELEASED, "not-released")
        except NotFreshError as error:
            return SendOutcome(SendResult.RETRY, str(error))
        except OutboundError:
            return SendOutcome(SendResult.REFUSED, "outbound-not-valid")
        except PartnerSystemError as error:
            if error.is_permanent:
                return SendOutcome(SendResult.REFUSED, error.reason[:40])
            return SendOutcome(SendResult.RETRY, error.reason[:40], error.retry_after_seconds, is_partner_down=True)
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


def _has_system(partner: Partner) -> bool:
    return bool(partner.fhir_address and partner.token_endpoint and partner.our_client_id)


def _ways(partner: Partner) -> dict[str, str]:
    return {
        "fhir_address": str(partner.fhir_address),
        "token_endpoint": str(partner.token_endpoint),
        "client_id": str(partner.our_client_id),
    }


def _clock_from(now: datetime) -> Callable[[], datetime]:
    """``now`` moving on with the time that passes: fetching a token may take a while, a release may end meanwhile."""
    started = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - started)
