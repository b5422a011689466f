"""More than a hundred bodies that a hostile or a broken sender may post as a referral. Each carries a word of its own.

A body is made from a whole referral, so that nothing but its one fault keeps it out. ``WORD`` stands for the word.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Payload = dict[str, Any]
Make = Callable[[Payload, str], bytes]
KINDS = ("Patient", "Consent", "ServiceRequest", "Task")

# Elements of R4 that this profile does not take, with the word where a sender would write it.
SMUGGLED: dict[str, Any] = {
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">WORD</div>'},
    "contained": [{"resourceType": "Patient", "id": "x", "name": [{"text": "WORD"}]}],
    "extension": [{"url": "https://harbor.example/WORD", "valueString": "WORD"}],
    "modifierExtension": [{"url": "https://harbor.example/x", "valueString": "WORD"}],
    "implicitRules": "https://harbor.example/WORD",
    "language": "WORD",
}
OF_KIND: dict[str, dict[str, Any]] = {
    "Patient": {
        "address": [{"line": ["WORD"]}],
        "birthDate": "1990-01-01",
        "photo": [{"contentType": "image/png", "data": "WORD"}],
        "contact": [{"name": {"text": "WORD"}}],
        "link": [{"other": {"reference": "Patient/WORD"}, "type": "seealso"}],
        "maritalStatus": {"text": "WORD"},
        "telecom": [{"system": "phone", "value": "WORD"}],
        "generalPractitioner": [{"display": "WORD"}],
        "managingOrganization": {"display": "WORD"},
    },
    "Consent": {
        "verification": [{"verified": True, "verifiedWith": {"display": "WORD"}}],
        "sourceAttachment": {"title": "WORD"},
        "policyRule": {"text": "WORD"},
        "identifier": [{"value": "WORD", "assigner": {"display": "WORD"}}],
    },
    "ServiceRequest": {
        "note": [{"text": "WORD"}],
        "reasonCode": [{"text": "WORD"}],
        "patientInstruction": "WORD",
        "locationReference": [{"display": "WORD"}],
        "insurance": [{"display": "WORD"}],
        "bodySite": [{"text": "WORD"}],
        "relevantHistory": [{"display": "WORD"}],
        "requisition": {"value": "WORD"},
    },
    "Task": {
        "note": [{"text": "WORD"}],
        "description": "WORD",
        "input": [{"type": {"text": "WORD"}, "valueString": "WORD"}],
        "output": [{"type": {"text": "WORD"}, "valueString": "WORD"}],
        "statusReason": {"text": "WORD"},
        "reasonCode": {"text": "WORD"},
        "location": {"display": "WORD"},
        "groupIdentifier": {"value": "WORD"},
        "relevantHistory": [{"display": "WORD"}],
    },
}
OF_BUNDLE: dict[str, Any] = {
    "link": [{"relation": "self", "url": "https://harbor.example/WORD"}],
    "signature": {"data": "WORD"},
    "total": 4,
    "language": "WORD",
    "implicitRules": "https://harbor.example/WORD",
    "type": "WORD",
    "timestamp": "WORD",
    "entry": "WORD",
}
OF_ENTRY: dict[str, Any] = {
    "link": [{"relation": "WORD", "url": "https://harbor.example"}],
    "search": {"mode": "match", "score": 1},
    "response": {"status": "WORD"},
    "extension": [{"url": "https://harbor.example/WORD"}],
    "fullUrl": "javascript:WORD",
    "resource": "WORD",
}
OF_REQUEST: dict[str, Any] = {
    "ifNoneExist": "identifier=WORD",
    "ifMatch": 'W/"WORD"',
    "method": "DELETE",
    "url": "Patient?name=WORD",
}
# Something else in the place of an element: no type of JSON fits everywhere.
WRONG_TYPES: tuple[Any, ...] = ("WORD", {"WORD": "WORD"}, ["WORD"], 7, True, None)
REPLACED: dict[str, tuple[str, ...]] = {
    "Patient": ("identifier", "name"),
    "Consent": ("status", "provision", "organization"),
    "ServiceRequest": ("code", "subject", "extension"),
    "Task": ("status", "owner", "restriction"),
}


@dataclass(frozen=True)
class Body:
    """One hostile body: its name, how it is made, and headers beside the usual ones."""

    name: str
    make: Make
    headers: dict[str, str] = field(default_factory=dict)


def corpus() -> list[Body]:
    """All of them, each name once."""
    return [*_smuggled(), *_of_the_bundle(), *_replaced(), *_keys(), *_references(), *_terms(), *_bytes()]


def _smuggled() -> Iterator[Body]:
    for kind in KINDS:
        for name, value in {**SMUGGLED, **OF_KIND[kind]}.items():
            yield Body(f"{kind}.{name}", _changed(_in(kind, name, value)))


def _of_the_bundle() -> Iterator[Body]:
    for name, value in OF_BUNDLE.items():
        yield Body(f"Bundle.{name}", _changed(lambda bundle, n=name, v=value: bundle.update({n: v})))
    for name, value in OF_ENTRY.items():
        yield Body(f"Bundle.entry.{name}", _changed(lambda bundle, n=name, v=value: bundle["entry"][0].update({n: v})))
    for name, value in OF_REQUEST.items():
        change = _changed(lambda bundle, n=name, v=value: bundle["entry"][0]["request"].update({n: v}))
        yield Body(f"Bundle.entry.request.{name}", change)
    for kind in ("Condition", "Observation", "DocumentReference", "RelatedPerson", "Binary", "WORD"):
        more = {"fullUrl": "urn:uuid:00000000-0000-4000-8000-0000000000ff", "request": {"method": "POST", "url": kind}}
        added = {**more, "resource": {"resourceType": kind, "note": [{"text": "WORD"}]}}
        yield Body(f"one more {kind}", _changed(lambda bundle, a=added: bundle["entry"].append(a)))
    for kind in KINDS:
        yield Body(f"two of {kind}", _changed(lambda bundle, k=kind: bundle["entry"].append(_entry(bundle, k))))
        yield Body(f"without {kind}", _changed(lambda bundle, k=kind: bundle["entry"].remove(_entry(bundle, k))))


def _replaced() -> Iterator[Body]:
    for kind, names in REPLACED.items():
        for name in names:
            for value in WRONG_TYPES:
                yield Body(f"{kind}.{name} as {json.dumps(value)}", _changed(_in(kind, name, value)))


def _keys() -> Iterator[Body]:
    """A key of the sender's own, at every depth."""
    for kind in KINDS:
        yield Body(f"a key of its own in {kind}", _changed(_in(kind, "WORD", "x")))
    deeper: dict[str, Callable[[Payload], Payload]] = {
        "name": lambda bundle: _part(bundle, "Patient")["name"][0],
        "provision": lambda bundle: _part(bundle, "Consent")["provision"],
        "actor": lambda bundle: _part(bundle, "Consent")["provision"]["actor"][0],
        "period": lambda bundle: _part(bundle, "Consent")["provision"]["period"],
        "coding": lambda bundle: _part(bundle, "ServiceRequest")["code"]["coding"][0],
        "extension": lambda bundle: _part(bundle, "ServiceRequest")["extension"][0],
        "restriction": lambda bundle: _part(bundle, "Task")["restriction"],
        "reference": lambda bundle: _part(bundle, "Task")["owner"],
        "identifier": lambda bundle: bundle["identifier"],
        "entry": lambda bundle: bundle["entry"][0],
    }
    for name, find in deeper.items():
        yield Body(f"a key of its own in {name}", _changed(lambda bundle, f=find: f(bundle).update({"WORD": "x"})))
        yield Body(f"a display in {name}", _changed(lambda bundle, f=find: f(bundle).update({"display": "WORD"})))


