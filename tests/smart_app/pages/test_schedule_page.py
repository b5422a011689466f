"""The scheduler's desk: what is asked, how to reach the person, book or decline; neutral all through (R36, R37)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from smart_app.errors import InvalidError
from smart_app.workflows import scheduling
from smart_app.workflows.scheduling import BookResult, QueueItem


def item(**changes: Any) -> QueueItem:
    """A request for Wednesday with a safe number."""
    made: dict[str, Any] = {
        "case_id": "case-1",
        "appointment_reference": "Appointment/ap-1",
        "alias": "Robin",
        "contact": {
            "meet": "safe-contact",
            "telecom": {"value": "555-0142"},
            "voicemail": "none",
            "sayAs": "the library",
        },
        "needs": ("A medical visit",),
        "due_on": date(2026, 11, 25),
    }
    return QueueItem(**{**made, **changes})


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[QueueItem]:
    """The queue of this test."""
    items = [item()]
    monkeypatch.setattr(scheduling, "queue", lambda *_, **__: items)
    monkeypatch.setattr(scheduling, "item_of", lambda *_: (items[0], [one for one in items[1:] if one.is_booked]))
    return items


@pytest.fixture
def booked(monkeypatch: pytest.MonkeyPatch, shown: list[QueueItem]) -> list[Any]:
    """Arguments of each booking."""
    calls: list[Any] = []

    def book(*arguments: Any) -> BookResult:
        calls.append(arguments)
        shown[0] = item(status="booked", start="2026-11-25T14:00:00+00:00", end="2026-11-25T14:30:00+00:00")
        return BookResult("Appointment/ap-1", ("Enter it by hand.",), ("Visit type: Office visit",), None)

    monkeypatch.setattr(scheduling, "book", book)
    return calls


@pytest.fixture
def desk_of_kim(enter: Any) -> Any:
    """The scheduler, launched without a patient."""
    return enter("sched-kim", patient=None, encounter=None)


def test_the_launch_opens_the_queue(desk_of_kim: Any, shown: list[QueueItem], text_of: Any) -> None:
    """The scheduler lands on the queue and reads alias, wish, contact and day."""
    assert desk_of_kim.get().headers["Location"].endswith("/queue")
    text = text_of(desk_of_kim.get("queue"))
    for words in (
        "Robin",
        "Call this number only",
        "555-0142",
        "No voicemail",
        "the library",
        "A medical visit",
        "Wed 25 Nov",
    ):
        assert words in text


def test_who_needs_a_person_is_marked(desk_of_kim: Any, shown: list[QueueItem], text_of: Any) -> None:
    """Late or full: marked on the list and on the item."""
    shown[0] = item(needs_person=True)
    assert "Needs you now" in text_of(desk_of_kim.get("queue"))
    assert "Keep the day they asked for" in text_of(desk_of_kim.get("queue/ap-1"))


@pytest.mark.rule("R37")
def test_rule_R37_the_day_asked_for_is_filled_in(desk_of_kim: Any, booked: list[Any], desk: Any, text_of: Any) -> None:
    """One press books the day that was asked for at opening time, in the clinic's own zone.

    Break: in schedule._instant, read the time as UTC.
    """
    page = desk_of_kim.get("queue/ap-1").text
    assert 'value="2026-11-25"' in page
    assert 'value="08:00"' in page
    answer = desk_of_kim.post("queue/ap-1", {"step": "book", "day": "2026-11-25", "at": "08:00", "minutes": "30"})
    assert answer.status_code == 303
    _door, ehr, requester, reference, start, end, chart, *_ = booked[0]
    assert (reference, chart) == ("Appointment/ap-1", None)
    assert (start, end) == (datetime(2026, 11, 25, 14, tzinfo=UTC), datetime(2026, 11, 25, 14, 30, tzinfo=UTC))
    assert (ehr, requester.patient_id, requester.site_role) == (desk, None, "scheduler")
    after = text_of(desk_of_kim.get("queue/ap-1"))
    for words in ("Booked: Wed 25 Nov, 08:00", "Enter it by hand.", "Visit type: Office visit"):
        assert words in after


@pytest.mark.rule("R37")
def test_rule_R37_a_day_that_has_passed_becomes_the_next_open_one(
    desk_of_kim: Any, shown: list[QueueItem], text_of: Any
) -> None:
    """When the day asked for is over, the next open clinic day stands in the form; Thanksgiving is skipped.

    Break: in schedule._proposed, always take due_on.
    """
    shown[0] = item(due_on=date(2026, 11, 23))
    assert 'value="2026-11-25"' in desk_of_kim.get("queue/ap-1").text


def at(start: str, end: str) -> dict[str, str]:
    """A visit that is booked for Wednesday, in UTC; opening time is 14:00."""
    return {"status": "booked", "start": f"2026-11-25T{start}:00+00:00", "end": f"2026-11-25T{end}:00+00:00"}


def test_the_first_free_half_hour_is_filled_in(desk_of_kim: Any, shown: list[QueueItem]) -> None:
    """Visits of the list that stand already push the proposal on, for as long as each lasts; other days do not."""
    shown += [item(alias="Wren", **at("14:00", "14:45")), item(alias="Sage", **at("15:30", "16:00"))]
    assert 'value="09:00"' in desk_of_kim.get("queue/ap-1").text
    shown += [item(alias="Lark", **at("15:00", "15:30"))]
    assert 'value="10:00"' in desk_of_kim.get("queue/ap-1").text
    shown[1:] = [item(alias="Wren", status="booked", start="2026-11-30T14:00:00Z", end="2026-11-30T14:30:00Z")]
    assert 'value="08:00"' in desk_of_kim.get("queue/ap-1").text


def test_two_at_the_same_time_are_named_and_not_forbidden(
    desk_of_kim: Any, shown: list[QueueItem], booked: list[Any], text_of: Any
) -> None:
    """A double booking may be meant: it is done, and the page says plainly who else has that time."""
    shown += [item(alias="Wren", **at("14:15", "14:45")), item(alias="Sage", **at("14:30", "15:00"))]
    form = {"step": "book", "day": "2026-11-25", "at": "08:00", "minutes": "30"}
    assert desk_of_kim.post("queue/ap-1", form).status_code == 303
    assert len(booked) == 1
    text = text_of(desk_of_kim.get("queue/ap-1"))
    assert "Two at the same time. Wren has Wed 25 Nov, 08:15." in text
    assert "Sage" not in text


def test_a_chart_id_is_handed_on(desk_of_kim: Any, booked: list[Any]) -> None:
    """Once registered, the visit can go on the EHR schedule: the workflow gets the chart id."""
    form = {"step": "book", "day": "2026-11-25", "at": "09:15", "minutes": "45", "chart": " p-dana "}
    desk_of_kim.post("queue/ap-1", form)
    assert booked[0][6] == "p-dana"


@pytest.mark.parametrize(("day", "at"), [("", ""), ("2026-02-30", "08:00"), ("2026-11-25", "noon")])
def test_a_day_nobody_can_read_comes_back(desk_of_kim: Any, booked: list[Any], text_of: Any, day: str, at: str) -> None:
    """A missing or impossible day comes back with words, and nothing is booked."""
    answer = desk_of_kim.post("queue/ap-1", {"step": "book", "day": day, "at": at})
    assert answer.status_code == 422
    assert "Write the day and the time" in text_of(answer)
    assert booked == []


def test_a_time_the_workflow_refuses_comes_back(
    desk_of_kim: Any, shown: list[QueueItem], text_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the workflow refuses stands on the form, with what was typed."""

    def refuse(*_: Any) -> None:
        raise InvalidError("Choose a day and time that is still to come.")

    monkeypatch.setattr(scheduling, "book", refuse)
    answer = desk_of_kim.post("queue/ap-1", {"step": "book", "day": "2020-01-01", "at": "08:00"})
    assert answer.status_code == 422
    assert "still to come" in text_of(answer)
    assert 'value="2020-01-01"' in answer.text


