"""YAML 1.2 (core schema) on libyaml: plain Python values, and the place of each of them.

PyYAML's own loaders follow YAML 1.1, where ``on`` is a boolean and ``2024-01-01`` a date. Here libyaml
composes the nodes and this module gives them their values, so that the rules are those of YAML 1.2.
Numbers are ``int`` or ``Decimal``; where the text of a number is more than its value (``007``, ``1e3``)
the value remembers it, because a description may say that the place holds a string.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.events import CollectionEndEvent, CollectionStartEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_ALIASED_NODES = 200_000
"""By how many nodes a document may grow when its aliases are expanded."""

MAX_DEPTH = 128
"""How deep objects and arrays may be nested. All that reads documents may recurse that deep."""

MAX_EXPONENT = 5000
"""Numbers beyond ten to this power, either way, are refused: written out they would fill the memory."""

_SAFE_BRACKETS = 10_000
"""libyaml's composer uses the stack: documents with more opening brackets are measured before."""

_ANCHOR = re.compile(r"(?<!\w)&[\w-]")
"""Found in every text that has an anchor, and in some others."""

_DEEP_LINE = re.compile(r"^[ ?:-]{1000}", re.MULTILINE)
_PLAIN, _QUOTED = "plain", "quoted"
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_CONSTANTS = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
_TAGS = {
    "tag:yaml.org,2002:str": _QUOTED,
    "tag:yaml.org,2002:int": _PLAIN,
    "tag:yaml.org,2002:float": _PLAIN,
    "tag:yaml.org,2002:bool": _PLAIN,
    "tag:yaml.org,2002:null": _PLAIN,
    "tag:yaml.org,2002:map": _PLAIN,
    "tag:yaml.org,2002:seq": _PLAIN,
}


class LexicalInt(int):
    """An integer whose text says more than its value, such as ``007``."""

    lexeme: str


class LexicalDecimal(Decimal):
    """A decimal whose text says more than its value, such as ``1e3``."""

    lexeme: str


class BadNumber(ValueError):
    """A number that cannot be used; ``text`` is the number, the message says why."""

    def __init__(self, text: str, message: str) -> None:
        super().__init__(message)
        self.text = text


