"""The Components Object and the Reusable Object."""

from __future__ import annotations

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

BOTH = "1.0 1.1"
COMPONENTS, REUSABLE = "Components Object", "Reusable Object"
LIST = "operationId: listPets\nparameters: [{reference: $components.parameters.%s}]"


@rule(BOTH, COMPONENTS, "`inputs`: schemas that workflow inputs refer to with `$ref`")
def test_inputs(arazzo: Arazzo) -> None:
    text = """
    - workflowId: w
      inputs: {$ref: '#/components/inputs/page'}
      steps: [{stepId: s, operationId: listPets, parameters: [{name: limit, in: query, value: $inputs.size}]}]
    components: {inputs: {page: {type: object, properties: {size: {type: integer, default: 20}}}}}
    """
    assert arazzo.run(text).calls == ["GET /pets?limit=20"]


@rule(BOTH, COMPONENTS, "`parameters`: Parameter Objects")
def test_parameters(arazzo: Arazzo) -> None:
    rest = "components: {parameters: {few: {name: limit, in: query, value: 3}}}"
    assert arazzo.run(one_step(LIST % "few") + rest).calls == ["GET /pets?limit=3"]


@cases(
    "kind, field, status",
    case(
        "success",
        BOTH,
        COMPONENTS,
        "`successActions`: Success Action Objects",
        "successActions",
        "onSuccess",
        200,
    ),
    case(
        "failure",
        BOTH,
        COMPONENTS,
        "`failureActions`: Failure Action Objects",
        "failureActions",
        "onFailure",
        500,
    ),
)
def test_actions(arazzo: Arazzo, kind: str, field: str, status: int) -> None:
    text = f"""
    - workflowId: w
      steps:
      - {{stepId: a, operationId: search, {field}: [{{reference: $components.{kind}.on}}]}}
      - {{stepId: b, operationId: filter}}
      - {{stepId: c, operationId: listPets}}
    components: {{{kind}: {{on: {{name: on, type: goto, stepId: c}}}}}}
    """
    assert arazzo.run(text, reply(status), reply(200)).steps == ["a", "c"]


@rule(BOTH, COMPONENTS, "components have no effect unless they are referred to")
def test_no_effect(arazzo: Arazzo) -> None:
    rest = """
components:
  parameters: {few: {name: limit, in: query, value: 3}}
  successActions: {stop: {name: stop, type: end}}
  failureActions: {again: {name: again, type: retry}}
"""
    text = (
        "- workflowId: w\n  steps: [{stepId: a, operationId: listPets}, {stepId: b, operationId: search}]\n"
    )
    assert arazzo.run(text + rest).calls == ["GET /pets", "GET /search"]
    assert len(arazzo.run(text + rest, reply(500)).sent) == 1


OTHER = """
- workflowId: w
  inputs: {$ref: '#/components/inputs/one'}
  steps:
  - stepId: s
    operationId: listPets
    parameters: [{reference: $components.parameters.p}]
    onSuccess: [{reference: $components.successActions.end}]
  - {stepId: t, operationId: search}
components:
  inputs: {one: {type: object, properties: {theirs: {default: b}}}}
  parameters: {p: {name: status, in: query, value: $inputs.theirs}}
  successActions: {end: {name: end, type: end}}
"""


@rule(BOTH, COMPONENTS, "components belong to their document: a called workflow uses those of its own")
def test_scope(arazzo: Arazzo) -> None:
    arazzo.document(OTHER, "b.yaml")
    text = """
    - workflowId: m
      steps:
      - stepId: call
        workflowId: $sourceDescriptions.b.w
        onSuccess: [{reference: $components.successActions.end}]
    - workflowId: last
      steps: [{stepId: l, operationId: filter}]
    components:
      inputs: {one: {type: object, properties: {ours: {default: a}}}}
      parameters: {p: {name: status, in: query, value: mine}}
      successActions: {end: {name: end, type: goto, workflowId: last}}
    """
    run = arazzo.run(text, sources="- {name: b, url: b.yaml, type: arazzo}")
    assert run.calls == ["GET /pets?status=b", "GET /filter"]


@rule(BOTH, COMPONENTS, "components of the calling document cannot be named in the called one")
def test_scope_of_callers(arazzo: Arazzo) -> None:
    arazzo.document(
        OTHER.partition("components:")[0].replace("  inputs:", "  summary: s\n  x-inputs:"), "b.yaml"
    )
    rest = (
        "components: {parameters: {p: {name: status, in: query, "
        "value: mine}}, successActions: {end: {name: e, type: end}}}"
    )
    sources = "- {name: b, url: b.yaml, type: arazzo}"
    found = arazzo.codes(one_step("workflowId: $sourceDescriptions.b.w") + rest, sources=sources)
    assert found == ["unknown-component", "unknown-component"]


