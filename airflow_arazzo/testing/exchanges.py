"""Exchanges that a test declares, or that were recorded: which response belongs to which request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from airflow_arazzo.description import yaml
from airflow_arazzo.description.diagnostics import did_you_mean
from airflow_arazzo.engine.messages import NotSent, OutcomeUnknown, Response, TransportError
from airflow_arazzo.expression.jsonvalue import decode_json
from airflow_arazzo.expression.model import ABSENT
from airflow_arazzo.plan.model import Plan
from airflow_arazzo.plan.reads import operation_calls
from airflow_arazzo.testing.bodies import declared_body, difference, matches

RECORDING = 1
"""Version of the format of recorded files."""

Exchanges = Sequence[Any] | Mapping[str, Any]
"""Exchanges in the order in which they are used; or, by step or operation, one or a list of them."""

_EXCHANGE = {"step", "operation", "request", "response", "error", "message", "status"}
_REQUEST = {"method", "path", "body", "url"}
_RESPONSE = {"status", "headers", "body"}
_ERRORS = {"not-sent", "unknown"}


class BadExchange(ValueError):
    """An exchange, or a file of exchanges, that cannot be read."""


class UnexpectedRequest(AssertionError):
    """The workflow asked for something for which no exchange was declared."""


class UnusedExchanges(AssertionError):
    """The workflow ended without asking for everything that was declared."""


class Asked(msgspec.Struct, frozen=True):
    """A request as exchanges are compared with it.

    :param step: id of the step, after those of the steps that call its workflow: ``call/step``.
    :param path: encoded path and query, without the base path of the server.
    :param body: value of the body, or ``ABSENT``.
    """

    step: str
    operation: str
    method: str
    path: str
    body: Any

    def keys(self) -> tuple[str, ...]:
        """By what an exchange may name it."""
        return self.step, self.step.rpartition("/")[2], self.operation


class Declared(msgspec.Struct, frozen=True):
    """One exchange: which request it is for, and what comes back.

    :param name: how messages call it.
    :param error: instead of a response: the request was not sent, or nobody knows.
    :param status: of the response, also of one whose body was lost.
    """

    name: str
    step: str = ""
    operation: str = ""
    method: str = ""
    path: str = ""
    sent: Any = ABSENT
    has_sent: bool = False
    url: str = ""
    error: Literal["", "not-sent", "unknown"] = ""
    message: str = ""
    status: int | None = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def response(self, url: str) -> Response:
        """What comes back.

        :param url: of the request; a recorded exchange has its own.
        :raises TransportError: where nothing does.
        """
        if self.error:
            raise self._lost(url)
        return Response(self.status or 200, self.headers, self.body, url=self.url or url)

    def _lost(self, url: str) -> TransportError:
        error: TransportError
        if self.error == "not-sent":
            error = NotSent(self.message or "the request is declared as not sent")
        else:
            message = self.message or "the request is declared as one whose outcome is unknown"
            error = OutcomeUnknown(message, status=self.status)
        error.url = self.url or url
        return error

    def refuses(self, asked: Asked) -> str:
        """Why a request is not the one that this exchange is for, or an empty text."""
        if self.step and self.step not in asked.keys()[:2]:
            return f"it is of step {self.step!r}"
        if self.operation and self.operation != asked.operation:
            return f"it is of operation {self.operation!r}"
        if self.method and self.method != asked.method:
            return f"its request is {self.method} {self.path}".rstrip()
        if self.path and not matches(self.path, asked.path):
            return f"its request is {self.method or asked.method} {self.path}"
        if self.has_sent and (found := difference(self.sent, asked.body)):
            return f"its request has another body, {found}"
        return ""


class Script:
    """Declared exchanges, and which of them are used."""

    def __init__(self, queues: Mapping[str, Sequence[Declared]]) -> None:
        self._queues = {key: deque(queue) for key, queue in queues.items()}

    def take(self, asked: Asked) -> Declared:
        """The exchange for a request.

        :raises UnexpectedRequest: when there is none.
        """
        what = f"step {asked.step!r} asked for {asked.method} {asked.path}"
        keys = [key for key in ("", *dict.fromkeys(asked.keys())) if key in self._queues]
        queue = next((self._queues[key] for key in keys if self._queues[key]), None)
        if queue is None:
            if keys:
                raise UnexpectedRequest(f"{what}; no exchange that is declared for it is left")
            declared = ", ".join(self._queues) or "no exchange at all"
            raise UnexpectedRequest(f"{what}; declared is {declared}")
        problem = queue[0].refuses(asked)
        if problem:
            raise UnexpectedRequest(f"{what}; next is {queue[0].name}, but {problem}")
        return queue.popleft()

    def unused(self) -> list[str]:
        """Names of exchanges that nobody asked for."""
        return [each.name for queue in self._queues.values() for each in queue]


class Recording(msgspec.Struct, frozen=True):
    """A recorded file."""

    workflow: str
    inputs: dict[str, Any]
    exchanges: list[Any]


def read_recording(file: Path) -> Recording:
    """Read a recorded file, YAML or JSON.

    :raises BadExchange: when it cannot be read, or is none.
    """
    value = _read(file)
    if not isinstance(value, dict) or value.get("recording") != RECORDING:
        raise BadExchange(f"{file}: it is no recording; expected an object with 'recording: {RECORDING}'")
    workflow, inputs = value.get("workflow", ""), value.get("inputs", {})
    exchanges = value.get("exchanges", [])
    shapes = (isinstance(workflow, str), isinstance(inputs, dict), isinstance(exchanges, list))
    if not all(shapes):
        raise BadExchange(f"{file}: expected 'workflow' (text), 'inputs' (object) and 'exchanges' (list)")
    return Recording(workflow, inputs, exchanges)


def _read(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8-sig")
        return decode_json(text) if file.suffix == ".json" else yaml.construct(yaml.compose(text), [])
    except OSError as error:
        raise BadExchange(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadExchange(f"{file} is not UTF-8 text") from None
    except yaml.YamlProblem as error:
        raise BadExchange(f"{file}:{error.line}:{error.column}: {error.message}") from None
    except ValueError as error:
        raise BadExchange(f"{file}: {error}") from None


def script_of(recording: Recording, plan: Plan, file: Path) -> Script:
    """The exchanges of a recorded file, in their order.

    :raises BadExchange: for a recording of another workflow, and for exchanges that make no sense.
    """
    if recording.workflow and recording.workflow != plan.root.id:
        raise BadExchange(f"{file} is of workflow {recording.workflow!r}, not of {plan.root.id!r}")
    numbered = enumerate(recording.exchanges, 1)
    return Script({"": [_declared(each, f"exchange {n} of {file.name}", True) for n, each in numbered]})


def declared_script(given: Exchanges, plan: Plan) -> Script:
    """Exchanges as a test declares them.

    An exchange is the status of a response; or a response, an object with ``status``, ``headers`` and
    ``body``; or an object with ``response`` and the request that it is for: ``step``, ``operation`` and
    ``request`` with ``method``, ``path`` and ``body``; or one with ``error``: ``not-sent`` or ``unknown``.

    :raises BadExchange: for what is none, and for keys that are neither a step nor an operation.
    """
    if isinstance(given, Mapping):
        known = set(_keys(plan))
        queues = {}
        for key, value in given.items():
            if key not in known:
                hint = did_you_mean(key, known)
                raise BadExchange(f"there is no step or operation {key!r}{f'; {hint}' if hint else ''}")
            listed = value if isinstance(value, list | tuple) else [value]
            queues[key] = [_declared(each, f"{key} [{n}]") for n, each in enumerate(listed)]
        return Script(queues)
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise BadExchange("expected a list of exchanges, an object of them by step or operation, or a file")
    return Script({"": [_declared(each, f"exchange {n}") for n, each in enumerate(given, 1)]})


def _keys(plan: Plan) -> Iterator[str]:
    """Steps of all workflows of a plan, also with the steps that call them, and operations."""

    def steps(workflow: str, before: str, seen: tuple[str, ...]) -> Iterator[str]:
        for step in plan.workflows[workflow].steps:
            yield before + step.id
            called = getattr(step.call, "workflow", "")
            if called and called not in seen:
                yield from steps(called, f"{before}{step.id}/", (*seen, called))

    for key, workflow in plan.workflows.items():
        yield from steps(key, "", (key,))
        for step in workflow.steps:
            yield from (call.operation for call in operation_calls(step))


def _declared(given: Any, name: str, is_recorded: bool = False) -> Declared:
    """An exchange in any of its forms."""
    if isinstance(given, int) and not isinstance(given, bool):
        given = {"status": given}
    if not isinstance(given, Mapping):
        raise BadExchange(f"{name}: expected a status or an object, found {type(given).__name__}")
    if not given.keys() & {"step", "operation", "request", "response", "error"}:
        given = {"response": given}
    _known(given, _EXCHANGE, name)
    request, response = given.get("request", {}), given.get("response", {})
    for part, known, what in ((request, _REQUEST, "request"), (response, _RESPONSE, "response")):
        if not isinstance(part, Mapping):
            raise BadExchange(f"{name}: expected an object as its {what}")
        _known(part, known, f"{name}, {what}")
    error = given.get("error", "")
    if error and error not in _ERRORS:
        raise BadExchange(f"{name}: error is {error!r}; expected 'not-sent' or 'unknown'")
    status = (given.get("status") if error else response.get("status", 200)) or None
    if status is not None and (not isinstance(status, int) or not 100 <= status <= 599):
        raise BadExchange(f"{name}: {status!r} is no status of a response")
    texts = {"step": given, "operation": given, "message": given, "method": request, "path": request}
    for key, part in {**texts, "url": request}.items():
        if not isinstance(part.get(key, ""), str):
            raise BadExchange(f"{name}: expected a text as {key!r}")
    body, kind = _body(response, name)
    return Declared(
        name=name,
        **{key: part.get(key, "") for key, part in texts.items()},
        sent=request.get("body", ABSENT),
        has_sent="body" in request,
        url=request.get("url", ""),
        error=error,
        status=status,
        headers=_headers(response, name, "" if is_recorded else kind),
        body=body,
    )


def _known(given: Mapping[str, Any], known: set[str], name: str) -> None:
    for key in given:
        if key not in known:
            hint = did_you_mean(str(key), known)
            raise BadExchange(f"{name}: unknown field {key!r}{f'; {hint}' if hint else ''}")


def _body(response: Mapping[str, Any], name: str) -> tuple[bytes, str]:
    try:
        return declared_body(response.get("body", ABSENT))
    except (TypeError, ValueError) as error:
        raise BadExchange(f"{name}: its body cannot be sent: {error}") from None


def _headers(response: Mapping[str, Any], name: str, kind: str) -> tuple[tuple[str, str], ...]:
    """Headers of a response; a list of texts is a header that comes several times.

    :param kind: media type of the body, for where no header says it.
    """
    given = response.get("headers", {})
    if not isinstance(given, Mapping):
        raise BadExchange(f"{name}: expected an object of headers")
    headers = [
        (str(header), str(value))
        for header, values in given.items()
        for value in (values if isinstance(values, list | tuple) else [values])
    ]
    if kind and not any(header.casefold() == "content-type" for header, _ in headers):
        headers.insert(0, ("Content-Type", kind))
    return tuple(headers)
