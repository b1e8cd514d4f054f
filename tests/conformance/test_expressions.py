"""Runtime expressions: every alternative of the grammar, as outputs of a step or of a workflow."""

from __future__ import annotations

from typing import Any

from tests.conformance.harness import HOST, Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
ABNF, EXPRESSIONS = "Runtime Expressions: ABNF", "Runtime Expressions"
STEP = """
operationId: replacePet
parameters:
- {name: petId, in: path, value: p-1}
- {name: dry run, in: query, value: $inputs.flag}
- {name: X-Trace, in: header, value: t-1}
requestBody: {payload: {user: {uuid: u-1}, tags: [a, b]}}
outputs:
  x: EXPRESSION
"""
ANSWER = {
    "status": "ok",
    "items": [{"id": 1}, {"id": 2}],
    "a/b": {"c~d": 3},
    "": 4,
    "ü %20": 5,
    "count": 10,
    "null": None,
}


def value(arazzo: Arazzo, expression: str, **inputs: Any) -> Any:
    """The value of an expression as an output of a step; ``absent`` when it is left out."""
    text = STEP.replace("EXPRESSION", "'" + expression.replace("'", "''") + "'")
    answer = reply(201, ANSWER, Server="apache", X_Rate_Limit="7")
    run = arazzo.step(
        text, answer, properties="who: {}, a.b-c_d: {}, big: {}, flag: {}", inputs={"flag": True, **inputs}
    )
    assert run.status == "succeeded", run.failure
    return run.outputs.get("x", "absent")


@cases(
    "expression, expected",
    case("url", BOTH, ABNF, "`$url`", "$url", HOST),
    case("method", BOTH, ABNF, "`$method`", "$method", "PUT"),
    case("statusCode", BOTH, ABNF, "`$statusCode`", "$statusCode", 201),
    case("request-header", BOTH, ABNF, "`$request.header.<token>`", "$request.header.X-Trace", "t-1"),
    case("request-query", BOTH, ABNF, "`$request.query.<name>`", "$request.query.dry run", True),
    case("request-path", BOTH, ABNF, "`$request.path.<name>`", "$request.path.petId", "p-1"),
    case(
        "request-body",
        BOTH,
        ABNF,
        "`$request.body`",
        "$request.body",
        {"user": {"uuid": "u-1"}, "tags": ["a", "b"]},
    ),
    case("request-pointer", BOTH, ABNF, "`$request.body#<json-pointer>`", "$request.body#/user/uuid", "u-1"),
    case("request-payload", "1.1", ABNF, "`$request.payload`", "$request.payload#/tags/1", "b"),
    case("response-header", BOTH, ABNF, "`$response.header.<token>`", "$response.header.Server", "apache"),
    case("response-body", BOTH, ABNF, "`$response.body`", "$response.body", ANSWER),
    case("response-pointer", BOTH, ABNF, "`$response.body#<json-pointer>`", "$response.body#/status", "ok"),
    case("response-payload", "1.1", ABNF, "`$response.payload`", "$response.payload#/items/0/id", 1),
    case(
        "response-query",
        BOTH,
        ABNF,
        "`$response.query.<name>`: a response has none",
        "$response.query.q",
        "absent",
    ),
    case(
        "response-path",
        BOTH,
        ABNF,
        "`$response.path.<name>`: a response has none",
        "$response.path.p",
        "absent",
    ),
    case(
        "message-header",
        "1.1",
        ABNF,
        "`$message.header.<token>`: without AsyncAPI there are no messages",
        "$message.header.Server",
        "absent",
    ),
    case(
        "message-payload",
        "1.1",
        ABNF,
        "`$message.payload#<json-pointer>`: without AsyncAPI there are no messages",
        "$message.payload#/status",
        "absent",
    ),
    case("inputs", BOTH, ABNF, "`$inputs.<name>`", "$inputs.who", "me"),
    case("inputs-name", BOTH, ABNF, "names of inputs may have `.`, `-` and `_`", "$inputs.a.b-c_d", {"e": 6}),
    case("inputs-pointer", "1.1", ABNF, "`$inputs.<name>#<json-pointer>`", "$inputs.a.b-c_d#/e", 6),
    case("array", BOTH, ABNF, "json-pointer: items by number", "$response.body#/items/1/id", 2),
    case("escapes", BOTH, ABNF, "json-pointer: `~1` is `/`, `~0` is `~`", "$response.body#/a~1b/c~0d", 3),
    case("empty-token", BOTH, ABNF, "json-pointer: a token may be empty", "$response.body#/", 4),
    case(
        "empty-pointer",
        BOTH,
        ABNF,
        "json-pointer: an empty one is the whole value",
        "$response.body#",
        ANSWER,
    ),
    case(
        "unicode",
        BOTH,
        ABNF,
        "json-pointer: any other characters stand for themselves",
        "$response.body#/ü %20",
        5,
    ),
    case(
        "nothing",
        BOTH,
        ABNF,
        "json-pointer: one that leads nowhere has no value",
        "$response.body#/items/2/id",
        "absent",
    ),
    case(
        "token-case",
        BOTH,
        EXPRESSIONS,
        "names of headers are not case-sensitive",
        "$response.header.x-rATE-limit",
        "7",
    ),
    case(
        "name-case",
        BOTH,
        EXPRESSIONS,
        "names of query and path values are case-sensitive",
        "$request.path.petid",
        "absent",
    ),
    case(
        "sent-header",
        BOTH,
        EXPRESSIONS,
        "`$request.header` names headers that the engine sent too",
        "$request.header.content-type",
        "application/json",
    ),
    case(
        "undeclared",
        BOTH,
        EXPRESSIONS,
        "a request value that was not given has no value",
        "$request.query.limit",
        "absent",
    ),
    case("number", BOTH, EXPRESSIONS, "a value keeps its type: number", "$response.body#/count", 10),
    case("null", BOTH, EXPRESSIONS, "a value keeps its type: null", "$response.body#/null", None),
    case("object", BOTH, EXPRESSIONS, "a value keeps its type: object", "$response.body#/items/0", {"id": 1}),
)
def test_in_step(arazzo: Arazzo, expression: str, expected: Any) -> None:
    found = value(arazzo, expression, who="me", **{"a.b-c_d": {"e": 6}})
    assert found == expected
    assert type(found) is type(expected)


