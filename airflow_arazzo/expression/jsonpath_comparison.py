"""Comparisons of JSONPaths outside of filters, such as ``$.state == "done" && $.items.length > 0``.

They are not JSONPath, but most criteria that people publish as JSONPath are such comparisons.
"""

from __future__ import annotations

import re

from airflow_arazzo.expression.conditions import ConditionReader
from airflow_arazzo.expression.model import Condition, Expression, Operand, Select
from airflow_arazzo.expression.names import Names, Problem, failed, shifted
from airflow_arazzo.expression.selectors import check_query, query_text
from airflow_arazzo.expression.text import parse_text

_NAME = re.compile(r"(\.\.?)([\w\x80-\U0010ffff]+(?:-+[\w\x80-\U0010ffff]+)*)(?!\s*\()")
_WILD = re.compile(r"\.\.?\*")
_FUNCTION = re.compile(r"(?:length|count)\s*\(\s*")
_CLOSE = re.compile(r"\s*\)")
_LENGTH = re.compile(r"\.(?:length|size|count)\s*\(\s*\)")
_INSIDE = re.compile(r"""[^\[\]'"]+|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


def read_comparison(
    text: str, version: str, context: Expression, names: Names, problems: list[Problem]
) -> Condition | None:
    """Read a comparison whose operands may be JSONPaths into the context, literals and expressions.

    :return: ``None`` after an error.
    """

    def path(text: str, at: int, found: list[Problem]) -> tuple[Operand, int] | None:
        function = _FUNCTION.match(text, at)
        query, behind = _query(text, function.end() if function else at)
        close = _CLOSE.match(text, behind) if function else None
        if not query or (function and not close):
            return None
        if close:
            query, behind = query + ".length", close.end()
        own: list[Problem] = []
        parts = query_text(parse_text(query, names, own, many=False))
        if not failed(own):
            check_query("jsonpath", parts, version, own)
        exact = [problem._replace(offset=min(problem.offset, behind - at)) for problem in own]
        found.extend(shifted(exact, at))
        literal = all(isinstance(part, str) for part in parts.parts)
        return Select(context, query, "jsonpath", version, None if literal else parts), behind

    return ConditionReader(text, names, problems, path).read()


def _query(text: str, at: int) -> tuple[str, int]:
    """The JSONPath at an offset, as RFC 9535 writes it, and the offset behind it; empty if there is none."""
    if not text.startswith(("$", "@"), at):
        return "", at
    pieces = ["$"]
    at += 1
    while True:
        name = _NAME.match(text, at)
        wild = _WILD.match(text, at)
        length = _LENGTH.match(text, at)
        if length:
            pieces.append(".length")
            at = length.end()
        elif name and "-" in name.group(2):
            pieces.append(f"{'..' if name.group(1) == '..' else ''}['{name.group(2)}']")
            at = name.end()
        elif name or wild:
            found = name or wild
            pieces.append(found.group() if found else "")
            at = found.end() if found else at
        elif text.startswith("[", at):
            behind = _bracket(text, at)
            pieces.append(text[at:behind])
            at = behind
        else:
            return "".join(pieces), at


def _bracket(text: str, at: int) -> int:
    """The offset behind the bracket that closes the one here; that of the end when none does."""
    depth = 0
    while at < len(text):
        if text[at] in "[]":
            depth += 1 if text[at] == "[" else -1
            at += 1
            if depth == 0:
                return at
            continue
        inside = _INSIDE.match(text, at)
        if inside is None:
            break
        at = inside.end()
    return len(text)
