"""One token endpoint with a few partners for the whole battery."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the plain module beside the tests

from partner_side import JWKS_URL, Station


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    made = Station(tmp_path_factory.mktemp("station") / "tokens.sqlite")
    made.register("harbor-system")
    made.register("with-url", jwks=None, jwks_url=JWKS_URL)
    made.register("off", is_enabled=False)
    made.register("reads-only", scopes=("system/Task.rs",))
    yield made
    made.engine.dispose()