@cases(
    "text, code, said",
    case("array", BOTH, COMPONENTS, "`components` is an object", "[1]", "malformed-component", "an array"),
    case(
        "kind",
        BOTH,
        COMPONENTS,
        "a kind of components is a map",
        "{parameters: [1]}",
        "malformed-component",
        "'parameters' of components must be an object",
    ),
    case(
        "field",
        BOTH,
        COMPONENTS,
        "a field that is not in the specification is noted",
        "{schemas: {}}",
        "unknown-field",
        "components has no field 'schemas'",
    ),
    case(
        "object",
        BOTH,
        COMPONENTS,
        "every component is an object of its kind",
        "{failureActions: {p: {name: p, type: begin}}}",
        "malformed-component",
        "'type' of a failure action is 'begin'",
    ),
)
def test_malformed(arazzo: Arazzo, text: str, code: str, said: str) -> None:
    found = arazzo.findings(f"{one_step('operationId: listPets')}components: {text}", notes=True)
    assert [each.code for each in found] == [code]
    assert said in found[0].message


@rule(BOTH, COMPONENTS, "keys may have letters, digits, `.`, `-` and `_`")
def test_keys(arazzo: Arazzo) -> None:
    for key in ("User", "User_1", "User_Name", "user-name", "my.org.User"):
        rest = f"components: {{parameters: {{{key}: {{name: limit, in: query, value: 3}}}}}}"
        assert arazzo.codes(one_step(LIST % key) + rest) == []


@rule(BOTH, COMPONENTS, "keys have no other characters")
def test_odd_keys(arazzo: Arazzo) -> None:
    rest = "components: {parameters: {'a b!': {name: limit, in: query, value: 3}}}"
    assert arazzo.codes(one_step("operationId: listPets") + rest, notes=True) == ["odd-name"]


@rule(BOTH, REUSABLE, "`reference` names a component by an expression")
def test_reference(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nparameters:\n- {reference: '#/components/parameters/few'} # HERE"
    rest = "components: {parameters: {few: {name: limit, in: query, value: 3}}}"
    arazzo.refused(one_step(step) + rest, "component-reference")


@rule(BOTH, REUSABLE, "`reference` must lead to a component")
def test_unknown(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nparameters:\n- {reference: $components.parameters.fwe} # HERE"
    rest = "components: {parameters: {few: {name: limit, in: query, value: 3}}}"
    arazzo.refused(one_step(step) + rest, "unknown-component")


@cases(
    "field, kind",
    case(
        "parameters",
        BOTH,
        REUSABLE,
        "in `parameters`, `reference` leads to a parameter",
        "parameters",
        "successActions",
    ),
    case(
        "onSuccess",
        BOTH,
        REUSABLE,
        "in `onSuccess`, `reference` leads to a success action",
        "onSuccess",
        "failureActions",
    ),
    case(
        "onFailure",
        BOTH,
        REUSABLE,
        "in `onFailure`, `reference` leads to a failure action",
        "onFailure",
        "successActions",
    ),
)
def test_kinds(arazzo: Arazzo, field: str, kind: str) -> None:
    step = f"operationId: listPets\n{field}:\n- {{reference: $components.{kind}.x}} # HERE"
    rest = f"components: {{{kind}: {{x: {{name: x, type: end}}}}}}"
    arazzo.refused(one_step(step) + rest, "component-reference")


@rule(BOTH, REUSABLE, "`value` takes the place of the parameter's own")
def test_value(arazzo: Arazzo) -> None:
    step = "operationId: listPets\nparameters: [{reference: $components.parameters.few, value: $inputs.n}]"
    rest = "components: {parameters: {few: {name: limit, in: query, value: 3}}}"
    assert arazzo.run(one_step(step, "n: {}") + rest, inputs={"n": 1}).calls == ["GET /pets?limit=1"]


@rule(BOTH, REUSABLE, "`value` overrides `value` alone: `name` and `in` are the component's")
def test_value_alone(arazzo: Arazzo) -> None:
    step = (
        "operationId: listPets\n"
        "parameters: [{reference: $components.parameters.p, value: 9, name: z, in: header}]"
    )
    rest = "components: {parameters: {p: {name: limit, in: query, value: 3}}}"
    run = arazzo.run(one_step(step) + rest)
    assert (run.calls, run.header("z")) == (["GET /pets?limit=9"], None)


@rule(BOTH, REUSABLE, "other fields beside `reference` are ignored")
def test_ignored(arazzo: Arazzo) -> None:
    step = (
        "operationId: listPets\n"
        "onSuccess: [{reference: $components.successActions.x, type: goto, value: 1, x-a: 2}]"
    )
    rest = "components: {successActions: {x: {name: x, type: end}}}"
    assert arazzo.findings(one_step(step) + rest) == []
    assert arazzo.run(one_step(step) + rest).done.ended_by == "x"


@rule(BOTH, REUSABLE, "workflow inputs use `$ref`, not Reusable Objects")
def test_inputs_use_ref(arazzo: Arazzo) -> None:
    text = one_step("operationId: listPets\nparameters: [{name: limit, in: query, value: $inputs.size}]")
    text = text.replace("  steps:", "  inputs: {reference: $components.inputs.page}\n  steps:")
    rest = "components: {inputs: {page: {type: object, properties: {size: {type: integer, default: 20}}}}}"
    assert "unknown-input" in arazzo.codes(text + rest)
