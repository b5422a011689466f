"""Rows that two workers may touch at once: the second one changes nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from launch.store import LaunchRow, LaunchStore

NOW = 1_900_000_000


def launched(store: LaunchStore) -> None:
    store.create_session("s1", "cookie", now=NOW, expires_at=NOW + 600)
    row = LaunchRow("l1", "s1", {"patient": "p1"}, {"access_token": "one"}, 1, 0, NOW, NOW + 600)
    assert store.add_launch(row, new_cookie="next", session_expires_at=NOW + 600)


def test_late_refresh_does_not_overwrite_a_newer_one(each_engine: Any, cipher: Any) -> None:
    """A worker that comes back late with tokens made from an older version keeps its hands off the newer ones.

    Breaks when ``replace_tokens`` does not compare the version.
    """
    store = LaunchStore(each_engine, cipher, "hc1")
    launched(store)
    assert store.replace_tokens("l1", 1, tokens={"access_token": "two"}, context={})
    assert not store.replace_tokens("l1", 1, tokens={"access_token": "late"}, context={})
    row = store.launch("l1", now=NOW, idle_seconds=60)
    assert row is not None
    assert (row.tokens, row.token_version) == ({"access_token": "two"}, 2)


def test_lease_is_given_once(each_engine: Any, cipher: Any) -> None:
    """Of two workers that want to renew one token, one may."""
    store = LaunchStore(each_engine, cipher, "hc1")
    launched(store)
    assert [store.lease_refresh("l1", 1, until=NOW + 60) for _ in range(2)] == [True, False]
    store.release_refresh("l1", 1)
    assert store.lease_refresh("l1", 1, until=NOW + 60)


def test_launch_is_not_kept_for_a_session_that_is_gone(each_engine: Any, cipher: Any) -> None:
    """A sign-in that comes back after the browser session ended leaves no launch behind."""
    store = LaunchStore(each_engine, cipher, "hc1")
    launched(store)
    store.end_session("s1")
    row = LaunchRow("l2", "s1", {}, {}, 1, 0, NOW, NOW + 600)
    assert not store.add_launch(row, new_cookie="x", session_expires_at=NOW + 600)
    assert store.launch("l1", now=NOW, idle_seconds=60) is None
    assert store.launch("l2", now=NOW, idle_seconds=60) is None


def test_tenants_do_not_see_each_other(each_engine: Any, cipher: Any) -> None:
    """A cookie, a launch and a note of one health center are nothing to another."""
    here, there = LaunchStore(each_engine, cipher, "hc1"), LaunchStore(each_engine, cipher, "hc2")
    launched(here)
    here.put_note("l1", "answer", 1)
    assert here.session_of("next", now=NOW, idle_seconds=60) is not None
    assert there.session_of("next", now=NOW, idle_seconds=60) is None
    assert there.launch("l1", now=NOW, idle_seconds=60) is None
    assert there.note("l1", "answer") is None
    assert there.end_launch("l1") == (None, False)
    assert here.note("l1", "answer") == 1


def test_one_note_written_by_many_at_once_stands_once(each_engine: Any, cipher: Any) -> None:
    """Several tabs that write the same note at the same moment all succeed, and one of their values stands.

    Break: in ``put_note`` update first and insert where nothing was changed.
    """
    store = LaunchStore(each_engine, cipher, "hc1")
    launched(store)
    together = threading.Barrier(4)

    def put(key: str, value: int) -> None:
        together.wait(30)
        store.put_note("l1", key, value)

    with ThreadPoolExecutor(4) as pool:
        for round_number in range(10):
            written = [pool.submit(put, f"answer-{round_number}", value) for value in range(4)]
            assert [one.result(30) for one in written] == [None] * 4
            assert store.note("l1", f"answer-{round_number}") in range(4)


def test_no_note_is_written_for_a_launch_that_is_over(each_engine: Any, cipher: Any) -> None:
    """Who comes back after the launch ended leaves nothing behind."""
    store = LaunchStore(each_engine, cipher, "hc1")
    launched(store)
    store.end_launch("l1")
    with pytest.raises(IntegrityError):
        store.put_note("l1", "answer", 1)
    assert store.note("l1", "answer") is None


def test_a_launch_and_what_is_written_beside_it_stand_or_fall_together(each_engine: Any, cipher: Any) -> None:
    """No launch without its row in the audit: where that cannot be written nothing of the launch is kept.

    Break: call ``also`` after the ``with`` block of ``add_launch`` or ``add_pending``.
    """

    store = LaunchStore(each_engine, cipher, "hc1")

    def no_audit(_: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.add_pending("state", "s", {}, now=NOW, expires_at=NOW + 60, new_cookie="c", also=no_audit)
    assert store.session_of("c", now=NOW, idle_seconds=60) is None
    store.create_session("s", "first", now=NOW, expires_at=NOW + 600)
    row = LaunchRow("l", "s", {}, {}, 1, 0, NOW, NOW + 600)
    with pytest.raises(OSError, match="disk full"):
        store.add_launch(row, new_cookie="next", session_expires_at=NOW + 600, also=no_audit)
    assert store.launch("l", now=NOW, idle_seconds=60) is None
    assert store.session_of("first", now=NOW, idle_seconds=60) is not None
