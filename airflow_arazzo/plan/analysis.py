"""What is known of a workflow once its steps are compiled: their order, and what they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import msgspec

from airflow_arazzo.description.arazzo import StepObject, WorkflowObject
from airflow_arazzo.description.diagnostics import Severity
from airflow_arazzo.description.documents import Location, Report, is_within
from airflow_arazzo.expression.model import Expression, Template
from airflow_arazzo.expression.pointer import format_pointer, parse_pointer
from airflow_arazzo.plan.flow import StepGraph, execution_order
from airflow_arazzo.plan.inputs import InputSchema
from airflow_arazzo.plan.model import OperationCall, Step
from airflow_arazzo.plan.reads import all_expressions, request_expressions, result_expressions


def with_read_outputs(steps: Sequence[Step], outputs: Mapping[str, Template]) -> list[Step]:
    """Steps with those outputs that others read though they do not declare them: parts of their responses.

    The scanner decides what is read so; it reports ``undeclared-output``.
    """
    added: dict[str, dict[str, Template]] = {}
    by_id = {step.id: step for step in steps}
    for expression in all_expressions(steps, outputs):
        owner = by_id.get(expression.scope) if expression.root == "steps" and expression.name else None
        if owner is None or expression.name in owner.outputs:
            continue
        if isinstance(owner.call, OperationCall) or expression.name.startswith("response.body#"):
            added.setdefault(owner.id, {})[expression.name] = _part_of_response(expression.name)
    return [
        msgspec.structs.replace(step, outputs=step.outputs | added[step.id]) if step.id in added else step
        for step in steps
    ]


def _part_of_response(name: str) -> Expression:
    """What an undeclared output is read as: a property, or what ``response.body#/…`` names."""
    response, marked, pointer = name.partition("#")
    path = parse_pointer(pointer) if response == "response.body" and marked else (name,)
    return Expression("response", part="body", path=path, text=f"$response.body#{format_pointer(path)}")


def ordered(steps: Sequence[Step], written: WorkflowObject, report: Report) -> tuple[Step, ...]:
    """Steps in their order of execution: the document's, unless a step ``dependsOn`` others.

    Then reading an output is a dependency too (Arazzo 1.1, "Step Dependencies and Execution Order"); in
    loops, where steps read later ones, only reading that of an earlier step is.
    """
    if not any(step.depends_on for step in steps):
        return tuple(steps)
    names = [step.id for step in steps]
    explicit = {step.id: set(step.depends_on) for step in steps}
    reads = {
        step.id: {e.scope for e in request_expressions(step) if e.root == "steps"} - {step.id}
        for step in steps
    }
    earlier = {name: reads[name] & set(names[: names.index(name)]) for name in names}
    by_id = {step.id: step for step in steps}
    circle: Sequence[str] = ()
    for implicit in (reads, earlier):
        needs = {name: explicit[name] | implicit[name] for name in names}
        try:
            return tuple(by_id[name] for name in execution_order(names, needs))
        except ValueError as found:
            circle = [str(name) for name in found.args]
    waiting = next((step for step in written.steps if step.id in circle and step.depends_on), None)
    at = waiting.depends_on[0] if waiting else written.at
    report.error("dependency-cycle", f"steps wait for each other: {' → '.join(circle)}", at)
    return tuple(steps)


def check_reads(
    steps: Sequence[Step],
    written: Mapping[str, StepObject],
    seen: Sequence[tuple[Expression, Location]],
    report: Report,
) -> None:
    """Report steps that read outputs of steps which cannot have run before them."""
    graph = StepGraph.of(steps, with_retries=True)
    before = graph.before()
    for step in steps:
        if step.id not in graph.running:
            message = f"no run comes to step {step.id!r}: the steps before it end or jump elsewhere"
            report.note("unreachable-step", message, written[step.id].at)
            continue
        reads = [(e, e.scope in before[step.id]) for e in request_expressions(step) if e.root == "steps"]
        reads += [
            (e, e.scope in before[step.id] or e.scope == step.id)
            for e in result_expressions(step)
            if e.root == "steps"
        ]
        for expression, known in reads:
            if not known:
                at, offset = place_of(expression, written[step.id].at, seen)
                message = f"step {step.id!r} reads {expression.text or '$steps.' + expression.scope}"
                later = f", but step {expression.scope!r} cannot have run before it"
                hint = "read outputs of earlier steps only"
                report.add(Severity.ERROR, "forward-reference", message + later, at, hint, offset=offset)


def place_of(
    expression: Expression, outer: Location, seen: Sequence[tuple[Expression, Location]]
) -> tuple[Location, int | None]:
    """Where an expression stands: inside an object if it does, else anywhere (components); and its offset."""
    places = [at for each, at in seen if each == expression]
    at = next((at for at in places if is_within(at, outer)), places[0] if places else outer)
    offset = at.value.find(expression.text) if isinstance(at.value, str) else -1
    return at, offset if offset >= 0 else None


def note_unused_inputs(
    steps: Sequence[Step],
    outputs: Mapping[str, Template],
    schema: InputSchema,
    handed: Set[str],
    report: Report,
) -> None:
    """Note declared inputs that nothing reads.

    :param handed: inputs that other workflows get by their name.
    """
    used = {e.name for e in all_expressions(steps, outputs) if e.root == "inputs"}
    whole = any(e.root == "inputs" and not e.name for e in all_expressions(steps, outputs))
    for name, at in schema.places.items():
        if name not in used | handed and not whole:
            report.note("unused-input", f"nothing reads the input {name!r}", at, key=True)
