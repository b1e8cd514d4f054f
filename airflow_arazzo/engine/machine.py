"""The machine: what a workflow does next, given what came back. No I/O, no clock of its own.

Drive it like this: take :meth:`Machine.next`; for :class:`Send` exchange the request and hand the response
(or the transport's error) to :meth:`Machine.receive`; for :class:`Wait` let the time pass and ask again;
:class:`Done` is the end. :attr:`Machine.state` may be stored between any two commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_arazzo.engine import outcomes
from airflow_arazzo.engine.inputs import InvalidInputs, prepare_inputs
from airflow_arazzo.engine.journal import Event, Failure, StepRecord
from airflow_arazzo.engine.messages import Request, RequestError, Response, TransportError
from airflow_arazzo.engine.request import build_request
from airflow_arazzo.engine.scope import Exchange, RunScope
from airflow_arazzo.engine.state import Finished, Frame, State
from airflow_arazzo.expression.criteria import Verdict, criteria_hold
from airflow_arazzo.expression.evaluate import AbsentInText, evaluate
from airflow_arazzo.expression.model import ABSENT, Template
from airflow_arazzo.plan.model import Action, OperationCall, Plan, Step, Workflow, WorkflowCall

LOOP_PAUSE = 30.0
"""Seconds between two visits of a step where the document names no delay."""

LOOP_LIMIT = 24 * 3600.0
"""Seconds after which a run that still loops is given up."""


@dataclass(frozen=True)
class Send:
    """Send this request.

    :param path: where in the run: workflow and step of every frame, outermost first.
    :param visit: the how-manieth time the step is begun, from 1.
    """

    request: Request
    step: Step
    path: tuple[str, ...]
    visit: int


@dataclass(frozen=True)
class Wait:
    """Let time pass, in seconds, before asking again."""

    seconds: float
    reason: str


@dataclass(frozen=True)
class Done:
    """The end.

    :param status: ``left`` when what comes next is not among the steps that the machine was to run.
    :param outputs: outputs of the workflow; none where it was run in part only.
    :param next_step: the step to go on with, for ``left``.
    :param ended_by: name of the action that ended the workflow, or an empty text.
    """

    status: Literal["succeeded", "failed", "left"]
    outputs: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    next_step: str = ""
    ended_by: str = ""


Command = Send | Wait | Done


class Machine:
    """Runs one plan.

    :param plan: what to execute.
    :param state: where the run stands; changed in place.
    :param secrets: values of secret inputs, by workflow key and input name. Never part of the state.
    :param within: steps of the outermost workflow that this machine runs; all when None.
    :param clock: the time in seconds since the epoch.
    :param loop_pause: seconds between two visits of a step where nothing names a delay.
    :param absent_text: what an absent value inside text does: ``fail`` or ``empty``.
    """

    def __init__(
        self,
        plan: Plan,
        state: State,
        *,
        clock: Callable[[], float],
        secrets: Mapping[tuple[str, str], str] | None = None,
        within: frozenset[str] | None = None,
        loop_pause: float = LOOP_PAUSE,
        absent_text: Literal["fail", "empty"] = "fail",
    ) -> None:
        self.plan = plan
        self.state = state
        self.events: list[Event] = []
        self.records: list[StepRecord] = []
        self._clock = clock
        self._secrets = dict(secrets or {})
        self._within = within
        self._loop_pause = loop_pause
        self._absent_text = absent_text
        self._sent: Send | None = None
        self._done: Done | None = None

    def next(self) -> Command:
        """The next command.

        :raises RuntimeError: while an outcome is still owed to the machine.
        """
        if self._sent is not None:
            raise RuntimeError("the machine waits for the outcome of a request")
        while self._done is None:
            seconds = self.state.wake_at - self._clock() if self.state.wake_at else 0.0
            if seconds > 0:
                return Wait(seconds, self.state.reason)
            self.state.wake_at, self.state.reason = 0.0, ""
            command = self._advance()
            if command is not None:
                return command
        return self._done

    def receive(self, outcome: Response | TransportError) -> None:
        """Tell the machine what came of the request that it asked to send."""
        sent, self._sent = self._sent, None
        if sent is None:
            raise RuntimeError("the machine did not ask for anything to be sent")
        if isinstance(outcome, TransportError):
            failure = outcomes.transport_failure(sent.step, outcome)
            self._fail(failure, Exchange(sent.request, None))
        else:
            self._judge(sent.step, Exchange(sent.request, outcome))

    # --- beginning -------------------------------------------------------------------------------

    @property
    def _frame(self) -> Frame:
        return self.state.frames[-1]

    @property
    def _workflow(self) -> Workflow:
        return self.plan.workflows[self._frame.workflow]

    @property
    def _step(self) -> Step:
        return next(step for step in self._workflow.steps if step.id == self._frame.step)

    def _scope(self, exchange: Exchange | None = None, outputs: dict[str, Any] | None = None) -> RunScope:
        return RunScope(self.plan, self._frame, self.state.finished, self._secrets, exchange, outputs)

    def _advance(self) -> Command | None:
        """One move: a command, or None when the next move can be made at once."""
        frame = self._frame
        if not frame.step:
            if self._begin_dependency(frame):
                return None
            frame.step = self._workflow.steps[0].id
        if frame.helper:
            self._begin_helper(frame)
            return None
        step = self._step
        frame.visits[step.id] = frame.visits.get(step.id, 0) + 1
        if isinstance(step.call, WorkflowCall):
            self._begin_call(step.call)
            return None
        return self._begin_operation(step, step.call)

    def _begin_operation(self, step: Step, call: OperationCall) -> Send | None:
        timeout = step.timeout_ms / 1000 if step.timeout_ms is not None else None
        try:
            request = build_request(call, self._scope(), timeout=timeout, absent_text=self._absent_text)
        except RequestError as error:
            self._fail(Failure(error.code, error.message, step.id, error.hint, fate="not-sent"), None)
            return None
        path = tuple(part for frame in self.state.frames for part in (frame.workflow, frame.step))
        self._sent = Send(request, step, path, self._frame.visits[step.id])
        return self._sent

    def _begin_call(self, call: WorkflowCall) -> None:
        try:
            inputs = self._values(dict(call.inputs), self._scope())
        except (AbsentInText, ValueError) as error:
            self._fail(Failure("inputs", str(error), self._frame.step, fate="not-sent"), None)
            return
        self._push(call.workflow, inputs, "call")

    def _begin_dependency(self, frame: Frame) -> bool:
        """Begin a workflow that this one depends on and that has not run yet (workflow ``dependsOn``)."""
        for key in self._workflow.depends_on:
            if key not in self.state.finished:
                self._push(key, self._namesakes(key, frame), "dependency")
                return True
        return False

    def _namesakes(self, key: str, frame: Frame) -> dict[str, Any]:
        """Inputs of the frame that another workflow has too."""
        names = self.plan.workflows[key].inputs.get("properties") or {}
        return {name: value for name, value in frame.inputs.items() if name in names}

    def _begin_helper(self, frame: Frame) -> None:
        """Begin the step or workflow that a retry action names."""
        kind, _, name = frame.helper.partition(":")
        frame.helper = ""
        if kind == "step":
            frame.step = name
        else:
            self._push(name, self._namesakes(name, frame), "retry")

    def _push(
        self, key: str, inputs: dict[str, Any], purpose: Literal["call", "retry", "dependency"]
    ) -> None:
        """Begin a workflow inside the one under way."""
        try:
            prepared = prepare_inputs(self.plan.workflows[key], inputs, handed_over=True)
        except InvalidInputs as error:
            message = f"workflow {key!r} does not accept its inputs: {error}"
            self._come_back(purpose, False, {}, Failure("inputs", message, self._frame.step, fate="not-sent"))
            return
        self.state.frames.append(Frame(key, prepared, purpose=purpose))

    def _values(self, templates: Mapping[str, Template], scope: RunScope) -> dict[str, Any]:
        """Values by name; what is absent is left out."""
        found = {name: evaluate(t, scope, absent_text=self._absent_text) for name, t in templates.items()}
        return {name: value for name, value in found.items() if value is not ABSENT}

    # --- judging ---------------------------------------------------------------------------------

    def _judge(self, step: Step, exchange: Exchange, called: dict[str, Any] | None = None) -> None:
        """Apply a step's success criteria; ``called`` are the outputs of the workflow that it called."""
        scope = self._scope(exchange, called)
        if step.criteria:
            passed, verdicts = criteria_hold(step.criteria, scope)
        elif called is None:
            passed, verdicts = outcomes.default_verdict(exchange)
        else:
            passed, verdicts = True, []
        self._tell_verdicts(step, verdicts, exchange)
        try:
            outputs = (called or {}) | self._values(step.outputs, scope)
        except (AbsentInText, ValueError) as error:
            message = f"an output cannot be had: {error}"
            fate = outcomes.criteria_failure(step, exchange, [message])
            self._fail(Failure("output", message, step.id, fate.hint, fate.fate, fate.status), exchange)
            return
        if passed:
            self._succeed(step, exchange, outputs)
        else:
            reasons = [verdict.reason for verdict in verdicts if not verdict.passed]
            self._fail(outcomes.criteria_failure(step, exchange, reasons), exchange, outputs)

    def _succeed(self, step: Step, exchange: Exchange, outputs: dict[str, Any]) -> None:
        frame = self._frame
        frame.outputs[step.id] = outputs
        self._record(step, "succeeded", exchange, outputs)
        if frame.retrying and frame.retrying != step.id:
            frame.step, frame.retrying = frame.retrying, ""
            return
        frame.retrying, frame.failed = "", None
        scope = self._scope(exchange, outputs)
        action = next((a for a in step.on_success if criteria_hold(a.criteria, scope)[0]), None)
        if action is None:
            self._go_on(step)
            return
        self._tell(step, f"success action {action.name or action.type!r}: {_described(action)}")
        if action.type == "end":
            self._end(True, ended_by=action.name or "end")
        else:
            self._jump(action, exchange, scope)

    def _fail(
        self, failure: Failure, exchange: Exchange | None, outputs: dict[str, Any] | None = None
    ) -> None:
        """The step under way has failed: find the action that takes over, if any."""
        frame, step = self._frame, self._step
        self._record(step, "failed", exchange, outputs or {}, failure)
        if frame.retrying and frame.retrying != step.id:
            self._give_up_retry(failure)
            return
        if failure.fate == "unknown" and not outcomes.may_resend(step):
            self._end(False, failure)
            return
        self._act_on_failure(step, failure, exchange, outputs or {})

    def _act_on_failure(
        self, step: Step, failure: Failure, exchange: Exchange | None, outputs: dict[str, Any]
    ) -> None:
        scope = self._scope(exchange, outputs)
        for index, action in enumerate(step.on_failure):
            if not criteria_hold(action.criteria, scope)[0]:
                continue
            if action.type == "retry" and not self._retry(step, index, action, failure, exchange):
                continue
            if action.type != "retry":
                self._tell(step, f"failure action {action.name or action.type!r}: {_described(action)}")
            if action.type == "end":
                self._end(False, failure, ended_by=action.name or "end")
            elif action.type == "goto":
                self._frame.outputs[step.id] = outputs
                self._jump(action, exchange, scope)
            return
        self._end(False, failure)

    # --- moving on -------------------------------------------------------------------------------

    def _retry(
        self, step: Step, index: int, action: Action, failure: Failure, exchange: Exchange | None
    ) -> bool:
        """Use one retry of an action; False when none is left or the request took effect already."""
        frame, name = self._frame, f"{step.id}/{index}"
        limit = 1 if action.retry_limit is None else action.retry_limit
        used = frame.retries.get(name, 0)
        if used >= limit or (failure.fate == "effect" and not outcomes.may_resend(step)):
            return False
        frame.retries[name] = used + 1
        frame.retrying, frame.retried_by = step.id, name
        frame.failed = exchange.response if exchange else None
        if action.step and action.step != step.id:
            frame.helper = f"step:{action.step}"
        elif action.workflow:
            frame.helper = f"workflow:{action.workflow}"
        delay = outcomes.retry_delay(action, exchange, self._clock())
        self._pause(delay, f"retry {used + 1} of {limit} of step {step.id!r} in {delay:g} s")
        self._tell(step, self.state.reason or f"retry {used + 1} of {limit} of step {step.id!r}")
        return True

    def _give_up_retry(self, failure: Failure) -> None:
        """What was to run before a retry has failed: the retry counts as exhausted."""
        frame = self._frame
        frame.step, frame.retrying, frame.helper = frame.retrying, "", ""
        step = self._step
        index = int(frame.retried_by.rsplit("/", 1)[1])
        limit = step.on_failure[index].retry_limit
        frame.retries[frame.retried_by] = 1 if limit is None else limit
        exchange = Exchange(None, frame.failed) if frame.failed else None
        self._act_on_failure(step, failure, exchange, {})

    def _pause(self, seconds: float, reason: str) -> None:
        if seconds > 0:
            self.state.wake_at, self.state.reason = self._clock() + seconds, reason

    def _go_on(self, step: Step) -> None:
        """To the next step of the document, or to the end."""
        steps = self._workflow.steps
        index = next(i for i, each in enumerate(steps) if each.id == step.id)
        if index + 1 < len(steps):
            self._go_to(steps[index + 1].id)
        else:
            self._end(True)

    def _go_to(self, step_id: str) -> None:
        if len(self.state.frames) == 1 and self._within is not None and step_id not in self._within:
            self._done = Done("left", next_step=step_id)
        else:
            self._frame.step = step_id

    def _jump(self, action: Action, exchange: Exchange | None, scope: RunScope) -> None:
        """A ``goto``: to a step of this workflow, or one-way to another workflow."""
        frame = self._frame
        if action.step:
            if frame.visits.get(action.step):
                self._loop(action, exchange)
            if self._done is None:
                self._go_to(action.step)
            return
        try:
            inputs = self._namesakes(action.workflow, frame) | self._values(dict(action.inputs), scope)
            prepared = prepare_inputs(self.plan.workflows[action.workflow], inputs, handed_over=True)
        except (AbsentInText, ValueError, InvalidInputs) as error:
            message = f"workflow {action.workflow!r} does not accept its inputs: {error}"
            self._end(False, Failure("inputs", message, frame.step))
            return
        self._pause(self._loop_pause if action.workflow == frame.workflow else 0.0, f"goto {action.workflow}")
        self.state.frames[-1] = Frame(action.workflow, prepared, purpose=frame.purpose)

    def _loop(self, action: Action, exchange: Exchange | None) -> None:
        """A step is visited again: pause, and give up after the limit."""
        if self._clock() - self.state.started > LOOP_LIMIT:
            message = f"still looping after {LOOP_LIMIT / 3600:g} hours"
            self._end(False, Failure("loop-limit", message, self._frame.step))
            return
        delay = outcomes.retry_delay(None, exchange, self._clock(), self._loop_pause)
        visit = self._frame.visits[action.step] + 1
        self._pause(delay, f"visit {visit} of step {action.step!r} in {delay:g} s")

    # --- ending ----------------------------------------------------------------------------------

    def _end(self, succeeded: bool, failure: Failure | None = None, ended_by: str = "") -> None:
        """End the innermost workflow, and go on with the one around it."""
        partial = len(self.state.frames) == 1 and self._within is not None
        outputs: dict[str, Any] = {}
        if succeeded and not partial:
            try:
                outputs = self._values(self._workflow.outputs, self._scope())
            except (AbsentInText, ValueError) as error:
                succeeded = False
                failure = Failure("output", f"an output of the workflow cannot be had: {error}")
        if len(self.state.frames) == 1:
            self._done = Done("succeeded" if succeeded else "failed", outputs, failure, ended_by=ended_by)
            return
        frame = self.state.frames.pop()
        if succeeded:
            self.state.finished[frame.workflow] = Finished(frame.inputs, outputs)
        self._come_back(frame.purpose, succeeded, outputs, failure)

    def _come_back(
        self, purpose: str, succeeded: bool, outputs: dict[str, Any], failure: Failure | None
    ) -> None:
        """Go on in the frame that began another workflow."""
        failure = failure or Failure("workflow", "the called workflow failed")
        if purpose == "dependency":
            if not succeeded:
                self._end(False, failure)
        elif purpose == "retry":
            if not succeeded:
                self._give_up_retry(failure)
        elif succeeded:
            self._judge(self._step, self._last or Exchange(None, None), outputs)
        else:
            self._fail(failure, self._last)

    _last: Exchange | None = None

    # --- telling ---------------------------------------------------------------------------------

    def _tell(self, step: Step, text: str, level: Literal["info", "warning"] = "info") -> None:
        self.events.append(Event(step.id, text, level))

    def _tell_verdicts(self, step: Step, verdicts: list[Verdict], exchange: Exchange) -> None:
        for verdict in verdicts:
            mark = "holds" if verdict.passed else "does not hold"
            self._tell(step, f"criterion {mark}: {verdict.reason}")
        if exchange.warning:
            self._tell(step, exchange.warning, "warning")

    def _record(
        self,
        step: Step,
        status: Literal["succeeded", "failed"],
        exchange: Exchange | None,
        outputs: dict[str, Any],
        failure: Failure | None = None,
    ) -> None:
        """Add a step record; remember the exchange for the workflow that called this one."""
        self._last = exchange
        request = exchange.request if exchange else None
        response = exchange.response if exchange else None
        shown = {name: "***" if name in step.secret_outputs else value for name, value in outputs.items()}
        self.records.append(
            StepRecord(
                workflow=self._frame.workflow,
                step=step.id,
                status=status,
                method=request.method if request else "",
                url=response.url if response else "",
                status_code=response.status if response else None,
                elapsed=response.elapsed if response else None,
                outputs=shown,
                error=failure,
            )
        )


def _described(action: Action) -> str:
    target = action.step or action.workflow
    return f"{action.type} {target}".strip()


def begin(plan: Plan, inputs: Mapping[str, Any], *, now: float) -> State:
    """The state of a run that has not begun. The inputs must have been prepared."""
    return State([Frame(plan.workflow, dict(inputs))], started=now)


def workflow_outputs(plan: Plan, state: State) -> dict[str, Any]:
    """Outputs of the outermost workflow, from the outputs of its steps.

    :raises AbsentInText: for an absent value inside text.
    """
    scope = RunScope(plan, state.frames[0], state.finished, {})
    found = {name: evaluate(template, scope) for name, template in plan.root.outputs.items()}
    return {name: value for name, value in found.items() if value is not ABSENT}
