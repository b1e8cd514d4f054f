"""The Parameter Object."""

from __future__ import annotations

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
PARAMETER = "Parameter Object"


def call(operation: str, *parameters: str) -> str:
    return f"operationId: {operation}\nparameters:\n" + "".join(f"- {{{each}}}\n" for each in parameters)


def refused_call(operation: str, parameter: str) -> str:
    return one_step(f"operationId: {operation}\nparameters:\n- {{{parameter}}} # HERE")


@cases(
    "operation, parameter, target",
    case("path", BOTH, PARAMETER, "`in`: `path`", "getPet", "name: petId, in: path, value: 7", "GET /pets/7"),
    case(
        "query",
        BOTH,
        PARAMETER,
        "`in`: `query`",
        "listPets",
        "name: limit, in: query, value: 7",
        "GET /pets?limit=7",
    ),
    case(
        "querystring",
        "1.1",
        PARAMETER,
        "`in`: `querystring`, the whole query as one value",
        "search",
        "name: q, in: querystring, value: 'filter=active&sort=desc'",
        "GET /search?filter=active&sort=desc",
    ),
    case(
        "querystring-json",
        "1.1",
        PARAMETER,
        "`in`: `querystring` of another media type is percent-encoded",
        "filter",
        """name: f, in: querystring, value: '{"a": 1}'""",
        "GET /filter?%7B%22a%22:%201%7D",
    ),
)
def test_in_url(arazzo: Arazzo, operation: str, parameter: str, target: str) -> None:
    assert arazzo.step(call(operation, parameter)).calls == [target]


@cases(
    "parameter, header, value",
    case("header", BOTH, PARAMETER, "`in`: `header`", "name: X-Trace, in: header, value: t", "X-Trace", "t"),
    case(
        "cookie",
        BOTH,
        PARAMETER,
        "`in`: `cookie`",
        "name: session, in: cookie, value: s",
        "Cookie",
        "session=s",
    ),
    case(
        "folded",
        BOTH,
        PARAMETER,
        "names of headers are not case-sensitive",
        "name: x-trace, in: header, value: t",
        "X-Trace",
        "t",
    ),
)
def test_in_headers(arazzo: Arazzo, parameter: str, header: str, value: str) -> None:
    assert arazzo.findings(one_step(call("listPets", parameter))) == []
    assert arazzo.step(call("listPets", parameter)).header(header) == value


@rule(BOTH, PARAMETER, "`in` has no other value")
def test_other_place(arazzo: Arazzo) -> None:
    arazzo.refused(refused_call("listPets", "name: limit, in: body, value: 7"), "wrong-value")


@rule(BOTH, PARAMETER, "`in: path` names a parameter of the path")
def test_unknown_path_parameter(arazzo: Arazzo) -> None:
    arazzo.refused(refused_call("getPet", "name: pet, in: path, value: 7"), "unknown-parameter")


@rule(BOTH, PARAMETER, "every parameter of the path is given")
def test_missing_path_parameter(arazzo: Arazzo) -> None:
    assert "petId" in arazzo.refused(one_step("operationId: getPet"), "missing-path-parameter")


@rule(BOTH, PARAMETER, "`in` is needed for operations")
def test_no_place(arazzo: Arazzo) -> None:
    arazzo.refused(refused_call("listPets", "name: colour, value: red"), "parameter-place")


@rule(
    BOTH, PARAMETER, "parameters of a step with `workflowId` are inputs of that workflow, whatever their `in`"
)
def test_workflow_inputs(arazzo: Arazzo) -> None:
    run = arazzo.run(
        """
        - workflowId: m
          steps:
          - stepId: s
            workflowId: w
            parameters: [{name: a, value: 1}, {name: b, in: query, value: 2}]
        - workflowId: w
          inputs: {type: object, properties: {a: {}, b: {}}}
          steps: [{stepId: s, operationId: createPet, requestBody: {payload: [$inputs.a, $inputs.b]}}]
        """
    )
    assert (run.calls, run.body()) == (["POST /pets"], "[1,2]")


@cases(
    "parameter",
    case("name", BOTH, PARAMETER, "`name` is required", "in: query, value: 1"),
    case("value", BOTH, PARAMETER, "`value` is required", "name: limit, in: query"),
)
def test_required(arazzo: Arazzo, parameter: str) -> None:
    arazzo.refused(refused_call("listPets", parameter), "missing-field")


@rule(BOTH, PARAMETER, "`name` is case-sensitive: `status` and `Status` are two parameters")
def test_case_sensitive(arazzo: Arazzo) -> None:
    run = arazzo.step(
        call("listPets", "name: status, in: query, value: a", "name: STATUS, in: query, value: b")
    )
    assert run.calls == ["GET /pets?status=a&STATUS=b"]


