"""``python -m fhir_profiles.validation [PACKAGE.tgz ...]``: write ``definitions.json`` from HL7's core and our own."""

from __future__ import annotations

import sys
from pathlib import Path

from fhir_profiles.validation.snapshots import core_sources, generate
from fhir_profiles.validation.tree import DATA


def main(arguments: list[str]) -> None:
    """Without arguments, the core package committed in ``fhir_profiles/definitions``."""
    sources = [Path(name) for name in arguments] or core_sources()
    if not sources:
        sys.exit("No core package in fhir_profiles/definitions: name one, for example hl7.fhir.r4.core-4.0.1.tgz")
    DATA.write_text(generate(sources))


if __name__ == "__main__":
    main(sys.argv[1:])
