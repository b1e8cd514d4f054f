"""The machine, driven by a script of responses and a clock that stands still unless told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.machine import (
    LOOP_LIMIT,
    Done,
    Machine,
    Send,
    Wait,
    begin,
    workflow_outputs,
)
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Response, TransportError
from airflow_arazzo.engine.state import decode_state, encode_state
from airflow_arazzo.expression.jsonvalue import encode_json
from airflow_arazzo.plan.model import Idempotency, OperationCall, Plan

Outcome = Response | TransportError | Callable[[], Response]
Compile = Callable[..., Plan]

START = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


def answer(status: int = 200, value: Any = None, **headers: str) -> Response:
    """A JSON response; without a value it has no body."""
    body = b"" if value is None else encode_json(value)
    named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    return Response(status, (("Content-Type", "application/json"), *named), body, "https://api.example/x")


OK = answer()


@dataclass
class Played:
    """What happened in a run."""

    done: Done = field(default_factory=lambda: Done("failed"))
    sent: list[tuple[str, str]] = field(default_factory=list)  # step, method and target
    bodies: list[bytes | None] = field(default_factory=list)
    keys: list[tuple[tuple[str, ...], int]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    records: list[tuple[str, str]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    outputs_so_far: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> list[str]:
        return [step for step, _ in self.sent]


def play(
    plan: Plan,
    script: Mapping[str, list[Outcome]] | None = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    default: Outcome | None = OK,
    **options: Any,
) -> Played:
    """Run a plan twice: with one machine, and with one that is restored from JSON before every command.

    :param script: outcomes by step, in turn; ``default`` once they are used up.
    """
    through = _play(plan, script or {}, inputs or {}, default, restore=False, **options)
    restored = _play(plan, script or {}, inputs or {}, default, restore=True, **options)
    for name in ("done", "sent", "bodies", "keys", "waits", "records", "outputs_so_far"):
        assert getattr(restored, name) == getattr(through, name), f"{name} differs after a restoration"
    return through


def _play(
    plan: Plan,
    script: Mapping[str, list[Outcome]],
    inputs: Mapping[str, Any],
    default: Outcome | None,
    *,
    restore: bool,
    start: str = "",
    ready: Mapping[str, dict[str, Any]] | None = None,
    **options: Any,
) -> Played:
    now = [START]
    left = {step: list(outcomes) for step, outcomes in script.items()}
    state = begin(plan, prepare_inputs(plan.root, inputs), now=START)
    state.frames[0].step = start
    state.frames[0].outputs.update(ready or {})
    machine = Machine(plan, state, clock=lambda: now[0], **options)
    played = Played()
    for _ in range(500):
        if restore:
            text = encode_state(machine.state)
            played.states.append(text)
            records, events = machine.records, machine.events
            machine = Machine(plan, decode_state(text), clock=lambda: now[0], **options)
            machine.records.extend(records)
            machine.events.extend(events)
        command = machine.next()
        if isinstance(command, Wait):
            played.waits.append(command.seconds)
            now[0] += command.seconds
        elif isinstance(command, Send):
            request = command.request
            played.sent.append((command.step.id, f"{request.method} {request.target}"))
            played.bodies.append(request.body)
            played.keys.append((command.path, command.visit))
            assert not command.again
            outcome = left[command.step.id].pop(0) if left.get(command.step.id) else default
            assert outcome is not None, f"nothing more is expected of {command.step.id}"
            machine.receive(outcome() if callable(outcome) else outcome)
        else:
            played.done = command
            break
    else:
        raise AssertionError("the run does not end")
    assert machine.next() is machine.next()
    played.records = [(record.step, record.status) for record in machine.records]
    played.events = [event.text for event in machine.events]
    played.outputs_so_far = machine.state.frames[0].outputs
    return played


# --- steps in order ------------------------------------------------------------------------------------


def test_steps_run_in_order_and_hand_on_their_outputs(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      inputs: {type: object, properties: {name: {type: string}}}
      steps:
      - stepId: create
        operationId: create
        requestBody: {contentType: application/json, payload: {name: $inputs.name}}
        outputs: {id: $response.body#/id, gone: $response.body#/nothing, none: $response.body#/null}
      - stepId: read
        operationId: read
        parameters: [{name: id, in: path, value: $steps.create.outputs.id}]
        outputs: {code: $statusCode, kind: $response.header.x-kind, asked: $method}
      outputs:
        {id: $steps.create.outputs.id, kind: $steps.read.outputs.kind, gone: $steps.create.outputs.gone}
    """)
    played = play(
        plan,
        {"create": [answer(201, {"id": 7, "null": None})], "read": [answer(200, X_Kind="a")]},
        {"name": "n"},
    )
    assert played.sent == [("create", "POST /items"), ("read", "GET /items/7")]
    assert played.bodies == [b'{"name":"n"}', None]
    assert played.outputs_so_far == {
        "create": {"id": 7, "none": None},
        "read": {"code": 200, "kind": "a", "asked": "GET"},
    }
    assert played.done == Done("succeeded", {"id": 7, "kind": "a"})
    assert played.keys == [(("w", "create"), 1), (("w", "read"), 1)]
    assert played.records == [("create", "succeeded"), ("read", "succeeded")]


@pytest.mark.parametrize(("status", "passes"), [(199, False), (200, True), (299, True), (300, False)])
def test_without_criteria_a_status_of_the_2xx_class_succeeds(
    compiled: Compile, status: int, passes: bool
) -> None:
    plan = compiled("""
    - workflowId: w
      steps: [{stepId: a, operationId: list}, {stepId: b, operationId: list}]
    """)
    played = play(plan, {"a": [answer(status)]})
    assert played.steps == (["a", "b"] if passes else ["a"])
    assert played.done.status == ("succeeded" if passes else "failed")


def test_all_criteria_must_hold_and_the_failure_names_those_that_do_not(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: list
        successCriteria:
        - condition: $statusCode == 404
        - condition: $response.body#/state == 'OPEN'
        - condition: $response.body#/n > 3
      - {stepId: b, operationId: list}
    """)
    assert play(plan, {"a": [answer(404, {"state": "open", "n": 4})]}).steps == ["a", "b"]
    played = play(plan, {"a": [answer(404, {"state": "open", "n": 3})]})
    failure = played.done.failure
    assert failure is not None
    assert (failure.code, failure.step, failure.status) == ("criteria", "a", 404)
    assert failure.message == "$response.body#/n > 3: 3 > 3 is false"
    assert played.steps == ["a"]
    assert played.done.outputs == {}


def test_an_output_that_cannot_be_had_fails_the_step_whose_request_took_effect(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: start
        outputs: {label: 'job {$response.body#/id}'}
        onFailure: [{name: again, type: retry, retryLimit: 5}]
    """)
    played = play(plan, {"a": [answer(200, {})]})
    failure = played.done.failure
    assert failure is not None
    assert (failure.code, failure.fate) == ("output", "effect")
    assert "$response.body#/id" in failure.message
    assert played.steps == ["a"]
    assert play(plan, {"a": [answer(200, {"id": 1})]}).outputs_so_far == {"a": {"label": "job 1"}}


