"""The example that partners' engineers copy does its work against the running demo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from smart_app.demo import Place

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "post_referral.py"


def test_the_example_refers_somebody_and_sees_that_it_was_received(demo: Place) -> None:
    """A program's engineer copies one command from the README and gets a referral through."""
    arguments = ["--fhir-base", f"{demo.app_url}/fhir", "--program", "harbor", "--client-id", "harbor-system"]
    command = [sys.executable, str(EXAMPLE), *arguments, "--key-file", str(demo.directory / "program-keys.json")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("202 ")
    assert result.stdout.count("The clinic says: requested") == 3
