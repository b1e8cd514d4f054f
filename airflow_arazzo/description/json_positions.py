"""Where values stand in a JSON text. Only asked when there is something to report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]

Path = tuple[str | int, ...]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_BLANK = re.compile(r"[ \t\n\r]*")
_SKIP = json.JSONDecoder(parse_float=len, parse_int=len, parse_constant=len)
"""Reads values only to find their ends, so numbers need not be made."""


def locate(text: str, pointer: Path, *, key: bool = False) -> tuple[int, int]:
    """The span of the value at a pointer in a valid JSON text, or of the deepest one on the way to it.

    :param key: whether the key of the value is wanted, where it has one.
    :return: offsets of its first character and behind its last.
    """
    at = _blank(text, 0)
    key_span: tuple[int, int] | None = None
    for token in pointer:
        found = next((m for m in _children(text, at) if m[0] == token), None)
        if found is None:
            key_span = None
            break
        _, key_span, at = found
    return key_span if key and key_span else (at, _end(text, at))


def _children(text: str, at: int) -> Iterator[tuple[str | int, tuple[int, int] | None, int]]:
    """Members or items of the value that begins at an offset: name or index, span of the key, offset."""
    opening = text[at]
    if opening not in "{[":
        return
    index = 0
    at = _blank(text, at + 1)
    while text[at] not in "}]":
        name: str | int = index
        span = None
        if opening == "{":
            name, end = scanstring(text, at + 1)
            span = (at, end)
            at = _blank(text, _blank(text, end) + 1)
        yield name, span, at
        at = _blank(text, _end(text, at))
        at = _blank(text, at + 1) if text[at] == "," else at
        index += 1


def _end(text: str, at: int) -> int:
    return _SKIP.raw_decode(text, at)[1]


def _blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def tokens(text: str) -> Iterator[tuple[str, int]]:
    """Every string, number, constant and punctuation mark of a JSON text, with its offset."""
    for match in _TOKEN.finditer(text):
        yield match.group(), match.start()


def duplicate_keys(text: str) -> list[tuple[str, int]]:
    """Every repeated key of a valid JSON text, with its offset."""
    found: list[tuple[str, int]] = []
    open_keys: list[set[str] | None] = []
    at_key = False
    for mark, offset in tokens(text):
        keys = open_keys[-1] if open_keys else None
        if mark in ("{", "["):
            open_keys.append(set() if mark == "{" else None)
            at_key = mark == "{"
        elif mark in ("}", "]"):
            open_keys.pop()
            at_key = False
        elif mark == ",":
            at_key = keys is not None
        elif at_key and keys is not None:
            name = json.loads(mark)
            if name in keys:
                found.append((name, offset))
            keys.add(name)
            at_key = False
    return found
