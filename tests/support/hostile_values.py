"""Odd values for hostile bodies: what nobody would send, and what nearly looks right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_profiles.security_labels import KNOWN
from fhir_profiles.terminology import ACT_CODE, CONFIDENTIALITY, LAW_BASIS, SEC_LABEL_BASIS, profile

CANARY = "Quillfeather"
NUMBER = 8_086_123_457  # the canary among numbers
ADDRESS = "urn:uuid:00000000-0000-4000-8000-000000000001"

TEXTS = (
    CANARY, "", " ", f" {CANARY}", f"{CANARY}\n", f"{CANARY} {CANARY}", f"{CANARY}\u202e",
    f"\u200d{CANARY}\u200c", f"{CANARY}\x00",
    f"\x1b[31m{CANARY}", f"{CANARY}\U0001f600", "à\u0301\u0302" * 9 + CANARY, "２０２６-１０-０１", "true", "null",
    "NaN", "[]", "{}",
    "0", str(NUMBER), f"<script>{CANARY}</script>", f"'; DROP TABLE {CANARY}; --", f"%s{{0}}${{{CANARY}}}",
    f"../{CANARY}",
    "\ud800", f"\udfff{CANARY}", "\ufffe", "\x85", " ", f"ſ{CANARY}", CANARY.upper(), CANARY * 400, "a" * 70, "A=",
    "https://quillfeather.example/" + CANARY, f"urn:oid:1.2.{NUMBER}", f"urn:uuid:{CANARY}", f"mailto:{CANARY}",
    "#", "/",
    f"Patient/{CANARY}", "requested", "en", "zh-Hans", "R", "V", "2026-10-01", "2026-02-30", "09:00:00", "24:00:00",
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, NUMBER, -NUMBER, 0.1, NUMBER / 7, 2**31, 2**63, float("nan"), float("inf"), -0.0,
    1e308,
    [], {}, [None], [[]], [{}], {"": ""}, {CANARY: CANARY}, {"id": CANARY}, {"extension": []}, [CANARY], [CANARY,
    CANARY],
    {"reference": f"Patient/{CANARY}"}, {"resourceType": CANARY}, {"resourceType": "Patient"}, {"coding": [CANARY]},
    {"coding": [{"system": CANARY, "code": CANARY}], "text": CANARY}, {"system": CONFIDENTIALITY, "code": "V"},
    {"start": "2026-10-01", "end": "2026-09-01"}, {"start": 1, "end": []}, {"url": CANARY}, {"value": NUMBER,
    "unit": CANARY},
    [{"url": CANARY, "valueString": CANARY}], {"div": CANARY}, {"display": CANARY},
)  # fmt: skip
ODD: tuple[Any, ...] = tuple(one for pair in zip(TEXTS, (*OTHERS, *OTHERS), strict=False) for one in pair)

NUMBERS = (
    0, -1, 1, 10, 11, NUMBER, -NUMBER, NUMBER / 7, 2**31, 2**63, int("9" * 64), 1e308, -0.0, 5e-324, float("nan"),
    float("inf"), True, str(NUMBER),
)  # fmt: skip
ABOUT: tuple[Any, ...] = (
    {"id": "a"}, {"extension": [{"url": CANARY, "valueString": CANARY}]}, None, [], [None], {}, CANARY,
    [{"id": CANARY}, None], {"extension": [{"url": "https://a.example"}]},
)  # fmt: skip

KINDS: tuple[Callable[[Any], Any], ...] = (
    lambda value: [value],
    lambda value: value[0] if isinstance(value, list) and value else value,
    lambda value: str(value)[:1000],
    lambda value: {"value": value},
    lambda value: len(str(value)),
    lambda value: True,
    lambda value: None,
    lambda value: [value, value],
    lambda value: list(value) if isinstance(value, dict | str) else value,
    lambda value: {str(number): item for number, item in enumerate(value)} if isinstance(value, list) else value,
    lambda value: [] if isinstance(value, list) else {},
    lambda value: 0.5,
    lambda value: [[value]],
    lambda value: {"extension": [{"url": CANARY, "valueString": value}]},
)

_LEVEL = {"system": CONFIDENTIALITY, "code": "V"}
_LAW = {"url": SEC_LABEL_BASIS, "valueCoding": {"system": LAW_BASIS, "code": "VAWA"}}
LABELS: tuple[Any, ...] = (
    *({"system": one.system, "code": one.code} for one in sorted(KNOWN)),
    {**_LEVEL, "display": CANARY},
    {**_LEVEL, "version": "2018-08-12"},
    {**_LEVEL, "version": CANARY},
    {**_LEVEL, "userSelected": True},
    {**_LEVEL, "code": "v"},
    {**_LEVEL, "code": "V "},
    {**_LEVEL, "code": "V\u200d"},
    {**_LEVEL, "code": "Ｖ"},
    {**_LEVEL, "system": f"{CONFIDENTIALITY}/"},
    {**_LEVEL, "system": CONFIDENTIALITY.upper()},
    {**_LEVEL, "system": CONFIDENTIALITY.replace("http:", "https:")},
    {**_LEVEL, "system": "http://hl7.org/fhir/v3/Confidentiality"},
    {**_LEVEL, "system": f"{CONFIDENTIALITY}|1.0"},
    {"system": CONFIDENTIALITY, "code": "SDV"},
    {"system": ACT_CODE, "code": "NORDSLCD"},
    {"system": ACT_CODE, "code": "DELAU"},
    {"system": ACT_CODE, "code": CANARY},
    {"system": f"https://{CANARY}.example", "code": "V"},
    {"code": "V"},
    {"system": CONFIDENTIALITY},
    {**_LEVEL, "extension": [_LAW]},
    {**_LEVEL, "extension": [_LAW, _LAW]},
    {**_LEVEL, "extension": [{"url": SEC_LABEL_BASIS, "valueCoding": {"system": LAW_BASIS, "code": CANARY}}]},
    {**_LEVEL, "extension": [{"url": CANARY, "valueString": CANARY}]},
    {**_LEVEL, "extension": []},
    {**_LEVEL, CANARY: CANARY},
    {"system": ["V"], "code": {"V": 1}},
    CANARY,
    None,
    [],
    7,
)

REFERENCES = (
    "#", "##", f"#{CANARY}", f"Patient/{CANARY}", f"Patient/{CANARY}/_history/1", "Patient/", "Patient",
    "Group/1", "task/1",
    f"Banana/{CANARY}", ADDRESS, "urn:uuid:00000000-0000-4000-8000-000000000099", ADDRESS.upper(), "urn:oid:1.2.3",
    f"https://quillfeather.example/fhir/Patient/{CANARY}", "https://x.example/fhir/Task/1/_history/2",
    f"Patient?name={CANARY}",
    "Patient/1|2", "/Patient/1", "../Patient/1", "", " ", "https://", "http://a/Patient/1", f"Patient/{'a' * 65}",
    "https://x.example/" + "a/" * 3000 + "Patient/1", "Task/1", "ServiceRequest/1", "Organization/hc1",
)  # fmt: skip
TYPES = (
    "Patient", "Task", "Bundle", "Consent", "ServiceRequest", "Appointment", "Observation", "Provenance",
    "Organization",
    "AuditEvent", "Basic", "Banana", CANARY, "", "patient", "Resource", "DomainResource", "Binary", "Parameters",
    7, None,
    [], {}, True, ["Task"], "MeasureReport", "OperationOutcome", "__class__", "Element", "Extension",
)  # fmt: skip
CLAIMS = (
    CANARY, "", profile("referral-task"), profile("referral-bundle"), profile("release-consent"),
    profile("no-such-profile"),
    f"{profile('referral-task')}|0.1.0", f"{profile('referral-task')}|{CANARY}", profile("safe-contact"),
    profile(""),
    f"https://quillfeather.example/{CANARY}", "http://hl7.org/fhir/StructureDefinition/Task", "language", 7, None,
    ["Task"],
    {CANARY: CANARY}, SEC_LABEL_BASIS, "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
)  # fmt: skip
DATES = (
    "2026-02-30", "2026-02-29", "2028-02-29", "2026-13-01", "2026-10", "2026", "0000", "0001-01-01", "9999-12-31",
    "1899-12-31",
    "2200-01-01", "2026-10-01T24:00:00Z", "2026-10-01T23:59:60Z", "2026-10-01T09:00:00", "2026-10-01T09:00Z",
    "2026-10-01Z",
    "2026-10-01T09:00:00+14:00", "2026-10-01T09:00:00-14:30", "2026-10-01T09:00:00.123456789Z",
    "2026-10-01T09:00:00z",
    "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2199-12-31T23:59:59-14:00",
    "1900-01-01T00:00:00+14:00",
    "2026-W40-4", "20261001", "2026-10-01T090000Z", "２０２６-１０-０１", f"2026-10-01{CANARY}", "2026-10-01 ",
    "2026-10-01\n",
    "2026-10-02", "2026-10-31", "2026-10-01", "2026-10-01T09:00:00Z", "2026-10-30T22:00:00Z", "2020-01-01",
    "-2026-10-01",
)  # fmt: skip
UNKNOWN_KEYS = (
    CANARY, "", " ", "resourceType ", "__proto__", f"_{CANARY}", f"value{CANARY}", "valueBanana", "valueString",
    "_", "id",
    "extension", "modifierExtension", "contained", "implicitRules", "text", "meta", "\ud800", "status\u0000",
    "url", "0",
    f"{CANARY}\u202e", CANARY * 300, "languаge", "display", "reference",
)  # fmt: skip
NARRATIVES: tuple[Any, ...] = (
    f"<div>{CANARY}</div>", f'<div xmlns="http://www.w3.org/1999/xhtml">{CANARY}</div>', "<div></div>", "<div/>",
    CANARY, "",
    f"<div><script>{CANARY}</script></div>", f'<div><p onclick="{CANARY}">a</p></div>', f"<div>{CANARY}",
    f"<div>&{CANARY};</div>",
    "<div>&nbsp;</div>", "<div><!-- a -- b --></div>", "<div><b><i>a</b></i></div>",
    '<div><img src="a.png"/></div>',
    "<div>" + "<b>" * 200 + "a" + "</b>" * 200 + "</div>", "<div>a</div><div>b</div>", "<DIV>a</DIV>",
    "<div>a</div >",
    '<div class="a" class="b">a</div>', "<div><p a='<'>a</p></div>", "<!DOCTYPE html><div>a</div>",
    "<div>&#x;</div>", 7, None,
    "<div " + "x" * 3000, "<div>" + "&amp;" * 3000 + "</div>", "<div>" + "<!--" * 3000, "<div>" + "<p" * 3000,
)  # fmt: skip
SNIPPETS = (
    b"\0", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\xff", b"\xed\xa0\x80", b"\xc0\xaf",
    b"\xef\xbb\xbf", b"\xf4\x90\x80\x80",
    b"NaN", b"-Infinity", b"null", b"//", b"/*", b"\\u0000", b"\\ud800", b"\\ud83d\\ude00", b"\\x41", b"\x01",
    b"\n", b"\xe2\x80\xa8",
    b'"Quillfeather":1,', b'"resourceType":"Task",', b",,", b"{" * 50, b"[" * 2000, b"]" * 60, b'"' * 99, b"\\u",
    b"<!--", b"= <",
)  # fmt: skip
