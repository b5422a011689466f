"""How long to wait before the next try: full jitter, doubling to a day (a program may be down for days)."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 2.0
LONGEST_SECONDS = 86_400.0


def delay_seconds(
    attempts: int, retry_after_seconds: int | None = None, *, jitter: Callable[[], float] = random.random
) -> float:
    """Seconds after the ``attempts``-th try (from 1). Anywhere between half a second and the doubled limit, so that
    many waiting messages do not come back at once; never sooner than the partner asked."""
    limit = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempts - 1, 32))
    return max(0.5, jitter() * limit, float(retry_after_seconds or 0))
