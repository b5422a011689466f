"""What one launch has sent to be created at its EHR, so that nothing is created twice.

No EHR promises conditional create. So a row is committed before a create is sent, and a second create of the same
content sends nothing: it gets the first one's reference, or, while nobody knows how that ended, a look-up instead. Rows
are sealed notes of the launch and end with it: without its token nothing more can be sent.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import IntegrityError

from launch.errors import EhrAuthorizationEndedError
from launch.store import LaunchStore

_PREFIX = "create-"
_NOTE_KEY_CHARACTERS = 64


class CreateLedger:
    """The ledger of one launch. Shared by all workers through the database."""

    def __init__(self, store: LaunchStore, launch_id: str) -> None:
        self._store = store
        self._launch_id = launch_id

    def open(self, payload: dict[str, Any]) -> bool:
        """True: this content was never sent in this launch, and is noted as sent from now on. False: it was.
        ``EhrAuthorizationEndedError`` if the launch is over."""
        try:
            return self._store.claim_note(self._launch_id, _key(payload))
        except IntegrityError:
            raise EhrAuthorizationEndedError("launch-over", 401) from None

    def reference(self, payload: dict[str, Any]) -> str | None:
        """The reference this content got at the EHR, None as long as nobody knows."""
        reference: str | None = self._store.note(self._launch_id, _key(payload))
        return reference

    def made(self, payload: dict[str, Any], reference: str) -> None:
        """The EHR took it."""
        with suppress(IntegrityError):  # the person left meanwhile, and nothing more can be sent
            self._store.put_note(self._launch_id, _key(payload), reference)

    def not_made(self, payload: dict[str, Any]) -> None:
        """The EHR said no, or heard nothing: it may be sent again."""
        self._store.drop_note(self._launch_id, _key(payload))


def _key(payload: dict[str, Any]) -> str:
    """The same for the same content, whatever the order of its members; ``id`` is the EHR's to give."""
    content = {name: value for name, value in payload.items() if name != "id"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return (_PREFIX + hashlib.sha256(text.encode()).hexdigest())[:_NOTE_KEY_CHARACTERS]
