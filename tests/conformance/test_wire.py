"""From the command line to the socket: what arrives at a server, for a few rules where the wire matters."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_arazzo.cli.main import main
from tests.conformance.harness import Arazzo
from tests.conformance.rules import rule

BOTH = "1.0 1.1"


class Server(ThreadingHTTPServer):
    """Answers every request, and remembers what arrived."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []

    def handle_error(self, *_: Any) -> None:
        """A client that does not wait for the answer is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, self.rfile.read(size)))
        if self.path == "/search":
            threading.Event().wait(0.5)
        data = b'{"id": 10.10}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def run(arazzo: Arazzo, server: Server, text: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What ``airflow-arazzo run`` reports."""
    path = arazzo.document(text)
    connection = json.dumps({"conn_type": "arazzo", "host": f"http://127.0.0.1:{server.server_port}"})
    main(["run", str(path), "w", "--connection", f"shop={connection}", "--format", "json"])
    report: dict[str, Any] = json.loads(capsys.readouterr().out, parse_float=str)
    return report


@rule(BOTH, "Parameter Object", "all places at once, as a server sees them")
def test_request(arazzo: Arazzo, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
    - workflowId: w
      steps:
      - stepId: s
        operationId: replacePet
        parameters:
        - {name: petId, in: path, value: a/b c}
        - {name: q, in: query, value: 1&2}
        - {name: X-Trace, in: header, value: t}
        - {name: session, in: cookie, value: s}
        requestBody: {payload: {name: Zoë, amount: 10.10}}
        outputs: {id: $response.body#/id}
      outputs: {id: $steps.s.outputs.id}
    """
    report = run(arazzo, server, text, capsys)
    method, target, headers, body = server.seen[0]
    assert (method, target) == ("PUT", "/pets/a%2Fb%20c?q=1%262")
    assert (headers["x-trace"], headers["cookie"]) == ("t", "session=s")
    assert headers["content-type"] == "application/json"
    assert body == '{"name":"Zoë","amount":10.10}'.encode()
    assert (report["status"], report["outputs"]) == ("succeeded", {"id": "10.10"})


@rule(BOTH, "Request Body Object", "without a body a server sees no `Content-Type`, and a POST of length 0")
def test_no_body(arazzo: Arazzo, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    run(arazzo, server, "- workflowId: w\n  steps: [{stepId: s, operationId: createPet}]", capsys)
    _, _, headers, body = server.seen[0]
    assert (body, headers["content-length"], "content-type" in headers) == (b"", "0", False)


@rule("1.1", "Step Object", "`timeout` ends the exchange: the step fails while the server still works")
def test_timeout(arazzo: Arazzo, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
    - workflowId: w
      steps:
      - {stepId: s, operationId: search, timeout: 100, onFailure: [{name: on, type: goto, stepId: t}]}
      - {stepId: t, operationId: listPets}
    """
    report = run(arazzo, server, text, capsys)
    assert [step["status"] for step in report["steps"]] == ["failed", "succeeded"]
    assert [seen[1] for seen in server.seen] == ["/search", "/pets"]


@rule(BOTH, "Security Considerations", "compiling opens no connection, whatever URLs a document names")
def test_no_network(arazzo: Arazzo, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{server.server_port}/shop.yaml"
    text = (
        f"arazzo: VERSION\ninfo: {{title: T, version: '1'}}\n"
        f"sourceDescriptions: [{{name: shop, url: '{url}'}}]\n"
    )
    path = arazzo.document(
        text + "workflows:\n- workflowId: w\n  steps: [{stepId: s, operationId: listPets}]"
    )
    assert main(["check", str(path)]) == 0
    assert "1 workflow ready" in capsys.readouterr().out
    assert server.seen == []
