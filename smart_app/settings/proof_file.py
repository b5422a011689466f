"""The site proof of one registration, as a file that is replaced while the app runs (R6)."""

from __future__ import annotations

import json
import threading
from datetime import date
from pathlib import Path

from smart_app.policy.placement import SiteProof

LONGEST_ID = 32


class ProofFile:
    """Reads the proof again when its file was replaced. Whatever is missing or unreadable is no proof; its dates are
    judged at use, so that what runs out turns a copy off and never stops the app."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._proof: SiteProof | None = None

    def read(self) -> SiteProof | None:
        """The proof as the file holds it now."""
        if self._path is None:
            return None
        try:
            status = self._path.stat()
        except OSError:
            return None
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        with self._lock:
            if seen != self._seen:
                self._proof, self._seen = _parsed(self._path), seen
            return self._proof


def _parsed(path: Path) -> SiteProof | None:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return SiteProof(
            registration_id=raw["registration_id"],
            made_on=date.fromisoformat(raw["made_on"][:10]),
            expires_on=date.fromisoformat(raw["expires_on"][:10]),
            classes={str(kind): str(letter) for kind, letter in raw["classes"].items()},
            voided_on=date.fromisoformat(raw["voided_on"]) if raw.get("voided_on") else None,
            proof_id=str(raw.get("proof_id", ""))[:LONGEST_ID],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
