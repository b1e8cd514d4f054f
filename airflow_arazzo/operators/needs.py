"""What has to be there for the steps of a task to run: outputs, connections, workflows, a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from airflow_arazzo.expression.model import Expression
from airflow_arazzo.operators.layout import Draft
from airflow_arazzo.plan.flow import uncertain_dependencies
from airflow_arazzo.plan.model import SAFE_METHODS, OperationCall, Plan, Step, Workflow, WorkflowCall
from airflow_arazzo.plan.parallel import step_expressions
from airflow_arazzo.plan.reads import action_expressions, all_expressions, expressions, operation_calls


class Read(msgspec.Struct, frozen=True):
    """A step whose outputs are read.

    :param tasks: names of the tasks that may have run it, in order: its own, and others that ran it again
        before a retry, or those in which the workflow that it calls can have ended. The last one that
        succeeded counts.
    :param home: its own task; empty when it has none.
    :param by_step: whether that task, a loop, keeps outputs by step id.
    :param level: of its workflow, the outermost being 0.
    :param called: whether it calls a workflow whose steps have tasks of their own.
    """

    step: str
    tasks: tuple[str, ...]
    home: str
    by_step: bool
    level: int = 0
    called: bool = False


class Needs(msgspec.Struct, frozen=True):
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


def needs_of(
    plan: Plan, drafts: Sequence[Draft], before: Mapping[str, frozenset[str]] | None = None
) -> dict[str, Needs]:
    """The needs of every component.

    :param drafts: of the components, each after those it can follow.
    :param before: by name, the components that can have run before; all that come earlier when None.
    """
    members = {each.name: _Members.of(plan, each) for each in drafts}
    found: dict[str, Needs] = {}
    for index, draft in enumerate(drafts):
        earlier = [each for each in drafts[:index] if before is None or each.name in before[draft.name]]
        found[draft.name] = members[draft.name].needs(earlier, members)
    recalled = {task for needs in found.values() for task in needs.recalls}
    return {
        name: msgspec.structs.replace(
            needs,
            recalled=name in recalled,
            encrypts=needs.waits or name in recalled or members[name].has_secret_outputs(),
        )
        for name, needs in found.items()
    }


class _Members(msgspec.Struct, frozen=True):
    """Everything that can run in a component: its own steps, guests, and workflows inside.

    :param levels: the workflows around its steps, the outermost first, their own last.
    :param callers: the steps that call all but the first of these.
    """

    plan: Plan
    draft: Draft
    levels: tuple[Workflow, ...]
    callers: tuple[Step, ...]
    own: tuple[Step, ...]
    guests: tuple[Step, ...]
    inner: Mapping[str, Workflow]

    @classmethod
    def of(cls, plan: Plan, draft: Draft) -> _Members:
        levels, callers = [plan.root], []
        for name in draft.calls:
            caller = next(step for step in levels[-1].steps if step.id == name)
            callers.append(caller)
            if isinstance(caller.call, WorkflowCall):
                levels.append(plan.workflows[caller.call.workflow])
        by_id = {step.id: step for step in levels[-1].steps}
        own = tuple(by_id[name] for name in draft.steps)
        retries = [a.step for step in own for a in step.on_failure if a.type == "retry" and a.step]
        guests = [n for n in dict.fromkeys(retries) if n in by_id and n not in draft.steps]
        inner: dict[str, Workflow] = {}
        waiting = [key for level in sorted(draft.begins) for key in levels[level].depends_on]
        waiting += [*_begun(own), *_begun([by_id[name] for name in guests], calls_only=True)]
        while waiting:
            key = waiting.pop()
            if key not in inner:
                inner[key] = plan.workflows[key]
                waiting += [*inner[key].depends_on, *_begun(inner[key].steps)]
        return cls(
            plan, draft, tuple(levels), tuple(callers), own, tuple(by_id[name] for name in guests), inner
        )

    def needs(self, earlier: Sequence[Draft], members: Mapping[str, _Members]) -> Needs:
        """What it needs, but for what other components need of it."""
        used = [list(self._expressions(level)) for level in range(len(self.levels))]
        recalling = bool(self.inner) or any(e.root == "workflows" for each in used for e in each)
        finishing = [each.name for each in earlier if members[each.name].finishes()]
        reads = [
            read
            for level, each in enumerate(used)
            for name in dict.fromkeys([e.scope for e in each if e.root == "steps"] + self._doubtful(level))
            if (read := self._read(name, level, earlier, members)) is not None
        ]
        return Needs(
            reads=tuple(reads),
            guests=tuple(step.id for step in self.guests),
            inner=tuple(self.inner),
            recalls=tuple(finishing) if recalling else (),
            sources=self._sources(used),
            only_safe=all(_is_safe(step) for step in self._all_steps()),
            waits=self._waits(),
        )

    def finishes(self) -> bool:
        """Whether a workflow can finish in it that others can name."""
        return bool(self.inner) or any(level > 0 for level in self.draft.ends)

    def has_secret_outputs(self) -> bool:
        ended = [self.callers[level - 1] for level in self.draft.ends if level > 0]
        return any(step.secret_outputs for step in (*self.own, *self.guests, *ended))

    def _all_steps(self) -> Iterator[Step]:
        yield from self.own
        yield from self.guests
        for workflow in self.inner.values():
            yield from workflow.steps

    def _expressions(self, level: int) -> Iterator[Expression]:
        """Expressions that are evaluated in one of the workflows around its steps."""
        if level in self.draft.ends:
            yield from all_expressions((), self.levels[level].outputs)
        if level == len(self.callers):
            for step in (*self.own, *self.guests):
                yield from step_expressions(step)
            return
        caller = self.callers[level]
        if level + 1 in self.draft.ends:
            yield from step_expressions(caller)
            return
        if isinstance(caller.call, WorkflowCall):
            for _, template in caller.call.inputs:
                yield from expressions(template)
        for action in caller.on_failure:
            yield from action_expressions(action)

    def _doubtful(self, level: int) -> list[str]:
        """Steps that may not have run, and without which steps of it do not."""
        if level < len(self.callers):
            begun = [self.callers[level]] if level + 1 in self.draft.begins else []
        else:
            begun = [*self.own, *self.guests]
        if not any(step.depends_on for step in begun):
            return []
        doubtful = uncertain_dependencies(self.levels[level].steps)
        return [name for step in begun for name in doubtful.get(step.id, ())]

    def _read(
        self, step: str, level: int, earlier: Sequence[Draft], members: Mapping[str, _Members]
    ) -> Read | None:
        """How the outputs of a step are read; None for its own steps, and where nobody can have run it."""
        calls = self.draft.calls[:level]
        if step in (self.draft.calls[level : level + 1] or self.draft.steps):
            return None
        beside = [each for each in earlier if each.calls == calls]
        inside = [each for each in earlier if each.calls[: level + 1] == (*calls, step)]
        homes = [each for each in beside if step in each.steps]
        guests = [each for each in beside if any(g.id == step for g in members[each.name].guests)]
        if inside:
            ended = tuple(each.name for each in inside if level + 1 in each.answers)
            return Read(step, ended, "", by_step=False, level=level, called=True)
        tasks = tuple(each.name for each in beside if each in homes or each in guests)
        if not tasks:
            return None
        home = homes[0] if homes else None
        return Read(
            step, tasks, home.name if home else "", by_step=bool(home and len(home.steps) > 1), level=level
        )

    def _sources(self, used: Sequence[Sequence[Expression]]) -> tuple[str, ...]:
        """Sources of the operations, and those whose connections hold the secret inputs that are used."""
        found = [call.source for step in self._all_steps() for call in operation_calls(step)]
        for workflow, each in zip(self.levels, used, strict=True):
            inputs = {expression.name for expression in each if expression.root == "inputs"}
            # Workflows inside get inputs of the same name handed over, secret ones too.
            found += [c.source for name, c in workflow.credentials.items() if name in inputs or self.inner]
        found += [c.source for workflow in self.inner.values() for c in workflow.credentials.values()]
        return tuple(dict.fromkeys(source for source in found if source))

    def _waits(self) -> bool:
        """Whether there are retries or loops in it; jumps that lead out of it never wait."""
        names = {step.id for step in self.own}
        actions = [a for step in self.own for a in (*step.on_success, *step.on_failure)]
        return bool(self.inner) or any(a.type == "retry" or a.step in names for a in actions)


def _begun(steps: Sequence[Step], *, calls_only: bool = False) -> Iterator[str]:
    """Workflows that steps call, and that their actions lead to."""
    for step in steps:
        if isinstance(step.call, WorkflowCall):
            yield step.call.workflow
        for action in () if calls_only else (*step.on_success, *step.on_failure):
            if action.workflow:
                yield action.workflow


def _is_safe(step: Step) -> bool:
    return not isinstance(step.call, OperationCall) or step.call.method in SAFE_METHODS
