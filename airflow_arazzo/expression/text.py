"""Text with expressions in it (Arazzo 1.1, ABNF ``expression-string``), and the slips people make there."""

from __future__ import annotations

import re

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.expression.model import Constant, Expression, Select, Template, Text
from airflow_arazzo.expression.names import Names, Problem, error, failed, note, warn
from airflow_arazzo.expression.scanner import ROOTS, canonical, root_at, scan

_LOOKS_LIKE_ONE = re.compile(r"\$([A-Za-z]\w*)([.#\[].*)?", re.DOTALL)
_UNKNOWN_ROOT = re.compile(r"\$([A-Za-z]\w*)(?:\.[\w-]+)+")
_OPERATOR = re.compile(r"==|!=|<=|>=|&&|\|\||\s[<>]\s")
_GOES_ON = re.compile(r"\$\w+\.\S")


def parse_text(
    text: str, names: Names, problems: list[Problem], *, bare: bool = True, many: bool = True
) -> Template:
    """Read a string value of a document.

    A text that is one expression, with or without braces and white space around it, keeps the type of its
    value; text with expressions inside becomes text.

    :param bare: whether expressions without braces are read inside other text (with a warning).
    :param many: whether a path with ``[*]`` in it is read (with a warning).
    :return: an :class:`Expression`, a :class:`Text`, a :class:`Constant` for text without expressions and
        after an error, or a :class:`Select` for a path with ``[*]`` in it.
    """
    if "$" not in text:
        return Constant(text)
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    if text.startswith("{$", start) and text.find("}", start) == end - 1:
        return _whole_in_braces(text, start, end, names, problems)
    if text[start] == "$" and root_at(text, start, end):
        found: list[Problem] = []
        whole: Expression | Select | None
        whole, _ = scan(text, start, end, names, found, "whole")
        if whole is None and many:
            whole = _many(text, start, end, names, found)
        if whole is not None:
            problems.extend(found)
            return whole
        if not (bare and _begins_text(text, start, end, names)):
            problems.extend(found)
            return Constant(text)
    elif unknown := _UNKNOWN_ROOT.fullmatch(text, start, end):
        _unknown_root(unknown.group(1), unknown.group(), start, problems)
    return _Mixture(text, names, problems, bare=bare).read()


def _whole_in_braces(text: str, start: int, end: int, names: Names, problems: list[Problem]) -> Template:
    if not _LOOKS_LIKE_ONE.fullmatch(text, start + 1, end - 1):
        return _Mixture(text, names, problems, bare=False).read()
    expression, _ = scan(text, start + 1, end - 1, names, problems, "whole")
    if expression is None:
        return Constant(text)
    note(
        problems,
        "whole-in-braces",
        f"a value that is nothing but {text[start:end]!r} keeps its type; it is not made text",
        start,
    )
    return expression


def _many(text: str, start: int, end: int, names: Names, problems: list[Problem]) -> Select | None:
    """``$steps.x.outputs.items[*].id``: many values, which a Selector Object would name."""
    star = text.find("[*]", start, end)
    if star < 0:
        return None
    own: list[Problem] = []
    context, _ = scan(text, start, star, names, own, "whole")
    selector = "$" + text[star:end]
    if context is None:
        return None
    from airflow_arazzo.expression.jsonpath import compile_query
    from airflow_arazzo.expression.languages import VERSIONS, QueryError

    try:
        compile_query(selector)
    except QueryError:
        return None
    problems[:] = own
    message = f"{text[star:end]!r} is read as the JSONPath {selector} of {context.text}"
    warn(problems, "navigation-syntax", message, star, "write a Selector Object")
    return Select(context, selector, "jsonpath", VERSIONS["jsonpath"][0])


def _begins_text(text: str, start: int, end: int, names: Names) -> bool:
    """Whether a text that begins like an expression is text with several, such as ``$inputs.a/$inputs.b``."""
    if _OPERATOR.search(text, start, end):
        return False
    first, behind = scan(text, start, end, names, [], "text")
    if first is None or behind >= end or not first.name:
        return False
    return text[behind] not in "-_.#[" or "$" in text[behind:]


