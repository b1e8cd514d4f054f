"""Markdown for the DAG's and the tasks' documentation panels.

Airflow 3.3 renders tables there, and no Mermaid: where the ways go is said in the table of steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_arazzo.description.diagnostics import Diagnostic, Severity
from airflow_arazzo.expression.model import Template
from airflow_arazzo.plan.flow import StepGraph
from airflow_arazzo.plan.model import Action, OperationCall, Plan, Step
from airflow_arazzo.plan.reads import expressions


def workflow_doc(plan: Plan) -> str:
    """What a DAG's documentation shows: the workflow, its inputs, steps, outputs and compile findings."""
    workflow = plan.root
    parts = [f"### {workflow.summary or workflow.id}", workflow.description]
    parts += [_inputs(plan), _steps(plan), _outputs(plan), _findings(plan.diagnostics)]
    origin = " ".join(part for part in (plan.title, plan.version) if part)
    parts.append(f"From `{workflow.file}`, workflow `{workflow.id}`{f' ({origin})' if origin else ''}.")
    return "\n\n".join(part.strip() for part in parts if part.strip())


def step_doc(step: Step, file: str = "") -> str:
    """What a task's documentation shows.

    :param file: name of the document.
    """
    lines = [step.description.strip(), f"Calls {called(step)}."]
    if isinstance(step.call, OperationCall):
        lines.append(step.call.summary.strip())
        if step.call.documentation:
            lines.append(f"[Documentation of the operation]({step.call.documentation})")
    if step.criteria:
        lines.append("Succeeds when " + " and ".join(f"`{c.condition}`" for c in step.criteria) + ".")
    if step.outputs:
        lines.append("Outputs: " + ", ".join(f"`{name}`" for name in step.outputs) + ".")
    if file and step.line:
        lines.append(f"Written in `{file}`, line {step.line}.")
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
        f"| {number} | `{step.id}` | {called(step)} | {_cell(_then(step, steps[number:], plan))} | "
        f"{'' if step.id in used else '(nothing leads to this step) '}{_cell(step.description)} |"
        for number, step in enumerate(steps, 1)
    ]
    return "\n".join(["#### Steps", "", "| | step | calls | then | |", "|---|---|---|---|---|", *rows])


def _then(step: Step, rest: Sequence[Step], plan: Plan) -> str:
    """Where the way goes from a step, as far as the document says more than the next one."""
    ways = [_way(action, "", plan) for action in step.on_success]
    if ways and all(action.criteria for action in step.on_success):
        ways.append(f"else on to `{rest[0].id}`" if rest else "else the end")
    ways += [_way(action, "failed: ", plan) for action in step.on_failure]
    if step.depends_on:
        ways.insert(0, "needs " + ", ".join(f"`{name}`" for name in step.depends_on))
    return "; ".join(ways)


def _way(action: Action, before: str, plan: Plan) -> str:
    """An action in a few words."""
    when = " and ".join(f"`{each.condition}`" for each in action.criteria)
    target = f"`{action.step}`" if action.step else ""
    if action.workflow:
        target = f"workflow `{plan.workflows[action.workflow].id}`"
    if action.type == "goto":
        what = f"go to {target}"
    elif action.type == "retry":
        limit = 1 if action.retry_limit is None else action.retry_limit
        what = ("retry once" if limit == 1 else f"retry {limit} times") + (
            f" after {target}" if target else ""
        )
        what += f", {action.retry_after} s apart" if action.retry_after else ""
    else:
        what = "end"
    return f"{before}{what}{f' if {when}' if when else ''}"


def _outputs(plan: Plan) -> str:
    rows = [f"| `{name}` | {_origin(template)} |" for name, template in plan.root.outputs.items()]
    return "\n".join(["#### Outputs", "", "| output | from |", "|---|---|", *rows]) if rows else ""


def _origin(template: Template) -> str:
    """The expressions that a value is made of."""
    return _cell(", ".join(f"`{each.text}`" for each in expressions(template) if each.text))


def _findings(diagnostics: tuple[Diagnostic, ...]) -> str:
    shown = [d for d in diagnostics if d.severity is Severity.WARNING]
    if not shown:
        return ""
    lines = [f"- `{d.code}` {d.position}: {d.message}{f' ({d.hint})' if d.hint else ''}" for d in shown]
    return "\n".join(["#### Warnings", "", *lines])
