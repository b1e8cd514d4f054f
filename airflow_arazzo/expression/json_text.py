"""JSON texts with expressions in them, read as templates so that no value can break out of its place."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NoReturn

from airflow_arazzo.expression.cursor import Mode
from airflow_arazzo.expression.model import (
    ArrayTemplate,
    Constant,
    Expression,
    ObjectTemplate,
    Template,
    Text,
)
from airflow_arazzo.expression.names import Names, Problem, error, warn
from airflow_arazzo.expression.scanner import root_at, scan
from airflow_arazzo.expression.text import parse_text

_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,9})?(?![\w.+-])", re.ASCII)
_LITERAL = re.compile(r"(true|false|null)(?!\w)")
_LITERALS = {"true": True, "false": False, "null": None}
_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_ESCAPE = re.compile(
    r"""\\(?:(["\\/bfnrt])|u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})|u((?![Dd][89A-Fa-f])[0-9A-Fa-f]{4}))"""
)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DEEPEST = 200
_LONGEST_INTEGER = 4000


class _NotJson(Exception):
    """The text is not JSON with expressions in it.

    :param offset: where that shows.
    """

    def __init__(self, message: str, offset: int) -> None:
        self.message = message
        self.offset = offset
        super().__init__(message)


def parse_json_text(text: str, names: Names, problems: list[Problem]) -> Template | None:
    """Read a JSON text in which values are expressions, or strings hold some.

    An expression inside a string makes text of it, also when it is all of the string; a whole value that
    is an expression without quotes keeps its type. Numbers keep their digits, members their order.

    :return: ``None`` when the text is not such JSON, with a warning when it begins like it.
    """
    found: list[Problem] = []
    try:
        template = _Reader(text, names, found).document()
    except _NotJson as problem:
        if text.lstrip().startswith(("{", "[")):
            message = f"the text begins like JSON but is not: {problem.message}"
            warn(
                problems, "not-json", message, problem.offset, "its expressions are replaced as in other text"
            )
        return None
    problems.extend(found)
    return template


class _Reader:
    """A recursive descent through one JSON text."""

    def __init__(self, text: str, names: Names, problems: list[Problem]) -> None:
        self.text = text
        self.names = names
        self.problems = problems
        self.at = 0
        self.depth = 0

    def document(self) -> Template:
        value = self._value()
        self._blank()
        if self.at < len(self.text):
            self._refuse("there is something behind the value")
        return value

    def _value(self) -> Template:
        self._blank()
        if self.text.startswith(("{$", "$"), self.at):
            return self._expression()
        if self._take("{"):
            return self._object()
        if self._take("["):
            return self._array()
        if self._take('"'):
            return self._string()
        return self._scalar()

    def _object(self) -> Template:
        members: dict[str, Template] = {}
        self._descend()
        while not self._take("}"):
            if members:
                self._expect(",")
            self._expect('"')
            begin = self.at
            key = self._string()
            if not isinstance(key, Constant):
                message = "the name of a member cannot hold an expression"
                error(self.problems, "expression-in-name", message, begin)
                key = Constant(self.text[begin : self.at - 1])
            self._expect(":")
            members[key.value] = self._value()
        self.depth -= 1
        if all(isinstance(member, Constant) for member in members.values()):
            return Constant({name: member.value for name, member in _constants(members)})
        return ObjectTemplate(tuple(members.items()))

    def _array(self) -> Template:
        items: list[Template] = []
        self._descend()
        while not self._take("]"):
            if items:
                self._expect(",")
            items.append(self._value())
        self.depth -= 1
        if all(isinstance(item, Constant) for item in items):
            return Constant([item.value for item in items if isinstance(item, Constant)])
        return ArrayTemplate(tuple(items))

    def _expression(self) -> Template:
        """A value that is an expression, in braces or not."""
        begin = self.at
        braced = self.text[begin] == "{"
        close = self.text.find("}", begin) if braced else len(self.text)
        start = begin + braced
        if close < 0 or not root_at(self.text, start, close):
            self._refuse("an expression was expected")
        mode: Mode = "whole" if braced else "text"
        expression, behind = scan(self.text, start, close, self.names, self.problems, mode)
        self.at = close + 1 if braced else behind
        if expression is not None and not braced:
            message = f"{expression.text!r} is read as an expression inside JSON"
            warn(self.problems, "bare-expression", message, begin, f"write {{{expression.text}}}")
        elif expression is None and not braced:
            self._refuse("an expression cannot be read")
        return Constant(None) if expression is None else expression

    def _string(self) -> Template:
        """The rest of a string behind its quote, and the expressions in it."""
        pieces: list[str] = []
        offsets: list[int] = []
        while not self.text.startswith('"', self.at):
            piece, begin = self._piece(), self.at
            self.at += len(piece.group())
            value = _unescaped(piece)
            pieces.append(value)
            offsets.extend(range(begin, begin + len(value)))
        self.at += 1
        offsets.append(self.at - 1)
        value = "".join(pieces)
        found: list[Problem] = []
        template = parse_text(value, self.names, found)
        if isinstance(template, Expression) and "{" not in value:
            message = f"{template.text!r} is read as an expression inside text"
            warn(found, "bare-expression", message, 0, f"write {{{template.text}}}")
        last = len(offsets) - 1
        self.problems.extend(
            problem._replace(offset=offsets[min(problem.offset, last)])
            for problem in found
            if problem.code != "whole-in-braces"
        )
        return Text((template,)) if isinstance(template, Expression) else template

    def _piece(self) -> re.Match[str]:
        """The next characters of a string, or its next escape."""
        form = _ESCAPE if self.text.startswith("\\", self.at) else _PLAIN
        match = form.match(self.text, self.at)
        if match is None:
            self._refuse("a string is not closed, or holds what JSON does not allow")
        return match

    def _scalar(self) -> Constant:
        literal = _LITERAL.match(self.text, self.at)
        if literal:
            self.at = literal.end()
            return Constant(_LITERALS[literal.group()])
        number = _NUMBER.match(self.text, self.at)
        if number is None:
            self._refuse("a value was expected")
        self.at = number.end()
        if number.group(1) or number.group(2) or len(number.group()) > _LONGEST_INTEGER:
            return Constant(Decimal(number.group()))
        return Constant(int(number.group()))

    def _descend(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._refuse("it is nested too deeply")

    def _blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _take(self, char: str) -> bool:
        self._blank()
        if not self.text.startswith(char, self.at):
            return False
        self.at += 1
        return True

    def _expect(self, char: str) -> None:
        if not self._take(char):
            self._refuse(f"{char!r} was expected")

    def _refuse(self, message: str) -> NoReturn:
        raise _NotJson(message, self.at)


def _constants(members: dict[str, Template]) -> list[tuple[str, Constant]]:
    return [(name, member) for name, member in members.items() if isinstance(member, Constant)]


def _unescaped(piece: re.Match[str]) -> str:
    if piece.re is _PLAIN:
        return piece.group()
    if piece.group(1):
        return _ESCAPES.get(piece.group(1), piece.group(1))
    if piece.group(4):
        return chr(int(piece.group(4), 16))
    high, low = int(piece.group(2), 16), int(piece.group(3), 16)
    return chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))
