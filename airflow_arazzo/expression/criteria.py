"""Criterion Objects (Arazzo 1.1): reading them, judging by them, and saying why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from airflow_arazzo.expression import binding
from airflow_arazzo.expression.compare import compare, truthy
from airflow_arazzo.expression.conditions import parse_condition
from airflow_arazzo.expression.jsonpath_comparison import read_comparison
from airflow_arazzo.expression.jsonvalue import to_text
from airflow_arazzo.expression.model import (
    ABSENT,
    Compare,
    Condition,
    Constant,
    Criterion,
    Either,
    Every,
    Expression,
    Not,
    Scope,
    Text,
    Truth,
)
from airflow_arazzo.expression.names import Names, Problem, error, failed, warn
from airflow_arazzo.expression.operands import operand_value
from airflow_arazzo.expression.resolve import resolve
from airflow_arazzo.expression.selectors import (
    check_query,
    checked_type,
    checked_version,
    query_text,
    xml_text,
)
from airflow_arazzo.expression.text import parse_text

__all__ = ["Verdict", "criteria_hold", "evaluate_criterion", "parse_criterion"]

CriterionType = Literal["simple", "regex", "jsonpath", "xpath"]
_TYPES = ("simple", "regex", "jsonpath", "xpath")
_OPERATOR = re.compile(r"==|!=|<|>|&&|\|\||^\s*!")
_EXPRESSION = re.compile(
    r"\s*[({!\s]*\$(?:statusCode|url|method|response|request|inputs|steps|workflows|outputs)\b"
)
_NO_TEXT = re.compile(r"\(\?[a-zA-Z:=!<-]*|\\.|\[[^\]]*\]|\{[^}]*\}")
_WORDS = re.compile(r"[A-Za-z]{3}")
Reason: TypeAlias = str | Callable[[], str]

_LONGEST = 60
_OUTCOMES = {
    "regex": ("does not match", "matches"),
    "jsonpath": ("finds nothing in", "finds something in"),
    "xpath": ("is false in", "is true in"),
}


class Verdict:
    """Whether a criterion is met, and why.

    :param passed: whether it is met.
    :param reason: the compared values, or what kept it from being evaluated; or what tells that, which is
        asked only where somebody reads it.
    """

    __slots__ = ("_reason", "passed")

    def __init__(self, passed: bool, reason: Reason) -> None:
        self.passed = passed
        self._reason = reason

    @property
    def reason(self) -> str:
        """Why, for people."""
        return self._reason if isinstance(self._reason, str) else self._reason()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verdict) and (self.passed, self.reason) == (other.passed, other.reason)

    def __repr__(self) -> str:
        return f"Verdict({self.passed}, {self.reason!r})"

    __hash__ = None  # type: ignore[assignment]


def parse_criterion(
    type: str,
    version: str,
    condition: str,
    context: Expression | None,
    names: Names,
    problems: list[Problem],
) -> Criterion | None:
    """Read a Criterion Object whose context is parsed already.

    :param type: ``simple`` (also when empty), ``regex``, ``jsonpath`` or ``xpath``.
    :param version: of the query language; empty means its default.
    :return: ``None`` after an error.
    """
    kind = checked_type(type or "simple", _TYPES, problems)
    if kind is None:
        return None
    if kind == "simple":
        simple = parse_condition(condition, names, problems)
        return None if simple is None else Criterion(condition, context=context, simple=simple)
    if context is None and _is_simple(condition, names):
        message = f"a condition of type {kind} without a context is read as a simple one"
        warn(problems, "criterion-type", message, 0, "leave out 'type'")
        return parse_criterion("simple", "", condition, None, names, problems)
    known = checked_version(kind, version, problems) if kind != "regex" else ""
    context = context or _body_for(kind, condition, problems)
    if known is None or context is None:
        return None
    if kind == "jsonpath":
        return _jsonpath(condition, known, context, names, problems)
    found: list[Problem] = []
    query = query_text(parse_text(condition, names, found, bare=kind != "regex", many=False))
    if kind == "regex":
        _check_pattern(query, found)
    elif not failed(found):
        check_query(kind, query, known, found)
    problems.extend(found)
    if failed(found):
        return None
    return Criterion(condition, cast("CriterionType", kind), known, context, query=query)


def _is_simple(condition: str, names: Names) -> bool:
    """Whether a condition compares, and begins with, a runtime expression: no query does."""
    found: list[Problem] = []
    begins = _EXPRESSION.match(condition) is not None and _OPERATOR.search(condition) is not None
    return begins and parse_condition(condition, names, found) is not None and not failed(found)


def _body_for(kind: str, condition: str, problems: list[Problem]) -> Expression | None:
    """The context of a criterion that names none: the response's body, where it can mean nothing else."""
    if kind == "regex" and not _WORDS.search(_NO_TEXT.sub(" ", condition)):
        message = f"a {kind} criterion needs a context"
        error(problems, "missing-context", message, 0, "add for example: context: $response.body")
        return None
    message = f"a {kind} criterion needs a context; the response's body is read"
    warn(problems, "criterion-context", message, 0, "add 'context: $response.body'")
    return Expression("response", part="body", text="$response.body")


def evaluate_criterion(criterion: Criterion, scope: Scope) -> Verdict:
    """Judge by one criterion. Never raises: what cannot be evaluated is not met."""
    try:
        if criterion.type == "simple" and criterion.simple is not None:
            return _compared(criterion, criterion.simple, scope)
        return _queried(criterion, scope)
    except Exception as problem:  # whatever a query engine or a scope raises, the criterion is not met
        return Verdict(False, f"{criterion.condition}: cannot be evaluated: {problem}")


