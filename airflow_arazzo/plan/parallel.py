"""Which steps of a workflow may run side by side: those that share no data and no declared order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from airflow_arazzo.expression.model import Expression
from airflow_arazzo.plan.flow import StepGraph, begun_by, reachable_workflows
from airflow_arazzo.plan.model import Plan, Step
from airflow_arazzo.plan.reads import expressions, operation_calls, request_expressions, result_expressions


class Section(msgspec.Struct, frozen=True):
    """Steps in a row that run after those before them and before those behind them.

    :param steps: ids in order of execution, of those that a run can come to.
    :param after: the steps of the section directly after which each of them runs; None where they keep the
        document's order and jump among themselves.
    """

    steps: tuple[str, ...]
    after: Mapping[str, tuple[str, ...]] | None


def sections(plan: Plan) -> list[Section]:
    """The sections of a plan's workflow.

    A step that jumps, ends the workflow early or runs another one before a retry keeps the document's order
    together with all steps between it and its targets; everything before them comes first. So does a step
    that can begin workflows which others depend on, because those run once.
    """
    steps = plan.root.steps
    running = StepGraph.of(steps).running
    bounds = _bounds(plan, running)
    found: list[Section] = []
    index = 0
    while index < len(steps):
        bound = next((end for start, end in bounds if start == index), None)
        if bound is None:
            bound = next((start for start, _ in bounds if start > index), len(steps)) - 1
            members = [step for step in steps[index : bound + 1] if step.id in running]
            found += [Section(tuple(s.id for s in members), _order(members))] if members else []
        else:
            found.append(Section(tuple(s.id for s in steps[index : bound + 1] if s.id in running), None))
        index = bound + 1
    return found


def step_expressions(step: Step) -> Iterator[Expression]:
    """Every expression of a step: in its call, its criteria, its outputs and its actions."""
    yield from request_expressions(step)
    yield from result_expressions(step)
    for call in operation_calls(step):
        for encoding in call.body.encoding.values() if call.body else ():
            for template in encoding.headers.values():
                yield from expressions(template)


def _bounds(plan: Plan, running: frozenset[str]) -> list[tuple[int, int]]:
    """Positions, first and last, of steps that keep the document's order; without overlaps."""
    steps = plan.root.steps
    positions = {step.id: index for index, step in enumerate(steps)}
    merged: list[tuple[int, int]] = []
    for index, step in enumerate(steps):
        if step.id not in running:
            continue
        reach = set(_reach(step, positions, len(steps) - 1))
        if _begins_dependencies(plan, step) or (plan.root.depends_on and index == 0):
            reach.add(index)
        if not reach:
            continue
        first, last = min(reach | {index}), max(reach | {index})
        while merged and merged[-1][1] >= first:
            first, last = min(first, merged[-1][0]), max(last, merged[-1][1])
            merged.pop()
        merged.append((first, last))
    return merged


def _reach(step: Step, positions: Mapping[str, int], end: int) -> Iterator[int]:
    """Where a step can lead to, other than to the next one or to a failure of the run."""
    for action in (*step.on_success, *step.on_failure):
        if action.step and action.step != step.id:
            yield positions[action.step]
        elif action.type == "goto":
            yield positions[step.id] if action.step else end
    if any(action.type == "end" for action in step.on_success):
        yield end


def _begins_dependencies(plan: Plan, step: Step) -> bool:
    """Whether a workflow that a step can begin depends on others."""
    reached = reachable_workflows(plan.workflows, begun_by(step))
    return any(plan.workflows[key].depends_on for key in reached)


def _order(members: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    """The steps directly after which each runs: those that it names, without those that these imply."""
    before: dict[str, set[str]] = {}
    found: dict[str, tuple[str, ...]] = {}
    for step in members:
        named = {e.scope for e in step_expressions(step) if e.root == "steps"} | {*step.depends_on}
        if any(expression.root == "workflows" for expression in step_expressions(step)):
            named |= {each.id for each in members if any(begun_by(each))}
        direct = [name for name in before if name in named]
        implied = {name for each in direct for name in before[each]}
        found[step.id] = tuple(name for name in direct if name not in implied)
        before[step.id] = {*direct, *implied}
    return found
