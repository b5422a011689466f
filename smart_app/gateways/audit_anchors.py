"""Anchors of the audit chain in a file outside the database, each signed (R26, attack 14).

An anchor says how far the chain reached and with which hash. Who cuts the newest rows off, or puts an old copy of the
database back, cannot take the line out of a file on another host. The key is derived from the master key and is not in
the database; its public half is all an auditor needs to read the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smart_app.gateways.alerts import SqlAlerts
from smart_app.gateways.audit_log import Anchor
from smart_app.gateways.cipher import Keys

EVERY = timedelta(minutes=15)
ALERT = "audit-anchor-not-written"


class AnchorFileError(Exception):
    """The file of anchors cannot be relied on. The text is ours and names the line."""


class AnchorSigner:
    """Signs anchors of one tenant and knows its own again (Ed25519, RFC 8032)."""

    def __init__(self, master: Keys, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._key = Ed25519PrivateKey.from_private_bytes(master.derive(f"audit-anchor|{tenant_id}"))

    @property
    def public_key(self) -> bytes:
        """32 bytes with which anybody can check a line."""
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def line(self, anchor: Anchor, now: datetime) -> bytes:
        """One line of the file: a JSON object, its signature in it."""
        said = {
            "tenant": self._tenant_id,
            "position": anchor.position,
            "row_hash": anchor.row_hash.hex(),
            "at": now.isoformat(timespec="seconds"),
        }
        return orjson.dumps({**said, "signature": self._key.sign(_signed(said)).hex()}) + b"\n"

    def anchor(self, line: bytes) -> Anchor:
        """The anchor of one line. Raises ``ValueError`` for a line that this tenant's key did not sign."""
        return read_line(line, self.public_key, self._tenant_id)


def read_line(line: bytes, public_key: bytes, tenant_id: str) -> Anchor:
    """The anchor of one line, checked with the public key alone. Raises ``ValueError``."""
    try:
        said = orjson.loads(line)
        signature = bytes.fromhex(said.pop("signature"))
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _signed(said))
        if said["tenant"] != tenant_id:
            raise ValueError("an anchor of another tenant")
        return Anchor(said["position"], bytes.fromhex(said["row_hash"]))
    except (KeyError, TypeError, AttributeError, InvalidSignature):
        raise ValueError("not an anchor that was signed here") from None


def read_file(file: Path, signer: AnchorSigner) -> list[Anchor]:
    """All anchors of the file. Raises ``AnchorFileError`` when it cannot be read, is empty, or holds a line that was
    altered or not finished."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        raise AnchorFileError("the file of anchors cannot be read") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(signer.anchor(line))
        except ValueError:
            raise AnchorFileError(f"line {number} of the file of anchors was not signed here") from None
    if not found:
        raise AnchorFileError("the file of anchors is empty")
    return found


def add_line(file: Path, line: bytes) -> None:
    """Add one line in one write, and wait for the disk. Works where the file may only grow (chattr +a)."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AnchorKeeper:
    """The worker's part: a new line every quarter of an hour, if the chain grew since. Several workers may do it."""

    def __init__(
        self,
        file: Path,
        signer: AnchorSigner,
        head: Callable[[], Anchor],
        alerts: SqlAlerts,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._file = file
        self._signer = signer
        self._head = head
        self._alerts = alerts
        self._now = now
        self._last: tuple[datetime, Anchor] | None = None

    def look(self) -> bool:
        """Write a line if it is time; tell the privacy officer when the file cannot be written. True: it was."""
        now = self._now()
        if self._last is not None and now < self._last[0] + EVERY:
            return False
        head = self._head()
        if head.position == 0 or (self._last is not None and head == self._last[1]):
            return False
        try:
            add_line(self._file, self._signer.line(head, now))
        except OSError:
            self._alerts.raise_once(ALERT)
            return False
        self._last = (now, head)
        return True


def _signed(said: dict[str, Any]) -> bytes:
    return b"warm-referral audit anchor\n" + orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
