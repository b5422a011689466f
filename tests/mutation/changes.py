"""Every small change of one source file that ``make mutate`` tries: cosmic-ray's operators, and guards taken away.

A change is named by file, function and the lines before and after it, so that it keeps its name when lines move.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

# Those of cosmic-ray's 213 operators that make a running program of this code. The others turn `is` into `<` and
# `X | None` of an annotation into `X // None`: an error on every call, or nothing at all.
OPERATORS = tuple(
    f"core/{name}"
    for name in (
        "AddNot",
        "ExceptionReplacer",
        "NumberReplacer",
        "ReplaceAndWithOr",
        "ReplaceBinaryOperator_BitAnd_BitOr",
        "ReplaceBinaryOperator_BitOr_BitAnd",
        "ReplaceBinaryOperator_Sub_Add",
        "ReplaceComparisonOperator_Eq_NotEq",
        "ReplaceComparisonOperator_GtE_Gt",
        "ReplaceComparisonOperator_GtE_Lt",
        "ReplaceComparisonOperator_Gt_GtE",
        "ReplaceComparisonOperator_Gt_LtE",
        "ReplaceComparisonOperator_IsNot_Is",
        "ReplaceComparisonOperator_Is_IsNot",
        "ReplaceComparisonOperator_LtE_Gt",
        "ReplaceComparisonOperator_LtE_Lt",
        "ReplaceComparisonOperator_Lt_GtE",
        "ReplaceComparisonOperator_Lt_LtE",
        "ReplaceComparisonOperator_NotEq_Eq",
        "ReplaceFalseWithTrue",
        "ReplaceOrWithAnd",
        "ReplaceTrueWithFalse",
        "ReplaceUnaryOperator_Delete_Not",
        "ZeroIterationForLoop",
    )
)


@dataclass(frozen=True)
class Name:
    """How a person finds a change again."""

    file: str
    function: str
    before: str
    after: str


@dataclass(frozen=True)
class Change:
    """One changed program."""

    name: Name
    source: str


def changes(file: str, source: str) -> list[Change]:
    """All of them, each once; those that are no Python or change only an annotation are left out."""
    found: dict[str, Change] = {}
    original = _meaning(source)
    for changed in (*_by_operators(source), *_without_a_part(source)):
        try:
            meaning = _meaning(changed)
        except SyntaxError:
            continue
        if meaning != original and meaning not in found:
            found[meaning] = Change(_name(file, source, changed), changed)
    return list(found.values())


def _by_operators(source: str) -> Iterator[str]:
    for name in OPERATORS:
        occurrence = 0
        while (changed := mutate_code(source, get_operator(name)(), occurrence)) is not None:
            yield changed
            occurrence += 1


def _without_a_part(source: str) -> Iterator[str]:
    """Each operand of ``and`` and ``or``, each element of a set or table, taken away: a guard that somebody forgot."""
    for node in ast.walk(ast.parse(source)):
        parts = {ast.BoolOp: "values", ast.Set: "elts"}.get(type(node))
        if parts is None:
            continue
        for position in range(len(getattr(node, parts))):
            fewer = ast.parse(ast.unparse(node), mode="eval").body
            del getattr(fewer, parts)[position]
            if isinstance(fewer, ast.BoolOp) and len(fewer.values) == 1:
                fewer = fewer.values[0]
            text = "set()" if isinstance(fewer, ast.Set) and not fewer.elts else f"({ast.unparse(fewer)})"
            yield _replaced(source, node, text)


def _replaced(source: str, node: ast.AST, text: str) -> str:
    lines = source.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset  # type: ignore[attr-defined]
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset  # type: ignore[attr-defined]
    whole = source.encode()
    return (whole[:start] + text.encode() + whole[end:]).decode()


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Name("Any", ast.Load())
        return self.generic_visit(node)


def _meaning(source: str) -> str:
    return ast.dump(_WithoutAnnotations().visit(ast.parse(source)))


def _name(file: str, source: str, changed: str) -> Name:
    old, new = source.splitlines(), changed.splitlines()
    blocks = [
        code for code in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if code[0] != "equal"
    ]
    first, last = blocks[0], blocks[-1]
    before, after = old[first[1] : last[2]], new[first[3] : last[4]]
    return Name(file, _function_at(source, first[1] + 1), _one_line(before), _one_line(after))


def _one_line(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def _function_at(source: str, line: int) -> str:
    inside = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return max(inside, key=lambda node: node.lineno).name if inside else "module"
