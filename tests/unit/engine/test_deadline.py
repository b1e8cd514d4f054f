"""The time that a called workflow has: the ``timeout`` of the step that calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.machine import Done, Machine, Send, Wait, begin
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Response, TransportError
from airflow_arazzo.engine.state import decode_state, encode_state
from airflow_arazzo.plan.model import Idempotency, OperationCall, Plan

START = 1_700_000_000.0
Compile = Callable[..., Plan]
Outcome = Response | TransportError


def answer(status: int = 200) -> Response:
    return Response(status, (), b"", "https://api.example/x")


class Run:
    """A run whose clock moves only by waits and by what each exchange takes; restored before each command."""

    def __init__(self, plan: Plan, *exchanges: tuple[float, Outcome], **options: Any) -> None:
        self.now = START
        self.sent: list[tuple[str, float | None]] = []
        self.waits: list[float] = []
        self.events: list[str] = []
        waiting = list(exchanges)
        state = begin(plan, prepare_inputs(plan.root, {}), now=START)
        for _ in range(100):
            state = decode_state(encode_state(state))
            machine = Machine(plan, state, clock=lambda: self.now, **options)
            command = machine.next()
            if isinstance(command, Done):
                self.done = command
                assert not waiting
                return
            if isinstance(command, Wait):
                self.waits.append(round(command.seconds, 3))
                self.now += command.seconds
                continue
            left = command.request.left
            self.sent.append((command.step.id, None if left is None else round(left, 3)))
            took, outcome = waiting.pop(0)
            self.now += took
            machine.receive(outcome)
            self.events += [event.text for event in machine.events]
        raise AssertionError("the run does not end")

    @property
    def steps(self) -> list[str]:
        return [name for name, _ in self.sent]

    @property
    def failure(self) -> tuple[str, str, str]:
        assert self.done.failure is not None
        return self.done.failure.code, self.done.failure.fate, self.done.failure.message


TIMED = """
- workflowId: w
  steps:
  - {{stepId: call, workflowId: inner, timeout: 2000{extra}}}
  - {{stepId: z, operationId: poll}}
- workflowId: inner
  steps:
  - {{stepId: a, operationId: list, onFailure: [{{name: r, type: retry, retryAfter: 60, retryLimit: 9}}]}}
  - {{stepId: b, operationId: start}}
"""


def timed(compiled: Compile, extra: str = "") -> Plan:
    return compiled(TIMED.format(extra=extra), version="1.1.0")


def test_in_time_nothing_changes_and_requests_get_what_is_left(compiled: Compile) -> None:
    run = Run(timed(compiled), (0.5, answer()), (1.0, answer()), (9, answer()))
    assert run.done.status == "succeeded"
    assert run.sent == [("a", 2.0), ("b", 1.5), ("z", None)]


def test_a_request_may_take_the_least_of_all_bounds(compiled: Compile) -> None:
    machine = Machine(timed(compiled), begin(timed(compiled), {}, now=START), clock=lambda: START)
    command = machine.next()
    assert isinstance(command, Send)
    assert command.request.seconds(30.0) == 2.0
    assert command.request.seconds(1.0) == 1.0
    own = msgspec.structs.replace(command.request, timeout=0.5)
    assert own.seconds(30.0) == 0.5


def test_a_wait_ends_with_the_time_and_nothing_more_is_sent(compiled: Compile) -> None:
    run = Run(timed(compiled), (0.5, answer(503)))
    assert run.steps == ["a"]
    assert run.waits == [1.5]
    code, fate, message = run.failure
    assert (code, fate) == ("timeout", "")
    assert message == "workflow 'inner', step 'a': not done within 2 s, the timeout of step 'call'"


def test_the_steps_own_actions_apply(compiled: Compile) -> None:
    extra = ", onFailure: [{name: on, type: goto, stepId: z}]"
    run = Run(timed(compiled, extra), (3, answer()), (0, answer()))
    assert run.steps == ["a", "z"]
    assert run.done.status == "succeeded"


def test_every_attempt_has_the_whole_time(compiled: Compile) -> None:
    extra = ", onFailure: [{name: again, type: retry, retryAfter: 5}]"
    run = Run(timed(compiled, extra), (3, answer()), (0.5, answer()), (0, answer()), (0, answer()))
    assert run.sent == [("a", 2.0), ("a", 2.0), ("b", 1.5), ("z", None)]


def test_no_response_in_time(compiled: Compile) -> None:
    """The called workflow's own actions have no say any more."""
    run = Run(timed(compiled), (2, OutcomeUnknown("there is no response after 2 s")))
    assert run.steps == ["a"]
    assert run.waits == []
    assert run.failure[0] == "timeout"
    assert "there is no response after 2 s" in run.failure[2]


def test_an_effect_without_a_response_is_unknown(compiled: Compile) -> None:
    extra = ", onFailure: [{name: on, type: goto, stepId: z}]"
    lost = OutcomeUnknown("there is no response after 2 s")
    run = Run(timed(compiled, extra), (0, answer()), (2, lost))
    assert run.steps == ["a", "b"]
    assert run.failure[:2] == ("outcome-unknown", "unknown")