def _references() -> Iterator[Body]:
    targets = ("Patient/WORD", "https://evil.example/fhir/Patient/WORD", "#WORD", "urn:uuid:WORD", "../../WORD", "WORD")
    for kind, name in (("Task", "for"), ("Task", "focus"), ("ServiceRequest", "subject"), ("Consent", "patient")):
        for target in targets:
            yield Body(f"{kind}.{name} to {target}", _changed(_in(kind, name, {"reference": target})))


def _terms() -> Iterator[Body]:
    """Whole referrals that are not for this clinic, or not under a release in force."""
    periods = {
        "over": {"start": "2020-01-01", "end": "2020-01-31"},
        "not begun": {"start": "2099-01-01", "end": "2099-01-31"},
        "too long": {"start": "2026-01-01", "end": "2099-12-31"},
        "backwards": {"start": "2026-12-31", "end": "2026-01-01"},
        "no date": {"start": "WORD", "end": "WORD"},
        "no end": {"start": "2026-11-01"},
    }
    for name, period in periods.items():
        change = _changed(lambda bundle, p=period: _part(bundle, "Consent")["provision"].update(period=p))
        yield Body(f"a release that is {name}", change)
    for status in ("inactive", "proposed", "rejected", "entered-in-error"):
        yield Body(f"a release that is {status}", _changed(_in("Consent", "status", status)))
    for name in ("owner", "requester"):
        yield Body(f"{name} elsewhere", _changed(_in("Task", name, {"reference": "Organization/WORD"})))
    yield Body("a release to another", _changed(_to_another))
    yield Body("a release by the other", _changed(_in("Consent", "organization", [{"reference": "Organization/WORD"}])))


