"""Rules across fields: ``total = "a + b"``."""

from __future__ import annotations

import ast
import graphlib
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from functools import cache

from digitkit.errors import TemplateError

MAX_EXPRESSION = 500
"""Most characters of a rule's expression."""

MAX_NUMBER = Decimal(10**15)
"""Numbers of a rule are smaller."""

PRECISION = 400
"""Digits that a rule is computed with: those of all cells of a comb, multiplied a few times."""

_OPERATORS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One rule: a field equals an expression of others.

    Attributes:
        target: name of the field on the left.
        expression: of names of fields, numbers, ``+``, ``-``, ``*`` and parentheses.
        sources: the fields in the expression, each once.
    """

    target: str
    expression: str
    sources: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that it is about."""
        return (self.target, *self.sources)

    def evaluate(self, values: Mapping[str, Decimal]) -> Decimal:
        """The value of the expression.

        Args:
            values: of its fields, by name.
        """
        with localcontext(prec=PRECISION):
            return _evaluate(_parse(self.expression), values)

    def holds(self, values: Mapping[str, Decimal]) -> bool:
        """Whether values meet the rule, rounded half up to the decimals of the field on the left.

        Args:
            values: of its fields, by name.
        """
        total = values[self.target]
        with localcontext(prec=PRECISION, rounding=ROUND_HALF_UP):
            try:
                return self.evaluate(values).quantize(total) == total
            except InvalidOperation:  # of more digits than any field has
                return False

    def __str__(self) -> str:
        return f"{self.target} = {self.expression}"


def make_rule(target: str, expression: str, names: Sequence[str]) -> Rule:
    """Check a rule.

    Args:
        target: name of the field on the left.
        expression: text.
        names: of all fields.

    Raises:
        TemplateError: a field does not exist, or the expression has anything else than names,
            numbers, ``+``, ``-``, ``*`` and parentheses.
    """
    where = f"rule {target}"
    if target not in names:
        raise TemplateError(f"{where}: there is no field {target!r}")
    if len(expression) > MAX_EXPRESSION:
        raise TemplateError(f"{where} has more than {MAX_EXPRESSION} characters")
    try:
        body = _parse(expression := expression.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise TemplateError(
            f"{where}: {expression!r} is not an expression", hint='write it like "a + b"'
        ) from error
    used: dict[str, None] = {}
    for node in ast.walk(body):
        _check_node(node, where, expression)
        if isinstance(node, ast.Name):
            if node.id not in names:
                raise TemplateError(f"{where}: there is no field {node.id!r}")
            used[node.id] = None
    if not used:
        raise TemplateError(f"{where}: {expression!r} has no field")
    return Rule(target, expression, tuple(used))


@cache
def _parse(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


def _check_node(node: ast.AST, where: str, expression: str) -> None:
    allowed = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Load, ast.Add, ast.Sub, ast.Mult, ast.USub)
    is_number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
    if is_number and not abs(Decimal(str(node.value))) < MAX_NUMBER:  # type: ignore[attr-defined]
        raise TemplateError(f"{where}: numbers must be below {MAX_NUMBER:.0e}")
    if not (isinstance(node, allowed) or is_number):
        raise TemplateError(
            f"{where}: {expression!r} may have names of fields, numbers, +, -, * and parentheses"
        )


def check_cycles(rules: Sequence[Rule]) -> None:
    """Refuse rules that define a field by itself.

    Raises:
        TemplateError: there is a cycle; the message shows it.
    """
    graph = {rule.target: rule.sources for rule in rules}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise TemplateError(f"the rules have a cycle: {cycle}") from error


def _evaluate(node: ast.expr, values: Mapping[str, Decimal]) -> Decimal:
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.Constant):
        return Decimal(str(node.value))
    if isinstance(node, ast.UnaryOp):
        return -_evaluate(node.operand, values)
    assert isinstance(node, ast.BinOp)
    return _OPERATORS[type(node.op)](_evaluate(node.left, values), _evaluate(node.right, values))
