"""What a test does without a tool that it needs."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip_or_fail(words: str) -> NoReturn:
    """A tool that is missing skips a test at a desk and fails it in CI, where nothing may be skipped silently."""
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)
