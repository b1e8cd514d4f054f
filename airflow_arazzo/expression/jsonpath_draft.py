"""JSONPath as it was before RFC 9535 (``draft-goessner-dispatch-jsonpath-00``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, cast

import jsonpath
from jsonpath import filter as filters
from jsonpath.exceptions import JSONPathError, JSONPathSyntaxError
from jsonpath.parse import Parser
from jsonpath.stream import TokenStream

from airflow_arazzo.expression import patterns
from airflow_arazzo.expression.compare import exactly_equal
from airflow_arazzo.expression.languages import QueryError

_FROM_THE_END = re.compile(r"\[\(@\.length\s*-\s*([0-9]+)\)\]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,3999})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,9})?", re.ASCII)
_FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL


def compile_query(query: str) -> tuple[Callable[[Any], Iterator[tuple[tuple[str | int, ...], Any]]], bool]:
    """Compile a query.

    :return: what finds its nodes in a value (their place and value), and whether it names one place.
    :raises QueryError: when it is malformed.
    """
    if not query.startswith("$"):
        raise QueryError("a JSONPath begins with '$'")
    try:
        compiled = _environment.compile(_FROM_THE_END.sub(r"[-\1]", query))
    except JSONPathError as problem:
        token = getattr(problem, "token", None)
        raise QueryError(str(problem.args[0]), max(token.index, 0) if token else 0) from None
    except RecursionError:
        raise QueryError("the query is nested too deeply", 0) from None

    def find(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        try:
            for match in compiled.finditer(value):
                yield match.parts, match.obj
        except JSONPathError as problem:
            raise ValueError(str(problem)) from None

    return find, bool(getattr(compiled, "singular_query", lambda: False)())


class _Parser(Parser):
    """Reads numbers with every digit."""

    def parse_integer_literal(self, stream: TokenStream) -> filters.BaseExpression:
        return filters.IntegerLiteral(value=cast("int", _number(stream)))

    def parse_float_literal(self, stream: TokenStream) -> filters.BaseExpression:
        return filters.FloatLiteral(value=cast("float", _number(stream)))


def _number(stream: TokenStream) -> int | Decimal:
    token = stream.next()
    if not _NUMBER.fullmatch(token.value):
        raise JSONPathSyntaxError("invalid number", token=token)
    return int(token.value) if token.value.lstrip("-").isdecimal() else Decimal(token.value)


class _Environment(jsonpath.JSONPathEnvironment):
    """Compares exactly, and bounds the time of patterns."""

    parser_class = _Parser

    def compare(self, left: object, operator: str, right: object) -> bool:
        if operator == "=~" and isinstance(left, str) and isinstance(right, re.Pattern):
            return patterns.found(right.pattern, left, whole=True, flags=right.flags & _FLAGS)
        return super().compare(left, operator, right)

    def _eq(self, left: object, right: object) -> bool:
        plain = (bool, int, float, Decimal, str, list, dict, type(None))
        if isinstance(left, plain) and isinstance(right, plain) and not _is_nodes(left, right):
            return exactly_equal(left, right)
        return super()._eq(left, right)


def _is_nodes(*values: object) -> bool:
    return any(isinstance(value, jsonpath.NodeList) for value in values)


_environment = _Environment()
for _unbounded in ("match", "search"):  # later than the draft, and without a time bound
    del _environment.function_extensions[_unbounded]
