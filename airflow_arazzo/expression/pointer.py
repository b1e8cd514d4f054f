"""JSON Pointers (RFC 6901): reading, writing and following them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from airflow_arazzo.expression.model import ABSENT

_INDEX = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_BAD_ESCAPE = re.compile(r"~(?![01])")
_LONGEST_INDEX = 18


def parse_pointer(pointer: str) -> tuple[str, ...]:
    """The reference tokens of a JSON Pointer, unescaped.

    :param pointer: empty for the whole value, else beginning with ``/``.
    :raises ValueError: without that slash, or for a ``~`` that is neither ``~0`` nor ``~1``.

    >>> parse_pointer("/a~1b/0")
    ('a/b', '0')
    """
    if not pointer:
        return ()
    if pointer[0] != "/":
        raise ValueError("a JSON Pointer begins with '/'")
    if _BAD_ESCAPE.search(pointer):
        raise ValueError("'~' in a JSON Pointer is written '~0', and '/' inside a name '~1'")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/"))


def format_pointer(tokens: Iterable[str]) -> str:
    """The JSON Pointer with these reference tokens; empty when there are none.

    >>> format_pointer(["a/b", "0"])
    '/a~1b/0'
    """
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def navigate(value: Any, path: tuple[str, ...]) -> Any:
    """Follow reference tokens into a JSON value.

    A token is a member name of an object and an index of an array. Text is never looked into.

    :return: the value there, or ``ABSENT`` when a token leads nowhere.
    """
    for token in path:
        if isinstance(value, dict):
            value = value.get(token, ABSENT)
        elif isinstance(value, list):
            index = array_index(token)
            value = value[index] if index is not None and index < len(value) else ABSENT
        else:
            return ABSENT
    return value


def array_index(token: str) -> int | None:
    """The index that a reference token names, ``None`` when it is none (``-``, ``01``, a name)."""
    return int(token) if len(token) <= _LONGEST_INDEX and _INDEX.fullmatch(token) else None
