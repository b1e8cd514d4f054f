"""What Success Action Objects and Failure Action Objects have in common: each test runs for both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import Case, case, cases

BOTH = "1.0 1.1"
SUCCESS, FAILURE = "Success Action Object", "Failure Action Object"

THREE = """
- workflowId: w
  steps:
  - {{stepId: a, operationId: search, {field}: [{actions}]}}
  - {{stepId: b, operationId: filter}}
  - {{stepId: c, operationId: listPets}}
"""


def of_both(text: str, versions: str = BOTH, **options: str) -> Callable[[Any], Any]:
    """A row for success actions and one for failure actions: field, and a status that leads there."""
    given: list[Case] = [
        case("success", versions, SUCCESS, text, "onSuccess", 200, **options),
        case("failure", versions, FAILURE, text, "onFailure", 404, **options),
    ]
    return cases("field, status", *given)


@of_both("`name` is required", differs="an action without one is read, with a warning")
def test_name(arazzo: Arazzo, field: str, status: int) -> None:
    step = f"operationId: search\n{field}:\n- type: end # HERE"
    arazzo.tolerated(one_step(step), "action-name")


@of_both("`type` is required")
def test_type(arazzo: Arazzo, field: str, status: int) -> None:
    arazzo.refused(one_step(f"operationId: search\n{field}:\n- {{name: x}} # HERE"), "missing-field")


@of_both("`type` has no other value")
def test_other_type(arazzo: Arazzo, field: str, status: int) -> None:
    other = "retry" if field == "onSuccess" else "restart"
    arazzo.refused(
        one_step(f"operationId: search\n{field}:\n- {{name: x, type: {other}}} # HERE"), "wrong-value"
    )


@cases(
    "field, status, outcome",
    case(
        "success",
        BOTH,
        SUCCESS,
        "`type`: `end`: the workflow ends, with its outputs",
        "onSuccess",
        200,
        "succeeded",
    ),
    case(
        "failure",
        BOTH,
        FAILURE,
        "`type`: `end`: the workflow ends",
        "onFailure",
        404,
        "failed",
        differs="the run, or the calling step, is failed then, and has no outputs",
    ),
)
def test_end(arazzo: Arazzo, field: str, status: int, outcome: str) -> None:
    text = (
        THREE.format(field=field, actions="{name: stop, type: end}")
        + "  outputs: {me: $sourceDescriptions.shop.url}"
    )
    run = arazzo.run(text, reply(status))
    assert (run.status, run.steps, run.done.ended_by) == (outcome, ["a"], "stop")
    assert run.outputs == ({"me": "shop.yaml"} if outcome == "succeeded" else {})


@cases(
    "field, status, outcome",
    case(
        "success",
        BOTH,
        SUCCESS,
        "`end` in a called workflow gives control back to its caller",
        "onSuccess",
        200,
        "succeeded",
    ),
    case(
        "failure",
        BOTH,
        FAILURE,
        "`end` in a called workflow gives control back to its caller",
        "onFailure",
        404,
        "failed",
        differs="the calling step has failed then",
    ),
)
def test_end_of_call(arazzo: Arazzo, field: str, status: int, outcome: str) -> None:
    text = (
        "- workflowId: m\n  steps:\n  - {stepId: call, workflowId: w}\n"
        "  - {stepId: after, operationId: listPets}\n"
    )
    called = one_step(f"operationId: search\n{field}: [{{name: stop, type: end}}]")
    run = arazzo.run(text + called, reply(status), *([reply(200)] if outcome == "succeeded" else []))
    assert run.status == outcome
    assert run.steps == (["s", "after"] if outcome == "succeeded" else ["s"])


@of_both("`type`: `goto` with `stepId`: that step follows")
def test_goto_step(arazzo: Arazzo, field: str, status: int) -> None:
    text = THREE.format(field=field, actions="{name: on, type: goto, stepId: c}")
    run = arazzo.run(text, reply(status), reply(200))
    assert (run.status, run.steps) == ("succeeded", ["a", "c"])


@of_both("`goto` may lead backwards; then the run pauses")
def test_goto_back(arazzo: Arazzo, field: str, status: int) -> None:
    text = THREE.format(
        field=field,
        actions="{name: on, type: goto, stepId: a, criteria: [{condition: $response.body.more}]}",
    )
    run = arazzo.run(text, reply(status, {"more": True}), reply(200), reply(200), reply(200))
    assert (run.steps, run.waits) == (["a", "a", "b", "c"], [7.0])


@of_both("`goto` with `workflowId` is one-way: what follows are that workflow's steps and outputs")
def test_goto_workflow(arazzo: Arazzo, field: str, status: int) -> None:
    text = THREE.format(field=field, actions="{name: on, type: goto, workflowId: other}")
    other = one_step("operationId: listPets\noutputs:\n  code: $statusCode", name="other")
    run = arazzo.run(text + other, reply(status), reply(203))
    assert (run.status, run.calls) == ("succeeded", ["GET /search", "GET /pets"])
    assert run.outputs == {"code": 203}


@of_both("`workflowId` of another document is given by an expression")
def test_goto_other_document(arazzo: Arazzo, field: str, status: int) -> None:
    arazzo.document(one_step("operationId: listPets", name="x"), "b.yaml")
    text = THREE.format(field=field, actions="{name: on, type: goto, workflowId: $sourceDescriptions.b.x}")
    run = arazzo.run(text, reply(status), reply(200), sources="- {name: b, url: b.yaml, type: arazzo}")
    assert run.calls == ["GET /search", "GET /pets"]


@of_both("`workflowId` must exist")
def test_unknown_workflow(arazzo: Arazzo, field: str, status: int) -> None:
    arazzo.refused(
        one_step(f"operationId: search\n{field}:\n- {{name: x, type: goto, workflowId: z}} # HERE"),
        "unknown-workflow",
    )


@of_both("`stepId` is a step of the same workflow")
def test_unknown_step(arazzo: Arazzo, field: str, status: int) -> None:
    text = one_step(f"operationId: search\n{field}:\n- {{name: x, type: goto, stepId: far}} # HERE")
    far = "- workflowId: v\n  steps: [{stepId: far, operationId: search}]"
    arazzo.refused(text + far, "unknown-step")


@of_both("`stepId` and `workflowId` exclude each other")
def test_two_targets(arazzo: Arazzo, field: str, status: int) -> None:
    action = "{name: x, type: goto, stepId: s, workflowId: w}"
    arazzo.refused(one_step(f"operationId: search\n{field}:\n- {action} # HERE"), "action-target")


@of_both("`goto` needs `stepId` or `workflowId`")
def test_no_target(arazzo: Arazzo, field: str, status: int) -> None:
    arazzo.refused(
        one_step(f"operationId: search\n{field}:\n- {{name: x, type: goto}} # HERE"), "action-target"
    )


RECEIVER = """
- workflowId: other
  inputs: {type: object, properties: {x: {}, y: {}}}
  steps: [{stepId: o, operationId: createPet, requestBody: {payload: {x: $inputs.x, y: $inputs.y}}}]
