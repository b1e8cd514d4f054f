"""Tolerances about the shape of documents: versions, names, types and fields."""

from __future__ import annotations

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.tolerances import tolerance

ABOUT_THE_PAGES = True


@tolerance(
    "newer-version",
    "a field of Arazzo 1.1 in a document that says 1.0: `timeout`, `dependsOn` of a step, Selector Objects",
    "it works as in 1.1",
    "`arazzo: 1.1.0`",
)
def test_newer_version(arazzo: Arazzo) -> None:
    arazzo.version = "1.0.1"
    message = arazzo.tolerated(one_step("operationId: listPets\ntimeout: 500 # HERE"), "newer-version")
    assert message == (
        "'timeout' of a step came with Arazzo 1.1, and this document says 1.0.1; it is read as in 1.1"
    )
    assert arazzo.step("operationId: listPets\ntimeout: 500").sent[0].timeout == 0.5


@tolerance("version-patch", "`arazzo: 1.0`", "`1.0.0`; `1.1.0` for `1.1`", "`arazzo: 1.0.1`")
def test_version_patch(arazzo: Arazzo) -> None:
    arazzo.version = "1.0 # HERE"
    arazzo.tolerated(one_step("operationId: listPets"), "version-patch")
    arazzo.version = "1.1"
    assert arazzo.step("operationId: listPets\ntimeout: 500").sent[0].timeout == 0.5
    assert arazzo.codes(one_step("operationId: listPets\ntimeout: 500")) == ["version-patch"]


@tolerance(
    "value-case",
    "`type: OpenAPI`, `in: Query`, `type: GoTo`",
    "the value in lower case",
    "`openapi`, `query`, `goto`",
)
def test_value_case(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nparameters:\n- {name: limit, in: Query, value: 3}"
    arazzo.tolerated(one_step(f"{step} # HERE"), "value-case")
    assert arazzo.step(step).calls == ["GET /pets?limit=3"]


@tolerance(
    "one-for-array",
    "`dependsOn: first`, `onSuccess: {name: done, type: end}`",
    "an array with this one item",
    "`dependsOn: [first]`, `onSuccess: [{name: done, type: end}]`",
)
def test_one_for_array(arazzo: Arazzo) -> None:
    first = one_step("operationId: search", name="first")
    text = one_step("operationId: listPets\nsuccessCriteria: {condition: $statusCode == 404}") + first
    arazzo.tolerated(text.replace("404}", "404} # HERE"), "one-for-array")
    assert [arazzo.run(text, reply(s)).status for s in (404, 200)] == ["succeeded", "failed"]
    text = one_step("operationId: listPets").replace("  steps", "  dependsOn: first\n  steps") + first
    assert arazzo.codes(text) == ["one-for-array"]
    assert arazzo.run(text).calls == ["GET /search", "GET /pets"]
    assert arazzo.codes("- {workflowId: w, steps: {stepId: s, operationId: listPets}}") == ["wrong-type"]


@tolerance(
    "number-as-text",
    "`retryLimit: '2'`, `retryAfter: '0.5'`, `timeout: '500'`",
    "the number",
    "the number without quotes",
)
def test_number_as_text(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nonFailure:\n- {name: r, type: retry, retryAfter: '0.5', retryLimit: 1}"
    arazzo.tolerated(one_step(f"{step} # HERE"), "number-as-text")
    run = arazzo.step(step, reply(503), reply(200))
    assert (run.waits, run.status) == ([0.5], "succeeded")


@tolerance(
    "no-message",
    "`$message.payload` in a step that calls an operation of OpenAPI",
    "no value: such a step receives no message",
    "`$response.body`",
)
def test_no_message(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nsuccessCriteria:\n- condition: $message.payload#/a == 1"
    arazzo.tolerated(one_step(f"{step} # HERE"), "no-message")
    assert arazzo.step(step, reply(200, {"a": 1})).status == "failed"


@tolerance(
    "malformed-component",
    "a component that is not as the specification wants it",
    "it is left alone; a reference to it is an error",
    "a component of its kind",
)
def test_malformed_component(arazzo: Arazzo) -> None:
    rest = "components:\n  parameters:\n    p: {name: limit, in: query} # HERE\n"
    arazzo.tolerated(one_step("operationId: listPets") + rest, "malformed-component")
    step = "operationId: listPets\nparameters:\n- {reference: $components.parameters.p%s}"
    arazzo.refused(one_step(step % "" + " # HERE") + rest.replace(" # HERE", ""), "missing-field")
    run = arazzo.run(one_step(step % ", value: 3") + rest)
    assert run.calls == ["GET /pets?limit=3"]


@tolerance(
    "odd-name",
    "`outputs: {'a b!': …}`, or such a key of a component",
    "the name as it is written",
    "letters, digits, `.`, `-` and `_`",
)
def test_odd_name(arazzo: Arazzo) -> None:
    step = "operationId: listPets\noutputs:\n  a b!: $statusCode"
    arazzo.tolerated(one_step(step).replace("statusCode", "statusCode # HERE", 1), "odd-name")
    assert arazzo.step(step).outputs == {"a b!": 200}


@tolerance(
    "outputs-list",
    "`outputs` as a list of objects",
    "one object with all their members",
    "`outputs` as one object",
)
def test_outputs_list(arazzo: Arazzo) -> None:
    text = one_step("operationId: listPets\noutputs: {code: $statusCode}")
    text += "  outputs: # HERE\n  - code: $steps.s.outputs.code\n  - state: done\n"
    found = arazzo.findings(text)
    assert [each.code for each in found] == ["outputs-list", "constant-output"]
    assert arazzo.run(text).outputs == {"code": 200, "state": "done"}
    twice = text.replace("state: done", "code: $statusCode")
    assert arazzo.codes(twice) == ["wrong-type"]


@tolerance(
    "empty-criteria",
    "`successCriteria: []`",
    "as if it were not there: a 2xx status succeeds",
    "at least one criterion, or no `successCriteria`",
)
def test_empty_criteria(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nsuccessCriteria: []"
    arazzo.tolerated(one_step(f"{step} # HERE"), "empty-criteria")
    assert [arazzo.step(step, reply(status)).status for status in (204, 500)] == ["succeeded", "failed"]


@tolerance(
    "criterion-text",
    "`successCriteria: [$statusCode == 200]`",
    "a simple condition",
    "`successCriteria: [{condition: $statusCode == 200}]`",
)
def test_criterion_text(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nsuccessCriteria:\n- $statusCode == 404"
    arazzo.tolerated(one_step(f"{step} # HERE"), "criterion-text")
    assert [arazzo.step(step, reply(status)).status for status in (404, 200)] == ["succeeded", "failed"]


@tolerance(
    "input-place",
    "`in` of a parameter of an action",
    "the parameter is an input of the workflow",
    "`name` and `value` alone",
)
def test_input_place(arazzo: Arazzo) -> None:
    called = one_step(
        "operationId: listPets\nparameters: [{name: limit, in: query, value: $inputs.n}]", "n: {}", "b"
    )
    step = (
        "operationId: search\nonSuccess:\n"
        "- {name: on, type: goto, workflowId: b, parameters: [{name: n, in: query, value: 4}]}"
    )
    arazzo.version = "1.1.0"
    arazzo.tolerated(one_step(f"{step} # HERE") + called, "input-place")
    assert arazzo.run(one_step(step) + called).calls == ["GET /search", "GET /pets?limit=4"]
