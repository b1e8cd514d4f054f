"""Conditions against a naive evaluator, written from the rules of the design and not from the code.

Absent is null. ``!=`` is the negation of ``==``. Ordering with null is false. A bare operand is false only
for false, null and absent. Strings compare without regard to case. A number is compared with a string as
numbers when exactly one side is a number, and in order also when both read as numbers.
"""

from __future__ import annotations

import string
from decimal import Decimal, InvalidOperation
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.expression.conditions import evaluate_condition, parse_condition
from airflow_arazzo.expression.model import ABSENT, Expression
from airflow_arazzo.expression.names import Names, Problem

GONE = "gone"
NAMES = Names(inputs=frozenset("abcdef") | {GONE})

numerals = st.sampled_from(
    ["0", "7", "007", "7.0", "-1", "1e1", "10", "+5", ".5", "1_0", "0x1", "٣", "NaN", " 7", ""]
)
words = st.sampled_from(
    ["x", "X", "Straße", "STRASSE", "true", "False", "null", "it's", "a b", "(", "&&", "=="]
)
numbers = st.integers(-2, 12) | st.sampled_from(
    [Decimal("7.0"), Decimal("0.5"), Decimal("10.10"), Decimal("-1")]
)
scalars = st.none() | st.booleans() | numbers | numerals | words
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.sampled_from("xy"), scalars, max_size=2)
scopes = st.fixed_dictionaries(dict.fromkeys("abcdef", values))

Tree = tuple[Any, ...]
"""``("value", literal)``, ``("input", name)``, ``("not", tree)``, or an operator with two of them."""

operands = st.one_of(
    st.sampled_from([*"abcdef", GONE]).map(lambda name: ("input", name)),
    scalars.map(lambda value: ("value", value)),
)
comparisons = st.tuples(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), operands, operands)
trees = st.recursive(
    comparisons | operands,
    lambda inner: st.tuples(st.just("not"), inner) | st.tuples(st.sampled_from(["&&", "||"]), inner, inner),
    max_leaves=8,
)


class Inputs:
    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given

    def lookup(self, expression: Expression) -> Any:
        return self.given.get(expression.name, ABSENT)


# --- the naive evaluator -------------------------------------------------------------------------------


def value_of(operand: Tree, given: dict[str, Any]) -> Any:
    """Absent is null from here on."""
    return operand[1] if operand[0] == "value" else given.get(operand[1])


def holds(tree: Tree, given: dict[str, Any]) -> bool:
    kind = tree[0]
    if kind in ("value", "input"):
        value = value_of(tree, given)
        return not (value is None or value is False)
    if kind == "not":
        return not holds(tree[1], given)
    if kind == "&&":
        return holds(tree[1], given) and holds(tree[2], given)
    if kind == "||":
        return holds(tree[1], given) or holds(tree[2], given)
    left, right = value_of(tree[1], given), value_of(tree[2], given)
    if kind == "!=":
        return not same(left, right)
    if kind == "==":
        return same(left, right)
    return ordered(kind, left, right)


def is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def as_number(value: Any) -> Decimal | None:
    """The number that a value is, or that a text is a numeral of."""
    if is_number(value):
        return Decimal(value)
    if not isinstance(value, str) or not value or set(value) - set(string.digits + "+-.eE"):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None


def same(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    for one, other in ((left, right), (right, left)):
        if isinstance(one, bool):
            text = other.casefold() if isinstance(other, str) else other
            return text is one or text == ("true" if one else "false")
        if is_number(one) and (is_number(other) or isinstance(other, str)):
            return as_number(other) == one
    return type(left) is type(right) and strictly(left, right)


def strictly(left: Any, right: Any) -> bool:
    """JSON values inside objects and arrays are the same only when they are."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(strictly(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict):
        return set(left) == set(right) and all(strictly(left[name], right[name]) for name in left)
    return bool(left == right)


def ordered(operator: str, left: Any, right: Any) -> bool:
    first, second = as_number(left), as_number(right)
    one: Any
    other: Any
    if first is not None and second is not None:
        one, other = first, second
    elif isinstance(left, str) and isinstance(right, str):
        one, other = left.casefold(), right.casefold()
    else:
        return False
    return bool({"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[operator])


# --- writing conditions --------------------------------------------------------------------------------


def written(tree: Tree, blank: str, extra: bool) -> str:
    """The tree as text, with the parentheses that it needs, and others where ``extra`` says so."""
    kind = tree[0]
    if kind == "input":
        return f"$inputs.{tree[1]}"
    if kind == "value":
        return literal(tree[1])
    if kind == "not":
        inner = written(tree[1], blank, extra)
        bare = tree[1][0] in ("input", "value", "not")
        return f"!{blank}{inner}" if bare and not extra else f"!{blank}({inner})"
    if kind in ("&&", "||"):
        sides = [written(side, blank, extra) for side in tree[1:]]
        if kind == "&&":
            sides = [
                f"({text})" if side[0] == "||" or extra else text
                for side, text in zip(tree[1:], sides, strict=True)
            ]
        return f"{blank}{kind}{blank}".join(sides)
    return (
        f"{written(tree[1], blank, extra)}{blank or ' '}{kind}{blank or ' '}{written(tree[2], blank, extra)}"
    )


def literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


@given(trees, scopes, st.sampled_from([" ", "", "  ", "\n\t"]), st.booleans())
def test_against_a_naive_evaluator(tree: Tree, given_: dict[str, Any], blank: str, extra: bool) -> None:
    text = written(tree, blank, extra)
    problems: list[Problem] = []
    condition = parse_condition(text, NAMES, problems)
    assert condition is not None, (text, problems)
    assert not [problem for problem in problems if problem.severity == "warning"], (text, problems)
    assert evaluate_condition(condition, Inputs(given_)) == holds(tree, given_), text


@given(values, values)
def test_every_pair_of_values(left: Any, right: Any) -> None:
    """Comparisons alone, of inputs: each operator, both ways round."""
    given_ = {"a": left, "b": right}
    for operator in ("==", "!=", "<", "<=", ">", ">="):
        for one, other in (("a", "b"), ("b", "a"), ("a", GONE)):
            tree = (operator, ("input", one), ("input", other))
            condition = parse_condition(f"$inputs.{one} {operator} $inputs.{other}", NAMES, [])
            assert condition is not None
            assert evaluate_condition(condition, Inputs(given_)) == holds(tree, given_), (
                operator,
                one,
                other,
            )


@given(words | numerals, words | numerals)
def test_texts(left: str, right: str) -> None:
    """Of an input and as a literal, with the quotes that are in it doubled."""
    for operator in ("==", "!=", "<", "<=", ">", ">="):
        tree = (operator, ("input", "a"), ("value", right))
        condition = parse_condition(written(tree, " ", False), NAMES, [])
        assert condition is not None
        for value in (left, right, right.upper()):
            assert evaluate_condition(condition, Inputs({"a": value})) == holds(tree, {"a": value})
