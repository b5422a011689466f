"""Writes the made parts of referral-by-fhir.md: the shortest referral, the answer to it, and the tables of errors.

``python docs/make_referral_page.py`` rewrites them; with ``--check`` it only says whether they would change (exit 1).
"""

from __future__ import annotations

import json
import re
import sys
from datetime import date
from pathlib import Path

from fhir_profiles.sample_referral import shortest_referral
from fhir_profiles.terminology import Payload
from fhir_profiles.validation.remedies import Remedy, remedies
from smart_app.api.partner_fhir import RECEIVED

PAGE = Path(__file__).with_name("referral-by-fhir.md")
SIGNED = date(2026, 11, 24)
WIDTH = 110
GROUPS = {
    "body": "The body could not be read",
    "shape": "Any element",
    "label": "Labels",
    "referral": "How a referral hangs together",
}


def made_parts() -> dict[str, str]:
    """The name of each made part, and its Markdown."""
    return {
        "shortest referral": _json(shortest_referral(SIGNED)),
        "received": _json(RECEIVED),
        "remedies": "\n\n".join(_table(group, title) for group, title in GROUPS.items()),
    }


def _json(payload: Payload) -> str:
    return f"```json\n{_folded(payload, 0)}\n```"


def _folded(value: object, depth: int) -> str:
    """JSON with every value that fits on one line on one line, so that a referral can be read on two screens."""
    text = json.dumps(value)
    if len(text) + depth <= WIDTH or not isinstance(value, dict | list):
        return text
    pad, end = " " * (depth + 1), " " * depth
    if isinstance(value, list):
        return "[\n" + ",\n".join(pad + _folded(item, depth + 1) for item in value) + f"\n{end}]"
    lines = [f"{pad}{json.dumps(key)}: {_folded(item, depth + 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{end}}}"


def _table(group: str, title: str) -> str:
    rows = [_row(one) for one in remedies() if one.group == group]
    return "\n".join([f"### {title}", "", "| text | at | cause | what to do |", "|---|---|---|---|", *rows])


def _row(one: Remedy) -> str:
    cells = (one.text.replace("{}", "…"), one.at or "the whole body", one.why, one.do)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Angle brackets and bars mean something in Markdown."""
    return re.sub(r"<(\w[^>]*)>", r"`<\1>`", text).replace("|", "\\|").replace("``", "`")


def written(page: str) -> str:
    """The page with its made parts put in. ValueError when a marker is missing."""
    for name, text in made_parts().items():
        begin, end = f"<!-- begin: {name} (docs/{Path(__file__).name}) -->", f"<!-- end: {name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{PAGE.name} has no marks of the part {name}")
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` compare it."""
    before = PAGE.read_text(encoding="utf-8")
    after = written(before)
    if "--check" not in arguments:
        PAGE.write_text(after, encoding="utf-8")
        return 0
    return 1 if before != after else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
