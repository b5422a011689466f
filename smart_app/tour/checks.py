"""What the tour found: each check is a sentence that came true or did not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Payload = dict[str, Any]
Label = tuple[str, str]


@dataclass
class Checks:
    """Collects differences; ``say`` prints. The tour goes on after a difference, so that one run names them all."""

    say: Callable[[str], None]
    differences: list[str] = field(default_factory=list)

    def flow(self, title: str) -> None:
        """A heading."""
        self.say(f"\n{title}")

    def that(self, sentence: str, is_true: bool) -> None:
        """One check in words a nurse could read."""
        self.say(f"  {'ok      ' if is_true else 'DIFFERS '}  {sentence}")
        if not is_true:
            self.differences.append(sentence)

    def message(self, route: str, payload: Any) -> None:
        """Print one message as it crossed, on one line."""
        text = payload if isinstance(payload, str) else json.dumps(payload, separators=(",", ":"))
        self.say(f"  message   {route}: {text}")

    def same_labels(self, sentence: str, payload: Payload | None, wanted: Iterable[Label]) -> None:
        """``meta.security`` is exactly ``wanted``; missing and extra codes are named."""
        found = labels_of(payload or {})
        missing, extra = sorted(set(wanted) - found), sorted(found - set(wanted))
        detail = "".join(
            f"; {word} {', '.join(code for _, code in codes)}"
            for word, codes in (("missing", missing), ("extra", extra))
            if codes
        )
        self.that(sentence + detail, not missing and not extra)


def labels_of(payload: Payload) -> set[Label]:
    """The labels of one resource as (system, code)."""
    return {(c.get("system", ""), c.get("code", "")) for c in payload.get("meta", {}).get("security", [])}
