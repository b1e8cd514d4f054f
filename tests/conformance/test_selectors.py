"""Selector Objects (Arazzo 1.1), wherever they may stand."""

from __future__ import annotations

from typing import Any

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

SELECTOR = "Selector Object"
BODY = {
    "user": {"email": "a@b", "tags": ["x", "y"]},
    "items": [{"id": 1, "p": 10.10}, {"id": 2}],
    "xml": "<a/>",
}
XML = (
    "<Invoice><Header><No kind='r'>R-1</No></Header><Line>1</Line><Line>2</Line><Total>7.50</Total></Invoice>"
)


def selected(arazzo: Arazzo, selector: str, type: str, body: Any, **inputs: Any) -> Any:
    """What a Selector Object makes of a response, as an output."""
    quoted = selector.replace("'", "''")
    step = (
        f"operationId: search\noutputs:\n  x: {{context: $response.body, selector: '{quoted}', type: {type}}}"
    )
    run = arazzo.step(step, reply(200, body), properties="n: {}", inputs=inputs)
    assert run.status == "succeeded", run.failure
    return run.outputs.get("x", "absent")


@cases(
    "type, selector, body, expected",
    case("jsonpointer", "1.1", SELECTOR, "`jsonpointer`", "jsonpointer", "/user/tags/1", BODY, "y"),
    case(
        "pointer-whole",
        "1.1",
        SELECTOR,
        "`jsonpointer`: the empty one is the whole value",
        "jsonpointer",
        "",
        [1],
        [1],
    ),
    case(
        "pointer-nothing",
        "1.1",
        SELECTOR,
        "`jsonpointer`: without a target there is no value",
        "jsonpointer",
        "/user/x",
        BODY,
        "absent",
    ),
    case(
        "rfc6901",
        "1.1",
        SELECTOR,
        "`jsonpointer` as Expression Type Object, `rfc6901`",
        "{type: jsonpointer, version: rfc6901}",
        "/user/email",
        BODY,
        "a@b",
    ),
    case(
        "jsonpath",
        "1.1",
        SELECTOR,
        "`jsonpath` of one place: its value",
        "jsonpath",
        "$.user.email",
        BODY,
        "a@b",
    ),
    case(
        "jsonpath-many",
        "1.1",
        SELECTOR,
        "`jsonpath` that can find several: an array",
        "jsonpath",
        "$.items[*].id",
        BODY,
        [1, 2],
    ),
    case(
        "jsonpath-filter",
        "1.1",
        SELECTOR,
        "`jsonpath` with a filter: an array, also of one or none",
        "jsonpath",
        "$.items[?@.id == 2].id",
        BODY,
        [2],
    ),
    case(
        "jsonpath-nothing",
        "1.1",
        SELECTOR,
        "`jsonpath` of one place that is not there: no value",
        "jsonpath",
        "$.user.x",
        BODY,
        "absent",
    ),
    case(
        "draft",
        "1.1",
        SELECTOR,
        "`jsonpath` of the draft",
        "{type: jsonpath, version: draft-goessner-dispatch-jsonpath-00}",
        "$.items[(@.length-1)].id",
        BODY,
        2,
    ),
    case(
        "xpath", "1.1", SELECTOR, "`xpath`: an element is its text", "xpath", "/Invoice/Header/No", XML, "R-1"
    ),
    case(
        "xpath-many",
        "1.1",
        SELECTOR,
        "`xpath` that finds several: an array",
        "xpath",
        "//Line",
        XML,
        ["1", "2"],
    ),
    case(
        "xpath-attribute",
        "1.1",
        SELECTOR,
        "`xpath`: an attribute is its value",
        "xpath",
        "//No/@kind",
        XML,
        "r",
    ),
    case("xpath-number", "1.1", SELECTOR, "`xpath`: a number stays one", "xpath", "count(//Line)", XML, 2),
    case(
        "xpath-nothing",
        "1.1",
        SELECTOR,
        "`xpath` that finds nothing: no value",
        "xpath",
        "//None",
        XML,
        "absent",
    ),
    case(
        "xpath-30",
        "1.1",
        SELECTOR,
        "`xpath` of an older version",
        "{type: xpath, version: xpath-10}",
        "string(//Total)",
        XML,
        "7.50",
    ),
    case(
        "embedded",
        "1.1",
        SELECTOR,
        "expressions in the selector",
        "jsonpath",
        "$.items[{$inputs.n}].id",
        BODY,
        2,
    ),
)
def test_output(arazzo: Arazzo, type: str, selector: str, body: Any, expected: Any) -> None:
    assert selected(arazzo, selector, type, body, n=1) == expected


