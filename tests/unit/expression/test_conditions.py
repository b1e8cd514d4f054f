"""Simple conditions: reading."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from airflow_arazzo.expression.conditions import evaluate_condition, parse_condition
from airflow_arazzo.expression.model import (
    Compare,
    Constant,
    Either,
    Every,
    Expression,
    Not,
    Text,
    Truth,
)
from airflow_arazzo.expression.names import Names

NAMES = Names(inputs=frozenset({"id"}))
Read = Callable[..., tuple[Any, list[tuple[str, int]]]]


def shape(node: Any) -> Any:
    """A condition as nested tuples, with expressions as written."""
    if isinstance(node, Compare):
        return (shape(node.left), node.operator, shape(node.right))
    if isinstance(node, Truth):
        return ("truth", shape(node.operand))
    if isinstance(node, Not):
        return ("not", shape(node.operand))
    if isinstance(node, Every | Either):
        return ("and" if isinstance(node, Every) else "or", *map(shape, node.operands))
    if isinstance(node, Text):
        return [part if isinstance(part, str) else part.text for part in node.parts]
    return node.text if isinstance(node, Expression) else ("=", node.value)


S200 = ("$statusCode", "==", ("=", 200))
S404 = ("$statusCode", "==", ("=", 404))

PLAIN = [
    ("$statusCode == 200", S200),
    ("$statusCode==200", S200),
    ("  $statusCode\n==\t200  ", S200),
    ("200 == $statusCode", (("=", 200), "==", "$statusCode")),
    ("$statusCode == 200 || $statusCode == 404", ("or", S200, S404)),
    ("$statusCode==200||$statusCode==404", ("or", S200, S404)),
    ("$statusCode == 200 && $statusCode == 404 || $url", ("or", ("and", S200, S404), ("truth", "$url"))),
    ("$statusCode == 200 && ($statusCode == 404 || $url)", ("and", S200, ("or", S404, ("truth", "$url")))),
    ("((($statusCode == 200)))", S200),
    ("($statusCode) == (200)", S200),
    ("!$inputs.id", ("not", ("truth", "$inputs.id"))),
    ("!!$inputs.id", ("not", ("not", ("truth", "$inputs.id")))),
    ("!($statusCode == 200)", ("not", S200)),
    ("! $inputs.id && $url", ("and", ("not", ("truth", "$inputs.id")), ("truth", "$url"))),
    ("$inputs.id != null", ("$inputs.id", "!=", ("=", None))),
    ("$inputs.id!=true", ("$inputs.id", "!=", ("=", True))),
    ("$inputs.id<=-1.50", ("$inputs.id", "<=", ("=", Decimal("-1.50")))),
    ("$inputs.id >= 1e3", ("$inputs.id", ">=", ("=", Decimal("1E+3")))),
    ("$inputs.id > 12345678901234567890", ("$inputs.id", ">", ("=", 12345678901234567890))),
    ("$inputs.id < 'it''s'", ("$inputs.id", "<", ("=", "it's"))),
    ("$inputs.id == ''", ("$inputs.id", "==", ("=", ""))),
    ("$inputs.id == 'a && b == $5'", ("$inputs.id", "==", ("=", "a && b == $5"))),
    ("$response.body.a.b[0] > 3", ("$response.body.a.b[0]", ">", ("=", 3))),
    ("$response.body#/a/b-c==3", ("$response.body#/a/b-c", "==", ("=", 3))),
    ("$response.header.X-Count!=3", ("$response.header.X-Count", "!=", ("=", 3))),
    ("$steps.a-b.outputs.c-d == 3", ("$steps.a-b.outputs.c-d", "==", ("=", 3))),
    (
        "$steps.Search Articles by Keyword_0.outputs.x==null",
        ("$steps.Search Articles by Keyword_0.outputs.x", "==", ("=", None)),
    ),
    (
        "$steps.create.outputs.Response (payload) == 1",
        ("$steps.create.outputs.Response (payload)", "==", ("=", 1)),
    ),
    ("$inputs.two words == 'x'", ("$inputs.two words", "==", ("=", "x"))),
    ("$inputs.filter[status] == 'x'", ("$inputs.filter[status]", "==", ("=", "x"))),
    ("{$inputs.id} == 1", ("$inputs.id", "==", ("=", 1))),
    ("{$response.body#/a (b)/c d} == 1", ("$response.body#/a (b)/c d", "==", ("=", 1))),
    ("true", ("truth", ("=", True))),
]


@pytest.mark.parametrize(("text", "expected"), PLAIN)
def test_reads(text: str, expected: Any, read: Read) -> None:
    condition, problems = read(parse_condition, text)
    assert shape(condition) == expected
    assert problems == []


TOLERATED = [
    ('$inputs.id == "x"', ("$inputs.id", "==", ("=", "x")), "double-quotes", 14),
    ('$inputs.id == "a\\"b"', ("$inputs.id", "==", ("=", 'a"b')), "double-quotes", 14),
    ("$inputs.id == NEW", ("$inputs.id", "==", ("=", "NEW")), "unquoted-string", 14),
    ("$inputs.id == 2xx", ("$inputs.id", "==", ("=", "2xx")), "unquoted-string", 14),
    ("$inputs.id == 2024-01-01", ("$inputs.id", "==", ("=", "2024-01-01")), "unquoted-string", 14),
    ("$statusCode === 200", S200, "operator-spelling", 12),
    ("$inputs.id == True", ("$inputs.id", "==", ("=", True)), "literal-spelling", 14),
    ("$inputs.id != undefined", ("$inputs.id", "!=", ("=", None)), "literal-spelling", 14),
    ("$body.a > 1", ("$body.a", ">", ("=", 1)), "response-body", 0),
    ("$response.body#id == 1", ("$response.body#id", "==", ("=", 1)), "pointer-slash", 15),
    ("$statusCode == '{$inputs.id}'", ("$statusCode", "==", "$inputs.id"), "quoted-expression", 15),
    ("$statusCode == 'x-{$inputs.id}'", ("$statusCode", "==", ["x-", "$inputs.id"]), "quoted-expression", 15),
]


@pytest.mark.parametrize(("text", "expected", "code", "offset"), TOLERATED)
def test_tolerates(text: str, expected: Any, code: str, offset: int, read: Read) -> None:
    condition, problems = read(parse_condition, text)
    assert shape(condition) == expected
    assert (code, offset) in problems


REFUSED = [
    ("", [("bad-condition", 0)]),
    ("   ", [("bad-condition", 3)]),
    ("$statusCode ==", [("bad-condition", 14)]),
    ("== 3", [("bad-condition", 0)]),
    ("$statusCode = 200", [("bad-condition", 12)]),
    ("$statusCode !== 200", [("bad-condition", 12)]),
    ("$statusCode <> 200", [("bad-condition", 12)]),
    ("$inputs.id =~ 'x'", [("bad-condition", 11)]),
    ("$statusCode & 200", [("bad-condition", 12)]),
    ("$statusCode == 200 and $url", [("bad-condition", 19)]),
    ("$statusCode == 200 or $url", [("bad-condition", 19)]),
    ("not $url", [("bad-expression", 0)]),
    ("!$inputs.id == 3", [("bad-condition", 12)]),
    ("($statusCode == 200) == true", [("bad-condition", 21)]),
    ("$url == ($statusCode == 200)", [("bad-condition", 9)]),
    ("1 < $statusCode < 3", [("bad-condition", 16)]),
    ("($url", [("bad-condition", 0)]),
    ("$url)", [("bad-condition", 4)]),
    ("$inputs.id == 'open", [("bad-condition", 14)]),
    ("$inputs.id == in progress", [("unquoted-string", 14), ("bad-condition", 17)]),
    ("$inputs.id + 1 > 2", [("bad-condition", 11)]),
    ("{$inputs.id == 1", [("bad-expression", 0)]),
    ("$nope == 1", [("bad-expression", 0)]),
    ("response.none == 1", [("bad-expression", 0)]),
    ("inputs.nope == 1", [("bad-expression", 0)]),
    ("success", [("unquoted-string", 0), ("bad-condition", 0)]),
    ("status == 'done'", [("unquoted-string", 0), ("bad-condition", 0)]),
    ("$inputs.nope == 1 && $steps.nope.outputs.x == 2", [("unknown-input", 8), ("unknown-step", 28)]),
    ("$inputs.id == 1 && $inputs.nope", [("unknown-input", 27)]),
    ("$inputs.id == '{$inputs.nope}'", [("unknown-input", 24)]),
    ("(" * 200 + "1", [("condition-depth", 100)]),
    ("!" * 200 + "$url", [("condition-depth", 0)]),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_refuses(text: str, expected: list[tuple[str, int]], read: Read) -> None:
    condition, problems = read(parse_condition, text)
    assert condition is None
    found = [problem for problem in problems if problem[0] != "quoted-expression"]
    assert found == (expected if text != "not $url" else [("bad-condition", 0)])


def test_operators_are_read_to_their_end(read: Read, values: Any) -> None:
    condition, _ = read(parse_condition, "$statusCode<=200&&$statusCode>=200&&!($statusCode!=200)")
    assert evaluate_condition(condition, values(status=200))
    assert not evaluate_condition(condition, values(status=201))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$response.body#/ok", True),
        ("$response.body#/nothing", False),
        ("$response.body#/missing", False),
        ("!$response.body#/missing", True),
        ("$response.body#/missing == null", True),
        ("$response.body#/nothing == null", True),
        ("$response.body#/missing == $response.body#/nothing", True),
        ("$response.body#/missing != null", False),
        ("$response.body#/missing != 'x'", True),
        ("$response.body#/missing <= 0", False),
        ("$response.body#/status == 'COMPLETED'", True),
        ("$response.body.items.length == 2", True),
        ("$response.body#/status/length == 9", True),
        ("$response.body.deep.length == null", True),
        ("$response.body.products == $inputs.list", True),
        ("$response.body.n == 10.1", True),
        ("$response.body.n > '9'", True),
        ("$inputs.zero", True),
        ("$inputs.empty", True),
        ("$inputs.empty == ''", True),
        ("$inputs.zero == false", False),
        ("$statusCode == 200 && $response.body.items[1].s == 'B'", True),
        ("'{$inputs.zero}-x' == '0-X'", True),
        ("$inputs.seven == '{$inputs.seven}'", True),
    ],
)
def test_evaluates(text: str, expected: bool, values: Any, body: Any) -> None:
    problems: list[Any] = []
    condition = parse_condition(text, Names(), problems)
    assert condition is not None
    scope = values(body=body, inputs={"zero": 0, "empty": "", "list": [1, 2], "seven": "007"})
    assert evaluate_condition(condition, scope) is expected


def test_nothing_is_evaluated_behind_the_decision(read: Read, values: Any) -> None:
    condition, _ = read(parse_condition, "$statusCode == 200 || 'x{$inputs.id}' == 'y'")
    assert evaluate_condition(condition, values(status=200))
    with pytest.raises(Exception, match=r"\$inputs.id has no value"):
        evaluate_condition(condition, values(status=201))


def test_constants_keep_their_type(read: Read) -> None:
    condition, _ = read(parse_condition, "$inputs.id == 1.0")
    assert condition.right == Constant(Decimal("1.0"))
    assert isinstance(condition.right.value, Decimal)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("$statusCode = 200", "write =="),
        ("$statusCode == 200 and $url", "write &&"),
        ("$statusCode | 200", "write ||"),
        ("1 < $statusCode < 3", "join comparisons with &&"),
        ("!$inputs.id == 3", "put the comparison in parentheses"),
        ("$inputs.id == in progress", "put a string of several words in quotes"),
        ("statusCode == 200", "write $statusCode"),
        ("$inputs.id =~ 'x'", "use a criterion of type regex"),
    ],
)
def test_hints(text: str, hint: str) -> None:
    problems: list[Any] = []
    parse_condition(text, NAMES, problems)
    assert problems[-1].hint == hint
