"""A plan run both ways: by the engine alone, and as a DAG through Airflow. The clock is the tests' own.

Both ways the requests go over HTTP to a server that answers from a script. What is written down of each
request, the time of it among that, must not depend on the way.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time as real_time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from airflow_arazzo.cli.report import Report
from airflow_arazzo.engine.connection import Connection, connection_from_text
from airflow_arazzo.engine.inputs import InvalidInputs
from airflow_arazzo.engine.run import refused_inputs, run_plan
from airflow_arazzo.plan.model import Plan

MOST_SLOTS = 500
NOT_COMPARED = {"host"}
"""Headers; the server of the next run listens on another port."""


@dataclass(frozen=True)
class Answer:
    """An answer of the server; the connection is closed without one where the status is None."""

    status: int | None = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Asked:
    """A request as it came, and the moment by the tests' clock."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float

    @property
    def call(self) -> str:
        return f"{self.method} {self.target}"


class Clock:
    """A clock that goes on only while somebody waits."""

    def __init__(self, start: float) -> None:
        self.now = start

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Came:
    """What came of a run.

    :param report: as ``airflow-arazzo run --format json`` prints it, without what differs from run to run.
    :param tasks: states by task id, through Airflow only.
    """

    report: dict[str, Any]
    asked: list[Asked] = field(default_factory=list)
    tasks: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return str(self.report["status"])

    @property
    def calls(self) -> list[str]:
        return [each.call for each in self.asked]

    @property
    def waits(self) -> list[float]:
        """Seconds between each request and the one before it."""
        return [b.at - a.at for a, b in zip(self.asked, self.asked[1:], strict=False)]

    @property
    def error(self) -> str:
        error = self.report["error"]
        return f"{error['code']}: {error['message']}" if error else ""

    def difference(self, other: Came) -> str:
        """The first thing in which another run differs; empty when none does."""
        for name in ("calls", "asked", "report"):
            mine, others = getattr(self, name), getattr(other, name)
            if mine != others:
                return f"{name}\n  {mine}\n  {others}\n  {self.tasks or other.tasks}"
        return ""


Script = Callable[[str], Answer]
"""The answer to the next request, by its path."""


@contextmanager
def serving(script: Script, clock: Clock) -> Iterator[tuple[str, list[Asked]]]:
    """A server on a free port; gives its URL and the requests that came."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = tuple((k, v) for k, v in self.headers.items() if k.lower() not in NOT_COMPARED)
            asked.append(Asked(self.command, self.path, headers, body, clock.time()))
            answer = script(self.path.partition("?")[0])
            if answer.status is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            bodiless = answer.status in (204, 304) or self.command == "HEAD"
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                if name.lower() not in ("content-length", "transfer-encoding"):
                    self.send_header(name, value)
            if not bodiless:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if not bodiless:
                self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def by_engine(plan: Plan, inputs: Mapping[str, Any], script: Script, start: float, **fields: Any) -> Came:
    """Run a plan with the engine alone."""
    clock = Clock(start)
    import airflow_arazzo.engine.run as module

    with serving(script, clock) as (url, asked), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Run", partial(module.Run, clock=clock.time, sleep=clock.sleep))
        connections = _connections(plan, url, fields)
        try:
            result = asyncio.run(run_plan(plan, inputs, connections))
        except InvalidInputs as error:
            result = refused_inputs(error)
    return Came(_comparable(Report(result), url), asked)


def by_airflow(dag: Any, inputs: Mapping[str, Any], script: Script, start: float, **fields: Any) -> Came:
    """Run a plan as a DAG.

    A wait that gives the slot back goes through Airflow's scheduling, and is over at once.
    """
    from airflow.sdk.exceptions import AirflowFailException

    from airflow_arazzo.cli.dag_test import run_dag, split_inputs
    from airflow_arazzo.operators import step_run

    clock = Clock(start)
    give_back = step_run.StepRun._give_back_slot

    slots = iter(range(MOST_SLOTS))

    def give_back_and_go_on(self: Any, machine: Any, wait: Any) -> Any:
        if next(slots, None) is None:
            raise AirflowFailException("a run that does not end")
        clock.now += wait.seconds
        give_back(self, machine, msgspec.structs.replace(wait, seconds=0.0))

    with serving(script, clock) as (url, asked), pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_run, "time", clock)
        patch.setattr(step_run, "SHORTEST_ABSENCE", 0.0)
        patch.setattr(step_run, "asyncio", SimpleNamespace(run=asyncio.run, sleep=clock.sleep))
        patch.setattr(step_run.StepRun, "_give_back_slot", give_back_and_go_on)
        # DAG.test() waits for a second whenever nothing can run yet.
        patch.setattr("time.sleep", partial(_nap, real_time.sleep))
        connections = _connections(dag.plan, url, fields)
        for name in connections:
            patch.setenv(f"AIRFLOW_CONN_{name.upper()}", _text(url, fields))
        conf, bound = split_inputs(inputs)
        assert not bound
        report: Report = run_dag(dag, conf, connections)
    return Came(_comparable(report, url), asked, report.tasks)


def _nap(sleep: Callable[[float], None], seconds: float) -> None:
    sleep(min(seconds, 0.005))


def _text(url: str, fields: Mapping[str, Any]) -> str:
    return json.dumps({"conn_type": "arazzo", "host": url, "password": "key-of-the-api", **fields})


def _connections(plan: Plan, url: str, fields: Mapping[str, Any]) -> dict[str, Connection]:
    return {name: connection_from_text(name, _text(url, fields)) for name in plan.sources}


def _comparable(report: Report, url: str) -> dict[str, Any]:
    """The report without how long anything took, and without the server's port."""
    plain: dict[str, Any] = json.loads(report.as_json().replace(url, "http://server"))
    for step in plain["steps"]:
        step.pop("elapsed", None)
    for failed in (plain, *plain["steps"]):  # only one of the ways has a ledger
        (failed.get("error") or {}).pop("key", None)
    plain.pop("tasks", None)
    return plain


def in_turn(answers: Sequence[Answer], default: Answer) -> Script:
    """Answers in turn, whatever is asked; then the default."""
    waiting = list(answers)
    return lambda _: waiting.pop(0) if waiting else default
