"""What the log of a task tells: the step, its requests, criteria and actions. Never a secret."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow.sdk.log import mask_secret

from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.journal import Event
from airflow_arazzo.engine.machine import Machine, Send
from airflow_arazzo.engine.messages import Response, TransportError
from airflow_arazzo.engine.observe import watched
from airflow_arazzo.engine.redact import printable, redact
from airflow_arazzo.engine.run import Exchange, sender
from airflow_arazzo.engine.state import Frame
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.expression.jsonvalue import encode_json
from airflow_arazzo.operators.exchange import SECRET
from airflow_arazzo.operators.observation import Observation
from airflow_arazzo.operators.rendered import LastExchange
from airflow_arazzo.plan.media_type import essence, is_json
from airflow_arazzo.plan.model import OperationCall, Plan, Step, Workflow

LONGEST_BODY = 4096
"""Characters of a body that are shown, where bodies are asked for."""

LONGEST_VALUE = 80
"""Characters of an input or output, where bodies are asked for."""


class Story:
    """Writes the log of one attempt at a task, as things happen.

    A process that is killed while a request is under way leaves a log that ends with that request.

    :param log: where the lines go.
    :ivar last: the last request, for the Rendered Templates tab.
    """

    def __init__(self, log: Any) -> None:
        self._log: logging.Logger = log
        self._told = 0
        self._show_values = False
        self.hidden: list[str] = []
        self.last = LastExchange()

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask secrets from here on, in this log and in Airflow's."""
        for secret in secrets:
            if secret and secret not in self.hidden:
                self.hidden.append(secret)
                mask_secret(secret)

    def safe(self, text: str) -> str:
        """A text with every secret masked."""
        return redact(text, self.hidden)

    def begin(self, workflow: Workflow, steps: Sequence[str], start: str) -> None:
        """Say what the task does."""
        called = {step.id: _called(step) for step in workflow.steps if step.id in steps}
        if len(steps) > 1:
            listed = "; ".join(f"{name}: {what}" for name, what in called.items())
            self._log.info("loop of workflow %r, beginning at step %r (%s)", workflow.id, start, listed)
        else:
            self._log.info("step %r of workflow %r: %s", start, workflow.id, called[start])

    def inputs(self, plan: Plan, frame: Frame, bodies: Sequence[bool | None]) -> None:
        """Say which inputs the steps have: by name, and with values where all connections show bodies."""
        properties = plan.workflows[frame.workflow].inputs.get("properties") or {}
        self._show_values = bool(bodies) and all(bodies)
        empty = [name for name in properties if name not in frame.inputs]
        parts = [self._listed(frame.inputs)] if frame.inputs else []
        parts += [f"left empty: {', '.join(empty)}"] if empty else []
        if parts:
            self._log.info("inputs: %s", "; ".join(parts))

    def _listed(self, values: Mapping[str, Any]) -> str:
        if not self._show_values:
            return ", ".join(values)
        return ", ".join(f"{name}={self._shown(value)}" for name, value in values.items())

    def _shown(self, value: Any) -> str:
        if isinstance(value, dict) and value.keys() == {SECRET}:
            return "(encrypted)"
        text = printable(self.safe(encode_json(value).decode()))
        return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"

    def tell(self, events: Sequence[Event]) -> None:
        """Tell the machine's events that were not told yet."""
        for event in events[self._told :]:
            write = self._log.warning if event.level == "warning" else self._log.info
            write("%s: %s", event.step, self.safe(event.text))
        self._told = len(events)

    def request(self, command: Send) -> None:
        """A request is about to be sent. Query values are nobody's business."""
        visit = f" (visit {command.visit})" if command.visit > 1 else ""
        path = self.safe(command.request.target.partition("?")[0])
        self._log.info("%s: %s %s%s", command.step.id, command.request.method, path, visit)

    def response(self, command: Send, response: Response) -> None:
        """A response has come."""
        took, size = response.elapsed * 1000, len(response.body)
        came = essence(response.header("Content-Type") or "")
        # Of a JSON API, anything else is news: a proxy's login page explains criteria that do not hold.
        kind = f" of {printable(self.safe(came))[:60]}" if size and came and not is_json(came) else ""
        self._log.info(
            "%s: status %d, %d bytes%s, after %.0f ms", command.step.id, response.status, size, kind, took
        )

    def body(self, step: str, what: str, data: bytes | None) -> None:
        """The body of a request or response, for those who asked for it."""
        if not data:
            return
        try:
            text = printable(self.safe(data.decode()))
        except UnicodeDecodeError:
            text = f"{len(data)} bytes that are no text"
        more = f"… ({len(text)} characters)" if len(text) > LONGEST_BODY else ""
        self._log.info("%s: body of the %s: %s%s", step, what, text[:LONGEST_BODY], more)

    def no_response(self, command: Send, error: TransportError) -> None:
        """No response has come."""
        self._log.warning("%s: no response: %s", command.step.id, self.safe(str(error)))

    def end(self, outputs: Mapping[str, Any], next_step: str) -> None:
        """The steps have succeeded, or their failure was taken over."""
        self._log.info("outputs: %s", self._listed(outputs) or "none")
        if next_step:
            self._log.info("goes on with step %r", next_step)


def told_sender(
    transport: Transport,
    plan: Plan,
    connections: Mapping[str, Connection],
    machine: Machine,
    story: Story,
    seen: Observation | None = None,
) -> Exchange:
    """An exchange over a transport that tells what it does."""
    send = sender(transport, plan, connections)
    if seen is not None:
        send = watched(send, machine, hidden=lambda: story.hidden, on_retry=seen.retried)

    async def exchange(command: Send) -> Response:
        story.hide(machine.secret_values())
        story.tell(machine.events)
        story.request(command)
        step, shown = command.step, connections[command.request.source].log_bodies
        story.last.sent(command, bodies=bool(shown))
        if shown:
            story.body(step.id, "request", command.request.body)
        try:
            response = await send(command)
        except TransportError as error:
            story.hide(transport.secrets())
            story.no_response(command, error)
            story.last.failed(error)
            raise
        story.hide(transport.secrets())
        story.response(command, response)
        story.last.came(response)
        if shown:
            # What is secret in it is known only once the step's outputs are.
            hidden = b"(not shown, it holds a credential)"
            story.body(step.id, "response", hidden if step.secret_outputs else response.body)
        return response

    return exchange


def noting_replays(send: Exchange, connections: Mapping[str, Connection], story: Story) -> Exchange:
    """An exchange over one that may have a stored response, and then sends nothing."""

    async def exchange(command: Send) -> Response:
        before = story.last.count
        response = await send(command)
        if story.last.count == before:
            shown = connections[command.request.source].log_bodies
            story.last.replayed(command, response, bodies=bool(shown))
        return response

    return exchange


def _called(step: Step) -> str:
    if isinstance(step.call, OperationCall):
        call = step.call
        operation = f"{call.method} {call.path}"
        named = "" if call.operation == operation else f"{call.operation}, "
        return f"{named}{operation} of {call.source}"
    return f"calls workflow {step.call.workflow!r}"
