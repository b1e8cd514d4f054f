"""Templates to values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from airflow_arazzo.expression.jsonvalue import LARGEST_EXPONENT, to_text
from airflow_arazzo.expression.model import (
    ABSENT,
    ArrayTemplate,
    Constant,
    Expression,
    ObjectTemplate,
    Scope,
    Select,
    Template,
    Text,
    Typed,
)
from airflow_arazzo.expression.resolve import AbsentInText, AbsentText, resolve, text_of
from airflow_arazzo.expression.selectors import select_value

__all__ = ["AbsentInText", "evaluate", "resolve", "text_of", "to_text"]


def evaluate(template: Template, scope: Scope, *, absent_text: AbsentText = "fail") -> Any:
    """The value of a template: a JSON value, or ``ABSENT``.

    Absent members of objects and items of arrays are left out; an explicit null stays. Objects and arrays
    that come from the scope are not copied: whoever changes the result copies it first.

    :raises AbsentInText: for an absent value inside text, unless ``absent_text`` is ``empty``.
    :raises ValueError: for a number inside text that cannot be written, or a selector that cannot be
        applied to its context.
    """
    kind = type(template)
    if kind is Expression:
        return resolve(cast("Expression", template), scope)
    if kind is Constant:
        return _fresh(cast("Constant", template).value)
    if kind is Text:
        return text_of(cast("Text", template), scope, absent_text=absent_text)
    if kind is ObjectTemplate:
        return {
            name: value
            for name, member in cast("ObjectTemplate", template).members
            if (value := evaluate(member, scope, absent_text=absent_text)) is not ABSENT
        }
    if kind is ArrayTemplate:
        return [
            value
            for item in cast("ArrayTemplate", template).items
            if (value := evaluate(item, scope, absent_text=absent_text)) is not ABSENT
        ]
    if kind is Select:
        return _selected(cast("Select", template), scope)
    return _integer(evaluate(cast("Typed", template).template, scope, absent_text=absent_text))


def _selected(select: Select, scope: Scope) -> Any:
    context = resolve(select.context, scope)
    return ABSENT if context is ABSENT else select_value(select, context, scope)


def _integer(value: Any) -> Any:
    """A number without its ``.0``, when that is all it has behind the point."""
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not isinstance(value, Decimal) or not value.is_finite() or value.adjusted() > LARGEST_EXPONENT:
        return value
    return int(value) if value == value.to_integral_value() else value


def _fresh(value: Any) -> Any:
    """The same JSON value in objects and arrays of its own, so that nobody changes the plan."""
    if isinstance(value, dict):
        return {name: _fresh(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_fresh(item) for item in value]
    return value
