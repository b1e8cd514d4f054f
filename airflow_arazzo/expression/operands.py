"""The values of the operands of conditions."""

from __future__ import annotations

from typing import Any, cast

from airflow_arazzo.expression.model import ABSENT, Constant, Expression, Operand, Scope, Select, Text
from airflow_arazzo.expression.pointer import navigate
from airflow_arazzo.expression.resolve import text_of
from airflow_arazzo.expression.selectors import compared_value


def operand_value(operand: Operand, scope: Scope) -> Any:
    """The value of an operand, or ``ABSENT``.

    ``length`` at the end of a path that leads to an array or a text is its length, as people write it.

    :raises AbsentInText: for text with an absent value in it.
    :raises ValueError: for a query that cannot be applied.
    """
    kind = type(operand)
    if kind is Constant:
        return cast("Constant", operand).value
    if kind is Expression:
        expression = cast("Expression", operand)
        value = scope.lookup(expression)
        path = expression.path
        found = navigate(value, path) if path else value
        return length_at(value, path) if found is ABSENT and path and path[-1] == "length" else found
    if kind is Text:
        return text_of(cast("Text", operand), scope)
    return compared_value(cast("Select", operand), scope)


def length_at(value: Any, path: tuple[str, ...]) -> Any:
    """The length of what the path leads to before its last token, ``ABSENT`` if that has none."""
    holder = navigate(value, path[:-1])
    return len(holder) if isinstance(holder, list | str) else ABSENT
