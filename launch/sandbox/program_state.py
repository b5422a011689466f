"""The sandbox program as one object, and what its advocate can do; pages and the control port both call this."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from flask import Response, jsonify

from launch.sandbox.program_clinic import Answer, Clinic, ClinicError, ProgramKeys, now_utc
from launch.sandbox.program_messages import (
    SENDERS,
    Payload,
    Referral,
    changed_task,
    referral_bundle,
    release_b,
    with_overrides,
)
from launch.sandbox.program_store import ProgramStore

TIERS = ("contact", "appointment", "outcome")
MAX_SLOW_SECONDS = 60.0


@dataclass
class Knobs:
    """What the control port can break. ``down``: 503; ``refuse``: the connection ends without an answer."""

    down: bool = False
    refuse: bool = False
    slow_seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def set(self, changes: Mapping[str, Any]) -> None:
        """Change some. ``ValueError`` for an unknown name or a wrong value, and then none is changed."""
        for name, value in changes.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if name in ("down", "refuse") and isinstance(value, bool):
                continue
            if name == "slow_seconds" and is_number and 0 <= value <= MAX_SLOW_SECONDS:
                continue
            raise ValueError("down and refuse are true or false; slow_seconds is 0 to 60")
        with self.lock:
            for name, value in changes.items():
                setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """The values now."""
        return {"down": self.down, "refuse": self.refuse, "slow_seconds": self.slow_seconds}

    def failure(self, environ: Mapping[str, Any]) -> Response | None:
        """Fail as told, or wait as told and let the request through."""
        if self.refuse:
            connection = environ.get("werkzeug.socket")
            if isinstance(connection, socket.socket):
                connection.shutdown(socket.SHUT_RDWR)
        if self.refuse or self.down:
            answer = jsonify(resourceType="OperationOutcome", issue=[{"severity": "error", "code": "transient"}])
            answer.status_code = 503
            return answer
        if self.slow_seconds:
            time.sleep(self.slow_seconds)
        return None


@dataclass
class Program:
    """One running sandbox program: its address, what it keeps, its keys and its way to the clinic."""

    origin: str
    store: ProgramStore
    keys: ProgramKeys
    clinic: Clinic
    knobs: Knobs = field(default_factory=Knobs)

    # --- an item the clinic sent us ---

    def record_release(self, task_url: str, tier: str, signer: str = "self") -> Answer:
        """The survivor signed our form: tell the clinic how far it goes. ``LookupError`` for an unknown item."""
        item = self._item(task_url)
        if tier not in TIERS and tier != "none":
            raise ValueError("tier is none, contact, appointment or outcome")
        task = part_of(item["raw"], "Task")
        consent = release_b(
            SENDERS["harbor"],
            task_url=task_url,
            patient_reference=str(task["for"]["reference"]),
            tier=tier,
            signer=signer,
            today=_today(),
        )
        answer = self.clinic.post_release("harbor", consent)
        if answer.status in (200, 201, 202):
            self.store.run("UPDATE item SET tier=? WHERE task_url=?", tier, task_url)
        return answer

    def report(
        self,
        task_url: str,
        *,
        status: str | None = None,
        business_status: str | None = None,
        reason: str | None = None,
        if_match: str | None = None,
    ) -> Answer:
        """Tell the clinic what became of an item: read its Task, change the status, put it back with If-Match."""
        item = self._item(task_url)
        current = self.clinic.get("harbor", task_url)
        if current.status != 200:
            return current
        changed = changed_task(current.payload, status=status, business_status=business_status, reason=reason)
        answer = self.clinic.put("harbor", task_url, changed, if_match or current.etag)
        if answer.status == 200:
            self.store.run(
                "UPDATE item SET status=?, business_status=? WHERE task_url=?",
                status or item["status"],
                business_status or item["business_status"],
                task_url,
            )
        return answer

    def _item(self, task_url: str) -> Any:
        item = self.store.item_of(task_url)
        if item is None:
            raise LookupError("nothing was received with that Task")
        return item

    # --- a referral we send ---

    def refer(self, sender: str, form: Referral, overrides: Mapping[str, Any] | None = None) -> tuple[Answer, Payload]:
        """Send a referral to the clinic. Returns its answer and the bundle as sent."""
        if sender not in SENDERS:
            raise ValueError("as is harbor or northside")
        bundle = with_overrides(referral_bundle(SENDERS[sender], form, now_utc()), overrides or {})
        raw = json.dumps(bundle).encode()
        answer = self.clinic.post_referral(sender, raw)
        if answer.status in (200, 202) and answer.location:
            self.store.run(
                "INSERT INTO sent (sent_id, sender, alias, raw, http_status, location, sent_at) VALUES (?,?,?,?,?,?,?)",
                str(uuid.uuid4()),
                sender,
                form.alias,
                raw,
                answer.status,
                answer.location,
                time.time(),
            )
        return answer, bundle

    def ask_back(self, sent_id: str) -> None:
        """Ask the clinic what it may tell us about a referral we sent: its status, and day and time if released."""
        row = self.store.one("SELECT * FROM sent WHERE sent_id=?", sent_id)
        if row is None:
            raise LookupError("nothing was sent under that id")
        answer = self.clinic.get(row["sender"], row["location"])
        if answer.status != 200:
            raise ClinicError(f"The clinic did not show it (HTTP {answer.status}).")
        start, end = self._visit(row["sender"], answer.payload)
        self.store.run(
            "UPDATE sent SET status=?, visit_start=?, visit_end=?, asked_at=? WHERE sent_id=?",
            str(answer.payload.get("status", "received")),
            start,
            end,
            time.time(),
            sent_id,
        )

    def _visit(self, sender: str, task: Payload) -> tuple[str | None, str | None]:
        for output in task.get("output") or []:
            reference = str(output.get("valueReference", {}).get("reference", ""))
            if reference.startswith("Appointment/"):
                visit = self.clinic.get(sender, reference)
                if visit.status == 200:
                    return visit.payload.get("start"), visit.payload.get("end")
        return None, None


def part_of(raw: bytes, kind: str) -> Payload:
    """One resource of a kept bundle, by type."""
    for entry in json.loads(raw)["entry"]:
        if entry["resource"]["resourceType"] == kind:
            found: Payload = entry["resource"]
            return found
    raise LookupError("no such part")


def _today() -> date:
    return datetime.now(UTC).date()