"""


@of_both("`parameters` are inputs of the workflow that `workflowId` names", "1.1")
def test_parameters(arazzo: Arazzo, field: str, status: int) -> None:
    action = "{name: on, type: goto, workflowId: other, parameters: [{name: x, value: $response.body.id}]}"
    run = arazzo.run(
        THREE.format(field=field, actions=action) + RECEIVER, reply(status, {"id": 5}), reply(201)
    )
    assert run.body() == '{"x":5}'


@of_both("`parameters` may be Reusable Objects", "1.1")
def test_reusable_parameters(arazzo: Arazzo, field: str, status: int) -> None:
    action = "{name: on, type: goto, workflowId: other, parameters: [{reference: $components.parameters.x}]}"
    rest = RECEIVER + "components: {parameters: {x: {name: x, value: 8}}}"
    run = arazzo.run(THREE.format(field=field, actions=action) + rest, reply(status), reply(201))
    assert run.body() == '{"x":8}'


@of_both("`parameters` has no parameter twice", "1.1")
def test_duplicate_parameters(arazzo: Arazzo, field: str, status: int) -> None:
    twice = "[{name: x, value: 1}, {name: x, value: 2}]"
    step = (
        f"operationId: search\n{field}:\n"
        f"- {{name: on, type: goto, workflowId: other, parameters: {twice}}} # HERE"
    )
    arazzo.refused(one_step(step) + RECEIVER.strip("\n"), "duplicate-parameter")


@of_both("`in` of `parameters` is not used", "1.1")
def test_place_of_parameters(arazzo: Arazzo, field: str, status: int) -> None:
    action = "{name: on, type: goto, workflowId: other, parameters: [{name: x, in: query, value: 1}]}"
    step = f"operationId: search\n{field}: [{action}]"
    assert arazzo.codes(one_step(step) + RECEIVER.strip("\n")) == ["input-place"]


@of_both("inputs that `parameters` does not name are those of the same name")
def test_inherited_inputs(arazzo: Arazzo, field: str, status: int) -> None:
    text = THREE.format(field=field, actions="{name: on, type: goto, workflowId: other}").replace(
        "  steps:", "  inputs: {type: object, properties: {y: {}}}\n  steps:"
    )
    assert arazzo.run(text + RECEIVER, reply(status), reply(201), inputs={"y": 2}).body() == '{"y":2}'


@of_both("`criteria`: all must be met")
def test_criteria(arazzo: Arazzo, field: str, status: int) -> None:
    both = "[{condition: $response.body.a == 1}, {condition: $response.body.b == 2}]"
    text = THREE.format(field=field, actions=f"{{name: on, type: goto, stepId: c, criteria: {both}}}")
    assert arazzo.run(text, reply(status, {"a": 1, "b": 2}), reply(200)).steps == ["a", "c"]
    more = [reply(200), reply(200)] if status == 200 else []
    assert "c" not in arazzo.run(text, reply(status, {"a": 1, "b": 3}), *more).steps[:2]


@of_both("without `criteria` an action always applies")
def test_no_criteria(arazzo: Arazzo, field: str, status: int) -> None:
    text = THREE.format(field=field, actions="{name: on, type: goto, stepId: c, criteria: []}")
    assert arazzo.run(text, reply(status), reply(200)).steps == ["a", "c"]


@of_both("of several actions whose criteria are met, the first is taken")
def test_first_wins(arazzo: Arazzo, field: str, status: int) -> None:
    actions = (
        "{name: no, type: end, criteria: [{condition: $statusCode == 1}]},"
        "{name: on, type: goto, stepId: c}, {name: other, type: goto, stepId: b}"
    )
    assert arazzo.run(THREE.format(field=field, actions=actions), reply(status), reply(200)).steps == [
        "a",
        "c",
    ]


@of_both("`name` is case-sensitive: `Stop` does not override `stop`")
def test_case_of_names(arazzo: Arazzo, field: str, status: int) -> None:
    shared = "successActions" if field == "onSuccess" else "failureActions"
    never = "{name: Stop, type: goto, stepId: c, criteria: [{condition: $statusCode == 1}]}"
    other = "{name: stop, type: goto, stepId: b, criteria: [{condition: $response.body.b}]}"
    text = THREE.format(field=field, actions=never).replace("  steps:", f"  {shared}: [{other}]\n  steps:")
    run = arazzo.run(text, reply(status, {"b": True}), reply(200), reply(200))
    assert run.steps == ["a", "b", "c"]


@of_both("a step's actions have no name twice")
def test_duplicate(arazzo: Arazzo, field: str, status: int) -> None:
    step = f"operationId: search\n{field}:\n- {{name: x, type: end}}\n- {{name: x, type: end}} # HERE"
    arazzo.refused(one_step(step), "duplicate-action")


@of_both("an action of a step may be a Reusable Object")
def test_reusable(arazzo: Arazzo, field: str, status: int) -> None:
    kind = "successActions" if field == "onSuccess" else "failureActions"
    text = THREE.format(field=field, actions=f"{{reference: $components.{kind}.on}}")
    rest = f"components: {{{kind}: {{on: {{name: on, type: goto, stepId: c}}}}}}"
    assert arazzo.run(text + rest, reply(status), reply(200)).steps == ["a", "c"]