def test_broken_criteria_are_told_before_an_output_that_cannot_be_had(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: list
        successCriteria: [{condition: $statusCode == 200}]
        outputs: {label: 'job {$response.body#/id}', code: $statusCode}
    """)
    played = play(plan, {"a": [answer(403)]})
    assert played.done.failure is not None
    assert played.done.failure.code == "criteria"


def test_a_request_that_cannot_be_built_is_not_sent(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      inputs: {type: object, properties: {id: {type: string}}}
      steps:
      - stepId: a
        operationId: read
        parameters: [{name: id, in: path, value: $inputs.id}]
        onFailure: [{name: other, type: goto, stepId: b, criteria: [{condition: $statusCode == null}]}]
      - {stepId: b, operationId: list}
    """)
    played = play(plan)
    assert played.steps == ["b"]
    assert played.done.status == "succeeded"
    assert played.records == [("a", "failed"), ("b", "succeeded")]


# --- success actions -----------------------------------------------------------------------------------

JUMPS = """
- workflowId: w
  steps:
  - stepId: a
    operationId: list
    onSuccess:
    - {name: stop, type: end, criteria: [{condition: $response.body#/go == 'end'}]}
    - {name: jump, type: goto, stepId: c, criteria: [{condition: $response.body#/go == 'c'}]}
    - {name: leave, type: goto, workflowId: other, criteria: [{condition: $response.body#/go == 'other'}]}
  - {stepId: b, operationId: list}
  - {stepId: c, operationId: list, outputs: {x: $statusCode}}
  outputs: {x: $steps.c.outputs.x}
- workflowId: other
  steps: [{stepId: d, operationId: list, outputs: {y: $statusCode}}]
  outputs: {y: $steps.d.outputs.y}
"""


@pytest.mark.parametrize(
    ("go", "steps", "outputs", "ended_by"),
    [
        ("on", ["a", "b", "c"], {"x": 200}, ""),
        ("c", ["a", "c"], {"x": 200}, ""),
        ("end", ["a"], {}, "stop"),
        ("other", ["a", "d"], {"y": 200}, ""),
    ],
)
def test_the_first_success_action_that_applies_is_taken(
    compiled: Compile, go: str, steps: list[str], outputs: dict[str, Any], ended_by: str
) -> None:
    played = play(compiled(JUMPS), {"a": [answer(200, {"go": go})]})
    assert played.steps == steps
    assert played.done == Done("succeeded", outputs, ended_by=ended_by)
    assert played.waits == []


LOOP = """
- workflowId: w
  steps:
  - stepId: poll
    operationId: poll
    outputs: {state: $response.body#/state}
    onSuccess:
    - {name: again, type: goto, stepId: poll, criteria: [{condition: $response.body#/state == 'busy'}]}
  outputs: {state: $steps.poll.outputs.state}
"""
BUSY, READY = answer(200, {"state": "busy"}), answer(200, {"state": "ready"})


def test_a_loop_pauses_where_nothing_names_a_delay_and_counts_its_visits(compiled: Compile) -> None:
    played = play(compiled(LOOP), {"poll": [BUSY, BUSY, READY]})
    assert played.done == Done("succeeded", {"state": "ready"})
    assert played.waits == [30.0, 30.0]
    assert [visit for _, visit in played.keys] == [1, 2, 3]


def test_a_loop_pauses_as_long_as_the_response_asks(compiled: Compile) -> None:
    played = play(
        compiled(LOOP),
        {"poll": [answer(200, {"state": "busy"}, Retry_After="7"), BUSY, READY]},
        loop_pause=1.0,
    )
    assert played.waits == [7.0, 1.0]


def test_a_loop_is_given_up_after_a_day(compiled: Compile) -> None:
    assert LOOP_LIMIT == 86_400
    pause = LOOP_LIMIT / 4
    played = play(compiled(LOOP), default=BUSY, loop_pause=pause)
    assert played.done.failure is not None
    assert played.done.failure.code == "loop-limit"
    assert played.steps == ["poll"] * 6  # at 0, 6, 12, 18, 24 h, and the one that finds itself beyond
    assert sum(played.waits) == pytest.approx(LOOP_LIMIT * 5 / 4)


