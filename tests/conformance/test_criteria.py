"""The Criterion Object: its fields, and simple conditions with every literal and operator."""

from __future__ import annotations

from typing import Any

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
CRITERION = "Criterion Object"
LITERALS, OPERATORS = "Criterion Object: literals", "Criterion Object: operators"
SIMPLE = "Criterion Object: simple conditions"
EMBEDDED = "Criterion Object: expressions in conditions"
BODY = {
    "n": 5,
    "f": 1.5,
    "big": 12345678901234567890,
    "text": "Abc",
    "digits": "10",
    "yes": True,
    "no": False,
    "nil": None,
    "zero": 0,
    "empty": "",
    "quote": "it's",
    "list": [{"id": 7}, {"id": 8}],
    "deep": {"er": {"x": 1}},
}


def holds(arazzo: Arazzo, condition: str, body: Any = BODY, inputs: dict[str, Any] | None = None) -> bool:
    """Whether a simple condition makes a step succeed."""
    text = "operationId: search\nsuccessCriteria:\n- condition: >-\n    " + condition
    return arazzo.step(text, reply(200, body), properties="x: {}", inputs=inputs or {}).status == "succeeded"


def row(id: str, section: str, text: str, true: str, false: str, versions: str = BOTH, **options: str) -> Any:
    return case(id, versions, section, text, true, false, **options)


