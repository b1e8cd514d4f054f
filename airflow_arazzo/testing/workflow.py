"""A workflow that tests run: the engine's own machine over declared or recorded exchanges."""

from __future__ import annotations

import json
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qs, unquote_plus, urlsplit

import msgspec

from airflow_arazzo.engine.connection import BadConnection, Connection, connection_from_text, origin_of
from airflow_arazzo.engine.inputs import InvalidInputs
from airflow_arazzo.engine.journal import Failure, StepRecord
from airflow_arazzo.engine.machine import Send
from airflow_arazzo.engine.messages import Request, Response
from airflow_arazzo.engine.redact import MASK, redact
from airflow_arazzo.engine.run import Run, refused_inputs
from airflow_arazzo.engine.security import authenticate
from airflow_arazzo.engine.wire import Wire, base_url, prepare
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.plan.compiler import compile_workflow
from airflow_arazzo.plan.model import OperationCall, Plan
from airflow_arazzo.plan.options import Options
from airflow_arazzo.plan.reads import operation_calls
from airflow_arazzo.testing.bodies import value_of
from airflow_arazzo.testing.exchanges import (
    Asked,
    Exchanges,
    Script,
    UnexpectedRequest,
    UnusedExchanges,
    declared_script,
    read_recording,
    script_of,
)

Given = Mapping[str, Any] | str | Connection
"""A connection: fields as Airflow writes them in JSON, or JSON, or a URI."""

Value = TypeVar("Value")


class Headers(Mapping[str, str]):
    """Headers by name, whatever its case; of repeated ones the first."""

    def __init__(self, items: Sequence[tuple[str, str]]) -> None:
        self._items = {name.casefold(): (name, value) for name, value in reversed(items)}

    def __getitem__(self, name: str) -> str:
        return self._items[name.casefold()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in reversed(self._items.values()))

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({', '.join(self)})"


class SentRequest(msgspec.Struct, frozen=True):
    """A request as it would have gone onto the wire. Its ``repr`` shows no credential.

    :param step: id of the step, after those of the steps that call its workflow: ``call/step``.
    :param operation: operationId, or ``METHOD path``.
    :param url: with the credentials that go into the query.
    :param headers: all but ``Host``, credentials included.
    :param body: its value: of JSON and forms objects and lists, numbers as ``int`` and ``Decimal``; else text
        or bytes; None without a body.
    :param content: its bytes.
    """

    step: str
    operation: str
    method: str
    url: str
    shown_url: str
    headers: Headers
    body: Any
    content: bytes

    def __repr__(self) -> str:
        return f"SentRequest({self.step!r}, {self.method} {self.shown_url})"

    @property
    def path(self) -> str:
        """Encoded path, the server's base path included."""
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, list[str]]:
        """Values of the query by name."""
        return parse_qs(urlsplit(self.url).query, keep_blank_values=True)


class Result(msgspec.Struct, frozen=True):
    """What came of a run.

    :param outputs: of the workflow; credentials of the connections are masked, as ``airflow-arazzo run``
        does it.
    :param requests: in the order in which they were asked for.
    :param steps: every attempt at a step, in order: the way that was taken.
    :param failure: why it failed; None where it succeeded.
    :param waits: seconds of every pause; all passed at once.
    """

    status: Literal["succeeded", "failed"]
    outputs: dict[str, Any]
    requests: tuple[SentRequest, ...]
    steps: tuple[StepRecord, ...]
    failure: Failure | None
    waits: tuple[float, ...]

    @property
    def way(self) -> list[str]:
        """Ids of the steps in the order in which they ended, once for every attempt."""
        return [record.step for record in self.steps]


