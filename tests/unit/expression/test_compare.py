"""Comparing values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_arazzo.expression.compare import compare, exactly_equal, truthy
from airflow_arazzo.expression.model import ABSENT

EQUAL = [
    (None, None),
    (None, ABSENT),
    (ABSENT, ABSENT),
    (1, 1),
    (1, Decimal("1.00")),
    (1, 1.0),
    (Decimal("0.1"), 0.1),
    (10**30, Decimal(10) ** 30),
    (200, "200"),
    ("200.0", 200),
    ("1e2", 100),
    ("+5", 5),
    ("Straße", "STRASSE"),
    ("done", "DONE"),
    (True, True),
    (True, "true"),
    ("FALSE", False),
    ([0.1], [Decimal("0.10")]),
    ([1, {"a": Decimal("2.0")}], [Decimal("1"), {"a": 2}]),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
]

DIFFERENT = [
    (None, 0),
    (None, False),
    (ABSENT, ""),
    (None, "null"),
    (1, 2),
    (1, True),
    (0, False),
    (1, "true"),
    (True, "1"),
    (True, "yes"),
    ("007", "7"),
    ("1.0", "1"),
    (7, "seven"),
    (7, ""),
    (7, " 7"),
    (float("inf"), "Infinity"),
    (1, "1_0"),
    (1, "\u0661"),
    ("a", "b"),
    ([1], [True]),
    ([0.5], ["0.5"]),
    ([0.5], [0.25]),
    (float("nan"), Decimal("NaN")),
    (Decimal("NaN"), 1),
    ([1], [1, 1]),
    (["a"], ["A"]),
    ({"a": 1}, {"a": 1, "b": 1}),
    ({"a": 1}, [1]),
    ({}, None),
    ([], "[]"),
    (9007199254740993, 9007199254740992),
    (Decimal("0.1"), Decimal("0.10000000000000000001")),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal(left: Any, right: Any) -> None:
    assert compare("==", left, right)
    assert compare("==", right, left)
    assert not compare("!=", left, right)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_different(left: Any, right: Any) -> None:
    assert not compare("==", left, right)
    assert not compare("==", right, left)
    assert compare("!=", left, right)


ORDERED = [
    (1, 2),
    (Decimal("1.5"), 2),
    (1, "1.5"),
    ("9", 10),
    ("9", "10"),
    ("007", "8"),
    ("a", "B"),
    ("A", "b"),
    ("9", "a"),
    ("2024-01-01", "2024-02-01"),
]


@pytest.mark.parametrize(("less", "more"), ORDERED)
def test_order(less: Any, more: Any) -> None:
    for operator in ("<", "<="):
        assert compare(operator, less, more)  # type: ignore[arg-type]
        assert not compare(operator, more, less)  # type: ignore[arg-type]
    for operator in (">", ">="):
        assert compare(operator, more, less)  # type: ignore[arg-type]
        assert not compare(operator, less, more)  # type: ignore[arg-type]


def test_two_numerals_are_equal_in_order_but_not_as_text() -> None:
    assert compare("<=", "007", "7")
    assert compare(">=", "007", "7")
    assert not compare("==", "007", "7")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (None, 1),
        (1, ABSENT),
        (None, None),
        (True, False),
        (True, 0),
        ([1], [2]),
        ({}, {}),
        (5, "x"),
        ("", 5),
        (Decimal("NaN"), 1),
    ],
)
def test_no_order(left: Any, right: Any) -> None:
    for operator in ("<", "<=", ">", ">="):
        assert not compare(operator, left, right)  # type: ignore[arg-type]


def test_huge_exponents_cost_nothing() -> None:
    assert compare("<", 5, "1e999999999")
    assert not compare("==", 5, "1e999999999")
    assert not compare("==", 5, "1e" + "9" * 30)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, False),
        (ABSENT, False),
        (False, False),
        (0, True),
        ("", True),
        ([], True),
        ({}, True),
        ("false", True),
    ],
)
def test_standing_alone(value: Any, expected: bool) -> None:
    assert truthy(value) is expected


values = st.recursive(
    st.none()
    | st.just(ABSENT)
    | st.booleans()
    | st.integers(-3, 3)
    | st.decimals(-3, 3, places=1)
    | st.sampled_from(["", "1", "1.0", "true", "TRUE", "x", "X", "null"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(values, values)
def test_laws(left: Any, right: Any) -> None:
    equal = compare("==", left, right)
    assert compare("==", right, left) is equal
    assert compare("!=", left, right) is not equal
    assert compare("<", left, right) is compare(">", right, left)
    assert compare("<=", left, right) is compare(">=", right, left)
    assert not (compare("<", left, right) and compare("<", right, left))
    assert exactly_equal(left, right) is exactly_equal(right, left)


@given(values)
def test_everything_equals_itself(value: Any) -> None:
    assert compare("==", value, value)
    assert exactly_equal(value, value)
