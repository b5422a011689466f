"""A check-up as text for a person and as JSON for a machine. No token, no patient, nothing the other side chose."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable

from launch.doctor.examination import Examination
from launch.doctor.findings import ExitCode, Finding, Light, exit_code

WIDTH = 110
SHOWN = {Light.GREEN: "green  ", Light.WARNING: "WARNING", Light.RED: "RED    ", Light.NOT_CHECKED: "-      "}
OUTCOMES = {
    ExitCode.ALL_GREEN: "A launch from this EHR works, as far as this computer can see.",
    ExitCode.NO_LAUNCH: "A launch from this EHR does not work, or is not safe.",
    ExitCode.SETUP: "Something on our own side has to be set right first.",
    ExitCode.UNREACHABLE: "The EHR does not answer from here.",
    ExitCode.WARNINGS: "A launch from this EHR works; something should be mended.",
    ExitCode.NO_COPY: "A launch from this EHR works; nothing is written to it.",
}


def as_text(examination: Examination) -> str:
    """The report as lines; what to ask the vendor stands under its finding, ready to be sent."""
    one = examination.registration
    head = f"{one.ehr_name}: {one.issuer}" if one else "An issuer that is not registered here"
    lines = [head, *(line for finding in examination.findings for line in lines_of(finding)), ""]
    return "\n".join([*lines, summary(examination.findings)])


def lines_of(finding: Finding) -> list[str]:
    """One finding, wrapped; its question to the vendor is indented under it."""
    start = f"{SHOWN[finding.light]}  {finding.id:<26}  "
    lines = textwrap.wrap(finding.words, WIDTH, initial_indent=start, subsequent_indent=" " * 11)
    if finding.ask:
        lines += textwrap.wrap(finding.ask, WIDTH, initial_indent=" " * 11 + "Ask: ", subsequent_indent=" " * 16)
    return lines


def summary(findings: Iterable[Finding]) -> str:
    """The last line: how many of each, what follows, and the exit code."""
    found = list(findings)
    counts = Counter(one.light for one in found)
    told = ", ".join(f"{counts[light]} {light.value}" for light in Light if counts[light])
    code = exit_code(found)
    return f"{told}. {OUTCOMES[code]} (exit code {code})"


def as_json(examination: Examination) -> str:
    """The report as one JSON object."""
    code = exit_code(examination.findings)
    one = examination.registration
    return json.dumps(
        {
            "registration": one.id if one else None,
            "issuer": one.issuer if one else None,
            "checked_at": examination.checked_at.isoformat(timespec="seconds"),
            "exit_code": code,
            "outcome": OUTCOMES[code],
            "findings": [
                {"id": each.id, "light": each.light.value, "words": each.words, "ask": each.ask}
                for each in examination.findings
            ],
        },
        indent=2,
    )
