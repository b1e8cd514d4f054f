"""The machine: what a workflow does next, given what came back. No I/O, no clock of its own.

Drive it like this: take :meth:`Machine.next`; for :class:`Send` exchange the request and hand the response
(or the transport's error) to :meth:`Machine.receive`; for :class:`Wait` let the time pass and ask again;
:class:`Done` is the end. :attr:`Machine.state` may be stored at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Literal

import msgspec

from airflow_arazzo.engine import outcomes
from airflow_arazzo.engine.flow import LOOP_LIMIT, LOOP_PAUSE, Flow
from airflow_arazzo.engine.journal import Event, Failure, StepRecord
from airflow_arazzo.engine.messages import Request, RequestError, Response, TransportError
from airflow_arazzo.engine.part import Part
from airflow_arazzo.engine.remarks import remarks
from airflow_arazzo.engine.request import build_request
from airflow_arazzo.engine.scope import Exchange, RunScope
from airflow_arazzo.engine.stack import Returned, Stack
from airflow_arazzo.engine.state import Done, Frame, State, begin
from airflow_arazzo.expression.criteria import Verdict, criteria_hold
from airflow_arazzo.expression.evaluate import AbsentInText, evaluate
from airflow_arazzo.expression.jsonvalue import to_text
from airflow_arazzo.expression.model import ABSENT, Template
from airflow_arazzo.expression.pointer import navigate
from airflow_arazzo.plan.model import OperationCall, Plan, Step

__all__ = [
    "LOOP_LIMIT",
    "LOOP_PAUSE",
    "Command",
    "Done",
    "Machine",
    "Send",
    "Wait",
    "begin",
    "workflow_outputs",
]


class Send(msgspec.Struct, frozen=True):
    """Send this request.

    :param path: where in the run: workflow and step of every activation, outermost first.
    :param visit: the how-manieth time the step is begun, from 1; a retry is the same visit, and what runs
        before one is told apart by its path.
    :param again: whether it was asked for before and the machine never heard what came of it, because it
        was restored from its state. Who cannot find out must not send it unless it may be repeated.
    """

    request: Request
    step: Step
    path: tuple[str, ...]
    visit: int
    again: bool = False


class Wait(msgspec.Struct, frozen=True):
    """Let time pass, in seconds, before asking again."""

    seconds: float
    reason: str


Command = Send | Wait | Done


class Machine:
    """Runs one plan.

    :param plan: what to execute.
    :param state: where the run stands; changed in place.
    :param clock: the time in seconds since the epoch.
    :param secrets: values of secret inputs, by workflow key and input name. Never part of the state.
    :param within: steps that this machine runs, of the workflow that ``calls`` lead to; all when None.
    :param calls: ids of the steps that call that workflow, outermost first; none for the outermost workflow.
    :param loop_pause: seconds between two visits of a step where nothing names a delay.
    :param absent_text: what an absent value inside text does: ``fail`` or ``empty``.
    :param ledger: whether requests go through a ledger, which knows by path and visit what took effect and
        answers for that itself, and gives requests an idempotency key where the service honours one. More
        may be retried then.
    """

    def __init__(
        self,
        plan: Plan,
        state: State,
        *,
        clock: Callable[[], float],
        secrets: Mapping[tuple[str, str], str] | None = None,
        within: frozenset[str] | None = None,
        calls: tuple[str, ...] = (),
        loop_pause: float = LOOP_PAUSE,
        absent_text: Literal["fail", "empty"] = "fail",
        ledger: bool = False,
    ) -> None:
        self.plan = plan
        self.state = state
        self.records: list[StepRecord] = []
        self._clock = clock
        self._absent_text = absent_text
        self._part = Part(state, within, calls)
        self._ledger = ledger
        self._stack = Stack(plan, state, secrets or {}, absent_text)
        self._flow = Flow(self._stack, clock=clock, part=self._part, loop_pause=loop_pause, keyed=ledger)
        self._sent: Send | None = None
        self._tokens: dict[str, None] = {}

    @property
    def events(self) -> list[Event]:
        """What is worth a line in the log, so far."""
        return self._flow.events

    def activations(self) -> list[Frame]:
        """The workflows around the steps that this machine runs; see :meth:`Part.activations`."""
        return self._part.activations()

    def next(self) -> Command:
        """The next command.

        :raises RuntimeError: while an outcome is still owed to the machine.
        """
        if self._sent is not None:
            raise RuntimeError("the machine waits for the outcome of a request")
        state = self.state
        while state.done is None:
            if self._flow.give_up_late():
                self._settle()
                continue
            if state.wake_at:
                # whoever waits beyond a deadline wakes up at it, to give up
                seconds = min(state.wake_at, self._stack.deadline or state.wake_at) - self._clock()
                if seconds > 0:
                    return Wait(seconds, state.reason)
                state.wake_at, state.reason = 0.0, ""
            again = state.in_flight
            step = self._flow.begin(again=again)
            if step is None:
                self._settle()
                continue
            command = self._send(step, again=again)
            if command is not None:
                return command
        return state.done

    def receive(self, outcome: Response | TransportError) -> None:
        """Tell the machine what came of the request that it asked to send.

        :raises RuntimeError: when it did not ask.
        """
        sent, self._sent = self._sent, None
        if sent is None:
            raise RuntimeError("the machine did not ask for anything to be sent")
        self.state.in_flight = False
        if isinstance(outcome, TransportError):
            failure = outcomes.transport_failure(sent.step, outcome, keyed=self._ledger)
            self._fail(sent.step, failure, Exchange(sent.request, None, outcome.url), {})
        else:
            self._judge(sent.step, Exchange(sent.request, outcome))
        self._settle()

    def put_off(self, seconds: float, reason: str) -> None:
        """Ask for the same request again later: it was not sent, because nobody can say yet if it may be.

        :raises RuntimeError: when no request is under way.
        """
        if self._sent is None:
            raise RuntimeError("the machine did not ask for anything to be sent")
        self._sent = None
        self.state.wake_at, self.state.reason = self._clock() + seconds, reason

    def scope(self) -> RunScope:
        """What expressions of the step under way see."""
        return self._stack.scope()

    def secret_values(self) -> tuple[str, ...]:
        """Credentials that steps of this run have produced so far, to be masked wherever they appear."""
        for frame in self.state.frames:
            for step in self.plan.workflows[frame.workflow].steps:
                if step.secret_outputs and step.id in frame.outputs:
                    self._note_tokens(step, frame.outputs[step.id])
        return tuple(self._tokens)

    def _send(self, step: Step, *, again: bool) -> Send | None:
        """Ask for the request of a step; None when it cannot be built."""
        call = step.call
        assert isinstance(call, OperationCall)  # noqa: S101 - Flow.begin returns no other
        timeout = step.timeout_ms / 1000 if step.timeout_ms is not None else None
        left = self._stack.deadline - self._clock() if self._stack.deadline else None
        try:
            request = build_request(call, self.scope(), timeout=timeout, absent_text=self._absent_text)
        except RequestError as error:
            self.state.in_flight = False
            failure = Failure(error.code, error.message, step.id, error.hint, fate="not-sent")
            self._fail(step, failure, None, {})
            self._settle()
            return None
        if left is not None:
            request = msgspec.structs.replace(request, left=left)
        self.state.in_flight = True
        self._sent = Send(request, step, self._stack.path(), self._stack.visit(), again)
        return self._sent

    def _settle(self) -> None:
        """Judge steps whose called workflow has ended."""
        while (back := self._flow.returned) is not None:
            self._flow.returned = None
            step = self._stack.step()
            if back.failure is None:
                self._judge(step, back.exchange or Exchange(None, None), back)
                continue
            key = getattr(step.call, "workflow", "")
            failure = outcomes.called_failure(step.id, key, back.failure, effect=back.effect)
            self._fail(step, failure, back.exchange, {})

    def _judge(self, step: Step, exchange: Exchange, back: Returned | None = None) -> None:
        """Apply a step's success criteria; ``back`` is how the workflow that it called ended."""
        called = back.outputs if back else {}
        scope = self._stack.scope(exchange, called)
        if step.criteria:
            passed, verdicts = criteria_hold(step.criteria, scope)
        elif back is None:
            passed, verdicts = outcomes.default_verdict(exchange)
        else:
            passed, verdicts = True, []
        outputs, problem = self._outputs(step, scope, called)
        self._tell_verdicts(step, verdicts, exchange)
        if passed and not problem:
            self._succeed(step, exchange, outputs)
            return
        reasons = [verdict.reason for verdict in verdicts if not verdict.passed]
        reasons += remarks(step, exchange, verdicts) if back is None else []
        code, message = ("output", problem) if passed else ("criteria", "; ".join(reasons))
        status = exchange.response.status if exchange.response else None
        effect = bool(back and back.effect)
        failure = outcomes.response_failure(step, status, code, message, effect=effect, keyed=self._ledger)
        asked = outcomes.retry_delay(None, exchange, self._clock()) or None
        key = exchange.response.key if exchange.response else ""
        self._fail(step, msgspec.structs.replace(failure, retry_after=asked, key=key), exchange, outputs)

    def _outputs(self, step: Step, scope: RunScope, called: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Outputs of a step, beside those of the workflow that it called; and why one cannot be had."""
        outputs, problem = dict(called), ""
        for name, template in step.outputs.items():
            try:
                value = evaluate(template, scope, absent_text=self._absent_text)
            except (AbsentInText, ValueError) as error:
                problem = problem or f"output {name!r} cannot be had: {error}"
                continue
            if value is not ABSENT:
                outputs[name] = value
        return outputs, problem

    def _succeed(self, step: Step, exchange: Exchange, outputs: dict[str, Any]) -> None:
        if not self._ledger and outcomes.leaves_effect(step, None):
            self._stack.frame.effect = True
        self._record(step, exchange, outputs, None)
        self._flow.succeeded(step, exchange, outputs)

    def _fail(self, step: Step, failure: Failure, exchange: Exchange | None, outputs: dict[str, Any]) -> None:
        if not self._ledger and outcomes.leaves_effect(step, failure):
            self._stack.frame.effect = True
        self._record(step, exchange, outputs, failure)
        unanswered = exchange is not None and exchange.response is None and failure.code not in outcomes.FINAL
        if not (unanswered and self._flow.give_up_late(failure)):
            self._flow.failed(step, failure, exchange, outputs)

    # --- telling ---------------------------------------------------------------------------------

    def _tell_verdicts(self, step: Step, verdicts: list[Verdict], exchange: Exchange) -> None:
        for verdict in verdicts:
            self._flow.tell(step, partial(_told, verdict))
        if exchange.warning:
            self._flow.tell(step, exchange.warning, "warning")

    def _record(
        self, step: Step, exchange: Exchange | None, outputs: dict[str, Any], failure: Failure | None
    ) -> None:
        """Add a record of an attempt at a step."""
        shown = outputs
        if step.secret_outputs:
            self._note_tokens(step, outputs)
            shown = {n: "***" if n in step.secret_outputs else value for n, value in outputs.items()}
        request = exchange.request if exchange else None
        response = exchange.response if exchange else None
        self.records.append(
            StepRecord(
                workflow=self._stack.frame.workflow,
                step=step.id,
                status="failed" if failure else "succeeded",
                method=request.method if request else "",
                url=response.url if response else exchange.url if exchange else "",
                status_code=response.status if response else None,
                elapsed=response.elapsed if response else None,
                outputs=shown,
                error=failure,
            )
        )

    def _note_tokens(self, step: Step, outputs: Mapping[str, Any]) -> None:
        """Remember credentials among a step's outputs, also inside objects: these are no secrets as such."""
        for name in step.secret_outputs:
            for place in step.secret_places.get(name, ((),)):
                value = navigate(outputs.get(name), place)
                if isinstance(value, str | int | Decimal) and not isinstance(value, bool) and value != "":
                    self._tokens[to_text(value)] = None


def _told(verdict: Verdict) -> str:
    return f"criterion {'holds' if verdict.passed else 'does not hold'}: {verdict.reason}"


def workflow_outputs(plan: Plan, state: State) -> dict[str, Any]:
    """Outputs of the outermost workflow, from the outputs of its steps.

    It is the one to which a ``goto`` led, where that happened.

    :raises AbsentInText: for an absent value inside text.
    :raises ValueError: for an output that cannot be had.
    """
    outermost = Stack(plan, State(state.frames[:1], state.finished), {}, "fail")
    templates: Mapping[str, Template] = outermost.workflow.outputs
    return outermost.values(templates, outermost.scope())
