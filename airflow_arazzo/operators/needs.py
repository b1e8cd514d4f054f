"""What has to be there for the steps of a task to run: outputs, connections, workflows, a key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_arazzo.expression.model import Expression
from airflow_arazzo.plan.analysis import (
    all_expressions,
    operation_calls,
    request_expressions,
    result_expressions,
)
from airflow_arazzo.plan.flow import uncertain_dependencies
from airflow_arazzo.plan.model import SAFE_METHODS, OperationCall, Plan, Step, Workflow, WorkflowCall
from airflow_arazzo.plan.templates import expressions


@dataclass(frozen=True)
class Read:
    """A step whose outputs are read.

    :param tasks: names of the tasks that may have run it, in order: its own, and others that ran it again
        before a retry. The last one that succeeded counts.
    :param home: its own task; empty when it runs before retries only.
    :param by_step: whether that task, a loop, keeps outputs by step id.
    """

    step: str
    tasks: tuple[str, ...]
    home: str
    by_step: bool


@dataclass(frozen=True)
class Needs:
    """What has to be there for a component to run.

    :param reads: steps of other components whose outputs it reads.
    :param guests: steps of other components that a retry can run in it.
    :param inner: keys of workflows that can run inside it.
    :param recalls: components whose finished workflows it must know of: to read what they gave, and not to
        run once more what others depend on.
    :param recalled: whether another component must know of the workflows that finish in it.
    :param sources: names of the sources whose connections it uses.
    :param only_safe: whether all requests that it can send are safe to repeat.
    :param waits: whether it may give its slot back, and continue later from its state.
    :param encrypts: whether it stores something that must be encrypted.
    """

    reads: tuple[Read, ...] = ()
    guests: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    recalls: tuple[str, ...] = ()
    recalled: bool = False
    sources: tuple[str, ...] = ()
    only_safe: bool = True
    waits: bool = False
    encrypts: bool = False


def needs_of(plan: Plan, groups: Mapping[str, Sequence[str]], *, ends: Collection[str]) -> dict[str, Needs]:
    """The needs of every component.

    :param groups: steps by component name, in an order in which each comes after those it can follow.
    :param ends: components in which the workflow can end.
    """
    names = list(groups)
    members = {name: _members(plan, name == names[0], groups[name]) for name in names}
    found: dict[str, Needs] = {}
    doubtful = uncertain_dependencies(plan.root.steps)
    for index, name in enumerate(names):
        each = members[name]
        earlier = names[:index]
        outputs = plan.root.outputs if name in ends else {}
        used = [*each.expressions(), *all_expressions((), outputs)]
        recalling = bool(each.inner) or any(expression.root == "workflows" for expression in used)
        wanted = [e.scope for e in used if e.root == "steps"]
        wanted += [other for step in (*each.own, *each.guests) for other in doubtful.get(step.id, ())]
        found[name] = Needs(
            reads=tuple(_reads(wanted, groups[name], earlier, groups, members)),
            guests=tuple(step.id for step in each.guests),
            inner=tuple(workflow for workflow in each.inner),
            recalls=tuple(n for n in earlier if members[n].inner) if recalling else (),
            sources=each.sources(plan.root, used),
            only_safe=all(_is_safe(step) for step in each.all_steps()),
            waits=each.waits(),
        )
    recalled = {task for needs in found.values() for task in needs.recalls}
    return {
        name: replace(
            needs,
            recalled=name in recalled,
            encrypts=needs.waits or name in recalled or members[name].has_secret_outputs(),
        )
        for name, needs in found.items()
    }


@dataclass(frozen=True)
class _Members:
    """Everything that can run in a component: its own steps, guests, and workflows inside."""

    own: tuple[Step, ...]
    guests: tuple[Step, ...]
    inner: Mapping[str, Workflow]

    def all_steps(self) -> Iterator[Step]:
        yield from self.own
        yield from self.guests
        for workflow in self.inner.values():
            yield from workflow.steps

    def expressions(self) -> Iterator[Expression]:
        """Expressions that are evaluated in the outermost workflow."""
        for step in (*self.own, *self.guests):
            yield from request_expressions(step)
            yield from result_expressions(step)
            body = step.call.body if isinstance(step.call, OperationCall) else None
            for encoding in body.encoding.values() if body else ():
                for template in encoding.headers.values():
                    yield from expressions(template)

    def sources(self, root: Workflow, used: Sequence[Expression]) -> tuple[str, ...]:
        """Sources of the operations, and those whose connections hold the secret inputs that are used."""
        found = [call.source for step in self.all_steps() for call in operation_calls(step)]
        inputs = {expression.name for expression in used if expression.root == "inputs"}
        # Workflows inside get inputs of the same name handed over, secret ones too.
        found += [c.source for name, c in root.credentials.items() if name in inputs or self.inner]
        found += [c.source for workflow in self.inner.values() for c in workflow.credentials.values()]
        return tuple(dict.fromkeys(source for source in found if source))

    def waits(self) -> bool:
        """Whether there are retries or loops in it; jumps that lead out of it never wait."""
        names = {step.id for step in self.own}
        actions = [a for step in self.own for a in (*step.on_success, *step.on_failure)]
        return bool(self.inner) or any(a.type == "retry" or a.step in names for a in actions)

    def has_secret_outputs(self) -> bool:
        return any(step.secret_outputs for step in (*self.own, *self.guests))


def _members(plan: Plan, is_first: bool, steps: Sequence[str]) -> _Members:
    by_id = {step.id: step for step in plan.root.steps}
    own = tuple(by_id[name] for name in steps)
    retries = [a.step for step in own for a in step.on_failure if a.type == "retry" and a.step]
    guests = tuple(by_id[name] for name in dict.fromkeys(retries) if name in by_id and name not in steps)
    inner: dict[str, Workflow] = {}
    waiting = [*(plan.root.depends_on if is_first else ()), *_begun(own), *_begun(guests, calls_only=True)]
    while waiting:
        key = waiting.pop()
        if key not in inner:
            inner[key] = plan.workflows[key]
            waiting += [*inner[key].depends_on, *_begun(inner[key].steps)]
    return _Members(own, guests, inner)


def _begun(steps: Sequence[Step], *, calls_only: bool = False) -> Iterator[str]:
    """Workflows that steps call, and that their actions lead to."""
    for step in steps:
        if isinstance(step.call, WorkflowCall):
            yield step.call.workflow
        for action in () if calls_only else (*step.on_success, *step.on_failure):
            if action.workflow:
                yield action.workflow


def _reads(
    wanted: Sequence[str],
    own: Sequence[str],
    earlier: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    members: Mapping[str, _Members],
) -> Iterator[Read]:
    """Steps of other components whose outputs are wanted, and who may have run them."""
    for step in dict.fromkeys(name for name in wanted if name not in own):
        tasks = tuple(
            name
            for name in earlier
            if step in groups[name] or any(guest.id == step for guest in members[name].guests)
        )
        if tasks:
            home = next((name for name in groups if step in groups[name]), "")
            yield Read(step, tasks, home, by_step=len(groups.get(home, ())) > 1)


def _is_safe(step: Step) -> bool:
    return not isinstance(step.call, OperationCall) or step.call.method in SAFE_METHODS
