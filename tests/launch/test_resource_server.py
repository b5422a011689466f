"""What a partner's access token opens, and that it opens nothing once it is dead."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, insert, update

from launch.errors import BearerError
from launch.resource_server import PartnerToken, PartnerTokens
from launch.tables import launch_client, launch_token, metadata

TENANT = "hc1"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = create_engine(f"sqlite:///{tmp_path / 'tokens.sqlite'}")
    metadata.create_all(made)
    with made.begin() as connection:
        for tenant in (TENANT, "hc2"):
            connection.execute(
                insert(launch_client).values(
                    tenant_id=tenant, client_id="harbor-system", scopes="system/Task.crus", is_enabled=True
                )
            )
    return made


def give(engine: Engine, token: str, *, seconds: int = 300, tenant: str = TENANT) -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(launch_token).values(
                tenant_id=tenant,
                token_hash=hashlib.sha256(token.encode()).hexdigest(),
                client_id="harbor-system",
                scopes="system/Task.crus system/Consent.c",
                jti_hash="f" * 64,
                expires_at=int(time.time()) + seconds,
            )
        )


def tokens(engine: Engine, is_open: bool = True) -> PartnerTokens:
    return PartnerTokens(engine, TENANT, lambda client_id: is_open)


@pytest.mark.requirement("smart@265")
def test_live_token_says_whose_it_is(engine: Engine) -> None:
    """A partner that shows its token is known by its client id and what it may do."""
    give(engine, "alive")
    for spelling in ("Bearer alive", "bearer alive", "BEARER alive"):
        found = tokens(engine).require_token({"Authorization": spelling})
        assert (found.client_id, found.scopes) == ("harbor-system", {"system/Task.crus", "system/Consent.c"})
        assert found.expires_at.utcoffset() is not None


@pytest.mark.parametrize(
    ("name", "header", "challenge"),
    [
        ("no_token", None, "Bearer"),
        ("empty", "", "Bearer"),
        ("bad_token", "Bearer unknown", 'Bearer error="invalid_token"'),
        ("basic", "Basic YTpi", 'Bearer error="invalid_token"'),
        ("two tokens", "Bearer alive alive", 'Bearer error="invalid_token"'),
        ("line break", "Bearer alive\n", 'Bearer error="invalid_token"'),
        ("expired_token", "Bearer expired", 'Bearer error="invalid_token"'),
        ("other health center", "Bearer elsewhere", 'Bearer error="invalid_token"'),
        ("huge", "Bearer " + "x" * 5000, 'Bearer error="invalid_token"'),
        ("not ascii", "Bearer tökèn", 'Bearer error="invalid_token"'),
    ],
)
def test_dead_token_opens_nothing(name: str, header: str | None, challenge: str, engine: Engine) -> None:
    """Without a live token of this health center the answer is 401, with the challenge the standard asks for."""
    give(engine, "alive")
    give(engine, "expired", seconds=0)
    give(engine, "elsewhere", tenant="hc2")
    with pytest.raises(BearerError) as refused:
        tokens(engine).require_token({} if header is None else {"Authorization": header})
    assert (refused.value.status, refused.value.www_authenticate) == (401, challenge)


@pytest.mark.rule("R19")
def test_rule_R19_token_dies_with_the_agreement_and_with_the_client(engine: Engine) -> None:
    """A partner whose agreement ended, or whose client was switched off, is refused with its next request.

    Break: in ``require_token`` leave out ``if not row.is_enabled or not self._is_partner_open(...)``.
    """
    give(engine, "alive")
    header = {"Authorization": "Bearer alive"}
    assert tokens(engine).require_token(header)
    with pytest.raises(BearerError):
        tokens(engine, is_open=False).require_token(header)
    with engine.begin() as connection:
        connection.execute(update(launch_client).values(is_enabled=False))
    with pytest.raises(BearerError):
        tokens(engine).require_token(header)


@pytest.mark.requirement("smart@266")
@pytest.mark.parametrize("needed", ["c", "r", "u", "s", "rs", "cu", "crus"])
def test_one_scope_covers_each_of_its_letters(needed: str) -> None:
    """A token for all that may be done with a Task is good for each single thing."""
    token = PartnerToken("x", frozenset({"system/Task.crus"}), "", expires_at=None)  # type: ignore[arg-type]
    PartnerTokens.require_scope(token, f"system/Task.{needed}")


@pytest.mark.parametrize(
    ("name", "granted", "needed"),
    [
        ("scope_too_small", "system/Task.rs", "system/Task.u"),
        ("letter not granted", "system/Task.crus", "system/Task.d"),
        ("entry_outside_scope", "system/Task.crus", "system/Consent.c"),
        ("user level", "user/Task.crus", "system/Task.r"),
        ("patient level", "patient/Task.crus", "system/Task.r"),
        ("wildcard type is not ours", "system/*.cruds", "system/Task.r"),
        ("narrowed", "system/Task.r?status=requested", "system/Task.r"),
        ("longer name", "system/TaskList.crus", "system/Task.r"),
        ("other case", "system/task.crus", "system/Task.r"),
        ("nothing needed is nothing given", "system/Task.crus", "system/Task."),
        ("nothing granted", "", "system/Task.r"),
    ],
)
def test_scope_too_small_is_refused(name: str, granted: str, needed: str) -> None:
    """A token opens what it names and nothing beside it."""
    token = PartnerToken("x", frozenset(granted.split()), "", expires_at=None)  # type: ignore[arg-type]
    with pytest.raises(BearerError) as refused:
        PartnerTokens.require_scope(token, needed)
    assert (refused.value.status, refused.value.www_authenticate) == (403, 'Bearer error="insufficient_scope"')


def test_every_token_costs_one_look_up(engine: Engine) -> None:
    """Unknown, expired and live tokens cost the same, so that an answer's timing tells nothing."""
    give(engine, "alive")
    give(engine, "expired", seconds=0)
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *a: seen.append(a[2]))
    counts = []
    for token in ("alive", "expired", "unknown"):
        seen.clear()
        with contextlib.suppress(BearerError):
            tokens(engine).require_token({"Authorization": f"Bearer {token}"})
        counts.append(tuple(seen))
    assert len(set(counts)) == 1
    assert len(counts[0]) == 1
