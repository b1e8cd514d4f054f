"""The workflows under way, the innermost last: what their expressions see, and how one begins in another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.scope import Exchange, RunScope
from airflow_arazzo.engine.state import Frame, Origin, Purpose, Retry, State
from airflow_arazzo.expression.evaluate import evaluate
from airflow_arazzo.expression.model import ABSENT, Expression, Template
from airflow_arazzo.plan.flow import uncertain_dependencies
from airflow_arazzo.plan.model import Plan, Step, Workflow

Handed = dict[str, tuple[str, str]]
"""Secret inputs by name: the workflow key and input name under which the machine holds the value."""


@dataclass(frozen=True)
class Returned:
    """A workflow that a step called has ended; the step is to be judged by it.

    :param exchange: its last one.
    :param effect: whether a request was sent in it that must not be repeated, and not refused.
    :param failure: None when it succeeded.
    """

    outputs: dict[str, Any]
    exchange: Exchange | None
    effect: bool
    failure: Failure | None


class Stack:
    """Activations of workflows, kept in a state.

    :param secrets: values of secret inputs, by workflow key and input name. Never part of the state.
    """

    def __init__(
        self,
        plan: Plan,
        state: State,
        secrets: Mapping[tuple[str, str], str],
        absent_text: Literal["fail", "empty"],
    ) -> None:
        self.plan = plan
        self.state = state
        self._secrets = secrets
        self._absent_text = absent_text
        self._positions: dict[str, dict[str, int]] = {}
        self._doubtful: dict[str, Mapping[str, tuple[str, ...]]] = {}

    @property
    def frame(self) -> Frame:
        """The innermost activation."""
        return self.state.frames[-1]

    @property
    def workflow(self) -> Workflow:
        """The workflow of the innermost activation."""
        return self.plan.workflows[self.state.frames[-1].workflow]

    @property
    def is_outermost(self) -> bool:
        """Whether nothing waits for the innermost activation."""
        return len(self.state.frames) == 1

    @property
    def deadline(self) -> float:
        """When the time of the first of them is over, in seconds since the epoch; 0 for never."""
        frames = self.state.frames
        if len(frames) == 1:  # asked for every request, and most workflows call no other
            return frames[0].deadline
        return min((frame.deadline for frame in frames if frame.deadline), default=0.0)

    def step(self, step_id: str = "") -> Step:
        """A step of the innermost workflow; the one under way by default."""
        return self.workflow.steps[self._position(step_id or self.frame.step)]

    def step_after(self, step_id: str) -> Step | None:
        """The step that follows by default, or None behind the last."""
        steps, behind = self.workflow.steps, self._position(step_id) + 1
        return steps[behind] if behind < len(steps) else None

    def _position(self, step_id: str) -> int:
        key = self.state.frames[-1].workflow
        positions = self._positions.get(key)
        if positions is None:
            steps = self.plan.workflows[key].steps
            positions = self._positions[key] = {step.id: index for index, step in enumerate(steps)}
        return positions[step_id]

    def missing(self, step: Step) -> str:
        """A step that this one depends on and that has not run in this activation; empty when all have."""
        if not step.depends_on:
            return ""
        key = self.frame.workflow
        if key not in self._doubtful:
            self._doubtful[key] = uncertain_dependencies(self.plan.workflows[key].steps)
        doubtful = self._doubtful[key].get(step.id, ())
        return next((name for name in doubtful if name not in self.frame.outputs), "")

    def scope(self, exchange: Exchange | None = None, outputs: dict[str, Any] | None = None) -> RunScope:
        """What expressions of the innermost workflow see.

        :param exchange: what ``$request``, ``$response`` and their kin name.
        :param outputs: what ``$outputs`` names.
        """
        return RunScope(
            self.plan, self.state.frames[-1], self.state.finished, self._secrets, exchange, outputs
        )

    def values(self, templates: Mapping[str, Template], scope: RunScope) -> dict[str, Any]:
        """Values by name; what is absent is left out.

        :raises AbsentInText: for an absent value inside text.
        :raises ValueError: for a value that cannot be had.
        """
        return {
            name: value
            for name, template in templates.items()
            if (value := evaluate(template, scope, absent_text=self._absent_text)) is not ABSENT
        }

    def inputs(
        self, templates: Iterable[tuple[str, Template]], scope: RunScope
    ) -> tuple[dict[str, Any], Handed]:
        """Inputs for another workflow, and which of them are secrets.

        :raises AbsentInText: for an absent value inside text.
        :raises ValueError: for a value that cannot be had.
        """
        frame, named = self.frame, dict(templates)
        handed = {
            name: frame.handed.get(template.name) or (frame.workflow, template.name)
            for name, template in named.items()
            if type(template) is Expression
            and template.root == "inputs"
            and template.name
            and template.name not in frame.inputs
        }
        values = self.values(named, scope)
        return values, {name: held for name, held in handed.items() if name in values}

    def namesakes(self, key: str) -> tuple[dict[str, Any], Handed]:
        """Inputs of the innermost activation that another workflow has too, and secrets handed to both."""
        target, frame = self.plan.workflows[key], self.frame
        names = {*(target.inputs.get("properties") or {}), *target.credentials}
        values = {name: value for name, value in frame.inputs.items() if name in names}
        return values, {name: held for name, held in frame.handed.items() if name in names}

    def push(
        self, key: str, inputs: dict[str, Any], handed: Handed, purpose: Purpose, deadline: float = 0.0
    ) -> None:
        """Begin a workflow inside the innermost one.

        :param deadline: as in :class:`~airflow_arazzo.engine.state.Frame`.
        :raises InvalidInputs: when it does not accept its inputs.
        """
        prepared = self._prepared(key, inputs, handed)
        self.state.frames.append(Frame(key, prepared, handed, purpose=purpose, deadline=deadline))

    def replace(self, key: str, inputs: dict[str, Any], handed: Handed) -> None:
        """Put a workflow in the place of the innermost one, which does not go on.

        :raises InvalidInputs: when it does not accept its inputs.
        """
        left = self.frame
        prepared = self._prepared(key, inputs, handed)
        origin = left.origin or Origin(left.workflow, left.inputs, {left.workflow: 1})
        origin.entered[key] = origin.entered.get(key, 0) + 1
        self.state.frames[-1] = Frame(
            key,
            prepared,
            handed,
            purpose=left.purpose,
            origin=origin,
            effect=left.effect,
            deadline=left.deadline,
        )

    def _prepared(self, key: str, inputs: dict[str, Any], handed: Handed) -> dict[str, Any]:
        """Inputs checked and with defaults, secrets taken out again."""
        workflow = self.plan.workflows[key]
        secret = {name: self._secrets[held] for name, held in handed.items() if held in self._secrets}
        prepared = prepare_inputs(workflow, {**inputs, **secret}, handed_over=True)
        return {name: value for name, value in prepared.items() if name not in handed}

    def path(self) -> tuple[str, ...]:
        """Where in the run: workflow and step of every activation, outermost first.

        What is visited again is told apart: ``STEP#3`` is the third visit of a step around others, and
        ``WORKFLOW#2`` a workflow to which a ``goto`` led back; ``STEP~2`` is its second retry, around a
        workflow that runs before it, and ``STEP~2/OTHER`` is another step that runs before it. A retry by
        itself makes no difference.
        """
        frames = self.state.frames
        inner = frames[-1]
        if len(frames) == 1 and inner.origin is None and inner.retry is None:
            return inner.workflow, inner.step
        parts: list[str] = []
        for outer, frame in zip([None, *frames[:-1]], frames, strict=True):
            if outer is not None:
                parts.append(_step_mark(outer, frame))
            parts.append(_workflow_mark(frame))
        return *parts, _helper_mark(inner) or inner.step

    def visit(self) -> int:
        """The how-manieth visit of the step under way it is; what runs before a retry is not visited."""
        frame = self.frame
        return 1 if _helper_mark(frame) else frame.visits[frame.step]


def _workflow_mark(frame: Frame) -> str:
    times = frame.origin.entered[frame.workflow] if frame.origin else 1
    return f"{frame.workflow}#{times}" if times > 1 else frame.workflow


def _step_mark(frame: Frame, inner: Frame) -> str:
    """The step of an activation that another one is inside of."""
    if inner.purpose == "retry" and frame.retry:
        return _retry_mark(frame, frame.retry)
    return _helper_mark(frame) or _visit_mark(frame, frame.step)


def _helper_mark(frame: Frame) -> str:
    """The step under way where it runs before the retry of another one; empty where it does not.

    It is no visit, and not the same as when the workflow comes by: its effect is another one.
    """
    retry = frame.retry
    return f"{_retry_mark(frame, retry)}/{frame.step}" if retry and retry.step != frame.step else ""


def _retry_mark(frame: Frame, retry: Retry) -> str:
    return f"{_visit_mark(frame, retry.step)}~{sum(retry.used.values())}"


def _visit_mark(frame: Frame, step_id: str) -> str:
    visit = frame.visits.get(step_id, 0)
    return f"{step_id}#{visit}" if visit > 1 else step_id
