"""Actions, order, nested documents: how workflows become plans."""

# ruff: noqa: E501  the documents are in flow style

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from airflow_arazzo.expression.model import Expression
from airflow_arazzo.plan.flow import StepGraph, execution_order
from airflow_arazzo.plan.model import WorkflowCall

from .conftest import Project, codes, one_step


def test_actions_of_the_workflow_follow_those_of_the_step_that_do_not_override_them(project: Project) -> None:
    plan = project.plan(
        """
        - workflowId: w
          successActions: [{name: a, type: end}, {name: b, type: goto, stepId: t}]
          failureActions:
          - {name: retry, type: retry, retryLimit: 5, retryAfter: 1.50}
          - reference: $components.failureActions.stop
          steps:
          - stepId: s
            operationId: only
            onSuccess: [{name: b, type: end, criteria: [{condition: $statusCode == 204}]}, {name: c, type: end}]
            onFailure: [{name: retry, type: retry}]
          - {stepId: t, operationId: only}
        """,
        rest="components: {failureActions: {stop: {name: stop, type: end}}}",
    )
    first, second = plan.root.steps
    assert [(a.name, a.type) for a in first.on_success] == [("b", "end"), ("c", "end"), ("a", "end")]
    assert [(a.name, a.retry_limit, a.retry_after) for a in first.on_failure] == [
        ("retry", None, ""),
        ("stop", None, ""),
    ]
    assert [(a.name, a.type, a.step) for a in second.on_success] == [("a", "end", ""), ("b", "goto", "t")]
    assert [(a.name, a.retry_limit, a.retry_after) for a in second.on_failure] == [
        ("retry", 5, "1.50"),
        ("stop", None, ""),
    ]


def test_actions_without_a_name_override_nothing(project: Project) -> None:
    plan = project.plan(
        """
        - workflowId: w
          successActions: [{type: end}]
          steps: [{stepId: s, operationId: only, onSuccess: [{type: goto, stepId: s}]}]
        """
    )
    assert [a.type for a in plan.root.steps[0].on_success] == ["goto", "end"]


def test_steps_are_ordered_by_what_they_depend_on(project: Project) -> None:
    plan = project.plan(
        """
        - workflowId: w
          steps:
          - {stepId: a, operationId: only, dependsOn: [c]}
          - {stepId: b, operationId: only, parameters: [{name: q, in: query, value: $steps.a.outputs.x}]}
          - {stepId: c, operationId: only, dependsOn: [$steps.d]}
          - {stepId: d, operationId: only}
        """.replace("dependsOn: [c]}", "dependsOn: [c], outputs: {x: $response.body}}"),
        version="1.1.0",
    )
    assert [step.id for step in plan.root.steps] == ["d", "c", "a", "b"]


def test_without_dependencies_the_order_is_the_documents(project: Project) -> None:
    plan = project.plan(
        "- {workflowId: w, steps: [{stepId: b, operationId: only}, {stepId: a, operationId: only}]}"
    )
    assert [step.id for step in plan.root.steps] == ["b", "a"]


def test_execution_order() -> None:
    assert execution_order(["a", "b", "c"], {"a": ["c"]}) == ["b", "c", "a"]
    assert execution_order(["a"], {"a": ["elsewhere"]}) == ["a"]
    with pytest.raises(ValueError, match="a") as raised:
        execution_order(["x", "a", "b"], {"a": ["b"], "b": ["a"], "x": ["a"]})
    assert raised.value.args == ("a", "b", "a")


LOOP = """
- workflowId: w
  steps:
  - stepId: first
    operationId: only
    parameters: [{name: cursor, in: query, value: $steps.last.outputs.next}]
  - stepId: last
    operationId: only
    outputs: {next: $response.body#/next}
    onSuccess: [{name: again, type: goto, stepId: first, criteria: [{condition: $response.body#/next}]}]
"""


def test_a_loop_may_read_a_later_step(project: Project) -> None:
    assert codes(project.compile(LOOP)) == []


def test_a_loop_may_read_a_later_step_beside_dependencies(project: Project) -> None:
    project.plan(LOOP + "    dependsOn: [first]\n", version="1.1.0")


def test_a_step_that_a_retry_runs_may_be_read_by_the_retrying_step(project: Project) -> None:
    result = project.compile(
        """
        - workflowId: w
          steps:
          - stepId: s
            operationId: only
            parameters: [{name: t, in: query, value: $steps.renew.outputs.t}]
            onSuccess: [{name: done, type: end}]
            onFailure: [{name: again, type: retry, stepId: renew}]
          - {stepId: renew, operationId: only, outputs: {t: $response.body#/t}}
        """
    )
    assert codes(result, notes=True) == []


