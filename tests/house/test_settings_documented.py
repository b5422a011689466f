"""Every setting is explained on one page, with the default the code really has."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from smart_app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "settings.md"
ROW = re.compile(r"^\| `([\w.]+)` \| (.+?) \|", re.MULTILINE)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner = [t for t in _types(field.annotation) if isinstance(t, type) and issubclass(t, BaseModel)]
        if inner:
            yield from keys(inner[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _types(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _types(part)


def documented() -> dict[str, str]:
    return dict(ROW.findall(PAGE.read_text()))


def as_written(field: FieldInfo) -> str:
    """How a default stands on the page."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), frozenset(), {}):
        return "none"
    if isinstance(value, frozenset):
        return ", ".join(f"`{one}`" for one in sorted(value))
    if isinstance(value, time):
        return f"`{value:%H:%M}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


@pytest.mark.parametrize("key", [key for key, _ in keys(Settings)])
def test_each_setting_is_on_the_page(key: str) -> None:
    """Whoever sets this up finds every key on one page."""
    assert key in documented(), f"docs/settings.md has no row for `{key}`"


def test_no_row_is_left_of_a_setting_that_is_gone() -> None:
    """The page promises no setting that the code does not read."""
    assert set(documented()) == {key for key, _ in keys(Settings)}


def test_defaults_on_the_page_are_those_of_the_code() -> None:
    """What happens when a key is left out is what the page says."""
    page = documented()
    wrong = {key: (page[key], as_written(f)) for key, f in keys(Settings) if key in page and page[key] != as_written(f)}
    assert wrong == {}
