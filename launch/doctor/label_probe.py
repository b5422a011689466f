"""Does this EHR keep our labels, and does it hide what they mark? Asked of a server before any copy goes there (R6).

Two stages per resource type, on a test patient only. Stage 1 labels a neutral item "test, restricted". Only if that
holds, stage 2 puts the exact label set of a real copy on another neutral item. In each stage the label is read back by
every way the server offers, the item is updated without labels and with weaker ones, and four outsiders look for it:
the patient, a proxy, a patient app, and staff without a reason to know. What was written is taken back at the end.

An Appointment relies on no label (R36): its proof is that only neutral elements arrive and come back.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fhir_profiles import terminology
from fhir_profiles.security_labels import Label, labels_of
from launch.doctor import probe_items
from launch.doctor.check_fhir import Offer, read_offer
from launch.doctor.check_proof import fingerprint
from launch.doctor.fhir_caller import Answer, FhirCaller, NoAnswerError
from launch.doctor.probe_manners import manners
from launch.doctor.site_proof import Proof, a_year_after

Payload = dict[str, Any]

RESOURCE_TYPES = ("Observation", "ServiceRequest", "Appointment")
SERVER_ELEMENTS = frozenset({"id", "meta"})


class ProbeError(Exception):
    """Nothing was proved; the text says why and what to do."""


@dataclass(frozen=True)
class ProbeTokens:
    """One access token per person the probe stands in for. All but ``scheduler`` are needed.

    ``clinician`` may create, read, search and update the probed types of the test patient, ``scheduler`` Appointments.
    The other four are the outsiders; ``third_party`` is a patient app's, with the widest ``sdoh`` scope apps may get.
    """

    clinician: str = field(repr=False)
    patient: str = field(repr=False)
    proxy: str = field(repr=False)
    third_party: str = field(repr=False)
    unprivileged_staff: str = field(repr=False)
    scheduler: str | None = field(default=None, repr=False)

    def outsiders(self) -> Mapping[str, str]:
        """Who must see nothing, in words -> token."""
        return {
            "the patient's portal": self.patient,
            "a proxy": self.proxy,
            "a patient app": self.third_party,
            "staff without access": self.unprivileged_staff,
        }


def run_probe(
    *,
    registration_id: str,
    fhir_base: str,
    tokens: ProbeTokens,
    patient_id: str,
    run_by: str,
    today: date,
    resource_types: Sequence[str] = RESOURCE_TYPES,
    service_reference: str = "HealthcareService/office",
) -> Proof:
    """Probe one EHR with one test patient. Raises ``ProbeError`` when nothing can be proved."""
    caller = FhirCaller(fhir_base)
    try:
        offer = _offer(caller, tokens)
        probe = _Probe(caller, tokens, patient_id, today, offer)
        probe.require_working_tokens()
        probe.findings += manners(caller, tokens.clinician, patient_id)
        try:
            classes = {kind: probe.classify(kind, service_reference) for kind in resource_types}
            if offer.has_export:
                probe.findings.append("Bulk export is offered: it was not run, and will hold every copy.")
        finally:
            probe.clean_up()
    except NoAnswerError as error:
        raise ProbeError(
            f"{error}. Nothing was proved. If this came in the middle, look in the chart of the test patient for "
            "leftover test items."
        ) from error
    return Proof(
        registration_id=registration_id,
        ehr_name=offer.software,
        ehr_version=offer.version,
        made_on=today,
        expires_on=a_year_after(today),
        run_by=run_by,
        test_patient_ids=(patient_id,),
        classes=classes,
        findings=tuple(probe.findings),
        offered=fingerprint(offer),
    )


def _offer(caller: FhirCaller, tokens: ProbeTokens) -> Offer:
    """What the server says it is and offers. Read first without a token, as metadata should be open."""
    answer = caller.ask("GET", "metadata")
    if not answer.is_ok:
        answer = caller.ask("GET", "metadata", token=tokens.clinician)
    offer = read_offer(answer.payload) if answer.is_ok else None
    if offer is None:
        raise ProbeError(f"{caller.base}/metadata is no CapabilityStatement (status {answer.status}).")
    return offer


class _Probe:
    """One run: what was found, and what has to be taken back."""

    def __init__(
        self,
        caller: FhirCaller,
        tokens: ProbeTokens,
        patient_id: str,
        today: date,
        offer: Offer,
    ) -> None:
        self._caller = caller
        self._tokens = tokens
        self._patient_id = patient_id
        self._today = today
        self._offer = offer
        self._written: list[tuple[str, str, str]] = []
        self.findings: list[str] = []

    def require_working_tokens(self) -> None:
        """An outsider whose token is dead sees nothing of anything, which would prove nothing."""
        for who, token in {"the clinician": self._tokens.clinician, **self._tokens.outsiders()}.items():
            look = self._caller.ask("GET", f"Patient/{self._patient_id}", token=token)
            if 300 <= look.status < 400:
                raise ProbeError(
                    f"A read with the token of {who} is a redirect (status {look.status}); a token goes nowhere but "
                    "to its own base: nothing can be proved, and no chart will open. Ask the vendor why."
                )
            if look.status in (429, 503):
                raise ProbeError(f"The server is too busy, or down (status {look.status}). Run the probe later.")
            if not look.is_ok:
                raise ProbeError(
                    f"The token of {who} does not open the test patient (status {look.status}), so what it cannot see "
                    "proves nothing. Get a fresh one that may read this Patient."
                )

    def classify(self, kind: str, service_reference: str) -> str:
        """The class of one resource type, "A" to "E"."""
        if not self._offer.offers(kind, "create"):
            self._say(kind, "the server offers no create. Vault only")
            return "E"
        if kind == "Appointment":
            return self._visit(service_reference)
        self._compare_with_unlabelled(kind)
        first = self._stage(kind, "stage 1", probe_items.TEST_LABELS)
        if first != "A":
            self._say(kind, "stage 2 was not run, because stage 1 did not hold. Vault only")
            return first
        self._try_extensions(kind)
        return self._stage(kind, "stage 2", probe_items.REAL_LABELS[kind])

    def clean_up(self) -> None:
        """Take back what was written: delete, or else mark as entered in error. What stays is named."""
        for kind, resource_id, token in reversed(self._written):
            path = f"{kind}/{resource_id}"
            try:
                is_gone = self._take_back(kind, path, token)
            except NoAnswerError:
                is_gone = False
            if not is_gone:
                self._say(kind, f"test item {path} could not be taken back. Remove it by hand")

    def _take_back(self, kind: str, path: str, token: str) -> bool:
        deleted = self._caller.ask("DELETE", path, token=token)
        if deleted.is_ok or deleted.status in (404, 410):
            return True
        current = self._caller.ask("GET", path, token=token)
        if not current.is_ok or current.payload is None:
            return False
        void = current.payload | {"status": "entered-in-error"}
        return self._update(kind, path, void, token).is_ok

    # -- labelled types ---------------------------------------------------------------------------------------------

    def _stage(self, kind: str, stage: str, labels: tuple[Label, ...]) -> str:
        item = probe_items.labelled(self._neutral(kind), labels)
        counts = self._counts(kind)
        resource_id = self._create(kind, item, stage)
        if resource_id is None:
            return "E"
        if not self._keeps(kind, resource_id, labels, f"{stage}, after the create"):
            return "D"
        seen = self._seen_by_outsiders(kind, resource_id, labels, counts, f"{stage}, after the create")
        if not self._survives_updates(kind, resource_id, labels, stage):
            return "C"
        seen |= self._seen_by_outsiders(kind, resource_id, labels, counts, f"{stage}, after the updates")
        if seen:
            return "B"
        self._look_by_label(kind, resource_id, labels, stage)
        self._say(kind, f"{stage}: labels kept, and nobody saw it who should not")
        return "A"

    def _look_by_label(self, kind: str, resource_id: str, labels: tuple[Label, ...], stage: str) -> None:
        """Does search by label find it for those who may see it? Information only: no copy relies on it."""
        params = {"patient": self._patient_id, "_security": _level_of(labels)}
        answer = self._caller.ask("GET", kind, token=self._tokens.clinician, params=params)
        finds = "finds it" if answer.mentions(resource_id) else "does not find it"
        self._say(kind, f"{stage}: search by label (_security) {finds}")

    def _create(self, kind: str, item: Payload, stage: str, token: str | None = None) -> str | None:
        token = token or self._tokens.clinician
        answer = self._caller.ask("POST", kind, token=token, body=item)
        resource_id = answer.created_id(kind) if answer.is_ok else None
        if not answer.is_ok:
            self._say(kind, f"{stage}: the create was refused (status {answer.status}). Vault only")
        elif resource_id is None:
            self._say(kind, f"{stage}: created, but the server did not say under which id. Remove it by hand")
        else:
            self._written.append((kind, resource_id, token))
        return resource_id

    def _keeps(self, kind: str, resource_id: str, labels: tuple[Label, ...], when: str) -> bool:
        """True when every way of reading that the server offers gives exactly these labels."""
        does_keep = True
        for way, answer in self._ways_to_read(kind, resource_id, self._tokens.clinician).items():
            versions = answer.resources(kind, resource_id) if answer.is_ok else []
            if not versions and way != "by id":
                continue
            # an older version must be labelled as well as the current one: a reader may ask for it by number
            scores = {_score(labels, labels_of(one)) for one in versions} or {"not readable"}
            if scores != {"exact"}:
                self._say(kind, f"{when}: read {way}, the labels are {' and '.join(sorted(scores))}")
                does_keep = False
        return does_keep

    def _survives_updates(self, kind: str, resource_id: str, labels: tuple[Label, ...], stage: str) -> bool:
        """An update without labels, one with weaker labels, and a patch: after each the labels stand as they were."""
        path, token = f"{kind}/{resource_id}", self._tokens.clinician
        changed = probe_items.edited(self._neutral(kind)) | {"id": resource_id}
        attempts = []
        if self._offer.offers(kind, "update"):
            attempts = [
                ("an update without labels", changed),
                ("an update with weaker labels", probe_items.labelled(changed, probe_items.WEAKER_LABELS)),
            ]
        for what, body in attempts:
            self._update(kind, path, body, token)
            if not self._keeps(kind, resource_id, labels, f"{stage}, after {what}"):
                return False
        if self._offer.offers(kind, "patch"):
            headers = {"Content-Type": "application/json-patch+json"}
            self._caller.ask("PATCH", path, token=token, body=probe_items.patch_of(kind), headers=headers)
            return self._keeps(kind, resource_id, labels, f"{stage}, after a patch")
        return True

    def _update(self, kind: str, path: str, body: Payload, token: str) -> Answer:
        """PUT on top of the version that stands now. A refused update changes no label, which is as good."""
        current = self._caller.ask("GET", path, token=token).payload or {}
        version = (current.get("meta") or {}).get("versionId")
        headers = {"If-Match": f'W/"{version}"'} if version else None
        return self._caller.ask("PUT", path, token=token, body=body, headers=headers)

    def _ways_to_read(self, kind: str, resource_id: str, token: str) -> dict[str, Answer]:
        path = f"{kind}/{resource_id}"
        by_id = self._caller.ask("GET", path, token=token)
        version = ((by_id.payload or {}).get("meta") or {}).get("versionId", "1")
        patient = {"patient": self._patient_id}
        asked: dict[str, tuple[str, dict[str, str] | None]] = {
            "by search": (kind, {"_id": resource_id}),
            "by patient": (kind, patient),
            "with _elements": (path, {"_elements": "status"}),
            "by version": (f"{path}/_history/{version}", None),
            "in its history": (f"{path}/_history", None),
            "with _include": (kind, {"_id": resource_id, "_include": f"{kind}:patient"}),
            "with _revinclude": ("Patient", {"_id": self._patient_id, "_revinclude": f"{kind}:patient"}),
            "in $everything": (f"Patient/{self._patient_id}/$everything", None),
        }
        return {"by id": by_id} | {
            way: self._caller.ask("GET", where, token=token, params=params) for way, (where, params) in asked.items()
        }

    # -- outsiders --------------------------------------------------------------------------------------------------

    def _counts(self, kind: str) -> dict[str, int | None]:
        """How many items of ``kind`` each outsider is told of, before the labelled one is written."""
        return {who: self._count(kind, token) for who, token in self._tokens.outsiders().items()}

    def _count(self, kind: str, token: str) -> int | None:
        answer = self._caller.ask("GET", kind, token=token, params={"patient": self._patient_id, "_summary": "count"})
        total = (answer.payload or {}).get("total") if answer.is_ok else None
        return total if isinstance(total, int) else None

    def _seen_by_outsiders(
        self, kind: str, resource_id: str, labels: tuple[Label, ...], counts: Mapping[str, int | None], when: str
    ) -> set[str]:
        seen: set[str] = set()
        for who, token in self._tokens.outsiders().items():
            ways = self._ways_it_shows(kind, resource_id, labels, token)
            if self._count(kind, token) != counts[who]:
                ways.append("in the count")
            if ways:
                seen.add(who)
                self._say(kind, f"{when}: {who} can tell that it is there ({', '.join(ways)})")
        return seen

    def _ways_it_shows(self, kind: str, resource_id: str, labels: tuple[Label, ...], token: str) -> list[str]:
        looks = self._ways_to_read(kind, resource_id, token)
        patient = {"patient": self._patient_id}
        for way, more in {
            "by label": {"_security": _level_of(labels)},
            "by category": {"category": f"{terminology.US_CORE_CATEGORY}|sdoh"},
        }.items():
            looks[way] = self._caller.ask("GET", kind, token=token, params=patient | more)
        ways = [way for way, answer in looks.items() if answer.mentions(resource_id)]
        if "by id" not in ways:
            nobody = self._caller.ask("GET", f"{kind}/{uuid.uuid4()}", token=token)
            if _refusal(looks["by id"]) != _refusal(nobody):
                ways.append("a hidden item is refused otherwise than an absent one")
        return ways

    def _compare_with_unlabelled(self, kind: str) -> None:
        """Who sees the same item without labels? Without this, "nobody saw it" might have another reason."""
        resource_id = self._create(kind, self._neutral(kind), "the unlabelled item")
        if resource_id is None:
            return
        seeing = [
            who
            for who, token in self._tokens.outsiders().items()
            if self._caller.ask("GET", f"{kind}/{resource_id}", token=token).is_ok
        ]
        self._say(
            kind,
            f"without labels it is seen by {', '.join(seeing)}"
            if seeing
            else "no outsider sees it even without labels, so the labels were not put to the test",
        )

    def _try_extensions(self, kind: str) -> None:
        """Which DS4P extensions come back. Information only: our copies carry none of them."""
        item = probe_items.with_extensions(probe_items.labelled(self._neutral(kind), probe_items.TEST_LABELS))
        resource_id = self._create(kind, item, "the item with extensions")
        if resource_id is None:
            return
        sent = probe_items.extensions_in(item)
        for way, answer in self._ways_to_read(kind, resource_id, self._tokens.clinician).items():
            for one in answer.resources(kind, resource_id)[:1] if answer.is_ok else []:
                lost = sent - probe_items.extensions_in(one)
                if lost and way != "with _elements":  # which asks for a part only
                    self._say(kind, f"label extensions lost, read {way}: {', '.join(sorted(lost))}")
                    return
        self._say(kind, "label extensions all kept")

    # -- the neutral visit ------------------------------------------------------------------------------------------

    def _visit(self, service_reference: str) -> str:
        if self._tokens.scheduler is None:
            raise ProbeError("Appointment needs a scheduler's token.")
        item = probe_items.neutral_visit(self._patient_id, service_reference, self._today)
        resource_id = self._create("Appointment", item, "the neutral visit", self._tokens.scheduler)
        if resource_id is None:
            return "E"
        back = self._caller.ask("GET", f"Appointment/{resource_id}", token=self._tokens.scheduler).payload or {}
        changed = sorted(key for key in item if key not in SERVER_ELEMENTS and back.get(key) != item[key])
        added = sorted(key for key in back if key not in item and key not in SERVER_ELEMENTS)
        if changed:
            self._say("Appointment", f"changed or dropped on the way: {', '.join(changed)}. Book by hand")
            return "D"
        if added:
            self._say("Appointment", f"the EHR added: {', '.join(added)}. Book by hand until a person has looked")
            return "B"
        seeing = [
            who
            for who, token in self._tokens.outsiders().items()
            if self._caller.ask("GET", f"Appointment/{resource_id}", token=token).is_ok
        ]
        shown = f" It shows to {', '.join(seeing)}: turn reminders and portal entries off." if seeing else ""
        self._say("Appointment", f"only neutral elements arrived and came back.{shown}")
        return "A"

    # -- words ------------------------------------------------------------------------------------------------------

    def _neutral(self, kind: str) -> Payload:
        return probe_items.neutral_item(kind, self._patient_id, self._today)

    def _say(self, kind: str, sentence: str) -> None:
        self.findings.append(f"{kind}: {sentence.rstrip('.')}.")


def _level_of(labels: Sequence[Label]) -> str:
    """The confidentiality label, as a search names it."""
    level = next(label for label in labels if label.system == terminology.CONFIDENTIALITY)
    return f"{level.system}|{level.code}"


def _score(sent: Sequence[Label], got: Sequence[Label]) -> str:
    """How the labels came back: exact, superset, subset, empty or rewritten."""
    wanted, found = set(sent), set(got)
    if found == wanted:
        return "exact"
    if not found:
        return "empty"
    if found > wanted:
        return "superset"
    return "subset" if found < wanted else "rewritten"


def _refusal(answer: Answer) -> tuple[int, tuple[str, ...]]:
    """What a refused reader learns: the status and the kinds of issue."""
    issues = (answer.payload or {}).get("issue") or []
    return answer.status, tuple(str(one.get("code")) for one in issues if isinstance(one, dict))