@cases(
    "true, false",
    row("true", LITERALS, "`true`", "$response.body.yes == true", "$response.body.no == true"),
    row("false", LITERALS, "`false`", "$response.body.no == false", "$response.body.yes == false"),
    row("null", LITERALS, "`null`", "$response.body.nil == null", "$response.body.n == null"),
    row("integer", LITERALS, "number: an integer", "$response.body.n == 5", "$response.body.n == 6"),
    row("negative", LITERALS, "number: a negative one", "$response.body.n > -1", "$response.body.n < -1"),
    row(
        "fraction",
        LITERALS,
        "number: with a fraction",
        "$response.body.f == 1.50",
        "$response.body.f == 1.51",
    ),
    row(
        "exponent",
        LITERALS,
        "number: with an exponent",
        "$response.body.n == 0.5e1",
        "$response.body.n == 5e1",
    ),
    row(
        "int64",
        LITERALS,
        "number: large integers keep their digits",
        "$response.body.big == 12345678901234567890",
        "$response.body.big == 12345678901234567891",
    ),
    row(
        "string",
        LITERALS,
        "string in single quotes",
        "$response.body.text == 'Abc'",
        "$response.body.text == 'Abd'",
    ),
    row(
        "quote",
        LITERALS,
        "a single quote in a string is doubled",
        "$response.body.quote == 'it''s'",
        "$response.body.quote == 'its'",
    ),
    row("empty", LITERALS, "an empty string", "$response.body.empty == ''", "$response.body.text == ''"),
    row("less", OPERATORS, "`<`", "$response.body.n < 6", "$response.body.n < 5"),
    row("less-equal", OPERATORS, "`<=`", "$response.body.n <= 5", "$response.body.n <= 4"),
    row("greater", OPERATORS, "`>`", "$response.body.n > 4", "$response.body.n > 5"),
    row("greater-equal", OPERATORS, "`>=`", "$response.body.n >= 5", "$response.body.n >= 6"),
    row("equal", OPERATORS, "`==`", "$response.body.n == 5", "$response.body.n == 4"),
    row("not-equal", OPERATORS, "`!=`", "$response.body.n != 4", "$response.body.n != 5"),
    row("not", OPERATORS, "`!`", "!$response.body.no", "!$response.body.yes"),
    row(
        "and",
        OPERATORS,
        "`&&`",
        "$response.body.n > 4 && $response.body.n < 6",
        "$response.body.n > 4 && false",
    ),
    row(
        "or",
        OPERATORS,
        "`\\|\\|`".replace("\\", ""),
        "$response.body.n > 9 || $response.body.yes",
        "false || $response.body.no",
    ),
    row("group", OPERATORS, "`()`", "(true || false) && true", "!(true || false)"),
    row(
        "index",
        OPERATORS,
        "`[]`: index from 0",
        "$response.body.list[1].id == 8",
        "$response.body.list[2].id == 8",
    ),
    row("dot", OPERATORS, "`.`: a property", "$response.body.deep.er.x == 1", "$response.body.deep.x == 1"),
    row(
        "precedence",
        OPERATORS,
        "`&&` binds closer than `\\|\\|`, `()` closest".replace("\\", ""),
        "true || false && false",
        "(true || false) && false",
    ),
    row(
        "case",
        SIMPLE,
        "strings are compared without regard to case",
        "$response.body.text == 'aBC'",
        "$response.body.text != 'aBC'",
    ),
    row(
        "order",
        SIMPLE,
        "strings are ordered without regard to case",
        "$response.body.text < 'ABD'",
        "$response.body.text > 'abd'",
    ),
    row(
        "coerced",
        SIMPLE,
        "a string that reads as a number is compared with a number as one",
        "$response.body.digits == 10 && $response.body.digits > 9",
        "$response.body.text == 10 || $response.body.text < 10",
    ),
    row(
        "numeric-order",
        SIMPLE,
        "two strings that read as numbers are ordered as numbers, but equal as text only",
        "$response.body.digits > '9'",
        "$response.body.digits == '10.0'",
    ),
    row(
        "alone",
        SIMPLE,
        "a value alone: everything but `false` and `null` passes",
        "$response.body.zero",
        "$response.body.no",
    ),
    row("null-alone", SIMPLE, "a value alone: `null` fails", "$response.body.text", "$response.body.nil"),
    row(
        "null-equal",
        SIMPLE,
        "`null` equals `null` alone",
        "null == null",
        "$response.body.empty == null || $response.body.zero == null",
    ),
    row(
        "null-order",
        SIMPLE,
        "ordering with `null` is false",
        "!($response.body.nil < 1)",
        "$response.body.nil < 1 || $response.body.nil >= 0",
    ),
    row(
        "null-unequal",
        SIMPLE,
        "`!=` with `null` is the opposite of `==`",
        "$response.body.n != null",
        "$response.body.nil != null",
        differs="1.1 calls every comparison of `null` with another value false, and uses `!= null` itself",
    ),
    row(
        "absent",
        SIMPLE,
        "what is not there equals `null`",
        "$response.body.none == null",
        "$response.body.none != null",
        differs="the specification does not say",
    ),
    row(
        "status",
        EMBEDDED,
        "simple: expressions stand as they are",
        "$statusCode == 200",
        "$statusCode == 404",
    ),
    row(
        "input",
        EMBEDDED,
        "simple: any expressions may be compared",
        "$response.body.n < $inputs.x",
        "$inputs.x < $response.body.n",
    ),
    row(
        "braces",
        EMBEDDED,
        "simple: braces around an expression change nothing",
        "{$response.body.n} == 5",
        "{$response.body.n} == 6",
    ),
)
def test_simple(arazzo: Arazzo, true: str, false: str) -> None:
    assert holds(arazzo, true, inputs={"x": 100})
    assert not holds(arazzo, false, inputs={"x": 100})


@cases(
    "condition",
    case(
        "operator",
        BOTH,
        SIMPLE,
        "a malformed condition is refused when the document is read",
        "$statusCode =",
        differs="so it never comes to a condition that fails at run time",
    ),
    case("open", BOTH, SIMPLE, "an open parenthesis is refused", "($statusCode == 200"),
    case("open-string", BOTH, SIMPLE, "an open string is refused", "$statusCode == 'a"),
    case("empty", BOTH, SIMPLE, "an operand may not be missing", "$statusCode == 200 &&"),
    case("chain", BOTH, SIMPLE, "a comparison has two sides", "1 < $statusCode < 300"),
)
def test_malformed(arazzo: Arazzo, condition: str) -> None:
    step = f'operationId: search\nsuccessCriteria:\n- condition: "{condition}" # HERE'
    arazzo.refused(one_step(step), "bad-condition")


@rule(BOTH, CRITERION, "`condition` is required")
def test_condition(arazzo: Arazzo) -> None:
    arazzo.refused(
        one_step("operationId: search\nsuccessCriteria:\n- {type: simple} # HERE"), "missing-field"
    )


