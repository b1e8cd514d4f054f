"""How the steps of a workflow become tasks: one for each step, one for each loop of steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from airflow_arazzo.operators.needs import Needs, needs_of
from airflow_arazzo.plan.flow import StepGraph, falls_through
from airflow_arazzo.plan.model import Plan, Step, Workflow


class Undecided(Exception):
    """A task upstream succeeded and has not said which step follows.

    :param task: its name.
    """

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(task)


@dataclass(frozen=True)
class Way:
    """A component that another one can follow directly.

    :param task: its name.
    :param step: the step that it always leads to, empty for the end; None when it has to say so itself.
    """

    task: str
    step: str | None


@dataclass(frozen=True)
class Component:
    """Steps that one task runs: a step by itself, or steps that can be reached from each other.

    :param name: task id, without the group's prefix.
    :param steps: ids in order of execution.
    :param start: the step to begin with, where there is only one possibility.
    :param upstream: the components that it can follow directly.
    :param asks: whether it depends on what happened upstream if, and with which step, it begins.
    :param tells: whether a component that it can lead to asks, and it can lead to several.
    :param ends: whether the workflow can end in it successfully.
    :param needs: what has to be there for its steps to run.
    """

    name: str
    steps: tuple[str, ...]
    start: str
    upstream: tuple[Way, ...]
    asks: bool
    tells: bool
    ends: bool
    needs: Needs

    @property
    def is_loop(self) -> bool:
        """Whether it has several steps, whose outputs are then kept by step id."""
        return len(self.steps) > 1


def led_to(
    component: Component, succeeded: Callable[[str], bool], told: Callable[[str], str | None]
) -> str | None:
    """The step of a component to which the way through the workflow leads, or None when it leads elsewhere.

    That a task told so once is not enough: after a clear another way may have been taken, and what a task
    told that this time was skipped is still there.

    :param succeeded: whether a task, by name, has succeeded in this run.
    :param told: the step that a task said would follow; empty at the end, None when it has not said.
    :raises Undecided: when a task upstream should have said and has not.
    """
    undecided = None
    for way in component.upstream:
        if not succeeded(way.task):
            continue
        step = told(way.task) if way.step is None else way.step
        if step is None:
            undecided = undecided or way.task
        elif step in component.steps:
            return step
    if undecided is not None:
        raise Undecided(undecided)
    return None


def components(plan: Plan) -> list[Component]:
    """The components of a plan's workflow in an order in which each comes after those it can follow.

    Steps that no way leads to are in none of them.
    """
    workflow = plan.root
    graph = StepGraph.of(workflow.steps)
    groups = _groups(workflow.steps, graph)
    names = task_names([group[0] for group in groups])
    by_name = dict(zip(names, groups, strict=True))
    exits = {name: _exits(group, graph, workflow) for name, group in by_name.items()}
    all_needs = needs_of(plan, by_name, ends={name for name in names if None in exits[name]})
    ways = {name: _ways(group, exits) for name, group in by_name.items()}
    asking = {name for name in names if _must_ask(ways[name])}
    told = {way.task for name in asking for way in ways[name] if way.step is None}
    return [
        Component(
            name=name,
            steps=tuple(group),
            start=next((way.step for way in ways[name] if way.step), group[0]),
            upstream=ways[name],
            asks=name in asking,
            tells=name in told,
            ends=None in exits[name],
            needs=all_needs[name],
        )
        for name, group in by_name.items()
    ]


def end_of(parts: Sequence[Component], name: str) -> Component:
    """A component without steps that follows wherever the workflow can end successfully."""
    upstream = tuple(Way(part.name, None if part.tells else "") for part in parts if part.ends)
    return Component(name, ("",), "", upstream, asks=True, tells=False, ends=False, needs=Needs())


def _ways(group: Sequence[str], exits: Mapping[str, set[str | None]]) -> tuple[Way, ...]:
    """The components that a group of steps can follow."""
    found = []
    for name, targets in exits.items():
        if targets & set(group):
            found.append(Way(name, next(iter(targets)) if len(targets) == 1 else None))
    return tuple(found)


def _must_ask(ways: Sequence[Way]) -> bool:
    """Whether it depends on what happened upstream if and where a component begins."""
    return len(ways) > 1 or any(way.step is None for way in ways)


def _groups(steps: Sequence[Step], graph: StepGraph) -> list[list[str]]:
    """Strongly connected components, in an order that follows their edges; steps in their own order."""
    reach = {step.id: graph.reachable(step.id) for step in steps}
    used = {steps[0].id, *reach[steps[0].id]} if steps else set()
    groups: list[list[str]] = []
    for step in steps:
        if step.id not in used:
            continue
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