class Workflow:
    """A workflow of a document, compiled.

    :param document: path of the Arazzo document.
    :param workflow_id: which of its workflows; needed when there are several.
    :param connections: by source name. A source without one gets ``***`` for each of its credentials.
    :param sources: files of source descriptions by name.
    :param source_path: folders that are searched for sources.
    :param overlays: OpenAPI Overlays that change the document or a source.
    :param strict: whether warnings of the compiler are errors.
    :param folders: from which relative paths start; the first in which there is such a file.
    :raises DocumentError: when the document does not compile.
    :raises BadConnection: for a connection that cannot be used.
    :raises ValueError: for a connection of no source.
    """

    def __init__(
        self,
        document: str | Path,
        workflow_id: str = "",
        *,
        connections: Mapping[str, Given] | None = None,
        sources: Mapping[str, str | Path] | None = None,
        source_path: Sequence[str | Path] = (),
        overlays: Sequence[str | Path] = (),
        strict: bool = False,
        folders: Sequence[Path] = (),
    ) -> None:
        self._folders = tuple(folders) or (Path(),)
        options = Options(
            {name: self._found(file) for name, file in (sources or {}).items()},
            tuple(self._found(folder) for folder in source_path),
            strict,
            tuple(self._found(file) for file in overlays),
        )
        self.plan, _ = compile_workflow(self._found(document), workflow_id, options)
        given = connections or {}
        if unknown := sorted(given.keys() - self.plan.sources.keys()):
            raise ValueError(f"there is no source {unknown[0]!r}; known: {', '.join(self.plan.sources)}")
        self._connections = {name: _connection(name, each) for name, each in given.items()}

    def run(self, inputs: Mapping[str, Any] | None = None, exchanges: Exchanges | Path = ()) -> Result:
        """Run it.

        :param inputs: of the workflow; None for those of the recording, where there is one.
        :param exchanges: what comes back: a list in order, an object by step or operation (see
            :func:`~airflow_arazzo.testing.exchanges.declared_script`), or the path of a recorded file.
        :raises UnexpectedRequest: when no exchange is declared for a request.
        :raises UnusedExchanges: when the workflow ends without asking for all of them.
        :raises BadExchange: for exchanges that make no sense.
        """
        if isinstance(exchanges, str | Path):
            file = self._found(exchanges)
            recording = read_recording(file)
            script = script_of(recording, self.plan, file)
            inputs = recording.inputs if inputs is None else inputs
        else:
            script = declared_script(exchanges, self.plan)
        return run_script(self.plan, self._connections, inputs or {}, script)

    def _found(self, path: str | Path) -> Path:
        places = [folder / path for folder in self._folders]
        return next((place for place in places if place.exists()), places[0])


def run_script(
    plan: Plan, connections: Mapping[str, Connection], inputs: Mapping[str, Any], script: Script
) -> Result:
    """Run a plan against exchanges; no time passes.

    :param connections: by source name; missing ones are stood in for.
    :raises UnexpectedRequest: when no exchange is declared for a request.
    :raises UnusedExchanges: when the workflow ends without asking for all of them.
    """
    stage = _Stage(plan, connections, script)
    run = Run(plan, stage.connections, clock=lambda: stage.now, sleep=stage.sleep)
    problem = ""
    try:
        came = _finished(run.over(stage.exchange, inputs))
    except InvalidInputs as error:
        came = refused_inputs(error)
    except UnexpectedRequest as error:
        problem = str(error)
    if problem:  # raised out here, since what the first one holds may show a credential
        raise UnexpectedRequest(redact(problem, run.secrets()))
    if unused := script.unused():
        ended = f"the workflow {came.status}" + (f" ({came.error})" if came.error else "")
        raise UnusedExchanges(f"{ended} without asking for {', '.join(unused)}")
    return Result(
        came.status, came.outputs, tuple(stage.requests), came.steps, came.error, tuple(stage.waits)
    )


