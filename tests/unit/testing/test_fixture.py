"""Testing workflows with the pytest plugin, as users do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.description.diagnostics import DocumentError
from airflow_arazzo.testing import BadExchange, Result, UnexpectedRequest, UnusedExchanges, Workflow

API = """
openapi: 3.1.0
info: {title: Shop, version: '1'}
servers: [{url: 'https://shop.example/v2'}]
paths:
  /orders:
    post: {operationId: order, security: [{key: []}], requestBody: {content: {application/json: {}}}}
  /orders/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      operationId: look
      security: [{key: []}]
      parameters: [{name: view, in: query, schema: {type: string}}]
  /pay: {post: {operationId: pay, requestBody: {content: {application/x-www-form-urlencoded: {}}}}}
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}
"""
DOCUMENT = """
arazzo: 1.0.1
info: {title: Shop, version: '1'}
sourceDescriptions: [{name: shop, url: shop.yaml, type: openapi}]
workflows:
- workflowId: buy
  inputs:
    type: object
    required: [sku]
    properties: {sku: {type: string}, price: {type: number}, card: {type: string, format: password}}
  steps:
  - stepId: place
    operationId: order
    requestBody: {payload: {sku: $inputs.sku, price: $inputs.price}}
    outputs: {id: $response.body#/id}
  - stepId: wait
    operationId: look
    parameters:
    - {name: id, in: path, value: $steps.place.outputs.id}
    - {name: view, in: query, value: short}
    successCriteria: [{condition: $statusCode == 200}, {condition: $response.body#/state == 'ready'}]
    onFailure: [{name: again, type: retry, retryAfter: 3600, retryLimit: 5}]
  - stepId: settle
    workflowId: settle
    parameters: [{name: card, value: $inputs.card}]
  outputs: {order: $steps.place.outputs.id, paid: $steps.settle.outputs.paid}
- workflowId: settle
  inputs: {type: object, properties: {card: {type: string, format: password}}}
  steps:
  - stepId: charge
    operationId: pay
    requestBody: {payload: {card: $inputs.card, note: now}}
    outputs: {paid: $response.body#/paid}
  outputs: {paid: $steps.charge.outputs.paid}
"""
READY = {"body": {"state": "ready"}}
GOOD: dict[str, Any] = {
    "place": {"status": 201, "body": {"id": "o 1"}},
    "wait": [202, {"body": {"state": "new"}}, READY],
    "pay": {"body": {"paid": Decimal("10.10")}},
}
CONNECTION = {"shop": {"password": "the-key-of-shop", "extra": {"secrets": {"card": "card-4242"}}}}

Make = Callable[..., Workflow]


@pytest.fixture
def document(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(API)
    (tmp_path / "buy.yaml").write_text(DOCUMENT)
    return tmp_path / "buy.yaml"


@pytest.fixture
def buy(arazzo_workflow: Make, document: Path) -> Workflow:
    return arazzo_workflow(document, "buy", connections=CONNECTION)


def test_requests_outputs_and_way(buy: Workflow) -> None:
    started = time.monotonic()
    result = buy.run({"sku": "s", "price": Decimal("10.10")}, GOOD)
    assert time.monotonic() - started < 10, "the hours of waiting pass at once"
    assert (result.status, result.failure) == ("succeeded", None)
    assert result.outputs == {"order": "o 1", "paid": Decimal("10.10")}
    assert result.way == ["place", "wait", "wait", "wait", "charge", "settle"]
    assert [record.status_code for record in result.steps[:4]] == [201, 202, 200, 200]
    assert [round(seconds) for seconds in result.waits] == [3600, 3600]
    place, wait, *_, charge = result.requests
    assert (place.method, place.url) == ("POST", "https://shop.example/v2/orders")
    assert (place.body, place.content) == (
        {"sku": "s", "price": Decimal("10.10")}, b'{"sku":"s","price":10.10}'
    )  # fmt: skip
    assert place.headers["x-key"] == "the-key-of-shop"
    assert {"Content-Type", "X-Key", "User-Agent", "Content-Length"} <= set(place.headers)
    assert (wait.path, wait.query) == ("/v2/orders/o%201", {"view": ["short"]})
    assert (wait.body, wait.content) == (None, b"")
    assert (charge.step, charge.operation) == ("settle/charge", "pay")
    assert charge.body == {"card": "card-4242", "note": "now"}


def test_a_list_is_used_in_order(buy: Workflow) -> None:
    responses = [GOOD["place"], READY, {"body": {"paid": 1}}]
    assert buy.run({"sku": "s"}, responses).outputs == {"order": "o 1", "paid": 1}


@pytest.mark.parametrize("key", ["settle/charge", "charge", "pay"])
def test_by_step_with_its_callers_by_step_and_by_operation(buy: Workflow, key: str) -> None:
    given = {"place": GOOD["place"], "look": [READY], key: {"body": {"paid": 2}}}
    assert buy.run({"sku": "s"}, given).outputs["paid"] == 2


def test_without_connections_credentials_are_stood_in_for(arazzo_workflow: Make, document: Path) -> None:
    result = arazzo_workflow(document, "buy").run({"sku": "s"}, GOOD)
    assert result.requests[0].headers["X-Key"] == "***"
    assert result.requests[-1].body == {"card": "***", "note": "now"}
    assert result.requests[0].url == "https://shop.example/v2/orders"


def test_a_connection_that_lacks_the_credential_fails_as_a_run_does(
    arazzo_workflow: Make, document: Path
) -> None:
    result = arazzo_workflow(document, "buy", connections={"shop": {"host": "h.example"}}).run({"sku": "s"})
    assert result.failure is not None
    assert (result.status, result.failure.code, result.requests) == ("failed", "credentials", ())
    assert "fill password of connection 'shop'" in result.failure.message


def test_inputs_that_do_not_fit(buy: Workflow) -> None:
    result = buy.run({"price": "x"})
    assert result.failure is not None
    assert "input 'sku' is required" in result.failure.message
    assert (result.failure.fate, result.requests, result.way) == ("not-sent", (), [])


def test_lost_responses_and_requests(buy: Workflow) -> None:
    result = buy.run({"sku": "s"}, [{"error": "unknown", "message": "the line is dead"}])
    assert result.failure is not None
    assert (result.failure.code, result.failure.fate) == ("outcome-unknown", "unknown")
    assert "the line is dead" in result.failure.message
    result = buy.run({"sku": "s"}, [GOOD["place"], {"error": "not-sent"}, READY, {"body": {"paid": 1}}])
    assert result.status == "succeeded"


def test_bodies_and_headers_of_responses(arazzo_workflow: Make, document: Path) -> None:
    text = DOCUMENT.replace("{id: $response.body#/id}", "{id: $response.header.X-Id, all: $response.body}")
    document.write_text(text.replace("{order: $steps", "{all: $steps.place.outputs.all, order: $steps"))
    workflow = arazzo_workflow(document, "buy")

    def came(**response: Any) -> Any:
        given = {"headers": {"X-Id": "i", **response.pop("headers", {})}, **response}
        return workflow.run({"sku": "s"}, [given, READY, {"body": {"paid": 1}}]).outputs.get("all")

    assert came(body="plain") == "plain"
    assert came(body='{"a": 1.50}', headers={"Content-Type": "application/json"}) == {"a": Decimal("1.50")}
    assert came(body=None) is None
    assert came(body=[1.5, True]) == [Decimal("1.5"), True]
    assert came(body={"base64": "YQ=="}) == "a"
    assert came(body=b"b") == "b"
    assert came() is None


def test_an_unexpected_request_is_told(buy: Workflow) -> None:
    given = {"place": GOOD["place"]}
    with pytest.raises(UnexpectedRequest) as raised:
        buy.run({"sku": "s"}, given)
    assert str(raised.value) == ("step 'wait' asked for GET /orders/o%201?view=short; declared is place")
    with pytest.raises(UnexpectedRequest, match="no exchange that is declared for it is left"):
        buy.run({"sku": "s"}, {**given, "wait": 503})
    with pytest.raises(UnexpectedRequest, match="step 'place' asked for POST /orders; no exchange"):
        buy.run({"sku": "s"})
    with pytest.raises(UnexpectedRequest, match=r"; declared is no exchange at all$"):
        buy.run({"sku": "s"}, {})
    with pytest.raises(UnexpectedRequest, match=r"step 'wait' asked .* is left"):
        buy.run({"sku": "s"}, [GOOD["place"]])


@pytest.mark.parametrize(
    ("exchange", "problem"),
    [
        ({"step": "wait"}, "it is of step 'wait'"),
        ({"operation": "look"}, "it is of operation 'look'"),
        ({"request": {"method": "PUT"}}, "its request is PUT"),
        ({"request": {"path": "/order"}}, "its request is POST /order"),
        (
            {"request": {"body": {"sku": "t"}}},
            'its request has another body, /sku: expected "t", found "s"',
        ),
        ({"request": {"body": {}}}, "another body, /sku: expected nothing, found"),
        ({"request": {"body": [1]}}, 'the body: expected [1], found {"sku":"s"}'),
    ],
)
def test_requests_that_are_declared_must_be_the_ones(
    buy: Workflow, exchange: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UnexpectedRequest) as raised:
        buy.run({"sku": "s"}, [exchange])
    assert "next is exchange 1, but " in str(raised.value)
    assert problem in str(raised.value)


def test_secrets_are_not_shown(buy: Workflow) -> None:
    result = buy.run({"sku": "s"}, GOOD)
    for shown in (repr(result), repr(result.requests[0]), repr(result.requests[0].headers)):
        assert "the-key-of-shop" not in shown
        assert "card-4242" not in shown
    pay = {"request": {"body": {"card": "x"}}, "response": {}}
    with pytest.raises(UnexpectedRequest) as raised:
        buy.run({"sku": "s"}, {**GOOD, "pay": pay})
    assert 'expected "x", found "***"' in str(raised.value)
    echoing = {**GOOD, "pay": {"body": {"paid": "the-key-of-shop"}}}
    assert buy.run({"sku": "s"}, echoing).outputs["paid"] == "***"


def test_unused_exchanges_are_told(buy: Workflow) -> None:
    with pytest.raises(UnusedExchanges) as raised:
        buy.run({"sku": "s"}, {**GOOD, "pay": [GOOD["pay"], 500]})
    assert str(raised.value) == "the workflow succeeded without asking for pay [1]"
    with pytest.raises(UnusedExchanges, match=r"the workflow failed \(step 'place': .*\) without asking for"):
        buy.run({"sku": "s"}, [400, 200, 200])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"plaec": 200}, "there is no step or operation 'plaec'; did you mean 'place'?"),
        (["x"], "exchange 1: expected a status or an object, found str"),
        ([{"statuss": 200}], "exchange 1, response: unknown field 'statuss'; did you mean 'status'?"),
        ([{"step": "a", "respons": 1}], "exchange 1: unknown field 'respons'"),
        ([99], "exchange 1: 99 is no status of a response"),
        ([{"error": "lost"}], "error is 'lost'; expected 'not-sent' or 'unknown'"),
        ([{"response": 200}], "exchange 1: expected an object as its response"),
        ([{"body": object()}], "exchange 1: its body cannot be sent"),
        ([{"body": {"base64": "%"}}], "exchange 1: its body cannot be sent"),
        ([{"headers": ["a"]}], "exchange 1: expected an object of headers"),
        ({"place": [{"step": 1}]}, "place [0]: expected a text as 'step'"),
        (200, "expected a list of exchanges"),
    ],
)
def test_exchanges_that_make_no_sense(buy: Workflow, given: Any, problem: str) -> None:
    with pytest.raises(BadExchange) as raised:
        buy.run({"sku": "s"}, given)
    assert problem in str(raised.value)


def test_documents_and_connections_that_make_no_sense(arazzo_workflow: Make, document: Path) -> None:
    with pytest.raises(DocumentError, match="there is no workflow 'bye'"):
        arazzo_workflow(document, "bye")
    with pytest.raises(ValueError, match="there is no source 'shp'; known: shop"):
        arazzo_workflow(document, "buy", connections={"shp": {}})


def test_where_an_event_loop_runs_already(buy: Workflow) -> None:
    async def within() -> Result:
        return buy.run({"sku": "s"}, GOOD)

    assert asyncio.run(within()).status == "succeeded"


def test_a_description_without_a_host_that_can_be_used(arazzo_workflow: Make, document: Path) -> None:
    for server, url in (("/v3", "https://shop.invalid/v3/orders"), ("http://a.b/v3", "http://a.b/v3/orders")):
        (document.parent / "shop.yaml").write_text(API.replace("https://shop.example/v2", server))
        for connections in ({}, CONNECTION):
            result = arazzo_workflow(document, "buy", connections=connections).run({"sku": "s"}, GOOD)
            assert result.requests[0].url == url


TESTS = """
def test_it(arazzo_workflow):
    result = arazzo_workflow("buy.yaml", "buy").run({"sku": "s"}, %s)
    assert result.status == "succeeded"
    import sys
    assert "airflow" not in sys.modules

def test_the_folder_of_pytest_comes_second(arazzo_workflow):
    assert arazzo_workflow("documents/buy.yaml", "buy").plan.root.id == "buy"
"""


def test_the_plugin_is_there_and_imports_no_airflow(document: Path, tmp_path: Path) -> None:
    """In a process of its own, where nothing but pytest has been imported."""
    tests, documents = tmp_path / "tests", tmp_path / "documents"
    tests.mkdir()
    documents.mkdir()
    for name in ("buy.yaml", "shop.yaml"):
        for folder in (tests, documents):
            (folder / name).write_text((tmp_path / name).read_text())
    given = {**GOOD, "pay": {"body": {"paid": 1}}}
    (tests / "test_buy.py").write_text(TESTS % repr(given))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout


def test_the_plugin_loads_nothing_before_it_is_used() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import airflow_arazzo.testing.plugin; "
        "print(sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    loaded = ran.stdout.strip()
    ours = "'airflow_arazzo', 'airflow_arazzo.testing', 'airflow_arazzo.testing.plugin', "
    assert loaded == f"[{ours}'airflow_arazzo.version']"
