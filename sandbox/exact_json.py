"""JSON without binary fractions: numbers with a point are read as ``Decimal`` and written as they are."""

from __future__ import annotations

import json
from decimal import Context, Decimal
from typing import Any, NoReturn

EXACT = Context(prec=200)
"""Arithmetic in which sums of the numbers admitted by `is_exact` lose no digit."""

MAX_DIGITS = 60
_LIMIT: int = 10**60
MAX_EXPONENT = 60


class _HasDecimal(Exception):
    pass


def loads(text: str | bytes) -> Any:
    """Decode one JSON value; numbers with a point or exponent become ``Decimal``.

    :raises ValueError: the text is not UTF-8 or not JSON, or has ``NaN`` or ``Infinity``.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: Any) -> bytes:
    """Encode a value as UTF-8 JSON; a ``Decimal`` keeps its digits, trailing zeros included."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_default).encode()
    except _HasDecimal:
        return _write(value).encode()


def is_exact(value: Any) -> bool:
    """Tell whether a value is a number that can be summed without rounding (no boolean, no huge exponent)."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) < _LIMIT
    if not isinstance(value, Decimal) or not value.is_finite():
        return False
    _, digits, exponent = value.as_tuple()
    return isinstance(exponent, int) and abs(exponent) <= MAX_EXPONENT and len(digits) <= MAX_DIGITS


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _default(value: object) -> NoReturn:
    if isinstance(value, Decimal):
        raise _HasDecimal
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _write(value: Any) -> str:
    # Only for values that hold a Decimal: the standard encoder, which is much faster, cannot write them.
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(k))}:{_write(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_write, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