def test_declining_takes_a_reason_from_the_list(
    desk_of_kim: Any, shown: list[QueueItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reasons are codes about the clinic, never words about the person."""
    declined: list[Any] = []
    monkeypatch.setattr(scheduling, "decline", lambda *arguments: declined.append(arguments[2:4]))
    page = desk_of_kim.get("queue/ap-1").text
    assert all(f'value="{reason}"' in page for reason in scheduling.DECLINE_REASONS)
    assert desk_of_kim.post("queue/ap-1", {"step": "decline", "reason": "no-capacity"}).status_code == 303
    assert declined == [("Appointment/ap-1", "no-capacity")]


def test_a_request_taken_back_is_not_called(desk_of_kim: Any, shown: list[QueueItem], text_of: Any) -> None:
    """When the program took its request back, the page says not to call, and offers no booking."""
    shown[0] = item(is_cancelled=True, status="booked", start="2026-11-25T14:00:00+00:00")
    answer = desk_of_kim.get("queue/ap-1")
    assert "Do not call" in text_of(answer)
    assert 'value="book"' not in answer.text


@pytest.mark.rule("R36")
def test_rule_R36_the_desk_names_no_program(desk_of_kim: Any, shown: list[QueueItem], text_of: Any) -> None:
    """On list and item nothing says who referred or why: the program's name stands nowhere.

    Break: in _call.html, show the partner's name always.
    """
    for path in ("queue", "queue/ap-1"):
        text = text_of(desk_of_kim.get(path))
        assert "Harbor" not in text
        assert "Local line" in text


@pytest.mark.parametrize("path", ["queue", "queue/ap-1"])
def test_clinicians_have_no_queue(enter: Any, shown: list[QueueItem], path: str) -> None:
    """The queue is the scheduler's alone; for others it is not there."""
    assert enter().get(path).status_code == 404
