"""``airflow-arazzo run --airflow``, as people use it: in a process and a home of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_arazzo.cli.main import main

KEY = "key/of+the=throw-away"
TOKEN = "token-that-a-step-made"
Captured = pytest.CaptureFixture[str]

pytestmark = pytest.mark.xdist_group("equivalence")

API = """
openapi: 3.1.0
info: {title: An API, version: "1"}
paths:
  /orders:
    post:
      operationId: order
      requestBody: {content: {application/json: {schema: {type: object}}}}
  /bills: {post: {operationId: bill}}
security: [{key: []}]
components: {securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}}
"""

DOCUMENT = """
arazzo: 1.0.1
info: {title: Orders, version: "1"}
sourceDescriptions: [{name: shop, url: shop.yaml, type: openapi}]
workflows:
- workflowId: order
  inputs:
    type: object
    properties:
      amount: {type: number}
      note: {type: string}
      lines: {type: array, items: {type: object}}
  steps:
  - stepId: order
    operationId: order
    requestBody:
      contentType: application/json
      payload: {amount: $inputs.amount, note: $inputs.note, lines: $inputs.lines}
    onSuccess:
    - {name: free, type: end, criteria: [{condition: $response.body#/free == true}]}
    outputs: {total: $response.body#/total, token: $response.header.X-Token}
  - stepId: bill
    operationId: bill
    parameters: [{name: Authorization, in: header, value: 'Bearer {$steps.order.outputs.token}'}]
  outputs: {total: $steps.order.outputs.total}
"""
INPUTS = (
    '{"amount": 10.10, "note": "{{ var.value.x }} {% raw %}", "lines": [{"price": 0.30, "text": "{{ 1 }}"}]}'
)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(API)
    path = tmp_path / "orders.yaml"
    path.write_text(DOCUMENT)
    return path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the Airflow is made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@contextmanager
def serving(
    answer: Callable[[], tuple[int, Any]],
) -> Iterator[tuple[str, list[tuple[str, dict[str, str], str]]]]:
    """A server; gives its URL and the requests that came: method and path, headers, body."""
    asked: list[tuple[str, dict[str, str], str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            asked.append((f"{self.command} {self.path}", dict(self.headers), body))
            status, value = answer()
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-Token", TOKEN)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def arguments(document: Path, url: str) -> list[str]:
    connection = json.dumps({"conn_type": "arazzo", "host": url, "password": KEY})
    return ["run", str(document), "order", "--inputs", INPUTS, "--connection", f"shop={connection}"]


class Leaks:
    """Looks for the key in everything that a child process of this one shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: set[str] = set()
        self.looked_at = 0

    def look(self) -> None:
        for child in psutil.Process().children(recursive=True):
            self._look_in(" ".join(child.cmdline()), "arguments")
            self._look_in(" ".join(child.environ().values()), "environment")
        for path in self.folder.rglob("*"):
            if path.is_file():
                self._look_in(path.read_bytes().decode("latin-1"), path.name)

    def _look_in(self, text: str, where: str) -> None:
        self.looked_at += 1
        self.found |= {f"{secret} in {where}" for secret in (KEY, TOKEN) if secret in text}


def report_of(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The report without times, and the states of the tasks."""
    report = json.loads(text)
    for step in report["steps"]:
        step.pop("elapsed", None)
    return report, report.pop("tasks", {})


def test_the_same_report_and_nothing_is_left_behind(
    document: Path, temporary: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also numbers with all their digits, and texts that are no templates."""
    monkeypatch.setenv("AIRFLOW_HOME", str(temporary / "mine"))
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({"password": KEY}))
    leaks = Leaks(temporary)

    def answer() -> tuple[int, Any]:
        leaks.look()
        return 200, {"total": 10.10}

    with serving(answer) as (url, asked):
        assert main([*arguments(document, url), "--format", "json"]) == 0
        alone, _ = report_of(capsys.readouterr().out)
        sent, leaks.looked_at = asked.copy(), 0
        leaks.found.clear()
        asked.clear()
        assert main([*arguments(document, url), "--airflow", "--format", "json"]) == 0
        said = capsys.readouterr()
    airflow, tasks = report_of(said.out)
    assert said.err == ""
    assert airflow == alone
    assert tasks == {"order": "success", "bill": "success"}
    assert asked == sent
    note = r'"note":"{{ var.value.x }} {% raw %}","lines":[{"price":0.30,"text":"{{ 1 }}"}]'
    assert [body for *_, body in asked] == [f'{{"amount":10.10,{note}}}', ""]
    assert [headers["X-Key"] for _, headers, _ in asked] == [KEY, KEY]
    assert leaks.looked_at > 10
    assert not leaks.found
    assert list(temporary.iterdir()) == []


def test_overlays_are_for_both(document: Path, temporary: Path, capsys: Captured) -> None:
    overlay = document.parent / "overlay.yaml"
    overlay.write_text(
        "overlay: 1.0.0\ninfo: {title: T, version: '1'}\n"
        "actions: [{target: '$.workflows[0].steps[0].requestBody.payload', update: {added: true}}]\n"
    )
    with serving(lambda: (200, {"total": 1})) as (url, asked):
        given = [*arguments(document, url), "--overlay", str(overlay)]
        assert main(given) == main([*given, "--airflow"]) == 0
    assert [body.endswith('"added":true}') for *_, body in asked if body] == [True, True]


def test_a_failure(document: Path, temporary: Path, capsys: Captured) -> None:
    with serving(lambda: (422, {})) as (url, asked):
        assert main([*arguments(document, url), "--airflow", "--verbose"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"✗ order  POST http://127.0.0.1:\d+/orders → 422 in \d+ ms", lines[0])
    assert lines[1] == "- bill  upstream failed"
    assert lines[2].startswith("failed: step 'order': ")
    assert len(asked) == 1
    assert list(temporary.iterdir()) == []


def test_when_the_command_is_killed_its_airflow_ends_too(document: Path, temporary: Path) -> None:
    asking, go_on = threading.Event(), threading.Event()

    def answer() -> tuple[int, Any]:
        asking.set()
        go_on.wait(60)
        return 200, {}

    with serving(answer) as (url, asked):
        command = [sys.executable, "-m", "airflow_arazzo.cli.main", *arguments(document, url), "--airflow"]
        process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(temporary)})
        assert asking.wait(120)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        gone, alive = psutil.wait_procs(children, timeout=10)
        go_on.set()
        assert gone
        assert not alive
        deadline = time.monotonic() + 5
        while list(temporary.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(temporary.iterdir()) == []
        assert len(asked) == 1


def test_a_child_that_breaks(
    document: Path, temporary: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_arazzo.cli.airflow_run.CHILD", "airflow_arazzo.no_such_module")
    assert main([*arguments(document, "http://127.0.0.1:9"), "--airflow"]) == 1
    said = capsys.readouterr()
    assert said.out.strip() == (
        "failed: Airflow's process ended with status 1 and without a report [airflow] "
        "(--verbose shows what it wrote)"
    )
    assert list(temporary.iterdir()) == []


def test_what_is_wrong_is_said_before_airflow_starts(
    document: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_arazzo.cli.run.run_in_airflow", None)
    connection = 'shop={"host": "http://127.0.0.1:9"}'
    given = ["run", str(document), "order", "--connection", connection, "--airflow"]
    assert main([*given, "--inputs", '{"amont": 1}']) == 1
    assert "there is no" not in capsys.readouterr().err
    assert main(["run", str(document), "order", "--connection", connection, "--verbose"]) == 2
    assert "it goes with --airflow" in capsys.readouterr().err
    assert main(["run", str(document), "ordr", "--airflow"]) == 2
    assert "unknown-workflow" in capsys.readouterr().err
