"""Steps that depend on others (``dependsOn`` of a step), and ways that lead past those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_arazzo.plan.flow import uncertain_dependencies
from airflow_arazzo.plan.model import Plan
from tests.conformance.harness import Run, drive, reply

Compile = Callable[..., Plan]


def play(plan: Plan, *statuses: int) -> Run:
    return drive(plan, tuple(reply(status) for status in statuses), {}, {})


JUMP = """
- workflowId: w
  steps:
  - stepId: a
    operationId: list
    onSuccess: [{name: on, type: goto, stepId: c, criteria: [{condition: $statusCode == 202}]}]
  - {stepId: b, operationId: poll}
  - {stepId: c, operationId: start, dependsOn: [b]}
  - {stepId: d, operationId: list, dependsOn: [a]}
"""


def test_a_step_waits_for_nothing_where_all_have_run(compiled: Compile) -> None:
    plan = compiled(JUMP, version="1.1.0")
    assert play(plan).steps == ["a", "b", "c", "d"]
    assert uncertain_dependencies(plan.root.steps) == {"c": ("b",)}


def test_a_step_does_not_run_where_the_way_led_past_what_it_depends_on(compiled: Compile) -> None:
    """Going on without it would be as wrong as running it: the workflow has failed."""
    played = play(compiled(JUMP, version="1.1.0"), 202)
    assert played.steps == ["a"]
    failure = played.done.failure
    assert failure is not None
    assert (failure.code, failure.step, failure.fate) == ("dependency", "c", "not-sent")
    assert "it depends on step 'b', which has not run; nothing was sent" in failure.message


def test_a_handled_failure_has_run(compiled: Compile) -> None:
    handled = "operationId: poll, onFailure: [{name: h, type: goto, stepId: c}]"
    text = JUMP.replace("operationId: poll", handled)
    assert play(compiled(text, version="1.1.0"), 200, 404, 200, 200).steps == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("status", "steps"), [(202, ["a"]), (200, ["a", "b", "c", "d"])])
def test_inside_a_called_workflow(compiled: Compile, status: int, steps: list[str]) -> None:
    """Its caller's actions take over."""
    text = """
- workflowId: outer
  steps:
  - {stepId: call, workflowId: w, onFailure: [{name: on, type: goto, stepId: z}]}
  - {stepId: z, operationId: poll}
""" + JUMP.strip()
    played = play(compiled(text, version="1.1.0"), status, *[200] * len(steps))
    assert played.steps == [*steps, "z"]
    assert played.done.status == "succeeded"


def test_before_a_retry(compiled: Compile) -> None:
    """A step that cannot run before a retry exhausts it."""
    plan = compiled(
        """
        - workflowId: w
          steps:
          - stepId: a
            operationId: list
            onFailure: [{name: r, type: retry, stepId: c}, {name: on, type: goto, stepId: d}]
          - {stepId: b, operationId: poll}
          - {stepId: c, operationId: start, dependsOn: [b]}
          - {stepId: d, operationId: peek}
        """,
        version="1.1.0",
    )
    assert play(plan, 404, 200).steps == ["a", "d"]


def test_a_loop_remembers_its_earlier_rounds(compiled: Compile) -> None:
    plan = compiled(
        """
        - workflowId: w
          steps:
          - stepId: a
            operationId: list
            onSuccess: [{name: on, type: goto, stepId: c, criteria: [{condition: $statusCode == 202}]}]
          - {stepId: b, operationId: poll}
          - stepId: c
            operationId: start
            dependsOn: [b]
            onSuccess: [{name: back, type: goto, stepId: a, criteria: [{condition: $statusCode == 201}]}]
        """,
        version="1.1.0",
    )
    assert play(plan, 200, 200, 201, 202, 200).steps == ["a", "b", "c", "a", "c"]
