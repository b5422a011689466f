"""A referral that was valid under its sender's names is valid under ours, resource by resource."""

from __future__ import annotations

import copy
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from fhir_profiles.sample_referral import shortest_referral
from fhir_profiles.validation import parse, profile_of, renamed, validate

EXAMPLES = sorted((Path(__file__).parents[3] / "fhir_profiles" / "ig" / "input" / "examples").glob("Bundle-*.json"))
Payload = dict[str, Any]


def _bare() -> Payload:
    from datetime import date

    return shortest_referral(date(2026, 11, 24))


def _with_more() -> Payload:
    """A sender's own ids, versions and tags are beside what counts."""
    bundle = _bare()
    for number, entry in enumerate(bundle["entry"]):
        entry["resource"]["id"] = f"own-{number}"
        entry["resource"]["meta"] = {"versionId": "7", "lastUpdated": "2026-11-24T15:00:00Z"}
    return bundle


BUNDLES = [(path.stem, parse(path.read_bytes())) for path in EXAMPLES] + [("shortest", _bare()), ("more", _with_more())]


@pytest.mark.parametrize(("name", "bundle"), BUNDLES, ids=[name for name, _ in BUNDLES])
def test_what_is_valid_in_its_bundle_is_valid_alone_under_new_names(name: str, bundle: Payload) -> None:
    """The door relies on it and does not look again: both forms of fullUrl, both directions, labels or none. Breaks
    when an empty meta stays, or a reference is not led to its new name."""
    assert validate(bundle, "referral-bundle") == []
    before = copy.deepcopy(bundle)
    made = renamed(bundle, lambda: str(uuid.uuid4()))
    assert bundle == before
    assert len(made) == len(bundle["entry"])
    for one in made:
        profile = profile_of(one.payload["resourceType"])
        assert profile is not None
        assert validate(one.payload, profile) == []
    told = json.dumps([one.payload for one in made], default=str)
    for entry in bundle["entry"]:
        assert entry["fullUrl"] not in told
        assert f'"id": "{entry["resource"].get("id", "none")}"' not in told


def test_most_of_the_bundles_are_taken() -> None:
    """The test above looks at something."""
    assert sum(not validate(bundle, "referral-bundle") for _, bundle in BUNDLES) >= 4
