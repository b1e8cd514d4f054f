"""JSONPath as RFC 9535 has it, with exact numbers; and its older draft."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, cast

import jsonpath_rfc9535 as rfc
from jsonpath_rfc9535 import filter_expressions as filters
from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction
from jsonpath_rfc9535.parse import Parser
from jsonpath_rfc9535.segments import JSONPathChildSegment
from jsonpath_rfc9535.selectors import FilterSelector, NameSelector
from jsonpath_rfc9535.tokens import Token, TokenStream

from airflow_arazzo.expression import patterns
from airflow_arazzo.expression.compare import exactly_equal
from airflow_arazzo.expression.languages import VERSIONS, QueryError

RFC, DRAFT = VERSIONS["jsonpath"]

Location = tuple[str | int, ...]


class Query(NamedTuple):
    """A compiled query.

    :param find: every node of a value: where it is, and its value.
    :param singular: whether it names one place (RFC 9535, "singular query").
    :param members: for a query that begins with a filter, the members that the filter looks at.
    :param counting: the same query, but with ``count`` of one array being its length.
    :param holder: for a query that ends in ``.length``, the query without that.
    """

    find: Any
    singular: bool
    members: frozenset[str] = frozenset()
    counting: Any = None
    holder: Query | None = None


@lru_cache(maxsize=512)
def compile_query(query: str, version: str = RFC) -> Query:
    """Compile a query.

    :param version: as in :mod:`~airflow_arazzo.expression.languages`; empty means RFC 9535.
    :raises QueryError: when it is malformed.
    """
    if version == DRAFT:
        from airflow_arazzo.expression import jsonpath_draft

        find, singular = jsonpath_draft.compile_query(query)
        return Query(find, singular, holder=_holder(query, DRAFT))
    compiled = _compiled(query, _plain)
    members = frozenset(_filter_members(compiled))
    counting = _finder(_compiled(query, _counting)) if members else None
    return Query(_finder(compiled), compiled.singular_query(), members, counting, _holder(query, RFC))


def select(value: Any, query: str, version: str = RFC) -> list[Any]:
    """The values that a query finds in a JSON value.

    :raises QueryError: when the query is malformed.
    :raises ValueError: when it cannot be applied.
    """
    return [found for _, found in compile_query(query, version).find(value)]


def locate(value: Any, query: str, version: str = RFC) -> list[Location]:
    """The places that a query finds in a JSON value: member names and indices from the root on.

    :raises QueryError: when the query is malformed.
    :raises ValueError: when it cannot be applied.
    """
    return [location for location, _ in compile_query(query, version).find(value)]


def holds(value: Any, query: str, version: str = RFC) -> bool:
    """Whether a query finds anything, as a criterion.

    ``$[?@.x == 1]`` means the members of an object. People mean the object itself, so it is applied to
    the object in an array when the object has the member ``x``; there ``count(@.x)`` of an array is its
    length.

    :raises QueryError: when the query is malformed.
    :raises ValueError: when it cannot be applied.
    """
    compiled = compile_query(query, version)
    if isinstance(value, dict) and not compiled.members.isdisjoint(value):
        return next(iter(compiled.counting([value])), None) is not None
    return next(iter(compiled.find(value)), None) is not None


# The library compares numbers as floats and counts nodes only; these are the places where we differ.


class _Comparison(filters.ComparisonExpression):
    """A comparison of exact values."""

    __slots__ = ()

    def evaluate(self, context: filters.FilterContext) -> bool:
        left, right = _single(self.left.evaluate(context)), _single(self.right.evaluate(context))
        if self.operator == "==":
            return _same(left, right)
        if self.operator == "!=":
            return not _same(left, right)
        if self.operator in ("<", "<="):
            return _less(left, right) or (self.operator == "<=" and _same(left, right))
        return _less(right, left) or (self.operator == ">=" and _same(left, right))


class _RelativeQuery(filters.RelativeFilterQuery):
    """A query from the current node on, which is a node also when it is a plain value."""

    __slots__ = ()

    def evaluate(self, context: filters.FilterContext) -> object:
        return self.query.find(cast("Any", context.current))


class _Parser(Parser):
    """Makes the expressions above, and numbers of every digit."""

    def parse_integer_literal(self, stream: TokenStream) -> filters.Expression:
        return filters.IntegerLiteral(stream.current, cast("int", _number(stream.current)))

    def parse_float_literal(self, stream: TokenStream) -> filters.Expression:
        return filters.FloatLiteral(stream.current, cast("float", _number(stream.current)))

    def parse_infix_expression(self, stream: TokenStream, left: filters.Expression) -> filters.Expression:
        made = super().parse_infix_expression(stream, left)
        if isinstance(made, filters.ComparisonExpression):
            return _Comparison(made.token, made.left, made.operator, made.right)
        return made

    def parse_relative_query(self, stream: TokenStream) -> filters.Expression:
        made = cast("filters.RelativeFilterQuery", super().parse_relative_query(stream))
        return _RelativeQuery(made.token, made.query)


_DOT = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\.", re.DOTALL)


def _without_line_ends(match: re.Match[str]) -> str:
    """A dot of RFC 9485, which stands for anything but line ends; classes and escapes as they are."""
    return r"[^\n\r]" if match.group() == "." else match.group()


class _Pattern(FilterFunction):
    """``match`` and ``search`` with a time bound. More than RFC 9485 is accepted, such as ``\\d``."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - as the base class has it
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole

    def __call__(self, text: object, pattern: object) -> bool:
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        try:
            patterns.compile_pattern(translated := _DOT.sub(_without_line_ends, pattern))
        except ValueError:
            return False
        return patterns.found(translated, text, whole=self.whole)


