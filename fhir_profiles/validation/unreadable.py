"""Why a body is no FHIR JSON, for the person who has it before them: what it is instead, and where the syntax breaks.

The doors answer with ``LimitError`` alone. Here more may be said: a line, a column or the object in which a key stands
twice is a place and no value.
"""

from __future__ import annotations

import json
from typing import Any

from fhir_profiles.shapes import Issue
from fhir_profiles.validation.limits import LimitError

EMPTY = "The file is empty."
XML = "This is XML, and only JSON is read here."
BINARY = "This is no text: it may be packed, encrypted, or in UTF-16."
BYTE_ORDER_MARK = "The file begins with a byte order mark, which JSON does not allow."
NDJSON = "These are several JSON documents, one in each line (NDJSON)."
LIST = "This is a JSON list, and one resource is expected."
_MARK = b"\xef\xbb\xbf"
_LONG_LINE = 50_000  # bytes


class _Doubled(dict[str, Any]):
    """An object in which a key stood twice."""


def why(body: bytes, error: LimitError) -> Issue:
    """The issue for a body that ``parse`` refused with ``error``, as precise as can be said without a value."""
    if error.status == 400:
        for text, is_so in (
            (EMPTY, not body.strip()),
            (BYTE_ORDER_MARK, body.startswith(_MARK)),
            (BINARY, b"\0" in body),
            (XML, body.lstrip().startswith(b"<")),
            (LIST, body.lstrip().startswith(b"[")),
            (NDJSON, _is_ndjson(body)),
        ):
            if is_so:
                return Issue("error", "structure", "", text)
    if error.code == "structure":
        return _place(body, error)
    return Issue("error", error.code, "", error.text)


def _place(body: bytes, error: LimitError) -> Issue:
    """Where JSON's syntax breaks, or the object that holds a key twice."""
    try:
        payload = json.loads(body.decode("utf-8"), object_pairs_hook=_marked, parse_int=str, parse_float=str)
    except json.JSONDecodeError as found:
        text = f"The body is not valid JSON: it breaks at line {found.lineno}, column {found.colno}."
        return Issue("error", "structure", "", text)
    except (UnicodeDecodeError, RecursionError):
        return Issue("error", error.code, "", error.text)
    return Issue("error", error.code, _doubled_in(payload), error.text)


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Doubled(made)


def _doubled_in(payload: Any) -> str:
    """The FHIRPath of the first object with a doubled key; it stops where a key is no FHIR element."""
    from fhir_profiles.validation.compiler import definitions

    names, resources = definitions().names, definitions().resources
    kind = payload.get("resourceType") if isinstance(payload, dict) else None
    # The last says whether the way goes on: a list in a list is no FHIR and has no place of its own.
    need = [(payload, kind if isinstance(kind, str) and kind in resources else "Resource", True)]
    while need:
        value, path, goes_on = need.pop()
        if isinstance(value, _Doubled):
            return path
        if isinstance(value, dict):
            known = [(item, names.get(key) if goes_on else None) for key, item in value.items()]
            need += [(item, f"{path}.{name}" if name else path, name is not None) for item, name in known]
        elif isinstance(value, list):
            steps = [(item, goes_on and not isinstance(item, list)) for item in value]
            need += [(item, f"{path}[{n}]" if step else path, step) for n, (item, step) in enumerate(steps)]
    return ""


def _is_ndjson(body: bytes) -> bool:
    """By the first two lines, and not by long ones: a large body costs no more than a small one."""
    first, _, rest = body.strip().partition(b"\n")
    second = rest.lstrip().partition(b"\n")[0]
    if not second or max(len(first), len(second)) > _LONG_LINE:
        return False
    try:
        return all(isinstance(json.loads(line), dict) for line in (first, second))
    except (ValueError, RecursionError):
        return False
