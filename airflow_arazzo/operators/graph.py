"""How the steps of a workflow become tasks: one for each step, one for each loop of steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_arazzo.plan.analysis import all_expressions, request_expressions, result_expressions
from airflow_arazzo.plan.flow import StepGraph, falls_through
from airflow_arazzo.plan.model import OperationCall, Step, Workflow
from airflow_arazzo.plan.workflow import SAFE_METHODS


@dataclass(frozen=True)
class Component:
    """Steps that one task runs: a step by itself, or steps that can be reached from each other.

    :param name: task id, without the group's prefix.
    :param steps: ids in document order.
    :param start: the step to begin with, where there is only one possibility.
    :param upstream: names of the components that it can follow directly.
    :param reads: ids of steps outside of it whose outputs it reads.
    :param asks: whether it must ask the tasks upstream if they lead here, and to which step.
    :param tells: whether a task downstream asks.
    :param only_safe: whether all its requests are safe to repeat.
    """

    name: str
    steps: tuple[str, ...]
    start: str
    upstream: tuple[str, ...]
    reads: tuple[str, ...]
    asks: bool
    tells: bool
    only_safe: bool


def components(workflow: Workflow) -> list[Component]:
    """The components of a workflow in an order in which each comes after those it can follow."""
    graph = StepGraph.of(workflow.steps)
    groups = _groups(workflow.steps, graph)
    names = task_names([group[0] for group in groups])
    exits = [_exits(group, graph, workflow) for group in groups]
    entries = [[exit_ & set(group) for exit_ in exits] for group in groups]
    asks = [_must_ask(entered, exits) for entered in entries]
    by_id = {step.id: step for step in workflow.steps}
    found = []
    for index, group in enumerate(groups):
        targets = sorted(set().union(*entries[index]) - {None}, key=group.index)  # type: ignore[arg-type]
        steps = [by_id[name] for name in group]
        found.append(
            Component(
                name=names[index],
                steps=tuple(group),
                start=str(targets[0]) if targets and not asks[index] else group[0],
                upstream=tuple(names[i] for i, entered in enumerate(entries[index]) if entered),
                reads=_reads(workflow, steps, group, ends=None in exits[index]),
                asks=asks[index],
                tells=any(asks[i] and entries[i][index] for i in range(len(groups))),
                only_safe=all(_is_safe(step) for step in steps),
            )
        )
    return found


def _must_ask(entered: list[set[str | None]], exits: list[set[str | None]]) -> bool:
    """Whether it depends on what happened upstream if and where a component begins."""
    upstream = [index for index, targets in enumerate(entered) if targets]
    several = len(set().union(*entered)) > 1
    return several or any(len(exits[index]) > 1 for index in upstream)


def _is_safe(step: Step) -> bool:
    return isinstance(step.call, OperationCall) and step.call.method in SAFE_METHODS


def _groups(steps: Sequence[Step], graph: StepGraph) -> list[list[str]]:
    """Strongly connected components, in an order that follows their edges; steps in document order."""
    reach = {step.id: graph.reachable(step.id) for step in steps}
    groups: list[list[str]] = []
    for step in steps:
        home = next((g for g in groups if g[0] in reach[step.id] and step.id in reach[g[0]]), None)
        if home is not None:
            home.append(step.id)
        else:
            groups.append([step.id])
    ordered: list[list[str]] = []
    waiting = list(groups)
    while waiting:
        ready = next(g for g in waiting if not any(g[0] in reach[o[0]] for o in waiting if o is not g))
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _exits(group: Sequence[str], graph: StepGraph, workflow: Workflow) -> set[str | None]:
    """Steps that can directly follow a component; None among them when the workflow can end there."""
    following: set[str | None] = {s for name in group for s in graph.successors[name] if s not in group}
    by_id = {step.id: step for step in workflow.steps}
    for name in group:
        step = by_id[name]
        leaves = any(a.type == "end" or a.workflow for a in step.on_success)
        leaves = leaves or any(a.type == "goto" and a.workflow for a in step.on_failure)
        if leaves or (name == workflow.steps[-1].id and falls_through(step)):
            following.add(None)
    return following


def _reads(workflow: Workflow, steps: Sequence[Step], group: Sequence[str], ends: bool) -> tuple[str, ...]:
    """Steps whose outputs a component reads; where the workflow can end, also those of its outputs."""
    found: dict[str, None] = {}
    for step in steps:
        for expression in (*request_expressions(step), *result_expressions(step)):
            if expression.root == "steps":
                found[expression.scope] = None
    if ends:
        for expression in all_expressions((), workflow.outputs):
            if expression.root == "steps":
                found[expression.scope] = None
    return tuple(name for name in found if name not in group)


def task_names(step_ids: Sequence[str]) -> list[str]:
    """Task ids for step ids: readable, valid for Airflow, and unique."""
    names: list[str] = []
    for step_id in step_ids:
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", step_id).strip("_") or "step"
        name, number = base[:200], 2
        while name in names:
            name, number = f"{base[:195]}_{number}", number + 1
        names.append(name)
    return names
