"""What the bytes of a YAML or JSON file say: plain values, or where exactly they are none."""

from __future__ import annotations

import codecs
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from yaml.nodes import Node

from airflow_arazzo.description import json_positions, yaml
from airflow_arazzo.description.diagnostics import Diagnostic, DocumentError, Position, Severity
from airflow_arazzo.description.lazy import Irregular, LazyObject, Span, members

LARGE = 256 * 1024
"""Bytes from which on the members of a JSON description are made when they are asked for."""

_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def is_json(path: Path, data: bytes) -> bool:
    """Whether a file is read as JSON: by its name, unless something else is in it."""
    return path.suffix == ".json" and _JSON.match(data) is not None


def read_value(data: bytes, path: Path, name: str) -> Any:
    """The value of a file, see :class:`~airflow_arazzo.description.documents.Document`.

    :param name: what diagnostics shall call it.
    :raises DocumentError: with every duplicate key, or the first thing that is no YAML or JSON.
    """
    with yaml.collector_paused():
        if is_json(path, data):
            lazy = _Lazy(data, name).root() if len(data) >= LARGE else None
            return _json(text_of(data, name), name) if lazy is None else lazy
        return _yaml(text_of(data, name), name)


def text_of(data: bytes, name: str) -> str:
    """The text of a file.

    :raises DocumentError: when it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode()) + 1
        raise failure("not-utf8", "not UTF-8 text", name, line, column, "save it as UTF-8") from None


class _Lazy:
    """Makes the values of a large JSON description when they are asked for."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name = data, name

    def root(self) -> LazyObject | None:
        """The whole document; None for one that has to be read at once."""
        start = len(codecs.BOM_UTF8) if self._data.startswith(codecs.BOM_UTF8) else 0
        try:
            spans = members(self._data, (start, len(self._data)))
        except Irregular:
            return None
        return self._object((), spans) if "openapi" in spans else None

    def _object(self, pointer: tuple[str, ...], spans: dict[str, Span]) -> LazyObject:
        return LazyObject(self._data, spans, partial(self._member, pointer))

    def _member(self, pointer: tuple[str, ...], key: str, span: Span) -> Any:
        try:
            if _has_many(pointer, key) and self._data[span[0] : span[0] + 1] == b"{":
                return self._object((*pointer, key), members(self._data, span))
            return _json(self._data[slice(*span)].decode(), self._name)
        except (Irregular, UnicodeDecodeError, DocumentError):
            # Read as a whole it says what is wrong, and where in the file.
            value = _json(text_of(self._data, self._name), self._name)
            for token in (*pointer, key):
                value = value[token]
            return value


def _has_many(pointer: tuple[str, ...], key: str) -> bool:
    """Whether a member of an OpenAPI Object holds more than what is asked for: maps, paths, operations."""
    root = pointer[0] if pointer else key
    depth = len(pointer) + 1
    return (root in ("paths", "webhooks") and depth <= 3) or (root == "components" and depth <= 2)


def failure(
    code: str, message: str, name: str, line: int = 1, column: int = 1, hint: str = ""
) -> DocumentError:
    """The error that stands for one finding."""
    return DocumentError([Diagnostic(code, Severity.ERROR, message, Position(name, line, column), hint)])


def _duplicate(name: str, key: str, line: int, column: int) -> Diagnostic:
    message = f"the key {key!r} appears twice in one object"
    return Diagnostic("duplicate-key", Severity.ERROR, message, Position(name, line, column), "remove one")


def _yaml(text: str, name: str) -> Any:
    duplicates: list[tuple[str, Node]] = []
    try:
        value = yaml.construct(yaml.compose(text), duplicates)
    except yaml.YamlProblem as problem:
        raise failure(
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
            repeated.append("yes")
        return result

    try:
        value = json.loads(
            text, object_pairs_hook=pairs, parse_float=_number, parse_int=_number, parse_constant=_number
        )
    except json.JSONDecodeError as error:
        raise failure(
            "json-syntax", f"not valid JSON: {error.msg}", name, error.lineno, error.colno
        ) from None
    except yaml.BadNumber as bad:
        offset = next(offset for token, offset in json_positions.tokens(text) if token == bad.text)
        raise failure("not-a-number", str(bad), name, *line_and_column(text, offset)) from None
    except RecursionError:
        raise _too_deep(name) from None
    if repeated:
        places = json_positions.duplicate_keys(text)
        raise DocumentError(_duplicate(name, key, *line_and_column(text, at)) for key, at in places)
    if yaml.deeper_than(value, yaml.MAX_DEPTH):
        raise _too_deep(name)
    _check_surrogates(text, name)
    return value


def _number(text: str) -> Any:
    """A number of a JSON text: ``int`` or ``Decimal``, with its digits."""
    value = yaml.number(text)
    if isinstance(value, str):
        raise yaml.BadNumber(text, f"{text} is not a number that JSON knows")
    return value


def _too_deep(name: str) -> DocumentError:
    return failure("too-deep", f"nested more than {yaml.MAX_DEPTH} levels deep", name)


def _check_surrogates(text: str, name: str) -> None:
    """Refuse halves of surrogate pairs: JSON can escape them, but no text that is sent can hold them."""
    if not _SURROGATE.search(text):
        return
    for token, offset in json_positions.tokens(text):
        if token[0] == '"' and any("\ud800" <= char <= "\udfff" for char in json.loads(token)):
            place = line_and_column(text, offset)
            raise failure("not-unicode", "the text has half of a surrogate pair", name, *place)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """The place of a character, counted from 1."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1
