"""How often ``/launch`` may be called: enough for any clinic, too little to fill the audit log or the disk.

Everybody can call ``/launch`` with the address of a registered EHR, and each call keeps a row and is audited. So each
network has a bucket: 300 launches at once, then five a second. A clinic shows one address to the outside however many
work there: fifty clinicians who all open a chart in the same moment, and again, and again, do not come near the limit;
each would have to launch every ten seconds without end. Whoever is signed in is not counted with the rest of the
network: a stranger in the waiting room cannot use up what the clinicians need.

Each process counts for itself, in memory, so that a flood costs no write.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from launch.buckets import Buckets
from launch.refusal_log import network_of

AT_ONCE: Final = 300
PER_SECOND: Final = 5.0
SIGNED_IN_AT_ONCE: Final = 30
SIGNED_IN_PER_SECOND: Final = 0.5


class LaunchRate:
    """Buckets by network, and by browser session for those who are signed in."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(max(AT_ONCE / PER_SECOND, SIGNED_IN_AT_ONCE / SIGNED_IN_PER_SECOND), monotonic)

    def seconds_to_wait(self, address: str | None, signed_in: Callable[[], str | None]) -> int:
        """0 to go on; otherwise the whole seconds until the next launch from there will be taken.

        ``signed_in()`` gives the id of the browser's session if somebody has completed a launch in it; it is asked only
        when the network's bucket is empty.
        """
        wait = self._buckets.take("network|" + network_of(address), AT_ONCE, PER_SECOND)
        session_id = signed_in() if wait else None
        if session_id is not None:
            wait = self._buckets.take("session|" + session_id, SIGNED_IN_AT_ONCE, SIGNED_IN_PER_SECOND)
        return math.ceil(wait)
