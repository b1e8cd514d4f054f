"""Comparing JSON values: loosely as conditions do, and exactly as JSONPath filters do.

The loose rules (Arazzo 1.1, "Condition Evaluation", where it leaves room):

- absent and null are equal to each other and to nothing else; ordering with them is false;
- text is compared without regard to case;
- a number and a text are compared as numbers if the text reads as one, otherwise they differ;
- two texts are put in order as numbers if both read as one, but are never equal as numbers;
- a boolean equals the same boolean and the text ``true`` or ``false``; it has no order;
- objects and arrays equal exactly equal ones, and have no order.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from airflow_arazzo.expression.model import ABSENT, Operator

Number = int | Decimal

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,9})?", re.ASCII)


def compare(operator: Operator, left: Any, right: Any) -> bool:
    """Compare two JSON values, either of which may be ``ABSENT``, by the loose rules."""
    if operator == "==":
        return equal(left, right)
    if operator == "!=":
        return not equal(left, right)
    order = _order(left, right)
    if order is None:
        return False
    if operator == "<":
        return order < 0
    if operator == "<=":
        return order <= 0
    if operator == ">":
        return order > 0
    return order >= 0


def truthy(value: Any) -> bool:
    """Whether a value that stands alone in a condition holds: not false, null or absent."""
    return value is not None and value is not ABSENT and value is not False


def equal(left: Any, right: Any) -> bool:
    """Equality by the loose rules."""
    if left is None or left is ABSENT:
        return right is None or right is ABSENT
    if right is None or right is ABSENT:
        return False
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    if isinstance(left, bool) or isinstance(right, bool):
        return _truth_value(left) is _truth_value(right) and _truth_value(left) is not None
    first, second = number_of(left), number_of(right)
    if first is not None and second is not None:
        return first == second
    return exactly_equal(left, right)


def exactly_equal(left: Any, right: Any) -> bool:
    """Equality of JSON values: of the same type, numbers by value, text by its characters."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(exactly_equal(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(exactly_equal, left, right))
    if isinstance(left, float) or isinstance(right, float):
        if isinstance(left, str) or isinstance(right, str):
            return False
        left, right = number_of(left), number_of(right)
        return left is not None and bool(left == right)
    return bool(left == right)


def number_of(value: Any) -> Number | None:
    """The finite number that a value is or, for text, reads as; ``None`` for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        value = Decimal(repr(value))
    elif isinstance(value, str) and _NUMBER.fullmatch(value):
        value = Decimal(value)
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _order(left: Any, right: Any) -> int | None:
    """Below, at or above zero as the left comes before, with or after the right; ``None`` if neither."""
    first, second = number_of(left), number_of(right)
    if first is not None and second is not None:
        return (first > second) - (first < second)
    if isinstance(left, str) and isinstance(right, str):
        one, other = left.casefold(), right.casefold()
        return (one > other) - (one < other)
    return None


def _truth_value(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.casefold())
    return None
