"""Limits before any parser: size, encoding, depth, syntax, doubled keys, half characters (R17).

``parse`` turns bytes into a payload or raises ``LimitError``. What it says is constant: no byte of the body comes back.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_profiles.terminology import Payload

MAX_BYTES = 1_000_000
MAX_DEPTH = 40

# A string, closed or not, so that brackets inside it do not count. Possessive: linear on hostile input.
_STRING = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_NOT_BRACKETS = re.compile(r"[^\[\]{}]++")
_SURROGATE = re.compile(r"\\u[dD]")
_ONE_KIND = str.maketrans("{}", "[]")


@dataclass(eq=False)
class LimitError(ValueError):
    """The body is refused before it is looked at: HTTP ``status``, FHIR issue ``code`` and constant ``text``."""

    status: int
    code: str
    text: str

    def __str__(self) -> str:
        return self.text


def parse(body: bytes) -> Payload:
    """The JSON object in ``body``. Numbers with a fraction become ``Decimal``.

    Raises ``LimitError``: 413 over 1 MB; 400 for bad UTF-8 or JSON, a doubled key, nesting over 40, or no object.
    The depth is counted before the (recursive) parser sees the body.
    """
    if len(body) > MAX_BYTES:
        raise LimitError(413, "too-long", "The body is larger than 1 MB.")
    try:
        text = body.decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        raise LimitError(400, "structure", "The body is not UTF-8.") from None
    if _is_too_deep(text):
        raise LimitError(400, "too-costly", "The body is nested too deeply, or its brackets do not match.")
    try:
        payload = json.loads(text, object_pairs_hook=_without_doubles, parse_float=Decimal, parse_constant=_no_constant)
    except LimitError:
        raise
    except (ValueError, ArithmeticError, RecursionError):
        raise LimitError(400, "structure", "The body is not valid JSON.") from None
    if not isinstance(payload, dict):
        raise LimitError(400, "structure", "The body is not a JSON object.")
    if _SURROGATE.search(text) is not None and _has_lone_surrogate(payload):
        raise LimitError(400, "structure", "The body holds half a character.")
    return payload


def _is_too_deep(text: str) -> bool:
    """Count nesting without recursion: each round removes the innermost pairs, so the rounds are the depth."""
    brackets = _NOT_BRACKETS.sub("", _STRING.sub("", text)).translate(_ONE_KIND)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace("[]", "")
    return bool(brackets)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise LimitError(400, "structure", "A key stands twice in one object.")
    return made


def _no_constant(_: str) -> None:
    raise ValueError


def _has_lone_surrogate(value: Any) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return any(_has_lone_surrogate(key) or _has_lone_surrogate(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_lone_surrogate, value))
