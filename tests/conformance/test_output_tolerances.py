"""Tolerances about outputs that are not declared, or not as an expression, and about criteria's contexts."""

from __future__ import annotations

import pytest

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.tolerances import tolerance

ABOUT_THE_PAGES = True


@tolerance(
    "criterion-context",
    "a `jsonpath`, `xpath` or `regex` criterion without `context`",
    "the response body is its context; a `regex` must have a word for that",
    "`context: $response.body`",
)
def test_criterion_context(arazzo: Arazzo) -> None:
    step = "operationId: search\nsuccessCriteria:\n- {type: regex, condition: '(?i)^.*logged in.*$'}"
    arazzo.tolerated(one_step(f"{step} # HERE"), "criterion-context")
    assert arazzo.step(step, reply(200, "You are Logged in.")).status == "succeeded"
    assert arazzo.step(step, reply(200, "no")).status == "failed"


@tolerance(
    "criterion-type",
    "`$statusCode == 200` of type `regex`, `jsonpath` or `xpath` without `context`",
    "a simple condition",
    "no `type`",
)
@pytest.mark.parametrize("type", ["regex", "jsonpath", "xpath"])
def test_criterion_type(arazzo: Arazzo, type: str) -> None:
    step = f"operationId: search\nsuccessCriteria:\n- {{type: {type}, condition: $statusCode == 404}}"
    arazzo.tolerated(one_step(f"{step} # HERE"), "criterion-type")
    assert [arazzo.step(step, reply(s)).status for s in (404, 200)] == ["succeeded", "failed"]


CREATE = """
openapi: 3.1.0
info: {title: Made, version: '1'}
servers: [{url: https://api.example}]
paths:
  /made:
    post:
      operationId: make
      responses:
        '201':
          description: Made
          content:
            application/json:
              schema: {allOf: [{$ref: '#/components/schemas/Made'}, {properties: {links: {type: object}}}]}
        '400': {content: {application/json: {schema: {properties: {title: {type: string}}}}}}
components: {schemas: {Made: {type: object, properties: {id: {type: string}}}}}
"""
MAKE = """
- workflowId: w
  steps:
  - {stepId: make, operationId: $sourceDescriptions.made.make%s}
  - stepId: get
    operationId: $sourceDescriptions.shop.getPet
    parameters:
    - name: petId
      in: path
      value: %s
"""
MADE = "- {name: made, url: made.yaml, type: openapi}"


@tolerance(
    "undeclared-output",
    "`$steps.make.outputs.id`, which `make` does not declare and its described response has",
    "`$response.body#/id` of that step",
    "`outputs: {id: $response.body#/id}` in step `make`",
)
def test_undeclared_output(arazzo: Arazzo) -> None:
    arazzo.write("made.yaml", CREATE)
    for written, called in (("id", "7"), ("links.self", "l1"), ("links#/self", "l1")):
        text = MAKE % ("", f"$steps.make.outputs.{written}")
        arazzo.tolerated(text.rstrip() + " # HERE", "undeclared-output", sources=MADE)
        run = arazzo.run(text, reply(201, {"id": "7", "links": {"self": "l1"}}), reply(200), sources=MADE)
        assert run.calls[1] == f"GET /pets/{called}"
    # a property of an error only, one that is not described, and one that the step declares
    for written in ("title", "name", "links2"):
        text = MAKE % ("", f"$steps.make.outputs.{written} # HERE")
        message = arazzo.refused(text, "unknown-output", sources=MADE)
        assert message == (
            f"there is no output {written!r} of step 'make'; it declares none, "
            "and its response has no such property either"
        )
    text = MAKE % (", outputs: {id: $response.header.Location}", "$steps.make.outputs.id")
    assert arazzo.codes(text, sources=MADE) == []


@tolerance(
    "undeclared-output",
    "`$steps.make.outputs.response.body.items[0]`",
    "`$response.body#/items/0` of that step",
    "`outputs: {item: $response.body#/items/0}` in step `make`",
)
def test_response_as_output(arazzo: Arazzo) -> None:
    arazzo.write("made.yaml", CREATE)
    text = MAKE % ("", "$steps.make.outputs.response.body.items[0]")
    assert arazzo.codes(text, sources=MADE) == ["undeclared-output"]
    run = arazzo.run(text, reply(201, {"items": ["a", "b"]}), reply(200), sources=MADE)
    assert run.calls[1] == "GET /pets/a"