def _finished(coroutine: Coroutine[Any, Any, Value]) -> Value:
    """What a coroutine returns that never waits for anything, also where an event loop runs already."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: Value = stop.value
        return value
    raise RuntimeError("a run against declared exchanges does not wait for anything")


class _Stage:
    """What stands for network and clock."""

    def __init__(self, plan: Plan, connections: Mapping[str, Connection], script: Script) -> None:
        self.plan = plan
        self.connections = {
            name: _located(connections.get(name) or _stand_in(plan, name), plan, name)
            for name in plan.sources
        }
        self.script = script
        self.now = time.time()
        self.waits: list[float] = []
        self.requests: list[SentRequest] = []

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.waits.append(seconds)
        self.now += seconds

    async def exchange(self, command: Send) -> Response:
        """Take the exchange that is declared for a request."""
        request, call = command.request, command.step.call
        source = self.plan.sources[request.source]
        connection = self.connections[request.source]
        credentials = authenticate(request, source, connection).with_token(MASK)
        wire = prepare(request, source, connection, credentials)
        operation = call.operation if isinstance(call, OperationCall) else ""
        sent = _sent(command, operation, wire)
        self.requests.append(sent)
        asked = Asked(
            sent.step, operation, request.method, shown_target(command, self.plan), body_of(request)
        )
        return self.script.take(asked).response(wire.shown_url)


def _sent(command: Send, operation: str, wire: Wire) -> SentRequest:
    value = body_of(command.request)
    return SentRequest(
        step=place_of(command),
        operation=operation,
        method=wire.method,
        url=wire.url,
        shown_url=wire.shown_url,
        headers=Headers(wire.headers),
        body=None if value is ABSENT else value,
        content=wire.body or b"",
    )


def place_of(command: Send) -> str:
    """Id of the step of a request, after those of the steps that call its workflow."""
    around = [part.partition("#")[0].partition("~")[0] for part in command.path[1:-1:2]]
    return "/".join([*around, command.step.id])


def body_of(request: Request) -> Any:
    """The value of a request's body, or ``ABSENT``."""
    return value_of(content_type_of(request), request.body)


def content_type_of(request: Request) -> str:
    """Media type of a request's body, or an empty text."""
    return next((value for name, value in request.headers if name.casefold() == "content-type"), "")


def shown_target(command: Send, plan: Plan) -> str:
    """Path and query of a request, less what the description says is a credential."""
    path, _, query = command.request.target.partition("?")
    schemes = plan.sources[command.request.source].schemes.values()
    hidden = {scheme.parameter for scheme in schemes if scheme.place == "query"}
    kept = [part for part in query.split("&") if part and unquote_plus(part.partition("=")[0]) not in hidden]
    return path + (f"?{'&'.join(kept)}" if kept else "")


def _connection(name: str, given: Given) -> Connection:
    if isinstance(given, Connection):
        return given
    return connection_from_text(name, given if isinstance(given, str) else json.dumps(dict(given)))


def _stand_in(plan: Plan, name: str) -> Connection:
    """A connection that holds ``***`` for all that a source may ask for."""
    whole = {"value": MASK, "login": MASK, "password": MASK}
    secrets = {
        secret: MASK
        for workflow in plan.workflows.values()
        for secret, credential in workflow.credentials.items()
        if credential.source == name and not credential.scheme
    }
    schemes = {
        scheme: whole if kind.type == "http" else {"value": MASK}
        for scheme, kind in plan.sources[name].schemes.items()
    }
    return Connection(id=name, schemes=schemes, secrets=secrets, certificate=(MASK,))


def _located(connection: Connection, plan: Plan, name: str) -> Connection:
    """The connection with a host, where neither it nor the description names one that may be used."""
    if connection.base_url:
        return connection
    steps = (step for workflow in plan.workflows.values() for step in workflow.steps)
    calls = [call for step in steps for call in operation_calls(step) if call.source == name]
    try:
        bases = [base_url(call.servers, plan.sources[name], connection) for call in calls]
    except BadConnection:
        return msgspec.structs.replace(connection, base_url=f"https://{name.lower()}.invalid")
    plain = next((base for base in bases if base.startswith("http:")), "")
    return msgspec.structs.replace(connection, base_url=origin_of(plain)) if plain else connection
