"""StructureDefinition snapshots -> the compact tree that the gate is compiled from.

Reading HL7's definitions takes a second and tens of megabytes, so it is done once, here, and what comes out is
committed as ``definitions.json``. Write it again with ``python -m fhir_profiles.validation``; a test compares. The form
is told in ``tree``.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fhir_profiles import r4
from fhir_profiles.validation import expansion
from fhir_profiles.validation.errata import ERRATA
from fhir_profiles.validation.tree import nodes

Json = dict[str, Any]

FOLDER = Path(__file__).parents[1]
CORE = FOLDER / "definitions"
GUIDE = FOLDER / "ig" / "fsh-generated" / "resources"
CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
# What our profiles and the server say, and the one labelled type that nothing here builds yet; datatypes follow.
RESOURCES = tuple(sorted((*r4.TYPES, "Communication")))
_FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"


class Package:
    """A set of definitions by canonical URL, from ``.tgz`` packages and folders of JSON files."""

    def __init__(self, sources: Iterable[Path]) -> None:
        self.by_url: dict[str, Json] = {}
        for source in sources:
            for item in _definitions_in(source):
                self.by_url[item["url"]] = item

    def structure(self, name: str) -> Json | None:
        """The StructureDefinition of a type name or canonical URL; None when it is not here."""
        url = name.partition("|")[0]
        found = self.by_url.get(url if ":" in url else CANONICAL + url)
        return found if found is not None and found["resourceType"] == "StructureDefinition" else None


def _definitions_in(source: Path) -> Iterator[Json]:
    wanted = ("StructureDefinition", "ValueSet", "CodeSystem")
    if source.is_dir():
        texts: Iterator[bytes] = (file.read_bytes() for file in sorted(source.glob("*.json")))
    else:
        texts = _members(source, wanted)
    for text in texts:
        item = json.loads(text)
        if isinstance(item, dict) and item.get("resourceType") in wanted and "url" in item:
            yield item


def _members(archive: Path, wanted: tuple[str, ...]) -> Iterator[bytes]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.rpartition("/")[2].startswith(wanted):
                file = tar.extractfile(member)
                if file is not None:
                    yield file.read()


def core_sources() -> list[Path]:
    """HL7's core definitions as committed; empty when they are not there."""
    return sorted(CORE.glob("*.tgz")) if CORE.is_dir() else []


def compact(package: Package, names: Iterable[str]) -> Json:
    """The compact definitions of these types and profiles and of all they need."""
    types: dict[str, Json] = {}
    invariants: dict[str, list[str]] = {}
    bindings: set[str] = set()
    need = list(names)
    while need:
        name = need.pop()
        definition = package.structure(name)
        if name in types or definition is None:
            continue
        tree = _tree(definition, invariants)
        types[name] = {"url": definition["url"], "type": definition["type"], "kind": definition["kind"], "tree": tree}
        if definition["kind"] == "primitive-type":
            del types[name]["tree"]
            continue
        for node in nodes(tree):
            bindings.update([node["b"]] if "b" in node else [])
            need += [
                code
                for code, _ in node.get("t", ())
                if code not in ("Resource", "http://hl7.org/fhirpath/System.String")
            ]
            need += [url for code, urls in node.get("t", ()) if code == "Extension" for url in urls]
    return {
        "types": dict(sorted(types.items())),
        "invariants": dict(sorted(invariants.items())),
        "value_sets": {url: expansion.expand(package.by_url, url) for url in sorted(bindings)},
        "resources": sorted(
            item["type"]
            for item in package.by_url.values()
            if item.get("kind") == "resource" and item.get("derivation") == "specialization" and not item["abstract"]
        )
        if package.by_url
        else [],
    }


