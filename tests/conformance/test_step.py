"""The Step Object: its targets, fields and order."""

from __future__ import annotations

from airflow_arazzo.engine.messages import OutcomeUnknown
from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
STEP = "Step Object"
ORDERS = "- {name: orders, url: orders.yaml, type: asyncapi}"
SECOND = "- {name: other, url: other-api.yaml, type: openapi}"
OTHER_API = """
openapi: 3.1.0
info: {title: Other, version: '1'}
paths: {/other: {get: {operationId: other}, post: {operationId: url}}, /pets: {get: {operationId: listPets}}}
"""


def steps(*given: str, rest: str = "") -> str:
    return "- workflowId: w\n  steps:\n" + "".join(f"  - {{{step}}}\n" for step in given) + rest


@rule(BOTH, STEP, "`stepId` is required")
def test_step_id(arazzo: Arazzo) -> None:
    arazzo.refused("- workflowId: w\n  steps:\n  - operationId: listPets # HERE", "missing-field")


@rule(BOTH, STEP, "`stepId` is unique in the workflow")
def test_unique(arazzo: Arazzo) -> None:
    text = (
        "- workflowId: w\n  steps:\n  - {stepId: a, operationId: search}\n"
        "  - {stepId: a, operationId: filter} # HERE"
    )
    arazzo.refused(text, "duplicate-step")


@rule(BOTH, STEP, "`stepId`: two workflows may have steps of the same id")
def test_unique_per_workflow(arazzo: Arazzo) -> None:
    assert arazzo.findings(one_step("operationId: search") + one_step("operationId: search", name="v")) == []


@rule(BOTH, STEP, "`stepId` is case-sensitive: `a` and `A` are two steps")
def test_case_sensitive(arazzo: Arazzo) -> None:
    text = steps(
        "stepId: A, operationId: listPets, outputs: {x: $statusCode}",
        "stepId: a, operationId: search, outputs: {x: $statusCode}",
        rest="  outputs: {big: $steps.A.outputs.x, small: $steps.a.outputs.x}",
    )
    assert arazzo.run(text, reply(200), reply(202)).outputs == {"big": 200, "small": 202}


@rule(BOTH, STEP, "`stepId` should, but need not, be of letters, digits, `_` and `-`")
def test_odd_id(arazzo: Arazzo) -> None:
    text = steps(
        "stepId: 'Find (all)', operationId: listPets, outputs: {x: $statusCode}",
        rest="  outputs: {y: '$steps.Find (all).outputs.x'}",
    )
    assert arazzo.run(text).outputs == {"y": 200}


@rule(BOTH, STEP, "`description` is kept")
def test_description(arazzo: Arazzo) -> None:
    assert arazzo.plan(one_step("operationId: search\ndescription: Finds *all*")).root.steps[
        0
    ].description == ("Finds *all*")


@rule(BOTH, STEP, "`operationId` names an operation of a source")
def test_operation_id(arazzo: Arazzo) -> None:
    run = arazzo.step("operationId: search")
    assert (run.calls, run.sent[0].source) == (["GET /search"], "shop")


@rule(BOTH, STEP, "`operationId` must exist")
def test_unknown_operation(arazzo: Arazzo) -> None:
    arazzo.refused(one_step("operationId: serch # HERE"), "unknown-operation")


@rule(BOTH, STEP, "`operationId` is case-sensitive when ids differ in case alone")
def test_operation_case(arazzo: Arazzo) -> None:
    api = OTHER_API.replace("operationId: url", "operationId: Other")
    arazzo.write("other-api.yaml", api)
    run = arazzo.step("operationId: $sourceDescriptions.other.Other", sources=SECOND)
    assert run.calls == ["POST /other"]


@rule(BOTH, STEP, "`operationId` with several sources: an expression names the source")
def test_qualified_operation(arazzo: Arazzo) -> None:
    arazzo.write("other-api.yaml", OTHER_API)
    run = arazzo.step("operationId: $sourceDescriptions.other.listPets", sources=SECOND)
    assert (run.calls, run.sent[0].source) == (["GET /pets"], "other")


@rule(BOTH, STEP, "`operationId` with several sources and no expression is refused where two sources have it")
def test_ambiguous_operation(arazzo: Arazzo) -> None:
    arazzo.write("other-api.yaml", OTHER_API)
    arazzo.refused(one_step("operationId: listPets # HERE"), "ambiguous-operation", sources=SECOND)


