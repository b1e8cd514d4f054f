"""From a plan to tasks: what a DAG and a task group have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

from airflow.sdk import Asset, BaseOperator, TaskGroup, TriggerRule

from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.ledger.declare import declare
from airflow_arazzo.operators.graph import Component, end_of, task_names
from airflow_arazzo.operators.outputs import ArazzoConclusionOperator, ArazzoOutputsOperator
from airflow_arazzo.operators.step import ArazzoStepOperator
from airflow_arazzo.plan.model import Plan, WorkflowCall
from airflow_arazzo.shape import TaskShape

Declarations = Mapping[str, Mapping[str, Any] | None]
"""What a deployment says of its services' idempotency; see :func:`airflow_arazzo.ledger.declare.declare`."""


class UnknownName(ValueError):
    """An argument names an input or a source that the workflow does not have."""


def check_names(plan: Plan, inputs: Mapping[str, Any], connections: Mapping[str, str]) -> None:
    """Make sure that arguments name inputs and sources of the workflow.

    :raises UnknownName: for one that does not exist, or that is a credential.
    """
    properties = plan.root.inputs.get("properties") or {}
    for name in inputs:
        if name in plan.root.credentials:
            source = plan.root.credentials[name].source
            raise UnknownName(f"inputs: {name!r} is a credential; it comes from the connection of {source!r}")
        if name not in properties and plan.root.inputs.get("additionalProperties", False) is False:
            raise UnknownName(_unknown("inputs", name, properties))
    for name in connections:
        if name not in plan.sources:
            raise UnknownName(_unknown("connections", name, plan.sources))


def check_probes(probes: Mapping[str, Any] | None, *, ledger: bool) -> None:
    """Make sure that there is a ledger that lookups can tell what they find.

    :raises UnknownName: without one.
    """
    if probes and not ledger:
        raise UnknownName("probes: lookups settle what the ledger does not know, and there is no ledger")


def declared(plan: Plan, idempotency: Declarations | None) -> Plan:
    """The plan with what the deployment declares of its services.

    :raises UnknownName: for declarations that are not for this workflow, or of another form.
    """
    if not idempotency:
        return plan
    try:
        return declare(plan, idempotency)
    except ValueError as error:
        raise UnknownName(f"idempotency: {error}") from None


def _unknown(argument: str, name: str, known: Mapping[str, Any]) -> str:
    hint = did_you_mean(name, known)
    return f"{argument}: there is no {name!r}{f'; {hint}' if hint else ''}"


def build_tasks(
    plan: Plan,
    shapes: Sequence[TaskShape],
    *,
    inputs: Mapping[str, Any],
    connections: Mapping[str, str],
    use_params: bool,
    absent_text: Literal["fail", "empty"],
    publish_each: bool = False,
    ledger: bool = True,
    identity: str = "",
    namespace: str = "",
) -> dict[str, ArazzoStepOperator]:
    """Make the tasks of a workflow in the DAG or task group that is being built, and join them.

    Steps of called workflows are in task groups with the names of the calling steps.

    :param shapes: what the tasks are; see :func:`~airflow_arazzo.shape.shape_of`.
    :return: tasks by name, each after those it can follow.
    """
    groups = _Groups(plan)
    tasks: dict[str, ArazzoStepOperator] = {}
    for shape in shapes:
        part = shape.component
        kind = ArazzoStepOperator if part.steps else ArazzoConclusionOperator
        with groups.of(part):
            task = tasks[part.name] = kind(
                task_id=part.name.rpartition(".")[2],
                plan=plan,
                component=part,
                inputs=inputs,
                connections=connections,
                use_params=use_params,
                absent_text=absent_text,
                publish_each=publish_each,
                ledger=ledger,
                identity=identity,
                namespace=namespace,
                doc_md=shape.doc_md,
                doc_json=shape.doc_json,
                **_fixed(part),
                **({"task_display_name": shape.display_name} if shape.display_name else {}),
            )
        if shape.kind:
            task.ui_color = shape.color
            # The graph shows it below the name of the task; Airflow 3.3 shows no colours of operators.
            task.custom_operator_name = shape.kind
        for way in part.upstream:
            tasks[way.task] >> task
    return tasks


class _Groups:
    """The task groups of called workflows, made as they are needed."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._made: dict[str, TaskGroup] = {}

    def of(self, part: Component) -> AbstractContextManager[Any]:
        """The group of a component; the one under construction for steps of the outermost workflow."""
        path = part.name.split(".")[:-1]
        workflow = self._plan.root
        group: AbstractContextManager[Any] = nullcontext()
        parent: TaskGroup | None = None
        for depth, (name, step_id) in enumerate(zip(path, part.calls, strict=True), 1):
            step = next(step for step in workflow.steps if step.id == step_id)
            assert isinstance(step.call, WorkflowCall)  # noqa: S101 - others are in no path of calls
            workflow = self._plan.workflows[step.call.workflow]
            full = ".".join(path[:depth])
            if full not in self._made:
                self._made[full] = TaskGroup(
                    group_id=name,
                    parent_group=parent,
                    group_display_name=step.id if step.id != name else "",
                    tooltip=step.description or workflow.summary,
                )
            group = parent = self._made[full]
        return group


def add_outputs_task(tasks: Mapping[str, ArazzoStepOperator]) -> BaseOperator | None:
    """The task behind a workflow that can end in several places, made if need be; None if it ends in one."""
    parts = [task.component for task in tasks.values()]
    if not parts[-1].steps:
        return tasks[parts[-1].name]
    if not any(part.asks for part in parts):
        return None
    end = end_of(parts, task_names([*tasks, "outputs"])[-1])
    arguments = {**_fixed(end), "multiple_outputs": True}
    task = ArazzoOutputsOperator(
        task_id=end.name, component=end, doc_md="Outputs of the workflow, wherever it ends.", **arguments
    )
    for way in end.upstream:
        tasks[way.task] >> task
    return task


def set_outlets(
    tasks: Mapping[str, ArazzoStepOperator], end: BaseOperator | None, outlets: Sequence[Asset]
) -> None:
    """Let a workflow update assets: in the one task that succeeds only when the workflow has.

    :param end: the task of :func:`add_outputs_task`, if there is one.
    """
    task = end if end is not None else list(tasks.values())[-1]
    task.outlets = [*task.outlets, *outlets]


def _fixed(part: Component) -> dict[str, Any]:
    """Arguments that are not for ``default_args`` to choose: the way through the workflow hangs on them."""
    # Where ways meet or part, tasks upstream may be skipped; nowhere may they have failed.
    rule = TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS if part.asks else TriggerRule.ALL_SUCCESS
    return {"trigger_rule": rule, "do_xcom_push": True, "multiple_outputs": not part.steps}
