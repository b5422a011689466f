"""What one observer got, request by request, and where two such recordings differ first.

Only clocks and random ids are made alike before comparing; all else must be equal, to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

_ALIKE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"), "<signed>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]*(?:Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r'(name="(?:csrf_token|once)" value=")[^"]+'), r"\1<token>"),
    (re.compile(r"(__Host-(?:cc|in)=)[\w-]+"), r"\1<cookie>"),
    (re.compile(r'"(milliseconds|request_id)": "?[\w.]+"?'), r'"\1": <any>'),
    (re.compile(r"(Message-ID: <)[0-9a-f]+"), r"\1<id>"),
    (re.compile(r"(?m)^(Date: ).*$"), r"\1<time>"),
    (re.compile(r"(Expires=)\w{3}, [\w :]+ GMT"), r"\1<time>"),
    (re.compile(r"(&#34;(?:id|challenge)&#34;: &#34;)[\w-]+"), r"\1<id>"),
)
CONTEXT = 60


@dataclass(frozen=True)
class Exchange:
    """One request and everything that came of it. The fields after ``asked`` are the channels that are compared."""

    asked: str
    status: int
    headers: str
    body: str
    size: int
    statements: int
    log: str
    calls: str
    mails: str


CHANNELS = tuple(one.name for one in fields(Exchange) if one.name != "asked")
Recording = Sequence[Exchange]


def alike(text: str) -> str:
    """``text`` with clocks and random ids replaced; their places stay."""
    for pattern, word in _ALIKE:
        text = pattern.sub(word, text)
    return text


def bytes_in(recording: Recording) -> int:
    """How many bytes a comparison of this recording looks at."""
    return sum(len(str(getattr(one, channel)).encode()) for one in recording for channel in CHANNELS)


def statements_in(recording: Recording) -> int:
    """How many SQL statements this observer's requests made."""
    return sum(one.statements for one in recording)


def first_difference(without: Recording, with_it: Recording) -> str | None:
    """None when nothing tells the two apart; else where, and what stood there in either."""
    return next(differences(without, with_it), None)


def differences(without: Recording, with_it: Recording) -> Iterator[str]:
    """Every request and channel that differs, in the order of the recording."""
    if len(without) != len(with_it):
        yield f"{len(without)} requests without, {len(with_it)} with it"
        return
    for number, (a, b) in enumerate(zip(without, with_it, strict=True), start=1):
        for channel in CHANNELS:
            one, other = alike(str(getattr(a, channel))), alike(str(getattr(b, channel)))
            if one != other:
                yield f"request {number} ({alike(a.asked)}), {channel}, {_where(one, other)}"


def _where(one: str, other: str) -> str:
    shorter = min(len(one), len(other))
    at = next((i for i in range(shorter) if one[i] != other[i]), shorter)
    start = max(0, at - CONTEXT // 2)
    shown = [text[start : at + CONTEXT].replace("\n", " ") for text in (one, other)]
    return f"byte {len(one[:at].encode())}: without «{shown[0]}», with «{shown[1]}»"
