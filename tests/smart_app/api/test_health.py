"""Is it answering?"""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient


def test_the_answer_is_constant_and_asks_no_store(http: FlaskClient, world: Any) -> None:
    """The same bytes, even with the database gone; it tells nothing about what is kept."""
    world.engine.dispose()
    world.file.unlink()
    answer = http.get("/health")
    assert (answer.status_code, answer.data) == (200, b'{"status":"pass"}')
    assert answer.headers["Cache-Control"] == "no-store"