@rule(BOTH, CRITERION, "`type` left out, or `simple`: a simple condition")
def test_default_type(arazzo: Arazzo) -> None:
    for type in ("", ", type: simple"):
        step = f"operationId: search\nsuccessCriteria: [{{condition: $statusCode == 204{type}}}]"
        assert arazzo.step(step, reply(204)).status == "succeeded"
        assert arazzo.step(step, reply(200)).status == "failed"


@rule(BOTH, CRITERION, "`type` has no other value than `simple`, `regex`, `jsonpath`, `xpath`")
def test_other_type(arazzo: Arazzo) -> None:
    step = (
        "operationId: search\nsuccessCriteria:\n"
        "- {context: $response.body, condition: a, type: jsonpointer} # HERE"
    )
    arazzo.refused(one_step(step), "wrong-value")


@rule(
    BOTH,
    CRITERION,
    "`regex` needs `context`",
    differs="words are looked for in the response body, with a warning",
)
def test_context_of_regex(arazzo: Arazzo) -> None:
    step = "operationId: search\nsuccessCriteria:\n- {condition: %s, type: regex} # HERE"
    arazzo.refused(one_step(step % "^2"), "missing-context")
    arazzo.tolerated(one_step(step % "^done"), "criterion-context")


@cases(
    "type, condition",
    case(
        "jsonpath",
        BOTH,
        CRITERION,
        "`jsonpath` needs `context`",
        "jsonpath",
        "$.a",
        differs="without one it is about the response body, with a warning",
    ),
    case(
        "xpath",
        BOTH,
        CRITERION,
        "`xpath` needs `context`",
        "xpath",
        "/a",
        differs="without one it is about the response body, with a warning",
    ),
)
def test_context(arazzo: Arazzo, type: str, condition: str) -> None:
    step = f"operationId: search\nsuccessCriteria:\n- {{condition: {condition}, type: {type}}} # HERE"
    arazzo.tolerated(one_step(step), "criterion-context")
    body = "<a/>" if type == "xpath" else {"a": 1}
    assert arazzo.step(step, reply(200, body)).status == "succeeded"
    assert arazzo.step(step, reply(200, {"b": 1})).status == "failed"


@rule(BOTH, CRITERION, "`context` is an expression")
def test_context_expression(arazzo: Arazzo) -> None:
    step = "operationId: search\nsuccessCriteria:\n- {context: body, condition: a, type: regex} # HERE"
    arazzo.refused(one_step(step), "bad-expression")


@cases(
    "field, status",
    case(
        "successCriteria",
        BOTH,
        CRITERION,
        "criteria of all types stand in `successCriteria`",
        "successCriteria",
        200,
    ),
    case("onSuccess", BOTH, CRITERION, "criteria of all types stand in success actions", "onSuccess", 200),
    case("onFailure", BOTH, CRITERION, "criteria of all types stand in failure actions", "onFailure", 400),
)
def test_places(arazzo: Arazzo, field: str, status: int) -> None:
    for criterion, body in (
        ("{condition: $response.body.a == 1}", {"a": 1}),
        ("{context: $response.body.a, condition: '^1$', type: regex}", {"a": 1}),
        ("{context: $response.body, condition: '$[?@ == 1]', type: jsonpath}", {"a": 1}),
        ("{context: $response.body, condition: /r/a = 1, type: xpath}", "<r><a>1</a></r>"),
    ):
        if field == "successCriteria":
            step = f"operationId: search\nsuccessCriteria: [{criterion}]"
            assert arazzo.step(step, reply(status, body)).status == "succeeded"
            assert arazzo.step(step, reply(status)).status == "failed"
            continue
        step = f"operationId: search\n{field}: [{{name: on, type: end, criteria: [{criterion}]}}]"
        assert arazzo.step(step, reply(status, body)).done.ended_by == "on"
        assert arazzo.step(step, reply(status)).done.ended_by == ""


@rule(BOTH, CRITERION, "several criteria: all must pass, of whatever type")
def test_several(arazzo: Arazzo) -> None:
    step = (
        "operationId: search\nsuccessCriteria:\n- condition: $statusCode == 200\n"
        "- {context: $response.body, condition: '$.data[*]', type: jsonpath}"
    )
    assert arazzo.step(step, reply(200, {"data": [1]})).status == "succeeded"
    assert arazzo.step(step, reply(201, {"data": [1]})).status == "failed"
    assert arazzo.step(step, reply(200, {"data": []})).status == "failed"
