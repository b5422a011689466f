"""Files on a desk: read within the limits, looked at, and told in three forms. No value and no sender's key in any."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from fhir_profiles.operation_outcome import operation_outcome
from fhir_profiles.shapes import Issue
from fhir_profiles.validation.examine import Looked, look_at
from fhir_profiles.validation.limits import MAX_BYTES
from fhir_profiles.validation.remedies import remedy_of

STANDARD_INPUT = "-"
NOTHING_WRONG = Issue("information", "informational", "", "No problem was found.")
_CANNOT_READ: tuple[tuple[type[OSError], str, str], ...] = (
    (FileNotFoundError, "not-found", "There is no such file."),
    (NotADirectoryError, "not-found", "There is no such file."),
    (IsADirectoryError, "not-supported", "This is a folder: name the files in it."),
    (PermissionError, "forbidden", "This file may not be read."),
    (OSError, "exception", "This file could not be read."),
)


def look_at_file(name: str, profile: str | None, standard_input: BinaryIO) -> Looked:
    """What is wrong in one file, "-" for ``standard_input``. A file that cannot be read is an issue like any other."""
    try:
        body = _read(name, standard_input)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in a name
        return Looked((_cannot_read(error),), "")
    return look_at(body, profile)


def _read(name: str, standard_input: BinaryIO) -> bytes:
    """No more than one byte beyond the limit: what is larger is refused unread."""
    if name == STANDARD_INPUT:
        return standard_input.read(MAX_BYTES + 1)
    with Path(name).open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _cannot_read(error: Exception) -> Issue:
    for kind, code, text in _CANNOT_READ:
        if isinstance(error, kind):
            return Issue("error", code, "", text)
    return Issue("error", "not-found", "", "There is no such file.")


def as_text(file: str, looked: Looked) -> str:
    """For a person: a line for each issue, what to do below it, and a last line that sums up."""
    lines = [line for issue in looked.issues for line in _lines(_shown(file), issue)]
    held = f" as {looked.held_to}" if looked.held_to else ""
    counts = Counter(issue.severity for issue in looked.issues)
    errors = counts["error"]
    told = f"{errors} error{'s' if errors > 1 else ''}" if errors else "valid"
    open_ = counts["information"]
    more = f"; {open_} remark{'s' if open_ > 1 else ''} above" if open_ else ""
    return "\n".join([*lines, f"{_shown(file)}: {told}{held}{more}"])


def _lines(file: str, issue: Issue) -> list[str]:
    place = f" at {issue.expression}" if issue.expression else ""
    remedy = remedy_of(issue.text)
    told = [f"{file}: {issue.severity} {issue.code}{place}: {issue.text}"]
    return told + ([f"    {remedy.do}"] if remedy is not None and issue.severity == "error" else [])


def as_outcome(_: str, looked: Looked) -> str:
    """An OperationOutcome in one line; with several inputs the lines are in the order of the inputs."""
    return json.dumps(operation_outcome(looked.issues or (NOTHING_WRONG,)))


def as_json_line(file: str, looked: Looked) -> str:
    """``{"file", "issues": [{"severity", "code", "expression", "text"}]}``."""
    return json.dumps({"file": _decodable(file), "issues": [asdict(issue) for issue in looked.issues]})


FORMS: Mapping[str, Callable[[str, Looked], str]] = {"text": as_text, "outcome": as_outcome, "jsonl": as_json_line}


def _decodable(name: str) -> str:
    """A file name with bytes that are no text, made printable."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _shown(name: str) -> str:
    """A file name on one line."""
    kept = _decodable(name)
    return kept if kept.isprintable() else json.dumps(kept)
