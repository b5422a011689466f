"""DS4P 1.0.0's extensions on labels: why a label is there, who set it, what tells more, what must be shown.

A server may drop them, so the reason also stands in a Provenance and in the vault. The fifth, the inline label, is read
on import and never written: see ``label_exchange``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from fhir_profiles import shapes
from fhir_profiles.security_labels import Label
from fhir_profiles.shapes import Report, Shape
from fhir_profiles.terminology import (
    LAW_BASIS,
    LAWS,
    SEC_DISPLAY,
    SEC_LABEL_BASIS,
    SEC_LABEL_CLASSIFIER,
    SEC_LABEL_RELATED_ARTIFACT,
    Payload,
    coding,
    reference,
)

ARTIFACTS = ("justification", "documentation")
LONGEST_MARK = 80
_CLASSIFIER = shapes.reference("Device", "Practitioner", "PractitionerRole", urn=False)


def law_basis(law: str) -> Payload:
    """The law behind a label, one of ``LAWS``: no access label, and never 42 CFR Part 2, which is about substance use.
    ValueError for another."""
    if law not in LAWS:
        raise ValueError("the law is VAWA, FVPSA or VOCA")
    return {"url": SEC_LABEL_BASIS, "valueCoding": coding(LAW_BASIS, law)}


def classifier(who: str) -> Payload:
    """Who set a label: "Device/labeler", or the officer as "Practitioner/<id>". ValueError for another kind."""
    made = {"url": SEC_LABEL_CLASSIFIER, "valueReference": reference(who)}
    _require(_CLASSIFIER, made["valueReference"], "a label is set by a device or a practitioner")
    return made


def related_artifact(kind: str, url: str) -> Payload:
    """What tells more of a label: a ``justification`` (release, law) or its ``documentation`` (Provenance).

    ``url``, not R4's ``resource``, which is a canonical. ValueError for another kind, for no plain absolute address,
    and for one that says "dsv": an address is read by logs and proxies.
    """
    if kind not in ARTIFACTS:
        raise ValueError("the artifact is a justification or a documentation")
    _require(shapes.PLAIN_URI, url, "the artifact has a plain absolute address")
    if "dsv" in unquote(url).lower():
        raise ValueError("the address says what the label protects")
    return {"url": SEC_LABEL_RELATED_ARTIFACT, "valueRelatedArtifact": {"type": kind, "url": url}}


def display_mark(text: str) -> Payload:
    """A mark to be shown wherever the resource is, in ``meta.extension``. ValueError unless it is one short line."""
    _require(shapes.line(LONGEST_MARK), text, "a mark is one printable line of at most 80 characters")
    return {"url": SEC_DISPLAY, "valueAnnotation": {"text": text}}


def label_coding(label: Label, *extensions: Payload) -> Payload:
    """A label for ``meta.security`` with what stands beside it: one basis at most."""
    if sum(extension["url"] == SEC_LABEL_BASIS for extension in extensions) > 1:
        raise ValueError("a label has one basis")
    return {**({"extension": list(extensions)} if extensions else {}), **coding(label.system, label.code)}


def security_with_bases(labels: Sequence[Label], laws: Mapping[Label, str]) -> list[Payload]:
    """``meta.security`` with the law behind each label that has one. ValueError when two laws are told and a label has
    none: then each label has to say which it follows (DS4P)."""
    if len(set(laws.values())) > 1 and any(label not in laws for label in labels):
        raise ValueError("where two laws are told, each label names its own")
    return [label_coding(label, *([law_basis(laws[label])] if label in laws else [])) for label in labels]


def _require(shape: Shape, value: object, words: str) -> None:
    report = Report()
    shape.check(value, "", report)
    if report.issues:
        raise ValueError(words)
