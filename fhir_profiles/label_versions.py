"""Labels and versions: R4 lets labels change under one version, so a version alone does not say what was read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from fhir_profiles.security_labels import LEVELS, REDACTED, Label, enforced_of, labels_of, level_of
from fhir_profiles.terminology import CONFIDENTIALITY, Payload


def etag(version: int, labels: Iterable[Label]) -> str:
    """The weak ETag of one version under these labels: a set, so neither order nor repetition counts."""
    lines = "\n".join(sorted({f"{label.system}|{label.code}" for label in labels}))
    return f'W/"{version}-{hashlib.sha256(lines.encode()).hexdigest()[:16]}"'


def labels_of_version(own: Iterable[Label], current: Iterable[Label]) -> tuple[Label, ...]:
    """What to enforce on an old version: the higher of its own level and today's, and every other label of either. A
    label that was raised later protects what was stored before; one that was lowered does not open it."""
    old, new = enforced_of(own), enforced_of(current)
    levels = [label for label in (*old, *new) if label.system == CONFIDENTIALITY]
    highest = max(levels, key=lambda label: LEVELS.index(label.code))
    rest = [label for label in (*new, *old) if label.system != CONFIDENTIALITY]
    return (highest, *dict.fromkeys(rest))


def is_lowered(before: Payload, after: Payload) -> bool:
    """Some label is gone, the level is weaker, missing or not one, or a redacted view is being written back."""
    old, new = labels_of(before), labels_of(after)
    try:
        old_level, new_level = level_of(old), level_of(new)
    except ValueError:
        return True
    if new_level not in LEVELS or (old_level in LEVELS and LEVELS.index(new_level) < LEVELS.index(old_level)):
        return True
    kept = {label for label in old if label.system != CONFIDENTIALITY}
    return not kept <= set(new) or REDACTED in new