def test_a_loop_over_two_steps_visits_both_again(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - {stepId: a, operationId: list}
      - stepId: b
        operationId: poll
        onSuccess:
        - {name: back, type: goto, stepId: a, criteria: [{condition: $response.body#/state == 'busy'}]}
    """)
    played = play(plan, {"b": [BUSY, READY]})
    assert played.keys == [(("w", "a"), 1), (("w", "b"), 1), (("w", "a"), 2), (("w", "b"), 2)]
    assert played.waits == [30.0]


def test_workflows_that_lead_to_each_other_are_a_loop(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: poll
        onSuccess:
        - {name: go, type: goto, workflowId: other, criteria: [{condition: $response.body#/state == 'busy'}]}
    - workflowId: other
      steps:
      - {stepId: b, operationId: list, onSuccess: [{name: back, type: goto, workflowId: w}]}
    """)
    played = play(plan, {"a": [BUSY, BUSY, READY]})
    assert played.steps == ["a", "b", "a", "b", "a"]
    assert played.waits == [30.0, 30.0, 30.0]
    assert len(set(played.keys)) == 5  # every request has a key of its own
    endless = play(plan, default=BUSY, loop_pause=LOOP_LIMIT / 3)
    assert endless.done.failure is not None
    assert endless.done.failure.code == "loop-limit"


# --- failure actions and retries -----------------------------------------------------------------------

RETRY = """
- workflowId: w
  steps:
  - stepId: a
    operationId: {operation}
    successCriteria: [{{condition: $statusCode == 200}}]
    onFailure:
    - {{name: again, type: retry, {options} criteria: [{{condition: $statusCode >= 500}}]}}
    - {{name: other, type: goto, stepId: z, criteria: [{{condition: $statusCode == 503}}]}}
  - {{stepId: b, operationId: list}}
  - {{stepId: z, operationId: list}}
"""


def retrying(compiled: Compile, options: str = "", operation: str = "list") -> Plan:
    return compiled(RETRY.format(operation=operation, options=options))


def test_one_retry_where_no_limit_is_named(compiled: Compile) -> None:
    plan = retrying(compiled)
    played = play(plan, {"a": [answer(500), OK]})
    assert played.steps == ["a", "a", "b", "z"]
    assert played.waits == []
    assert played.done.status == "succeeded"
    failed = play(plan, {"a": [answer(500), answer(500)]})
    assert failed.steps == ["a", "a"]
    assert failed.done.status == "failed"


def test_retries_are_the_same_visit(compiled: Compile) -> None:
    played = play(retrying(compiled, "retryLimit: 3,"), {"a": [answer(500), answer(500), OK]})
    assert played.keys[:3] == [(("w", "a"), 1)] * 3


@pytest.mark.parametrize(("limit", "attempts"), [(0, 1), (1, 2), (4, 5)])
def test_after_the_last_retry_the_next_action_takes_over(
    compiled: Compile, limit: int, attempts: int
) -> None:
    played = play(retrying(compiled, f"retryLimit: {limit},"), {"a": [answer(503)] * 9})
    assert played.steps == ["a"] * attempts + ["z"]
    assert played.done == Done("succeeded")
    assert any("this handles the failure" in text for text in played.events)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ({}, [2.5]),
        ({"Retry_After": "9"}, [9.0]),
        ({"Retry_After": "0"}, []),
        ({"Retry_After": "Tue, 14 Nov 2023 22:13:40 GMT"}, [20.0]),
        ({"Retry_After": "Tuesday, 14-Nov-23 22:13:40 GMT"}, [20.0]),
        ({"Retry_After": "Tue, 14 Nov 2023 22:13:00 GMT"}, []),
        ({"Retry_After": "soon"}, [2.5]),
        ({"Retry_After": "-5"}, [2.5]),
        ({"Retry_After": "9" * 400}, [86400.0]),
        ({"Retry_After": "Fri, 31 Dec 9999 23:59:59 GMT"}, [86400.0]),
    ],
)
def test_a_retry_waits_as_the_response_asks_else_as_the_action_says(
    compiled: Compile, header: dict[str, str], wait: list[float]
) -> None:
    plan = retrying(compiled, "retryAfter: 2.5,")
    played = play(plan, {"a": [answer(500, **header), OK]})
    assert played.waits == wait
    assert played.steps[:2] == ["a", "a"]


def test_retries_are_counted_afresh_at_the_next_visit(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: poll
        onSuccess:
        - {name: more, type: goto, stepId: a, criteria: [{condition: $response.body#/state == 'busy'}]}
        onFailure: [{name: again, type: retry}]
    """)
    played = play(plan, {"a": [answer(500), BUSY, answer(500), READY]})
    assert played.done.status == "succeeded"
    assert [visit for _, visit in played.keys] == [1, 1, 2, 2]
    assert play(plan, {"a": [answer(500), BUSY, answer(500), answer(500)]}).done.status == "failed"


def test_a_goto_after_used_up_retries_goes_on_from_there(compiled: Compile) -> None:
    """Not back to the step that was retried, as if the target had been there to prepare a retry."""
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: list
        onFailure: [{name: again, type: retry}, {name: on, type: goto, stepId: c}]
      - {stepId: b, operationId: list}
      - {stepId: c, operationId: list}
      - {stepId: d, operationId: list}
    """)
    played = play(plan, {"a": [answer(500), answer(500)]})
    assert played.steps == ["a", "a", "c", "d"]


def test_two_retry_actions_count_for_themselves(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: list
        onFailure:
        - {name: busy, type: retry, retryAfter: 1, retryLimit: 2, criteria: [{condition: $statusCode == 503}]}
        - {name: any, type: retry, retryAfter: 5, retryLimit: 1}
    """)
    played = play(plan, {"a": [answer(503), answer(500), answer(503), answer(503)]})
    assert played.waits == [1.0, 5.0, 1.0]
    assert played.done.status == "failed"


def test_an_end_on_failure_fails_the_run_and_is_named(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: list
        onFailure:
        - {name: give up, type: end, criteria: [{condition: $statusCode == 404}]}
        - {name: on, type: goto, stepId: b}
      - {stepId: b, operationId: list}
    """)
    played = play(plan, {"a": [answer(404)]})
    assert (played.done.status, played.done.ended_by) == ("failed", "give up")
    assert play(plan, {"a": [answer(400)]}).steps == ["a", "b"]


def test_outputs_of_a_failed_step_can_be_read_where_its_failure_is_handled(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: list
        successCriteria: [{condition: $statusCode == 200}]
        outputs: {reason: $response.body#/reason}
        onFailure: [{name: on, type: goto, stepId: c}]
      - {stepId: b, operationId: list}
      - stepId: c
        operationId: create
        requestBody: {payload: {name: $steps.a.outputs.reason}}
    """)
    played = play(plan, {"a": [answer(409, {"reason": "taken"})]})
    assert played.bodies[-1] == b'{"name":"taken"}'
    assert played.records == [("a", "failed"), ("c", "succeeded")]
    assert any("this handles the failure" in text for text in played.events)


def test_a_failure_may_loop_back(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - {stepId: a, operationId: list}
      - {stepId: b, operationId: list, onFailure: [{name: back, type: goto, stepId: a}]}
    """)
    played = play(plan, {"b": [answer(404, Retry_After="4"), answer(404)]})
    assert played.steps == ["a", "b"] * 3
    assert played.waits == [4.0, 30.0]


# --- a retry that runs something else first -------------------------------------------------------------

HELPED = """
- workflowId: w
  steps:
  - stepId: login
    operationId: peek
    outputs: {token: $response.body#/token}
    onSuccess: [{name: past, type: goto, stepId: work}]
    onFailure: [{name: no, type: goto, stepId: other}]
  - {stepId: never, operationId: list}
  - stepId: work
    operationId: list
    parameters: [{name: cursor, in: query, value: $steps.login.outputs.token}]
    successCriteria: [{condition: $statusCode == 200}]
    onFailure:
    - {name: refresh, type: retry, stepId: login, retryAfter: 1, retryLimit: 2,
       criteria: [{condition: $statusCode == 401}]}
    - {name: other, type: goto, stepId: other, criteria: [{condition: $response.body#/why == 'old'}]}
  - {stepId: last, operationId: list, onSuccess: [{name: stop, type: end}]}
  - {stepId: other, operationId: list}
"""


def token(text: str) -> Response:
    return answer(200, {"token": text})


def test_a_step_before_a_retry_runs_alone_and_its_outputs_are_kept(compiled: Compile) -> None:
    played = play(
        compiled(HELPED), {"login": [token("1"), token("2")], "work": [answer(401, {"why": "old"}), OK]}
    )
    assert played.sent == [
        ("login", "GET /token"),
        ("work", "GET /items?cursor=1"),
        ("login", "GET /token"),
        ("work", "GET /items?cursor=2"),
        ("last", "GET /items"),
    ]
    assert played.waits == [1.0]
    # Its effect is not that of its first run, whichever task it runs in.
    assert played.keys[2] == (("w", "work~1/login"), 1)
    assert played.keys[1] == played.keys[3] == (("w", "work"), 1)


def test_what_runs_before_a_retry_is_no_visit(compiled: Compile) -> None:
    """Whether a retry was needed must not change under which key a loop's next round is known."""
    plan = compiled(
        """
- workflowId: w
  steps:
  - {stepId: charge, operationId: create}
  - stepId: poll
    operationId: list
    onFailure: [{name: again, type: retry, stepId: charge}]
    onSuccess:
    - {name: more, type: goto, stepId: charge, criteria: [{condition: $response.body#/more == true}]}
"""
    )
    more, done = answer(200, {"more": True}), answer(200, {"more": False})
    smooth = play(plan, {"charge": [OK] * 2, "poll": [more, done]})
    rough = play(plan, {"charge": [OK] * 4, "poll": [answer(404), more, answer(404), done]})
    charges = [(("w", "charge"), 1), (("w", "charge"), 2)]
    before_retries = [(("w", "poll~1/charge"), 1), (("w", "poll#2~1/charge"), 1)]
    assert [key for key in smooth.keys if "charge" in key[0][1]] == charges
    found = [key for key in rough.keys if "charge" in key[0][1]]
    assert found == [charges[0], before_retries[0], charges[1], before_retries[1]]


def test_a_step_before_a_retry_that_fails_exhausts_the_retry(compiled: Compile) -> None:
    """Its own failure actions are not asked; the next action of the retried step sees the response."""
    script = {"login": [token("1"), answer(500)], "work": [answer(401, {"why": "old"})]}
    played = play(compiled(HELPED), script)
    assert played.steps == ["login", "work", "login", "other"]
    assert played.done.status == "succeeded"
    script["work"] = [answer(401, {"why": "new"})]
    failed = play(compiled(HELPED), script)
    assert failed.steps == ["login", "work", "login"]
    failure = failed.done.failure
    assert failure is not None
    assert (failure.step, failure.status) == ("work", 401)
    assert "what was to run before a retry failed" in failure.message
    assert "500" in failure.message


def test_a_retry_that_names_its_own_step_is_a_plain_one(compiled: Compile) -> None:
    plan = retrying(compiled, "stepId: a,")
    assert play(plan, {"a": [answer(500), OK]}).steps == ["a", "a", "b", "z"]


def test_the_response_of_a_retried_step_is_kept_without_its_body_unless_it_is_needed(
    compiled: Compile,
) -> None:
    big = {"why": "old", "filler": "x" * 100_000}
    script = {"login": [token("1"), token("2")], "work": [answer(401, big), OK]}
    needed = _play(compiled(HELPED), script, {}, OK, restore=True)
    assert max(map(len, needed.states)) > 100_000
    plain = HELPED.replace("$response.body#/why == 'old'", "$statusCode == 409")
    spared = _play(compiled(plain), script, {}, OK, restore=True)
    assert max(map(len, spared.states)) < 1_000
    unhelped = _play(retrying(compiled), {"a": [answer(500, big), OK]}, {}, OK, restore=True)
    assert max(map(len, unhelped.states)) < 1_000


HELPER_WORKFLOW = """
- workflowId: w
  inputs: {type: object, properties: {user: {type: string}, other: {type: string}}}
  steps:
  - stepId: work
    operationId: list
    onFailure:
    - name: refresh
      type: retry
      workflowId: renew
      retryLimit: 2
      parameters: [{name: reason, value: $response.body#/why}]
      criteria: [{condition: $statusCode == 401}]
  - stepId: after
    operationId: create
    requestBody: {payload: {name: x, why: $inputs.other}}
- workflowId: renew
  inputs:
    type: object
    properties: {user: {type: string}, reason: {type: string}, scope: {type: string, default: all}}
  steps:
  - stepId: get
    operationId: login
    requestBody:
      contentType: application/json
      payload: {user: $inputs.user, reason: $inputs.reason, scope: $inputs.scope}
    outputs: {token: $response.body#/token}
  outputs: {token: $steps.get.outputs.token}
"""


def test_a_workflow_before_a_retry_gets_the_actions_parameters_and_inputs_of_the_same_name(
    compiled: Compile,
) -> None:
    played = play(
        compiled(HELPER_WORKFLOW),
        {"work": [answer(401, {"why": "old"}), answer(401), OK], "get": [token("1"), token("2")]},
        {"user": "u", "other": "o"},
    )
    assert played.steps == ["work", "get", "work", "get", "work", "after"]
    assert played.bodies[1] == b'{"user":"u","reason":"old","scope":"all"}'
    assert played.bodies[3] == b'{"user":"u","scope":"all"}'
    assert played.bodies[5] == b'{"name":"x","why":"o"}'
    assert len(set(played.keys)) == 4  # the retried step keeps its key; each renewal has its own
    assert played.done.status == "succeeded"


def test_a_workflow_before_a_retry_that_fails_exhausts_the_retry(compiled: Compile) -> None:
    played = play(compiled(HELPER_WORKFLOW), {"work": [answer(401)], "get": [answer(403)]})
    assert played.steps == ["work", "get"]
    failure = played.done.failure
    assert failure is not None
    assert failure.step == "work"
    assert "workflow 'renew', step 'get'" in failure.message


# --- workflows inside workflows ------------------------------------------------------------------------

NESTED = """
- workflowId: w
  inputs: {type: object, properties: {n: {type: integer}}}
  steps:
  - stepId: call
    workflowId: inner
    parameters: [{name: n, value: $inputs.n}, {name: missing, value: $inputs.n.nothing}]
    successCriteria: [{condition: $outputs.id == 7}, {condition: $response.body#/last == true},
                      {condition: $statusCode == 202}]
    outputs: {own: $outputs.id}
    onFailure:
    - {name: on, type: goto, stepId: y, criteria: [{condition: $statusCode == 410}]}
  - stepId: z
    operationId: create
    requestBody: {payload: {name: $steps.call.outputs.id, own: $steps.call.outputs.own}}
    onSuccess: [{name: done, type: end}]
  - {stepId: y, operationId: list}
- workflowId: inner
  inputs:
    type: object
    required: [n]
    properties: {n: {type: integer}, size: {type: integer, default: 50}, missing: {type: string}}
  steps:
  - {stepId: first, operationId: list, parameters: [{name: cursor, in: query, value: $inputs.size}]}
  - stepId: second
    operationId: read
    parameters: [{name: id, in: path, value: $inputs.n}]
    outputs: {id: $response.body#/id}
  outputs: {id: $steps.second.outputs.id}
"""


def test_a_step_that_calls_a_workflow_sees_its_outputs_and_its_last_exchange(compiled: Compile) -> None:
    played = play(compiled(NESTED), {"second": [answer(202, {"id": 7, "last": True})]}, {"n": 5})
    assert played.sent == [
        ("first", "GET /items?cursor=50"),
        ("second", "GET /items/5"),
        ("z", "POST /items"),
    ]
    assert played.bodies[-1] == b'{"name":7,"own":7}'
    assert played.outputs_so_far["call"] == {"id": 7, "own": 7}
    assert played.keys[0] == (("w", "call", "inner", "first"), 1)
    assert played.records == [
        ("first", "succeeded"),
        ("second", "succeeded"),
        ("call", "succeeded"),
        ("z", "succeeded"),
    ]


def test_a_step_whose_called_workflow_fails_has_failed(compiled: Compile) -> None:
    played = play(compiled(NESTED), {"second": [answer(404)]}, {"n": 5})
    failure = played.done.failure
    assert failure is not None
    assert failure.step == "call"
    assert failure.message.startswith("workflow 'inner', step 'second': status 404 is not 2xx")
    handled = play(compiled(NESTED), {"second": [answer(410)]}, {"n": 5})
    assert handled.steps == ["first", "second", "y"]
    assert handled.done.status == "succeeded"


def test_a_workflow_that_does_not_accept_its_inputs_is_not_begun(compiled: Compile) -> None:
    played = play(compiled(NESTED))
    failure = played.done.failure
    assert failure is not None
    assert (played.sent, failure.step, failure.fate) == ([], "call", "not-sent")
    assert "input 'n' is required" in failure.message


def test_actions_see_no_exchange_of_an_earlier_step_when_a_called_workflow_cannot_begin(
    compiled: Compile,
) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - {stepId: a, operationId: list}
      - stepId: call
        workflowId: inner
        onFailure: [{name: wrong, type: goto, stepId: z, criteria: [{condition: $statusCode == 200}]}]
      - {stepId: z, operationId: list}
    - workflowId: inner
      inputs: {type: object, required: [n], properties: {n: {type: integer}}}
      steps: [{stepId: first, operationId: list}]
    """)
    assert play(plan).steps == ["a"]


def test_an_end_inside_a_called_workflow_ends_only_that_one(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - {stepId: call, workflowId: inner, outputs: {x: $outputs.x}}
      - {stepId: z, operationId: list}
      outputs: {x: $steps.call.outputs.x}
    - workflowId: inner
      steps:
      - stepId: first
        operationId: list
        outputs: {x: $statusCode}
        onSuccess: [{name: enough, type: end}]
        onFailure: [{name: give up, type: end}]
      - {stepId: second, operationId: list}
      outputs: {x: $steps.first.outputs.x}
    """)
    played = play(plan)
    assert played.steps == ["first", "z"]
    assert played.done == Done("succeeded", {"x": 200})
    failed = play(plan, {"first": [answer(404)]})
    assert failed.done.failure is not None
    assert "ended by action 'give up'" in failed.done.failure.message


def test_a_called_workflow_that_leads_to_another_ends_with_that_ones_outputs(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      inputs: {type: object, properties: {n: {type: integer}}}
      steps:
      - {stepId: call, workflowId: inner, parameters: [{name: n, value: $inputs.n}], outputs: {x: $outputs.x}}
      - stepId: z
        operationId: create
        requestBody: {payload: {name: $steps.call.outputs.x, n: $workflows.inner.inputs.n}}
    - workflowId: inner
      inputs: {type: object, properties: {n: {type: integer}}}
      steps:
      - stepId: first
        operationId: list
        onSuccess:
        - {name: go, type: goto, workflowId: target, parameters: [{name: m, value: $statusCode}]}
      outputs: {x: $inputs.n}
    - workflowId: target
      inputs: {type: object, required: [m], properties: {m: {type: integer}, n: {type: integer}}}
      steps:
      - stepId: t
        operationId: list
        parameters: [{name: cursor, in: query, value: '{$inputs.m}-{$inputs.n}'}]
      outputs: {x: $inputs.m}
    """)
    played = play(plan, inputs={"n": 3})
    assert played.sent[1] == ("t", "GET /items?cursor=200-3")
    assert played.bodies[-1] == b'{"name":200,"n":3}'
    assert played.keys[1] == (("w", "call", "target", "t"), 1)


def test_visits_of_the_calling_step_tell_requests_apart(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: call
        workflowId: inner
        onSuccess: [{name: more, type: goto, stepId: call, criteria: [{condition: $outputs.state == 'busy'}]}]
    - workflowId: inner
      steps: [{stepId: work, operationId: start, outputs: {state: $response.body#/state}}]
      outputs: {state: $steps.work.outputs.state}
    """)
    played = play(plan, {"work": [BUSY, BUSY, READY]})
    assert played.keys == [
        (("w", "call", "inner", "work"), 1),
        (("w", "call#2", "inner", "work"), 1),
        (("w", "call#3", "inner", "work"), 1),
    ]


# --- dependencies --------------------------------------------------------------------------------------

DEPENDS = """
- workflowId: w
  dependsOn: [one, two]
  inputs: {type: object, properties: {n: {type: integer}}}
  steps:
  - {stepId: call, workflowId: also}
  - stepId: z
    operationId: create
    requestBody: {payload: {name: $workflows.two.outputs.x, n: $workflows.two.inputs.n}}
- workflowId: also
  dependsOn: [one]
  steps: [{stepId: s, operationId: list}]
- workflowId: one
  steps: [{stepId: first, operationId: list}]
- workflowId: two
  dependsOn: [one]
  inputs: {type: object, properties: {n: {type: integer}}}
  steps: [{stepId: second, operationId: list, outputs: {x: $statusCode}}]
  outputs: {x: $steps.second.outputs.x}
"""


def test_a_workflow_that_others_depend_on_runs_once_before_them(compiled: Compile) -> None:
    played = play(compiled(DEPENDS), inputs={"n": 4})
    assert played.steps == ["first", "second", "s", "z"]
    assert played.bodies[-1] == b'{"name":200,"n":4}'


def test_a_failed_dependency_fails_the_workflow_before_its_first_step(compiled: Compile) -> None:
    played = play(compiled(DEPENDS), {"second": [answer(500)]})
    failure = played.done.failure
    assert failure is not None
    assert played.steps == ["first", "second"]
    assert "workflow 'two', step 'second'" in failure.message


def test_a_dependency_whose_inputs_are_wrong_fails_the_workflow(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      dependsOn: [one]
      steps: [{stepId: a, operationId: list, onFailure: [{name: on, type: goto, stepId: a}]}]
    - workflowId: one
      inputs: {type: object, required: [n], properties: {n: {type: integer}}}
      steps: [{stepId: first, operationId: list}]
    """)
    played = play(plan)
    failure = played.done.failure
    assert failure is not None
    assert (played.sent, failure.code) == ([], "inputs")
    assert "input 'n' is required" in failure.message


def test_a_dependency_that_leads_elsewhere_is_not_begun_again(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      dependsOn: [one]
      steps:
      - stepId: a
        operationId: create
        requestBody: {payload: {name: $workflows.one.outputs.x}}
    - workflowId: one
      steps: [{stepId: first, operationId: list, onSuccess: [{name: go, type: goto, workflowId: target}]}]
      outputs: {x: $steps.first.outputs}
    - workflowId: target
      steps: [{stepId: t, operationId: list, outputs: {x: $statusCode}}]
      outputs: {x: $steps.t.outputs.x}
    """)
    played = play(plan)
    assert played.steps == ["first", "t", "a"]
    assert played.bodies[-1] == b'{"name":200}'


def test_workflows_of_another_document_name_their_own_siblings(compiled: Compile) -> None:
    """Keys of the plan are qualified with the source; expressions inside that document are not."""
    plan = compiled(
        """
        - workflowId: w
          dependsOn: [$sourceDescriptions.far.setup]
          steps: [{stepId: call, workflowId: $sourceDescriptions.far.use}]
        - workflowId: setup
          steps: [{stepId: decoy, operationId: list}]
        """,
        far="""
        - workflowId: setup
          steps: [{stepId: first, operationId: list, outputs: {x: $response.body#/x}}]
          outputs: {x: $steps.first.outputs.x}
        - workflowId: use
          dependsOn: [setup]
          steps:
          - stepId: z
            operationId: create
            requestBody: {payload: {name: $workflows.setup.outputs.x}}
        """,
    )
    played = play(plan, {"first": [answer(200, {"x": "far"})]})
    assert played.steps == ["first", "z"]
    assert played.bodies[-1] == b'{"name":"far"}'


# --- money ---------------------------------------------------------------------------------------------

UNKNOWN: list[Outcome] = [
    answer(500),
    answer(503),
    answer(408),
    answer(409),
    answer(425),
    answer(302),
    OutcomeUnknown("reset"),
    OutcomeUnknown("truncated", status=502),
]

ONCE = """
- workflowId: w
  steps:
  - stepId: a
    operationId: {operation}
    parameters: {parameters}
    onFailure:
    - {{name: again, type: retry, retryLimit: 3}}
    - {{name: repair, type: goto, stepId: z}}
  - {{stepId: b, operationId: list}}
  - {{stepId: z, operationId: start}}
"""


def once(compiled: Compile, operation: str) -> Plan:
    parameters = "[{name: id, in: path, value: x}]" if operation in ("replace", "remove", "read") else "[]"
    return compiled(ONCE.format(operation=operation, parameters=parameters))


@pytest.mark.parametrize("outcome", UNKNOWN, ids=str)
def test_after_an_unknown_outcome_nothing_more_is_sent(compiled: Compile, outcome: Outcome) -> None:
    played = play(once(compiled, "start"), {"a": [outcome]}, default=None)
    assert played.steps == ["a"]
    failure = played.done.failure
    assert failure is not None
    assert (failure.code, failure.fate, failure.step) == ("outcome-unknown", "unknown", "a")
    assert "look it up" in failure.hint


@pytest.mark.parametrize("operation", ["replace", "remove", "read"])
@pytest.mark.parametrize("outcome", UNKNOWN, ids=str)
def test_what_may_be_repeated_is_retried(compiled: Compile, operation: str, outcome: Outcome) -> None:
    played = play(once(compiled, operation), {"a": [outcome, outcome, OK]})
    assert played.steps == ["a", "a", "a", "b", "z"]


@pytest.mark.parametrize(
    "outcome",
    [answer(400), answer(404), answer(429), answer(307), answer(308), NotSent("refused connection")],
    ids=str,
)
def test_what_was_refused_or_never_left_is_retried(compiled: Compile, outcome: Outcome) -> None:
    played = play(once(compiled, "start"), {"a": [outcome, OK]})
    assert played.steps == ["a", "a", "b", "z"]
    assert played.keys[0] == played.keys[1]


@pytest.mark.parametrize("outcome", [OutcomeUnknown("truncated", status=201)], ids=str)
def test_an_effect_without_a_readable_body_is_not_sent_again(compiled: Compile, outcome: Outcome) -> None:
    """The next action may still repair what is to be repaired."""
    played = play(once(compiled, "start"), {"a": [outcome]})
    assert played.steps == ["a", "z"]
    assert any("not retried, the request took effect" in text for text in played.events)


def test_an_effect_whose_criteria_fail_is_not_sent_again(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: start
        successCriteria: [{condition: $response.body#/state == 'ready'}]
        onFailure: [{name: again, type: retry, retryLimit: 3}]
    """)
    played = play(plan, {"a": [BUSY]}, default=None)
    assert played.steps == ["a"]
    assert played.done.failure is not None
    assert played.done.failure.fate == "effect"


BILL = """
- workflowId: w
  steps:
  - stepId: call
    workflowId: inner
    {extra}
    onFailure: [{{name: again, type: retry, retryLimit: 2}}, {{name: repair, type: goto, stepId: z}}]
  - {{stepId: z, operationId: list}}
- workflowId: inner
  steps:
  - {{stepId: look, operationId: list}}
  - {{stepId: charge, operationId: start}}
  - {{stepId: check, operationId: poll}}
"""


def test_an_unknown_outcome_in_a_called_workflow_ends_the_whole_run(compiled: Compile) -> None:
    played = play(compiled(BILL.format(extra="")), {"charge": [answer(500)]})
    assert played.steps == ["look", "charge"]
    failure = played.done.failure
    assert failure is not None
    assert (failure.code, failure.fate) == ("outcome-unknown", "unknown")
    assert "step 'charge'" in failure.message


def test_a_called_workflow_is_not_retried_after_it_charged(compiled: Compile) -> None:
    played = play(compiled(BILL.format(extra="")), {"check": [answer(404)]})
    assert played.steps == ["look", "charge", "check", "z"]
    own = BILL.format(extra="successCriteria: [{condition: $statusCode == 202}]")
    assert play(compiled(own)).steps == ["look", "charge", "check", "z"]


def test_a_called_workflow_is_retried_when_nothing_was_charged(compiled: Compile) -> None:
    plan = compiled(BILL.format(extra=""))
    before = play(plan, {"look": [answer(404)]})
    assert before.steps == ["look", "look", "charge", "check", "z"]
    refused = play(plan, {"charge": [answer(402), OK]})
    assert refused.steps == ["look", "charge", "look", "charge", "check", "z"]
    assert refused.keys[1] == refused.keys[3]


def test_an_unknown_outcome_before_a_retry_ends_the_run(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: list
        onFailure: [{name: help, type: retry, stepId: c}, {name: on, type: goto, stepId: b}]
      - {stepId: b, operationId: list}
      - {stepId: c, operationId: start}
    """)
    played = play(plan, {"a": [answer(404)], "c": [OutcomeUnknown("reset")]})
    assert played.steps == ["a", "c"]
    assert played.done.failure is not None
    assert played.done.failure.code == "outcome-unknown"


def test_an_unknown_outcome_in_a_workflow_before_a_retry_ends_the_run(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: list
        onFailure: [{name: help, type: retry, workflowId: helper}, {name: on, type: goto, stepId: b}]
      - {stepId: b, operationId: list}
    - workflowId: helper
      steps: [{stepId: c, operationId: start}]
    """)
    played = play(plan, {"a": [answer(404)], "c": [OutcomeUnknown("reset")]})
    assert played.steps == ["a", "c"]
    assert played.done.failure is not None
    assert played.done.failure.code == "outcome-unknown"


def test_an_effect_counts_for_every_workflow_around_it(compiled: Compile) -> None:
    """Also where it happened two calls deep, or before a goto to the workflow that fails."""
    plan = compiled("""
    - workflowId: w
      steps:
      - {stepId: call, workflowId: middle, onFailure: [{name: again, type: retry}]}
    - workflowId: middle
      steps:
      - {stepId: deeper, workflowId: inner}
      - {stepId: check, operationId: list}
    - workflowId: inner
      steps: [{stepId: charge, operationId: start}]
    """)
    assert play(plan, {"check": [answer(404)]}).steps == ["charge", "check"]
    plan = compiled("""
    - workflowId: w
      steps:
      - {stepId: call, workflowId: middle, onFailure: [{name: again, type: retry}]}
    - workflowId: middle
      steps: [{stepId: charge, operationId: start, onSuccess: [{name: go, type: goto, workflowId: target}]}]
    - workflowId: target
      steps: [{stepId: check, operationId: list}]
    """)
    assert play(plan, {"check": [answer(404)]}).steps == ["charge", "check"]


TANGLED = """
- workflowId: w
  dependsOn: [before]
  steps:
  - stepId: login
    operationId: login
    onFailure: [{name: again, type: retry, retryLimit: 2}]
  - stepId: charge
    operationId: start
    onSuccess: [{name: more, type: goto, stepId: login, criteria: [{condition: $statusCode == 202}]}]
    onFailure:
    - {name: renew, type: retry, stepId: login, retryLimit: 2, criteria: [{condition: $statusCode == 401}]}
    - {name: help, type: retry, workflowId: before, criteria: [{condition: $statusCode == 403}]}
    - {name: call, type: goto, stepId: call, criteria: [{condition: $statusCode == 404}]}
    - {name: leave, type: goto, workflowId: target, criteria: [{condition: $statusCode == 429}]}
  - stepId: call
    workflowId: inner
    onFailure: [{name: again, type: retry, retryLimit: 3}]
- workflowId: before
  steps: [{stepId: prepare, operationId: start}]
- workflowId: inner
  steps:
  - {stepId: order, operationId: start, onFailure: [{name: again, type: retry}]}
  - stepId: put
    operationId: replace
    parameters: [{name: id, in: path, value: x}]
    onFailure: [{name: go, type: goto, workflowId: target, criteria: [{condition: $statusCode == 404}]}]
- workflowId: target
  steps:
  - {stepId: settle, operationId: start}
  - stepId: look
    operationId: list
    onFailure: [{name: back, type: goto, workflowId: w, criteria: [{condition: $statusCode == 404}]}]
"""
ONCE_ONLY = {"login", "charge", "prepare", "order", "settle"}


@pytest.fixture(scope="module")
def tangled(tmp_path_factory: pytest.TempPathFactory, compile_in: Callable[..., Plan]) -> Plan:
    return compile_in(tmp_path_factory.mktemp("tangled"), TANGLED)


fates = st.sampled_from([200, 200, 200, 202, 401, 403, 404, 429, 500])


@given(st.lists(fates, max_size=12))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_nothing_is_charged_twice_under_one_key(tangled: Plan, statuses: list[int]) -> None:
    once = _scripted(tangled, statuses, restore=False)
    again = _scripted(tangled, statuses, restore=True)
    assert once == again
    settled: set[object] = set()
    for step, key, status in once:
        assert "unknown" not in settled
        if step not in ONCE_ONLY:
            continue
        assert key not in settled
        if status == 500:
            settled.add("unknown")
        elif status < 300:
            settled.add(key)


def _scripted(plan: Plan, statuses: list[int], *, restore: bool) -> list[tuple[str, object, int]]:
    """Step, key and status of every request; what comes after the listed statuses is 200."""
    now, left = [START], iter(statuses)
    machine = Machine(plan, begin(plan, {}, now=START), clock=lambda: now[0])
    sent: list[tuple[str, object, int]] = []
    while not isinstance(command := machine.next(), Done):
        if isinstance(command, Wait):
            now[0] += command.seconds
        else:
            status = next(left, 200)
            sent.append((command.step.id, (command.path, command.visit), status))
            machine.receive(answer(status))
        if restore:
            machine = Machine(plan, decode_state(encode_state(machine.state)), clock=lambda: now[0])
    return sent


def test_a_machine_restored_while_a_request_was_under_way_says_so(compiled: Compile) -> None:
    plan = once(compiled, "start")
    machine = Machine(plan, begin(plan, {}, now=START), clock=lambda: START)
    first = machine.next()
    assert isinstance(first, Send)
    assert not first.again
    restored = Machine(plan, decode_state(encode_state(machine.state)), clock=lambda: START)
    second = restored.next()
    assert isinstance(second, Send)
    assert second == msgspec.structs.replace(first, again=True)
    restored.receive(OK)
    third = restored.next()
    assert isinstance(third, Send)
    assert (third.step.id, third.again) == ("b", False)


KEYED = Idempotency("header", "Idempotency-Key")


def keyed(plan: Plan) -> Plan:
    """The plan with all its operations declared to honour an idempotency key."""
    replace = msgspec.structs.replace
    workflows = {
        key: replace(
            workflow,
            steps=tuple(
                replace(step, call=replace(step.call, idempotency=KEYED))
                if isinstance(step.call, OperationCall)
                else step
                for step in workflow.steps
            ),
        )
        for key, workflow in plan.workflows.items()
    }
    return replace(plan, workflows=workflows)


@pytest.mark.parametrize("outcome", [answer(500), OutcomeUnknown("reset")], ids=str)
def test_with_a_ledger_and_a_key_an_unknown_outcome_is_retried(compiled: Compile, outcome: Outcome) -> None:
    plan = once(compiled, "start")
    script = {"a": [outcome, OK]}
    played = play(keyed(plan), script, ledger=True)
    assert played.steps == ["a", "a", "b", "z"]
    assert played.keys[0] == played.keys[1]
    assert play(plan, script, ledger=True).steps == ["a"]
    assert play(keyed(plan), script).steps == ["a"]


@pytest.mark.parametrize("outcome", [answer(500), OutcomeUnknown("reset")], ids=str)
def test_an_unknown_outcome_is_not_billed_another_way(compiled: Compile, outcome: Outcome) -> None:
    played = play(keyed(once(compiled, "start")), {"a": [outcome] * 9}, ledger=True)
    assert set(played.steps) == {"a"}
    assert len(played.steps) > 1
    assert played.done.status == "failed"


def test_with_a_ledger_a_called_workflow_is_retried_and_the_ledger_answers(compiled: Compile) -> None:
    played = play(compiled(BILL.format(extra="")), {"check": [answer(404)]}, ledger=True)
    assert played.steps == ["look", "charge", "check", "look", "charge", "check", "z"]
    assert played.keys[1] == played.keys[4]


@pytest.mark.parametrize("code", ["other-request", "ledger-unavailable", "outcome-unknown"])
def test_no_action_runs_after_the_ledger_refused(compiled: Compile, code: str) -> None:
    error = NotSent("no") if code != "outcome-unknown" else OutcomeUnknown("no")
    error.code = code  # type: ignore[union-attr]
    played = play(once(compiled, "replace"), {"a": [error]}, ledger=True)
    assert played.steps == ["a"]
    assert played.done.failure is not None
    assert played.done.failure.code == code


def test_a_request_can_be_put_off(compiled: Compile) -> None:
    plan = compiled("- workflowId: w\n  steps: [{stepId: a, operationId: start}]")
    now = [START]
    machine = Machine(plan, begin(plan, {}, now=START), clock=lambda: now[0], ledger=True)
    with pytest.raises(RuntimeError, match="did not ask"):
        machine.put_off(5, "why")
    first = machine.next()
    assert isinstance(first, Send)
    machine.put_off(5, "another attempt is under way")
    assert machine.next() == Wait(5, "another attempt is under way")
    restored = Machine(plan, decode_state(encode_state(machine.state)), clock=lambda: now[0])
    now[0] += 5
    assert machine.next() == restored.next() == msgspec.structs.replace(first, again=True)


def test_the_end_is_part_of_the_state(compiled: Compile) -> None:
    plan = compiled("- workflowId: w\n  steps: [{stepId: a, operationId: start}]")
    machine = Machine(plan, begin(plan, {}, now=START), clock=lambda: START)
    machine.next()
    machine.receive(OK)
    restored = Machine(plan, decode_state(encode_state(machine.state)), clock=lambda: START)
    assert restored.next() == Done("succeeded")


def test_commands_and_outcomes_alternate(compiled: Compile) -> None:
    plan = compiled("- workflowId: w\n  steps: [{stepId: a, operationId: list}]")
    machine = Machine(plan, begin(plan, {}, now=START), clock=lambda: START)
    with pytest.raises(RuntimeError, match="did not ask"):
        machine.receive(OK)
    machine.next()
    with pytest.raises(RuntimeError, match="waits for the outcome"):
        machine.next()


# --- part of a workflow --------------------------------------------------------------------------------


def test_a_machine_for_some_steps_says_which_comes_next(compiled: Compile) -> None:
    plan = compiled(JUMPS)
    within = frozenset({"a"})
    assert play(plan, within=within, start="a").done == Done("left", next_step="b")
    jumped = play(plan, {"a": [answer(200, {"go": "c"})]}, within=within, start="a")
    assert jumped.done == Done("left", next_step="c")
    last = play(plan, within=frozenset({"c"}), start="c")
    assert last.done == Done("succeeded")
    assert last.outputs_so_far == {"c": {"x": 200}}


def test_a_machine_for_some_steps_goes_all_the_way_through_a_workflow_it_leads_to(compiled: Compile) -> None:
    plan = compiled(JUMPS.replace("steps: [{stepId: d", "steps: [{stepId: b, operationId: list}, {stepId: d"))
    played = play(plan, {"a": [answer(200, {"go": "other"})]}, within=frozenset({"a"}), start="a")
    assert played.steps == ["a", "b", "d"]
    assert played.done == Done("succeeded", {"y": 200})


def test_a_loop_of_some_steps_stays_inside_them(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - {stepId: a, operationId: list}
      - stepId: b
        operationId: poll
        onSuccess:
        - {name: back, type: goto, stepId: a, criteria: [{condition: $response.body#/state == 'busy'}]}
      - {stepId: c, operationId: list}
    """)
    played = play(plan, {"b": [BUSY, READY]}, within=frozenset({"a", "b"}), start="a")
    assert played.steps == ["a", "b", "a", "b"]
    assert played.done == Done("left", next_step="c")


def test_outputs_of_steps_that_ran_elsewhere_are_there(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - {stepId: a, operationId: list, outputs: {x: $response.body#/x}}
      - {stepId: b, operationId: create, requestBody: {payload: {name: $steps.a.outputs.x}}}
      outputs: {x: $steps.a.outputs.x}
    """)
    played = play(plan, within=frozenset({"b"}), start="b", ready={"a": {"x": 1}})
    assert played.bodies == [b'{"name":1}']
    state = begin(plan, {}, now=START)
    state.frames[0].outputs["a"] = {"x": 1}
    assert workflow_outputs(plan, state) == {"x": 1}


def test_outputs_are_those_of_the_workflow_that_a_goto_led_to(compiled: Compile) -> None:
    plan = compiled(JUMPS)
    machine = Machine(plan, begin(plan, {}, now=START), clock=lambda: START)
    machine.next()
    machine.receive(answer(200, {"go": "other"}))
    machine.next()
    machine.receive(OK)
    assert isinstance(machine.next(), Done)
    assert workflow_outputs(plan, machine.state) == {"y": 200}


# --- secrets -------------------------------------------------------------------------------------------

SECRET = "hunter2-of-the-machine-tests"

SECRETS = """
- workflowId: w
  inputs: {type: object, required: [pin], properties: {pin: {type: string, format: password}}}
  steps:
  - {stepId: a, operationId: create, requestBody: {payload: {name: $inputs.pin}}}
  - {stepId: call, workflowId: inner, parameters: [{name: code, value: $inputs.pin}]}
- workflowId: inner
  inputs: {type: object, required: [code], properties: {code: {type: string, minLength: 5}}}
  steps:
  - stepId: b
    operationId: create
    requestBody: {payload: {name: $inputs.code}}
    onSuccess: [{name: go, type: goto, workflowId: target}]
- workflowId: target
  inputs: {type: object, required: [code], properties: {code: {type: string}}}
  steps:
  - {stepId: c, operationId: create, requestBody: {payload: {name: $inputs.code}}}
"""


def test_secret_inputs_are_sent_and_never_kept(compiled: Compile) -> None:
    plan = compiled(SECRETS)
    assert plan.root.credentials.keys() == {"pin"}
    played = _play(plan, {}, {}, OK, restore=True, secrets={("w", "pin"): SECRET})
    assert played.done.status == "succeeded"
    assert played.bodies == [b'{"name":"' + SECRET.encode() + b'"}'] * 3
    assert len(played.states) > 3
    assert not [state for state in played.states if SECRET in state]
    assert SECRET not in str(played.records) + str(played.events) + str(played.done)


TOKEN = """
- workflowId: w
  steps:
  - stepId: login
    operationId: login
    outputs: {token: $response.body#/token, kind: $response.body#/kind}
  - stepId: use
    operationId: private
    parameters: [{name: Authorization, in: header, value: 'Bearer {$steps.login.outputs.token}'}]
"""


def test_tokens_that_a_step_produces_are_masked_in_records_and_known_to_who_drives(compiled: Compile) -> None:
    plan = compiled(TOKEN)
    assert plan.root.steps[0].secret_outputs == ("token",)
    machine = Machine(plan, begin(plan, {}, now=START), clock=lambda: START)
    machine.next()
    machine.receive(answer(200, {"token": SECRET, "kind": "bearer"}))
    assert machine.records[0].outputs == {"token": "***", "kind": "bearer"}
    assert machine.secret_values() == (SECRET,)
    restored = Machine(plan, decode_state(encode_state(machine.state)), clock=lambda: START)
    assert restored.secret_values() == (SECRET,)
    assert SECRET not in str(machine.events)


# --- telling -------------------------------------------------------------------------------------------


def test_a_response_that_only_calls_itself_json_is_told_even_when_only_outputs_read_it(
    compiled: Compile,
) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: list
        successCriteria: [{condition: $statusCode == 200}]
        outputs: {all: $response.body}
    """)
    broken = Response(200, (("Content-Type", "application/json"),), b"<html>")
    played = play(plan, {"a": [broken]})
    assert played.outputs_so_far == {"a": {"all": "<html>"}}
    assert any("says that it is JSON and is not" in text for text in played.events)


def test_records_tell_what_was_asked_and_what_came(compiled: Compile) -> None:
    plan = compiled("- workflowId: w\n  steps: [{stepId: a, operationId: start}]")
    machine = Machine(plan, begin(plan, {}, now=START), clock=lambda: START)
    machine.next()
    machine.receive(msgspec.structs.replace(answer(404), elapsed=0.25))
    (record,) = machine.records
    assert (record.workflow, record.step, record.method, record.status_code, record.elapsed) == (
        "w", "a", "POST", 404, 0.25,
    )  # fmt: skip
    assert record.error is not None
    assert record.error.fate == "refused"
