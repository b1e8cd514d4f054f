"""Expressions inside regex, JSONPath and XPath conditions, and the Expression Type Object."""

from __future__ import annotations

from typing import Any

from tests.conformance.harness import Arazzo, one_step
from tests.conformance.rules import case, cases, rule
from tests.conformance.test_queries import PETS, XML, holds, step

BOTH = "1.0 1.1"
EMBEDDED = "Criterion Object: expressions in conditions"
TYPES = "Expression Type Object"


@cases(
    "type, body, context, true, false, value",
    case(
        "jsonpath",
        BOTH,
        EMBEDDED,
        "JSONPath: inside a string",
        "jsonpath",
        PETS,
        "$response.body",
        '$.pets[?@.name == "{$inputs.x}"]',
        '$.pets[?@.name == "x{$inputs.x}"]',
        "Rex",
    ),
    case(
        "jsonpath-number",
        BOTH,
        EMBEDDED,
        "JSONPath: as a number",
        "jsonpath",
        PETS,
        "$response.body",
        "$.pets[?@.age > {$inputs.x}]",
        "$.pets[?@.age < {$inputs.x}]",
        3,
    ),
    case(
        "xpath",
        BOTH,
        EMBEDDED,
        "XPath: as a number",
        "xpath",
        XML,
        "$response.body",
        "//pet[@age > {$inputs.x}]",
        "//pet[@age < {$inputs.x}]",
        3,
    ),
    case(
        "xpath-string",
        BOTH,
        EMBEDDED,
        "XPath: inside a string",
        "xpath",
        XML,
        "$response.body",
        "//pet = '{$inputs.x}'",
        "//pet = 'x{$inputs.x}'",
        "Rex",
    ),
    case(
        "regex",
        BOTH,
        EMBEDDED,
        "regex: as a part of the pattern",
        "regex",
        PETS,
        "$response.body.state",
        "^({$inputs.x})$",
        "^({$inputs.x})x$",
        "do.e|none",
    ),
)
def test_embedded(
    arazzo: Arazzo, type: str, body: Any, context: str, true: str, false: str, value: Any
) -> None:
    assert holds(arazzo, true, type, body, context, x=value)
    assert not holds(arazzo, false, type, body, context, x=value)


@cases(
    "type, body, condition, value",
    case(
        "jsonpath",
        BOTH,
        EMBEDDED,
        "JSONPath: a value cannot change the query",
        "jsonpath",
        PETS,
        '$.pets[?@.name == "{$inputs.x}"]',
        '" || 1 == 1 || "',
        differs="it is bound as a value, not put in as text",
    ),
    case(
        "xpath",
        BOTH,
        EMBEDDED,
        "XPath: a value cannot change the query",
        "xpath",
        XML,
        "//pet = '{$inputs.x}'",
        "' or 'a' = 'a",
        differs="it is bound as a value, not put in as text",
    ),
)
def test_injection(arazzo: Arazzo, type: str, body: Any, condition: str, value: str) -> None:
    assert not holds(arazzo, condition, type, body, x=value)


def typed(type: str, version: str) -> str:
    return f"{{type: {type}, version: {version}}}"


