"""Each check of `warm-referral prove` holds, by the rule or attack that it is for; test_seeded_faults breaks each."""

from __future__ import annotations

import pytest

from smart_app.proofs import audit_chain, canaries, coming_in, headers, leak_paths, leaving, report, routes, two_worlds
from smart_app.proofs.check import Check
from smart_app.proofs.report import run_one
from smart_app.proofs.two_worlds import Bench

HERE = (routes, headers, leak_paths, leaving, coming_in, canaries, audit_chain)


def each(module: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("check", module.CHECKS, ids=lambda check: check.name.partition(": ")[2])  # type: ignore[attr-defined]


@pytest.mark.rule("attack 1")
@each(routes)
def test_attack_01_each_role_relation_and_route(prove_bench: Bench, check: Check[Bench]) -> None:
    """Who may open which page is written down a second time, and no other role, chart, cookie or token opens it.

    Break: let ``guards._require_role`` take every role.
    """
    assert run_one(check, prove_bench).seen is None


@pytest.mark.rule("attack 11")
@each(headers)
def test_attack_11_no_foreign_form_frame_or_copy(prove_bench: Bench, check: Check[Bench]) -> None:
    """Every answer of both surfaces, error pages too, keeps strangers, frames and caches out.

    Break: take ``foreign_posts.install`` out of ``guards.install``.
    """
    assert run_one(check, prove_bench).seen is None


@pytest.mark.rule("attack 7")
@each(leak_paths)
def test_attack_07_no_leak_path_of_a_fhir_server(prove_bench: Bench, check: Check[Bench]) -> None:
    """A program, or who has its key, asks for somebody else's referral in every way there is, and finds nothing.

    Break: in ``status_update.update_from_partner`` compare the version before the Task is read.
    """
    assert run_one(check, prove_bench).seen is None


@pytest.mark.rule("R9")
@each(leaving)
def test_rule_R09_what_leaves_and_only_then(prove_bench: Bench, check: Check[Bench]) -> None:
    """Nothing leaves without release, agreement, allow-list, question and proof.

    Break: let ``ConsentRegister.release_of`` return any release.
    """
    assert run_one(check, prove_bench).seen is None


@pytest.mark.rule("R16")
@each(coming_in)
def test_rule_R16_what_comes_in_and_what_is_told_back(prove_bench: Bench, check: Check[Bench]) -> None:
    """Nothing is taken in, stored or told back without the release for it.

    Break: let ``inbound.problems`` return nothing.
    """
    assert run_one(check, prove_bench).seen is None


@pytest.mark.rule("attack 6")
@each(canaries)
def test_attack_06_files_logs_and_pages_do_not_talk(prove_bench: Bench, check: Check[Bench]) -> None:
    """Also while things break, at the loudest log level, no word of a patient or caller is written or repeated.

    Break: take ``ClassOnly`` out of ``surface.take_forms``.
    """
    assert run_one(check, prove_bench).seen is None


@pytest.mark.rule("R26")
@each(audit_chain)
def test_rule_R26_every_look_and_every_crossing(prove_bench: Bench, check: Check[Bench]) -> None:
    """No look, denial or send without its row, and no row that can be changed unseen.

    Break: let ``AuditLog.append`` do nothing.
    """
    assert run_one(check, prove_bench).seen is None


def test_no_check_is_left_out() -> None:
    """Every check of the command is tried by a test."""
    tried = [check.name for module in (two_worlds, *HERE) for check in module.CHECKS]
    assert sorted(tried) == sorted(check.name for check in report.CHECKS)
