"""YAML 1.2 (core schema) on libyaml: plain Python values, and the place of each of them.

PyYAML's own loaders follow YAML 1.1, where ``on`` is a boolean and ``2024-01-01`` a date. Here libyaml
composes the nodes and this module gives them their values, so that the rules are those of YAML 1.2.
Numbers are ``int`` or ``Decimal``; where the text of a number is more than its value (``007``, ``1e3``)
the value remembers it, because a description may say that the place holds a string.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_EXPANDED_NODES = 3_000_000
"""How many nodes a document may have once its aliases are expanded."""

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


class YamlProblem(Exception):
    """A document that is not YAML as this project reads it. Line and column count from 1."""

    def __init__(self, code: str, message: str, line: int, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.line, self.column, self.hint = code, message, line, column, hint


class _Composer(CParser):
    """libyaml's parser and composer; scalars only say whether they were plain."""

    def descend_resolver(self, parent: object, index: object) -> None:
        """Called by the composer; path resolvers are not used."""

    def ascend_resolver(self) -> None:
        """Called by the composer; path resolvers are not used."""

    def resolve(self, kind: type[Node], value: object, implicit: tuple[bool, bool]) -> str:
        """The tag of a node without an explicit one."""
        return _PLAIN if kind is not ScalarNode or implicit[0] else _QUOTED


def compose(text: str) -> Node:
    """Parse one YAML document into libyaml's nodes.

    :raises YamlProblem: for syntax errors, several documents, an empty one, or too many aliases.
    """
    try:
        node = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = " ".join(part for part in (error.context, error.problem) if part)
        raise YamlProblem("yaml-syntax", f"not valid YAML: {message}", line, column) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        raise YamlProblem("yaml-syntax", f"not valid YAML: {error.reason}", line, column) from None
    if node is None:
        raise YamlProblem("empty-document", "the document is empty", 1, 1)
    _check_aliases(node)
    return node


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _check_aliases(root: Node) -> None:
    """Refuse documents that contain themselves, or that grow beyond bounds when aliases are expanded."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if isinstance(node, ScalarNode):
            continue
        if done:
            open_nodes.discard(id(node))
            size = 1 + sum(sizes.get(id(child), 1) for child in _children(node))
            if size > MAX_EXPANDED_NODES:
                raise _problem("too-many-aliases", "aliases make the document too large", node)
            sizes[id(node)] = size
        elif id(node) in open_nodes:
            raise _problem("recursive-alias", "an alias contains itself", node)
        elif id(node) not in sizes:
            open_nodes.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in _children(node))


def _problem(code: str, message: str, node: Node, hint: str = "") -> YamlProblem:
    return YamlProblem(code, message, node.start_mark.line + 1, node.start_mark.column + 1, hint)


def construct(node: Node, duplicates: list[tuple[str, Node]]) -> Any:
    """The value of a node: dict, list, str, int, Decimal, bool or None.

    :param duplicates: receives every repeated key with its node, so that all can be reported at once.
    :raises YamlProblem: for keys that are no scalars, tags outside the core schema, and NaN.
    """
    built: dict[int, Any] = {}

    def build(node: Node) -> Any:
        if isinstance(node, ScalarNode):
            return _scalar(node)
        known = built.get(id(node))
        if known is not None:
            return known
        _tag(node)
        if isinstance(node, SequenceNode):
            result: Any = [build(item) for item in node.value]
        else:
            result = {}
            for key_node, value_node in node.value:
                key = _key(key_node)
                if key in result:
                    duplicates.append((key, key_node))
                result[key] = build(value_node)
        built[id(node)] = result
        return result

    try:
        return build(node)
    except RecursionError:
        raise _problem("too-deep", "the document is nested too deeply", node) from None


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
    return number(text)


def number(text: str) -> Any:
    """The number that a plain scalar of YAML 1.2's core schema stands for, or the text itself."""
    if _INTEGER.match(text):
        value = LexicalInt(text)
        value.lexeme = text
        return int(text) if str(int(value)) == text else value
    if _BASED.match(text):
        based = LexicalInt(int(text, 0))
        based.lexeme = text
        return based
    if _FLOAT.match(text):
        decimal = LexicalDecimal(text)
        decimal.lexeme = text
        return Decimal(text) if str(decimal) == text else decimal
    return text
