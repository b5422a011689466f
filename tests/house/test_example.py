"""The example for a partner's engineer stays short, stands alone, and posts what our own validator accepts."""

from __future__ import annotations

import ast
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

from fhir_profiles.validation import parse, validate

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "post_referral.py"


def constants() -> dict[str, object]:
    """What the example sets up before it reads its arguments."""
    tree = ast.parse(EXAMPLE.read_text())
    kept = [node for node in tree.body if isinstance(node, ast.Assign | ast.AugAssign)]
    names: dict[str, object] = {"Template": Template}
    for node in kept:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if ast.unparse(target).startswith(("FIXED", "REFERRAL")):
            exec(compile(ast.Module([node], []), str(EXAMPLE), "exec"), names)
    return names


def test_the_example_is_short_and_needs_two_libraries() -> None:
    """An engineer reads it in one go, and runs it with nothing of ours installed."""
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) <= 80
    modules = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")])
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert modules - sys.stdlib_module_names == {"requests", "joserfc"}


def test_what_the_example_posts_is_valid() -> None:
    """The body that others will copy is one the clinic takes."""
    names = constants()
    urns = {name: f"urn:uuid:{uuid.uuid4()}" for name in ("n", "patient", "consent", "request", "task")}
    days = {"today": f"{datetime.now(UTC):%F}", "later": f"{datetime.now(UTC) + timedelta(days=14):%F}"}
    template, fixed = names["REFERRAL"], names["FIXED"]
    assert isinstance(template, Template)
    assert isinstance(fixed, dict)
    body = template.substitute(urns, us="Organization/harbor", **days, **fixed)
    assert validate(parse(body.encode()), "referral-bundle") == []