def test_what_was_not_sent_is_no_effect(compiled: Compile) -> None:
    run = Run(timed(compiled), (0, answer()), (2, NotSent("refused")))
    assert run.failure[:2] == ("timeout", "")


@pytest.mark.parametrize(
    ("step", "ledger", "expected"),
    [
        ("a", False, ("timeout", "")),
        ("b", False, ("outcome-unknown", "unknown")),
        ("b", True, ("timeout", "unknown")),
    ],
    ids=["safe", "once only", "keyed"],
)
def test_a_request_whose_outcome_was_never_heard_of(
    compiled: Compile, step: str, ledger: bool, expected: tuple[str, str]
) -> None:
    """The process died with it, and comes back too late: nothing is billed another way."""
    plan = timed(compiled, ", onFailure: [{name: on, type: goto, stepId: z}]")
    plan = keyed(plan) if ledger else plan
    now = [START]
    machine = Machine(plan, begin(plan, {}, now=START), clock=lambda: now[0], ledger=ledger)
    command = machine.next()
    while isinstance(command, Send) and command.step.id != step:
        machine.receive(answer())
        command = machine.next()
    now[0] += 2
    restored = Machine(plan, decode_state(encode_state(machine.state)), clock=lambda: now[0], ledger=ledger)
    after = restored.next()
    if step == "a":
        assert isinstance(after, Send)
        assert after.step.id == "z"
        return
    assert isinstance(after, Done)
    assert after.failure is not None
    assert (after.failure.code, after.failure.fate) == expected


def keyed(plan: Plan) -> Plan:
    replace = msgspec.structs.replace
    inner = plan.workflows["inner"]
    steps = tuple(
        replace(step, call=replace(step.call, idempotency=Idempotency("header", "Idempotency-Key")))
        for step in inner.steps
        if isinstance(step.call, OperationCall)
    )
    return replace(plan, workflows={**plan.workflows, "inner": replace(inner, steps=steps)})


def test_doubt_inside_a_called_workflow_is_doubt_outside(compiled: Compile) -> None:
    """A request with a key may be sent again, and is not billed another way."""
    text = """
    - workflowId: w
      steps:
      - {stepId: call, workflowId: inner, onFailure: [{name: on, type: goto, stepId: z}]}
      - {stepId: z, operationId: poll}
    - workflowId: inner
      steps: [{stepId: b, operationId: %s}]
    """
    lost = OutcomeUnknown("reset")
    posted = keyed(compiled(text % "start"))
    run = Run(posted, (0, lost), ledger=True)
    assert run.failure[1] == "unknown"
    assert run.steps == ["b"]
    listed = compiled(text % "list")
    assert Run(listed, (0, lost), (0, answer()), ledger=True).steps == ["b", "z"]
    alone = compiled(text.replace(", onFailure: [{name: on, type: goto, stepId: z}]", "") % "list")
    assert Run(alone, (0, lost)).failure[:2] == ("no-response", "unknown")


NESTED = """
- workflowId: w
  steps:
  - {stepId: outer, workflowId: middle, timeout: %s, onFailure: [{name: on, type: goto, stepId: z}]}
  - {stepId: z, operationId: poll}
- workflowId: middle
  steps:
  - {stepId: call, workflowId: inner, timeout: %s, onFailure: [{name: on, type: goto, stepId: y}]}
  - {stepId: y, operationId: read, parameters: [{name: id, in: path, value: '1'}]}
- workflowId: inner
  steps: [{stepId: a, operationId: list}, {stepId: b, operationId: list}]
"""


@pytest.mark.parametrize(
    ("outer", "inner", "sent"),
    [
        (5000, 2000, [("a", 2.0), ("y", 2.0), ("z", None)]),
        (2000, 5000, [("a", 2.0), ("z", None)]),
        (2000, 2000, [("a", 2.0), ("z", None)]),
    ],
)
def test_nested_timeouts_take_the_smallest(
    compiled: Compile, outer: int, inner: int, sent: list[tuple[str, float | None]]
) -> None:
    """The step whose time is over fails; around it the workflow goes on while it has time."""
    plan = compiled(NESTED % (outer, inner), version="1.1.0")
    run = Run(plan, (3, answer()), *[(0, answer())] * (len(sent) - 1))
    assert run.sent == sent
    assert run.done.status == "succeeded"


def test_a_workflow_that_a_goto_leads_to_has_no_more_time(compiled: Compile) -> None:
    plan = compiled(
        """
        - workflowId: w
          steps: [{stepId: call, workflowId: inner, timeout: 2000}]
        - workflowId: inner
          steps:
          - {stepId: a, operationId: list, onSuccess: [{name: on, type: goto, workflowId: other}]}
        - workflowId: other
          steps: [{stepId: b, operationId: list}, {stepId: c, operationId: list}]
        """,
        version="1.1.0",
    )
    run = Run(plan, (1, answer()), (1, answer()))
    assert run.sent == [("a", 2.0), ("b", 1.0)]
    assert run.failure[0] == "timeout"
