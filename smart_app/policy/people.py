"""What comes before the decision table: whom the patient left out (R22), and who may be a contact of the patient (R24).

Pure and total. Both beat every row of the table: author, care team and break-glass too.
"""

from __future__ import annotations

from smart_app.policy import access
from smart_app.policy.access import ConsentState, Decision, LabelClass, Link, Origin, Purpose, Result, Role


def answer(
    *,
    is_excluded: bool,
    is_contact: bool,
    role: Role,
    purpose: Purpose,
    label: LabelClass,
    consent: ConsentState,
    link: Link,
    origin: Origin,
) -> Decision:
    """Exclusion, then contact match, then the table. A match holds only while the privacy officer has not released
    it: whoever asks says so by ``is_contact=False``."""
    if is_excluded:
        return Decision(Result.DENY, "R22")
    if is_contact:
        return Decision(Result.DENY, "R24")
    return access.decide(role=role, purpose=purpose, label=label, consent=consent, link=link, origin=origin)