WORKFLOW = """
- workflowId: main-1
  dependsOn: [first_2]
  inputs: {type: object, properties: {who: {default: me}}}
  steps:
  - {stepId: a_B-1, operationId: listPets, outputs: {pets: $response.body, x.y: $statusCode}}
  - {stepId: call, workflowId: first_2, outputs: {got: $outputs.sum}}
  outputs:
    value: EXPRESSION
- workflowId: first_2
  inputs: {type: object, properties: {who: {default: you}}}
  steps: [{stepId: s, operationId: search, outputs: {r: $response.body}}]
  outputs: {sum: $steps.s.outputs.r}
"""


@cases(
    "expression, expected",
    case("steps", BOTH, ABNF, "`$steps.<stepId>.outputs.<name>`", "$steps.a_B-1.outputs.x.y", 200),
    case(
        "steps-pointer",
        BOTH,
        ABNF,
        "`$steps.<stepId>.outputs.<name>#<json-pointer>`",
        "$steps.a_B-1.outputs.pets#/0/id",
        9,
    ),
    case(
        "call",
        BOTH,
        EXPRESSIONS,
        "outputs of a called workflow are outputs of the step",
        "$steps.call.outputs.sum#/n",
        2,
    ),
    case(
        "outputs",
        BOTH,
        ABNF,
        "`$outputs.<name>` in a step that calls a workflow: that workflow's output",
        "$steps.call.outputs.got#/n",
        2,
    ),
    case(
        "workflows",
        BOTH,
        ABNF,
        "`$workflows.<workflowId>.outputs.<name>`",
        "$workflows.first_2.outputs.sum",
        {"n": 2},
    ),
    case(
        "workflows-pointer",
        "1.1",
        ABNF,
        "`$workflows.<workflowId>.outputs.<name>#<json-pointer>`",
        "$workflows.first_2.outputs.sum#/n",
        2,
    ),
    case(
        "workflow-inputs",
        BOTH,
        ABNF,
        "`$workflows.<workflowId>.inputs.<name>`",
        "$workflows.first_2.inputs.who",
        "you",
    ),
    case(
        "source",
        BOTH,
        ABNF,
        "`$sourceDescriptions.<name>.<field>`",
        "$sourceDescriptions.shop.url",
        "shop.yaml",
    ),
)
def test_in_workflow(arazzo: Arazzo, expression: str, expected: Any) -> None:
    run = arazzo.run(
        WORKFLOW.replace("EXPRESSION", expression),
        reply(200, {"n": 1}),
        reply(200, [{"id": 9}]),
        reply(200, {"n": 2}),
    )
    assert run.outputs == {"value": expected}


