"""Small plans whose way depends on the status of each response, and an Airflow that runs them, simulated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_arazzo.engine.entry import enter
from airflow_arazzo.engine.machine import Done, Machine, Send, begin
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.expression.model import Compare, Constant, Criterion, Expression
from airflow_arazzo.operators.graph import Component, Undecided, components, led_to
from airflow_arazzo.plan.model import Action, OperationCall, Plan, Source, Step, Workflow

MOST_VISITS = 2


def status_is(status: int) -> Criterion:
    comparison = Compare("==", Expression("statusCode"), Constant(status))
    return Criterion(f"$statusCode == {status}", simple=comparison)


def action(to: str, status: int | None) -> Action:
    """An action for a status, or for all. ``to`` is a step id, ``end``, or ``>`` and a workflow."""
    criteria = (status_is(status),) if status is not None else ()
    if to == "end":
        return Action("", "end", criteria=criteria)
    if to.startswith(">"):
        return Action("", "goto", workflow=to[1:], criteria=criteria)
    return Action("", "goto", step=to, criteria=criteria)


def step(
    name: str, *, success: Sequence[str] = (), always: str = "", failure: Sequence[str] = (), **fields: Any
) -> Step:
    """A step: 201, 202… and 401, 402… lead to the first, second… action; ``always`` applies to all 2xx."""
    on_success = [action(to, 201 + index) for index, to in enumerate(success)]
    if always:
        on_success.append(action(always, None))
    on_failure = [action(to, 401 + index) for index, to in enumerate(failure)]
    fields.setdefault("call", OperationCall("api", name, "POST", f"/{name}"))
    return Step(name, on_success=tuple(on_success), on_failure=tuple(on_failure), **fields)


def plan_of(*steps: Step, others: Mapping[str, Workflow] | None = None, **fields: Any) -> Plan:
    root = Workflow("root", steps, **fields)
    return Plan("root", {"root": root, **(others or {})}, {"api": Source("api")})


def _unmarked(name: str) -> str:
    """A name without the visits of the steps around it."""
    return re.sub(r"#\d+", "", name)


def statuses(each: Step) -> list[int]:
    """A status for every possible outcome of a step."""
    success = [a for a in each.on_success if a.criteria]
    return [
        200,
        *(201 + index for index in range(len(success))),
        400,
        *(401 + index for index in range(len(each.on_failure))),
    ]


Path = tuple[tuple[str, int], ...]
"""What a run did: steps and statuses, in order. A step of a called workflow is ``call/step``."""

Key = tuple[tuple[str, ...], int]


def name_of(command: Send) -> str:
    """A step as paths have it."""
    return "/".join(command.path[1::2])


@dataclass(frozen=True)
class Interpreted:
    """A run by the machine alone.

    :param keys: path and visit of every request: what the ledger tells effects apart by.
    """

    path: Path
    succeeded: bool
    keys: tuple[Key, ...] = ()


def response(status: int) -> Response:
    return Response(status, (), b"")


def interpretations(plan: Plan) -> Iterator[Interpreted]:
    """Every possible run of a plan, by the machine alone. Loops end after some visits, by a failure."""
    waiting: list[Path] = [()]
    while waiting:
        path = waiting.pop()
        machine = Machine(plan, begin(plan, {}, now=0.0), clock=lambda: 0.0, loop_pause=0)
        command = machine.next()
        keys: list[Key] = []
        for _, status in path:
            assert isinstance(command, Send)
            keys.append((command.path, command.visit))
            machine.receive(response(status))
            command = machine.next()
        if isinstance(command, Done):
            yield Interpreted(path, command.status == "succeeded", tuple(keys))
            continue
        assert isinstance(command, Send)
        name = name_of(command)
        visits = sum(_unmarked(done) == _unmarked(name) for done, _ in path)
        choice = statuses(command.step) if visits < MOST_VISITS else [400]
        if "/" in name and visits < MOST_VISITS:
            choice += [status for status in (201, 401) if status not in choice]  # for those who call it
        waiting += [(*path, (name, status)) for status in choice]


@dataclass
class Simulation:
    """A run in Airflow: states and XComs of tasks, trigger rules, clears."""

    plan: Plan
    parts: list[Component] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    choose: Callable[..., str | None] = led_to

    def __post_init__(self) -> None:
        self.parts = self.parts or components(self.plan)

    def run(self, path: Path) -> Path:
        """Run every task that has no state; returns what was executed, statuses as the path has them."""
        left = list(path)

        def given(step: str) -> int:
            name, status = left.pop(0) if left else ("nothing", 0)
            return status if name == step else -1

        return self.run_by(given)

    def run_by(self, given: Callable[[str], int]) -> Path:
        """Run every task that has no state; returns what was executed.

        :param given: the status of the next request of a step.
        """
        executed: list[tuple[str, int]] = []
        for part in self.parts:
            if part.name not in self.states:
                self.states[part.name] = self._scheduled(part) or self._started(part, given, executed)
        return tuple(executed)

    def _scheduled(self, part: Component) -> str:
        """The state that the trigger rule gives without a start; empty when the task starts."""
        upstream = [self.states[way.task] for way in part.upstream]
        if any(state in ("failed", "upstream_failed") for state in upstream):
            return "upstream_failed"
        skipped = [state == "skipped" for state in upstream]
        if part.asks:
            return "skipped" if all(skipped) else ""
        return "skipped" if any(skipped) else ""

    def _started(self, part: Component, given: Callable[[str], int], executed: list[tuple[str, int]]) -> str:
        self.told.pop(part.name, None)  # Airflow removes a task's XComs when it starts
        start: str | None = part.start
        if part.asks:
            try:
                start = self.choose(part, lambda task: self.states[task] == "success", self.told.get)
            except Undecided:
                return "failed"
        if start is None:
            return "skipped"
        if not part.steps:
            return "success"
        state = begin(self.plan, {}, now=0.0)
        nothing: list[dict[str, dict[str, Any]]] = [{}] * (len(part.calls) + 1)
        position = ("",) if start == self.plan.root.steps[0].id else part.position(start)
        enter(self.plan, state, position, nothing, {}, "fail")
        steps = frozenset(part.steps)
        machine = Machine(self.plan, state, clock=lambda: 0.0, loop_pause=0, within=steps, calls=part.calls)
        while isinstance(command := machine.next(), Send):
            name = name_of(command)
            status = given(name)
            executed.append((name, status))
            self.keys.append((command.path, command.visit))
            machine.receive(response(abs(status)))
        assert isinstance(command, Done)
        if command.status == "failed":
            return "failed"
        if part.tells:
            self.told[part.name] = command.next_step
        return "success"

    def clear(self, task: str) -> None:
        """Clear a task and all tasks downstream of it; their XComs stay."""
        cleared = {task}
        for part in self.parts:
            if any(way.task in cleared for way in part.upstream):
                cleared.add(part.name)
        for name in cleared:
            self.states.pop(name, None)

    @property
    def succeeded(self) -> bool:
        """The state of the run, which is that of its leaves."""
        inner = {way.task for part in self.parts for way in part.upstream}
        leaves = [self.states[part.name] for part in self.parts if part.name not in inner]
        return all(state in ("success", "skipped") for state in leaves)