@rule(BOTH, STEP, "`operationId`: sources of type `arazzo` do not make it ambiguous")
def test_arazzo_sources_do_not_count(arazzo: Arazzo) -> None:
    arazzo.document(one_step("operationId: search"), "b.yaml")
    assert (
        arazzo.findings(one_step("operationId: listPets"), sources="- {name: b, url: b.yaml, type: arazzo}")
        == []
    )


@rule(BOTH, STEP, "`operationPath`: a source's `url` and a JSON Pointer with `~1` for slashes")
def test_operation_path(arazzo: Arazzo) -> None:
    path = "{$sourceDescriptions.shop.url}#/paths/~1pets~1{petId}/delete"
    run = arazzo.step(f"operationPath: '{path}'\nparameters: [{{name: petId, in: path, value: 3}}]")
    assert run.calls == ["DELETE /pets/3"]
    path = "{$sourceDescriptions.shop.url}#/paths/~1pets/get"
    assert arazzo.findings(one_step(f"operationPath: '{path}'")) == []


@rule(BOTH, STEP, "`operationPath` reaches operations without `operationId`")
def test_nameless_operation(arazzo: Arazzo) -> None:
    run = arazzo.step("operationPath: '{$sourceDescriptions.shop.url}#/paths/~1nameless/get'")
    assert run.calls == ["GET /nameless"]


@cases(
    "path, code",
    case(
        "operation",
        BOTH,
        STEP,
        "`operationPath` must lead to an operation",
        "{$sourceDescriptions.shop.url}#/paths/~1none/get",
        "unknown-operation",
    ),
    case(
        "source",
        BOTH,
        STEP,
        "`operationPath` must name a source",
        "{$sourceDescriptions.stop.url}#/paths/~1pets/get",
        "unknown-source",
    ),
    case("pointer", BOTH, STEP, "`operationPath` needs a JSON Pointer", "pets", "operation-path"),
)
def test_wrong_operation_path(arazzo: Arazzo, path: str, code: str) -> None:
    arazzo.refused(one_step(f"operationPath: '{path}' # HERE"), code)


@rule("1.1", STEP, "`channelPath`", refused="asyncapi-unsupported")
def test_channel_path(arazzo: Arazzo) -> None:
    step = "channelPath: '{$sourceDescriptions.orders.url}#/channels/orders' # HERE\naction: send"
    arazzo.refused(one_step(step), "asyncapi-unsupported", sources=ORDERS)


@cases(
    "action",
    case("send", "1.1", STEP, "`action`: `send`", "send", refused="asyncapi-unsupported"),
    case("receive", "1.1", STEP, "`action`: `receive`", "receive", refused="asyncapi-unsupported"),
)
def test_action(arazzo: Arazzo, action: str) -> None:
    step = f"operationId: $sourceDescriptions.orders.placeOrder # HERE\naction: {action}"
    arazzo.refused(one_step(step), "asyncapi-unsupported", sources=ORDERS)


@rule("1.1", STEP, "`action` has no other value")
def test_other_action(arazzo: Arazzo) -> None:
    arazzo.refused(one_step("operationId: search\naction: publish # HERE"), "wrong-value")


@rule("1.1", STEP, "`correlationId`", refused="asyncapi-unsupported")
def test_correlation_id(arazzo: Arazzo) -> None:
    step = (
        "operationId: $sourceDescriptions.orders.confirmOrder # HERE\n"
        "action: receive\ncorrelationId: $inputs.c"
    )
    arazzo.refused(one_step(step, "c: {}"), "asyncapi-unsupported", sources=ORDERS)


@rule(BOTH, STEP, "`workflowId` calls a workflow of the document, whose outputs are the step's")
def test_workflow_id(arazzo: Arazzo) -> None:
    text = one_step("workflowId: called\noutputs:\n  code: $outputs.code", name="m")
    called = one_step("operationId: search\noutputs:\n  code: $statusCode", name="called")
    assert arazzo.run(text + called, reply(203)).outputs == {"code": 203}


@rule(BOTH, STEP, "`workflowId` must exist")
def test_unknown_workflow(arazzo: Arazzo) -> None:
    arazzo.refused(one_step("workflowId: cold # HERE"), "unknown-workflow")


@rule(BOTH, STEP, "`workflowId` of another document is given by an expression")
def test_remote_workflow(arazzo: Arazzo) -> None:
    arazzo.document(one_step("operationId: search\noutputs:\n  code: $statusCode"), "b.yaml")
    step = "workflowId: $sourceDescriptions.b.w\noutputs:\n  code: $outputs.code"
    run = arazzo.step(step, reply(203), sources="- {name: b, url: b.yaml, type: arazzo}")
    assert run.outputs == {"code": 203}