@rule("1.1", ABNF, "`$self`; without the field it has no value")
def test_self(arazzo: Arazzo) -> None:
    assert value(arazzo, "$self") == "absent"
    text = "arazzo: VERSION\n$self: https://w.example/a.yaml\ninfo: {title: T, version: '1'}\n"
    text += "sourceDescriptions: [{name: shop, url: shop.yaml}]\nworkflows:\n"
    text += one_step("operationId: createPet\nrequestBody: {payload: {me: $self}}")
    assert arazzo.run(text).body() == '{"me":"https://w.example/a.yaml"}'


@rule(
    BOTH,
    ABNF,
    "`$outputs.<name>` in a step that calls no workflow: an output of the step itself, for its actions",
    differs="the specification does not say",
)
def test_own_outputs(arazzo: Arazzo) -> None:
    actions = "[{name: on, type: end, criteria: [{condition: $outputs.code == 202}]}]"
    step = f"operationId: search\noutputs: {{code: $statusCode}}\nonSuccess: {actions}"
    assert arazzo.run(one_step(step), reply(202)).done.ended_by == "on"
    assert arazzo.run(one_step(step), reply(200)).done.ended_by == ""


@cases(
    "reference, kind",
    case("parameters", BOTH, ABNF, "`$components.parameters.<name>`", "parameters", "parameters"),
    case("successActions", BOTH, ABNF, "`$components.successActions.<name>`", "onSuccess", "successActions"),
    case("failureActions", BOTH, ABNF, "`$components.failureActions.<name>`", "onFailure", "failureActions"),
)
def test_components(arazzo: Arazzo, reference: str, kind: str) -> None:
    component = "{name: limit, in: query, value: 1}" if kind == "parameters" else "{name: on, type: end}"
    step = f"operationId: listPets\n{reference}: [{{reference: $components.{kind}.a.b-c}}]"
    text = one_step(step) + f"components: {{{kind}: {{a.b-c: {component}}}}}"
    run = arazzo.run(text, reply(500 if kind == "failureActions" else 200))
    assert run.calls == (["GET /pets?limit=1"] if kind == "parameters" else ["GET /pets"])
    assert run.done.ended_by == ("" if kind == "parameters" else "on")


@cases(
    "expression, code",
    case(
        "root",
        BOTH,
        ABNF,
        "an unknown keyword that looks like a known one is refused",
        "$input.who",
        "bad-expression",
    ),
    case(
        "source",
        BOTH,
        ABNF,
        "`$response` is followed by a part of a response",
        "$response.text",
        "bad-expression",
    ),
    case("input", BOTH, ABNF, "inputs must be declared", "$inputs.whom", "unknown-input"),
    case("step", BOTH, ABNF, "steps must exist", "$steps.t.outputs.x", "unknown-step"),
    case("output", BOTH, ABNF, "outputs must be declared", "$steps.s.outputs.y", "unknown-output"),
    case("workflow", BOTH, ABNF, "workflows must exist", "$workflows.v.outputs.x", "unknown-workflow"),
    case(
        "sourceDescription",
        BOTH,
        ABNF,
        "source descriptions must exist",
        "$sourceDescriptions.api.url",
        "unknown-source",
    ),
    case(
        "component",
        BOTH,
        ABNF,
        "`$components` is followed by a type of component",
        "$components.schemas.x",
        "bad-expression",
    ),
    case(
        "pointer",
        BOTH,
        ABNF,
        "json-pointer: `~` is followed by `0` or `1`",
        "$response.body#/a~2",
        "bad-expression",
    ),
    case(
        "header",
        BOTH,
        ABNF,
        "token: names of headers have no blanks",
        "{$response.header.X Y}",
        "bad-expression",
    ),
)
def test_refused(arazzo: Arazzo, expression: str, code: str) -> None:
    arazzo.refused(one_step(STEP.replace("EXPRESSION", f"'{expression}' # HERE"), "who: {}, flag: {}"), code)
