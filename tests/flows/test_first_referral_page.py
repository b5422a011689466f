"""docs/first-referral.md does what it says: its blocks run as they stand against the demo."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from smart_app.demo import Place

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "first-referral.md").read_text()
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(demo: Place, tmp_path: Path) -> Path:
    """A folder that looks like the repository with its demo, with the demo that is running behind it."""
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "demo").symlink_to(demo.directory)
    return tmp_path


def test_each_block_runs_in_turn(demo: Place, folder: Path) -> None:
    """An engineer who copies every block, in order and in one terminal, comes to the end: a token, a referral that is
    checked, taken, found, taken back, one that is refused without an echo, and a program that says it is full. Breaks
    when a command, a path or an answer of the page changes."""
    script = []
    for language, text in BLOCK.findall(PAGE):
        text = text.replace("http://127.0.0.1:8000", demo.app_url)
        if language == "python":
            text = f"cat > first.py <<'SCRIPT'\n{text}SCRIPT\n../../.venv/bin/python first.py\n"
        script.append(text)
    assert len(script) >= 8
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(script)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    said = done.stdout
    assert "200 for the same body again" in said
    assert '"status":"cancelled"' in said
    assert "422 ['Bundle.entry[0].resource'] False" in said
    assert re.search(rf"202 {re.escape(demo.app_url)}/fhir/Task/\S+", said)
    assert "open now: 1 " in said
    assert "200 clinicians see that you are full" in said
    assert "lantern: suspended." in said
    assert (folder / "var" / "first" / "key.json").stat().st_mode & 0o077 == 0
