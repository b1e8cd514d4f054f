"""The way through a workflow: what a step's success or failure leads to.

Actions, retries and loops (Arazzo 1.1, "Success Action Object" and "Failure Action Object"), and workflows
that begin and end inside others. Nothing here sends or judges anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from airflow_arazzo.engine import outcomes
from airflow_arazzo.engine.deadline import first_late, too_late
from airflow_arazzo.engine.inputs import InvalidInputs
from airflow_arazzo.engine.journal import Event, Failure
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.part import Part
from airflow_arazzo.engine.scope import Exchange, RunScope
from airflow_arazzo.engine.stack import Handed, Returned, Stack
from airflow_arazzo.engine.state import Done, Finished, Frame, Helper, Purpose, Retry
from airflow_arazzo.expression.criteria import criteria_hold
from airflow_arazzo.expression.evaluate import AbsentInText
from airflow_arazzo.plan.model import Action, OperationCall, Step, WorkflowCall
from airflow_arazzo.plan.reads import expressions

LOOP_PAUSE = 30.0
"""Seconds between two visits of a step where the document names no delay."""

LOOP_LIMIT = 24 * 3600.0
"""Seconds after which a run that still loops is given up."""


class Flow:
    """Moves a run from step to step.

    :param part: what of the run is to be seen through.
    :param clock: the time in seconds since the epoch.
    :param loop_pause: seconds between two visits of a step where nothing names a delay.
    :param keyed: whether requests carry an idempotency key where the service honours one.
    """

    def __init__(
        self,
        stack: Stack,
        *,
        clock: Callable[[], float],
        part: Part,
        loop_pause: float,
        keyed: bool = False,
    ) -> None:
        self.returned: Returned | None = None
        self.events: list[Event] = []
        self._stack = stack
        self._state = stack.state
        self._clock = clock
        self._part = part
        self._loop_pause = loop_pause
        self._keyed = keyed

    def begin(self, *, again: bool = False) -> Step | None:
        """Begin what comes next: the step whose operation is to be called, or None after another move.

        :param again: whether the step was begun before and its outcome never came.
        """
        stack = self._stack
        frame = stack.frame
        if not frame.step:
            if self._begin_dependency():
                return None
            frame.step = stack.workflow.steps[0].id
        retry = frame.retry
        if retry is not None and retry.helper is not None:
            self._begin_helper(retry, retry.helper)
            return None
        step = stack.step()
        missing = stack.missing(step)
        if missing:
            self._refuse(step, missing)
            return None
        if not again and retry is None:
            frame.visits[step.id] = frame.visits.get(step.id, 0) + 1
        if isinstance(step.call, OperationCall):
            return step
        self._begin_call(step, step.call)
        return None

    def succeeded(self, step: Step, exchange: Exchange | None, outputs: dict[str, Any]) -> None:
        """The step under way has succeeded: take the action that applies, or go on."""
        frame = self._stack.frame
        frame.outputs[step.id] = outputs
        if frame.retry is not None and frame.retry.step != step.id:
            frame.step = frame.retry.step
            return
        frame.retry = None
        action = None
        if step.on_success:
            scope = self._stack.scope(exchange, outputs)
            action = next((a for a in step.on_success if criteria_hold(a.criteria, scope)[0]), None)
        if action is None:
            following = self._stack.step_after(step.id)
            if following is None:
                self._end(None, exchange)
            else:
                self._go_to(following.id)
            return
        self.tell(step, f"success action {action.name or action.type!r}: {_described(action)}")
        if action.type == "end":
            self._end(None, exchange, ended_by=action.name or "end")
        else:
            self._jump(step, action, exchange, scope)

    def failed(
        self, step: Step, failure: Failure, exchange: Exchange | None, outputs: dict[str, Any]
    ) -> None:
        """The step under way has failed: find the action that takes over, if any."""
        retry = self._stack.frame.retry
        if failure.code in outcomes.FINAL:
            self._end(failure, exchange)
        elif retry is not None and retry.step != step.id:
            self._give_up(retry, failure)
        else:
            self._take_over(step, failure, exchange, outputs)

    def give_up_late(self, cause: Failure | None = None) -> bool:
        """Give up the outermost of the called workflows whose time is over; False when there is none.

        :param cause: why the request that was under way has no response.
        """
        frames = self._state.frames
        index = first_late(frames, self._clock())
        if index is None:
            return False
        failure = too_late(self._stack, index, cause, keyed=self._keyed)
        late = frames[index:]
        del frames[index:]
        effect = any(frame.effect for frame in late)
        frames[-1].effect |= effect
        self._state.wake_at, self._state.reason, self._state.in_flight = 0.0, "", False
        self._come_back(late[0], Returned({}, None, effect, failure))
        return True

    def tell(
        self, step: Step, text: str | Callable[[], str], level: Literal["info", "warning"] = "info"
    ) -> None:
        """Add an event."""
        self.events.append(Event(step.id, text, level))

    # --- failure ---------------------------------------------------------------------------------

    def _take_over(
        self, step: Step, failure: Failure, exchange: Exchange | None, outputs: dict[str, Any]
    ) -> None:
        """Let the first action that applies take over; without one the workflow fails."""
        frame = self._stack.frame
        scope = self._stack.scope(exchange, outputs)
        for index, action in enumerate(step.on_failure):
            if not criteria_hold(action.criteria, scope)[0]:
                continue
            if action.type == "retry":
                if self._retry(step, index, failure, exchange, scope, outputs):
                    return
                continue
            if failure.fate == "unknown" and not (failure.repeatable or outcomes.may_resend(step)):
                break  # what may have been billed must not be billed another way
            frame.retry = None
            named = f"failure action {action.name or action.type!r}: {_described(action)}"
            if action.type == "end":
                self.tell(step, named)
                self._end(failure, exchange, ended_by=action.name or "end")
            else:
                self.tell(step, f"{named}; this handles the failure: {failure.message}", "warning")
                frame.outputs[step.id] = outputs
                self._jump(step, action, exchange, scope)
            return
        self._end(failure, exchange)

    def _retry(
        self,
        step: Step,
        index: int,
        failure: Failure,
        exchange: Exchange | None,
        scope: RunScope,
        outputs: dict[str, Any],
    ) -> bool:
        """Use one retry of an action; False when none is left or something must not be repeated."""
        action, frame = step.on_failure[index], self._stack.frame
        named = f"failure action {action.name or action.type!r}"
        limit = 1 if action.retry_limit is None else action.retry_limit
        used = frame.retry.used if frame.retry else {}
        count = used.get(str(index), 0) + 1
        if count > limit:
            self.tell(step, f"{named}: its {limit} retries are used up")
            return False
        if failure.fate == "effect" and not outcomes.is_repeatable(step):
            self.tell(step, f"{named}: not retried, {failure.hint}", "warning")
            return False
        try:
            helper = self._helper(step, action, scope)
        except (AbsentInText, ValueError) as error:
            self.tell(step, f"{named}: not retried, an input cannot be had: {error}", "warning")
            return False
        frame.retry = Retry(step.id, {**used, str(index): count}, index, helper)
        if helper is not None:
            response = exchange.response if exchange else None
            frame.retry.failure, frame.retry.outputs = failure, outputs
            frame.retry.response = _kept(response, step.on_failure[index + 1 :])
        delay = outcomes.retry_delay(action, exchange, self._clock())
        reason = f"retry {count} of {limit} of step {step.id!r} in {delay:g} s"
        self._pause(delay, reason)
        self.tell(step, reason)
        return True

    def _helper(self, step: Step, action: Action, scope: RunScope) -> Helper | None:
        """What is to run before the retry; nothing where the action names the step itself."""
        if action.workflow:
            inputs, handed = self._inputs_for(action, scope)
            return Helper(workflow=action.workflow, inputs=inputs, handed=handed)
        return Helper(step=action.step) if action.step and action.step != step.id else None

    def _give_up(self, retry: Retry, failure: Failure) -> None:
        """What was to run before a retry has failed: the retry counts as exhausted."""
        self._stack.frame.step = retry.step
        step = self._stack.step()
        limit = step.on_failure[retry.action].retry_limit
        retry.used[str(retry.action)] = 1 if limit is None else limit
        first = retry.failure or failure
        message = f"{first.message}; what was to run before a retry failed: {failure.message}"
        both = Failure(first.code, message, step.id, first.hint, first.fate, first.status, key=first.key)
        exchange = Exchange(None, retry.response) if retry.response else None
        self._take_over(step, both, exchange, retry.outputs)

    def _refuse(self, step: Step, missing: str) -> None:
        """Fail for a step that cannot run because one that it depends on has not run (step ``dependsOn``)."""
        message = f"it depends on step {missing!r}, which has not run; nothing was sent"
        hint = f"the way through the workflow must lead through {missing!r} first"
        failure = Failure("dependency", message, step.id, hint, fate="not-sent")
        retry = self._stack.frame.retry
        if retry is not None and retry.step != step.id:
            self._give_up(retry, failure)
        else:
            self._end(failure, None)

    # --- moving on -------------------------------------------------------------------------------

    def _go_to(self, step_id: str) -> None:
        if self._part.holds(step_id):
            self._stack.frame.step = step_id
        else:
            self._state.done = Done("left", next_step=self._part.position(step_id))

    def _jump(self, step: Step, action: Action, exchange: Exchange | None, scope: RunScope) -> None:
        """A ``goto``: to a step of this workflow, or one-way to another workflow."""
        frame = self._stack.frame
        if action.step:
            visits = frame.visits.get(action.step, 0)
            if not visits or self._may_loop(step, f"step {action.step!r}", visits + 1, exchange):
                self._go_to(action.step)
            return
        key = action.workflow
        entered = frame.origin.entered.get(key, 0) if frame.origin else int(key == frame.workflow)
        if entered and not self._may_loop(step, f"workflow {key!r}", entered + 1, exchange):
            return
        try:
            self._stack.replace(key, *self._inputs_for(action, scope))
        except (AbsentInText, ValueError, InvalidInputs) as error:
            self._end(Failure("inputs", _unaccepted(key, error), step.id), exchange)

    def _may_loop(self, step: Step, target: str, visit: int, exchange: Exchange | None) -> bool:
        """Something is visited again: pause, and give up after the limit."""
        if self._clock() - self._state.started > LOOP_LIMIT:
            message = f"still looping after {LOOP_LIMIT / 3600:g} hours"
            self._end(Failure("loop-limit", message, step.id), exchange)
            return False
        delay = outcomes.retry_delay(None, exchange, self._clock(), self._loop_pause)
        reason = f"visit {visit} of {target} in {delay:g} s"
        self._pause(delay, reason)
        self.tell(step, reason)
        return True

    def _pause(self, seconds: float, reason: str) -> None:
        if seconds > 0:
            self._state.wake_at, self._state.reason = self._clock() + seconds, reason

    # --- workflows inside others -----------------------------------------------------------------

    def _inputs_for(self, action: Action, scope: RunScope) -> tuple[dict[str, Any], Handed]:
        """Inputs for the workflow that an action names: its parameters, else inputs of the same name."""
        values, handed = self._stack.namesakes(action.workflow)
        named, named_secrets = self._stack.inputs(action.inputs, scope)
        inherited = {name: held for name, held in handed.items() if name not in named}
        return {**values, **named}, {**inherited, **named_secrets}

    def _begin_dependency(self) -> bool:
        """Begin a workflow that this one depends on and that has not run yet (workflow ``dependsOn``)."""
        for key in self._stack.workflow.depends_on:
            if key not in self._state.finished:
                self._push(key, *self._stack.namesakes(key), "dependency")
                return True
        return False

    def _begin_helper(self, retry: Retry, helper: Helper) -> None:
        """Begin the step or workflow that a retry action names."""
        retry.helper = None
        if helper.step:
            self._stack.frame.step = helper.step
        else:
            self._push(helper.workflow, helper.inputs, helper.handed, "retry")

    def _begin_call(self, step: Step, call: WorkflowCall) -> None:
        try:
            inputs, handed = self._stack.inputs(call.inputs, self._stack.scope())
        except (AbsentInText, ValueError) as error:
            self.returned = Returned({}, None, False, Failure("inputs", str(error), fate="not-sent"))
            return
        allowed = step.timeout_ms
        deadline = 0.0 if allowed is None else self._clock() + allowed / 1000
        self._push(call.workflow, inputs, handed, "call", deadline)

    def _push(
        self, key: str, inputs: dict[str, Any], handed: Handed, purpose: Purpose, deadline: float = 0.0
    ) -> None:
        try:
            self._stack.push(key, inputs, handed, purpose, deadline)
        except InvalidInputs as error:
            failure = Failure("inputs", _unaccepted(key, error), fate="not-sent")
            self._come_back(Frame(key, inputs, purpose=purpose), Returned({}, None, False, failure))

    def _end(self, failure: Failure | None, exchange: Exchange | None, ended_by: str = "") -> None:
        """End the innermost workflow, and go on with the one around it."""
        stack, frame = self._stack, self._stack.frame
        partial = stack.is_outermost and not self._part.is_whole and frame.origin is None
        outputs: dict[str, Any] = {}
        if failure is None and not partial:
            try:
                outputs = stack.values(stack.workflow.outputs, stack.scope())
            except (AbsentInText, ValueError) as error:
                failure = Failure("output", f"an output of the workflow cannot be had: {error}")
        if stack.is_outermost:
            status: Literal["succeeded", "failed"] = "failed" if failure else "succeeded"
            self._state.done = Done(status, outputs, failure, ended_by=ended_by)
            return
        if failure is not None and frame.step and outcomes.may_resend(stack.step()):
            failure = msgspec.structs.replace(failure, repeatable=True)
        self._part.note_end()
        self._state.frames.pop()
        stack.frame.effect |= frame.effect
        if failure is None:
            self._remember(frame, outputs)
        else:
            failure = outcomes.ended(failure, ended_by)
        self._come_back(frame, Returned(outputs, exchange, frame.effect, failure))

    def _remember(self, frame: Frame, outputs: dict[str, Any]) -> None:
        """Note that a workflow has finished, also under the name of the one that led to it."""
        self._state.finished[frame.workflow] = Finished(frame.inputs, outputs)
        if frame.origin is not None:
            self._state.finished[frame.origin.workflow] = Finished(frame.origin.inputs, outputs)

    def _come_back(self, frame: Frame, returned: Returned) -> None:
        """Go on in the workflow that began another one."""
        if frame.purpose == "call":
            self.returned = returned
        if frame.purpose == "call" or returned.failure is None:
            return
        retry = self._stack.frame.retry
        failure = outcomes.called_failure(
            self._stack.frame.step, frame.workflow, returned.failure, effect=returned.effect
        )
        if frame.purpose == "dependency" or failure.code in outcomes.FINAL or retry is None:
            self._end(failure, returned.exchange)
        else:
            self._give_up(retry, failure)


def _kept(response: Response | None, later: tuple[Action, ...]) -> Response | None:
    """A response for the state, which is stored: without its body unless a later action looks at it."""
    if response is None:
        return None
    parts = [*(c for action in later for c in action.criteria), *(t for a in later for _, t in a.inputs)]
    looked_at = any(e.root == "response" and e.part != "header" for part in parts for e in expressions(part))
    return response if looked_at else Response(response.status, response.headers, b"", response.url)


def _unaccepted(key: str, error: Exception) -> str:
    return f"workflow {key!r} does not accept its inputs: {error}"


def _described(action: Action) -> str:
    target = action.step or action.workflow
    return f"{action.type} {target}".strip()
