"""Words that tell what the app is for: they stand in nothing that is public, and nowhere before the privacy question
(R27). The list is ``neutral_words.txt`` beside this file."""

from __future__ import annotations

import re
from importlib import resources


def _lexicon() -> tuple[str, ...]:
    text = resources.files(__package__).joinpath("neutral_words.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


LEXICON = _lexicon()
_TELLING = re.compile(r"\b(" + "|".join(map(re.escape, LEXICON)) + ")")


def telling(text: str) -> list[str]:
    """The telling words in ``text``; the parts of an address or a file name count as words."""
    return _TELLING.findall(re.sub(r"[\W_]+", " ", text.lower()))
