"""Scripts of this repository that are no part of a package, as modules that a test can ask."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType


@cache
def load_script(path: Path) -> ModuleType:
    """The module in this file, run once."""
    spec = importlib.util.spec_from_file_location("_".join(("script", *path.with_suffix("").parts[-2:])), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass asks for its module by name
    spec.loader.exec_module(module)
    return module
