"""``python -m bench.contenders.ours``: this project's engine, for :mod:`bench.runners`."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from typing import Any

from airflow_arazzo.engine.channel import Channel, Progress
from airflow_arazzo.engine.connection import Connection
from airflow_arazzo.engine.inputs import prepare_inputs
from airflow_arazzo.engine.machine import Done, Machine, begin
from airflow_arazzo.engine.messages import Request, Response
from airflow_arazzo.engine.preflight import check_requests
from airflow_arazzo.engine.run import check_credentials, drive, secret_inputs, sender
from airflow_arazzo.engine.transport import Transport
from airflow_arazzo.engine.wire import Wire
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.model import Source
from bench.contender import serve
from bench.contenders.workflow import ANSWERS, DOCUMENT, KEY, STEPS, clock, inputs

_NOWHERE = "https://bench.invalid"


def _answers() -> Iterator[Response]:
    json = (("Content-Type", "application/json"),)
    return itertools.cycle([Response(200, json, body) for body in ANSWERS])


class _InstantTransport(Transport):
    """Answers at once, in place of what adds credentials and writes bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._answers = _answers()

    async def send(self, request: Request, source: Source, connection: Connection) -> Response:
        """The next answer of the workflow."""
        return next(self._answers)


class _InstantChannel(Channel):
    """Answers at once, in place of the socket: what would be sent has been put together."""

    def __init__(self) -> None:
        self._answers = _answers()

    async def exchange(
        self, wire: Wire, connection: Connection, secrets: Iterable[str], progress: Progress
    ) -> Response:
        """The next answer of the workflow."""
        return next(self._answers)

    async def close(self) -> None:
        """Nothing is open."""


class Ours:
    """The engine with its transport, over the network or without it."""

    def __init__(self) -> None:
        self._plan, _ = compile_workflow(DOCUMENT)
        self._loop = asyncio.new_event_loop()
        self._wire = Transport()
        self._wire._channel = _InstantChannel()
        self._open = Transport()
        self._alone = _InstantTransport()

    def alone(self, times: int) -> float:
        """Milliseconds of the processor's time for each step, without the transport."""
        return self._taken(self._run(self._alone, _NOWHERE, times), times, time.process_time)

    def wire(self, times: int, checks: bool = False) -> float:
        """Milliseconds of the processor's time for each step, without the network."""
        return self._taken(self._run(self._wire, _NOWHERE, times, checks), times, time.process_time)

    def http(self, url: str, times: int, processor: bool = False) -> float:
        """Milliseconds for each step, over the network; or of the processor's time."""
        return self._taken(self._run(self._open, url, times), times, clock(processor))

    def flat(self, times: int, part: int) -> list[float]:
        """Milliseconds for each step, of the first runs and of the last."""
        first = self.alone(part)
        self.alone(times - 2 * part)
        return [first, self.alone(part)]

    def close(self) -> None:
        """Close the connections."""
        self._loop.run_until_complete(self._open.close())
        self._loop.close()

    def _taken(self, work: Coroutine[Any, Any, None], times: int, read: Callable[[], float]) -> float:
        began = read()
        self._loop.run_until_complete(work)
        return (read() - began) / times / STEPS * 1000

    async def _run(self, transport: Transport, url: str, times: int, checks: bool = False) -> None:
        connections = {"billingApi": Connection(id="billingApi", base_url=url, password=KEY)}
        exchange = sender(transport, self._plan, connections)
        for each in [inputs() for _ in range(times)]:
            secrets = secret_inputs(self._plan, connections)
            prepared = prepare_inputs(self._plan.root, each)
            if checks:
                check_credentials(self._plan, connections)
                check_requests(self._plan, prepared, secrets)
            state = begin(self._plan, prepared, now=time.time())
            done = await drive(Machine(self._plan, state, clock=time.time, secrets=secrets), exchange)
            if not isinstance(done, Done) or done.status != "succeeded":
                raise RuntimeError(f"the workflow did not succeed: {done}")


if __name__ == "__main__":
    ours = Ours()
    with suppress(KeyboardInterrupt):
        serve({"alone": ours.alone, "wire": ours.wire, "http": ours.http, "flat": ours.flat})
    ours.close()