def _to_another(bundle: Payload) -> None:
    _part(bundle, "Consent")["provision"]["actor"][0]["reference"] = {"reference": "Organization/WORD"}


def _bytes() -> Iterator[Body]:
    whole: dict[str, Callable[[bytes, bytes], bytes]] = {
        "empty but for a word": lambda body, word: word,
        "cut off in the middle": lambda body, word: body[: len(body) // 2] + word,
        "cut off at the end": lambda body, word: body[:-1],
        "two after each other": lambda body, word: body + body,
        "a tail": lambda body, word: body + word,
        "a comment": lambda body, word: b"/*" + word + b"*/" + body,
        "a byte order mark": lambda body, word: b"\xef\xbb\xbf" + body,
        "UTF-16": lambda body, word: body.decode().encode("utf-16"),
        "not UTF-8": lambda body, word: body[:-1] + b',"' + word + b'\xff":1}',
        "a NUL": lambda body, word: body[:-1] + b"\x00}",
        "a line break in a string": lambda body, word: body[:-1] + b',"x":"' + word + b'\n"}',
        "NaN": lambda body, word: body[:-1] + b',"' + word + b'":NaN}',
        "half a character": lambda body, word: body[:-1] + b',"' + word + b'":"\\ud800"}',
        "a key twice": lambda body, word: body[:-1] + b',"' + word + b'":1,"' + word + b'":2}',
        "a number without end": lambda body, word: body[:-1] + b',"' + word + b'":' + b"9" * 5000 + b"}",
        "an exponent": lambda body, word: body[:-1] + b',"' + word + b'":1e999999}',
        "a list": lambda body, word: b"[" + body + b"]",
        "deep": lambda body, word: body[:-1] + b',"x":' + b'{"a":' * 60 + b'"' + word + b'"' + b"}" * 61,
        "deep lists": lambda body, word: body[:-1] + b',"x":' + b"[" * 5000 + b'"' + word + b'"' + b"]" * 5000 + b"}",
        "many values": lambda body, word: body[:-1] + b',"x":["' + word + b'"' + b",1" * 60_000 + b"]}",
        "too large": lambda body, word: body[:-1] + b',"x":"' + word * 60_000 + b'"}',
        "XML": lambda body, word: b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///' + word + b'">]><Bundle>&y;</Bundle>',
        "a form": lambda body, word: b"bundle=" + word,
        "quotes only": lambda body, word: b'"' * 10_000 + word,
    }
    for name, make in whole.items():
        yield Body(name, lambda bundle, word, m=make: m(_filled(bundle, word), word.encode()))
    zipped = Body("zipped", lambda bundle, word: gzip.compress(_filled(bundle, word)), {"Content-Encoding": "gzip"})
    plain = Body("as plain text", _filled, {"Content-Type": "text/plain"})
    parts = Body("as a form in parts", _filled, {"Content-Type": "multipart/form-data; boundary=x"})
    named = Body("as something else", _filled, {"Content-Type": "application/x-www-form-urlencoded"})
    yield from (zipped, plain, parts, named)


def _in(kind: str, name: str, value: Any) -> Callable[[Payload], None]:
    return lambda bundle: _part(bundle, kind).update({name: value})


def _changed(change: Callable[[Payload], object]) -> Make:
    def make(bundle: Payload, word: str) -> bytes:
        changed = copy.deepcopy(bundle)
        change(changed)
        return _filled(changed, word)

    return make


def _filled(bundle: Payload, word: str) -> bytes:
    return json.dumps(bundle).replace("WORD", word).encode()


def _entry(bundle: Payload, kind: str) -> Payload:
    return next(entry for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind)


def _part(bundle: Payload, kind: str) -> Payload:
    found: Payload = _entry(bundle, kind)["resource"]
    return found
