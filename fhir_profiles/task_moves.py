"""The answer to ``Task/<id>/$status``: where a Task stands and which moves its reader may make now, as Parameters."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_profiles import r4, referral_task
from fhir_profiles.terminology import Payload


def task_moves(
    *, status: str, tier: str, moves: Iterable[str], business_statuses: Iterable[str], may_write_output: bool
) -> Payload:
    """``moves``: statuses that may be set now; ``business_statuses``: codes that may. ValueError for a code that is not
    one of the Task profile's."""
    codings = [referral_task.business_status_of(code)["coding"][0] for code in sorted(business_statuses)]
    return r4.checked(
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "status", "valueCode": status},
                {"name": "tier", "valueCode": tier},
                *({"name": "move", "valueCode": move} for move in sorted(moves)),
                *({"name": "businessStatus", "valueCoding": coding} for coding in codings),
                {"name": "output", "valueBoolean": may_write_output},
            ],
        }
    )
