"""An API that answers as a test says, and documents that call it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEY = "key-of-the-scripted-api"


@dataclass
class Answer:
    """An answer.

    :param body: sent as JSON, bytes as they are; none when None.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    """A request that came."""

    method: str
    target: str
    headers: dict[str, str]
    body: str


class ScriptedApi:
    """Answers every path with its answers in turn, the last one again and again; 200 where it has none.

    :ivar decide: answers in place of that where it is set; None closes the connection without a word.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.decide: Callable[[Received], Answer | int | None] | None = None
        self.requests: list[Received] = []
        self.url = ""

    def answer(self, path: str, *answers: Answer | int | Mapping[str, Any]) -> None:
        """Set the answers of a path: an answer, a status, or a JSON body for status 200."""
        self.answers[path] = [
            each
            if isinstance(each, Answer)
            else Answer(each)
            if isinstance(each, int)
            else Answer(200, dict(each))
            for each in answers
        ]

    def next_answer(self, path: str) -> Answer:
        waiting = self.answers.get(path) or [Answer()]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    @property
    def paths(self) -> list[str]:
        """Paths without queries, in the order of the requests."""
        return [request.target.partition("?")[0] for request in self.requests]

    @property
    def bodies(self) -> list[str]:
        """Bodies, in the order of the requests."""
        return [request.body for request in self.requests]

    def connection(self, **fields: Any) -> dict[str, Any]:
        """A connection to this API."""
        return {"conn_type": "arazzo", "host": self.url, "password": KEY, **fields}


@contextmanager
def running_api() -> Iterator[ScriptedApi]:
    """Run a scripted API on a free port, in a thread."""
    api = ScriptedApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            super().handle_one_request()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            received = Received(self.command, self.path, dict(self.headers), body)
            api.requests.append(received)
            if api.decide is None:
                answer = api.next_answer(self.path.partition("?")[0])
            else:
                decided = api.decide(received)
                if decided is None:
                    self.close_connection = True
                    return
                answer = Answer(decided) if isinstance(decided, int) else decided
            data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            data = b"" if answer.body is None else data
            self.send_response(answer.status)
            if data and "Content-Type" not in answer.headers:
                self.send_header("Content-Type", "application/json")
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        # As many as a batch opens at once. What does not fit seems to be open, and is served seconds later.
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


def openapi(*operations: str, security: bool = True) -> dict[str, Any]:
    """A description with operations such as ``POST /a``; the operationId is the path without slash."""
    paths: dict[str, Any] = {}
    for each in operations:
        method, path = each.split()
        operation = {
            "operationId": path.strip("/").replace("/", "-"),
            "summary": f"The operation {path}",
            "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": {"200": {"description": "ok", "content": {"application/json": {}}}},
        }
        if method == "GET":
            del operation["requestBody"]
        paths.setdefault(path, {})[method.lower()] = operation
    description: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {"title": "api", "version": "1"},
        "servers": [{"url": "https://api.example"}],
        "paths": paths,
    }
    if security:
        description["components"] = {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}}
        }
        description["security"] = [{"key": []}]
    return description


def workflow(workflow_id: str, *steps: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A workflow of steps; those without anything to call, call the operation of their name."""
    filled = []
    for each in steps:
        own = dict(each)
        if not {"operationId", "workflowId", "operationPath"} & own.keys():
            own["operationId"] = own["stepId"]
        filled.append(own)
    return {"workflowId": workflow_id, "steps": filled, **fields}


def write(folder: Path, *workflows: Mapping[str, Any], operations: Sequence[str], **fields: Any) -> Path:
    """Write a document and the description it names into a folder; returns the document's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "api.json").write_text(json.dumps(openapi(*operations)))
    document = {
        "arazzo": "1.0.1",
        "info": {"title": "flow", "version": "1"},
        "sourceDescriptions": [{"name": "api", "url": "api.json", "type": "openapi"}],
        "workflows": list(workflows),
        **fields,
    }
    path = folder / "flow.arazzo.json"
    path.write_text(json.dumps(document, indent=1))
    return path


def end(name: str, *conditions: str) -> dict[str, Any]:
    """An ``end`` action."""
    return _action(name, {"type": "end"}, conditions)


def goto(name: str, to: str, *conditions: str) -> dict[str, Any]:
    """A ``goto`` action to a step."""
    return _action(name, {"type": "goto", "stepId": to}, conditions)


def retry(name: str, *conditions: str, **fields: Any) -> dict[str, Any]:
    """A ``retry`` action."""
    return _action(name, {"type": "retry", **fields}, conditions)


def _action(name: str, fields: dict[str, Any], conditions: Sequence[str]) -> dict[str, Any]:
    criteria = {"criteria": [{"condition": each} for each in conditions]} if conditions else {}
    return {"name": name, **fields, **criteria}
