"""What the UI shows of a task beside its arguments."""

from __future__ import annotations

from airflow_arazzo.operators.graph import Component
from airflow_arazzo.plan.model import OperationCall, Plan

SHOWN = ("document", "documentation", "request", "response")
"""Template fields that are none: where the step is written, the URL of its operation's documentation, and,
when the task has ended, what it sent last and what came of it."""


def origin(plan: Plan, component: Component) -> tuple[str | None, str | None]:
    """Where a component's first step is written, as ``FILE:LINE``, and the URL of its operation's
    documentation; None for what there is not.
    """
    workflow = plan.workflows[component.workflow or plan.workflow]
    step = next((each for each in workflow.steps if each.id in component.steps), None)
    if step is None:
        return None, None
    line = f"{workflow.file}:{step.line}" if workflow.file and step.line else None
    url = step.call.documentation if isinstance(step.call, OperationCall) else ""
    # Airflow takes the field for a template.
    return line, url if url and not any(mark in url for mark in ("{{", "{%", "{#")) else None