def _unknown_root(root: str, written: str, at: int, problems: list[Problem]) -> None:
    """``$input.x`` was meant as an expression; ``$dependencies.x`` may have been."""
    hint = did_you_mean(root, ROOTS)
    if hint.startswith("did"):
        error(problems, "bad-expression", f"'${root}' is not the beginning of a runtime expression", at, hint)
    else:
        warn(problems, "unknown-root", f"{written!r} is not a runtime expression and stays as it is", at)


class _Mixture:
    """Splits text into literal pieces and expressions."""

    def __init__(self, text: str, names: Names, problems: list[Problem], *, bare: bool) -> None:
        self.text = text
        self.names = names
        self.problems = problems
        self.bare = bare
        self.parts: list[str | Expression] = []
        self.literal = 0

    def read(self) -> Template:
        text, at = self.text, 0
        while (at := text.find("$", at)) >= 0:
            if self._in_double_braces(at):
                at = self._doubled(at)
            elif text.endswith("{", 0, at):
                at = self._embedded(at)
            elif self.bare and not text.endswith("\\", 0, at):
                at = self._unbraced(at)
            else:
                at += 1
        if not self.parts:
            return Constant(text)
        if self.literal < len(text):
            self.parts.append(text[self.literal :])
        return Text(tuple(self.parts))

    def _embedded(self, at: int) -> int:
        """An expression in braces; braces around anything else are literal."""
        close = self.text.find("}", at)
        if close < 0:
            if root_at(self.text, at, len(self.text)):
                error(
                    self.problems, "bad-expression", "the brace before this expression is not closed", at - 1
                )
            return at + 1
        content = _LOOKS_LIKE_ONE.fullmatch(self.text, at, close)
        if content is None and not root_at(self.text, at, close):
            return at + 1
        expression, _ = scan(self.text, at, close, self.names, self.problems, "whole")
        if expression is not None:
            self._add(expression, at - 1, close + 1)
        return close + 1

    def _in_double_braces(self, at: int) -> bool:
        """Whether an offset lies in ``{{ }}``, which belong to another template language."""
        opened = self.text.rfind("{{", 0, at)
        return opened >= 0 and self.text.find("}}", opened) > at

    def _doubled(self, at: int) -> int:
        """Leave double braces alone, but say so if they hold nothing but an expression of ours."""
        close = self.text.find("}}", at)
        if not self.text.endswith("{{", 0, at):
            return close + 2
        if scan(self.text, at, close, self.names, [], "whole")[0] is not None:
            hint = f"write {{{self.text[at:close]}}}"
            warn(
                self.problems, "double-braces", "an expression in double braces stays as it is", at - 2, hint
            )
        return close + 2

    def _unbraced(self, at: int) -> int:
        """An expression without braces, if it can only have been meant as one."""
        root = root_at(self.text, at, len(self.text))
        if root is None:
            return at + 1
        found: list[Problem] = []
        expression, behind = scan(self.text, at, len(self.text), self.names, found, "text")
        if expression is None and _GOES_ON.match(self.text, at):
            problem = next(one for one in found if failed([one]))
            message = f"this looks like an expression but stays text: {problem.message}"
            warn(self.problems, "literal-expression", message, problem.offset, problem.hint)
        if expression is None or not (expression.name or expression.part == "body" or root == "statusCode"):
            return at + 1  # other languages have their $url and $inputs too
        found = [problem for problem in found if problem.code != "navigation-syntax"]
        self.problems.extend(found)
        message = f"{expression.text!r} is read as an expression inside text"
        warn(self.problems, "bare-expression", message, at, f"write {{{canonical(expression)}}}")
        self._add(expression, at, behind)
        return behind

    def _add(self, expression: Expression, start: int, end: int) -> None:
        if self.literal < start:
            self.parts.append(self.text[self.literal : start])
        self.parts.append(expression)
        self.literal = end
