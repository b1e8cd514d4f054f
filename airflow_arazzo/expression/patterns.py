"""Regular expressions with a time bound."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import regex

TIME_LIMIT = 1.0
"""Seconds that a regular expression may take to match."""


def found(pattern: str, text: str, *, whole: bool = False, flags: int = 0) -> bool:
    """Whether a pattern matches somewhere in a text.

    :param whole: whether it has to match all of it.
    :raises ValueError: when the pattern is malformed, or takes longer than :data:`TIME_LIMIT`.
    """
    compiled = compile_pattern(pattern, flags)
    match = compiled.fullmatch if whole else compiled.search
    try:
        return match(text, timeout=TIME_LIMIT) is not None
    except TimeoutError:
        raise ValueError(f"the regular expression took longer than {TIME_LIMIT} s") from None


@lru_cache(maxsize=256)
def compile_pattern(pattern: str, flags: int = 0) -> Any:
    """Compile a pattern of the ``regex`` module.

    :raises ValueError: when it is malformed.
    """
    try:
        return regex.compile(pattern, flags)
    except (regex.error, RecursionError, OverflowError) as problem:
        raise ValueError(f"the regular expression is malformed: {problem}") from None
