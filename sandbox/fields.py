"""Checks of decoded JSON against the shapes that Amberflo's descriptions give."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.exact_json import is_exact

Check = Callable[[Any, str], None]
"""Takes a value and its name; raises ValueError with a sentence for a person."""

_INT64 = 2**63
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def text(value: Any, name: str) -> None:
    """Accept a string."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string")


def name_text(value: Any, name: str) -> None:
    """Accept a string that can name something, so not an empty one."""
    text(value, name)
    if not value.strip():
        raise ValueError(f"{name} must not be empty")


def email(value: Any, name: str) -> None:
    """Accept a string with an at sign between two parts."""
    text(value, name)
    if not _EMAIL.fullmatch(value):
        raise ValueError(f"{name} must be an e-mail address")


def integer(value: Any, name: str) -> None:
    """Accept a whole number of 64 bits, written without point or exponent."""
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise ValueError(f"{name} must be an integer")


def millis(value: Any, name: str) -> None:
    """Accept Unix milliseconds of the years 1970 to 9999."""
    integer(value, name)
    if not 0 <= value < 253_402_300_800_000:
        raise ValueError(f"{name} must be a time in Unix milliseconds")


def number(value: Any, name: str) -> None:
    """Accept a number that can be summed exactly."""
    if not is_exact(value):
        raise ValueError(f"{name} must be a number")


def boolean(value: Any, name: str) -> None:
    """Accept true and false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be a boolean")


def choice(*allowed: str) -> Check:
    """Accept one of some strings."""

    def check(value: Any, name: str) -> None:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}")

    return check


def array_of(item: Check) -> Check:
    """Accept an array whose items pass a check."""

    def check(value: Any, name: str) -> None:
        if not isinstance(value, list):
            raise ValueError(f"{name} must be an array")
        for position, entry in enumerate(value):
            item(entry, f"{name}[{position}]")

    return check


def map_of(item: Check) -> Check:
    """Accept an object whose values pass a check."""

    def check(value: Any, name: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{name} must be an object")
        for key, entry in value.items():
            item(entry, f"{name}.{key}")

    return check


def record_of(fields: Mapping[str, Check], required: tuple[str, ...]) -> Check:
    """Accept an object with typed fields; fields that are not named pass unchecked."""

    def check(value: Any, name: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{name} must be an object")
        for key in required:
            if key not in value:
                raise ValueError(f"{name} lacks {key}")
        for key, item in fields.items():
            if key in value:
                item(value[key], key if name == "body" else f"{name}.{key}")

    return check
