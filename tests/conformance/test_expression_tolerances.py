"""Tolerances about expressions, conditions and values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.tolerances import tolerance

ABOUT_THE_PAGES = True
BODY = {"id": 7, "items": [{"id": 1}, {"id": 2}], "state": "done"}


def value(arazzo: Arazzo, written: str, code: str, **answer: Any) -> Any:
    """An output that compiles with a warning."""
    step = (
        f"operationId: listPets\nparameters: [{{name: limit, in: query, value: 5}}]\n"
        f"outputs:\n  out: {written}"
    )
    arazzo.tolerated(one_step(f"{step} # HERE", "userId: {}, o: {}"), code)
    inputs = {"userId": "u1", "o": {"a": [1, 2]}}
    run = arazzo.step(step, reply(200, BODY, **answer), properties="userId: {}, o: {}", inputs=inputs)
    assert run.status == "succeeded", run.failure
    return run.outputs["out"]


def held(arazzo: Arazzo, condition: str, code: str, type: str = "simple") -> bool:
    """Whether a condition that compiles with a warning holds."""
    quoted = condition.replace("'", "''")
    context = "" if type == "simple" else "context: $response.body, "
    step = f"operationId: search\nsuccessCriteria:\n- {{{context}type: {type}, condition: '{quoted}'}}"
    arazzo.tolerated(one_step(f"{step} # HERE"), code)
    return arazzo.step(step, reply(200, BODY)).status == "succeeded"


# --- names -----------------------------------------------------------------------------------------------


@tolerance(
    "name-case",
    "`$inputs.userid` for the input `userId`; `$statuscode`",
    "the only name that differs in case alone",
    "the name as it is declared",
)
def test_name_case(arazzo: Arazzo) -> None:
    assert value(arazzo, "$inputs.userid", "name-case") == "u1"
    assert value(arazzo, "$statuscode", "name-case") == 200
    assert value(arazzo, "$response.Body#/id", "name-case") == 7


@tolerance("missing-outputs", "`$steps.s.out`", "the step's output of that name", "`$steps.s.outputs.out`")
def test_missing_outputs(arazzo: Arazzo) -> None:
    text = one_step("operationId: search\noutputs:\n  out: $statusCode").replace(
        "$steps.s.outputs.out", "$steps.s.out # HERE"
    )
    arazzo.tolerated(text, "missing-outputs")
    assert arazzo.run(text).outputs == {"out": 200}


@tolerance(
    "header-spelling", "`$response.headers.Server`", "`$response.header.Server`", "`$response.header.Server`"
)
def test_header_spelling(arazzo: Arazzo) -> None:
    assert value(arazzo, "$response.headers.Server", "header-spelling", Server="x") == "x"


@tolerance(
    "cookie-source",
    "`$request.cookie.session`",
    "the cookie parameter of that name",
    "a cookie has no expression: use its value's own",
)
def test_cookie_source(arazzo: Arazzo) -> None:
    step = (
        "operationId: listPets\nparameters: [{name: session, in: cookie, value: s}]\n"
        "outputs:\n  out: $request.cookie.session"
    )
    arazzo.tolerated(one_step(f"{step} # HERE"), "cookie-source")
    assert arazzo.step(step).outputs == {"out": "s"}


@tolerance("whole-object", "`$inputs` without a name", "all of them, as an object", "one expression for each")
def test_whole_object(arazzo: Arazzo) -> None:
    assert value(arazzo, "$inputs", "whole-object") == {"userId": "u1", "o": {"a": [1, 2]}}


@tolerance(
    "unknown-root",
    "`$vars.x.y`: a text that looks like an expression",
    "the text as it stands",
    "an expression of the specification",
)
def test_unknown_root(arazzo: Arazzo) -> None:
    step = "operationId: createPet\nrequestBody:\n  payload: {a: $dependencies.x.y}"
    arazzo.tolerated(one_step(f"{step} # HERE"), "unknown-root")
    assert arazzo.step(step).body() == '{"a":"$dependencies.x.y"}'


# --- ways into values ------------------------------------------------------------------------------------


@tolerance(
    "navigation-syntax",
    "`$response.body.items[0].id`, `$inputs.o.a[1]`",
    "the members and items on the way",
    "`$response.body#/items/0/id`",
)
def test_navigation_syntax(arazzo: Arazzo) -> None:
    assert value(arazzo, "$response.body.items[0].id", "navigation-syntax") == 1
    assert value(arazzo, "'$inputs.o.a[1]'", "navigation-syntax") == 2


@tolerance(
    "navigation-syntax",
    "`$response.body.items[*].id`",
    "all of them, as an array",
    "a Selector Object with a JSONPath",
)
def test_many(arazzo: Arazzo) -> None:
    assert value(arazzo, "'$response.body.items[*].id'", "navigation-syntax") == [1, 2]


@tolerance("pointer-slash", "`$response.body#id`", "`$response.body#/id`", "a JSON Pointer begins with `/`")
def test_pointer_slash(arazzo: Arazzo) -> None:
    assert value(arazzo, "$response.body#id", "pointer-slash") == 7


@pytest.mark.parametrize("arazzo_version", ["1.1"])
@tolerance(
    "pointer-slash",
    "`selector: '#/id'` or `id` of type `jsonpointer`",
    "the pointer `/id`",
    "`selector: /id`",
)
def test_pointer_of_selector(arazzo: Arazzo) -> None:
    for selector in ("'#/id'", "id"):
        written = f"{{context: $response.body, selector: {selector}, type: jsonpointer}}"
        assert value(arazzo, written, "pointer-slash") == 7


# --- text ------------------------------------------------------------------------------------------------


@tolerance(
    "bare-expression",
    "`Bearer $inputs.x`: an expression inside text without braces",
    "the text with its value",
    "`Bearer {$inputs.x}`",
)
def test_bare_expression(arazzo: Arazzo) -> None:
    assert value(arazzo, "id-$inputs.userId/$statusCode", "bare-expression") == "id-u1/200"


@tolerance(
    "bare-expression",
    "an expression without braces in a JSON text",
    "its value; in quotes, its text",
    "`{$inputs.x}`",
)
def test_bare_expression_in_json(arazzo: Arazzo) -> None:
    step = """operationId: createPet\nrequestBody:\n  payload: '{"a": $inputs.n, "b": "$inputs.n"}'"""
    arazzo.tolerated(one_step(f"{step} # HERE", "n: {}"), "bare-expression")
    assert arazzo.step(step, properties="n: {}", inputs={"n": 3}).body() == '{"a":3,"b":"3"}'


@tolerance(
    "literal-expression",
    "`x $inputs.none y`: what looks like an expression inside text, and is none",
    "the text as it stands",
    "the name of an input; a `\\` before `$` for text",
)
def test_literal_expression(arazzo: Arazzo) -> None:
    step = "operationId: createPet\nrequestBody:\n  payload: {a: see $inputs.none there}"
    arazzo.tolerated(one_step(f"{step} # HERE"), "literal-expression")
    assert arazzo.step(step).body() == '{"a":"see $inputs.none there"}'


@tolerance(
    "double-braces",
    "`{{$inputs.x}}`",
    "the text as it stands: double braces belong to other templates",
    "`{$inputs.x}`",
)
def test_double_braces(arazzo: Arazzo) -> None:
    assert value(arazzo, "'{{$inputs.userId}}'", "double-braces") == "{{$inputs.userId}}"


@tolerance(
    "constant-output",
    "an output that is plain text",
    "this text",
    "an expression such as `$response.body#/id`",
)
def test_constant_output(arazzo: Arazzo) -> None:
    assert value(arazzo, "created", "constant-output") == "created"


@tolerance(
    "not-json",
    "a text payload that begins like JSON and is none",
    "text, in which expressions are replaced",
    "JSON, with expressions as values or in quotes",
)
def test_not_json(arazzo: Arazzo) -> None:
    step = """operationId: createPet\nrequestBody:\n  payload: '{"a": {$inputs.n},}'"""
    arazzo.tolerated(one_step(f"{step} # HERE", "n: {}"), "not-json")
    assert arazzo.step(step, properties="n: {}", inputs={"n": 3}).body() == '"{\\"a\\": 3,}"'


# --- conditions ------------------------------------------------------------------------------------------


@tolerance("response-body", "`$body.id == 7` in a condition", "`$response.body`", "`$response.body.id == 7`")
def test_response_body(arazzo: Arazzo) -> None:
    assert held(arazzo, "$body.id == 7", "response-body")
    assert not held(arazzo, "$body.id == 8", "response-body")


@tolerance("operator-spelling", "`===`", "`==`", "`==`")
def test_operator_spelling(arazzo: Arazzo) -> None:
    assert held(arazzo, "$statusCode === 200", "operator-spelling")
    assert not held(arazzo, "$statusCode === 201", "operator-spelling")


@tolerance("literal-spelling", "`True`, `NULL`, `undefined`", "`true`, `null`", "`true`, `false`, `null`")
def test_literal_spelling(arazzo: Arazzo) -> None:
    assert held(arazzo, "$response.body.id != undefined", "literal-spelling")
    assert not held(arazzo, "$response.body.id == NULL", "literal-spelling")


@tolerance(
    "unquoted-string", "`$response.body.state == done`", "the text `done`", "`$response.body.state == 'done'`"
)
def test_unquoted_string(arazzo: Arazzo) -> None:
    assert held(arazzo, "$response.body.state == done", "unquoted-string")
    assert not held(arazzo, "$response.body.state == failed", "unquoted-string")


@tolerance(
    "quoted-expression",
    "`'{$response.body.state}' == 'done'`",
    "the expression's value",
    "`$response.body.state == 'done'`",
)
def test_quoted_expression(arazzo: Arazzo) -> None:
    assert held(arazzo, "'{$response.body.state}' == 'done'", "quoted-expression")
    assert not held(arazzo, "'x{$response.body.state}' == 'done'", "quoted-expression")


@tolerance(
    "jsonpath-comparison",
    '`$.state == "done" && $.items.length > 1` of type `jsonpath`',
    "a comparison, by the rules of simple conditions",
    "a filter, or type `simple`",
)
def test_jsonpath_comparison(arazzo: Arazzo) -> None:
    assert held(arazzo, '$.state == "done" && $.items.length > 1', "jsonpath-comparison", "jsonpath")
    assert not held(arazzo, '$.state == "done" && $.items.length > 2', "jsonpath-comparison", "jsonpath")
