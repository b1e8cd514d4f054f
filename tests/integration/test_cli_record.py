"""``run --record`` and ``run --replay``: the same outputs without a service, and no key in the file."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_arazzo.cli.main import main
from airflow_arazzo.description import yaml
from airflow_arazzo.engine.redact import redact
from airflow_arazzo.testing.workflow import Workflow
from sandbox.testing import RunningSandbox, running_sandbox

SPECS = Path(__file__).resolve().parents[2] / "specs" / "arazzo"
AMBERFLO_KEY = "amberflo-key/of+the=recorder"
STRIPE_KEY = "sk_test_of_the_recorder"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "amberflo-launch-usage-based-product-workflow.yml": (
        "launch-usage-based-product",
        {
            "meterApiName": "calls", "displayName": "Calls", "type": "SUM_OF_ALL_USAGE", "customerId": "new",
            "customerName": "Zoë", "customerEmail": "z@acme.example", "productId": "p-1",
            "meterValue": Decimal("10.10"), "meterTimeInMillis": 1718153645993,
        },
    ),
    "amberflo-meter-usage-and-topup-prepaid-workflow.yml": (
        "meter-usage-and-topup-prepaid",
        {
            "meterApiName": "seats", "customerId": "c-1", "meterValue": 1,
            "meterTimeInMillis": 1718153645993, "amount": Decimal("25.00"),
        },
    ),
    "amberflo-provision-customer-billing-workflow.yml": (
        "provision-customer-billing",
        {"customerId": "new", "customerName": "007", "productId": "p-1", "amount": Decimal("10.10")},
    ),
    "bill-usage-period.yml": (
        "bill-usage-period",
        {
            "customerId": "c-1", "stripeCustomer": "cus_1", "meterApiName": "seats",
            "usage": Decimal("12.5"), "amount": 4210, "currency": "usd", "meterTimeInMillis": 1767225600000,
            "periodStart": 1767225600, "periodEnd": 1769904000, "description": "Seats: January #1",
        },
    ),
    "fin-amberflo-customer-to-stripe-customer.yml": (
        "sync-customer-to-stripe", {"amberfloCustomerId": "c-1", "customerEmail": "a@b.example"},
    ),
    "fin-amberflo-usage-to-stripe-invoice.yml": (
        "meter-usage-and-invoice",
        {"meterApiName": "seats", "customerId": "c-1", "usageValue": 250, "stripeCustomer": "cus_1"},
    ),
}  # fmt: skip
SEEDS: dict[str, Any] = {
    "amberflo": {
        "customers": [{"customerId": "c-1", "customerName": "A"}],
        "meters": [{"meterApiName": "seats", "displayName": "Seats", "type": "SUM_OF_ALL_USAGE"}],
    },
    "stripe": {
        "customers": [{"id": "cus_1", "name": "A"}],
        "invoiceitems": [{"customer": "cus_1", "amount": 1250, "currency": "usd"}],
    },
}
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    keys = {"amberflo_key": AMBERFLO_KEY, "stripe_key": STRIPE_KEY}
    with running_sandbox(pending_items="include", **keys) as running:
        running.seed(**SEEDS)
        yield running


def connections(sandbox: RunningSandbox, document: Path) -> list[str]:
    names = [source["name"] for source in read(document)["sourceDescriptions"]]
    given = []
    for name in names:
        key = STRIPE_KEY if name.startswith("stripe") else AMBERFLO_KEY
        text = json.dumps({"conn_type": "arazzo", "host": sandbox.url, "password": key})
        given += ["--connection", f"{name}={text}"]
    return given


def read(file: Path) -> Any:
    return yaml.construct(yaml.compose(file.read_text()), [])


def report(capsys: Captured, *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = main(["run", *arguments, "--format", "json"])
    found = json.loads(capsys.readouterr().out, parse_float=Decimal)
    for step in found["steps"]:
        step.pop("elapsed", None)
    return status, found


def forms(key: str) -> set[str]:
    coded = {base64.b64encode(text.encode()).decode() for text in (key, f"Bearer {key}")}
    return {key, quote(key, safe=""), quote(key, safe="").lower(), json.dumps(key)[1:-1], *coded}


def assert_no_key(file: Path) -> None:
    text = file.read_text()
    for key in (AMBERFLO_KEY, STRIPE_KEY):
        assert not [form for form in forms(key) if form in text]
        assert redact(text, [key]) == text
    for header in ("authorization:", "set-cookie:", "x-api-key:", '"authorization"', '"set-cookie"'):
        assert header not in text.lower()


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("name", CASES)
def test_a_recording_replays_to_the_same_outputs(
    name: str, suffix: str, sandbox: RunningSandbox, capsys: Captured, tmp_path: Path
) -> None:
    workflow, inputs = CASES[name]
    file, document = tmp_path / f"recorded.{suffix}", SPECS / name
    given = ["--inputs", json.dumps(inputs, default=str)]
    given[1] = given[1].replace('"10.10"', "10.10").replace('"25.00"', "25.00").replace('"12.5"', "12.5")
    run = [str(document), workflow]
    status, recorded = report(capsys, *run, *given, *connections(sandbox, document), "--record", str(file))
    assert (status, recorded["error"]) == (0, None)
    assert_no_key(file)
    asked = len(sandbox.requests())
    status, replayed = report(capsys, *run, "--replay", str(file))
    assert (status, replayed) == (0, recorded)
    assert json.dumps(replayed, default=str) == json.dumps(recorded, default=str)
    assert report(capsys, *run, *given, "--replay", str(file)) == (0, recorded)
    came = Workflow(document, workflow).run(exchanges=file)
    assert came.outputs == recorded["outputs"]
    assert len(came.requests) == len(read(file)["exchanges"]) == len(recorded["steps"])
    assert len(sandbox.requests()) == asked


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("fault", [{}, {"when": "after"}, {"status": 503}])
def test_keys_that_a_service_echoes_are_not_recorded(
    fault: dict[str, Any], suffix: str, sandbox: RunningSandbox, capsys: Captured, tmp_path: Path
) -> None:
    """Also where the document makes them an output."""
    name = "fin-amberflo-usage-to-stripe-invoice.yml"
    workflow, inputs = CASES[name]
    document, file = tmp_path / name, tmp_path / f"recorded.{suffix}"
    text = (SPECS / name).read_text().replace("draftInvoiceId: $response.body#/id", "all: $response.body", 1)
    text = text.replace("value: $steps.add-invoice-item.outputs.draftInvoiceId", "value: in_x")
    document.write_text(text.replace("ingestStatus: $statusCode", "ingestStatus: $response.body"))
    sandbox.add_fault("echo", path="/v1/invoices", location="https://else.example/", **fault)
    sandbox.add_fault("echo", path="/ingest", when="after")
    status, recorded = report(
        capsys, str(document), workflow, "--inputs", json.dumps(inputs), *connections(sandbox, document),
        "--source-path", str(SPECS.parent / "openapi"), "--record", str(file),
    )  # fmt: skip
    assert status == 1
    assert_no_key(file)
    assert "***" in file.read_text()
    again = ["--source-path", str(SPECS.parent / "openapi"), "--replay", str(file)]
    assert report(capsys, str(document), workflow, *again) == (1, recorded)


LOGIN = """
arazzo: 1.0.1
info: {title: T, version: '1'}
sourceDescriptions: [{name: api, url: api.yaml, type: openapi}]
workflows:
- workflowId: w
  inputs: {type: object, properties: {pin: {type: string, format: password}}}
  steps:
  - stepId: login
    operationId: login
    requestBody: {contentType: application/x-www-form-urlencoded, payload: {pin: $inputs.pin}}
    outputs: {token: $response.body#/token, number: $response.body#/number, all: $response.body}
  - stepId: use
    operationId: use
    parameters:
    - {name: Authorization, in: header, value: 'Bearer {$steps.login.outputs.token}'}
    outputs: {echoed: $response.body, cookie: $response.header.X-Seen}
  outputs: {all: $steps.login.outputs.all, echoed: $steps.use.outputs.echoed}
"""
API = """
openapi: 3.1.0
info: {title: Things, version: '1'}
servers: [{url: 'https://things.example'}]
paths:
  /login:
    post: {operationId: login, requestBody: {content: {application/x-www-form-urlencoded: {}}}}
  /use: {get: {operationId: use}}
"""


class Service(BaseHTTPRequestHandler):
    """Makes a token, sets a cookie, and echoes what it gets."""

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/token":
            self.answer("application/json", '{"access_token": "fetched-token-1", "token_type": "Bearer"}')
            return
        pin = json.dumps(form.partition("=")[2])
        self.answer(
            "application/json", f'{{"token": "made-token-1", "number": 24681, "pin": {pin}, "n": 1.50}}'
        )

    def do_GET(self) -> None:
        self.answer("text/xml", f"<{self.headers['Authorization']}>")

    def answer(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Set-Cookie", "session=cookie-of-the-service")
        self.send_header("X-Seen", self.headers["Authorization"] or "")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *of: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_tokens_of_the_run_secret_inputs_and_cookies_are_not_recorded(
    capsys: Captured, tmp_path: Path
) -> None:
    """A token that is produced, a number that is a secret, a short secret, and what echoes them."""
    (tmp_path / "api.yaml").write_text(API)
    document, file = tmp_path / "main.yaml", tmp_path / "recorded.yaml"
    document.write_text(LOGIN)
    with serving() as url:
        extra = {"secrets": {"pin": "24681"}}
        connection = "api=" + json.dumps({"conn_type": "arazzo", "host": url, "extra": extra})
        status, recorded = report(
            capsys, str(document), "w", "--connection", connection, "--record", str(file)
        )
    assert status == 0
    text = file.read_text()
    for secret in ("made-token-1", "24681", "cookie-of-the-service"):
        assert secret not in text
    assert report(capsys, str(document), "w", "--replay", str(file))[0] == 0
    came = Workflow(document).run(exchanges=file)
    assert came.requests[1].headers["authorization"] == "Bearer ***"
    assert came.outputs["echoed"] == recorded["outputs"]["echoed"] == "<Bearer ***>"


@pytest.mark.parametrize("record", [True, False])
def test_a_fetched_token_that_a_service_echoes_is_neither_shown_nor_recorded(
    record: bool, capsys: Captured, tmp_path: Path
) -> None:
    scheme = "{oauth2: {type: oauth2, flows: {clientCredentials: {tokenUrl: /token, scopes: {}}}}}"
    secured = API.replace("operationId: use", "operationId: use, security: [{oauth2: []}]")
    (tmp_path / "api.yaml").write_text(f"{secured}components: {{securitySchemes: {scheme}}}\n")
    document, file = tmp_path / "main.yaml", tmp_path / "recorded.yaml"
    steps = "[{stepId: use, operationId: use, outputs: {all: $response.body}}]"
    outputs = "{all: $steps.use.outputs.all}"
    workflow = f"- workflowId: w\n  steps: {steps}\n  outputs: {outputs}\n"
    document.write_text(LOGIN.partition("- workflowId")[0] + workflow)
    with serving() as url:
        extra = {"client_id": "me", "client_secret": "secret-of-me"}
        connection = "api=" + json.dumps({"conn_type": "arazzo", "host": url, "extra": extra})
        more = ["--record", str(file)] if record else []
        status, came = report(capsys, str(document), "w", "--connection", connection, *more)
    assert (status, came["outputs"]) == (0, {"all": "<Bearer ***>"})
    assert came["steps"][0]["outputs"] == came["outputs"]
    if record:
        assert "fetched-token-1" not in file.read_text()
        assert report(capsys, str(document), "w", "--replay", str(file)) == (0, came)


def test_what_cannot_be_used(sandbox: RunningSandbox, capsys: Captured, tmp_path: Path) -> None:
    name = "amberflo-provision-customer-billing-workflow.yml"
    workflow, inputs = CASES[name]
    given = json.dumps({**inputs, "amount": 10})
    run = ["run", str(SPECS / name), workflow, *connections(sandbox, SPECS / name), "--inputs", given]

    def refused(*arguments: str) -> str:
        capsys.readouterr()
        assert main([*run, *arguments]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        return said.err.strip()

    there = tmp_path / "r.yaml"
    there.write_text("a: 1\n")
    assert "--record and --replay do not go together" in refused("--record", "a", "--replay", "b")
    assert "--airflow and --record do not go together" in refused("--record", "a", "--airflow")
    missing = tmp_path / "none" / "r.yaml"
    assert refused("--record", str(missing)) == (
        f"airflow-arazzo: --record: {missing} cannot be written: No such file or directory"
    )
    assert "cannot be read" in refused("--replay", str(missing))
    assert "it is no recording; expected an object with 'recording: 1'" in refused("--replay", str(there))
    there.write_text("recording: 1\nworkflow: other\n")
    assert "is of workflow 'other', not of 'provision-customer-billing'" in refused("--replay", str(there))
    there.write_text("recording: [\n")
    assert f"{there}:2:1: not valid YAML" in refused("--replay", str(there))
    assert sandbox.requests() == []


def test_a_changed_document_is_told(sandbox: RunningSandbox, capsys: Captured, tmp_path: Path) -> None:
    name = "amberflo-provision-customer-billing-workflow.yml"
    workflow, _ = CASES[name]
    file = tmp_path / "r.yaml"
    run = [str(SPECS / name), workflow]
    given = {"customerId": "new", "customerName": "A", "productId": "p-1", "amount": 10}
    report(
        capsys,
        *run,
        "--inputs",
        json.dumps(given),
        *connections(sandbox, SPECS / name),
        "--record",
        str(file),
    )
    changed = json.dumps({**given, "amount": 11})
    assert main(["run", *run, "--inputs", changed, "--replay", str(file)]) == 1
    assert capsys.readouterr().err == (
        "airflow-arazzo: --replay: step 'createPrepaid' asked for POST "
        "/payments-pricing-amberflo-customer-prepaid; next is exchange 3 of r.yaml, but its request has "
        "another body, /amount: expected 10, found 11\n"
    )


def test_a_failed_run_and_lost_responses_are_recorded(
    sandbox: RunningSandbox, capsys: Captured, tmp_path: Path
) -> None:
    name = "amberflo-provision-customer-billing-workflow.yml"
    workflow, inputs = CASES[name]
    file = tmp_path / "r.yaml"
    sandbox.add_fault("truncate", path="*prepaid", when="after")
    given = ["--inputs", json.dumps({**inputs, "amount": 10})]
    run = [str(SPECS / name), workflow]
    status, recorded = report(
        capsys, *run, *given, *connections(sandbox, SPECS / name), "--record", str(file)
    )
    assert status == 1
    assert read(file)["exchanges"][2]["error"] == "unknown"
    assert read(file)["exchanges"][2]["status"] == 200
    assert report(capsys, *run, "--replay", str(file)) == (1, recorded)
