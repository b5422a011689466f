"""The shapes by which the delivery worker reaches what it claims and how it sends; see ``ports`` for the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """One claimed piece of work. ``lease`` fences completion: a worker that lost it changes nothing."""

    change: int
    kind: str
    case_id: str
    reference: str
    attempts: int
    lease: str


class JobStore(Protocol):
    """The worker's side of the outbox. Times are the database's clock."""

    def claim(self, *, limit: int, lease_seconds: int) -> list[Job]: ...
    def renew(self, job: Job, *, lease_seconds: int) -> bool:
        """Keep a slow send's lease. False when it is lost: another worker may have it."""

    def complete(self, job: Job, *, outcome: str) -> bool: ...
    def retry(
        self,
        job: Job,
        *,
        delay_seconds: float,
        error_code: str,
        is_partner_down: bool = False,
        retry_after_seconds: int | None = None,
    ) -> bool: ...
    def give_up(self, job: Job, *, error_code: str) -> bool: ...


class SendResult(StrEnum):
    """What became of one attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    NOT_RELEASED = "not-released"
    REFUSED = "refused"


@dataclass(frozen=True)
class SendOutcome:
    """``retry_after_seconds`` only where the partner said so; ``error_code`` is a short constant, never a body.
    ``is_partner_down``: the reason lies with the partner's system, so its other messages need not try either."""

    result: SendResult
    error_code: str = ""
    retry_after_seconds: int | None = None
    is_partner_down: bool = False


class Sender(Protocol):
    """Sends one job as requester ``system-delivery``: re-reads the release right before it connects (R9)."""

    def send(self, job: Job, now: datetime) -> SendOutcome: ...
