"""Launch events kept in a list, for tests that look at them or need a place to put them."""

from __future__ import annotations

from launch.context import LaunchEvent, LaunchEvents


def noted_in(events: list[LaunchEvent]) -> LaunchEvents:
    """Each event once, as it is recorded."""
    return LaunchEvents(record=lambda event, _: events.append(event), tell=lambda event: None)
