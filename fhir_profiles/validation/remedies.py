"""What to do about an issue: every text of the gate with its cause and its remedy, as data (``remedies.toml``).

The command prints a remedy below each issue, and the page for a partner's engineer is made from the same file. The wire
carries the text alone.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "remedies.toml"


@dataclass(frozen=True)
class Remedy:
    """``text`` as the code writes it, ``{}`` where words of ours stand; ``at``: where the expression points."""

    group: str
    text: str
    at: str
    why: str
    do: str

    def fits(self, text: str) -> bool:
        """True when ``text`` is this one with its words filled in."""
        return self._pattern().fullmatch(text) is not None

    def _pattern(self) -> re.Pattern[str]:
        return _pattern(self.text)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".+".join(re.escape(part) for part in text.split("{}")))


@cache
def remedies() -> tuple[Remedy, ...]:
    """All of them, in the order of the file."""
    groups = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return tuple(Remedy(group=group, **item) for group, items in groups.items() for item in items)


def remedy_of(text: str) -> Remedy | None:
    """The remedy of an issue's text: the one that leaves the least to be filled in. None for a text of nobody here."""
    fitting = [one for one in remedies() if one.fits(text)]
    return max(fitting, key=lambda one: len(one.text.replace("{}", "")), default=None)
