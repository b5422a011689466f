"""``make mutate``: does a test notice each small change of a decision? Ends with 1 when one goes unnoticed, unlisted.

Nothing on the disk is changed: a fork takes the changed source in place of the file, runs the tests that belong to it
and stops at the first that fails. What survives for a good reason stands in ``accepted.toml``.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from changes import Change, Name, changes

ROOT = Path(__file__).resolve().parents[2]
ACCEPTED = Path(__file__).with_name("accepted.toml")
sys.path.append(str(ROOT / "tests" / "support"))  # where the narrow tests have what they share
TIMEOUT_SECONDS = 180
WORKERS = int(os.environ.get("WORKERS", os.cpu_count() or 1))
# The narrow tests of each file, and what spares a fork work: pure tests need no conftest.
TESTS: dict[str, tuple[str, ...]] = {
    "smart_app/policy/access.py": (
        "--noconftest",
        "tests/smart_app/policy/test_guards.py",
        "tests/smart_app/policy/test_access.py",
    ),
    "smart_app/policy/consent.py": (
        "--confcutdir=tests/smart_app/policy",
        "tests/smart_app/policy/test_release_edges.py",
        "tests/smart_app/policy/test_consent.py",
        "tests/smart_app/policy/test_release_begins.py",
    ),
    "smart_app/gateways/links.py": ("--noconftest", "tests/smart_app/gateways/test_links.py"),
    "smart_app/gateways/door.py": (
        "-k",
        "not postgresql",
        "tests/smart_app/gateways/test_door.py",
        "tests/smart_app/gateways/test_outbox.py",
        "tests/smart_app/gateways/test_judge.py",
    ),
}


class _Changed(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Gives the changed source where the file would be read."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        super().__init__(module, str(path))
        self._source = source

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return (
            importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None
        )

    def get_code(self, fullname: str) -> object:
        return compile(self._source, self.path, "exec", dont_inherit=True)


def main(arguments: Sequence[str]) -> int:
    """Try all changes of the files whose name is given, or of all files."""
    files = [file for file in TESTS if not arguments or Path(file).stem in arguments]
    if not files:
        sys.stdout.write(f"None of {', '.join(arguments)} is in {sorted(map(str, TESTS))}.\n")
        return 2
    os.chdir(ROOT)
    importlib.import_module("smart_app.demo")  # what does not change is loaded once for all forks
    importlib.import_module("smart_app.gateways.door")
    for name in [name for name in sys.modules if name.split(".")[0] == "smart_app"]:
        del sys.modules[name]
    accepted, sound, began = _accepted(), True, time.monotonic()
    for file in files:
        sound &= _try(file, {name for name in accepted if name.file == file})
    sys.stdout.write(f"{(time.monotonic() - began) / 60:.1f} minutes\n")
    return 0 if sound else 1


def _try(file: str, accepted: set[Name]) -> bool:
    source = (ROOT / file).read_text()
    if not _passes(file, source):
        sys.stdout.write(f"{file}: its tests fail without any change.\n")
        return False
    tried = changes(file, source)
    survived = _survivors(file, tried)
    unlisted = [name for name in survived if name not in accepted]
    gone = accepted - set(survived)
    sys.stdout.write(
        f"{file}: {len(tried)} changes, {len(tried) - len(survived)} noticed, {len(survived)} survived, "
        f"{len(survived) - len(unlisted)} of them listed\n"
    )
    for name in unlisted:
        sys.stdout.write(f"  not listed: {name.function}: {name.before} -> {name.after}\n")
    for name in sorted(gone, key=repr):
        sys.stdout.write(f"  listed, but noticed or gone: {name.function}: {name.before} -> {name.after}\n")
    sys.stdout.flush()
    return not unlisted and not gone


def _survivors(file: str, tried: Sequence[Change]) -> list[Name]:
    waiting, running, found = list(tried), dict[int, Name](), list[Name]()
    while waiting or running:
        while waiting and len(running) < WORKERS:
            change = waiting.pop(0)
            running[_fork(file, change.source)] = change.name
        process, status = os.wait()
        name = running.pop(process)
        if os.waitstatus_to_exitcode(status) == 0:
            found.append(name)
            sys.stdout.write(f"  survived: {name.function}: {name.before}\n                -> {name.after}\n")
    return found


def _passes(file: str, source: str) -> bool:
    _, status = os.waitpid(_fork(file, source), 0)
    return os.waitstatus_to_exitcode(status) == 0


def _fork(file: str, source: str) -> int:
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        signal.alarm(TIMEOUT_SECONDS)  # a change that never ends is noticed
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        module = file.removesuffix(".py").replace("/", ".")
        sys.meta_path.insert(0, _Changed(module, ROOT / file, source))
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *TESTS[file]]))
    finally:
        os._exit(code)


def _accepted() -> set[Name]:
    entries = tomllib.loads(ACCEPTED.read_text()).get("change", [])
    if any(not entry["reason"].strip() for entry in entries):
        raise ValueError("a change in accepted.toml has no reason")
    return {Name(*(entry[key] for key in ("file", "function", "before", "after"))) for entry in entries}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