@rule(BOTH, PARAMETER, "`name` and `in` together make a parameter: one name may be in two places")
def test_two_places(arazzo: Arazzo) -> None:
    run = arazzo.step(call("listPets", "name: x, in: query, value: a", "name: x, in: header, value: b"))
    assert (run.calls, run.header("x")) == (["GET /pets?x=a"], "b")


@cases(
    "value, sent",
    case("text", BOTH, PARAMETER, "`value`: a text", "a b", "a%20b"),
    case("number", BOTH, PARAMETER, "`value`: a number, with its digits", "1.50", "1.50"),
    case("boolean", BOTH, PARAMETER, "`value`: a boolean", "true", "true"),
    case("array", BOTH, PARAMETER, "`value`: an array, written as OpenAPI's style says", "[a, b]", "a&tag=b"),
    case("expression", BOTH, PARAMETER, "`value`: an expression", "$inputs.x", "in%2Fput"),
    case(
        "embedded",
        BOTH,
        PARAMETER,
        "`value`: text with expressions in braces",
        "'<{$inputs.x}>'",
        "%3Cin%2Fput%3E",
    ),
    case(
        "selector",
        "1.1",
        PARAMETER,
        "`value`: a Selector Object",
        "{context: $inputs.o, selector: $.a, type: jsonpath}",
        "deep",
    ),
)
def test_values(arazzo: Arazzo, value: str, sent: str) -> None:
    step = call("listPets", f"name: tag, in: query, value: {value}")
    run = arazzo.step(step, properties="x: {}, o: {}", inputs={"x": "in/put", "o": {"a": "deep"}})
    assert run.calls == [f"GET /pets?tag={sent}"]


@rule(BOTH, PARAMETER, "a parameter whose expression has no value is left out")
def test_absent(arazzo: Arazzo) -> None:
    step = call("listPets", "name: tag, in: query, value: $inputs.x", "name: limit, in: query, value: 1")
    assert arazzo.step(step, properties="x: {}").calls == ["GET /pets?limit=1"]


@rule(BOTH, PARAMETER, "a path parameter without a value fails the step; nothing is sent")
def test_absent_in_path(arazzo: Arazzo) -> None:
    run = arazzo.step(call("getPet", "name: petId, in: path, value: $inputs.x"), properties="x: {}")
    assert (run.sent, run.failure.partition(":")[0]) == ([], "missing-path-parameter")


@rule("1.1", PARAMETER, "`querystring`: expressions in braces are put into the text")
def test_embedded_in_querystring(arazzo: Arazzo) -> None:
    step = call(
        "search", "name: q, in: querystring, value: 'category={$inputs.c}&min={$inputs.m}&stock=true'"
    )
    run = arazzo.step(step, properties="c: {}, m: {}", inputs={"c": "dogs", "m": 10})
    assert run.calls == ["GET /search?category=dogs&min=10&stock=true"]


@rule("1.1", PARAMETER, "`querystring`: the value may come from an expression")
def test_querystring_expression(arazzo: Arazzo) -> None:
    step = call("search", "name: q, in: querystring, value: $inputs.q")
    assert arazzo.step(step, properties="q: {}", inputs={"q": "a=1&b=2"}).calls == ["GET /search?a=1&b=2"]


@rule(
    "1.1",
    PARAMETER,
    "`querystring` and `query` exclude each other in one operation",
)
def test_querystring_beside_query(arazzo: Arazzo) -> None:
    step = call("search", "name: q, in: querystring, value: a=1", "name: b, in: query, value: 2")
    assert arazzo.codes(one_step(step)) == ["querystring-and-query"]
    assert arazzo.step(step).calls == ["GET /search?a=1&b=2"]


@rule("1.0", PARAMETER, "`querystring` is not in 1.0")
def test_querystring_in_1_0(arazzo: Arazzo) -> None:
    step = call("search", "name: q, in: querystring, value: a=1")
    found = arazzo.findings(one_step(step), notes=True)
    assert [each.code for each in found] == ["newer-version"]
    assert "'in: querystring' came with Arazzo 1.1, and this document says 1.0.1" in found[0].message
    assert arazzo.step(step).calls == ["GET /search?a=1"]


@rule(BOTH, PARAMETER, "a `Content-Type` header is no parameter: the body's is sent")
def test_content_type(arazzo: Arazzo) -> None:
    step = (
        call("createPet", "name: Content-Type, in: header, value: text/plain")
        + "requestBody: {payload: {a: 1}}"
    )
    assert arazzo.step(step, reply(201)).header("Content-Type") == "application/json"
