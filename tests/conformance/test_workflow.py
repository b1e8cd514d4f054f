"""The Workflow Object."""

from __future__ import annotations

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
WORKFLOW = "Workflow Object"
STEPS = "steps: [{stepId: s, operationId: listPets}]"
DEPENDENT = """
- workflowId: main
  dependsOn: [{needed}] # HERE
  inputs: {{type: object, properties: {{petId: {{}}}}}}
  steps: [{{stepId: s, operationId: listPets}}]
- workflowId: needed
  inputs: {{type: object, properties: {{petId: {{}}}}}}
  steps: [{{stepId: n, operationId: getPet, parameters: [{{name: petId, in: path, value: $inputs.petId}}]}}]
"""


@cases(
    "text",
    case(
        "workflowId",
        BOTH,
        WORKFLOW,
        "`workflowId` is required",
        f"- {STEPS.replace('steps', 'steps')} # HERE",
    ),
    case("steps", BOTH, WORKFLOW, "`steps` is required", "- workflowId: w # HERE"),
    case("no-steps", BOTH, WORKFLOW, "`steps` is not empty", "- workflowId: w\n  steps: [] # HERE"),
)
def test_required(arazzo: Arazzo, text: str) -> None:
    arazzo.refused(text, "missing-field")


@rule(BOTH, WORKFLOW, "`workflowId` is unique in the document")
def test_unique(arazzo: Arazzo) -> None:
    arazzo.refused(f"- workflowId: w\n  {STEPS}\n- workflowId: w # HERE\n  {STEPS}", "duplicate-workflow")


@rule(BOTH, WORKFLOW, "`workflowId` is case-sensitive: `w` and `W` are two workflows")
def test_case_sensitive(arazzo: Arazzo) -> None:
    text = f"- workflowId: w\n  {STEPS}\n- workflowId: W\n  {STEPS.replace('listPets', 'search')}"
    assert arazzo.findings(text) == []
    assert arazzo.run(text, workflow="W").calls == ["GET /search"]


@rule(BOTH, WORKFLOW, "`workflowId` should, but need not, be of letters, digits, `_` and `-`")
def test_odd_id(arazzo: Arazzo) -> None:
    text = (
        f"- workflowId: m\n  steps: [{{stepId: s, workflowId: 'a b (c)'}}]\n- workflowId: a b (c)\n  {STEPS}"
    )
    assert arazzo.run(text).calls == ["GET /pets"]


@cases(
    "field",
    case("summary", BOTH, WORKFLOW, "`summary` is kept", "summary"),
    case("description", BOTH, WORKFLOW, "`description` is kept", "description"),
)
def test_texts(arazzo: Arazzo, field: str) -> None:
    root = arazzo.plan(f"- workflowId: w\n  {field}: Lists *pets*\n  {STEPS}").root
    assert getattr(root, field) == "Lists *pets*"


