from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from airflow_arazzo.engine import run as running
from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.journal import Failure
from airflow_arazzo.engine.machine import Machine, Send, Wait, begin
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Request, Response
from airflow_arazzo.engine.preflight import CannotRun, check_requests
from airflow_arazzo.engine.run import RunResult, drive, run_plan, secret_inputs, sender
from airflow_arazzo.engine.state import decode_state, encode_state
from airflow_arazzo.plan.model import Plan

Compile = Callable[..., Plan]
JSON = (("Content-Type", "application/json"),)


class FakeTransport:
    """Answers every request alike and keeps it."""

    def __init__(self, answer: Response | Exception) -> None:
        self.answer = answer
        self.requests: list[Request] = []

    async def __aenter__(self) -> FakeTransport:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    def secrets(self) -> tuple[str, ...]:
        return ()

    async def send(self, request: Request, source: object, connection: object) -> Response:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> FakeTransport:
    fake = FakeTransport(Response(200, JSON, b"{}", "https://api.example/x"))
    monkeypatch.setattr(running, "Transport", lambda: fake)
    return fake


def run(plan: Plan, inputs: Mapping[str, Any] | None = None, **connection: Any) -> RunResult:
    connections = {name: Connection(id=name, **connection) for name in plan.sources}
    return asyncio.run(run_plan(plan, inputs or {}, connections))


# --- before the first request --------------------------------------------------------------------------

LATER = """
- workflowId: w
  inputs:
    type: object
    properties: {id: {type: string}, name: {type: string}, tag: {type: string}, n: {type: number}}
  steps:
  - {stepId: first, operationId: start, outputs: {id: $response.body#/id}}
"""


def failing(plan: Plan, inputs: Mapping[str, Any] | None = None, **secrets: str) -> Failure:
    prepared = prepare_inputs(plan.root, inputs or {})
    with pytest.raises(CannotRun) as raised:
        check_requests(plan, prepared, {("w", name): value for name, value in secrets.items()})
    assert str(raised.value) == str(raised.value.failure)
    return raised.value.failure


@pytest.mark.parametrize(
    ("step", "inputs", "code"),
    [
        (
            "operationId: create\n    requestBody: {payload: {name: $inputs.name, tag: $inputs.tag}}",
            {"name": "x"},
            "missing-body-properties",
        ),
        (
            "operationId: create\n    requestBody: "
            "{payload: {name: $inputs.name, tag: $steps.first.outputs.id}}",
            {"name": "x"},
            "missing-body-properties",
        ),
        (
            "operationId: create\n    requestBody: {payload: {name: 'evt-{$inputs.name}', "
            "tag: {deep: [$steps.first.outputs.id]}}}",
            {"name": "x"},
            "absent-in-text",
        ),
        (
            "operationId: create\n    requestBody: "
            "{payload: {name: 'a-{$inputs.name}-{$steps.first.outputs.id}'}}",
            {"name": "x"},
            "absent-in-text",
        ),
        (
            "operationId: read\n    parameters: [{name: id, in: path, value: $inputs.id}]",
            {"id": "x"},
            "missing-path-parameter",
        ),
        (
            "operationId: read\n    parameters: [{name: id, in: path, value: 'a{$inputs.id}'}]",
            {"id": "x"},
            "absent-in-text",
        ),
    ],
)
def test_what_a_later_step_lacks_is_found_before_the_first_request(
    compiled: Compile, transport: FakeTransport, step: str, inputs: dict[str, Any], code: str
) -> None:
    plan = compiled(f"{LATER}  - stepId: second\n    {step}\n")
    failure = failing(plan)
    assert (failure.code, failure.step, failure.fate) == (code, "second", "not-sent")
    result = run(plan)
    assert (result.status, result.error, result.steps) == ("failed", failure, ())
    assert transport.requests == []
    check_requests(plan, inputs, {})


def test_what_depends_on_results_is_taken_to_be_there(compiled: Compile) -> None:
    plan = compiled(
        LATER
        + """
  - stepId: second
    operationId: read
    parameters:
    - {name: id, in: path, value: $steps.first.outputs.id}
    - {name: X-A, in: header, value: $steps.first.outputs.id}
    - {name: X-B, in: header, value: 'a {$steps.first.outputs.id}'}
  - {stepId: third, operationId: create, requestBody: {payload: $steps.first.outputs.id}}
  - {stepId: fourth, operationId: create, requestBody: {payload: {name: $steps.first.outputs.id}}}
  - stepId: fifth
    operationId: create
    requestBody:
      payload: {tag: a}
      replacements: [{target: /name, value: $steps.first.outputs.id}]
    """
    )
    check_requests(plan, {}, {})


