"""JSONPath: where we rely on the library, and where we differ from it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_arazzo.expression.jsonpath import compile_query, holds, locate, select
from airflow_arazzo.expression.languages import VERSIONS, QueryError

DRAFT = "draft-goessner-dispatch-jsonpath-00"
EVERY = pytest.mark.parametrize("version", VERSIONS["jsonpath"])

DATA: dict[str, Any] = {
    "a": [{"p": Decimal("10.10"), "s": "x"}, {"p": 5, "s": "y"}, {"p": Decimal("1E+2"), "b": True}],
    "o": {"k": 1, "z": None},
    "big": [9007199254740993],
}


@EVERY
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("$.a[0].s", ["x"]),
        ("$.a[-1].p", [100]),
        ("$.a[*].s", ["x", "y"]),
        ("$..s", ["x", "y"]),
        ("$.o['k']", [1]),
        ("$.zz", []),
        ("$.a[?(@.p > 7)].p", [Decimal("10.10"), Decimal("100")]),
        ("$.a[?@.p == 10.1].s", ["x"]),
        ("$.a[?@.p == 10.10].s", ["x"]),
        ("$.a[?@.p == 5.0].s", ["y"]),
        ("$.a[?@.p == 100].p", [100]),
        ("$.a[?@.p == 1e2].p", [100]),
        ("$.a[?@.p <= 10.10].p", [Decimal("10.10"), 5]),
        ("$.a[?@.p < 10.10].p", [5]),
        ("$.a[?@.p >= 10.1 && @.s == 'x'].s", ["x"]),
        ("$.a[?@.b == true].p", [100]),
        ("$.a[?@.b == 1].p", []),
        ("$.a[?!@.b].s", ["x", "y"]),
        ("$.big[?@ == 9007199254740993]", [9007199254740993]),
        ("$.big[?@ == 9007199254740992]", []),
        ("$.big[?@ > 9007199254740992]", [9007199254740993]),
    ],
)
def test_select(query: str, found: list[Any], version: str) -> None:
    assert select(DATA, query, version) == found


@pytest.mark.parametrize(
    ("query", "value", "found"),
    [
        ("$[?@]", [0, "", False, None, 1], [0, "", False, None, 1]),
        ("$[?count(@) == 1]", [0, "abc", [1, 2]], [0, "abc", [1, 2]]),
        ("$[?length(@) == 2]", [0, "ab", [1, 2], {"a": 1, "b": 2}], ["ab", [1, 2], {"a": 1, "b": 2}]),
        (
            "$[?@.a == @.b]",
            [{}, {"a": 1}, {"a": 1, "b": Decimal("1.0")}],
            [{}, {"a": 1, "b": Decimal("1.0")}],
        ),
        ("$[?@.a == null]", [{"a": None}, {}], [{"a": None}]),
        ("$[?@.a < 'b']", [{"a": "a"}, {"a": "c"}, {"a": 1}], [{"a": "a"}]),
        ("$[?@.a != 1]", [{"a": True}, {"a": Decimal(1)}], [{"a": True}]),
        ("$[?@ == 0.1]", [0.1, Decimal("0.10")], [0.1, Decimal("0.10")]),
    ],
)
def test_filters_of_rfc_9535(query: str, value: Any, found: list[Any]) -> None:
    assert select(value, query) == found


@pytest.mark.parametrize(
    ("pattern", "text", "match", "search"),
    [
        ("a.c", "abc", True, True),
        ("a.c", "a\nc", False, False),
        ("b", "abc", False, True),
        ("[.]", "x", False, False),
        (r"\\d+", "12", True, True),
        ("(", "(", False, False),
    ],
)
def test_patterns(pattern: str, text: str, match: bool, search: bool) -> None:
    assert holds([text], f"$[?match(@, '{pattern}')]") is match
    assert holds([text], f"$[?search(@, '{pattern}')]") is search


def test_patterns_have_a_time_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_arazzo.expression.patterns.TIME_LIMIT", 0.05)
    with pytest.raises(ValueError, match="took longer"):
        holds(["a" * 60], "$[?match(@, '(a|aa)+b')]")
    with pytest.raises(ValueError, match="took longer"):
        select(["a" * 60], "$[?(@ =~ /(a|aa)+b/)]", DRAFT)


@EVERY
def test_locate(version: str) -> None:
    assert locate(DATA, "$.a[?@.p > 7].p", version) == [("a", 0, "p"), ("a", 2, "p")]
    assert locate(DATA, "$", version) == [()]


@pytest.mark.parametrize(
    ("query", "offset"),
    [
        ("$.a[", 4),
        ("$.", 2),
        ("a.b", 0),
        ("$.a == 1", 3),
        ("$[?@.a == ]", 10),
        ("$[?foo(@)]", 3),
        ("$[?@.a]x", 7),
    ],
)
def test_malformed(query: str, offset: int) -> None:
    with pytest.raises(QueryError) as caught:
        compile_query(query)
    assert caught.value.offset == pytest.approx(offset, abs=1)


@EVERY
@pytest.mark.parametrize("number", ["01", "1e1234567890", "-01.5", "1e" + "9" * 30])
def test_malformed_numbers(number: str, version: str) -> None:
    with pytest.raises(QueryError):
        compile_query(f"$[?@.a == {number}]", version)


@EVERY
def test_numbers_of_any_size(version: str) -> None:
    assert select([Decimal("1E+400"), 5], "$[?@ == 1e400]", version) == [Decimal("1E+400")]
    assert select([Decimal("1E-400"), 0], "$[?@ == 1e-400]", version) == [Decimal("1E-400")]
    assert select([5], "$[?@ < 1e999999999]", version) == [5]


@pytest.mark.parametrize("query", ["$.a[", "a.b", "$.a == 1", "$[?@.a == ]"])
def test_malformed_draft(query: str) -> None:
    with pytest.raises(QueryError):
        compile_query(query, DRAFT)


@EVERY
def test_too_deep(version: str) -> None:
    with pytest.raises(QueryError):
        compile_query("$[?" + "(" * 5000 + "@.a" + ")" * 5000 + "]", version)


def test_the_draft_counts_from_the_end() -> None:
    assert select(DATA, "$.a[(@.length-1)].p", DRAFT) == [100]


@EVERY
@pytest.mark.parametrize(
    ("query", "singular"), [("$.a[0].b", True), ("$['a']", True), ("$.a[*]", False), ("$..a", False)]
)
def test_singular(query: str, singular: bool, version: str) -> None:
    assert compile_query(query, version).singular is singular


@pytest.mark.parametrize(
    ("query", "value", "expected"),
    [
        # On an object that has the member: on the object itself.
        ("$[?@.token != null]", {"token": "x", "n": 1}, True),
        ("$[?@.token != null]", {"token": None}, False),
        ("$[?(@.needs == true)]", {"needs": True}, True),
        ("$[?(@.needs == true)]", {"needs": False, "inner": {"needs": True}}, False),
        ("$[?@.a == 1 && @.b == 2]", {"a": 1, "b": 2}, True),
        ("$[?@.a == 1 && @.b == 2]", {"a": 1}, False),
        ("$[?@['a'] == 1]", {"a": 1}, True),
        ("$[?match(@.s, 'x+')]", {"s": "xx"}, True),
        ("$[?@.a]", {"a": None}, True),
        ("$[?count(@.pets) > 0]", {"pets": [1]}, True),
        ("$[?count(@.pets) > 1]", {"pets": [1, 2]}, True),
        ("$[?count(@.pets) > 1]", {"pets": [1]}, False),
        ("$[?count(@.pets) == 0]", {"pets": []}, True),
        ("$[?count(@.pets) == 1]", {"pets": "x"}, True),
        # On an object that lacks it: on its members, as RFC 9535 has it.
        ("$[?@.x == 1]", {"m": {"x": 1}}, True),
        ("$[?@.x == 1]", {"m": {"x": 2}}, False),
        ("$[?count(@.pets) == 1]", {"m": {"pets": [1, 2]}}, True),
        ("$[?@.x]", {}, False),
        # On an array: on its items.
        ("$[?@.x == 1]", [{"x": 1}], True),
        ("$[?count(@.x) == 2]", [{"x": [1, 2]}], False),
        # Only at the beginning, and only alone.
        ("$.m[?@.x == 1]", {"m": {"x": 1}}, False),
        ("$[?@.m].x", {"m": 1, "x": 5}, True),
        ("$[?@.m, 'zz']", {"m": 1}, False),
    ],
)
def test_criteria_on_objects(query: str, value: Any, expected: bool) -> None:
    assert holds(value, query) is expected
