"""What is known of a workflow once its steps are compiled: order, reads that come too early, credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from airflow_arazzo.description.arazzo import StepObject, WorkflowObject
from airflow_arazzo.description.documents import Report
from airflow_arazzo.expression.model import Expression, Template
from airflow_arazzo.plan.flow import StepGraph, execution_order
from airflow_arazzo.plan.inputs import InputSchema
from airflow_arazzo.plan.model import Action, CredentialInput, OperationCall, Step, Workflow, WorkflowCall
from airflow_arazzo.plan.templates import expressions
from airflow_arazzo.plan.workflow import Flows


def request_expressions(step: Step) -> Iterator[Expression]:
    """Expressions evaluated before and while the step's response is judged: call and criteria."""
    call = step.call
    if isinstance(call, OperationCall):
        for parameter in call.parameters:
            yield from expressions(parameter.value)
        if call.body:
            yield from expressions(call.body.payload)
            for replacement in call.body.replacements:
                yield from expressions(replacement.value)
    else:
        for _, template in call.inputs:
            yield from expressions(template)
    for criterion in step.criteria:
        yield from expressions(criterion)


def result_expressions(step: Step) -> Iterator[Expression]:
    """Expressions evaluated after the step's outputs are known: outputs and actions."""
    for template in step.outputs.values():
        yield from expressions(template)
    for action in (*step.on_success, *step.on_failure):
        yield from _action_expressions(action)


def _action_expressions(action: Action) -> Iterator[Expression]:
    for criterion in action.criteria:
        yield from expressions(criterion)
    for _, template in action.inputs:
        yield from expressions(template)


def all_expressions(steps: Sequence[Step], outputs: Mapping[str, Template]) -> Iterator[Expression]:
    """Every expression of a workflow."""
    for step in steps:
        yield from request_expressions(step)
        yield from result_expressions(step)
    for template in outputs.values():
        yield from expressions(template)


def ordered(steps: Sequence[Step], written: WorkflowObject, report: Report) -> tuple[Step, ...]:
    """Steps in their order of execution: the document's, unless a step ``dependsOn`` others."""
    if not any(step.depends_on for step in steps):
        return tuple(steps)
    needs = {
        step.id: {*step.depends_on, *(e.scope for e in request_expressions(step) if e.root == "steps")}
        - {step.id}
        for step in steps
    }
    try:
        order = execution_order([step.id for step in steps], needs)
    except ValueError as circle:
        names = ", ".join(str(name) for name in circle.args)
        at = written.at.get("steps") or written.at
        report.error("dependency-cycle", f"steps wait for each other: {names}", at)
        return tuple(steps)
    by_id = {step.id: step for step in steps}
    return tuple(by_id[name] for name in order)


def check_reads(steps: Sequence[Step], written: Mapping[str, StepObject], report: Report) -> None:
    """Report steps that read outputs of steps which cannot have run before them."""
    before = StepGraph.of(steps).before()
    for step in steps:
        reads = [(e, e.scope in before[step.id]) for e in request_expressions(step) if e.root == "steps"]
        reads += [
            (e, e.scope in before[step.id] or e.scope == step.id)
            for e in result_expressions(step)
            if e.root == "steps"
        ]
        for expression, known in reads:
            if not known:
                at = written[step.id].at
                message = f"step {step.id!r} reads {expression.text or '$steps.' + expression.scope}"
                later = f", but step {expression.scope!r} cannot have run before it"
                report.error("forward-reference", message + later, at, "read outputs of earlier steps only")


def credential_inputs(
    steps: Sequence[Step],
    outputs: Mapping[str, Template],
    schema: InputSchema,
    flows: Flows,
    called: Mapping[str, Workflow],
) -> dict[str, CredentialInput]:
    """Inputs whose value comes from a connection: they feed credentials, or the schema calls them secret."""
    found = dict(_handed_on(steps, called))
    sites = {name: CredentialInput(source, scheme) for name, (source, scheme) in flows.sites.items()}
    found = {**found, **sites}
    for expression in _ordinary_uses(steps, outputs, called):
        if expression.root == "inputs" and expression.name in found:
            found[expression.name] = msgspec.structs.replace(found[expression.name], scheme="")
    for name in sorted(schema.secrets - set(found)):
        found[name] = CredentialInput(_first_source(steps, name))
    required = schema.schema.get("required") or ()
    return {name: msgspec.structs.replace(each, required=name in required) for name, each in found.items()}