def criteria_hold(criteria: Iterable[Criterion], scope: Scope) -> tuple[bool, list[Verdict]]:
    """Whether all criteria are met, and the verdict on each; none are met by anything."""
    verdicts = [evaluate_criterion(criterion, scope) for criterion in criteria]
    return all(verdict.passed for verdict in verdicts), verdicts


def _compared(criterion: Criterion, condition: Condition, scope: Scope) -> Verdict:
    passed, shown = judged(condition, scope)
    return Verdict(passed, lambda: f"{criterion.condition}: {shown()} is {_word(passed)}")


def judged(condition: Condition, scope: Scope) -> tuple[bool, Callable[[], str]]:
    """Whether a condition holds; and what tells it with values in the place of what was evaluated.

    :raises AbsentInText: when text with an absent value in it is compared.
    :raises ValueError: when a query cannot be applied.
    """
    if isinstance(condition, Compare):
        left, right = operand_value(condition.left, scope), operand_value(condition.right, scope)
        passed, left, right = compare(condition.operator, left, right), _small(left), _small(right)
        return passed, lambda: _comparison(condition, left, right)
    if isinstance(condition, Truth):
        value = operand_value(condition.operand, scope)
        passed, value = truthy(value), _small(value)
        return passed, lambda: _shown(value, hidden=True)
    if isinstance(condition, Not):
        passed, shown = judged(condition.operand, scope)
        return not passed, lambda: f"!({shown()})"
    texts: list[tuple[Condition, Callable[[], str]]] = []
    decisive = isinstance(condition, Either)
    for part in condition.operands:
        passed, shown = judged(part, scope)
        texts.append((part, shown))
        if passed is decisive:
            break
    return passed, lambda: (" || " if decisive else " && ").join(
        f"({text()})" if isinstance(part, Either | Every) else text() for part, text in texts
    )


def _comparison(condition: Compare, left: Any, right: Any) -> str:
    exists = Constant(None) in (condition.left, condition.right)
    return f" {condition.operator} ".join(_shown(value, hidden=exists) for value in (left, right))


def _jsonpath(
    condition: str, version: str, context: Expression, names: Names, problems: list[Problem]
) -> Criterion | None:
    """A query of its own, or a comparison of queries with other values."""
    native: list[Problem] = []
    query = query_text(parse_text(condition, names, native, many=False))
    if not failed(native):
        check_query("jsonpath", query, version, native)
    if not failed(native):
        problems.extend(native)
        return Criterion(condition, "jsonpath", version, context, query=query)
    found: list[Problem] = []
    compared = read_comparison(condition, version, context, names, found)
    if compared is None:
        problems.extend(found if _OPERATOR.search(condition) else native)
        return None
    problems.extend(found)
    message = "JSONPath compares inside filters only; this is read as a comparison of what it finds"
    warn(problems, "jsonpath-comparison", message, 0, "write a filter, or a condition of type simple")
    return Criterion(condition, "jsonpath", version, context, simple=compared)


def _queried(criterion: Criterion, scope: Scope) -> Verdict:
    """Judge by a criterion with a context."""
    context = ABSENT if criterion.context is None else resolve(criterion.context, scope)
    name = criterion.context.text if criterion.context else "the context"
    if context is None or context is ABSENT:
        return Verdict(False, f"{criterion.condition}: {name} has no value")
    if criterion.type == "jsonpath" and isinstance(context, str) and criterion.condition.strip() != "$":
        return Verdict(False, f"{criterion.condition}: {name} is text, not JSON")
    if criterion.simple is not None:
        return _compared(criterion, criterion.simple, scope)
    query = criterion.query or Text((criterion.condition,))
    passed = _found(criterion, query, context, scope)
    return Verdict(passed, f"{criterion.condition}: {_OUTCOMES[criterion.type][passed]} {name}")


def _found(criterion: Criterion, query: Text, context: Any, scope: Scope) -> bool:
    values = binding.values_in(scope)
    if criterion.type == "regex":
        from airflow_arazzo.expression import patterns

        return patterns.found(binding.bind_text(query, values), to_text(context))
    if criterion.type == "jsonpath":
        from airflow_arazzo.expression import jsonpath

        return jsonpath.holds(context, binding.bind_jsonpath(query, values), criterion.version)
    from airflow_arazzo.expression import xpath

    source, variables = binding.bind_xpath(query, values)
    return xpath.holds(xml_text(context), source, criterion.version, variables)


def _check_pattern(query: Text, problems: list[Problem]) -> None:
    """Check a regular expression that has no expressions in it; others are known only when they run."""
    if any(isinstance(part, Expression) for part in query.parts):
        return
    from airflow_arazzo.expression import patterns

    try:
        patterns.compile_pattern("".join(part for part in query.parts if isinstance(part, str)))
    except ValueError as problem:
        error(problems, "bad-regex", str(problem), 0)


class _Large(NamedTuple):
    """What is told of a value that is too large to be kept until somebody asks."""

    shown: str
    hidden: str


def _small(value: Any) -> Any:
    """A value that may be kept for as long as its verdict: a response may be megabytes."""
    if isinstance(value, dict | list) or (isinstance(value, str) and len(value) > _LONGEST):
        return _Large(_shown(value), _shown(value, hidden=True))
    return value


def _shown(value: Any, *, hidden: bool = False) -> str:
    """A value for a log.

    :param hidden: whether only its presence matters, so that its content stays out of the log.
    """
    if value is ABSENT:
        return "absent"
    if isinstance(value, _Large):
        return value.hidden if hidden else value.shown
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str) and hidden:
        return f"a text of {len(value)} characters"
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST else value[:_LONGEST] + "…")
    try:
        return to_text(value)
    except ValueError:
        return "a number with too many digits to be written"


def _word(passed: bool) -> str:
    return "true" if passed else "false"
