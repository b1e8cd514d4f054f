"""Expressions and text to values."""

from __future__ import annotations

from typing import Any, Literal

from airflow_arazzo.expression.jsonvalue import to_text
from airflow_arazzo.expression.model import ABSENT, Expression, Scope, Text
from airflow_arazzo.expression.pointer import navigate

AbsentText = Literal["fail", "empty"]
"""What an absent value inside text does: fails, or leaves nothing there."""


class AbsentInText(Exception):
    """An expression inside text has no value, so there is no text.

    :param expression: the one without a value.
    """

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        super().__init__(f"{expression.text or '$' + expression.root} has no value, and stands inside text")


def resolve(expression: Expression, scope: Scope) -> Any:
    """The value that an expression names, its path followed, or ``ABSENT``."""
    value = scope.lookup(expression)
    return navigate(value, expression.path) if expression.path else value


def text_of(text: Text, scope: Scope, *, absent_text: AbsentText = "fail") -> str:
    """Text with the values of its expressions in it; null is ``null``, as the specification has it.

    :raises AbsentInText: for an absent value, unless ``absent_text`` is ``empty``.
    :raises ValueError: for a number that cannot be written.
    """
    pieces = []
    for part in text.parts:
        if isinstance(part, str):
            pieces.append(part)
            continue
        value = resolve(part, scope)
        if value is not ABSENT:
            pieces.append(to_text(value))
        elif absent_text == "fail":
            raise AbsentInText(part)
    return "".join(pieces)
