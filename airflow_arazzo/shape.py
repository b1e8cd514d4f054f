"""What the DAG of a workflow consists of: which steps each task runs, what the UI shows and asks for.

It follows from the plan alone. Airflow parses a DAG file all the time, and to read this takes less than to
work it out, so the cache keeps it beside the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec

from airflow_arazzo.docs import step_doc, workflow_doc
from airflow_arazzo.form import FormInput, form_inputs
from airflow_arazzo.operators.graph import Component, components
from airflow_arazzo.plan.cache import Derivation
from airflow_arazzo.plan.model import OperationCall, Plan, Step, WorkflowCall
from airflow_arazzo.view.ways import steps_as_json

FORMAT = 1
"""Goes up whenever another shape is made of the same plan."""

LONGEST_DISPLAY_NAME = 48
"""Characters of the name that a task has in the UI, where it says more than the step's id."""


class TaskShape(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task.

    :param component: the steps that it runs; without any it concludes the workflow.
    :param doc_md: its documentation.
    :param doc_json: its steps and the ways between them, as JSON; None without steps.
    :param display_name: its name in the UI; empty where that is its id.
    :param kind: what stands where the UI names the operator; empty for the operator's own name.
    :param color: of its box; empty for the operator's own.
    """

    component: Component
    doc_md: str
    doc_json: str | None = None
    display_name: str = ""
    kind: str = ""
    color: str = ""


class Shape(msgspec.Struct, frozen=True):
    """What a DAG of a workflow consists of.

    :param doc_md: documentation of the workflow.
    :param inputs: what the trigger form can ask for.
    :param tasks: each after those it can follow.
    """

    doc_md: str
    inputs: tuple[FormInput, ...]
    tasks: tuple[TaskShape, ...]


def shape_of(plan: Plan, *, parallel: bool = False) -> Shape:
    """The shape of a plan.

    :param parallel: whether steps that share no data and no declared order run side by side.
    """
    parts = components(plan, parallel=parallel)
    tasks = tuple(_task(plan, part, number) for number, part in enumerate(parts))
    return Shape(workflow_doc(plan), form_inputs(plan.root), tasks)


_SHAPES = {
    parallel: Derivation(
        f"shape {FORMAT}{', parallel' if parallel else ''}",
        partial(shape_of, parallel=parallel),
        msgspec.json.Decoder(Shape),
    )
    for parallel in (False, True)
}


def derivation(*, parallel: bool) -> Derivation[Shape]:
    """How the cache comes by the shape of a plan."""
    return _SHAPES[parallel]


def _task(plan: Plan, part: Component, number: int) -> TaskShape:
    if not part.steps:
        return TaskShape(part, "Outputs of the workflow, when all its steps have run.")
    workflow = plan.workflows[part.workflow]
    by_id = {step.id: step for step in workflow.steps}
    kind, color = _kind(part, by_id[part.steps[0]])
    return TaskShape(
        part,
        "\n\n---\n\n".join(step_doc(by_id[name], workflow.file) for name in part.steps),
        steps_as_json(plan, part, number),
        _display_name(part, by_id),
        kind,
        color,
    )


def _display_name(part: Component, steps: Mapping[str, Step]) -> str:
    """What a loop consists of; else the step's own id, with the operation's summary where that is short."""
    if part.is_loop:
        return "loop: " + ", ".join(part.steps)
    step = steps[part.steps[0]]
    summary = step.call.summary.strip() if isinstance(step.call, OperationCall) else ""
    name = f"{step.id}: {summary}" if summary else step.id
    if len(name) > LONGEST_DISPLAY_NAME or "\n" in name or _same(step.id, summary):
        name = step.id
    return "" if name == part.name.rpartition(".")[2] else name


def _same(step_id: str, summary: str) -> bool:
    """Whether a summary says what the id says."""
    return _letters(step_id) == _letters(summary)


def _letters(text: str) -> str:
    return "".join(each for each in text.casefold() if each.isalnum())


def _kind(part: Component, step: Step) -> tuple[str, str]:
    """What kind of step a task runs, in words and as a colour."""
    call = step.call
    polls = any(action.type == "goto" and action.step == step.id for action in step.on_success)
    if part.is_loop or polls:
        return "loop", "#fff3bf"
    if isinstance(call, WorkflowCall):
        return "calls a workflow", "#e5dbff"
    if part.needs.only_safe:
        return f"{call.method}, reads", "#d3f9d8"
    return f"{call.method}, effect", "#ffe8cc"
