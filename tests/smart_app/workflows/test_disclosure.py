"""What a patient told is kept in the vault first, and in the EHR only where it stays protected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_profiles.disclosure_observation import KINDS, kind_of
from fhir_profiles.security_labels import labels_for, labels_of
from smart_app.errors import InvalidError, LockedError, NothingToShowError
from smart_app.policy.access import Requester
from smart_app.ports import WriteBackResult
from smart_app.workflows.disclosure import DisclosureForm, DisclosureResult, record

Ask = Callable[..., Requester]


def _record(world: Any, who: Requester, **form: Any) -> DisclosureResult:
    services = world.services
    return record(world.door, world.ehr, who, DisclosureForm(**form), services.placement, services.now())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_stored_under_the_same_labels(world: Any, clinician: Ask, kind: str) -> None:
    """The note says which kind was chosen; its labels are the same for every kind."""
    result = _record(world, clinician("b"), kind=kind)
    stored = world.resource(result.reference)
    assert kind_of(stored) == kind
    assert labels_of(stored) == labels_for("disclosure-observation")
    assert stored["performer"] == [{"reference": "Practitioner/dr-lee"}]


def test_without_placement_nothing_reaches_the_ehr_and_lines_by_hand_are_offered(world: Any, clinician: Ask) -> None:
    """Where this EHR is not set up to receive a copy, the note stays here and the clinician gets neutral lines."""
    result = _record(world, clinician("b"), wants_ehr_copy=True)
    assert (world.ehr.written, result.ehr_result) == ([], None)
    assert result.lines_by_hand
    assert any("not set up" in words for words in result.place_words)


def test_the_copy_is_made_only_if_the_patient_wants_it(world: Any, clinician: Ask) -> None:
    """The patient's choice decides, even where the EHR may receive a copy."""
    assert _record(world, clinician("a")).ehr_result is None
    assert world.ehr.written == []
    result = _record(world, clinician("a"), wants_ehr_copy=True)
    assert result.ehr_result is WriteBackResult.SAVED
    assert len(world.ehr.written) == 1
    assert "id" not in world.ehr.written[0]
    assert labels_of(world.ehr.written[0]) == labels_for("disclosure-observation")
    with world.door.open_for(clinician("a"), world.services.now()) as work:
        assert work.read(result.reference).ehr_reference == "Observation/55"


@pytest.mark.rule("R7")
def test_rule_R07_a_copy_that_was_interrupted_is_not_tried_again(world: Any, clinician: Ask) -> None:
    """Power went off after the note was stored: nobody knows of a copy, so none is made, and the clinician looks."""
    _record(world, clinician("a"), once="form-1")
    again = _record(world, clinician("a"), wants_ehr_copy=True, once="form-1")
    assert (world.ehr.written, again.ehr_result, again.lines_by_hand) == ([], WriteBackResult.UNKNOWN, ())
    assert any("look in the chart" in words for words in again.place_words)


@pytest.mark.rule("R7")
@pytest.mark.parametrize("failed", [WriteBackResult.REFUSED, WriteBackResult.LABELS_LOST, WriteBackResult.UNKNOWN])
def test_rule_R07_a_failed_copy_leaves_the_vault_copy_and_writes_nothing_else(
    world: Any, clinician: Ask, failed: WriteBackResult
) -> None:
    """When the EHR fails, the note stands here, it is tried once, and the page says what happened. Break: call
    ``ehr.write_back`` again when the first call is not saved."""
    world.ehr.result = failed
    result = _record(world, clinician("a"), wants_ehr_copy=True)
    assert world.resource(result.reference)["valueBoolean"] is True
    assert [one["resourceType"] for one in world.ehr.written] == ["Observation"]
    assert result.ehr_result is failed
    assert result.lines_by_hand == ()
    assert not any("was read back" in words for words in result.place_words)
    with world.door.open_for(clinician("a"), world.services.now()) as work:
        assert work.read(result.reference).ehr_reference is None


@pytest.mark.rule("R31")
@pytest.mark.parametrize("born", ["2010-05-01", "2008-11-25", None, "unknown"])
def test_rule_R31_no_note_for_a_minor_or_an_unknown_age(world: Any, clinician: Ask, born: str | None) -> None:
    """Under 18, or with no birth date in the chart, nothing is recorded. Break: drop the check in
    ``_require_adult``."""
    world.ehr.birth_date = born
    with pytest.raises(LockedError):
        _record(world, clinician("a"), wants_ehr_copy=True)
    assert world.totals()["resource"] == 0
    assert world.ehr.written == []


def test_the_same_form_again_is_the_same_note(world: Any, clinician: Ask) -> None:
    """After a broken connection the same form makes no second note and no second copy."""
    first = _record(world, clinician("a"), once="form-1", wants_ehr_copy=True)
    again = _record(world, clinician("a"), once="form-1", wants_ehr_copy=True)
    assert again.reference == first.reference
    assert world.stored("Observation") == 1
    assert len(world.ehr.written) == 1


def test_an_unknown_kind_is_refused(world: Any, clinician: Ask) -> None:
    """A kind that is not on the list stores nothing."""
    with pytest.raises(InvalidError):
        _record(world, clinician("a"), kind="her husband hits her")
    assert world.totals()["resource"] == 0


def test_without_a_patient_in_the_launch_nothing_is_recorded(world: Any, scheduler: Requester) -> None:
    """Somebody without a chart cannot make a note."""
    with pytest.raises(LockedError):
        _record(world, scheduler)


def test_another_clinician_without_this_visit_sees_nothing(world: Any, clinician: Ask) -> None:
    """A colleague launched with another patient finds nothing there."""
    result = _record(world, clinician("a"))
    with (
        pytest.raises(NothingToShowError),
        world.door.open_for(clinician("a", "p-marcus", "nurse-ortiz"), world.services.now()) as work,
    ):
        work.read(result.reference)
