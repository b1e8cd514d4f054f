"""Tolerances about what steps and actions lead to: operations, workflows, steps."""

from __future__ import annotations

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.tolerances import tolerance

ABOUT_THE_PAGES = True
SECOND = "- {name: other, url: other.yaml, type: openapi}"
OTHER = "openapi: 3.1.0\ninfo: {title: O}\npaths: {/o: {get: {operationId: others}}}\n"
B = "- {name: b, url: b.yaml, type: arazzo}"


def called(arazzo: Arazzo, step: str, code: str, sources: str = "") -> list[str]:
    """The calls of a step that compiles with a warning at its first line."""
    first, _, rest = step.partition("\n")
    arazzo.tolerated(one_step(f"{first} # HERE\n{rest}"), code, sources=sources)
    return arazzo.run(one_step(step), sources=sources).calls


@tolerance(
    "operation-case",
    "`operationId: ListPets` for `listPets`",
    "the only operation that differs in case alone",
    "`operationId: listPets`",
)
def test_operation_case(arazzo: Arazzo) -> None:
    assert called(arazzo, "operationId: ListPets", "operation-case") == ["GET /pets"]


@tolerance(
    "operation-unqualified",
    "a plain `operationId` where there are several sources",
    "the operation of the only source that has it",
    "`operationId: $sourceDescriptions.shop.listPets`",
)
def test_operation_unqualified(arazzo: Arazzo) -> None:
    arazzo.write("other.yaml", OTHER)
    assert called(arazzo, "operationId: listPets", "operation-unqualified", SECOND) == ["GET /pets"]


@tolerance(
    "operation-spelling",
    "`operationId: shop.listPets`",
    "the operation of that source",
    "`operationId: $sourceDescriptions.shop.listPets`",
)
def test_source_and_operation(arazzo: Arazzo) -> None:
    assert called(arazzo, "operationId: shop.listPets", "operation-spelling") == ["GET /pets"]


@tolerance(
    "operation-spelling",
    "an `operationPath` such as `shop#/paths/~1pets/get` given as `operationId`",
    "the operation at that path",
    "`operationPath: '{$sourceDescriptions.shop.url}#/paths/~1pets/get'`",
)
def test_path_as_id(arazzo: Arazzo) -> None:
    assert called(arazzo, "operationId: 'shop#/paths/~1pets/get'", "operation-spelling") == ["GET /pets"]


@tolerance(
    "operation-spelling",
    "an `operationPath` in its full form given as `operationId`",
    "the operation at that path",
    "the same text as `operationPath`",
)
def test_full_path_as_id(arazzo: Arazzo) -> None:
    step = "operationId: '{$sourceDescriptions.shop.url}#/paths/~1pets/get'"
    assert called(arazzo, step, "operation-spelling") == ["GET /pets"]


@tolerance(
    "operation-spelling",
    "an `operationId` given as `operationPath`",
    "the operation of that id",
    "the same text as `operationId`",
)
def test_id_as_path(arazzo: Arazzo) -> None:
    assert called(arazzo, "operationPath: $sourceDescriptions.shop.listPets", "operation-spelling") == [
        "GET /pets"
    ]


@tolerance(
    "operation-by-path",
    "`GET /pets` as `operationId` or `operationPath`",
    "the operation of that method and path",
    "`operationPath: '{$sourceDescriptions.shop.url}#/paths/~1pets/get'`",
)
def test_method_and_path(arazzo: Arazzo) -> None:
    assert called(arazzo, "operationPath: GET /pets", "operation-by-path") == ["GET /pets"]
    assert called(arazzo, "operationId: get /pets", "operation-by-path") == ["GET /pets"]


@tolerance(
    "operation-by-path",
    "`/search` as `operationPath`, where the path has one method",
    "its only operation",
    "`operationPath: '{$sourceDescriptions.shop.url}#/paths/~1search/get'`",
)
def test_path_alone(arazzo: Arazzo) -> None:
    assert called(arazzo, "operationPath: /search", "operation-by-path") == ["GET /search"]


@tolerance(
    "operation-path-method",
    "an `operationPath` that ends at a path with one method",
    "its only operation",
    "the method after the path: `#/paths/~1search/get`",
)
def test_path_without_method(arazzo: Arazzo) -> None:
    step = "operationPath: '{$sourceDescriptions.shop.url}#/paths/~1search'"
    assert called(arazzo, step, "operation-path-method") == ["GET /search"]


@tolerance(
    "operation-path-source",
    "`operationPath: shop#/paths/~1pets/get`, or with the source's file name",
    "a path of that source",
    "`operationPath: '{$sourceDescriptions.shop.url}#/paths/~1pets/get'`",
)
def test_source_of_path(arazzo: Arazzo) -> None:
    for source in ("shop", "$sourceDescriptions.shop.url", "./shop.yaml", ""):
        step = f"operationPath: '{source}#/paths/~1pets/get'"
        assert called(arazzo, step, "operation-path-source") == ["GET /pets"]


@tolerance(
    "workflow-case",
    "`workflowId: Find` for `find`",
    "the only workflow that differs in case alone",
    "`workflowId: find`",
)
def test_workflow_case(arazzo: Arazzo) -> None:
    text = one_step("workflowId: Find # HERE") + one_step("operationId: search", name="find")
    arazzo.tolerated(text, "workflow-case")
    assert arazzo.run(text).calls == ["GET /search"]


@tolerance(
    "workflow-spelling",
    "`workflowId: b.find`",
    "the workflow of that source",
    "`workflowId: $sourceDescriptions.b.find`",
)
def test_workflow_of_source(arazzo: Arazzo) -> None:
    arazzo.document(one_step("operationId: search", name="find"), "b.yaml")
    assert called(arazzo, "workflowId: b.find", "workflow-spelling", B) == ["GET /search"]


@tolerance(
    "workflow-spelling",
    "`workflowId: $sourceDescriptions.b.workflows.find`",
    "the workflow of that source",
    "`workflowId: $sourceDescriptions.b.find`",
)
def test_workflows_of_source(arazzo: Arazzo) -> None:
    arazzo.document(one_step("operationId: search", name="find"), "b.yaml")
    step = "workflowId: $sourceDescriptions.b.workflows.find"
    assert called(arazzo, step, "workflow-spelling", B) == ["GET /search"]


@tolerance("step-spelling", "`stepId: $steps.t` in an action", "the step of that id", "`stepId: t`")
def test_step_spelling(arazzo: Arazzo) -> None:
    text = """
    - workflowId: w
      steps:
      - {stepId: s, operationId: search, onSuccess: [{name: on, type: goto, stepId: $steps.t}]} # HERE
      - {stepId: u, operationId: filter}
      - {stepId: t, operationId: listPets}
    """
    arazzo.tolerated(text, "step-spelling")
    assert arazzo.run(text).steps == ["s", "t"]


@tolerance(
    "implied-dependency",
    "`$workflows.first.outputs.x` without `dependsOn`",
    "the workflow runs before",
    "`dependsOn: [first]`",
)
def test_implied_dependency(arazzo: Arazzo) -> None:
    text = one_step(
        "operationId: listPets\nparameters:\n- {name: limit, in: query, value: $workflows.f.outputs.n} # HERE"
    )
    text += one_step("operationId: search\noutputs:\n  n: $response.body.n", name="f")
    arazzo.tolerated(text, "implied-dependency")
    assert arazzo.run(text, reply(200, {"n": 3}), reply(200)).calls == ["GET /search", "GET /pets?limit=3"]
