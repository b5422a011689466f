"""Which role a person has at this site, and the rule that says so.

Two kinds of rules, both in configuration: the person by ``fhirUser`` reference, or a code of the person's
PractitionerRole in the EHR. The person's own line wins. Codes give clinical roles only: who may open a page without a
chart is named one by one, because whoever edits a staff directory is not who decides that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RoleRules:
    """``by_user``: "Practitioner/<id>" -> role. ``by_code``: "system|code" -> clinical role, the first match wins."""

    by_user: Mapping[str, str] = field(default_factory=dict)
    by_code: Mapping[str, str] = field(default_factory=dict)

    def asks_ehr_about(self, user_reference: str) -> bool:
        """Is the EHR's PractitionerRole wanted to know this person's role?"""
        return bool(self.by_code) and user_reference not in self.by_user


@dataclass(frozen=True)
class RoleMatch:
    """A role, or None, and the ``rule`` in words that a person can look up in config.toml. Words of ours and of the
    configuration only, never something the EHR sent."""

    role: str | None
    rule: str


def role_for(user_reference: str, codes: Iterable[str], rules: RoleRules) -> RoleMatch:
    """The role of "Practitioner/<id>" whose active PractitionerRoles carry ``codes`` ("system|code"). Total."""
    listed = rules.by_user.get(user_reference)
    if listed is not None:
        return RoleMatch(listed, f'roles: "{user_reference}" = "{listed}"')
    carried = frozenset(codes)
    for code, role in rules.by_code.items():
        if code in carried:
            return RoleMatch(role, f'practitioner_roles: "{code}" = "{role}"')
    if not rules.by_code:
        return RoleMatch(None, "roles: this person is not listed")
    return RoleMatch(None, "roles: this person is not listed; practitioner_roles: no code of theirs is listed")
