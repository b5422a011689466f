"""Who decides with another person in this request, and where: for the pages of such decisions."""

from __future__ import annotations

from smart_app import guards
from smart_app.errors import NothingToShowError
from smart_app.office_ports import Person, SecondPerson


def person() -> Person:
    """The account of this launch."""
    launch = guards.launch()
    return Person(launch.fhir_user, launch.registration_id, launch.launch_id, guards.site_role())


def desk() -> SecondPerson:
    """Raises ``NothingToShowError`` on a surface that has none."""
    found = guards.services().office
    if found is None:
        raise NothingToShowError
    return found
