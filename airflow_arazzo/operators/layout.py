"""Which steps of which workflow each task runs: one for each step, one for each loop of steps.

A step that calls a workflow is no task itself where that workflow's steps can have tasks of their own.
Positions in the run are texts such as ``call/b``: step ``b`` of the workflow that step ``call`` calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from airflow_arazzo.plan.flow import StepGraph, falls_through, reachable_workflows
from airflow_arazzo.plan.model import Plan, Step, Workflow, WorkflowCall
from airflow_arazzo.plan.reads import expressions

MOST_TASKS = 100
"""Tasks that a called workflow may become; a larger one is driven by one task."""

LONGEST_NAME = 200
"""Characters of a task's name."""

_REFUSED = re.compile(r"[^A-Za-z0-9_-]+")
"""What Airflow takes in no name."""


class Draft(msgspec.Struct, frozen=True):
    """Steps that one task runs: a step by itself, or steps that can be reached from each other.

    Levels count from 0 for the outermost workflow.

    :param name: task id, without the prefix of groups around the workflow.
    :param calls: ids of the steps that call the workflow of the steps, outermost first.
    :param workflow: key of that workflow.
    :param steps: ids in order of execution.
    :param begins: levels of workflows that begin in it.
    :param ends: levels of workflows that can end in it successfully.
    :param answers: levels of called workflows that can end in it, or fail so that the calling step goes on
        elsewhere.
    :param exits: positions that can follow directly; None among them for the end of the run.
    """

    name: str
    calls: tuple[str, ...]
    workflow: str
    steps: tuple[str, ...]
    begins: frozenset[int]
    ends: frozenset[int]
    answers: frozenset[int]
    exits: frozenset[str | None]

    @property
    def entry(self) -> str:
        """The position with which it begins, where the way does not say."""
        outer = [level for level in self.begins if level > 0]
        return label(self.calls[: min(outer)]) if outer else label((*self.calls, *self.steps[:1]))

    @property
    def entries(self) -> frozenset[str]:
        """Positions with which it can begin."""
        own = {label((*self.calls, step)) for step in self.steps}
        return frozenset(own | {label(self.calls[:level]) for level in self.begins if level > 0})


def label(position: Sequence[str]) -> str:
    """A position as text: ids of calling steps and of a step, outermost first."""
    return "/".join(position)


def task_names(step_ids: Sequence[str]) -> list[str]:
    """Task ids for step ids: readable, valid for Airflow, and unique."""
    names: list[str] = []
    for step_id in step_ids:
        base = _REFUSED.sub("_", step_id).strip("_") or "step"
        name, number = base[:LONGEST_NAME], 2
        while name in names:
            name, number = f"{base[: LONGEST_NAME - 5]}_{number}", number + 1
        names.append(name)
    return names


def drafts(plan: Plan, *, single_ends: bool = False, expand: bool = True) -> list[Draft]:
    """The drafts of a plan, each after those it can follow. Steps that no way leads to are in none.

    :param single_ends: whether called workflows that can end in several tasks are driven by one.
    :param expand: whether steps of called workflows have tasks of their own at all.
    """
    around = _Around((), "", frozenset({None}), frozenset(), frozenset({0}), frozenset({0}), frozenset())
    return list(_level(plan, plan.workflow, around, single_ends=single_ends, expand=expand))


class _Around(msgspec.Struct, frozen=True):
    """What is around a workflow.

    :param calls: as in :class:`Draft`.
    :param prefix: of task names.
    :param ended: positions that can follow when the workflow has ended.
    :param failed: positions that can follow when it has failed; the run fails otherwise.
    :param begins: levels that begin when it begins.
    :param ends: levels that can end when it ends.
    :param handled: levels whose failure the calling step can handle.
    """

    calls: tuple[str, ...]
    prefix: str
    ended: frozenset[str | None]
    failed: frozenset[str]
    begins: frozenset[int]
    ends: frozenset[int]
    handled: frozenset[int]


