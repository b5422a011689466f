"""The inbox speaks Spanish throughout: no sentence without a translation, none that no page has any more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from fhir_profiles.referral_service_request import NEEDS
from fhir_profiles.referral_task import REASONS
from smart_app.errors import InvalidError
from smart_app.pages.advocate import items, visit
from smart_app.pages.advocate.words import SPANISH
from smart_app.policy import form_words, status_back

ROOT = Path(__file__).resolve().parents[3] / "smart_app"
SPOKEN = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)*)"')
WORKFLOWS = ("inbox", "inbox_request", "program_accounts")


def in_templates() -> Iterator[str]:
    for template in sorted((ROOT / "templates" / "advocate").glob("*.html")):
        yield from (found.replace('\\"', '"') for found in SPOKEN.findall(template.read_text(encoding="utf-8")))


def in_code() -> Iterator[str]:
    """Every constant sentence given to ``say``, ``show`` or an error, and the constants of the frame."""
    files = [*sorted((ROOT / "pages" / "advocate").glob("*.py"))]
    files += [ROOT / "workflows" / f"{name}.py" for name in WORKFLOWS]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                given = [*node.args, *(word.value for word in node.keywords if word.arg == "problem")]
                if name in ("say", "show", "InvalidError", "LockedError", "_page", "_show", "_show_sign_in"):
                    yield from (w for one in given for w in _sentences(one))
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                yield from (w for w in _sentences(node.value) if w.endswith("."))


def _sentences(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and re.match("[A-Z].*[a-z]", inner.value):
            yield inner.value


def in_tables() -> Iterator[str]:
    tables = (items.MEETS, form_words.VOICEMAIL_WORDS, form_words.LANGUAGES, items.MOVES, items.STATES, items.TIERS)
    tables += (items.ASKED_STATES, visit.MEETS, visit.SPOKEN, NEEDS)
    for table in tables:
        yield from table.values()
    yield from (REASONS[code] for code in status_back.REFUSAL_REASONS)
    yield InvalidError.words


def spoken() -> set[str]:
    return {*in_templates(), *in_code(), *in_tables(), "Closed", "Speak only with this person", "Anyone may answer"}


def test_every_sentence_has_its_spanish() -> None:
    """An advocate who reads Spanish never meets a line in English."""
    assert sorted(spoken() - SPANISH.keys()) == []


def test_no_spanish_is_left_of_what_no_page_says() -> None:
    """Whoever looks through the translations looks at what is there."""
    templates = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "templates" / "advocate").glob("*.html"))
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "pages" / "advocate").glob("*.py"))
    left = [one for one in SPANISH.keys() - spoken() if one not in templates and one not in code]
    assert sorted(left) == []


def test_words_in_braces_are_the_same_in_both_languages() -> None:
    """A name, a time or a number that the English sentence shows is not lost in the Spanish one."""
    braces = re.compile(r"{\w+}")
    wrong = [one for one, spanish in SPANISH.items() if set(braces.findall(one)) != set(braces.findall(spanish))]
    assert wrong == []
