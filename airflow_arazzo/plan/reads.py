"""What the parts of a plan read: the calls that a step makes, and every expression in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from airflow_arazzo.expression.model import (
    ArrayTemplate,
    Compare,
    Condition,
    Criterion,
    Either,
    Every,
    Expression,
    Not,
    ObjectTemplate,
    Select,
    Template,
    Text,
    Truth,
    Typed,
)
from airflow_arazzo.plan.model import Action, OperationCall, Step, WorkflowCall


def expressions(node: Template | Criterion | Condition | None) -> Iterator[Expression]:
    """Every expression in a template, criterion or condition."""
    match node:
        case Expression():
            yield node
        case Text(parts):
            yield from (part for part in parts if isinstance(part, Expression))
        case Typed(template):
            yield from expressions(template)
        case Select(context):
            yield context
            yield from expressions(node.query)
        case ObjectTemplate(members):
            for _, member in members:
                yield from expressions(member)
        case ArrayTemplate(items):
            for item in items:
                yield from expressions(item)
        case Criterion():
            yield from expressions(node.context)
            yield from expressions(node.simple)
            yield from expressions(node.query)
        case Compare(_, left, right):
            yield from expressions(left)
            yield from expressions(right)
        case Truth(operand):
            yield from expressions(operand)
        case Not(operand):
            yield from expressions(operand)
        case Every(operands) | Either(operands):
            for part in operands:
                yield from expressions(part)
        case _:
            return


def operation_calls(step: Step) -> Iterator[OperationCall]:
    """The operations that a step may call itself: its own, and the lookup of its probe."""
    if isinstance(step.call, OperationCall):
        yield step.call
    if step.probe is not None:
        yield step.probe.call


def request_expressions(step: Step) -> Iterator[Expression]:
    """Expressions evaluated before and while the step's response is judged: call, probe and criteria."""
    for call in operation_calls(step):
        for parameter in call.parameters:
            yield from expressions(parameter.value)
        if call.body:
            yield from expressions(call.body.payload)
            for replacement in call.body.replacements:
                yield from expressions(replacement.value)
    if isinstance(step.call, WorkflowCall):
        for _, template in step.call.inputs:
            yield from expressions(template)
    for criterion in (*step.criteria, *_probe_criteria(step)):
        yield from expressions(criterion)


def _probe_criteria(step: Step) -> tuple[Criterion, ...]:
    return step.probe.happened + step.probe.not_happened if step.probe else ()


def criteria_expressions(step: Step) -> Iterator[Expression]:
    """Expressions in the criteria of a step, of its probe and of its actions."""
    for criterion in (*step.criteria, *_probe_criteria(step)):
        yield from expressions(criterion)
    for action in (*step.on_success, *step.on_failure):
        for criterion in action.criteria:
            yield from expressions(criterion)


def result_expressions(step: Step) -> Iterator[Expression]:
    """Expressions evaluated after the step's outputs are known: outputs and actions."""
    for template in step.outputs.values():
        yield from expressions(template)
    for action in (*step.on_success, *step.on_failure):
        yield from action_expressions(action)


def action_expressions(action: Action) -> Iterator[Expression]:
    """Expressions in an action: its criteria and the inputs that it hands on."""
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


def call_inputs(step: Step) -> Iterator[tuple[str, tuple[tuple[str, Template], ...]]]:
    """The workflows that a step hands values to: their keys, and the values by input."""
    if isinstance(step.call, WorkflowCall):
        yield step.call.workflow, step.call.inputs
    for action in (*step.on_success, *step.on_failure):
        if action.workflow:
            yield action.workflow, action.inputs


def jump_targets(steps: Sequence[Step]) -> Iterator[str]:
    """Workflows that are jumped to without naming their inputs: they get this one's, by name."""
    for step in steps:
        for action in (*step.on_success, *step.on_failure):
            if action.workflow and not action.inputs:
                yield action.workflow