def _tree(definition: Json, invariants: dict[str, list[str]]) -> Json:
    """The nested tree of a snapshot's flat list; slices hang under the element they slice."""
    by_id: dict[str, Json] = {}
    root: Json = {}
    for element in definition["snapshot"]["element"]:
        node = _node(element, invariants)
        place = element.get("id", element["path"])
        by_id[place] = node
        if "." not in place:
            root = node
            continue
        above, _, last = place.rpartition(".")
        name, _, slice_name = last.partition(":")
        if slice_name:
            sliced = by_id[f"{above}.{name}"]
            sliced.setdefault("s", {"by": [], "rules": "open"}).setdefault("slices", {})[slice_name] = node
        else:
            by_id[above].setdefault("k", {})[name] = node
    return root


def _node(element: Json, invariants: dict[str, list[str]]) -> Json:
    name = element["path"].rpartition(".")[2]
    node: Json = {"n": name.removesuffix("[x]")}
    if name.endswith("[x]"):
        node["x"] = True
    if element.get("min"):
        node["min"] = element["min"]
    if element["max"] != "1":
        node["max"] = -1 if element["max"] == "*" else int(element["max"])
    if element.get("base", {}).get("max", element["max"]) not in ("0", "1"):
        node["list"] = True
    types = [_type(item) for item in element.get("type", ())]
    if types:
        node["t"] = types
    if "contentReference" in element:
        node["r"] = element["contentReference"].rpartition("#")[2]
    binding = element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        node["b"] = binding["valueSet"].partition("|")[0]
    keys = [item["key"] for item in element.get("constraint", ()) if _keep(item, element["path"], invariants)]
    if keys:
        node["c"] = keys
    for key, value in element.items():
        if key.startswith("fixed"):
            node["f"] = value
        elif key.startswith("pattern"):
            node["p"] = value
    if "slicing" in element:
        by = [[item["type"], item["path"]] for item in element["slicing"].get("discriminator", ())]
        node["s"] = {"by": by, "rules": element["slicing"]["rules"]}
    return node


def _type(item: Json) -> list[Any]:
    code = item["code"]
    for extension in item.get("extension", ()):
        if extension["url"] == _FHIR_TYPE:
            code = extension["valueUrl"]
    if code.startswith(CANONICAL):
        code = code.removeprefix(CANONICAL)
    targets = item.get("targetProfile") if code in ("Reference", "canonical") else item.get("profile")
    return [code, sorted(targets or ())]


def _keep(constraint: Mapping[str, Any], path: str, invariants: dict[str, list[str]]) -> bool:
    """Errors only: a warning such as dom-6 (a narrative is wanted) contradicts R16, which forbids one."""
    key = constraint["key"]
    if constraint["severity"] != "error" or "expression" not in constraint:
        return False
    erratum = ERRATA.get(key)
    expression = erratum.expression if erratum else constraint["expression"]
    place = path.partition(".")[0] if key in invariants and invariants[key][2] != path else path
    invariants.setdefault(key, [constraint["human"], expression, place])
    return True


def profile_urls() -> list[str]:
    """The canonical URLs of our own profiles whose snapshots are committed."""
    if not GUIDE.is_dir():
        return []
    found = (json.loads(file.read_text()) for file in sorted(GUIDE.glob("StructureDefinition-*.json")))
    return [item["url"] for item in found if "snapshot" in item]


def as_text(definitions: Json) -> str:
    """The data file: one line for each type, value set and invariant, so that a change can be read."""
    parts = []
    for section, items in definitions.items():
        if isinstance(items, list):
            parts.append(f"{json.dumps(section)}:{_dense(items)}")
        else:
            lines = ",\n".join(f"{json.dumps(name)}:{_dense(item)}" for name, item in items.items())
            parts.append(f"{json.dumps(section)}:{{\n{lines}\n}}")
    return "{" + ",\n".join(parts) + "}\n"


def _dense(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def generate(core: Iterable[Path]) -> str:
    """The text of ``definitions.json`` from these core packages and our committed snapshots."""
    package = Package([*core, *([GUIDE] if GUIDE.is_dir() else [])])
    return as_text(compact(package, [*RESOURCES, *profile_urls()]))