@cases(
    "type, body, true, false",
    case(
        "rfc9535",
        "1.1",
        TYPES,
        "`jsonpath`: `rfc9535`",
        typed("jsonpath", "rfc9535"),
        PETS,
        "$.pets[?@.age>4]",
        "$.pets[?@.age>5]",
    ),
    case(
        "draft",
        BOTH,
        TYPES,
        "`jsonpath`: `draft-goessner-dispatch-jsonpath-00`",
        typed("jsonpath", "draft-goessner-dispatch-jsonpath-00"),
        PETS,
        "$.pets[(@.length-1)].name",
        "$.none[(@.length-1)]",
    ),
    case(
        "xpath-31",
        "1.1",
        TYPES,
        "`xpath`: `xpath-31`",
        typed("xpath", "xpath-31"),
        XML,
        "array:size(['a']) = 1",
        "array:size([]) = 1",
    ),
    case(
        "xpath-30",
        BOTH,
        TYPES,
        "`xpath`: `xpath-30`",
        typed("xpath", "xpath-30"),
        XML,
        "//pet ! string(.) = 'Rex'",
        "//pet ! string(.) = 'x'",
    ),
    case(
        "xpath-20",
        BOTH,
        TYPES,
        "`xpath`: `xpath-20`",
        typed("xpath", "xpath-20"),
        XML,
        "every $p in //pet satisfies $p/@age > 2",
        "every $p in //pet satisfies $p/@age > 3",
    ),
    case(
        "xpath-10",
        BOTH,
        TYPES,
        "`xpath`: `xpath-10`",
        typed("xpath", "xpath-10"),
        XML,
        "//pet[2]/@age = 5",
        "//pet[2]/@age = 3",
    ),
)
def test_versions(arazzo: Arazzo, type: str, body: Any, true: str, false: str) -> None:
    assert holds(arazzo, true, type, body)
    assert not holds(arazzo, false, type, body)


@cases(
    "type, condition, code",
    case(
        "xpath-10",
        BOTH,
        TYPES,
        "`xpath-10` has the grammar of 1.0",
        typed("xpath", "xpath-10"),
        "if (1) then 1 else 2",
        "bad-xpath",
    ),
    case(
        "xpath-20",
        BOTH,
        TYPES,
        "`xpath-20` has the grammar of 2.0",
        typed("xpath", "xpath-20"),
        "let $a := 1 return $a",
        "bad-xpath",
    ),
    case(
        "xpath-30",
        BOTH,
        TYPES,
        "`xpath-30` has the grammar of 3.0",
        typed("xpath", "xpath-30"),
        "array:size(['a']) = 1",
        "bad-xpath",
    ),
    case(
        "rfc9535",
        "1.1",
        TYPES,
        "`rfc9535` has not the grammar of the draft",
        typed("jsonpath", "rfc9535"),
        "$.pets[(@.length-1)]",
        "bad-jsonpath",
    ),
    case(
        "jsonpath",
        BOTH,
        TYPES,
        "`jsonpath` has no other version",
        typed("jsonpath", "rfc1"),
        "$",
        "unknown-version",
    ),
    case(
        "xpath",
        BOTH,
        TYPES,
        "`xpath` has no other version",
        typed("xpath", "xpath-40"),
        "/a",
        "unknown-version",
    ),
)
def test_other_versions(arazzo: Arazzo, type: str, condition: str, code: str) -> None:
    arazzo.refused(one_step(step(condition, type)), code)


@cases(
    "type",
    case("type", BOTH, TYPES, "`type` is required", "{version: xpath-10}"),
    case("version", BOTH, TYPES, "`version` is required", "{type: xpath}"),
)
def test_required(arazzo: Arazzo, type: str) -> None:
    text = step("/a", type).replace(" # HERE", "").replace("type: {", "type: {").rstrip("\n") + " # HERE"
    arazzo.refused(one_step(text), "missing-field")


@cases(
    "type, body, true",
    case(
        "xpath-10",
        BOTH,
        TYPES,
        "`xpath-10`: any text but the empty one is true",
        typed("xpath", "xpath-10"),
        XML,
        "boolean('false')",
    ),
    case(
        "xpath-31",
        "1.1",
        TYPES,
        "`xpath-31`: nodes come before their values",
        typed("xpath", "xpath-31"),
        XML,
        "//empty",
    ),
)
def test_truth(arazzo: Arazzo, type: str, body: Any, true: str) -> None:
    assert holds(arazzo, true, type, body)


@rule("1.1", TYPES, "`xpath-31`: a sequence of several plain values has no truth; the criterion fails")
def test_no_truth(arazzo: Arazzo) -> None:
    assert not holds(arazzo, "(1, 2)", "xpath", XML)
