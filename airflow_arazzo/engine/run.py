"""Running a plan: the machine, a transport, and the checks that come before the first request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.inputs import InvalidInputs, prepare_inputs
from airflow_arazzo.engine.journal import Failure, StepRecord
from airflow_arazzo.engine.machine import LOOP_PAUSE, Done, Machine, Send, Wait, begin
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Request, Response, TransportError
from airflow_arazzo.engine.outcomes import ended, may_resend
from airflow_arazzo.engine.preflight import CannotRun, check_requests
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.engine.security import authenticate
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.plan.reads import operation_calls

Exchange = Callable[[Send], Awaitable[Response]]
"""Sends a request; raises :class:`~airflow_arazzo.engine.messages.TransportError` when nothing comes back."""


class RunResult(msgspec.Struct, frozen=True):
    """What came of a run, as ``airflow-arazzo run`` prints it."""

    status: Literal["succeeded", "failed"]
    outputs: dict[str, Any]
    steps: tuple[StepRecord, ...]
    error: Failure | None = None


def secret_inputs(plan: Plan, connections: Mapping[str, Connection]) -> dict[tuple[str, str], str]:
    """Values of inputs that the documents mark as secret, from the connections' ``secrets``.

    :param connections: by source name; secrets of sources that are not among them are left out.
    :return: by workflow key and input name.
    :raises NotSent: for a required one without a value.
    """
    found: dict[tuple[str, str], str] = {}
    for key, workflow in plan.workflows.items():
        for name, credential in workflow.credentials.items():
            connection = connections.get(credential.source)
            if credential.scheme or connection is None:
                continue
            value = connection.secrets.get(name)
            if value is not None:
                found[key, name] = value
            elif credential.required and key == plan.workflow:
                raise NotSent(
                    f"the secret input {name!r} has no value: put it into the extra field 'secrets' "
                    f"of connection {connection.id!r}"
                )
    return found


def check_credentials(plan: Plan, connections: Mapping[str, Connection]) -> set[str]:
    """Make sure that the operations of the run's workflow can be authenticated, before anything is sent.

    :param connections: by source name; operations of sources that are not among them are not looked at.
    :return: every secret that will be sent, derived ones included, to be masked.
    :raises NotSent: for the first operation that cannot be authenticated.
    """
    secrets: set[str] = set()
    for call in (call for step in plan.root.steps for call in operation_calls(step)):
        if call.source not in connections:
            continue
        carried = [parameter.credential for parameter in call.parameters if parameter.credential]
        request = Request(
            source=call.source,
            method=call.method,
            target="/",
            servers=call.servers,
            headers=(),
            body=None,
            security=call.security,
            credentials=(*call.credentials, *carried),
        )
        secrets.update(authenticate(request, plan.sources[call.source], connections[call.source]).secrets)
    return secrets


async def drive(
    machine: Machine,
    exchange: Exchange,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    longest_wait: float = float("inf"),
) -> Done | Wait:
    """Run a machine until it is done, or until it wants to wait for longer than ``longest_wait`` seconds."""
    while True:
        command = machine.next()
        if isinstance(command, Done):
            return command
        if isinstance(command, Wait):
            if command.seconds > longest_wait:
                return command
            await sleep(command.seconds)
            continue
        outcome: Response | TransportError
        try:
            outcome = await exchange(command)
        except TransportError as error:
            outcome = error
        machine.receive(outcome)


def sender(transport: Transport, plan: Plan, connections: Mapping[str, Connection]) -> Exchange:
    """An exchange over a transport, with the connection of each request's source.

    It knows nothing of earlier requests: one that may have left before is sent only if it may be repeated.
    """

    async def send(command: Send) -> Response:
        if command.again and not may_resend(command.step):
            raise OutcomeUnknown("the run was interrupted while the request was under way")
        source = command.request.source
        return await transport.send(command.request, plan.sources[source], connections[source])

    return send


async def run_plan(
    plan: Plan,
    inputs: Mapping[str, Any],
    connections: Mapping[str, Connection],
    *,
    loop_pause: float = LOOP_PAUSE,
    absent_text: Literal["fail", "empty"] = "fail",
) -> RunResult:
    """Run a workflow in this process, from its inputs to its outputs.

    :param connections: one for each of the plan's sources, by source name.
    :raises InvalidInputs: before anything is sent, when the inputs do not fit.
    """
    run = Run(plan, connections, loop_pause=loop_pause, absent_text=absent_text)
    async with Transport() as transport:
        result = await run.over(sender(transport, plan, connections), inputs)
        return redacted(result, list(transport.secrets()))


class Run:
    """One run of a workflow in this process, over any exchange.

    :param connections: one for each of the plan's sources, by source name.
    :param clock: the time in seconds since the epoch.
    :param sleep: lets seconds pass, by that clock.
    """

    def __init__(
        self,
        plan: Plan,
        connections: Mapping[str, Connection],
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        loop_pause: float = LOOP_PAUSE,
        absent_text: Literal["fail", "empty"] = "fail",
    ) -> None:
        self._plan = plan
        self._connections = connections
        self._clock = clock
        self._sleep = sleep
        self._loop_pause = loop_pause
        self._absent_text = absent_text
        self._hidden = [each for connection in connections.values() for each in connection.secret_values()]
        self._machine: Machine | None = None

    def secrets(self) -> list[str]:
        """All that is to be masked as far as the run has come: credentials given, derived, and produced."""
        return [*self._hidden, *(self._machine.secret_values() if self._machine else ())]

    async def over(self, exchange: Exchange, inputs: Mapping[str, Any]) -> RunResult:
        """Run from the inputs to the outputs.

        :raises InvalidInputs: before anything is sent, when the inputs do not fit.
        """
        plan, connections = self._plan, self._connections
        prepared = prepare_inputs(plan.root, inputs)
        try:
            secrets = secret_inputs(plan, connections)
            check_requests(plan, prepared, secrets, absent_text=self._absent_text)
            self._hidden += check_credentials(plan, connections)
        except CannotRun as error:
            return redacted(RunResult("failed", {}, (), error.failure), self._hidden)
        except NotSent as error:
            return RunResult("failed", {}, (), Failure("credentials", str(error), fate="not-sent"))
        self._machine = machine = Machine(
            plan,
            begin(plan, prepared, now=self._clock()),
            clock=self._clock,
            secrets=secrets,
            loop_pause=self._loop_pause,
            absent_text=self._absent_text,
        )
        done = await drive(machine, exchange, sleep=self._sleep)
        if isinstance(done, Wait):
            raise RuntimeError("a run without a bound on waiting does not stop to wait")
        result = RunResult(
            "succeeded" if done.status == "succeeded" else "failed",
            dict(done.outputs),
            tuple(machine.records),
            done.failure and ended(done.failure, done.ended_by),
        )
        return redacted(result, self.secrets())


def refused_inputs(error: InvalidInputs) -> RunResult:
    """The result of a run whose inputs do not fit; nothing was sent."""
    failure = Failure(error.diagnostics[0].code, error.reasons, fate="not-sent")
    return RunResult("failed", {}, (), failure)


def redacted(result: RunResult, secrets: list[str]) -> RunResult:
    """The result with every secret masked, also where a service echoed one."""
    return RunResult(
        result.status,
        redact_value(result.outputs, secrets),
        tuple(
            msgspec.structs.replace(
                record,
                url=redact(record.url, secrets),
                outputs=redact_value(record.outputs, secrets),
                error=_redacted_failure(record.error, secrets),
            )
            for record in result.steps
        ),
        _redacted_failure(result.error, secrets),
    )


def _redacted_failure(failure: Failure | None, secrets: list[str]) -> Failure | None:
    if failure is None:
        return None
    message, hint = redact(failure.message, secrets), redact(failure.hint, secrets)
    return msgspec.structs.replace(failure, message=message, hint=hint)


def redact_value(value: Any, secrets: list[str]) -> Any:
    """A JSON value with every secret masked in its texts and names."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {redact(name, secrets): redact_value(member, secrets) for name, member in value.items()}
    if isinstance(value, list):
        return [redact_value(item, secrets) for item in value]
    return value
