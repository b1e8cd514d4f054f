"""Bodies of requests and responses on standard error, where a connection's ``log_bodies`` asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_arazzo.cli.output import complain
from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import Response
from airflow_arazzo.engine.redact import printable, redact
from airflow_arazzo.engine.run import Exchange, Run, RunResult, redacted, sender
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.plan.model import Plan

LONGEST = 4096
"""Characters of a body that are shown."""

_HIDDEN = b"(not shown, it holds a credential)"


async def run_here(plan: Plan, inputs: Mapping[str, Any], connections: Mapping[str, Connection]) -> RunResult:
    """Run a workflow as :func:`~airflow_arazzo.engine.run.run_plan` does, showing bodies that are asked for.

    :raises InvalidInputs: before anything is sent, when the inputs do not fit.
    """
    run = Run(plan, connections)
    async with Transport() as transport:
        exchange = telling(
            sender(transport, plan, connections), connections, lambda: [*run.secrets(), *transport.secrets()]
        )
        return redacted(await run.over(exchange, inputs), list(transport.secrets()))


def telling(
    send: Exchange, connections: Mapping[str, Connection], secrets: Callable[[], Iterable[str]]
) -> Exchange:
    """The same exchange, with the bodies that pass through it shown.

    :param secrets: gives what is to be masked as far as the run has come.
    """

    async def exchange(command: Send) -> Response:
        if not connections[command.request.source].log_bodies:
            return await send(command)
        # Before it is sent: whoever waits in vain wants to see it, too.
        _show(command.step.id, "request", command.request.body, secrets())
        response = await send(command)
        # What is secret in it is known only once the step's outputs are.
        body = _HIDDEN if command.step.secret_outputs else response.body
        _show(command.step.id, "response", body, secrets())
        return response

    return exchange


def _show(step: str, what: str, data: bytes | None, secrets: Iterable[str]) -> None:
    if not data:
        return
    try:
        text = printable(redact(data.decode(), secrets))
    except UnicodeDecodeError:
        text = f"{len(data)} bytes that are no text"
    more = f"… ({len(text)} characters)" if len(text) > LONGEST else ""
    complain(f"{step}: body of the {what}: {text[:LONGEST]}{more}")
