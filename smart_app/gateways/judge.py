"""Asks the decision table about items of the vault, looking at labels, links and releases, never at content (R5).

Denied and absent take the same statements: whoever counts or times them learns nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from smart_app.gateways import links
from smart_app.gateways.consent_register import ConsentRegister, Standing
from smart_app.gateways.vault import CaseRow, Head, SealedRow, Vault, labels_in
from smart_app.policy import access, people
from smart_app.policy.access import ConsentState, LabelClass, Link, Requester, Result, Role
from smart_app.ports import PatientKey, Payload

REFERENCE = re.compile(r"([A-Z][A-Za-z]{1,31})/([A-Za-z0-9\-.]{1,64})")
INCIDENT = "R5"
SHOWN = frozenset({Result.PERMIT, Result.REDACT})
STORED = frozenset({LabelClass.V_SDV, LabelClass.R_SDV})  # every row of the vault is one of these (R3)
PROGRAM_IN_OUR_CASE = links.Tie(Role.ADVOCATE, Link.REFERRAL_PARTY)


@dataclass(frozen=True)
class Verdict:
    """What the table said about one item that is there, and by which tie and release."""

    head: Head
    case: CaseRow
    result: Result
    rule: str
    tie: links.Tie
    consent_reference: str | None = None

    @property
    def is_shown(self) -> bool:
        """True when the requester may see something of it."""
        return self.result in SHOWN

    def as_entity(self) -> dict[str, Any]:
        """For the audit: what was asked for, its labels, the answer and why."""
        return {
            "what": f"{self.head.reference}/_history/{self.head.version}",
            "labels": self.head.labels,
            "result": self.result.value,
            "rule": self.rule,
            "link": self.tie.link.value,
        }


@dataclass
class Scene:
    """Some cases with everything a decision may look at: heads without content, and their releases, which are opened
    only where one of them could change the answer."""

    cases: dict[str, CaseRow]
    heads: dict[str, list[Head]] = field(default_factory=dict)
    sealed: dict[str, list[SealedRow]] = field(default_factory=dict)
    opened: dict[str, list[Payload]] = field(default_factory=dict)


class Judge:
    """Decides for one requester at one moment. ``on_incident`` hears of rows that cannot be trusted."""

    def __init__(
        self,
        vault: Vault,
        register: ConsentRegister,
        requester: Requester,
        now: datetime,
        on_incident: Callable[[str], None],
    ) -> None:
        self._vault = vault
        self._register = register
        self._requester = requester
        self._now = now
        self._on_incident = on_incident
        self._facts: dict[str, links.Facts] = {}  # by case: who opened it and with whom does not change

    def look(self, reference: str, *, for_update: bool = False) -> Verdict | None:
        """The verdict on one item, None when it is absent; the same statements either way."""
        match = REFERENCE.fullmatch(reference)
        found = self._vault.look((match[1], match[2]) if match else ("", ""), for_update=for_update)
        scene = self.scene_of([] if found is None else [found[1]])
        return None if found is None else self.judge(found[0], scene)

    def scene_of(self, rows: Sequence[CaseRow | None]) -> Scene:
        """Heads and releases of these cases; absent ones are left out."""
        cases = {row.case_id: row for row in rows if row is not None}
        scene = Scene(cases, {case_id: [] for case_id in cases})
        scene.sealed = {case_id: [] for case_id in cases}
        for head, consent in self._vault.in_cases(list(cases)):
            scene.heads[head.case_id].append(head)
            if consent is not None:
                scene.sealed[head.case_id].append((head, consent))
        return scene

    def case(self, case_id: str) -> Scene:
        """The scene of one case, empty when it is absent."""
        return self.scene_of([self._vault.case(case_id)])

    def releases(self, scene: Scene, case_id: str) -> list[Payload]:
        """The Consents of one case of the scene."""
        if case_id in scene.sealed:
            scene.opened[case_id] = self._vault.opened_consents(scene.cases[case_id], scene.sealed.pop(case_id))
        return scene.opened.setdefault(case_id, [])

    def verdicts(self, scene: Scene, resource_type: str | None = None) -> list[Verdict]:
        """On all items of the scene, or those of one type, oldest first in each case."""
        found = [
            self.judge(head, scene)
            for heads in scene.heads.values()
            for head in heads
            if resource_type in (None, head.resource_type)
        ]
        return [verdict for verdict in found if verdict is not None]

    def judge(self, head: Head, scene: Scene, *, is_new: bool = False) -> Verdict | None:
        """The best that any tie opens, None when the case is absent. No label, an unknown or too weak one, or an
        error of the policy itself: deny (R5)."""
        case = scene.cases.get(head.case_id)
        if case is None:
            return None
        nobody = links.Tie(self._requester.role, Link.NONE)
        label = access.effective(labels_in(head.labels))
        if label not in STORED:
            self._on_incident(head.reference)
            return Verdict(head, case, Result.DENY, INCIDENT, nobody)
        try:
            return max(self._by_tie(head, case, scene, label, is_new), key=lambda verdict: verdict.result.rank)
        except Exception:
            return Verdict(head, case, Result.DENY, "policy-error", nobody)

    def may_amend(self, verdict: Verdict) -> bool:
        """The table's word; a program in our case needs the survivor's own release to us beside it (R20)."""
        if not access.may_amend(verdict.tie.role, verdict.result, verdict.head.resource_type):
            return False
        if verdict.tie != PROGRAM_IN_OUR_CASE:
            return True
        scene = self.scene_of([verdict.case])
        return self._register.is_released_to_us(
            self.releases(scene, verdict.case.case_id),
            self._requester.user_reference,
            verdict.head,
            scene.heads[verdict.case.case_id],
            self._now,
        )

    def _by_tie(self, head: Head, case: CaseRow, scene: Scene, label: LabelClass, is_new: bool) -> list[Verdict]:
        facts = self._facts.get(case.case_id)
        if facts is None:
            facts = self._facts[case.case_id] = self._facts_about(case)
        ties = links.ties(self._requester, facts, head.resource_type, is_new=is_new)
        standing = Standing(ConsentState.NONE)
        if any(self._hangs_on_a_release(tie, label, facts) for tie in ties):
            consents, heads = self.releases(scene, case.case_id), scene.heads[case.case_id]
            standing = self._register.standing(consents, self._requester, head, heads, self._now)
        found = []
        for tie in ties:
            decision = self._decision(tie, label, facts, standing.state)
            found.append(Verdict(head, case, decision.result, decision.rule, tie, standing.consent_reference))
        return found

    def _hangs_on_a_release(self, tie: links.Tie, label: LabelClass, facts: links.Facts) -> bool:
        """Could any release, or a "no", change the answer? If not none is opened: a denial takes no longer than an
        item that is not there."""
        if facts.is_excluded or self._requester.is_contact:
            return False
        return _turns_on_a_release(tie.role, self._requester.purpose, label, tie.link, facts.origin)

    def _decision(
        self, tie: links.Tie, label: LabelClass, facts: links.Facts, consent: ConsentState
    ) -> access.Decision:
        return people.answer(
            is_excluded=facts.is_excluded,
            is_contact=self._requester.is_contact,
            role=tie.role,
            purpose=self._requester.purpose,
            label=label,
            consent=consent,
            link=tie.link,
            origin=facts.origin,
        )

    def _facts_about(self, case: CaseRow) -> links.Facts:
        asks = self._requester
        patient = launched_patient(asks)
        is_of_another_chart = patient is not None and case.patient_index != self._vault.patient_index(patient)
        is_own = case.author_index == self._vault.author_index(asks.registration_id, asks.user_reference)
        return links.Facts(
            is_author=is_own and not is_of_another_chart,  # one launch shows one patient (attack 10)
            is_partner=asks.role is Role.ADVOCATE and case.partner_index == self._vault.partner_index(asks.program_id),
            is_launched_patient=patient is not None and case.patient_index == self._vault.patient_index(patient),
            kind=case.kind,
            is_excluded=case.is_excluded,
        )


@lru_cache(maxsize=4096)
def _turns_on_a_release(
    role: Role, purpose: access.Purpose, label: LabelClass, link: Link, origin: access.Origin
) -> bool:
    answers = {
        access.decide(role=role, purpose=purpose, label=label, consent=state, link=link, origin=origin).result
        for state in ConsentState
    }
    return len(answers) > 1


def launched_patient(requester: Requester) -> PatientKey | None:
    """The patient of the requester's launch at its EHR, or None."""
    if requester.registration_id is None or requester.patient_id is None:
        return None
    return PatientKey(requester.registration_id, requester.patient_id)
