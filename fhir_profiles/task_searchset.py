"""The answer to a program's search of its own Tasks: a searchset with the next page's address.

``timestamp`` is the moment of the search: what a program gives as ``_lastUpdated=ge…`` the next time, so that nothing
falls between two searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fhir_profiles import dates, r4
from fhir_profiles.security_labels import as_security, high_water_mark, labels_of
from fhir_profiles.terminology import Payload


def task_searchset(
    tasks: Sequence[Payload], *, base: str, total: int, at: datetime, query: str, next_query: str | None
) -> Payload:
    """The Bundle. ``tasks`` as the program may see them, each checked already; ``base`` is "<public base>/fhir".
    It carries one confidentiality code: the highest of what is left after filtering (R4)."""
    links = [("self", query), *([("next", next_query)] if next_query is not None else [])]
    envelope = r4.checked(
        {
            "resourceType": "Bundle",
            "meta": {"security": as_security([high_water_mark(labels_of(task) for task in tasks)])},
            "type": "searchset",
            "timestamp": dates.as_text(at),
            "total": total,
            "link": [{"relation": relation, "url": f"{base}/Task?{asked}"} for relation, asked in links],
        }
    )
    entries = [
        {"fullUrl": f"{base}/Task/{task['id']}", "resource": task, "search": {"mode": "match"}} for task in tasks
    ]
    return {**envelope, "entry": entries} if entries else envelope