def test_nothing_is_said_where_the_way_is_not_certain(compiled: Compile, transport: FakeTransport) -> None:
    text = LATER.replace(
        "{id: $response.body#/id}}", "{id: $response.body#/id}, onSuccess: [{name: x, type: end}]}"
    )
    plan = compiled(
        text
        + "  - {stepId: second, operationId: read, parameters: [{name: id, in: path, value: $inputs.id}]}\n"
    )
    check_requests(plan, {}, {})
    assert run(plan).status == "succeeded"
    assert len(transport.requests) == 1


CALLING = """
- workflowId: w
  inputs: {type: object, properties: {n: {type: integer}, id: {type: string}}}
  steps:
  - {stepId: first, operationId: start}
  - stepId: call
    workflowId: inner
    parameters: [{name: n, value: $inputs.n}, {name: id, value: $inputs.id}]
- workflowId: inner
  inputs: {type: object, required: [n], properties: {n: {type: integer}, id: {type: string}}}
  steps: [{stepId: s, operationId: read, parameters: [{name: id, in: path, value: $inputs.id}]}]
"""


def test_called_workflows_are_looked_into(compiled: Compile) -> None:
    plan = compiled(CALLING)
    missing = failing(plan)
    assert (missing.step, missing.code) == ("call", "inputs")
    assert "input 'n' is required" in missing.message
    deeper = failing(plan, {"n": 1})
    assert (deeper.step, deeper.code) == ("s", "missing-path-parameter")
    check_requests(plan, {"n": 1, "id": "x"}, {})
    unknown = CALLING.replace("operationId: start}", "operationId: start, outputs: {n: $statusCode}}")
    check_requests(compiled(unknown.replace("$inputs.n}", "$steps.first.outputs.n}")), {}, {})


def test_workflows_that_it_depends_on_are_looked_into(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      dependsOn: [other, inner]
      inputs: {type: object, properties: {n: {type: integer}, id: {type: string}}}
      steps: [{stepId: a, operationId: start}]
    - workflowId: other
      steps: [{stepId: b, operationId: start}]
    - workflowId: inner
      inputs: {type: object, required: [n], properties: {n: {type: integer}, id: {type: string}}}
      steps: [{stepId: s, operationId: read, parameters: [{name: id, in: path, value: $inputs.id}]}]
    """)
    assert "input 'n' is required" in failing(plan).message
    assert failing(plan, {"n": 1}).step == "s"
    check_requests(plan, {"n": 1, "id": "x"}, {})


def test_secret_inputs_count_as_there(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      inputs: {type: object, properties: {name: {type: string, format: password}}}
      steps:
      - {stepId: first, operationId: start}
      - {stepId: second, operationId: create, requestBody: {payload: {name: $inputs.name}}}
    """)
    assert failing(plan).code == "missing-body-properties"
    check_requests(plan, {}, {("w", "name"): "s"})


def test_absent_text_can_be_empty_by_wish(compiled: Compile) -> None:
    plan = compiled(
        LATER + "  - {stepId: s, operationId: create, requestBody: {payload: {name: 'a{$inputs.name}'}}}\n"
    )
    assert failing(plan).code == "absent-in-text"
    check_requests(plan, {}, {}, absent_text="empty")


# --- credentials ---------------------------------------------------------------------------------------


def test_a_missing_credential_of_a_later_step_fails_before_the_first_request(
    compiled: Compile, transport: FakeTransport
) -> None:
    plan = compiled(
        "- workflowId: w\n  steps: [{stepId: a, operationId: start}, {stepId: b, operationId: private}]"
    )
    result = run(plan)
    assert result.error is not None
    assert (result.error.code, result.error.fate) == ("credentials", "not-sent")
    assert transport.requests == []
    assert run(plan, password="key-of-the-run-tests").status == "succeeded"


