"""Compiles the guide with SUSHI, offline, and packs it as a FHIR NPM package that another guide can depend on.

``build.py`` rewrites fsh-generated; ``build.py --pack FILE`` packs what is committed. SUSHI finds its packages through
the home folder alone, so each run gets a home of its own with the core package in it, and no registry to ask.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEFINITIONS = HERE.parent / "definitions"
CORE = DEFINITIONS / "hl7.fhir.r4.core-4.0.1.tgz"
GENERATED, EXAMPLES = HERE / "fsh-generated", HERE / "input" / "examples"
SUSHI = ROOT / "node_modules" / ".bin" / "sushi"
NO_REGISTRY = "http://127.0.0.1:9"  # the discard port: nothing answers there
# What SUSHI would load if it could. The v3 code systems are in the core package; stubs would write false dependencies.
EXPECTED_WARNINGS = (
    "Failed to load automatically-provided hl7.fhir.uv.tools.r4#latest",
    "Failed to load automatically-provided hl7.terminology.r4#latest",
    "Failed to load automatically-provided hl7.fhir.uv.extensions.r4#latest",
)


class GuideError(Exception):
    """The guide does not compile as it should; the message is what SUSHI said."""


def unpack(package: Path, name_and_version: str, home: Path) -> None:
    """Put a FHIR package where SUSHI looks for it below ``home``."""
    place = home / ".fhir" / "packages" / name_and_version
    place.mkdir(parents=True)
    with tarfile.open(package) as archive:
        archive.extractall(place, filter="data")


def core_home(home: Path) -> Path:
    """A home folder with the core package in it. GuideError when the package is not the one we looked at."""
    digest = hashlib.sha256(CORE.read_bytes()).hexdigest()
    if f"`{digest}`" not in (DEFINITIONS / "README.md").read_text():
        raise GuideError("the core package is not the one whose sha256 stands in definitions/README.md")
    unpack(CORE, "hl7.fhir.r4.core#4.0.1", home)
    return home


def sushi(project: Path, home: Path) -> None:
    """Compile ``project`` in place. GuideError unless SUSHI ends with 0 and exactly the three expected warnings."""
    run = subprocess.run(  # noqa: S603 -- our own tool from a locked package, no shell
        [str(SUSHI), "build", "-s", str(project)],
        env={**os.environ, "HOME": str(home), "FPL_REGISTRY": NO_REGISTRY},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = run.stdout + run.stderr
    warnings = re.findall(r"^warn\s+(.*)$", said, flags=re.MULTILINE)
    strange = [line for line in warnings if not line.startswith(EXPECTED_WARNINGS)]
    if run.returncode != 0 or strange or len(warnings) != len(EXPECTED_WARNINGS):
        raise GuideError(f"SUSHI ended with {run.returncode} and {len(warnings)} warnings:\n{said}")


def compile_guide(folder: Path) -> Path:
    """Compile a copy of the guide below ``folder``; the path of its fsh-generated."""
    project = folder / "guide"
    shutil.copytree(HERE / "input", project / "input")
    shutil.copy(HERE / "sushi-config.yaml", project)
    sushi(project, core_home(folder / "home"))
    return project / "fsh-generated"


def differences(fresh: Path, committed: Path = GENERATED) -> list[str]:
    """The files that are not the same in both folders."""
    names = {path.relative_to(top) for top in (fresh, committed) for path in top.rglob("*") if path.is_file()}
    return sorted(
        name.as_posix()
        for name in names
        if not ((fresh / name).is_file() and (committed / name).is_file())
        or (fresh / name).read_bytes() != (committed / name).read_bytes()
    )


def manifest() -> dict[str, Any]:
    """The package.json of the packed guide, taken from the compiled ImplementationGuide."""
    (path,) = (GENERATED / "resources").glob("ImplementationGuide-*.json")
    guide = json.loads(path.read_text())
    return {
        "name": guide["packageId"],
        "version": guide["version"],
        "canonical": guide["url"].split("/ImplementationGuide/")[0],
        "url": guide["url"].split("/ImplementationGuide/")[0],
        "title": guide["title"],
        "description": guide["description"],
        "fhirVersions": guide["fhirVersion"],
        "dependencies": {"hl7.fhir.r4.core": guide["fhirVersion"][0]},
        "author": guide["publisher"],
        "license": guide["license"],
        "type": "fhir.ig",
        "date": guide["date"].replace("-", "") + "000000",
        "directories": {"lib": "package", "example": "example"},
    }


def _index(paths: list[Path]) -> bytes:
    wanted = ("resourceType", "id", "url", "version", "kind", "type", "derivation")
    files = []
    for path in paths:
        resource = json.loads(path.read_text())
        facts = {key: resource[key] for key in wanted if isinstance(resource.get(key), str)}
        files.append({"filename": path.name, **facts})
    return _json({"index-version": 2, "files": files})


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def pack(target: Path) -> Path:
    """Pack what is committed into ``target`` (a .tgz). The same input gives the same bytes."""
    resources, examples = sorted((GENERATED / "resources").glob("*.json")), sorted(EXAMPLES.glob("*.json"))
    members = {"package/package.json": _json(manifest()), "package/.index.json": _index(resources)}
    members |= {f"package/{path.name}": path.read_bytes() for path in resources}
    members["package/example/.index.json"] = _index(examples)
    members |= {f"package/example/{path.name}": path.read_bytes() for path in examples}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(plain.getvalue(), mtime=0))
    return target


def main(arguments: list[str]) -> int:
    """Compile into fsh-generated, or with ``--pack FILE`` pack it."""
    if arguments[:1] == ["--pack"]:
        made = pack(Path(arguments[1]))
        sys.stdout.write(f"{made}: {manifest()['name']} {manifest()['version']}, {made.stat().st_size:,} bytes\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            fresh = compile_guide(Path(folder))
        except GuideError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        shutil.rmtree(GENERATED, ignore_errors=True)
        shutil.copytree(fresh, GENERATED)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
