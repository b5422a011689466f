"""What the settings mean for one EHR: its site, its scopes, its proof."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

TODAY = datetime.now(UTC).date()


def test_an_ehr_in_another_time_zone_has_its_own_calendar(folder: Any) -> None:
    """Where one EHR serves another place, only what is said to differ differs; the clinic's own stays as it is."""
    differs = {"time_zone": "America/Denver", "closes": "12:00", "weekdays": [1, 2]}
    settings = folder.loaded(lambda s: s["ehr"][1].update(site=differs))
    main, west = settings.site_for("a"), settings.site_for("b")
    assert main == settings.site
    assert (west.time_zone, west.closes, west.weekdays) == ("America/Denver", time(12), {1, 2})
    assert (west.name, west.opens) == (main.name, main.opens)
    assert west.calendar().time_zone == "America/Denver"
    with pytest.raises(KeyError):
        settings.site_for("gone")


def test_only_what_configuration_asks_for_is_read_at_an_ehr(folder: Any) -> None:
    """The staff directory and the care team are asked of an EHR only where its block says so."""
    by_code = {"http://snomed.info/sct|224535009": "nurse"}
    settings = folder.loaded(
        lambda s: s["ehr"][1].update(practitioner_roles=by_code, care_team_sources=["ehr-care-team"])
    )
    assert settings.registrations.for_id("a").read_types == set()
    assert settings.registrations.for_id("b").read_types == {"PractitionerRole", "CareTeam"}


@pytest.mark.rule("R6")
def test_rule_R06_a_proof_is_read_again_when_its_file_is_replaced(folder: Any) -> None:
    """A new proof counts, and a voided or lost one stops counting, while the app runs. Break: keep ``_proof`` in
    ``ProofFile.read`` whatever ``seen`` says."""
    settings = folder.loaded()

    def made_on() -> date | None:
        proof = settings.placement.registrations["a"].proof
        return proof.made_on if proof is not None else None

    assert made_on() == TODAY
    folder.prove("a", date(2026, 1, 2))
    assert made_on() == date(2026, 1, 2)
    folder.proof.write_text('{"registration_id": "a"')
    assert made_on() is None
    folder.prove("a", TODAY)
    assert made_on() == TODAY
    folder.proof.unlink()
    assert made_on() is None
