"""Writes the guide's examples: valid for SUSHI, invalid beside its input, with an index of the errors.

``python fhir_profiles/ig/examples.py`` rewrites input/examples and invalid/; with ``--check`` it only says what would
change (exit 1). So an example never says something that our builders do not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fhir_profiles.ig.invalid_examples import invalid
from fhir_profiles.ig.valid_examples import valid

HERE = Path(__file__).resolve().parent
VALID, INVALID = HERE / "input" / "examples", HERE / "invalid"


def files() -> dict[Path, str]:
    """Every file this writes, with its text."""
    made = {VALID / name: _text(payload) for name, (_, payload) in valid().items()}
    index = []
    for wrong in invalid():
        path = INVALID / wrong.folder / f"{wrong.name}.json"
        made[path] = _text(wrong.payload)
        facts = {"file": path.relative_to(INVALID).as_posix(), "profile": wrong.profile, "expression": wrong.expression}
        if wrong.invariant:
            facts["invariant"] = wrong.invariant
        index.append({**facts, "what": wrong.what})
    made[INVALID / "index.json"] = _text(index)
    return made


def stale(made: dict[Path, str]) -> list[Path]:
    """The files that are missing, different, or no longer wanted."""
    there = {*VALID.glob("*.json"), *INVALID.rglob("*.json")}
    return sorted(
        (there - made.keys())
        | {path for path, text in made.items() if path not in there or path.read_text(encoding="utf-8") != text}
    )


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write them, or with ``--check`` name those that would change."""
    made = files()
    changed = stale(made)
    if "--check" in arguments:
        sys.stdout.writelines(f"{path.relative_to(HERE)}\n" for path in changed)
        return 1 if changed else 0
    for path in changed:
        if path in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
