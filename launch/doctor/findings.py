"""What a check found: a light, plain words, and a sentence that can be sent to the vendor as it stands.

Findings quote nothing that the other side chose: names are ours, numbers are numbers, and what has to be shown (the
name and version of an EHR) is cut down to plain printable text first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MAX_SHOWN = 60


class Light(StrEnum):
    """How a finding is to be read."""

    GREEN = "green"
    WARNING = "warning"
    RED = "red"
    NOT_CHECKED = "not checked"


class Stops(StrEnum):
    """What a red finding stops; it decides the exit code."""

    LAUNCH = "launch"
    COPY = "copy"
    SETUP = "setup"
    EVERYTHING = "everything"


class ExitCode:
    """Exit codes of ``doctor``, most urgent first where several apply: 2, 3, 1, 5, 4."""

    ALL_GREEN = 0
    NO_LAUNCH = 1
    SETUP = 2
    UNREACHABLE = 3
    WARNINGS = 4
    NO_COPY = 5


@dataclass(frozen=True)
class Finding:
    """One line of a report. ``id`` such as "discovery.pkce" is stable; ``ask`` is a sentence for the vendor, or ""."""

    id: str
    light: Light
    words: str
    ask: str = ""
    stops: Stops = Stops.LAUNCH


def green(finding_id: str, words: str) -> Finding:
    """All is well."""
    return Finding(finding_id, Light.GREEN, words)


def warning(finding_id: str, words: str, ask: str = "") -> Finding:
    """A launch works; something should be known or mended."""
    return Finding(finding_id, Light.WARNING, words, ask)


def red(finding_id: str, words: str, ask: str = "", *, stops: Stops = Stops.LAUNCH) -> Finding:
    """A launch (or what ``stops`` names) does not work, or is not safe."""
    return Finding(finding_id, Light.RED, words, ask, stops)


def not_checked(finding_id: str, words: str, ask: str = "") -> Finding:
    """Nothing was found out; the words say what would be needed."""
    return Finding(finding_id, Light.NOT_CHECKED, words, ask)


def exit_code(findings: Iterable[Finding]) -> int:
    """The exit code of a whole report. What was not checked counts as neither good nor bad."""
    found = list(findings)
    stopped = {one.stops for one in found if one.light is Light.RED}
    for stops, code in (
        (Stops.SETUP, ExitCode.SETUP),
        (Stops.EVERYTHING, ExitCode.UNREACHABLE),
        (Stops.LAUNCH, ExitCode.NO_LAUNCH),
        (Stops.COPY, ExitCode.NO_COPY),
    ):
        if stops in stopped:
            return code
    has_warning = any(one.light is Light.WARNING for one in found)
    return ExitCode.WARNINGS if has_warning else ExitCode.ALL_GREEN


def plain(value: object) -> str:
    """A name or version that another system gave, fit to be printed: plain letters, and not many."""
    text = value if isinstance(value, str) else ""
    return re.sub(r"[^A-Za-z0-9 ._()+:/-]", "", text)[:MAX_SHOWN].strip() or "not named"
