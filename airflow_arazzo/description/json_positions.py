"""Where values stand in a JSON text. Only asked when there is something to report, so it may be slow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')

Path = tuple[str | int, ...]


def _walk(text: str) -> Iterator[tuple[Path, int, int | None]]:
    """Every value of a valid JSON text: its path, its offset, and the offset of its key."""
    stack: list[tuple[str, list[str | int]]] = []
    key_offset: int | None = None
    expecting_key = False
    for match in _TOKEN.finditer(text):
        symbol, offset = match.group(), match.start()
        if symbol in ("]", "}"):
            stack.pop()
            expecting_key = False
        elif symbol == ",":
            kind, last = stack[-1]
            if kind == "[":
                last[0] = int(last[0]) + 1
            expecting_key = kind == "{"
        elif symbol == ":":
            continue
        elif expecting_key and stack[-1][0] == "{":
            stack[-1][1][0], key_offset, expecting_key = json.loads(symbol), offset, False
        else:
            yield tuple(last[0] for _, last in stack), offset, key_offset
            key_offset = None
            if symbol in ("{", "["):
                stack.append((symbol, [0 if symbol == "[" else ""]))
                expecting_key = symbol == "{"


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def locate(text: str, pointer: Path, *, key: bool = False) -> tuple[int, int]:
    """Line and column, counted from 1, of the value at a pointer or of the deepest one on the way to it."""
    best_depth, best_offset = -1, 0
    for path, offset, key_offset in _walk(text):
        depth = len(path)
        if depth > best_depth and path == pointer[:depth]:
            best_depth = depth
            best_offset = key_offset if key and key_offset is not None and depth == len(pointer) else offset
            if depth == len(pointer):
                break
    return _line_and_column(text, best_offset)


def duplicate_keys(text: str) -> list[tuple[str, int, int]]:
    """Every repeated key of a valid JSON text, with its line and column."""
    seen: set[Path] = set()
    found: list[tuple[str, int, int]] = []
    for path, _, key_offset in _walk(text):
        if key_offset is None:
            continue
        if path in seen:
            found.append((str(path[-1]), *_line_and_column(text, key_offset)))
        seen.add(path)
    return found
