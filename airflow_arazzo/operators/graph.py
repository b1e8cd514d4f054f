"""The tasks of a workflow: what each runs, which it follows, and how it knows whether its turn has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from airflow_arazzo.operators.layout import Draft, drafts, label, task_names
from airflow_arazzo.operators.needs import Needs, needs_of
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.plan.parallel import sections

__all__ = ["Component", "Undecided", "Way", "components", "end_of", "led_to", "task_names"]


class Undecided(Exception):
    """A task upstream succeeded and has not said which step follows.

    :param task: its name.
    """

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(task)


class Way(msgspec.Struct, frozen=True):
    """A component that another one can follow directly.

    :param task: its name.
    :param step: the position that it always leads to, empty for the end; None when it has to say so itself.
    """

    task: str
    step: str | None


class Component(msgspec.Struct, frozen=True):
    """Steps that one task runs: a step by itself, or steps that can be reached from each other.

    Positions are as in :mod:`~airflow_arazzo.operators.layout`: of a step of the outermost workflow, its id.

    :param name: task id, without the group's prefix.
    :param steps: ids in order of execution.
    :param start: the position to begin with, where there is only one possibility.
    :param upstream: the components that it can follow directly; all of them, unless it asks.
    :param asks: whether it depends on what happened upstream if, and where, it begins.
    :param tells: whether a component that it can lead to asks, and it can lead to several.
    :param ends: whether the workflow can end in it successfully.
    :param needs: what has to be there for its steps to run.
    :param entries: positions with which it can begin.
    :param calls: ids of the steps that call the workflow of its steps, outermost first.
    :param workflow: key of that workflow.
    :param answers: whether one of those calls can end in it, so that the run goes on behind it.
    :param beside: whether others run side by side with it, so that what comes next in the document does not
        follow it.
    :param certain: names of components that have succeeded whenever it runs: nobody has to ask.
    """

    name: str
    steps: tuple[str, ...]
    start: str
    upstream: tuple[Way, ...]
    asks: bool
    tells: bool
    ends: bool
    needs: Needs
    entries: frozenset[str] = frozenset()
    calls: tuple[str, ...] = ()
    workflow: str = ""
    answers: bool = False
    beside: bool = False
    certain: frozenset[str] = frozenset()

    @property
    def is_loop(self) -> bool:
        """Whether it has several steps, whose outputs are then kept by step id."""
        return len(self.steps) > 1

    @property
    def opens(self) -> bool:
        """Whether nothing comes before it."""
        return not self.upstream

    def position(self, entry: str) -> tuple[str, ...]:
        """Calling steps and step of one of its entries: the last may be a step that calls its workflow."""
        inside = [(*self.calls, step) for step in self.steps]
        outside = [self.calls[:level] for level in range(1, len(self.calls) + 1)]
        return next(each for each in (*inside, *outside) if label(each) == entry)


def led_to(
    component: Component, succeeded: Callable[[str], bool], told: Callable[[str], str | None]
) -> str | None:
    """The entry of a component to which the way through the workflow leads; None when it leads elsewhere.

    That a task told so once is not enough: after a clear another way may have been taken, and what a task
    told that this time was skipped is still there.

    :param succeeded: whether a task, by name, has succeeded in this run.
    :param told: the position that a task said would follow; empty at the end, None when it has not said.
    :raises Undecided: when a task upstream should have said and has not.
    """
    undecided = None
    for way in component.upstream:
        if not succeeded(way.task):
            continue
        step = told(way.task) if way.step is None else way.step
        if step is None:
            undecided = undecided or way.task
        elif step in component.entries:
            return step
    if undecided is not None:
        raise Undecided(undecided)
    return None


def components(plan: Plan, *, parallel: bool = False, expand: bool = True) -> list[Component]:
    """The components of a plan's workflow in an order in which each comes after those it can follow.

    Steps that no way leads to are in none of them. Where steps run side by side to the end, the last
    component has no steps: it comes when all have run, and the workflow ends in it.

    :param parallel: whether steps that share no data and no declared order run side by side.
    :param expand: whether steps of called workflows have tasks of their own.
    """
    found = drafts(plan, single_ends=parallel, expand=expand)
    side = _side_by_side(plan, found) if parallel else _Side(found, {}, frozenset())
    ways = {
        each.name: side.joins[each.name] if each.name in side.joins else _ways(each, side.found)
        for each in side.found
    }
    asking = {name for name in ways if name not in side.joins and _must_ask(ways[name])}
    told = {way.task for name in asking for way in ways[name] if way.step is None}
    # Airflow starts a task that does not ask when all tasks directly before it have succeeded, and so on up.
    certain = _before({name: () if name in asking else each for name, each in ways.items()})
    needs = needs_of(plan, side.found, _before(ways) if parallel else None)
    return [
        Component(
            name=each.name,
            steps=each.steps,
            start=next((way.step for way in ways[each.name] if way.step), each.entry),
            upstream=ways[each.name],
            asks=each.name in asking,
            tells=each.name in told,
            ends=0 in each.ends,
            needs=needs[each.name],
            entries=each.entries,
            calls=each.calls,
            workflow=each.workflow,
            answers=bool(each.answers),
            beside=each.name in side.beside,
            certain=certain[each.name],
        )
        for each in side.found
    ]


def end_of(parts: Sequence[Component], name: str) -> Component:
    """A component without steps that follows wherever the workflow can end successfully."""
    upstream = tuple(Way(part.name, None if part.tells else "") for part in parts if part.ends)
    return Component(
        name, ("",), "", upstream, asks=True, tells=False, ends=False, needs=Needs(), entries=frozenset({""})
    )


def _ways(draft: Draft, found: Sequence[Draft]) -> tuple[Way, ...]:
    """The drafts that one can follow directly."""
    return tuple(
        Way(each.name, next(iter(each.exits)) if len(each.exits) == 1 else None)
        for each in found
        if each is not draft and each.exits & draft.entries
    )


def _must_ask(ways: Sequence[Way]) -> bool:
    """Whether it depends on what happened upstream if and where a component begins."""
    return len(ways) > 1 or any(way.step is None for way in ways)


def _before(ways: Mapping[str, Sequence[Way]]) -> dict[str, frozenset[str]]:
    """By name, the components that have run, or were skipped, when one begins."""
    found: dict[str, frozenset[str]] = {}
    for name, upstream in ways.items():
        tasks = [way.task for way in upstream]
        found[name] = frozenset(tasks).union(*(found[task] for task in tasks))
    return found


_NO_LEVEL: frozenset[int] = frozenset()


class _Side(msgspec.Struct, frozen=True):
    """Drafts of which some run side by side.

    :param joins: by name, the ways to drafts that begin when all drafts before them have run.
    :param beside: names of those that have others beside them.
    """

    found: list[Draft]
    joins: Mapping[str, tuple[Way, ...]]
    beside: frozenset[str]


def _side_by_side(plan: Plan, found: list[Draft]) -> _Side:
    """Put the drafts of sections after each other, and those of a section side by side where they can be."""
    first = {step: each for each in reversed(found) for step in each.entries}
    last = {step: each for each in found for step in _finished(each)}
    joins: dict[str, tuple[Way, ...]] = {}
    beside: dict[str, None] = {}
    tails: list[Draft] = []
    ordered = sections(plan)
    for section in ordered:
        after = section.after
        for step in section.steps if after is not None else section.steps[:1]:
            before = [last[name] for name in after[step]] if after and after[step] else tails
            joins[first[step].name] = tuple(Way(each.name, first[step].entry) for each in before)
        if after is None:
            tails = [last[section.steps[-1]]]
            continue
        beside |= {last[step].name: None for step in section.steps}
        followed = {name for names in after.values() for name in names}
        tails = [last[step] for step in section.steps if step not in followed]
    if ordered[-1].after is None:
        return _Side(found, joins, frozenset(beside))
    ending = tails[0].name if len(tails) == 1 else ""
    found = [
        msgspec.structs.replace(each, ends=each.ends - {0} | ({0} if each.name == ending else frozenset()))
        for each in found
    ]
    if not ending:
        name = task_names([*(each.name for each in found), "outputs"])[-1]
        found.append(
            Draft(name, (), plan.workflow, (), _NO_LEVEL, frozenset({0}), _NO_LEVEL, frozenset({None}))
        )
        joins[name] = tuple(Way(each.name, "") for each in tails)
    return _Side(found, joins, frozenset([*beside, name] if not ending else beside))


def _finished(draft: Draft) -> list[str]:
    """Steps of the outermost workflow that have run when a draft has."""
    return [draft.calls[0]] if 1 in draft.ends else [] if draft.calls else list(draft.steps)
