"""Markdown for the DAG's and the tasks' documentation panels."""

from __future__ import annotations

from airflow_arazzo.description.diagnostics import Diagnostic, Severity
from airflow_arazzo.plan.flow import StepGraph
from airflow_arazzo.plan.model import OperationCall, Plan, Step


def workflow_doc(plan: Plan) -> str:
    """What a DAG's documentation shows: the workflow, its inputs, steps, outputs and compile findings."""
    workflow = plan.root
    parts = [f"### {workflow.summary or workflow.id}", workflow.description]
    parts += [_inputs(plan), _steps(plan), _outputs(plan), _findings(plan.diagnostics)]
    origin = " ".join(part for part in (plan.title, plan.version) if part)
    parts.append(f"From `{workflow.file}`, workflow `{workflow.id}`{f' ({origin})' if origin else ''}.")
    return "\n\n".join(part.strip() for part in parts if part.strip())


def step_doc(step: Step) -> str:
    """What a task's documentation shows."""
    lines = [step.description.strip(), f"Calls {called(step)}."]
    if isinstance(step.call, OperationCall):
        lines.append(step.call.summary.strip())
        if step.call.documentation:
            lines.append(f"[Documentation of the operation]({step.call.documentation})")
    if step.criteria:
        lines.append("Succeeds when " + " and ".join(f"`{c.condition}`" for c in step.criteria) + ".")
    if step.outputs:
        lines.append("Outputs: " + ", ".join(f"`{name}`" for name in step.outputs) + ".")
    return "\n\n".join(line for line in lines if line)


def called(step: Step) -> str:
    """What a step calls, in a few words of Markdown."""
    if isinstance(step.call, OperationCall):
        return f"`{step.call.method} {step.call.path}` of `{step.call.source}`"
    return f"workflow `{step.call.workflow}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _inputs(plan: Plan) -> str:
    properties = plan.root.inputs.get("properties") or {}
    required = plan.root.inputs.get("required") or ()
    rows = [
        f"| `{name}` | {_cell(str(schema.get('type', '')))} | {'yes' if name in required else ''} "
        f"| {_cell(str(schema.get('description', '')))} |"
        for name, schema in properties.items()
        if isinstance(schema, dict)
    ]
    rows += [
        f"| `{name}` | credential | | from the connection of `{credential.source}` |"
        for name, credential in plan.root.credentials.items()
    ]
    head = ["#### Inputs", "", "| input | type | required | |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) if rows else ""


def _steps(plan: Plan) -> str:
    steps = plan.root.steps
    used = {steps[0].id, *StepGraph.of(steps).reachable(steps[0].id)}
    rows = [
        f"| {number} | `{step.id}` | {called(step)} | "
        f"{'' if step.id in used else '(nothing leads to this step) '}{_cell(step.description)} |"
        for number, step in enumerate(steps, 1)
    ]
    return "\n".join(["#### Steps", "", "| | step | calls | |", "|---|---|---|---|", *rows])


def _outputs(plan: Plan) -> str:
    names = ", ".join(f"`{name}`" for name in plan.root.outputs)
    return f"#### Outputs\n\n{names}" if names else ""


def _findings(diagnostics: tuple[Diagnostic, ...]) -> str:
    shown = [d for d in diagnostics if d.severity is Severity.WARNING]
    if not shown:
        return ""
    lines = [f"- `{d.code}` {d.position}: {d.message}{f' ({d.hint})' if d.hint else ''}" for d in shown]
    return "\n".join(["#### Warnings", "", *lines])
