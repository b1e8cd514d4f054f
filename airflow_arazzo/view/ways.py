"""Steps and the ways between them as JSON, which travels with the stored DAG to the API server.

Airflow's graph has the tasks, and an arrow where one may follow another. What it lacks is in here: jumps
back, retries, conditions, and the steps inside a loop.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from airflow_arazzo.operators.graph import Component
from airflow_arazzo.operators.layout import label
from airflow_arazzo.plan.flow import falls_through
from airflow_arazzo.plan.model import Action, OperationCall, Plan, Step, WorkflowCall


def steps_as_json(plan: Plan, part: Component, number: int) -> str:
    """The steps of a component.

    :param number: of the component among those of the DAG.
    :return: a JSON object: ``number``, ``name`` (of the component), and ``steps``, each with ``id`` (its
        position in the run), ``calls``, and ``ways``: ``to`` (a position, empty for the end), ``when`` and
        ``failed``.
    """
    workflow = plan.workflows[part.workflow]
    steps = []
    for index, step in enumerate(workflow.steps):
        if step.id not in part.steps:
            continue
        ways = [_way(action, part, plan, failed=False) for action in step.on_success]
        if falls_through(step):
            ways.append(_on(_after(plan, part.calls, index, workflow.steps)))
        ways += [_way(action, part, plan, failed=True) for action in step.on_failure]
        steps.append({"id": label((*part.calls, step.id)), "calls": _called(step), "ways": ways})
    return json.dumps({"number": number, "name": part.name, "steps": steps}, ensure_ascii=False)


def _called(step: Step) -> str:
    call = step.call
    return f"{call.method} {call.path}" if isinstance(call, OperationCall) else f"workflow {call.workflow}"


def _on(to: str) -> dict[str, Any]:
    return {"to": to, "when": "", "failed": False}


def _after(plan: Plan, calls: Sequence[str], index: int, steps: Sequence[Step]) -> str:
    """The position that follows a step in the document; that behind the calling step at the end of a called
    workflow.
    """
    if index + 1 < len(steps):
        return label((*calls, steps[index + 1].id))
    if not calls:
        return ""
    around = plan.root
    for each in calls[:-1]:
        call = next(step.call for step in around.steps if step.id == each)
        assert isinstance(call, WorkflowCall)  # noqa: S101 - others are in no path of calls
        around = plan.workflows[call.workflow]
    place = next(n for n, step in enumerate(around.steps) if step.id == calls[-1])
    return _after(plan, calls[:-1], place, around.steps)


def _way(action: Action, part: Component, plan: Plan, *, failed: bool) -> dict[str, Any]:
    when = " and ".join(each.condition for each in action.criteria)
    if action.type == "retry":
        limit = 1 if action.retry_limit is None else action.retry_limit
        return {"retry": limit, "to": "", "when": when, "failed": failed}
    if action.workflow:
        return {"workflow": plan.workflows[action.workflow].id, "to": "", "when": when, "failed": failed}
    to = label((*part.calls, action.step)) if action.step else ""
    return {"to": to, "when": when, "failed": failed}
