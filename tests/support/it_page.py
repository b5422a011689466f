"""What docs/health-center-it.md shows of our commands, and the same commands run anew.

``.venv/bin/python tests/support/it_page.py`` starts a demo of its own, runs every command that the page shows, and puts
what it printed where ``<!-- shown: NAME -->`` stands.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from commands import run_command
from demo_arguments import demo_arguments

from smart_app.demo import Place, Ports

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "health-center-it.md"
MADE_BY = ".venv/bin/python tests/support/it_page.py"
BLOCK = re.compile(r"<!-- shown: (?P<name>[a-z-]+) -->\n+```\n(?P<text>.*?)```\n", re.DOTALL)
FOLDER = "/srv/warm-referral"
ISSUER = "https://ehr.example.org/FHIR/R4"
INDENT = " " * 11  # of a finding that goes on
GREEN_LEFT_OUT = "(what is green is left out here)"


@dataclass(frozen=True)
class Scene:
    """Commands that are shown together. ``knobs``: how the sandbox EHR misbehaves meanwhile; None: no EHR is needed and
    the commands run in an empty folder. ``is_short``: green findings are left out."""

    commands: tuple[tuple[str, ...], ...]
    knobs: Mapping[str, Any] | None = None
    is_short: bool = False
    needs_chromium: bool = False


INIT = (
    "init", "--public-base-url", "https://care.example.org", "--site-name", "Riverside Health Center",
    "--site-phone", "555-0100", "--time-zone", "America/Chicago",
)  # fmt: skip
SCENES: dict[str, Scene] = {
    "set-up": Scene((INIT, ("ehr", "add", ISSUER, "--template", "epic"), ("config", "check"))),
    "explain": Scene((INIT, ("ehr", "add", ISSUER, "--template", "epic"), ("config", "explain", "ehr.placement"))),
    "keys": Scene((INIT, ("keys", "status"), ("keys", "rotate"))),
    "not-registered": Scene(
        (INIT, ("ehr", "add", ISSUER, "--template", "epic"), ("doctor", "https://other.example.org/fhir"))
    ),
    "healthy": Scene((("doctor", "a"),), {}, needs_chromium=True),
    "plain-pkce": Scene((("doctor", "a", "--no-browser"),), {"offer_plain_pkce": True}, is_short=True),
    "no-revocation": Scene((("doctor", "a", "--no-browser"),), {"without_revocation": True}, is_short=True),
}
# Of these scenes only the last command is shown; the others prepare it.
LAST_ONLY = {"explain", "not-registered"}


@dataclass
class Stage:
    """Where scenes are played: a running demo, and folders for those that need none."""

    place: Place
    folder: Path
    played: dict[str, str] = field(default_factory=dict)

    def play(self, name: str) -> str:
        """What the page shows of this scene, with the demo's usual ports and no path of this machine."""
        scene = SCENES[name]
        if scene.knobs is None:
            site = self.folder / name
            site.mkdir()
            shown = [self._run(command, site) for command in scene.commands]
            text = "\n".join(shown[-1:] if name in LAST_ONLY else shown[1:] if name == "keys" else shown)
            return text.replace(str(site), FOLDER)
        with self._misbehaving(scene.knobs):
            text = self._run(("--config", str(self.place.config), *scene.commands[0]), self.folder)
        text = text.replace(f"--config {self.place.config} ", "")
        usual = Place(Path(), Ports())
        for ours, theirs in ((self.place.app_url, usual.app_url), (self.place.ehr_url, usual.ehr_url)):
            text = text.replace(ours, theirs)
        return without_green(text) if scene.is_short else text

    def _run(self, command: tuple[str, ...], site: Path) -> str:
        with contextlib.chdir(site):
            result = run_command(command)
        said = " ".join(f'"{word}"' if " " in word else word for word in command)
        return f"$ warm-referral {said}\n{result.output}"

    @contextlib.contextmanager
    def _misbehaving(self, knobs: Mapping[str, Any]) -> Iterator[None]:
        before = requests.get(f"{self.place.ehr_control}/state", timeout=10).json()["knobs"]
        self._set(knobs)
        yield
        self._set(before)

    def _set(self, knobs: Mapping[str, Any]) -> None:
        requests.post(f"{self.place.ehr_control}/set", json=dict(knobs), timeout=10).raise_for_status()


def without_green(text: str) -> str:
    """A report without its green findings, and a line that says so."""
    command, head, *lines = text.splitlines()
    kept, is_kept = [command, head, GREEN_LEFT_OUT], True
    for line in lines:
        is_kept = is_kept if line.startswith(INDENT) else not line.startswith("green ")
        kept += [line] * is_kept
    return "\n".join(kept) + "\n"


def unwrapped(text: str) -> list[str]:
    """Lines as they were before they were wrapped: what is indented belongs to the line above, a question to the vendor
    is a line of its own."""
    lines: list[str] = []
    for line in text.splitlines():
        is_more = line.startswith(INDENT) and not line.lstrip().startswith("Ask: ")
        if is_more and lines:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.rstrip())
    return lines


def shape(text: str) -> list[str]:
    """What stays the same from run to run: everything but days, times, key ids and where lines break."""
    changing = (
        (r"\d{4}-\d\d-\d\d( \d\d:\d\d)?", "DAY"),
        (r"\d+ ms\b", "# ms"),
        (r"\(\d+ days\)", "(# days)"),
        (r"(?m)^[A-Za-z0-9_-]{43}(?= )", "KEY"),
    )
    lines = "\n".join(unwrapped(text))
    for pattern, word in changing:
        lines = re.sub(pattern, word, lines)
    return lines.splitlines()


def shown() -> dict[str, str]:
    """Name -> what the page shows of it now."""
    return {found["name"]: found["text"] for found in BLOCK.finditer(PAGE.read_text())}


def _make() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder) / "demo", Ports(18500, 18501, 18502, 18503, 18504))
        demo = subprocess.Popen([sys.executable, *demo_arguments(place)], cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            _wait_for(place)
            stage = Stage(place, Path(folder))
            made = {name: stage.play(name) for name in SCENES}
        finally:
            demo.terminate()
            demo.wait(30)
    PAGE.write_text(
        BLOCK.sub(lambda found: f"<!-- shown: {found['name']} -->\n\n```\n{made[found['name']]}```\n", PAGE.read_text())
    )


def _wait_for(place: Place) -> None:
    for _ in range(240):
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{place.app_url}/health", timeout=5).ok:
                return
        time.sleep(0.5)
    raise SystemExit("the demo did not start")


if __name__ == "__main__":
    _make()
