"""One thing that is proven, and what it looks like when it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Of = TypeVar("Of", contravariant=True)


class ProofError(Exception):
    """A check failed. The text says what was seen; all of it is from a health center that is thrown away."""


@dataclass(frozen=True)
class Check(Generic[Of]):
    """``name`` is its id, ``says`` the sentence it proves; ``run`` raises ``ProofError``."""

    name: str
    says: str
    run: Callable[[Of], None]


def require(holds: bool, what_was_seen: str) -> None:
    """``ProofError`` unless it holds."""
    if not holds:
        raise ProofError(what_was_seen)
