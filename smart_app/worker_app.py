"""The delivery worker put together. Apart from ``app``, so that it carries no page, no form and no web framework."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fhir_profiles import r4, validation
from launch.backend_services import Client as BackendClient
from smart_app.delivery.erasure_job import ErasureJob
from smart_app.delivery.worker import Worker
from smart_app.foundation import lay_foundation, now
from smart_app.gateways import audit_log
from smart_app.gateways.audit_anchors import AnchorKeeper, AnchorSigner
from smart_app.gateways.crossing_watch import CrossingWatch
from smart_app.gateways.outbox import SqlJobStore
from smart_app.gateways.partner import PartnerSender
from smart_app.gateways.sla_timers import SqlTimers
from smart_app.record_keeping import eraser_of
from smart_app.settings import Settings

SENT = ("Bundle", "Patient", "Consent", "ServiceRequest", "Task")


def create_worker(settings: Settings) -> Worker:
    """The delivery worker; run as many as you like."""
    base = lay_foundation(settings)
    client = BackendClient.from_key_file(settings.registrations.keys_file, allows_loopback_http=settings.mode == "demo")
    sender = PartnerSender(
        client,
        base.door,
        base.directory,
        base.mou_gate,
        public_base_url=settings.public_base_url,
    )
    watch = CrossingWatch(
        lambda after: audit_log.readable_entries(base.engine, base.cipher, after=after),
        lambda: audit_log.anchor(base.engine, settings.tenant_id).position,
        base.alerts,
        now=now,
    )
    coordinator = settings.mail.coordinator if settings.mail is not None else None
    timers = SqlTimers(base.engine, base.cipher, site_id=settings.site.id, coordinator=coordinator)

    looks: list[Callable[[], object]] = [lambda: timers.fire(now()), watch.look]
    if settings.audit_anchor_file is not None:
        signer = AnchorSigner(base.ring, settings.tenant_id)
        head = partial(audit_log.anchor, base.engine, settings.tenant_id)
        looks.append(AnchorKeeper(settings.audit_anchor_file, signer, head, base.alerts, now=now).look)

    jobs = SqlJobStore(base.engine, base.cipher, site_id=settings.site.id, now=now)
    # What the first send would otherwise wait for, between the release and the bytes.
    r4.load(SENT)
    validation.load()
    return Worker(jobs, sender, now=now, watches=looks)


def create_erasure(settings: Settings) -> ErasureJob:
    """What ``work`` runs beside the delivery: records that end are erased on time (R35)."""
    eraser = eraser_of(lay_foundation(settings), settings)
    return ErasureJob(lambda: eraser.look(now()))
