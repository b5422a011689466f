"""The compact definitions: they are what HL7's package and our guide say, small, and read in no time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fhir_profiles.validation import compiler, examine, fast, gate, snapshots, tree
from fhir_profiles.validation.errata import ERRATA
from fhir_profiles.validation.invariants import NATIVE
from fhir_profiles.validation.own_invariants import BY_RULES, OURS

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def test_the_data_file_is_what_the_definitions_give() -> None:
    """Nobody edited the rules by hand: `python -m fhir_profiles.validation` writes the same file again."""
    sources = snapshots.core_sources()
    assert sources, "HL7's core package is committed"
    assert tree.DATA.read_text() == snapshots.generate(sources)


def test_every_profile_that_guards_a_door_is_compiled_from_its_snapshot() -> None:
    """No profile falls back to base R4 unseen."""
    types = compiler.definitions().types
    assert [name for name in gate.PROFILES if gate.profile(name) not in types] == []


def test_every_invariant_has_a_reader() -> None:
    """No rule of R4 or of ours is silently skipped: each has a Python form or a rule beside its builder."""
    definitions = compiler.definitions()
    assert definitions.unchecked() == frozenset()
    assert not (OURS.keys() & BY_RULES.keys())
    assert set(BY_RULES) <= set(definitions.expressions) | {"wrx-1"}
    assert {key for key in ERRATA if key in definitions.expressions} <= NATIVE.keys()


def test_required_value_sets_are_expanded_and_what_is_not_is_known() -> None:
    """Only currencies and media types stay open, because their lists are not HL7's."""
    sets = compiler.definitions().value_sets
    unknown = {url.rpartition("/")[2] for url, codes in sets.items() if codes is None}
    assert unknown <= {"currencies", "mimetypes", "languages"}
    assert sets["http://hl7.org/fhir/ValueSet/appointmentstatus"] is not None
    assert "noshow" in str(sets["http://hl7.org/fhir/ValueSet/appointmentstatus"])


def test_a_value_set_of_a_branch_holds_the_branch() -> None:
    """A value set that takes a branch of a code system has what is below it, at any depth, and nothing else."""
    system = {
        "resourceType": "CodeSystem",
        "url": "urn:s",
        "content": "complete",
        "concept": [
            {"code": "top", "concept": [{"code": "low", "concept": [{"code": "lowest"}]}]},
            {"code": "side", "property": [{"code": "subsumedBy", "valueCode": "low"}]},
            {"code": "other"},
        ],
    }

    def of(include: dict[str, object], **more: object) -> object:
        value_set = {"resourceType": "ValueSet", "url": "urn:v", "compose": {"include": [include], **more}}
        return snapshots.expansion.expand({"urn:s": system, "urn:v": value_set}, "urn:v|1")

    branch = {"system": "urn:s", "filter": [{"property": "concept", "op": "is-a", "value": "top"}]}
    below = {"system": "urn:s", "filter": [{"property": "concept", "op": "descendent-of", "value": "low"}]}
    assert of(branch) == {"urn:s": ["low", "lowest", "side", "top"]}
    assert of(below) == {"urn:s": ["lowest", "side"]}
    assert of({"system": "urn:s"}, exclude=[{"system": "urn:s", "concept": [{"code": "other"}]}]) == {
        "urn:s": ["low", "lowest", "side", "top"]
    }
    assert of({"system": "urn:elsewhere"}) is None
    assert of({"system": "urn:s", "filter": [{"property": "x", "op": "regex", "value": "."}]}) is None
    assert of({"valueSet": ["urn:v"]}) is None


def test_the_start_costs_little() -> None:
    """The whole gate is ready in half a second and needs less than a hundred megabytes."""
    script = (
        "import os, time, fhir_profiles.referral_bundle\n"
        "rss = lambda: int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE')\n"
        "before, start = rss(), time.process_time()\n"
        "from fhir_profiles import validation; validation.load()\n"
        "print(time.process_time() - start, rss() - before)"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("the memory of a process is read from /proc")
    found = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        found.append([float(part) for part in done.stdout.split()])
    assert min(seconds for seconds, _ in found) < 0.5
    assert min(size for _, size in found) < 100_000_000


def test_a_shape_of_few_values_is_tried_out_value_by_value() -> None:
    """The quick look may only leave a definition out after it has passed every value that can come."""
    definitions = compiler.definitions()
    shape = gate.PROFILES["referral-task"][0]
    status = definitions.closed(gate.profile("referral-task"), shape).keys["status"].check
    assert fast.is_proven(shape.fields["status"], status)
    assert not fast.is_proven(fast.shapes.code("requested", "banana"), status)
    assert not fast.is_proven(fast.shapes.ID, status)
    assert "referral-task" in examine.profiles()