class _CountOrLength(FilterFunction):
    """``count``, except that a single array counts as its items."""

    arg_types = [ExpressionType.NODES]  # noqa: RUF012 - as the base class has it
    return_type = ExpressionType.VALUE

    def __call__(self, nodes: rfc.JSONPathNodeList) -> int:
        if len(nodes) == 1 and isinstance(nodes[0].value, list):
            return len(nodes[0].value)
        return len(nodes)


class _Environment(rfc.JSONPathEnvironment):
    """RFC 9535 with exact numbers and bounded patterns."""

    parser_class = _Parser

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions["match"] = _Pattern(whole=True)
        self.function_extensions["search"] = _Pattern(whole=False)


_plain = _Environment()
_counting = _Environment()
_counting.function_extensions["count"] = _CountOrLength()


def _compiled(query: str, environment: _Environment) -> rfc.JSONPathQuery:
    try:
        return environment.compile(query)
    except rfc.JSONPathError as problem:
        raise QueryError(problem.args[0], problem.token.index if problem.token else 0) from None
    except RecursionError:
        raise QueryError("the query is nested too deeply") from None


def _finder(query: rfc.JSONPathQuery) -> Any:
    def find(value: Any) -> Iterator[tuple[Location, Any]]:
        try:
            for node in query.finditer(value):
                yield node.location, node.value
        except rfc.JSONPathError as problem:
            raise ValueError(str(problem)) from None

    return find


def _holder(query: str, version: str) -> Query | None:
    """The query without a ``.length`` at its end."""
    if not query.endswith(".length") or query.endswith("..length"):
        return None
    return compile_query(query.removesuffix(".length"), version)


def _filter_members(query: rfc.JSONPathQuery) -> Iterator[str]:
    """The members of the current node that the filter at the beginning of a query looks at."""
    first = query.segments[0] if query.segments else None
    if not isinstance(first, JSONPathChildSegment) or len(first.selectors) != 1:
        return
    selector = first.selectors[0]
    if not isinstance(selector, FilterSelector):
        return
    waiting: list[Any] = [selector.expression.expression]
    while waiting:
        expression = waiting.pop()
        if isinstance(expression, filters.RelativeFilterQuery):
            segment = expression.query.segments[0] if expression.query.segments else None
            if isinstance(segment, JSONPathChildSegment):
                yield from (one.name for one in segment.selectors if isinstance(one, NameSelector))
        else:
            waiting.extend(
                getattr(expression, name) for name in ("left", "right") if hasattr(expression, name)
            )
            waiting.extend(getattr(expression, "args", ()))


def _single(value: object) -> object:
    """The value of a node list with one node; "Nothing" for an empty one."""
    if isinstance(value, rfc.JSONPathNodeList):
        return value[0].value if value else filters.NOTHING
    return value


def _same(left: object, right: object) -> bool:
    if left is filters.NOTHING or right is filters.NOTHING:
        return left is right
    return exactly_equal(left, right)


def _less(left: object, right: object) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    return _is_number(left) and _is_number(right) and cast("int", left) < cast("int", right)


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal | float) and not isinstance(value, bool)


_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,3999})", re.ASCII)
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,9})?", re.ASCII)


def _number(token: Token) -> int | Decimal:
    if _WHOLE.fullmatch(token.value):
        return int(token.value)
    if _FRACTION.fullmatch(token.value):
        return Decimal(token.value)
    raise rfc.JSONPathSyntaxError("invalid number", token=token)
