"""The compact form of an element's definition, and the walk over it.

One element is ``{"n": name, "min", "max" (-1 = *), "list", "t": [[type, [profiles or targets]]], "b": required value
set, "c": [invariant keys], "f": fixed, "p": pattern, "k": children, "r": content reference, "s": slices, "x": choice
of types}``. What is absent is not said. The form is ours: written by ``snapshots``, read by ``compiler``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]
DATA = Path(__file__).parent / "definitions.json"


def nodes(node: Json) -> Iterator[Json]:
    """An element and all below it, slices included."""
    yield node
    for child in node.get("k", {}).values():
        yield from nodes(child)
    for piece in node.get("s", {}).get("slices", {}).values():
        yield from nodes(piece)