def _handed_on(
    steps: Sequence[Step], called: Mapping[str, Workflow]
) -> Iterator[tuple[str, CredentialInput]]:
    """Inputs that become credential inputs of a called workflow."""
    for step in steps:
        for key, inputs in _calls(step):
            theirs = called[key].credentials if key in called else {}
            for name, template in inputs:
                if name in theirs and isinstance(template, Expression) and template.root == "inputs":
                    yield template.name, theirs[name]


def _calls(step: Step) -> Iterator[tuple[str, tuple[tuple[str, Template], ...]]]:
    if isinstance(step.call, WorkflowCall):
        yield step.call.workflow, step.call.inputs
    for action in (*step.on_success, *step.on_failure):
        if action.workflow:
            yield action.workflow, action.inputs


def _ordinary_uses(
    steps: Sequence[Step], outputs: Mapping[str, Template], called: Mapping[str, Workflow]
) -> Iterator[Expression]:
    """Expressions that are neither a credential parameter nor handed on as a credential."""
    for step in steps:
        yield from _uses_in_step(step)
        for key, inputs in _calls(step):
            theirs = called[key].credentials if key in called else {}
            for name, template in inputs:
                if name not in theirs:
                    yield from expressions(template)
    for template in outputs.values():
        yield from expressions(template)


def _uses_in_step(step: Step) -> Iterator[Expression]:
    if isinstance(step.call, OperationCall):
        for parameter in step.call.parameters:
            if not parameter.credential:
                yield from expressions(parameter.value)
        if step.call.body:
            yield from expressions(step.call.body.payload)
            for replacement in step.call.body.replacements:
                yield from expressions(replacement.value)
    for criterion in step.criteria:
        yield from expressions(criterion)
    for template in step.outputs.values():
        yield from expressions(template)
    for action in (*step.on_success, *step.on_failure):
        for criterion in action.criteria:
            yield from expressions(criterion)


def _first_source(steps: Sequence[Step], name: str) -> str:
    """The source of the first operation that uses an input; else of the first operation."""
    sources = [step.call.source for step in steps if isinstance(step.call, OperationCall)]
    for step in steps:
        if isinstance(step.call, OperationCall):
            uses = (e.name for e in request_expressions(step) if e.root == "inputs")
            if name in uses:
                return step.call.source
    return sources[0] if sources else ""


def public_schema(schema: InputSchema, credentials: Mapping[str, CredentialInput]) -> dict[str, object]:
    """The schema of the inputs that a run is asked for: without credentials."""
    if not schema.schema:
        return {}
    shown = dict(schema.schema)
    properties = shown.get("properties")
    if isinstance(properties, dict):
        shown["properties"] = {name: value for name, value in properties.items() if name not in credentials}
    if isinstance(shown.get("required"), list):
        shown["required"] = [name for name in shown["required"] if name not in credentials]
        if not shown["required"]:
            del shown["required"]
    if credentials and "allOf" in shown:
        shown["allOf"] = [_without(part, credentials) for part in shown["allOf"]]
    return shown


def _without(part: object, credentials: Mapping[str, CredentialInput]) -> object:
    if not isinstance(part, dict):
        return part
    result = dict(part)
    if isinstance(result.get("required"), list):
        result["required"] = [name for name in result["required"] if name not in credentials]
    return result


def note_unused_inputs(
    steps: Sequence[Step], outputs: Mapping[str, Template], schema: InputSchema, report: Report
) -> None:
    """Note declared inputs that nothing reads."""
    used = {e.name for e in all_expressions(steps, outputs) if e.root == "inputs"}
    whole = any(e.root == "inputs" and not e.name for e in all_expressions(steps, outputs))
    for name, at in schema.places.items():
        if name not in used and not whole:
            report.note("unused-input", f"nothing reads the input {name!r}", at, key=True)


def with_secret_outputs(steps: Sequence[Step], flows: Flows) -> tuple[Step, ...]:
    """Steps that mark those of their outputs which are sent as credentials."""
    secret: dict[str, dict[str, None]] = {}
    for token in flows.tokens:
        secret.setdefault(token.scope, {})[token.name] = None
    return tuple(
        msgspec.structs.replace(step, secret_outputs=tuple(secret[step.id])) if step.id in secret else step
        for step in steps
    )
