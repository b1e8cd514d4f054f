"""Step Object: ``dependsOn`` and the order of steps (Arazzo 1.1)."""

from __future__ import annotations

from tests.conformance.harness import Arazzo, one_step, reply
from tests.conformance.rules import case, cases, rule

STEP = "Step Object"


def steps(*given: str, rest: str = "") -> str:
    return "- workflowId: w\n  steps:\n" + "".join(f"  - {{{step}}}\n" for step in given) + rest


@rule("1.1", STEP, "`dependsOn`: a step runs after the steps that it names, wherever they stand")
def test_depends_on(arazzo: Arazzo) -> None:
    text = steps(
        "stepId: a, operationId: search, dependsOn: [c]",
        "stepId: b, operationId: filter",
        "stepId: c, operationId: listPets",
    )
    run = arazzo.run(text)
    assert run.steps.index("c") < run.steps.index("a")
    assert sorted(run.steps) == ["a", "b", "c"]


@rule("1.1", STEP, "`dependsOn` of earlier steps changes nothing")
def test_depends_on_earlier(arazzo: Arazzo) -> None:
    text = steps(
        "stepId: a, operationId: search",
        "stepId: b, operationId: filter, dependsOn: [a]",
        "stepId: c, operationId: listPets, dependsOn: [b, a]",
    )
    assert arazzo.run(text).steps == ["a", "b", "c"]


@rule("1.1", STEP, "`dependsOn` runs nothing by itself: every step runs once")
def test_does_not_trigger(arazzo: Arazzo) -> None:
    text = steps(
        "stepId: a, operationId: search",
        "stepId: b, operationId: filter, dependsOn: [a]",
        "stepId: c, operationId: listPets, dependsOn: [a]",
    )
    assert arazzo.run(text).steps == ["a", "b", "c"]


@cases(
    "name",
    case("unknown", "1.1", STEP, "`dependsOn` names existing steps", "z"),
    case("case", "1.1", STEP, "`dependsOn` is case-sensitive", "A"),
    case("workflow", "1.1", STEP, "`dependsOn` names steps, not workflows", "w"),
)
def test_unknown(arazzo: Arazzo, name: str) -> None:
    text = f"""
    - workflowId: w
      steps:
      - {{stepId: a, operationId: search}}
      - stepId: b
        operationId: filter
        dependsOn:
        - {name} # HERE
    """
    arazzo.refused(text, "unknown-step")


@rule("1.1", STEP, "`dependsOn` may not go in a circle")
def test_circle(arazzo: Arazzo) -> None:
    text = """
    - workflowId: w
      steps:
      - {stepId: a, operationId: search, dependsOn: [b]} # HERE
      - {stepId: b, operationId: filter, dependsOn: [a]}
    """
    arazzo.refused(text, "dependency-cycle")


@rule("1.1", STEP, "`dependsOn`: a step does not run when a step that it names was jumped over")
def test_jumped_over(arazzo: Arazzo) -> None:
    text = steps(
        "stepId: a, operationId: search, onSuccess: [{name: on, type: goto, stepId: c}]",
        "stepId: b, operationId: filter",
        "stepId: c, operationId: listPets, dependsOn: [b]",
    )
    assert [each for each in arazzo.findings(text) if each.severity == "error"] or (
        arazzo.run(text, reply(200)).status == "failed"
    )


@rule("1.1", STEP, "`dependsOn`: `$workflows.<id>.steps.<id>` of a workflow that runs before")
def test_other_workflow(arazzo: Arazzo) -> None:
    text = """
    - workflowId: w
      dependsOn: [first]
      steps: [{stepId: a, operationId: search, dependsOn: [$workflows.first.steps.f]}]
    - workflowId: first
      steps: [{stepId: f, operationId: filter}]
    """
    assert arazzo.run(text).steps == ["f", "a"]
    arazzo.refused(text.replace("dependsOn: [first]", "summary: s"), "unknown-step")


@rule(
    "1.1",
    STEP,
    "`dependsOn`: `$workflows.<id>.steps.<id>` names an existing step",
)
def test_unknown_step_of_other_workflow(arazzo: Arazzo) -> None:
    text = """
    - workflowId: w
      dependsOn: [first]
      steps: [{stepId: a, operationId: search, dependsOn: [$workflows.first.steps.zzz]}] # HERE
    - workflowId: first
      steps: [{stepId: f, operationId: filter}]
    """
    arazzo.refused(text, "unknown-step")


@rule("1.1", STEP, "`dependsOn`: `$sourceDescriptions.<name>.<workflowId>.steps.<id>`")
def test_other_document(arazzo: Arazzo) -> None:
    arazzo.document(one_step("operationId: filter", name="first"), "b.yaml")
    text = """
    - workflowId: w
      dependsOn: [$sourceDescriptions.b.first]
      steps: [{stepId: a, operationId: search, dependsOn: [$sourceDescriptions.b.first.steps.s]}]
    """
    assert arazzo.run(text, sources="- {name: b, url: b.yaml, type: arazzo}").calls == [
        "GET /filter",
        "GET /search",
    ]


READS = (
    (
        "stepId: a, operationId: search, parameters: [{name: q, "
        "in: querystring, value: 'x={$steps.b.outputs.code}'}]%s"
    ),
    "stepId: b, operationId: filter, outputs: {code: $statusCode}",
)


@rule("1.1", STEP, "reading an output is a dependency too, where steps are ordered by `dependsOn`")
def test_implicit_dependency(arazzo: Arazzo) -> None:
    text = steps(READS[0] % "", READS[1], "stepId: c, operationId: listPets, dependsOn: [a]")
    run = arazzo.run(text)
    assert run.steps.index("b") < run.steps.index("a") < run.steps.index("c")
    assert run.calls[run.steps.index("a")] == "GET /search?x=200"


@rule("1.1", STEP, "explicit dependencies and those by outputs both hold")
def test_both_dependencies(arazzo: Arazzo) -> None:
    text = steps(READS[0] % ", dependsOn: [c]", READS[1], "stepId: c, operationId: listPets")
    run = arazzo.run(text)
    assert run.steps[-1] == "a"
    assert run.calls[-1] == "GET /search?x=200"


@rule("1.0 1.1", STEP, "without `dependsOn`, reading outputs of a later step is refused")
def test_forward_reference(arazzo: Arazzo) -> None:
    text = (
        "- workflowId: w\n  steps:\n  - stepId: a\n    operationId: search\n    parameters:\n"
        "    - name: q\n      in: query\n      value: $steps.b.outputs.code # HERE\n"
        f"  - {{{READS[1]}}}\n"
    )
    arazzo.refused(text, "forward-reference")


@rule("1.0 1.1", STEP, "a loop may read outputs of later steps of the round before")
def test_loop_reads_later_steps(arazzo: Arazzo) -> None:
    text = """
    - workflowId: w
      steps:
      - stepId: a
        operationId: listPets
        parameters: [{name: status, in: query, value: $steps.b.outputs.next}]
      - stepId: b
        operationId: search
        outputs: {next: $response.body#/next}
        onSuccess:
        - {name: more, type: goto, stepId: a, criteria: [{condition: $response.body#/next != null}]}
    """
    run = arazzo.run(text, reply(200), reply(200, {"next": "p2"}), reply(200), reply(200, {}))
    assert run.calls[::2] == ["GET /pets", "GET /pets?status=p2"]
