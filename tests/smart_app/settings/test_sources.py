"""Where settings come from: one file and the environment; secrets never from the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smart_app.settings import SettingsError, load

Change = Callable[[dict[str, Any]], None]


def basic(settings: dict[str, Any]) -> None:
    settings["ehr"][1].update(id="main-ehr", token_endpoint_auth_method="client_secret_basic")


def test_the_environment_wins_over_the_file(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value set for one server counts there, whatever the shared file says."""
    monkeypatch.setenv("WARM_REFERRAL_SITE__PHONE", "555-0199")
    monkeypatch.setenv("WARM_REFERRAL_TRUSTED_PROXIES", '["10.0.0.1"]')
    settings = folder.loaded()
    assert (settings.site.phone, settings.trusted_proxies) == ("555-0199", ("10.0.0.1",))
    assert settings.site.name == "Riverside Health Center"


@pytest.mark.rule("R41")
def test_rule_R41_a_master_key_that_is_none_refuses_the_start(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A master key in the environment that is too short, or no base64, is named with its remedy and never shown.

    Break: in ``_key_problems`` leave out ``_is_master_key``.
    """
    for wrong in ("Y2FuYXJ5", "canary!"):
        monkeypatch.setenv("WARM_REFERRAL_MASTER_KEY", wrong)
        problems = folder.problems()
        assert [one for one in problems if one.startswith("WARM_REFERRAL_MASTER_KEY: ") and "init" in one], problems
        assert not [one for one in problems if wrong in one]


def test_client_secret_from_the_environment_or_a_file(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret of an EHR that insists on one is read from its file or variable, and is in nothing that is printed."""
    file = folder.directory / "ehr.secret"
    file.write_text("canary-from-file\n")
    file.chmod(0o600)
    settings = folder.loaded(basic, lambda s: s["ehr"][1].update(client_secret_file=str(file)))
    assert settings.registrations.for_id("main-ehr").client_secret == "canary-from-file"
    monkeypatch.setenv("WARM_REFERRAL_CLIENT_SECRETS__MAIN_EHR", "canary-from-environment")
    settings = folder.loaded()
    assert settings.registrations.for_id("main-ehr").client_secret == "canary-from-environment"
    assert settings.registrations.for_id("a").client_secret is None
    assert "canary" not in repr(settings) + str(settings) + repr(settings.registrations)


@pytest.mark.rule("R41")
def test_client_secret_that_others_can_read_or_that_nobody_needs(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret file for all to read, a secret that is not there, and one that no method uses: each is refused.

    Break: leave ``_secret_file_problems`` out of ``_ehr_problems``.
    """
    file = folder.directory / "ehr.secret"
    file.write_text("canary")
    file.chmod(0o644)
    (problem,) = folder.problems(basic, lambda s: s["ehr"][1].update(client_secret_file=str(file)))
    assert problem == f"ehr.main-ehr.client_secret_file: others can read this file; run chmod 600 {file}"
    file.unlink()
    assert any(problem.startswith("ehr.main-ehr.client_secret_file: no file") for problem in folder.problems())
    monkeypatch.setenv("WARM_REFERRAL_CLIENT_SECRETS__A", "canary")
    monkeypatch.setenv("WARM_REFERRAL_CLIENT_SECRETS__OTHER", "canary")
    problems = folder.problems()
    assert any(problem.startswith("ehr.a.client_secret: is given, but only") for problem in problems)
    assert any(problem.startswith("WARM_REFERRAL_CLIENT_SECRETS__OTHER: no registration") for problem in problems)
    assert not any("canary" in problem for problem in problems)


@pytest.mark.rule("R41")
def test_rule_R41_a_variable_that_is_no_setting_refuses_the_start(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelled variable would silently not count, so it is named. Break: ``_unknown_environment`` returns []."""
    monkeypatch.setenv("WARM_REFERRAL_AUDIT", "off")
    monkeypatch.setenv("WARM_REFERRAL_SITE__FONE", "555-0100")
    monkeypatch.setenv("WARM_REFERRAL_CONFIG", "elsewhere.toml")
    problems = folder.problems()
    assert any(problem.startswith("WARM_REFERRAL_AUDIT: there is no such setting") for problem in problems)
    assert any(problem.startswith("site.fone: there is no such setting; did you mean phone?") for problem in problems)
    assert not any("CONFIG" in problem for problem in problems)


def test_what_cannot_be_read_is_one_sentence(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in TOML or JSON is named with its place, and never with what stands there."""
    good = folder.config.read_text()
    for text, words in ((good + '\nname = "canary', "not valid TOML"), ("x = [1,\n[canary", "line 2")):
        folder.config.write_text(text)
        with pytest.raises(SettingsError, match=words) as refused:
            load(folder.config)
        assert "canary" not in str(refused.value)
    folder.config.write_bytes(b'name = "\xff"')
    with pytest.raises(SettingsError, match="UTF-8"):
        load(folder.config)
    folder.config.write_text(good)
    monkeypatch.setenv("WARM_REFERRAL_TRUSTED_PROXIES", "[canary")
    (problem,) = folder.problems()
    assert "trusted_proxies" in problem
    assert "canary" not in problem


@pytest.mark.parametrize(
    "wrong",
    [
        {"site": "Riverside"},
        {"ehr": {"id": "a"}},
        {"ehr": [1, "x"]},
        {"ehr": [[]]},
        {"demo": []},
        {"trusted_proxies": {"a": 1}},
        {"master_key_file": 7, "keys_file": []},
    ],
)
def test_a_file_of_the_wrong_shape_is_a_list_of_sentences(folder: Any, wrong: dict[str, Any]) -> None:
    """Whatever stands in the file, the answer names the key and is never a trace."""
    assert {problem.split(": ")[0].split(".")[0] for problem in folder.problems(lambda s: s.update(wrong))} & set(wrong)