@rule(BOTH, STEP, "a step whose called workflow fails has failed")
def test_failed_call(arazzo: Arazzo) -> None:
    text = one_step("workflowId: called\nonFailure: [{name: on, type: end}]", name="m")
    run = arazzo.run(text + one_step("operationId: search", name="called"), reply(404))
    assert (run.status, run.done.ended_by) == ("failed", "on")


@cases(
    "first, second",
    case("id-path", BOTH, STEP, "`operationId` excludes `operationPath`", "operationId", "operationPath"),
    case("id-workflow", BOTH, STEP, "`operationId` excludes `workflowId`", "operationId", "workflowId"),
    case("path-workflow", BOTH, STEP, "`operationPath` excludes `workflowId`", "operationPath", "workflowId"),
    case("channel-id", "1.1", STEP, "`channelPath` excludes `operationId`", "channelPath", "operationId"),
    case("channel-workflow", "1.1", STEP, "`channelPath` excludes `workflowId`", "channelPath", "workflowId"),
)
def test_exclusive_targets(arazzo: Arazzo, first: str, second: str) -> None:
    text = f"- workflowId: w\n  steps:\n  - stepId: s # HERE\n    {first}: a\n    {second}: b"
    message = arazzo.refused(text, "step-target")
    assert first in message
    assert second in message


@rule(BOTH, STEP, "a step has a target")
def test_no_target(arazzo: Arazzo) -> None:
    arazzo.refused("- workflowId: w\n  steps:\n  - stepId: s # HERE", "step-target")


@rule(BOTH, STEP, "`parameters` has no parameter twice")
def test_duplicate_parameters(arazzo: Arazzo) -> None:
    twice = "parameters:\n- {name: limit, in: query, value: 1}\n- {name: limit, in: query, value: 2} # HERE"
    arazzo.refused(one_step(f"operationId: listPets\n{twice}"), "duplicate-parameter")


@cases(
    "operation, call",
    case("POST", BOTH, STEP, "`requestBody` with POST", "createPet", "POST /pets"),
    case("PUT", BOTH, STEP, "`requestBody` with PUT", "replacePet", "PUT /pets/1"),
    case("PATCH", BOTH, STEP, "`requestBody` with PATCH", "changePet", "PATCH /pets/1"),
    case("GET", BOTH, STEP, "`requestBody` with GET: permitted, though not advised", "getPet", "GET /pets/1"),
    case(
        "DELETE",
        BOTH,
        STEP,
        "`requestBody` with DELETE: permitted, though not advised",
        "deletePet",
        "DELETE /pets/1",
    ),
)
def test_request_body(arazzo: Arazzo, operation: str, call: str) -> None:
    given = "" if operation == "createPet" else "parameters: [{name: petId, in: path, value: 1}]\n"
    run = arazzo.step(f"operationId: {operation}\n{given}requestBody: {{payload: {{a: 1}}}}")
    assert (run.calls, run.body()) == ([call], '{"a":1}')
    assert run.header("Content-Type") == "application/json"


@rule(BOTH, STEP, "`requestBody` is for operations: a called workflow has none")
def test_body_for_workflow(arazzo: Arazzo) -> None:
    text = (
        "- workflowId: m\n  steps:\n  - stepId: s\n    workflowId: w\n"
        "    requestBody: # HERE\n      payload: {}\n"
    )
    found = arazzo.findings(text + one_step("operationId: search"))
    assert [each.code for each in found] == ["body-for-workflow"]


@rule(BOTH, STEP, "`successCriteria`: all must be met")
def test_success_criteria(arazzo: Arazzo) -> None:
    step = (
        "operationId: search\n"
        "successCriteria: [{condition: $statusCode == 404}, {condition: $response.body.ok}]"
    )
    assert arazzo.step(step, reply(404, {"ok": True})).status == "succeeded"
    assert arazzo.step(step, reply(404, {"ok": False})).status == "failed"
    assert arazzo.step(step, reply(200, {"ok": True})).status == "failed"


@rule(
    "1.1",
    STEP,
    "`successCriteria` has at least one",
    differs="an empty list is warned of, and read as if it were not there",
)
def test_no_criteria(arazzo: Arazzo) -> None:
    step = "operationId: search\nsuccessCriteria: []"
    arazzo.tolerated(one_step(f"{step} # HERE"), "empty-criteria")
    assert arazzo.step(step, reply(204)).status == "succeeded"
    assert arazzo.step(step, reply(404)).status == "failed"