@tolerance(
    "own-output",
    "`$steps.get.outputs.id` in the request of `get`, which only `make` declares",
    "`$steps.make.outputs.id`: no step can read what it has not got yet",
    "the step that declares the output",
)
def test_own_output(arazzo: Arazzo) -> None:
    arazzo.write("made.yaml", CREATE)
    text = MAKE % (", outputs: {id: $response.body#/id}", "$steps.get.outputs.id")
    arazzo.tolerated(text.rstrip() + " # HERE", "own-output", sources=MADE)
    run = arazzo.run(text, reply(201, {"id": "7"}), reply(200), sources=MADE)
    assert run.calls[1] == "GET /pets/7"
    # where the step declares it itself, it is read before it is there
    declared = text.replace("  - stepId: get", "  - stepId: get\n    outputs: {id: $response.body#/id}")
    arazzo.refused(declared.rstrip() + " # HERE", "forward-reference", sources=MADE)


@tolerance(
    "absent-output",
    "an output of the workflow that names an output of a step which has none",
    "the workflow has no such output",
    "the output in the step's `outputs` too",
)
def test_absent_output(arazzo: Arazzo) -> None:
    text = (
        one_step("operationId: listPets")
        + "  outputs: {a: $sourceDescriptions.shop.url, b: $steps.s.outputs.x} # HERE\n"
    )
    arazzo.tolerated(text, "absent-output")
    assert arazzo.run(text).outputs == {"a": "shop.yaml"}
    # a misspelt name is none of this, nor is an output that another workflow reads
    arazzo.refused(text.replace("listPets", "listPets\n    outputs: {y: $statusCode}"), "unknown-output")
    outer = one_step("workflowId: inner\noutputs:\n  b: $outputs.b").replace("workflowId: w", "workflowId: o")
    inner = text.replace("workflowId: w", "workflowId: inner")
    arazzo.refused(outer + inner, "unknown-output")


@tolerance(
    "jsonpath-output",
    "an output `$.data[0].id` of a step",
    "this JSONPath of `$response.body`",
    "a Selector Object, or `$response.body#/data/0/id`",
)
def test_jsonpath_output(arazzo: Arazzo) -> None:
    step = "operationId: search\noutputs:\n  x: $.data[0].id"
    arazzo.tolerated(one_step(step).replace("[0].id", "[0].id # HERE", 1), "jsonpath-output")
    assert arazzo.step(step, reply(200, {"data": [{"id": 7}]})).outputs == {"x": 7}


@tolerance(
    "missing-dollar",
    "an output `response.body#/id`; `statusCode == 200` in a condition",
    "the expression with `$` before it",
    "`$response.body#/id`, `$statusCode == 200`",
)
def test_missing_dollar(arazzo: Arazzo) -> None:
    step = "operationId: search\noutputs:\n  x: response.body#/id"
    arazzo.tolerated(one_step(step).replace("#/id", "#/id # HERE", 1), "missing-dollar")
    assert arazzo.step(step, reply(200, {"id": 7})).outputs == {"x": 7}
    step = "operationId: search\nsuccessCriteria:\n- condition: response.body.ok == true && statusCode == 404"
    arazzo.tolerated(one_step(f"{step} # HERE"), "missing-dollar")
    answers = (404, {"ok": True}), (404, {"ok": False}), (200, {"ok": True})
    found = [arazzo.step(step, reply(status, body)).status for status, body in answers]
    assert found == ["succeeded", "failed", "failed"]
    # words that may be meant as they are
    assert arazzo.codes(one_step("operationId: search\noutputs:\n  x: response.none")) == ["constant-output"]
    refused = "operationId: search\nsuccessCriteria: [{condition: response.none == 1}]"
    assert arazzo.codes(one_step(refused)) == ["bad-expression"]


@tolerance("status-spelling", "`$response.statusCode`", "`$statusCode`", "`$statusCode`")
def test_status_spelling(arazzo: Arazzo) -> None:
    step = "operationId: search\noutputs:\n  x: $response.statusCode"
    arazzo.tolerated(one_step(step).replace("Code", "Code # HERE", 1), "status-spelling")
    assert arazzo.step(step, reply(201)).outputs == {"x": 201}