def test_a_missing_secret_input_fails_before_the_first_request(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      inputs: {type: object, required: [pin], properties: {pin: {type: string, format: password}}}
      steps: [{stepId: a, operationId: create, requestBody: {payload: {name: $inputs.pin}}}]
    """)
    with pytest.raises(NotSent, match="the secret input 'pin' has no value"):
        secret_inputs(plan, {"api": Connection(id="api")})
    assert secret_inputs(plan, {"api": Connection(id="api", secrets={"pin": "1"})}) == {("w", "pin"): "1"}
    assert secret_inputs(plan, {}) == {}


# --- results -------------------------------------------------------------------------------------------

KEY = "key-of-the-run-tests/+="

ECHO = """
- workflowId: w
  steps:
  - stepId: a
    operationId: private
    successCriteria: [{condition: $response.body#/echo == 'x'}]
    outputs: {echo: $response.body#/echo, all: $response.body, list: [$response.body#/echo]}
"""


def test_a_secret_that_the_service_echoes_is_masked_everywhere(
    compiled: Compile, transport: FakeTransport
) -> None:
    body = b'{"echo":"Bearer ' + KEY.encode() + b'","' + KEY.encode() + b'":1}'
    transport.answer = Response(200, JSON, body, f"https://api.example/x?k={KEY}")
    plan = compiled(ECHO.replace("list: [$response.body#/echo]", "list: $response.body"))
    failed = run(plan, password=KEY)
    assert failed.error is not None
    assert "***" in failed.error.message
    assert KEY not in str(failed)
    good = compiled(
        ECHO.replace("== 'x'", "!= null").replace(", list: [$response.body#/echo]", "")
        + "  outputs: {all: $steps.a.outputs.all}\n"
    )
    result = run(good, password=KEY)
    assert result.outputs == {"all": {"echo": "Bearer ***", "***": 1}}
    assert KEY not in str(result)


def test_a_token_that_a_step_produced_is_masked_in_the_outputs_too(
    compiled: Compile, transport: FakeTransport
) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - {stepId: login, operationId: login, outputs: {token: $response.body#/token}}
      - stepId: use
        operationId: private
        parameters: [{name: Authorization, in: header, value: 'Bearer {$steps.login.outputs.token}'}]
        outputs: {echo: $response.body#/token}
      outputs: {token: $steps.login.outputs.token, echo: $steps.use.outputs.echo}
    """)
    transport.answer = Response(200, JSON, b'{"token":"token-of-the-run-tests"}')
    result = run(plan)
    assert result.status == "succeeded"
    assert result.outputs == {"token": "***", "echo": "***"}
    assert "token-of-the-run-tests" not in str(result)


def test_a_run_ended_by_an_action_says_which(compiled: Compile, transport: FakeTransport) -> None:
    plan = compiled(
        "- workflowId: w\n  steps:\n"
        "  - {stepId: a, operationId: start, onFailure: [{name: enough, type: end}]}\n"
    )
    transport.answer = Response(404, (), b"")
    error = run(plan).error
    assert error is not None
    assert error.message.endswith("; ended by action 'enough'")


# --- driving -------------------------------------------------------------------------------------------


def interrupted(plan: Plan) -> Machine:
    """A machine restored from the state of one whose request was under way."""
    machine = Machine(plan, begin(plan, {}, now=0.0), clock=lambda: 0.0)
    assert isinstance(machine.next(), Send)
    return Machine(plan, decode_state(encode_state(machine.state)), clock=lambda: 0.0)


@pytest.mark.parametrize(("operation", "sent"), [("start", 0), ("poll", 1)])
def test_an_interrupted_request_is_sent_again_only_if_it_may_be(
    compiled: Compile, transport: FakeTransport, operation: str, sent: int
) -> None:
    plan = compiled(f"- workflowId: w\n  steps: [{{stepId: a, operationId: {operation}}}]")
    over = sender(transport, plan, {"api": Connection(id="api")})  # type: ignore[arg-type]
    done = asyncio.run(drive(interrupted(plan), over))
    assert not isinstance(done, Wait)
    assert len(transport.requests) == sent
    assert done.status == ("succeeded" if sent else "failed")
    if done.failure:
        assert done.failure.code == "outcome-unknown"
        assert "interrupted" in done.failure.message


def test_who_keeps_a_ledger_decides_about_interrupted_requests(compiled: Compile) -> None:
    plan = compiled("- workflowId: w\n  steps: [{stepId: a, operationId: start}]")
    commands = []

    async def exchange(command: Send) -> Response:
        commands.append(command)
        return Response(200, (), b"")

    done = asyncio.run(drive(interrupted(plan), exchange))
    assert not isinstance(done, Wait)
    assert (done.status, [command.again for command in commands]) == ("succeeded", [True])


def test_long_waits_are_left_to_who_can_wait(compiled: Compile) -> None:
    plan = compiled("""
    - workflowId: w
      steps:
      - stepId: a
        operationId: poll
        onFailure: [{name: again, type: retry, retryAfter: 4, retryLimit: 2}]
    """)
    now, slept = [0.0], []

    async def exchange(command: Send) -> Response:
        raise OutcomeUnknown("reset")

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    machine = Machine(plan, begin(plan, {}, now=0.0), clock=lambda: now[0])
    paused = asyncio.run(drive(machine, exchange, sleep=sleep, longest_wait=3.9))
    assert isinstance(paused, Wait)
    assert (paused.seconds, slept) == (4.0, [])
    done = asyncio.run(drive(machine, exchange, sleep=sleep, longest_wait=4.0))
    assert not isinstance(done, Wait)
    assert (done.status, slept) == ("failed", [4.0, 4.0])
