"""Changing our signing keys without an hour in which somebody does not know them.

``rotate`` adds a key that is published now and signs later; ``retire`` takes an old one away, and never the one that
signs. Each writes the file whole or not at all, for its owner only, and never two at a time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from launch.keys import KeptKey, KeyFileError, as_text, new_key, read_key_file, signing_now

OVERLAP_SECONDS = 24 * 3600  # who fetches our key set once a day knows the new key before it signs
# What the old key signed last may be on its way for the life of an assertion, and be checked by a set fetched before.
STILL_CHECKED_SECONDS = 15 * 60


@dataclass(frozen=True)
class KeyStatus:
    """One key as a person sees it. ``state``: "signs", "next" or "old". ``retire_from``: when an old one may go."""

    kid: str
    alg: str
    state: str
    made_at: float
    signs_from: float
    retire_from: float | None = None


def status(path: Path, now: float) -> list[KeyStatus]:
    """Every key of the file, in its order. ``KeyFileError`` as ``keys.read_key_file``."""
    kept = read_key_file(path)
    return [_status_of(one, kept, now) for one in kept]


def rotate(path: Path, algs: Sequence[str], now: float, overlap_seconds: float = OVERLAP_SECONDS) -> list[KeyStatus]:
    """Add a key for each of ``algs`` that is published now and signs ``overlap_seconds`` later. ``KeyFileError`` when a
    key is waiting already: two changes at a time help nobody."""
    with _rewriting(path) as kept:
        waiting = {one.alg for one in kept if one.signs_from > now}
        if waiting & set(algs):
            raise KeyFileError("A new key waits to sign already: see keys status, or take it back with keys retire.")
        kept += [new_key(alg, made_at=now, signs_from=now + overlap_seconds) for alg in algs]
    return status(path, now)


def retire(path: Path, kid: str, now: float) -> None:
    """Take one key away. ``KeyFileError`` for one that is not there, signs, is the only one, or is still checked."""
    with _rewriting(path) as kept:
        found = next((one for one in kept if one.kid == kid), None)
        if found is None:
            raise KeyFileError("No key has this kid: see keys status.")
        if len([one for one in kept if one.alg == found.alg]) == 1:
            raise KeyFileError(f"This is the only {found.alg} key: run keys rotate first.")
        seen = _status_of(found, kept, now)
        if seen.state == "signs":
            raise KeyFileError("This key signs now: run keys rotate, and retire it when the new key has taken over.")
        if seen.retire_from is not None and now < seen.retire_from:
            minutes = int((seen.retire_from - now) // 60) + 1
            raise KeyFileError(f"What this key signed last may still be checked: retire it in {minutes} minutes.")
        kept.remove(found)


def _status_of(one: KeptKey, kept: Sequence[KeptKey], now: float) -> KeyStatus:
    signing = signing_now(kept, one.alg, now)
    if signing is None or one is signing:
        return KeyStatus(one.kid, one.alg, "signs", one.made_at, one.signs_from)
    if one.signs_from > now:
        return KeyStatus(one.kid, one.alg, "next", one.made_at, one.signs_from)
    free = signing.signs_from + STILL_CHECKED_SECONDS
    return KeyStatus(one.kid, one.alg, "old", one.made_at, one.signs_from, retire_from=free)


@contextlib.contextmanager
def _rewriting(path: Path) -> Iterator[list[KeptKey]]:
    """The keys to change; what is left of them is written when the block ends without an error."""
    unfinished = path.with_name(path.name + ".new")
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(f"The keys are being changed right now. If nobody does, remove {unfinished}.") from None
    except OSError:
        raise KeyFileError(f"{path.parent} cannot be written by this user.") from None
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            kept = list(read_key_file(path))
            yield kept
            file.write(as_text(kept))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