def _level(
    plan: Plan, key: str, around: _Around, *, single_ends: bool = False, expand: bool = True
) -> Iterator[Draft]:
    """Drafts of a workflow, and of those that its steps call."""
    workflow = plan.workflows[key]
    graph = StepGraph.of(workflow.steps)
    groups = step_groups(workflow.steps, graph)
    by_id = {step.id: step for step in workflow.steps}
    for name, group in zip(task_names([group[0] for group in groups]), groups, strict=True):
        is_first, can_end = workflow.steps[0].id in group, _can_end(group, workflow)
        following = {s for each in group for s in graph.successors[each] if s not in group}
        targets = {label((*around.calls, step)) for step in following}
        exits: frozenset[str | None] = frozenset(targets) | around.failed
        exits |= around.ended if can_end else frozenset()
        draft = Draft(
            name=around.prefix + name,
            calls=around.calls,
            workflow=key,
            steps=tuple(group),
            begins=around.begins if is_first else frozenset(),
            ends=around.ends if can_end else frozenset(),
            answers=around.handled | (around.ends - {0} if can_end else frozenset()),
            exits=exits,
        )
        inside = _inside(plan, by_id[group[0]], draft, around) if expand and len(group) == 1 else None
        inner = list(_level(plan, *inside)) if inside else []
        fits = 0 < len(inner) <= MOST_TASKS and all(len(each.name) <= LONGEST_NAME for each in inner)
        level = len(around.calls) + 1
        if fits and (not single_ends or sum(level in each.ends for each in inner) == 1):
            yield from inner
        else:
            yield draft


def _inside(plan: Plan, step: Step, draft: Draft, around: _Around) -> tuple[str, _Around] | None:
    """The workflow that a step calls, and what is around it; None where one task has to drive it."""
    workflow = plan.workflows[draft.workflow]
    if not isinstance(step.call, WorkflowCall) or not _may_expand(plan, workflow, step, step.call):
        return None
    calls = (*around.calls, step.id)
    taken_over = {label((*around.calls, a.step)) for a in step.on_failure if a.type == "goto"}
    inner = frozenset({len(calls)})
    return step.call.workflow, msgspec.structs.replace(
        around,
        calls=calls,
        prefix=f"{draft.name}.",
        ended=draft.exits,
        failed=around.failed | taken_over,
        begins=inner | draft.begins,
        ends=inner | draft.ends,
        handled=around.handled | (inner if taken_over else frozenset()),
    )


def _may_expand(plan: Plan, workflow: Workflow, step: Step, call: WorkflowCall) -> bool:
    """Whether steps of a called workflow can have tasks of their own.

    Not where the calling step is repeated, since tasks are not; nor where it has a time to be done in, since
    nobody could stop the task under way; nor where control leaves one of the workflows for another.
    """
    called = plan.workflows[call.workflow]
    actions = [*step.on_success, *step.on_failure]
    repeated = any(a.type == "retry" for a in actions) or any(
        a.type == "retry" and a.step == step.id for each in workflow.steps for a in each.on_failure
    )
    leaves = any(a.workflow for a in actions) or any(
        a.type == "goto" and a.workflow for each in called.steps for a in (*each.on_success, *each.on_failure)
    )
    loops = step.id in StepGraph.of(workflow.steps).reachable(step.id)
    odd = any("/" in each.id for each in (*workflow.steps, *called.steps))
    return (
        bool(called.steps)
        and step.timeout_ms is None
        and not (repeated or leaves or loops or odd)
        and not _reads_what_runs_inside(plan, call)
    )


def _reads_what_runs_inside(plan: Plan, call: WorkflowCall) -> bool:
    """Whether inputs of a call could change on the way, so that its tasks would not agree on them."""
    named = {e.scope for _, template in call.inputs for e in expressions(template) if e.root == "workflows"}
    if not named:
        return False
    reached = reachable_workflows(plan.workflows, [call.workflow])
    return bool(named & {plan.workflows[key].id for key in reached})


def step_groups(steps: Sequence[Step], graph: StepGraph) -> list[list[str]]:
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


def _can_end(group: Sequence[str], workflow: Workflow) -> bool:
    """Whether a workflow can end successfully in a group of its steps."""
    for step in workflow.steps:
        if step.id not in group:
            continue
        leaves = any(a.type == "end" or a.workflow for a in step.on_success)
        leaves = leaves or any(a.type == "goto" and a.workflow for a in step.on_failure)
        if leaves or (step.id == workflow.steps[-1].id and falls_through(step)):
            return True
    return False
