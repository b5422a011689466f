"""``warm-referral``, run inside the tests' own process."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from click.testing import CliRunner, Result

from smart_app.cli import cli


def run_command(arguments: Sequence[str], env: dict[str, str] | None = None) -> Result:
    """One command, in a thread of its own: in the thread of the tests a browser of Playwright may be open, and it
    refuses the doctor a second one there."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: CliRunner().invoke(cli, arguments, env=env)).result()