@cases(
    "code, text",
    case(
        "context",
        "1.1",
        SELECTOR,
        "`context` is an expression",
        "bad-expression",
        "{context: body, selector: /a, type: jsonpointer}",
    ),
    case(
        "type",
        "1.1",
        SELECTOR,
        "`type` has no other value",
        "unknown-type",
        "{context: $response.body, selector: /a, type: regex}",
    ),
    case(
        "version",
        "1.1",
        SELECTOR,
        "`type`: versions of the Expression Type Object",
        "unknown-version",
        "{context: $response.body, selector: /a, type: {type: xpath, version: v9}}",
    ),
    case(
        "pointer",
        "1.1",
        SELECTOR,
        "`selector` is of its type: JSON Pointer",
        "bad-jsonpointer",
        "{context: $response.body, selector: /a~2, type: jsonpointer}",
    ),
    case(
        "jsonpath",
        "1.1",
        SELECTOR,
        "`selector` is of its type: JSONPath",
        "bad-jsonpath",
        "{context: $response.body, selector: '$[', type: jsonpath}",
    ),
    case(
        "xpath",
        "1.1",
        SELECTOR,
        "`selector` is of its type: XPath",
        "bad-xpath",
        "{context: $response.body, selector: '/a[', type: xpath}",
    ),
)
def test_refused(arazzo: Arazzo, code: str, text: str) -> None:
    arazzo.refused(one_step(f"operationId: search\noutputs:\n  x: {text} # HERE"), code)


@cases(
    "missing",
    case("context", "1.1", SELECTOR, "`context` is required", "context"),
    case("selector", "1.1", SELECTOR, "`selector` is required", "selector"),
    case("type", "1.1", SELECTOR, "`type` is required", "type"),
)
def test_required(arazzo: Arazzo, missing: str) -> None:
    fields = {"context": "$response.body", "selector": "/a", "type": "jsonpointer"}
    del fields[missing]
    text = ", ".join(f"{name}: {value}" for name, value in fields.items())
    message = arazzo.refused(
        one_step(f"operationId: search\noutputs:\n  x: {{{text}}} # HERE"), "missing-field"
    )
    assert message == f"a Selector Object needs {missing!r}"


@rule("1.1", SELECTOR, "`context` must be structured data: a selector that cannot be applied fails the step")
def test_unstructured(arazzo: Arazzo) -> None:
    step = "operationId: search\noutputs:\n  x: {context: $response.body, selector: /a, type: xpath}"
    run = arazzo.step(step, reply(200, "no XML"))
    assert (run.status, run.failure.partition(":")[0]) == ("failed", "output")


PICK = "{context: $steps.a.outputs.all, selector: '$.items[0].id', type: jsonpath}"


def after_a(step: str) -> str:
    return (
        "- workflowId: w\n  steps:\n  - {stepId: a, operationId: search, outputs: {all: $response.body}}\n"
        f"  - {{stepId: b, {step}}}\n"
    )


@rule("1.1", SELECTOR, "in parameters")
def test_parameter(arazzo: Arazzo) -> None:
    text = after_a(f"operationId: getPet, parameters: [{{name: petId, in: path, value: {PICK}}}]")
    assert arazzo.run(text, reply(200, BODY), reply(200)).calls[1] == "GET /pets/1"


@rule("1.1", SELECTOR, "in payloads, at any depth")
def test_payload(arazzo: Arazzo) -> None:
    text = after_a(f"operationId: createPet, requestBody: {{payload: {{a: [{PICK}], b: {{c: {PICK}}}}}}}")
    assert arazzo.run(text, reply(200, BODY), reply(201)).body() == '{"a":[1],"b":{"c":1}}'


@rule("1.1", SELECTOR, "as a whole payload")
def test_whole_payload(arazzo: Arazzo) -> None:
    pick = PICK.replace(".items[0].id", ".items[0]")
    text = after_a(f"operationId: createPet, requestBody: {{payload: {pick}}}")
    assert arazzo.run(text, reply(200, BODY), reply(201)).body() == '{"id":1,"p":10.1}'


@rule("1.1", SELECTOR, "in replacements")
def test_replacement(arazzo: Arazzo) -> None:
    body = f"{{payload: {{id: 0}}, replacements: [{{target: /id, value: {PICK}}}]}}"
    text = after_a(f"operationId: createPet, requestBody: {body}")
    assert arazzo.run(text, reply(200, BODY), reply(201)).body() == '{"id":1}'


@rule("1.1", SELECTOR, "in inputs of called workflows")
def test_inputs(arazzo: Arazzo) -> None:
    called = one_step(
        "operationId: getPet\nparameters: [{name: petId, in: path, value: $inputs.id}]", "id: {}", name="v"
    )
    text = after_a(f"workflowId: v, parameters: [{{name: id, value: {PICK}}}]") + called
    assert arazzo.run(text, reply(200, BODY), reply(200)).calls[1] == "GET /pets/1"


@rule("1.1", SELECTOR, "a Selector Object that finds nothing leaves its property out")
def test_nothing(arazzo: Arazzo) -> None:
    pick = PICK.replace("items", "none")
    text = after_a(f"operationId: createPet, requestBody: {{payload: {{a: {pick}, b: 1}}}}")
    assert arazzo.run(text, reply(200, BODY), reply(201)).body() == '{"b":1}'