@cases(
    "status, outcome",
    case("2xx", BOTH, STEP, "without `successCriteria` a 2xx status succeeds", 299, "succeeded"),
    case("3xx", BOTH, STEP, "without `successCriteria` a redirect fails; it is not followed", 302, "failed"),
    case("4xx", BOTH, STEP, "without `successCriteria` a 4xx status fails", 404, "failed"),
    case("5xx", BOTH, STEP, "without `successCriteria` a 5xx status fails", 500, "failed"),
)
def test_default_success(arazzo: Arazzo, status: int, outcome: str) -> None:
    assert arazzo.step("operationId: search", reply(status, Location="/pets")).status == outcome


@rule(BOTH, STEP, "`onSuccess` left out: the next step follows")
def test_next_step(arazzo: Arazzo) -> None:
    run = arazzo.run(steps("stepId: a, operationId: search", "stepId: b, operationId: filter"))
    assert (run.steps, run.status) == (["a", "b"], "succeeded")


@rule(BOTH, STEP, "`onFailure` left out: the workflow stops and has failed")
def test_break(arazzo: Arazzo) -> None:
    run = arazzo.run(steps("stepId: a, operationId: search", "stepId: b, operationId: filter"), reply(400))
    assert (run.steps, run.status) == (["a"], "failed")


@rule(BOTH, STEP, "`outputs`: names and expressions")
def test_outputs(arazzo: Arazzo) -> None:
    run = arazzo.step("operationId: search\noutputs:\n  first: $response.body#/0/id", reply(200, [{"id": 5}]))
    assert run.outputs == {"first": 5}


@rule("1.1", STEP, "`outputs`: Selector Objects")
def test_selector_outputs(arazzo: Arazzo) -> None:
    step = (
        "operationId: search\noutputs:\n  ids: {context: $response.body, selector: '$..id', type: jsonpath}"
    )
    assert arazzo.step(step, reply(200, [{"id": 5}, {"id": 6}])).outputs == {"ids": [5, 6]}


@rule(BOTH, STEP, "names of `outputs` may have letters, digits, `.`, `-` and `_`")
def test_output_names(arazzo: Arazzo) -> None:
    run = arazzo.run(
        steps(
            "stepId: a, operationId: search, outputs: {a.B-1_c: $statusCode, a: $response.body}",
            rest="  outputs: {x: $steps.a.outputs.a.B-1_c}",
        ),
        reply(200, {"B-1_c": "inside"}),
    )
    assert run.outputs == {"x": 200}


@rule(
    BOTH,
    STEP,
    "names of `outputs` have no other characters",
)
def test_odd_output_names(arazzo: Arazzo) -> None:
    text = steps("stepId: a, operationId: search, outputs: {a b!: $statusCode}")
    assert arazzo.codes(text, notes=True) == ["odd-name"]


@rule("1.1", STEP, "`timeout`: milliseconds that the exchange may take")
def test_timeout(arazzo: Arazzo) -> None:
    run = arazzo.step("operationId: search\ntimeout: 1500")
    assert run.sent[0].timeout == 1.5
    assert arazzo.step("operationId: search").sent[0].timeout is None


@rule("1.1", STEP, "`timeout` passed: the step fails, and its `onFailure` applies")
def test_after_timeout(arazzo: Arazzo) -> None:
    late = OutcomeUnknown("no response within 1.5 s")
    actions = "onFailure: [{name: on, type: goto, stepId: b}]"
    text = steps(
        f"stepId: a, operationId: search, timeout: 1500, {actions}", "stepId: b, operationId: filter"
    )
    assert arazzo.run(text, late, reply(200)).steps == ["a", "b"]
    assert arazzo.step("operationId: search\ntimeout: 1500", late).status == "failed"


@rule("1.1", STEP, "`timeout` of a step that calls a workflow")
def test_timeout_of_call(arazzo: Arazzo) -> None:
    called = one_step(
        "operationId: search\nonFailure: [{name: r, type: retry, retryAfter: 60}]", name="called"
    )
    run = arazzo.run(one_step("workflowId: called\ntimeout: 1000") + called, reply(503), took=2)
    assert run.status == "failed"


@cases(
    "value, code",
    case("negative", "1.1", STEP, "`timeout` is not negative", "-1", "wrong-value"),
    case("fraction", "1.1", STEP, "`timeout` is an integer", "1.5", "wrong-type"),
    case("text", "1.1", STEP, "`timeout` is no text", "soon", "wrong-type"),
)
def test_wrong_timeout(arazzo: Arazzo, value: str, code: str) -> None:
    arazzo.refused(one_step(f"operationId: search\ntimeout: {value} # HERE"), code)