def test_what_can_follow(project: Project) -> None:
    plan = project.plan(
        """
        - workflowId: w
          steps:
          - stepId: a
            operationId: only
            onSuccess: [{name: 1, type: goto, stepId: c, criteria: [{condition: $statusCode == 201}]}]
          - {stepId: b, operationId: only, onSuccess: [{name: 1, type: end}]}
          - {stepId: c, operationId: only, onFailure: [{name: 1, type: goto, stepId: a}]}
          - {stepId: d, operationId: only}
        """
    )
    graph = StepGraph.of(plan.root.steps)
    assert graph.successors == {"a": ("b", "c"), "b": (), "c": ("d", "a"), "d": ()}
    assert graph.before()["b"] == {"a", "c"}
    assert graph.before()["d"] == {"a", "c"}
    assert graph.running == {"a", "b", "c", "d"}


NESTED = """
- workflowId: v
  inputs: {properties: {x: {type: string}}}
  steps: [{stepId: s, operationId: only, parameters: [{name: x, in: query, value: $inputs.x}]}]
  outputs: {y: $steps.s.outputs.y}
""".replace("value: $inputs.x}]}", "value: $inputs.x}], outputs: {y: $response.body}}")
BOTH = "- {name: api, url: api.yaml, type: openapi}\n- {name: other, url: nested/other.yaml, type: arazzo}"


@pytest.mark.parametrize(
    ("spelling", "warnings"),
    [
        ("$sourceDescriptions.other.v", []),
        ("$sourceDescriptions.other.workflows.v", ["workflow-spelling"]),
        ("other.v", ["workflow-spelling"]),
    ],
)
def test_workflows_of_other_documents(project: Project, spelling: str, warnings: list[str]) -> None:
    project.document(NESTED, "nested/other.yaml", sources="- {name: api, url: ../api.yaml, type: openapi}")
    result = project.compile(
        f"""
        - workflowId: w
          steps:
          - stepId: s
            workflowId: {spelling}
            parameters: [{{name: x, value: 1}}]
            outputs: {{z: $outputs.y}}
          outputs: {{z: $steps.s.outputs.z, y: $steps.s.outputs.y}}
        """,
        sources=BOTH,
    )
    assert codes(result) == warnings
    plan = result.plans["w"]
    assert list(plan.workflows) == ["other.v", "w"] or set(plan.workflows) == {"other.v", "w"}
    step = plan.root.steps[0]
    assert step.call == WorkflowCall("other.v", (("x", step.call.inputs[0][1]),))  # type: ignore[union-attr]
    assert isinstance(step.outputs["z"], Expression)
    assert list(plan.sources) == ["api"]  # one file, one connection
    assert plan.workflows["other.v"].file == "other.yaml"


@pytest.mark.parametrize("first", ["w", "o"])
def test_a_source_name_that_means_two_files_is_two_sources(project: Project, first: str) -> None:
    project.write(
        "nested/api.yaml",
        "openapi: 3.1.0\nservers: [{url: https://o.example}]\npaths: {/o: {get: {operationId: only}}}",
    )
    project.document(NESTED, "nested/other.yaml")
    own, theirs = "{stepId: w, operationId: only}", "{stepId: o, workflowId: $sourceDescriptions.other.v}"
    steps = f"{own}, {theirs}" if first == "w" else f"{theirs}, {own}"
    plan = project.plan(f"- {{workflowId: w, steps: [{steps}]}}", sources=BOTH)
    assert set(plan.sources) == {"api", "other.api"}
    by_id = {step.id: step.call for step in plan.root.steps}
    assert (by_id["w"].source, by_id["w"].path) == ("api", "/only")  # type: ignore[union-attr]
    theirs_call = plan.workflows["other.v"].steps[0].call
    assert (theirs_call.source, theirs_call.path) == ("other.api", "/o")  # type: ignore[union-attr]


def test_documents_that_name_each_other(project: Project) -> None:
    back = "- {name: main, url: ../main.yaml, type: arazzo}"
    project.document(
        "- {workflowId: v, steps: [{stepId: s, workflowId: $sourceDescriptions.main.w}]}",
        "nested/other.yaml",
        sources=back,
    )
    result = project.compile(one_step("workflowId: $sourceDescriptions.other.v"), sources=BOTH)
    assert codes(result) == ["workflow-recursion"]


def test_workflows_nested_very_deeply_are_refused(project: Project) -> None:
    calls = [f"- {{workflowId: w{n}, steps: [{{stepId: s, workflowId: w{n + 1}}}]}}" for n in range(200)]
    last = "- {workflowId: w200, steps: [{stepId: s, operationId: only}]}"
    result = project.compile("\n".join([*calls, last]))
    assert set(codes(result)) == {"workflow-depth"}
    assert set(result.plans) >= {"w200", "w180"}


