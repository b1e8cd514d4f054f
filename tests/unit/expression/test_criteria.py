"""Criterion Objects: reading, judging, explaining."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from airflow_arazzo.expression.criteria import Verdict, criteria_hold, evaluate_criterion, parse_criterion
from airflow_arazzo.expression.model import Criterion, Expression
from airflow_arazzo.expression.names import Names

Read = Callable[..., tuple[Any, list[tuple[str, int]]]]

BODY_OF = Expression("response", part="body", text="$response.body")
STATUS = Expression("statusCode", text="$statusCode")
NAMES = Names(inputs=frozenset({"id", "list", "pattern"}))


def criterion(
    kind: str, condition: str, context: Expression | None = BODY_OF, version: str = ""
) -> Criterion:
    problems: list[Any] = []
    found = parse_criterion(kind, version, condition, context, NAMES, problems)
    assert found is not None, problems
    return found


JSONPATH = [
    ("$.ok == true", True),
    ("$.ok != true", False),
    ('$.status == "completed"', True),
    ("$.status == 'x' || $.n >= 10.1", True),
    ("$.status == 'x' && $.n >= 10.1", False),
    ("!$.error", True),
    ("!$.ok", False),
    ("!($.ok == false)", True),
    ("$.missing == null", True),
    ("$.missing != 'x'", True),
    ("$.items.length > 1", True),
    ("$.items.length() == 2", True),
    ("$.items.size() == 2", True),
    ("$.status.length == 9", True),
    ("$.missing.length == 0", False),
    ("length($.items) == 2", True),
    ("count($.items[*]) == 2", True),
    ("$.items[?(@.id == 2)].length == 1", True),
    ("$.items[?(@.id == 9)].length == 0", True),
    ("$.items[?(@.id > 1)].s == 'b'", True),
    ("$.items[0].id < $.items[1].id", True),
    ("$.items[*].id == 2", False),
    ("$['items'][0]['s'] == 'A'", True),
    ("$.items[?@.s == ']'] == 1", False),
    ("$.a-b == 3", True),
    ("@.ok == true", True),
    ("$.deep.list[0].k=='v'", True),
    ("$.n > $inputs.id", True),
    ("$.n > {$inputs.id}", True),
    ("$.products == {$inputs.list}", True),
    ("$.status == 'comp{$inputs.pattern}'", True),
    ("$statusCode == 200", True),
    ("$.items[?(@.id == {$inputs.id})].s == 'b'", True),
]


@pytest.mark.parametrize(("condition", "expected"), JSONPATH)
def test_jsonpath_comparisons(condition: str, expected: bool, values: Any, body: Any) -> None:
    problems: list[Any] = []
    found = parse_criterion("jsonpath", "", condition, BODY_OF, NAMES, problems)
    assert found is not None
    assert found.simple is not None
    assert [problem.code for problem in problems].count("jsonpath-comparison") == 1
    scope = values(body=body, inputs={"id": 2, "list": [1, 2], "pattern": "LETED"})
    verdict = evaluate_criterion(found, scope)
    assert verdict.passed is expected, verdict.reason
    assert "cannot be evaluated" not in verdict.reason


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("$.items", True),
        ("$.items[*]", True),
        ("$.nothing", True),
        ("$.missing", False),
        ("$.items[?(@.id == 2)]", True),
        ("$.items[?(@.s == '{$inputs.id}')]", False),
        ("$.items[?@.id == {$inputs.id}]", True),
        ("$.items[?@.id == $inputs.id]", True),
        ("$[?@.ok != null]", True),
        ("$[?count(@.products) > 1]", True),
        ("$[?count(@.products) == 0]", False),
        ("$.items[?search(@.s, '^a')]", True),
    ],
)
def test_jsonpath_queries(condition: str, expected: bool, values: Any, body: Any) -> None:
    found = criterion("jsonpath", condition)
    assert found.simple is None
    assert evaluate_criterion(found, values(body=body, inputs={"id": 2})).passed is expected


def test_a_member_named_length_wins(values: Any) -> None:
    assert evaluate_criterion(
        criterion("jsonpath", "$.box.length == 7"), values(body={"box": {"length": 7}})
    ).passed
    assert evaluate_criterion(criterion("jsonpath", "$.length == 2"), values(body=[0, 0])).passed


@pytest.mark.parametrize(
    ("kind", "context", "condition", "expected"),
    [
        ("regex", STATUS, r"^2\d{2}$", True),
        ("regex", STATUS, r"^3", False),
        ("regex", STATUS, "0", True),
        ("regex", STATUS, "^({$inputs.id})00$", True),
        ("regex", STATUS, "^{$inputs.pattern}$", True),
        ("regex", BODY_OF, "(?i)RECEIVED.*10\\.50", True),
        ("xpath", BODY_OF, "/r/received", True),
        ("xpath", BODY_OF, "count(/r/*) > 1", True),
        ("xpath", BODY_OF, "/r/n > {$inputs.id}", True),
        ("xpath", BODY_OF, "/r/n = '{$inputs.pattern}'", False),
    ],
)
def test_regex_and_xpath(kind: str, context: Expression, condition: str, expected: bool, values: Any) -> None:
    scope = values(body="<r><received/><n>10.50</n></r>", inputs={"id": 2, "pattern": "[0-9]+"})
    verdict = evaluate_criterion(criterion(kind, condition, context), scope)
    assert verdict.passed is expected, verdict.reason


@pytest.mark.parametrize(
    ("value", "pattern", "expected"),
    [
        (Decimal("10.10"), r"^10\.10$", True),
        (True, "^true$", True),
        ({"a": [1]}, r'^\{"a":\[1\]\}$', True),
        ("", "^$", True),
    ],
)
def test_context_of_a_regex_is_text_as_json_has_it(
    value: Any, pattern: str, expected: bool, values: Any
) -> None:
    assert evaluate_criterion(criterion("regex", pattern), values(body=value)).passed is expected


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("regex", ".*"),
        ("jsonpath", "$"),
        ("jsonpath", "$.a == null"),
        ("jsonpath", "!$.a"),
        ("xpath", "true()"),
    ],
)
def test_a_context_without_value_fails(kind: str, condition: str, values: Any) -> None:
    for scope in (values(), values(body=None)):
        verdict = evaluate_criterion(criterion(kind, condition), scope)
        assert verdict == Verdict(False, f"{condition}: $response.body has no value")


UNEVALUABLE = [
    ("simple", "'x{$inputs.id}' == 'y'", "$inputs.id has no value"),
    ("jsonpath", "$.a[?@.b == '{$inputs.id}']", "$inputs.id has no value"),
    ("jsonpath", "$.a[?@.b == {$inputs.list}]", "an object or array cannot stand in a query"),
    ("regex", "^{$inputs.id}$", "$inputs.id has no value"),
    ("regex", "{$inputs.pattern}", "malformed"),
    ("xpath", "/a", "not XML text"),
]


@pytest.mark.parametrize(("kind", "condition", "reason"), UNEVALUABLE)
def test_what_cannot_be_evaluated_is_not_met(kind: str, condition: str, reason: str, values: Any) -> None:
    scope = values(body={"a": []}, inputs={"list": [1], "pattern": "("})
    verdict = evaluate_criterion(criterion(kind, condition), scope)
    assert verdict.passed is False
    assert verdict.reason.startswith(f"{condition}: cannot be evaluated: ")
    assert reason in verdict.reason


@pytest.mark.parametrize("condition", ["$.a", "$.a == null", "$.a != 'x'", "!$.a"])
def test_jsonpath_of_text_is_not_met(condition: str, values: Any) -> None:
    verdict = evaluate_criterion(criterion("jsonpath", condition), values(body="<html>"))
    assert verdict == Verdict(False, f"{condition}: $response.body is text, not JSON")


def test_slow_patterns_are_stopped(monkeypatch: pytest.MonkeyPatch, values: Any) -> None:
    monkeypatch.setattr("airflow_arazzo.expression.patterns.TIME_LIMIT", 0.05)
    begin = time.monotonic()
    verdict = evaluate_criterion(criterion("regex", "(a|aa)+b"), values(body="a" * 60))
    assert time.monotonic() - begin < 2
    assert verdict.passed is False
    assert "took longer than 0.05 s" in verdict.reason


def test_whatever_a_scope_raises_is_a_reason() -> None:
    class Broken:
        def lookup(self, expression: Expression) -> Any:
            raise KeyError(expression.name)

    assert (
        "cannot be evaluated"
        in evaluate_criterion(criterion("simple", "$statusCode == 200"), Broken()).reason
    )


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("$statusCode == 200", "404 == 200 is false"),
        ("$statusCode != 200", "404 != 200 is true"),
        ("$statusCode == 200 || $statusCode == 404 || $statusCode == 1", "404 == 200 || 404 == 404 is true"),
        ("$statusCode == 200 && $url", "404 == 200 is false"),
        ("!($statusCode == 200)", "!(404 == 200) is true"),
        ("($url || $statusCode) && $url", "(absent || 404) && absent is false"),
        ("$response.body#/status == 'x'", "'Completed' == 'x' is false"),
        ("$response.body#/items == 1", "an array of 2 == 1 is false"),
        ("$response.body == 'x'", "an object of 8 == 'x' is false"),
        ("$response.body#/n > 11", "10.10 > 11 is false"),
        ("$response.body#/missing == 'x'", "absent == 'x' is false"),
    ],
)
def test_reasons_show_values(condition: str, reason: str, values: Any, body: Any) -> None:
    verdict = evaluate_criterion(criterion("simple", condition), values(body=body, status=404))
    assert verdict.reason == f"{condition}: {reason}"


def test_reasons_do_not_show_what_is_only_there(values: Any) -> None:
    scope = values(body={"token": "s3cret"})
    for condition in ("$response.body#/token != null", "$response.body#/token", "!$response.body#/token"):
        verdict = evaluate_criterion(criterion("simple", condition), scope)
        assert "s3cret" not in verdict.reason
        assert "a text of 6 characters" in verdict.reason


def test_long_values_are_cut(values: Any) -> None:
    verdict = evaluate_criterion(criterion("simple", "$response.body == 'x'"), values(body="y" * 1000))
    assert len(verdict.reason) < 150


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("regex", "does not match $response.body"), ("jsonpath", "finds nothing in $response.body")],
)
def test_reasons_of_queries(kind: str, reason: str, values: Any) -> None:
    verdict = evaluate_criterion(criterion(kind, "$.zz"), values(body=[1]))
    assert verdict.reason == f"$.zz: {reason}"


@pytest.mark.parametrize(
    ("kind", "version", "condition", "context", "problems"),
    [
        ("regex", "", "(", BODY_OF, [("bad-regex", 0)]),
        ("regex", "", "x", None, [("missing-context", 0)]),
        ("regex", "", r"^\\d{3}[a-z]+$", None, [("missing-context", 0)]),
        ("jsonpath", "", "$.a[", None, [("criterion-context", 0), ("bad-jsonpath", 4)]),
        ("jsonpath", "", "$.a[", BODY_OF, [("bad-jsonpath", 4)]),
        ("jsonpath", "", "$.a == ", BODY_OF, [("bad-condition", 7)]),
        ("jsonpath", "", "$.a.b( == 1", BODY_OF, [("bad-condition", 3)]),
        ("jsonpath", "", "$.a[?@.b == '$inputs.nope'] == 1", BODY_OF, [("literal-expression", 21)]),
        ("jsonpath", "", "$.a[?@.b == {$inputs.nope}]", BODY_OF, [("unknown-input", 21)]),
        ("jsonpath", "", "$.a == 1 && $.b[", BODY_OF, [("bad-jsonpath", 16)]),
        ("jsonpath", "", "$.a == 1 && $.b[x] > 1", BODY_OF, [("bad-jsonpath", 16)]),
        ("jsonpath", "", "status == 'x'", BODY_OF, [("unquoted-string", 0), ("bad-condition", 0)]),
        ("jsonpath", "old", "$.a", BODY_OF, [("unknown-version", 0)]),
        ("xpath", "xpath-40", "/a", BODY_OF, [("unknown-version", 0)]),
        ("xpath", "", "/a[", BODY_OF, [("bad-xpath", 2)]),
        ("jmespath", "", "a", BODY_OF, [("unknown-type", 0)]),
        ("simple", "", "$statusCode = 1", None, [("bad-condition", 12)]),
    ],
)
def test_refused(
    kind: str, version: str, condition: str, context: Any, problems: list[tuple[str, int]], read: Read
) -> None:
    found, reported = read(lambda *a: parse_criterion(kind, version, condition, context, *a), names=NAMES)
    assert [problem for problem in reported if problem[0] != "jsonpath-comparison"] == problems
    assert (found is None) or problems[0][0] == "literal-expression"


def test_types_and_versions(read: Read) -> None:
    assert criterion("", "$statusCode == 1", None).type == "simple"
    assert criterion("jsonpath", "$.a").version == "rfc9535"
    assert criterion("xpath", "/a").version == "xpath-31"
    assert criterion("regex", "a").version == ""
    found, problems = read(lambda *a: parse_criterion("JSONPath", "", "$.a", BODY_OF, *a))
    assert (found.type, problems) == ("jsonpath", [("name-case", 0)])


def test_all_have_to_hold(values: Any) -> None:
    met, unmet = criterion("simple", "$statusCode == 200"), criterion("simple", "$statusCode == 201")
    assert criteria_hold([], values()) == (True, [])
    assert criteria_hold([met, met], values())[0] is True
    passed, verdicts = criteria_hold([unmet, met], values())
    assert passed is False
    assert [verdict.passed for verdict in verdicts] == [False, True]


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("simple", "$statusCode == 1.50 && !('x{$inputs.id}' < $response.body#/a || true)"),
        ("jsonpath", "$.a.length > {$inputs.id} || $.b[?@.c == '{$inputs.id}'].d"),
        ("jsonpath", "$.a[?@.b == {$inputs.id}]"),
        ("regex", "^{$inputs.id}$"),
        ("xpath", "/a[. = {$inputs.id}]"),
    ],
)
def test_criteria_survive_a_plan(kind: str, condition: str) -> None:
    found = criterion(kind, condition)
    encoded = msgspec.json.Encoder(decimal_format="number").encode(found)
    assert msgspec.json.Decoder(Criterion, float_hook=Decimal).decode(encoded) == found
