"""The named moments at which power may go off. Each is a function of the product; ``killable.py`` kills there.

Product code has no switch for this: the launcher wraps the function in its own process before the app starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class KillPoint:
    """``target`` is "module:name.name". Dies ``before`` it begins or ``after`` it returned."""

    name: str
    process: Literal["app", "worker"]
    when: Literal["before", "after"]
    target: str
    sentence: str


KILL_POINTS = (
    KillPoint("note-before-commit", "app", "after", "smart_app.gateways.unit_of_work:Unit.create",
              "the note is written and its transaction is not yet committed"),
    KillPoint("note-before-copy", "app", "before", "smart_app.workflows.disclosure:_copy_to_ehr",
              "the note is in the vault; the EHR has not been asked"),
    KillPoint("note-copied", "app", "after", "smart_app.gateways.ehr:EhrGateway.write_back",
              "the EHR holds the copy; the vault does not know it yet"),
    KillPoint("referral-before-commit", "app", "after", "smart_app.gateways.outbox:UnitOutbox.add",
              "rows and delivery job are written and not yet committed"),
    KillPoint("referral-before-copy", "app", "before", "smart_app.workflows.referral:_copy_to_ehr",
              "rows and job are committed; the EHR has not been asked"),
    KillPoint("referral-before-page", "app", "after", "smart_app.workflows.referral:send",
              "everything is done; the clinician has not seen the page"),
    KillPoint("inbound-receipt-claimed", "app", "after", "smart_app.gateways.unit_of_work:Unit.claim_receipt",
              "the program's identifiers are claimed; nothing of the referral is stored"),
    KillPoint("inbound-before-commit", "app", "after", "smart_app.workflows.inbound:_store",
              "the referral is written and not yet committed"),
    KillPoint("inbound-before-answer", "app", "after", "smart_app.workflows.inbound:accept",
              "the referral is committed; the program has no answer"),
    KillPoint("booking-before-commit", "app", "after", "smart_app.gateways.unit_of_work:Unit.amend",
              "the visit is booked, the request not yet accepted, nothing committed"),
    KillPoint("booking-before-copy", "app", "before", "smart_app.workflows.scheduling:_copy_to_ehr",
              "visit and request are committed; the EHR schedule has not been asked"),
    KillPoint("booking-copied", "app", "after", "smart_app.gateways.ehr:EhrGateway.book",
              "the visit is on the EHR schedule; the vault does not know it yet"),
    KillPoint("release-before-answer", "app", "after", "smart_app.workflows.release:record_from_partner",
              "the program's release is committed; the program has no answer"),
    KillPoint("status-before-answer", "app", "after", "smart_app.workflows.status_update:update_from_partner",
              "the program's status is committed; the program has no answer"),
    KillPoint("worker-before-claim-commit", "worker", "after", "smart_app.gateways.outbox:SqlJobStore._leased",
              "the job is leased and the lease not yet committed"),
    KillPoint("worker-claimed", "worker", "before", "smart_app.gateways.partner:PartnerSender.send",
              "the job is leased; nobody has looked at the release yet"),
    KillPoint("worker-before-connection", "worker", "after", "smart_app.gateways.door:VaultDoor.release",
              "the disclosure is announced in the log; nothing has left"),
    KillPoint("worker-sent", "worker", "after", "launch.backend_services:Client.post",
              "the program has taken it; no outcome is in the log"),
    KillPoint("worker-recall-announced", "worker", "after", "smart_app.gateways.door:VaultDoor.recall",
              "that an item is taken back is announced in the log; nothing has left"),
    KillPoint("worker-recall-sent", "worker", "after", "launch.backend_services:Client.put",
              "the program knows that an item is taken back; no outcome is in the log"),
    KillPoint("worker-before-complete", "worker", "before", "smart_app.gateways.outbox:SqlJobStore.complete",
              "the program has taken it and the log says so; the job is still open"),
    KillPoint("worker-inside-complete", "worker", "after", "smart_app.gateways.outbox:SqlJobStore._note",
              "the job is emptied and counted, not yet committed"),
    KillPoint("worker-completed", "worker", "after", "smart_app.gateways.outbox:SqlJobStore.complete",
              "the job is done"),
)  # fmt: skip
