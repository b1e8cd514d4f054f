"""The order of steps: who can follow whom, what can be read when, and what may not recur."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from airflow_arazzo.plan.model import Action, Step, Workflow, WorkflowCall


class StepGraph(msgspec.Struct, frozen=True):
    """Steps of a workflow and the steps that may run directly after each.

    :param successors: by step id, in the order default successor first, then targets of jumps.
    """

    successors: Mapping[str, tuple[str, ...]]

    @property
    def running(self) -> frozenset[str]:
        """Steps that a run can come to: the first, and all that can follow."""
        first = next(iter(self.successors), None)
        return frozenset() if first is None else self.reachable(first) | {first}

    @classmethod
    def of(cls, steps: Sequence[Step], *, with_retries: bool = False) -> StepGraph:
        """The graph of steps in their order of execution.

        :param with_retries: whether steps that a retry runs in between count as following, and followed by
            the retrying step.
        """
        known = {step.id for step in steps}
        successors: dict[str, tuple[str, ...]] = {}
        for index, step in enumerate(steps):
            following = [steps[index + 1].id] if index + 1 < len(steps) and falls_through(step) else []
            following += [a.step for a in (*step.on_success, *step.on_failure) if a.type == "goto" and a.step]
            successors[step.id] = tuple(dict.fromkeys(name for name in following if name in known))
        for step in steps if with_retries else ():
            for name in (a.step for a in step.on_failure if a.type == "retry" and a.step in known):
                successors[step.id] += (name,)
                successors[name] += (step.id,)
        return cls(successors)

    def reachable(self, start: str) -> frozenset[str]:
        """Steps that can run some time after ``start``; itself only if it can run again."""
        found: set[str] = set()
        stack = list(self.successors.get(start, ()))
        while stack:
            name = stack.pop()
            if name not in found:
                found.add(name)
                stack.extend(self.successors.get(name, ()))
        return frozenset(found)

    def leads_past(self, name: str, to: str) -> bool:
        """Whether a run can come to a step without having run another one."""
        first = next(iter(self.successors), None)
        stack = [] if first is None else [first]
        found: set[str] = {name}
        while stack:
            step = stack.pop()
            if step == to and step not in found:
                return True
            if step not in found:
                found.add(step)
                stack.extend(self.successors[step])
        return False

    def before(self) -> dict[str, frozenset[str]]:
        """By step id, the steps that can have run before it. Steps that never run come before none."""
        result: dict[str, set[str]] = {name: set() for name in self.successors}
        for name in self.running:
            for later in self.reachable(name):
                result[later].add(name)
        return {name: frozenset(earlier) for name, earlier in result.items()}


def uncertain_dependencies(steps: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    """Steps that depend on others (Arazzo 1.1, step ``dependsOn``) which a way to them may lead past.

    :return: those others by step id; without steps all of whose dependencies have run whenever they run.
    """
    graph = StepGraph.of(steps, with_retries=True)
    found = {
        step.id: tuple(name for name in step.depends_on if graph.leads_past(name, step.id))
        for step in steps
        if step.depends_on
    }
    return {name: others for name, others in found.items() if others}


def falls_through(step: Step) -> bool:
    """Whether the next step in the document can follow: no success action applies unconditionally."""
    return not any(not action.criteria for action in step.on_success)


def is_linear(workflow: Workflow) -> bool:
    """Whether every step is run once, in order, or the run fails: no action changes the way."""
    return not any(step.on_success or step.on_failure for step in workflow.steps)


def execution_order(names: Sequence[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Steps in document order as far as their dependencies allow (Arazzo 1.1, step ``dependsOn``).

    :param needs: steps that must have run before, by step id.
    :raises ValueError: with the steps of a circle as its arguments, the first repeated at the end.
    """
    order: list[str] = []
    placed: set[str] = set()
    waiting = list(names)
    while waiting:
        ready = next(
            (n for n in waiting if all(need in placed or need not in names for need in needs.get(n, ()))),
            None,
        )
        if ready is None:
            raise ValueError(*_circle(waiting, needs))
        waiting.remove(ready)
        placed.add(ready)
        order.append(ready)
    return order


def _circle(waiting: Sequence[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """A circle among steps each of which waits for another of them; the first is repeated at the end."""
    path = [waiting[0]]
    while True:
        following = next(need for need in needs.get(path[-1], ()) if need in waiting)
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)


def called_workflows(workflow: Workflow) -> list[tuple[str, str]]:
    """Workflows that must finish inside a run of this one: ``(key, how it is called)``.

    Jumps to a workflow are not among them: control does not come back from those.
    """
    called = [(key, "dependsOn") for key in workflow.depends_on]
    for step in workflow.steps:
        if isinstance(step.call, WorkflowCall):
            called.append((step.call.workflow, f"step {step.id}"))
        called += [(a.workflow, f"retry in step {step.id}") for a in step.on_failure if _calls(a)]
    return called


def begun_by(step: Step) -> Iterator[str]:
    """Keys of the workflows that a step calls, or that its actions name, in whatever way."""
    if isinstance(step.call, WorkflowCall):
        yield step.call.workflow
    yield from (action.workflow for action in (*step.on_success, *step.on_failure) if action.workflow)


def reachable_workflows(workflows: Mapping[str, Workflow], first: Iterable[str]) -> set[str]:
    """Keys of all workflows that can run once some have begun, these included."""
    waiting, seen = list(first), set[str]()
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        waiting += workflows[key].depends_on
        waiting += [each for step in workflows[key].steps for each in begun_by(step)]
    return seen


def _calls(action: Action) -> bool:
    return action.type == "retry" and bool(action.workflow)


def find_recursion(workflows: Mapping[str, Workflow], root: str) -> list[str]:
    """A circle of calls that can be reached from ``root``: its keys, the first repeated at the end."""
    path: list[str] = []
    done: set[str] = set()

    def visit(key: str) -> list[str]:
        if key in path:
            return [*path[path.index(key) :], key]
        if key in done or key not in workflows:
            return []
        path.append(key)
        for called, _ in called_workflows(workflows[key]):
            circle = visit(called)
            if circle:
                return circle
        path.pop()
        done.add(key)
        return []

    for key in [root, *workflows]:
        circle = visit(key)
        if circle:
            return circle
    return []
