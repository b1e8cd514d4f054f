"""Simple conditions (Arazzo 1.1, "Criterion Object"): reading them, and deciding whether they hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, NoReturn, cast

from airflow_arazzo.expression.compare import compare, truthy
from airflow_arazzo.expression.model import (
    Compare,
    Condition,
    Constant,
    Either,
    Every,
    Not,
    Operand,
    Operator,
    Scope,
    Truth,
)
from airflow_arazzo.expression.names import Names, Problem, error, failed, note, shifted, warn
from airflow_arazzo.expression.operands import operand_value
from airflow_arazzo.expression.scanner import root_at, root_of, scan
from airflow_arazzo.expression.text import parse_text

_BLANK = re.compile(r"\s*")
_OPERATOR = re.compile(r"===|!==|==|!=|<=|>=|<>|=~|=|<|>")
_OPERATORS: Final = ("==", "!=", "<", "<=", ">", ">=")
_HINTS: Final = {
    "!==": "write !=",
    "<>": "write !=",
    "=": "write ==",
    "=~": "use a criterion of type regex",
}
_WORDS: Final = {"and": "write &&", "or": "write ||", "not": "write !"}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,9})?", re.ASCII)
_WORD = re.compile(r"""[^\s=!<>&|()'"{},]+""")
_REST = re.compile(r"[^\s=!<>&|()]*")
_QUOTED = {"'": re.compile(r"'((?:[^']|'')*)'"), '"': re.compile(r'"((?:[^"\\]|\\.|"")*)"', re.DOTALL)}
_LITERALS: Final = {"true": True, "false": False, "null": None, "undefined": None}
_DEEPEST = 100
_LONGEST_INTEGER = 4000


def parse_condition(text: str, names: Names, problems: list[Problem]) -> Condition | None:
    """Read a simple condition.

    :return: ``None`` after an error.
    """
    return ConditionReader(text, names, problems).read()


def evaluate_condition(condition: Condition, scope: Scope) -> bool:
    """Whether a condition holds, by the rules of :mod:`~airflow_arazzo.expression.compare`.

    :raises AbsentInText: when text with an absent value in it is compared.
    :raises ValueError: when a query cannot be applied.
    """
    kind = type(condition)
    if kind is Compare:
        comparison = cast("Compare", condition)
        left, right = operand_value(comparison.left, scope), operand_value(comparison.right, scope)
        return compare(comparison.operator, left, right)
    if kind is Truth:
        return truthy(operand_value(cast("Truth", condition).operand, scope))
    if kind is Not:
        return not evaluate_condition(cast("Not", condition).operand, scope)
    if kind is Every:
        return all(evaluate_condition(part, scope) for part in cast("Every", condition).operands)
    return any(evaluate_condition(part, scope) for part in cast("Either", condition).operands)


class _Stop(Exception):
    """The rest of the condition cannot be read; the reason is among the problems."""


class ConditionReader:
    """A recursive descent through one condition: ``||`` binds weakest, then ``&&``, then comparisons.

    :param path: reads operands of another language, if such are allowed: takes the text, an offset and a
        list for problems, returns the operand and the offset behind it, or ``None``.
    """

    def __init__(
        self,
        text: str,
        names: Names,
        problems: list[Problem],
        path: Callable[[str, int, list[Problem]], tuple[Operand, int] | None] | None = None,
    ) -> None:
        self.text = text
        self.names = names
        self.path = path
        self.all_problems = problems
        self.problems: list[Problem] = []
        self.at = 0
        self.depth = 0

    def read(self) -> Condition | None:
        """The condition, or ``None`` after an error."""
        condition: Condition | None = None
        try:
            condition = self._either()
            if self.at < len(self.text):
                self._unexpected()
        except _Stop:
            pass
        self.all_problems.extend(self.problems)
        return None if failed(self.problems) else condition

    def _either(self) -> Condition:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._stop("condition-depth", "the condition is nested too deeply", self.at)
        parts = [self._every()]
        while self._take("||"):
            parts.append(self._every())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _every(self) -> Condition:
        parts = [self._unary()]
        while self._take("&&"):
            parts.append(self._unary())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _unary(self) -> Condition:
        self._blank()
        begin = self.at
        nots = 0
        while self.text.startswith("!", self.at) and not self.text.startswith("!=", self.at):
            nots += 1
            self.at += 1
            self._blank()
        condition = self._comparison(negated=nots > 0)
        if nots > _DEEPEST:
            self._stop("condition-depth", "the condition is nested too deeply", begin)
        for _ in range(nots):
            condition = Not(condition)
        return condition

    def _comparison(self, *, negated: bool) -> Condition:
        group: Condition | None = None
        start, before = self._blank(), len(self.problems)
        if self._take("("):
            group = self._group()
            left: Operand = group.operand if isinstance(group, Truth) else Constant(None)
        else:
            left = self._operand()
        begin = self._blank()
        operator = self._operator()
        if operator is None and group is None:
            self._check_sides(start, before, left)
        if operator is None:
            return group or Truth(left)
        if negated or (group is not None and not isinstance(group, Truth)):
            hint = "put the comparison in parentheses" if negated else "compare single values"
            self._stop("bad-condition", f"{operator!r} cannot compare the result of a condition", begin, hint)
        right = self._right()
        begin = self._blank()
        if self._operator() is not None:
            self._stop("bad-condition", "a comparison has two sides", begin, "join comparisons with &&")
        self._check_sides(start, before, left, right)
        return Compare(operator, left, right)

    def _check_sides(self, start: int, before: int, *sides: Operand) -> None:
        """Refuse bare words that are compared with nothing that could change."""
        words = any(problem.code == "unquoted-string" for problem in self.problems[before:])
        if words and all(isinstance(side, Constant) for side in sides):
            hint = "write a runtime expression, such as $response.body#/status"
            self._stop("bad-condition", "nothing here depends on a request or response", start, hint)

    def _group(self) -> Condition:
        begin = self.at - 1
        group = self._either()
        if not self._take(")"):
            if self.at < len(self.text):
                self._unexpected()
            self._stop("bad-condition", "this parenthesis is not closed", begin)
        return group

    def _right(self) -> Operand:
        if not self._take("("):
            return self._operand()
        begin = self.at
        group = self._group()
        if not isinstance(group, Truth):
            self._stop("bad-condition", "a condition cannot be compared", begin, "compare single values")
        return group.operand

    def _operator(self) -> Operator | None:
        begin = self._blank()
        match = _OPERATOR.match(self.text, begin)
        if match is None:
            return None
        written = match.group()
        self.at = match.end()
        if written == "===":
            warn(self.problems, "operator-spelling", "'===' is read as '=='", begin, "write ==")
            return "=="
        if written not in _OPERATORS:
            self._stop("bad-condition", f"{written!r} is not an operator", begin, _HINTS[written])
        return cast("Operator", written)

    def _operand(self) -> Operand:
        begin = self._blank()
        char = self.text[begin : begin + 1]
        if not char:
            self._stop("bad-condition", "a value is missing at the end", begin)
        if char in "'\"":
            return self._quoted(char)
        if self.text.startswith("{$", begin):
            close = self.text.find("}", begin)
            if close < 0:
                self._stop("bad-expression", "the brace is not closed", begin)
            operand, _ = self._scanned(begin + 1, close)
            self.at = close + 1
            return operand
        if char == "$" and (root_at(self.text, begin, len(self.text)) or self.path is None):
            operand, self.at = self._scanned(begin, None)
            return operand
        found = self.path(self.text, begin, self.problems) if self.path else None
        if found is not None:
            operand, self.at = found
            return operand
        return self._word()

    def _scanned(self, start: int, close: int | None) -> tuple[Operand, int]:
        """An expression: in braces up to ``close``, or as far as it goes."""
        found: list[Problem] = []
        if close is None:
            expression, behind = scan(self.text, start, len(self.text), self.names, found, "condition")
        else:
            expression, behind = scan(self.text, start, close, self.names, found, "braces")
        self.problems.extend(found)
        if expression is None and not found[-1].code.startswith("unknown-"):
            raise _Stop
        rest = _REST.match(self.text, behind) if expression is None else None
        return expression or Constant(None), rest.end() if rest else behind

    def _quoted(self, quote: str) -> Operand:
        begin = self.at
        match = _QUOTED[quote].match(self.text, begin)
        if match is None:
            self._stop("bad-condition", "this string is not closed", begin)
        self.at = match.end()
        content = match.group(1).replace(quote * 2, quote)
        if quote == '"':
            content = re.sub(r'\\(["\\])', r"\1", content)
            if self.path is None:
                note(self.problems, "double-quotes", "strings are written in single quotes", begin)
        found: list[Problem] = []
        operand = parse_text(content, self.names, found, many=False)
        found = [problem for problem in found if problem.code != "whole-in-braces"]
        self.problems.extend(shifted(found, begin + 1))
        if not isinstance(operand, Constant) and self.path is None:
            message = "an expression stands inside a string"
            warn(self.problems, "quoted-expression", message, begin, "write the expression without quotes")
        return cast("Operand", operand)

    def _word(self) -> Operand:
        begin = self.at
        match = _WORD.match(self.text, begin)
        if match is None:
            self._unexpected()
        self.at = match.end()
        word = match.group()
        if word in ("true", "false", "null"):
            return Constant(_LITERALS[word])
        number = _NUMBER.fullmatch(word)
        if number:
            whole = not number.group(1) and not number.group(2) and len(word) < _LONGEST_INTEGER
            return Constant(int(word) if whole else Decimal(word))
        if word.lower() in _LITERALS:
            value = _LITERALS[word.lower()]
            written = {True: "true", False: "false", None: "null"}[value]
            warn(
                self.problems, "literal-spelling", f"{word!r} is read as {written}", begin, f"write {written}"
            )
            return Constant(value)
        expression = self._without_dollar(word, begin)
        if expression is not None:
            return expression
        self._check_word(word, begin)
        warn(self.problems, "unquoted-string", f"{word!r} is read as a string", begin, f"write '{word}'")
        return Constant(word)

    def _without_dollar(self, word: str, begin: int) -> Operand | None:
        """The expression that a word is, but for its ``$``; words that could be strings are left alone."""
        root = re.split(r"[.#\[]", word)[0]
        if self.path is not None or root_of(root) is None or (root == word and root != "statusCode"):
            return None
        text = f"{self.text[:begin]}${self.text[begin:]}"
        found: list[Problem] = []
        expression, behind = scan(text, begin, len(text), self.names, found, "condition")
        if expression is None or failed(found):
            return None
        warn(self.problems, "missing-dollar", f"{word!r} is read as ${word}", begin, f"write ${word}")
        self.problems.extend(found)
        self.at = behind - 1
        return expression

    def _check_word(self, word: str, begin: int) -> None:
        """Refuse a word that was certainly not meant as a string."""
        if word.lower() in _WORDS:
            self._stop("bad-condition", f"{word!r} is not an operator", begin, _WORDS[word.lower()])
        root = re.split(r"[.#\[]", word)[0]
        if word[0] in "$@" or (root_of(root) and (root != word or root == "statusCode")):
            hint = "" if word[0] in "$@" else f"write ${word}"
            self._stop("bad-expression", f"{word!r} is not a runtime expression", begin, hint)

    def _unexpected(self) -> NoReturn:
        begin = self._blank()
        match = _WORD.match(self.text, begin)
        operator = _OPERATOR.match(self.text, begin)
        found = match or operator
        written = found.group() if found else self.text[begin : begin + 1]
        hint = _WORDS.get(written.lower(), "")
        if not hint and written[:1] in ("&", "|"):
            hint = f"write {written * 2}"
        elif not hint and match:
            hint = "put a string of several words in quotes"
        self._stop("bad-condition", f"{written!r} is not expected here", begin, hint)

    def _stop(self, code: str, message: str, at: int, hint: str = "") -> NoReturn:
        error(self.problems, code, message, at, hint)
        raise _Stop

    def _blank(self) -> int:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _take(self, word: str) -> bool:
        self._blank()
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        return True