class YamlProblem(Exception):
    """A document that is not YAML as this project reads it. Line and column count from 1."""

    def __init__(self, code: str, message: str, line: int, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.line, self.column, self.hint = code, message, line, column, hint


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without the garbage collector, which would look again and again at values that all stay.

    With it, most of the time that a large document takes would be its.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Composer(CParser):
    """libyaml's parser and composer; scalars only say whether they were plain."""

    def descend_resolver(self, parent: object, index: object) -> None:
        """Called by the composer; path resolvers are not used."""

    def ascend_resolver(self) -> None:
        """Called by the composer; path resolvers are not used."""

    def resolve(self, kind: type[Node], value: object, implicit: tuple[bool, bool]) -> str:
        """The tag of a node without an explicit one."""
        return _PLAIN if kind is not ScalarNode or implicit[0] else _QUOTED


@collector_paused()
def compose(text: str) -> Node:
    """Parse one YAML document into libyaml's nodes.

    :raises YamlProblem: for syntax errors, several documents, an empty one, or too many aliases.
    """
    try:
        _check_nesting(text)
        node = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = " ".join(part for part in (error.context, error.problem) if part)
        raise YamlProblem("yaml-syntax", f"not valid YAML: {message}", line, column) from None
    except yaml.reader.ReaderError as error:
        # libyaml counts the bytes of the UTF-8 text
        before = text.encode()[: error.position].decode(errors="ignore")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        raise YamlProblem("yaml-syntax", f"not valid YAML: {error.reason}", line, column) from None
    if node is None:
        raise YamlProblem("empty-document", "the document is empty", 1, 1)
    if _ANCHOR.search(text):
        _check_aliases(node)
    return node


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _check_nesting(text: str) -> None:
    """Refuse documents that are nested so deeply that composing them would exhaust the stack."""
    if text.count("[") + text.count("{") <= _SAFE_BRACKETS and not _DEEP_LINE.search(text):
        return
    depth = 0
    parser = _Composer(text)
    while parser.check_event():
        event = parser.get_event()
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark: Any = event.start_mark
                raise YamlProblem("too-deep", _TOO_DEEP, mark.line + 1, mark.column + 1)
        elif isinstance(event, CollectionEndEvent):
            depth -= 1


def _check_aliases(root: Node) -> None:
    """Refuse documents that contain themselves, or that grow beyond bounds when aliases are expanded."""
    sizes: dict[int, tuple[int, int]] = {}
    open_nodes: set[int] = set()
    written = 0
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if isinstance(node, ScalarNode):
            continue
        if done:
            open_nodes.discard(id(node))
            inner = [sizes.get(id(child), (1, 0)) for child in _children(node)]
            size = 1 + sum(size for size, _ in inner)
            height = 1 + max((height for _, height in inner), default=0)
            if size > written + MAX_ALIASED_NODES:
                raise _problem("too-many-aliases", "aliases make the document too large", node)
            if height > MAX_DEPTH:
                raise _problem("too-deep", _TOO_DEEP, node)
            sizes[id(node)] = size, height
        elif id(node) in open_nodes:
            raise _problem("recursive-alias", "an alias contains itself", node)
        elif id(node) not in sizes:
            open_nodes.add(id(node))
            children = _children(node)
            written += 1 + len(children)
            stack.append((node, True))
            stack.extend((child, False) for child in children)


def deeper_than(value: Any, limit: int) -> bool:
    """Whether a value without cycles is nested deeper than a limit."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit + 1):
        level = [
            child
            for outer in level
            for child in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _problem(code: str, message: str, node: Node, hint: str = "") -> YamlProblem:
    return YamlProblem(code, message, node.start_mark.line + 1, node.start_mark.column + 1, hint)


@collector_paused()
def construct(node: Node, duplicates: list[tuple[str, Node]]) -> Any:
    """The value of a node: dict, list, str, int, Decimal, bool or None.

    :param duplicates: receives every repeated key with its node, so that all can be reported at once.
    :raises YamlProblem: for keys that are no scalars, tags outside the core schema, and NaN.
    """
    built: dict[int, Any] = {}

    def build(node: Node, depth: int) -> Any:
        if isinstance(node, ScalarNode):
            return _scalar(node)
        known = built.get(id(node))
        if known is not None:
            return known
        _tag(node)
        if depth > MAX_DEPTH:
            raise _problem("too-deep", _TOO_DEEP, node)
        if isinstance(node, SequenceNode):
            result: Any = [build(item, depth + 1) for item in node.value]
        else:
            result = {}
            for key_node, value_node in node.value:
                key = _key(key_node)
                if key in result:
                    duplicates.append((key, key_node))
                result[key] = build(value_node, depth + 1)
        built[id(node)] = result
        return result

    try:
        return build(node, 1)
    except RecursionError:
        raise _problem("too-deep", _TOO_DEEP, node) from None


def _tag(node: Node) -> str:
    tag = str(node.tag)
    if tag in (_PLAIN, _QUOTED):
        return tag
    if tag not in _TAGS:
        raise _problem(
            "yaml-tag", f"the tag {tag!r} is not part of YAML's core schema", node, "remove the tag"
        )
    return _TAGS[tag]


def _key(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        raise _problem("yaml-key", "a key must be a scalar", node)
    return str(node.value)


def _scalar(node: ScalarNode) -> Any:
    text: str = node.value
    if _tag(node) == _QUOTED:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _NOT_FINITE.match(text):
        raise _problem(
            "not-a-number", f"{text} is not a number that JSON knows", node, "quote it if it is text"
        )
    try:
        return number(text)
    except BadNumber as bad:
        raise _problem("not-a-number", str(bad), node, "quote it if it is text") from None


def number(text: str) -> Any:
    """The number that a plain scalar of YAML 1.2's core schema stands for, or the text itself.

    :raises BadNumber: when it is too large, or too close to zero, to be written out.
    """
    if len(text) > MAX_EXPONENT // 2 and not text.isalpha():
        _refuse_long(text)
    if _INTEGER.match(text):
        value = LexicalInt(text)
        value.lexeme = text
        return int(text) if str(int(value)) == text else value
    if _BASED.match(text):
        based = LexicalInt(int(text, 0))
        based.lexeme = text
        return based
    if _FLOAT.match(text):
        return _decimal(text)
    return text


def _refuse_long(text: str) -> None:
    if _INTEGER.match(text) or _BASED.match(text) or _FLOAT.match(text):
        raise BadNumber(text, f"a number of {len(text)} characters is too long")


def _decimal(text: str) -> Decimal:
    try:
        decimal = LexicalDecimal(text)
    except InvalidOperation:
        decimal = None
    if decimal is None or (decimal and abs(decimal.adjusted()) > MAX_EXPONENT):
        raise BadNumber(text, f"{text} is too far from one to be written without an exponent")
    decimal.lexeme = text
    return Decimal(text) if format(decimal, "f") == text else decimal
