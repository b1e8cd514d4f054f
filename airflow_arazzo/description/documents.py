"""Documents: files read once, their values, and the place of every value in its file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from airflow_arazzo.description import json_positions, yaml
from airflow_arazzo.description.diagnostics import Diagnostic, DocumentError, Position, Severity

Pointer = tuple[str | int, ...]
MAX_BYTES = 64 * 1024 * 1024
"""Size of the largest document that is read, in bytes."""


@dataclass(frozen=True, eq=False)
class Document:
    """A file that was read.

    :param path: where it is on this machine.
    :param name: what diagnostics call it: its path relative to the folder of the entry document.
    :param value: its content as dict, list, str, int, Decimal, bool and None.
    :param digest: SHA-256 of its bytes, in hexadecimal.
    """

    path: Path
    name: str
    text: str = field(repr=False)
    value: Any = field(repr=False)
    digest: str

    @property
    def root(self) -> Location:
        """The location of the whole document."""
        return Location(self, (), self.value)

    @cached_property
    def _nodes(self) -> Node:
        return yaml.compose(self.text)

    @property
    def is_json(self) -> bool:
        """Whether the text is read as JSON."""
        return _looks_like_json(self.path, self.text)

    def position(self, pointer: Pointer, *, key: bool = False, offset: int | None = None) -> Position:
        """Where a value starts in the file; of its key with ``key``.

        :param offset: characters into the text of a scalar; ignored where the scalar spans lines.
        """
        if self.is_json:
            line, column = json_positions.locate(self.text, pointer, key=key)
            if offset is not None and self.text.split("\n", line)[line - 1][column - 1 : column] == '"':
                column += 1 + offset
            return Position(self.name, line, column)
        node, key_node = self._find(pointer)
        if key and key_node is not None:
            node = key_node
        mark = node.start_mark
        column = mark.column + 1
        if offset is not None and isinstance(node, ScalarNode) and node.end_mark.line == mark.line:
            column += offset + (1 if node.style in ("'", '"') else 0)
        return Position(self.name, mark.line + 1, column)

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
            raise _failure("too-large", f"larger than {MAX_BYTES // 2**20} MiB", name)
        data = path.read_bytes()
    except OSError as error:
        raise _failure("unreadable", f"cannot be read: {error.strerror}", name) from None
    return parse_document(data, path, name)


def parse_document(data: bytes, path: Path, name: str) -> Document:
    """Turn the bytes of a file into a document.

    :raises DocumentError: with every duplicate key, or the first thing that is no YAML or JSON.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise _failure("not-utf8", "not UTF-8 text", name, line, column, "save it as UTF-8") from None
    digest = hashlib.sha256(data).hexdigest()
    value = _json(text, name) if _looks_like_json(path, text) else _yaml(text, name)
    return Document(path, name, text, value, digest)


def relative_name(path: Path, folder: Path) -> str:
    """A name for diagnostics that does not depend on where the project lies on this machine."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _looks_like_json(path: Path, text: str) -> bool:
    return path.suffix == ".json" and text.lstrip()[:1] in ("{", "[")


def _failure(
    code: str, message: str, name: str, line: int = 1, column: int = 1, hint: str = ""
) -> DocumentError:
    return DocumentError([Diagnostic(code, Severity.ERROR, message, Position(name, line, column), hint)])


def _duplicate(name: str, key: str, line: int, column: int) -> Diagnostic:
    message = f"the key {key!r} appears twice in one object"
    return Diagnostic("duplicate-key", Severity.ERROR, message, Position(name, line, column), "remove one")


def _yaml(text: str, name: str) -> Any:
    duplicates: list[tuple[str, Node]] = []
    try:
        value = yaml.construct(yaml.compose(text), duplicates)
    except yaml.YamlProblem as problem:
        raise _failure(
            problem.code, problem.message, name, problem.line, problem.column, problem.hint
        ) from None
    if duplicates:
        raise DocumentError(
            _duplicate(name, key, node.start_mark.line + 1, node.start_mark.column + 1)
            for key, node in duplicates
        )
    return value


def _json(text: str, name: str) -> Any:
    repeated: list[str] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(members)
        if len(result) != len(members):
            seen: set[str] = set()
            repeated.extend(key for key, _ in members if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return result

    def refuse(constant: str) -> Any:
        raise _failure("not-a-number", f"{constant} is not a number that JSON knows", name)

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_float=Decimal, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise _failure(
            "json-syntax", f"not valid JSON: {error.msg}", name, error.lineno, error.colno
        ) from None
    except RecursionError:
        raise _failure("too-deep", "the document is nested too deeply", name) from None
    if repeated:
        places = json_positions.duplicate_keys(text)
        raise DocumentError(_duplicate(name, key, line, column) for key, line, column in places)
    return value