@rule(BOTH, WORKFLOW, "`inputs` is a JSON Schema that the inputs of a run must meet")
def test_inputs(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nparameters: [{name: limit, in: query, value: $inputs.n}]"
    assert arazzo.step(step, properties="n: {type: integer}", inputs={"n": 3}).calls == ["GET /pets?limit=3"]
    arazzo.refused(f"- workflowId: w\n  inputs: text # HERE\n  {STEPS}", "wrong-type")


@rule(BOTH, WORKFLOW, "`steps` run in their order")
def test_order(arazzo: Arazzo) -> None:
    run = arazzo.run(
        """
        - workflowId: w
          steps:
          - {stepId: c, operationId: listPets}
          - {stepId: a, operationId: search}
          - {stepId: b, operationId: createPet}
        """
    )
    assert run.calls == ["GET /pets", "GET /search", "POST /pets"]


@rule(BOTH, WORKFLOW, "`dependsOn`: those workflows run before, with inputs of the same name")
def test_depends_on(arazzo: Arazzo) -> None:
    run = arazzo.run(DEPENDENT.format(needed="needed"), inputs={"petId": "7"})
    assert run.calls == ["GET /pets/7", "GET /pets"]


@rule(BOTH, WORKFLOW, "`dependsOn`: a workflow that several depend on runs once")
def test_depends_on_once(arazzo: Arazzo) -> None:
    run = arazzo.run(
        """
        - {workflowId: main, dependsOn: [a, b], steps: [{stepId: s, operationId: createPet}]}
        - {workflowId: a, dependsOn: [base], steps: [{stepId: s, operationId: search}]}
        - {workflowId: b, dependsOn: [base], steps: [{stepId: s, operationId: filter}]}
        - {workflowId: base, steps: [{stepId: s, operationId: listPets}]}
        """,
        workflow="main",
    )
    assert run.calls == ["GET /pets", "GET /search", "GET /filter", "POST /pets"]


@rule(BOTH, WORKFLOW, "`dependsOn`: when it fails, the workflow does not run")
def test_depends_on_failure(arazzo: Arazzo) -> None:
    run = arazzo.run(DEPENDENT.format(needed="needed"), reply(404), inputs={"petId": "7"})
    assert (run.status, run.calls) == ("failed", ["GET /pets/7"])


@rule(BOTH, WORKFLOW, "`dependsOn` names an existing workflow")
def test_depends_on_unknown(arazzo: Arazzo) -> None:
    arazzo.refused(DEPENDENT.format(needed="neded"), "unknown-workflow")


@rule(BOTH, WORKFLOW, "`dependsOn`: a workflow of another document is named by an expression")
def test_depends_on_remote(arazzo: Arazzo) -> None:
    arazzo.document(one_step("operationId: search", name="needed"), "other.yaml")
    text = DEPENDENT.format(needed="$sourceDescriptions.other.needed")
    run = arazzo.run(text, sources="- {name: other, url: other.yaml, type: arazzo}")
    assert run.calls == ["GET /search", "GET /pets"]


@rule(BOTH, WORKFLOW, "`dependsOn` and calls may not go in a circle")
def test_recursion(arazzo: Arazzo) -> None:
    arazzo.refused(
        """
        - {workflowId: a, dependsOn: [b], steps: [{stepId: s, operationId: listPets}]} # HERE
        - {workflowId: b, steps: [{stepId: s, workflowId: a}]}
        """,
        "workflow-recursion",
    )


@rule(BOTH, WORKFLOW, "`successActions` apply to every step")
def test_success_actions(arazzo: Arazzo) -> None:
    text = """
    - workflowId: w
      successActions:
      - {name: stop, type: end, criteria: [{condition: $response.body.stop == true}]}
      steps:
      - {stepId: a, operationId: listPets}
      - {stepId: b, operationId: search}
      - {stepId: c, operationId: filter}
    """
    assert arazzo.run(text, reply(200, {"stop": True})).calls == ["GET /pets"]
    assert arazzo.run(text, reply(200, {}), reply(200, {"stop": True})).calls == ["GET /pets", "GET /search"]


@rule(BOTH, WORKFLOW, "`failureActions` apply to every step")
def test_failure_actions(arazzo: Arazzo) -> None:
    text = """
    - workflowId: w
      failureActions: [{name: again, type: retry, retryAfter: 2}]
      steps:
      - {stepId: a, operationId: listPets}
      - {stepId: b, operationId: search}
    """
    run = arazzo.run(text, reply(503), reply(200), reply(500), reply(200))
    assert (run.status, run.steps, run.waits) == ("succeeded", ["a", "a", "b", "b"], [2, 2])


OVERRIDE = """
- workflowId: w
  {shared}: [{{name: on, type: goto, stepId: c}}]
  steps:
  - {{stepId: a, operationId: listPets, {own}: [{{name: on, type: goto, stepId: b{criteria}}}]}}
  - {{stepId: x, operationId: createPet, onSuccess: [{{name: on, type: end}}]}}
  - {{stepId: b, operationId: search, {own}: [{{name: on, type: end}}]}}
  - {{stepId: c, operationId: filter}}
"""


@cases(
    "shared, own, status",
    case(
        "success",
        BOTH,
        WORKFLOW,
        "`successActions`: a step's action of the same name takes the place of the workflow's",
        "successActions",
        "onSuccess",
        200,
    ),
    case(
        "failure",
        BOTH,
        WORKFLOW,
        "`failureActions`: a step's action of the same name takes the place of the workflow's",
        "failureActions",
        "onFailure",
        400,
    ),
)
def test_override(arazzo: Arazzo, shared: str, own: str, status: int) -> None:
    text = OVERRIDE.format(shared=shared, own=own, criteria="")
    assert arazzo.run(text, reply(status), reply(status)).steps == ["a", "b"]
    never = OVERRIDE.format(shared=shared, own=own, criteria=", criteria: [{condition: $statusCode == 1}]")
    further = ["x"] if status == 200 else []
    assert arazzo.run(never, reply(status), *[reply(200)] * len(further)).steps == ["a", *further]


@cases(
    "shared, own, status",
    case(
        "success",
        BOTH,
        WORKFLOW,
        "`successActions` that a step does not override stay in force, after its own",
        "successActions",
        "onSuccess",
        200,
    ),
    case(
        "failure",
        BOTH,
        WORKFLOW,
        "`failureActions` that a step does not override stay in force, after its own",
        "failureActions",
        "onFailure",
        400,
    ),
)
def test_not_removed(arazzo: Arazzo, shared: str, own: str, status: int) -> None:
    text = f"""
    - workflowId: w
      {shared}: [{{name: on, type: goto, stepId: c}}]
      steps:
      - stepId: a
        operationId: listPets
        {own}: [{{name: never, type: end, criteria: [{{condition: $statusCode == 1}}]}}]
      - {{stepId: b, operationId: search}}
      - {{stepId: c, operationId: filter, {own}: [{{name: on, type: end}}]}}
    """
    assert arazzo.run(text, reply(status), reply(status)).steps == ["a", "c"]


@cases(
    "field",
    case("success", BOTH, WORKFLOW, "`successActions` has no action twice", "successActions"),
    case("failure", BOTH, WORKFLOW, "`failureActions` has no action twice", "failureActions"),
)
def test_duplicate_actions(arazzo: Arazzo, field: str) -> None:
    actions = f"{field}:\n  - {{name: a, type: end}}\n  - {{name: a, type: end}} # HERE"
    arazzo.refused(f"- workflowId: w\n  {actions}\n  {STEPS}", "duplicate-action")


@cases(
    "field",
    case("success", BOTH, WORKFLOW, "`successActions` may be Reusable Objects", "successActions"),
    case("failure", BOTH, WORKFLOW, "`failureActions` may be Reusable Objects", "failureActions"),
)
def test_reusable_actions(arazzo: Arazzo, field: str) -> None:
    text = f"""
    - workflowId: w
      {field}: [{{reference: $components.{field}.on}}]
      steps:
      - {{stepId: a, operationId: listPets}}
      - {{stepId: b, operationId: search}}
      - {{stepId: c, operationId: filter}}
    components:
      {field}:
        on: {{name: on, type: goto, stepId: c, criteria: [{{condition: $response.body.on}}]}}
    """
    status = 200 if field == "successActions" else 400
    run = arazzo.run(text, reply(status, {"on": True}), reply(200))
    assert run.steps == ["a", "c"]


@rule(BOTH, WORKFLOW, "`outputs`: names and expressions, evaluated at the end")
def test_outputs(arazzo: Arazzo) -> None:
    text = one_step(
        "operationId: getPet\nparameters: [{name: petId, in: path, value: 1}]\n"
        "outputs:\n  name: $response.body#/name"
    )
    assert arazzo.run(text, reply(200, {"name": "Rex"})).outputs == {"name": "Rex"}


@rule("1.1", WORKFLOW, "`outputs`: Selector Objects")
def test_selector_outputs(arazzo: Arazzo) -> None:
    text = """
    - workflowId: w
      steps: [{stepId: s, operationId: listPets, outputs: {all: $response.body}}]
      outputs:
        names: {context: $steps.s.outputs.all, selector: '$[*].name', type: jsonpath}
    """
    assert arazzo.run(text, reply(200, [{"name": "Rex"}, {"name": "Ida"}])).outputs == {
        "names": ["Rex", "Ida"]
    }


@rule(BOTH, WORKFLOW, "`outputs` that have no value are left out")
def test_absent_outputs(arazzo: Arazzo) -> None:
    text = one_step(
        "operationId: listPets\noutputs:\n  name: $response.body#/name\n  null: $response.body#/n"
    )
    assert arazzo.run(text, reply(200, {"n": None})).outputs == {"null": None}


@rule(BOTH, WORKFLOW, "names of `outputs` may have letters, digits, `.`, `-` and `_`")
def test_output_names(arazzo: Arazzo) -> None:
    text = one_step("operationId: listPets\noutputs:\n  a.B-1_c: $statusCode")
    assert arazzo.findings(text) == []
    assert arazzo.run(text).outputs == {"a.B-1_c": 200}


@rule(
    BOTH,
    WORKFLOW,
    "names of `outputs` have no other characters",
)
def test_odd_output_names(arazzo: Arazzo) -> None:
    text = f"- workflowId: w\n  {STEPS}\n  outputs: {{a b!: $sourceDescriptions.shop.url}}"
    assert arazzo.codes(text, notes=True) == ["odd-name"]
    assert arazzo.run(text).outputs == {"a b!": "shop.yaml"}


PARAMETERS = """
- workflowId: w
  parameters:
  - {name: status, in: query, value: sold}
  - {name: X-Trace, in: header, value: t1}
  steps:
  - {stepId: a, operationId: listPets}
  - {stepId: b, operationId: listPets, parameters: [{name: status, in: query, value: free}]}
"""


@rule(BOTH, WORKFLOW, "`parameters` are sent by every step")
def test_parameters(arazzo: Arazzo) -> None:
    run = arazzo.run(PARAMETERS)
    assert run.calls[0] == "GET /pets?status=sold"
    assert [run.header("X-Trace", index) for index in (0, 1)] == ["t1", "t1"]


@rule(BOTH, WORKFLOW, "`parameters` are overridden by a step's parameter of the same `name` and `in`")
def test_parameter_override(arazzo: Arazzo) -> None:
    assert arazzo.run(PARAMETERS).calls[1] == "GET /pets?status=free"


@rule(BOTH, WORKFLOW, "`parameters` of another place are not overridden")
def test_parameter_of_another_place(arazzo: Arazzo) -> None:
    run = arazzo.run(
        PARAMETERS.replace("name: status, in: query, value: free", "name: Status, in: header, value: free")
    )
    assert (run.calls[1], run.header("Status")) == ("GET /pets?status=sold", "free")


@rule(BOTH, WORKFLOW, "`parameters` become inputs of the workflows that steps call")
def test_parameters_of_calls(arazzo: Arazzo) -> None:
    run = arazzo.run(
        """
        - workflowId: main
          parameters: [{name: id, value: 4}]
          steps: [{stepId: s, workflowId: w}]
        - workflowId: w
          inputs: {type: object, properties: {id: {}}}
          steps: [{stepId: s, operationId: getPet, parameters: [{name: petId, in: path, value: $inputs.id}]}]
        """
    )
    assert run.calls == ["GET /pets/4"]


@rule(BOTH, WORKFLOW, "`parameters`: for a step that calls a workflow, the name alone decides what overrides")
def test_override_of_inputs(arazzo: Arazzo) -> None:
    run = arazzo.run(
        """
        - workflowId: main
          parameters: [{name: id, in: query, value: 4}]
          steps: [{stepId: s, workflowId: w, parameters: [{name: id, value: 5}]}]
        - workflowId: w
          inputs: {type: object, properties: {id: {}}}
          steps: [{stepId: s, operationId: getPet, parameters: [{name: petId, in: path, value: $inputs.id}]}]
        """
    )
    assert run.calls == ["GET /pets/5"]


@rule(BOTH, WORKFLOW, "`parameters` has no parameter twice")
def test_duplicate_parameters(arazzo: Arazzo) -> None:
    twice = "parameters:\n  - {name: a, in: query, value: 1}\n  - {name: a, in: query, value: 2} # HERE"
    arazzo.refused(f"- workflowId: w\n  {twice}\n  {STEPS}", "duplicate-parameter")


@rule(BOTH, WORKFLOW, "`parameters` may be Reusable Objects")
def test_reusable_parameters(arazzo: Arazzo) -> None:
    text = f"""
- workflowId: w
  parameters: [{{reference: $components.parameters.few}}]
  {STEPS}
components: {{parameters: {{few: {{name: limit, in: query, value: 3}}}}}}
"""
    assert arazzo.run(text).calls == ["GET /pets?limit=3"]