def test_names_win_over_navigation(project: Project) -> None:
    plan = project.plan(
        one_step(
            "operationId: listThings\nparameters: [{name: a, in: query, value: '$inputs.filter[status]'},"
            " {name: b, in: query, value: $inputs.a.b.c}, {name: c, in: query, value: $inputs.filter.x}]",
            "'filter[status]': {}, filter: {}, a.b: {}, a: {}",
        )
    )
    values = [p.value for p in plan.root.steps[0].call.parameters]  # type: ignore[union-attr]
    assert [(v.name, v.path) for v in values if isinstance(v, Expression)] == [
        ("filter[status]", ()),
        ("a.b", ("c",)),
        ("filter", ("x",)),
    ]


@pytest.mark.parametrize(("schema", "fine"), [("additionalProperties: true", True), ("", False)])
def test_undeclared_inputs_need_an_open_schema(project: Project, schema: str, fine: bool) -> None:
    workflow = one_step(
        "operationId: only\nparameters: [{name: a, in: query, value: $inputs.new}]", "old.name: {}"
    )
    workflow = workflow.replace("type: object,", f"type: object, {schema + ',' if schema else ''}")
    assert codes(project.compile(workflow)) == ([] if fine else ["unknown-input"])


def test_inputs_with_references_and_parts(project: Project) -> None:
    plan = project.plan(
        """
        - workflowId: w
          inputs:
            type: object
            allOf: [{$ref: '#/components/inputs/base'}]
            properties: {code: {type: string, default: 007, enum: [007, 1.10, x]}}
          steps:
          - stepId: s
            operationId: only
            parameters:
            - {name: a, in: query, value: $inputs.code}
            - {name: b, in: query, value: $inputs.id}
            - {name: X-API-Key, in: header, value: $inputs.key}
        """,
        rest="components: {inputs: {base: {required: [id, key], properties: {id: {$ref: '#/components/inputs/id'}, key: {}}},"
        " id: {type: integer, description: An id}}}",
    )
    shown = plan.root.inputs
    assert shown["properties"] == {
        "id": {"type": "integer", "description": "An id"},
        "code": {"type": "string", "default": "007", "enum": ["007", "1.10", "x"]},
    }
    assert shown["required"] == ["id"]
    assert shown["allOf"] == [
        {"required": ["id"], "properties": {"id": {"type": "integer", "description": "An id"}}}
    ]
    assert plan.root.credentials["key"].required


def test_a_workflow_that_is_read_runs_before_unless_it_is_called(project: Project) -> None:
    text = """
    - workflowId: w
      steps:
      - {stepId: s, operationId: only, parameters: [{name: a, in: query, value: $workflows.v.outputs.y}]}
    """
    result = project.compile(text.replace("    - ", "- ", 1).replace("\n      ", "\n  ") + NESTED)
    assert codes(result) == ["implied-dependency"]
    assert result.plans["w"].root.depends_on == ("v",)
    called = """
- workflowId: w
  steps:
  - {stepId: c, workflowId: v}
  - {stepId: s, operationId: only, parameters: [{name: a, in: query, value: $workflows.v.outputs.y}]}
"""
    result = project.compile(called + NESTED)
    assert codes(result) == []
    assert result.plans["w"].root.depends_on == ()


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("type", "[string, strnig]"),
        ("type", "[]"),
        ("enum", "x"),
        ("minimum", "true"),
        ("exclusiveMinimum", "true"),
        ("multipleOf", "0"),
        ("maxLength", "-1"),
        ("maxItems", "1.5"),
        ("uniqueItems", "1"),
        ("format", "7"),
        ("items", "[{}]"),
        ("anyOf", "[]"),
        ("not", "{type: strnig}"),
        ("allOf", "[{}, {not: x}]"),
        ("patternProperties", "{'[': {}}"),
        ("properties", "{a: {items: {pattern: '('}}}"),
    ],
)
def test_schemas_that_no_validator_could_use_are_refused(project: Project, keyword: str, value: str) -> None:
    workflow = f"- workflowId: w\n  inputs: {{properties: {{p: {{{keyword}: {value}}}}}}}\n  steps: [{{stepId: s, operationId: only}}]"
    assert codes(project.compile(workflow)) == ["invalid-schema"]


@pytest.mark.parametrize(
    "schema",
    [
        "{type: [string, 'null'], minLength: 0, maxLength: 5, pattern: '^a', format: date, nullable: true}",
        "{type: number, minimum: 1.5, multipleOf: 0.01, enum: [1, 2], example: 3}",
        "{type: array, items: false, prefixItems: [true, {}], uniqueItems: true}",
        "{type: object, properties: {type: {type: string}, required: {}}, patternProperties: {'^x-': {}}}",
    ],
)
def test_schemas_that_validators_take_compile(project: Project, schema: str) -> None:
    workflow = f"- workflowId: w\n  inputs: {{properties: {{p: {schema}}}}}\n  steps: [{{stepId: s, operationId: only}}]"
    plan = project.plan(workflow)
    Draft202012Validator.check_schema(plan.root.inputs)
