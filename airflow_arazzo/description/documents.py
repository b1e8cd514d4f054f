"""Documents: files read once, their values, and the place of every value in its file."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, SequenceNode

from airflow_arazzo.description import json_positions, yaml
from airflow_arazzo.description.contents import failure, is_json, line_and_column, read_value
from airflow_arazzo.description.diagnostics import Diagnostic, Position, Severity

Pointer = tuple[str | int, ...]
MAX_BYTES = 64 * 1024 * 1024
"""Size of the largest document that is read, in bytes."""

_WORD = re.compile(r"""[^\s"'\\]+""")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, eq=False)
class Document:
    """A file that was read.

    :param path: where it is on this machine.
    :param name: what diagnostics call it: its path relative to the folder of the entry document.
    :param data: its bytes.
    :param value: its content as dict, list, str, int, Decimal, bool and None; the outer objects of a large
        JSON description make their members when they are asked for.
    :param digest: SHA-256 of its bytes, in hexadecimal.
    """

    path: Path
    name: str
    data: bytes = field(repr=False)
    value: Any = field(repr=False)
    digest: str

    @cached_property
    def text(self) -> str:
        """The file as text."""
        return self.data.decode("utf-8-sig")

    @property
    def root(self) -> Location:
        """The location of the whole document."""
        return Location(self, (), self.value)

    @cached_property
    def _nodes(self) -> Node:
        return yaml.compose(self.text)

    @cached_property
    def is_json(self) -> bool:
        """Whether the text is read as JSON."""
        return is_json(self.path, self.data)

    def position(self, pointer: Pointer, *, key: bool = False, offset: int | None = None) -> Position:
        """Where a value starts in the file; of its key with ``key``.

        :param offset: characters into the value of a text: the place of that character, as far as the
            way the text is written lets one tell.
        """
        start, end = self._span(pointer, key)
        if offset is not None:
            start = _within(self.text, start, end, self._value(pointer), offset)
        return Position(self.name, *line_and_column(self.text, start))

    def line(self, pointer: Pointer) -> int:
        """The line in this file where a value starts; 0 for one that an overlay has put here."""
        position = self.position(pointer)
        return position.line if position.file == self.name else 0

    def _span(self, pointer: Pointer, key: bool) -> tuple[int, int]:
        """Offsets in the file of a value, or of its key."""
        if self.is_json:
            return json_positions.locate(self.text, pointer, key=key)
        node, key_node = self._find(pointer)
        if key and key_node is not None:
            node = key_node
        return node.start_mark.index, node.end_mark.index

    def _value(self, pointer: Pointer) -> Any:
        value = self.value
        for token in pointer:
            value = value[token]
        return value

    def _find(self, pointer: Pointer) -> tuple[Node, Node | None]:
        """The node at a pointer, or the deepest one on the way to it; and its key's node."""
        node: Node = self._nodes
        key_node: Node | None = None
        for token in pointer:
            if isinstance(node, MappingNode):
                pair = next((p for p in node.value if p[0].value == str(token)), None)
                if pair is None:
                    return node, key_node
                key_node, node = pair
            elif isinstance(node, SequenceNode) and isinstance(token, int) and token < len(node.value):
                key_node, node = None, node.value[token]
            else:
                return node, key_node
        return node, key_node


@dataclass(frozen=True)
class Location:
    """A value in a document, and the way to it."""

    document: Document
    pointer: Pointer
    value: Any = field(compare=False, repr=False)

    def __truediv__(self, token: str | int) -> Location:
        """The location of a member or item. Raises ``KeyError`` or ``IndexError`` when it is not there."""
        return Location(self.document, (*self.pointer, token), self.value[token])

    def get(self, token: str) -> Location | None:
        """The location of a member, or None where there is no such member or this is no object."""
        if isinstance(self.value, dict) and token in self.value:
            return self / token
        return None

    def members(self) -> Iterator[tuple[str, Location]]:
        """Keys and locations of an object's members; nothing for other values."""
        if isinstance(self.value, dict):
            for key in self.value:
                yield key, self / key

    def items(self) -> Iterator[Location]:
        """Locations of an array's items; nothing for other values."""
        if isinstance(self.value, list):
            for index in range(len(self.value)):
                yield self / index


def is_within(at: Location, outer: Location) -> bool:
    """Whether a location is in (or is) the value at another location."""
    return at.document is outer.document and at.pointer[: len(outer.pointer)] == outer.pointer


class Report:
    """Collects diagnostics, so that several are reported at once."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def add(
        self,
        severity: Severity,
        code: str,
        message: str,
        at: Location,
        hint: str = "",
        *,
        key: bool = False,
        offset: int | None = None,
    ) -> None:
        """Record a finding at a location; with ``key`` at the key of that member."""
        position = at.document.position(at.pointer, key=key, offset=offset)
        self.diagnostics.append(Diagnostic(code, severity, message, position, hint))

    def error(self, code: str, message: str, at: Location, hint: str = "", *, key: bool = False) -> None:
        """Record an error."""
        self.add(Severity.ERROR, code, message, at, hint, key=key)

    def warning(self, code: str, message: str, at: Location, hint: str = "", *, key: bool = False) -> None:
        """Record a warning: the document is read with a tolerance."""
        self.add(Severity.WARNING, code, message, at, hint, key=key)

    def note(self, code: str, message: str, at: Location, hint: str = "", *, key: bool = False) -> None:
        """Record a note."""
        self.add(Severity.NOTE, code, message, at, hint, key=key)

    @property
    def failed(self) -> bool:
        """Whether an error was recorded."""
        return any(d.severity is Severity.ERROR for d in self.diagnostics)


def read_document(path: Path, name: str) -> Document:
    """Read a YAML or JSON file.

    :param name: what diagnostics shall call it.
    :raises DocumentError: when it cannot be read or is neither YAML nor JSON.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise failure("too-large", f"larger than {MAX_BYTES // 2**20} MiB", name)
        data = path.read_bytes()
    except OSError as error:
        raise failure("unreadable", f"cannot be read: {error.strerror}", name) from None
    return parse_document(data, path, name)


def parse_document(data: bytes, path: Path, name: str) -> Document:
    """Turn the bytes of a file into a document.

    :raises DocumentError: with every duplicate key, or the first thing that is no YAML or JSON. What nobody
        asks for in a large JSON description is checked to be JSON and no further.
    """
    digest = hashlib.sha256(data).hexdigest()
    return Document(path, name, data, read_value(data, path, name), digest)


def relative_name(path: Path, folder: Path) -> str:
    """A name for diagnostics that does not depend on where the project lies on this machine."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _within(text: str, start: int, end: int, value: Any, offset: int) -> int:
    """The offset in the file of a character of a text value that is written from ``start`` to ``end``.

    Where the file has the value as it is (perhaps in quotes), that is a sum. Where it has escapes or line
    breaks, the word at the character is looked for. Where that fails, it is the start of the value.
    """
    if not isinstance(value, str):
        return start
    written = text[start:end]
    quote = written[:1] if written[:1] in ("'", '"') else ""
    if written.strip() in (value, f"{quote}{value}{quote}"):
        return start + len(quote) + offset
    word = _WORD.match(value, offset)
    if word is None:
        return start
    found = -1
    for _ in range(value.count(word.group(), 0, word.start()) + 1):
        found = written.find(word.group(), found + (1 if found < 0 else len(word.group())))
        if found < 0:
            return start
    return start + found
