"""Secrets are nowhere: not in XComs, logs, rendered fields, exceptions or stored states."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

import pytest
from scripted import Answer, ScriptedApi, goto, workflow

from demo.leaks import find_leaks
from sandbox.testing import running_sandbox

HOME = Path(os.environ["AIRFLOW_HOME"])
ROOT = Path(__file__).parents[2]
SEND = {"contentType": "application/json", "payload": {"t": "$steps.a.outputs.token"}}


@pytest.fixture
def key() -> str:
    """A key that no other test has; its characters look different in every encoding."""
    return f'sk/{secrets.token_urlsafe(24)}+"='


def leaks(*values: str) -> list[str]:
    """Where values can be found in what Airflow has written: database, logs, everything."""
    found = find_leaks(HOME, values)
    escaped = [json.dumps(value)[1:-1].encode() for value in values]
    for path in HOME.rglob("*"):
        if path.is_file() and any(value in path.read_bytes() for value in escaped):
            found.append(f"{path.name}: escaped")
    return found


def test_the_search_finds_what_airflow_writes(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, key: str
) -> None:
    api.answer("/a", {"n": key})
    step = {"stepId": "a", "outputs": {"n": "$response.body#/n"}}
    run_dag(workflow_dag(workflow("w", step), operations=["GET /a"]), connections={"api": api.connection()})
    assert leaks(key)


@pytest.mark.parametrize("status", [200, 500])
def test_an_api_that_echoes_the_key(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, key: str, status: int
) -> None:
    """In the body, as a part of a text, as a name, in a header; in outputs, criteria and failures."""
    from base64 import b64encode

    api.answer(
        "/a",
        Answer(
            status,
            {
                "n": key,
                "text": f"Bearer {key}!",
                key: 1,
                "deep": [{"k": key}],
                "coded": b64encode(key.encode()).decode(),
                "other": "kept",
            },
            {"X-Echo": key},
        ),
    )
    step = {
        "stepId": "a",
        "successCriteria": [
            {"condition": "$statusCode == 200"},
            {"condition": "$response.body#/text != 'x'"},
            {"condition": "$.n != 'x'", "context": "$response.body", "type": "jsonpath"},
        ],
        "outputs": {
            "n": "$response.body#/n",
            "all": "$response.body",
            "header": "$response.header.X-Echo",
            "other": "$response.body#/other",
        },
    }
    outputs = {"all": "$steps.a.outputs.all", "n": "$steps.a.outputs.n"}
    dag = workflow_dag(workflow("w", step, outputs=outputs), operations=["POST /a"])
    ran = run_dag(dag, connections={"api": api.connection(password=key)})
    assert api.requests[0].headers["X-API-KEY"] == key
    assert ran.state == ("success" if status == 200 else "failed")
    if status == 200:
        found = ran.xcom("a")
        assert found["n"] == "***"
        assert found["all"]["text"] == "Bearer ***!"
        assert found["all"]["deep"] == [{"k": "***"}]
        assert found["other"] == "kept"
        assert ran.xcom("a", "workflow_outputs")["n"] == "***"
    assert key not in ran.log
    assert leaks(key) == []


def test_an_error_that_repeats_the_key(dag_file: Any, run_dag: Any) -> None:
    document = ROOT / "specs/arazzo/amberflo-provision-customer-billing-workflow.yml"
    module = dag_file("echo", f"from airflow_arazzo import ArazzoDag\ndag = ArazzoDag({str(document)!r})\n")
    with running_sandbox() as sandbox:
        sandbox.add_fault("echo", when="before", path="*")
        connection = {"conn_type": "arazzo", "host": sandbox.url, "password": sandbox.amberflo_key}
        conf = {"customerId": "c", "customerName": "C", "productId": "p", "amount": 1}
        ran = run_dag(module.dag, conf, connections={"billingApi": connection})
        assert ran.state == "failed"
        assert sandbox.kinds() == []
        assert sandbox.amberflo_key not in ran.log
        assert leaks(sandbox.amberflo_key) == []


def test_no_key_in_a_connection_that_is_wrong(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, key: str
) -> None:
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["POST /a"])
    broken = api.connection(password=key, extra={"pasword": key, "timeout": key})
    ran = run_dag(dag, connections={"api": broken})
    assert ran.state == "failed"
    assert "Nothing was sent." in ran.log
    assert "unknown extra 'pasword'" in ran.log
    assert leaks(key) == []
    assert key not in ran.log
    assert api.requests == []


def test_the_stored_state_holds_nothing_readable(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, key: str
) -> None:
    """A step that produced a token waits without a slot; the token is in its state."""
    token = "tok-" + secrets.token_urlsafe(24)
    steps = [
        {"stepId": "a", "outputs": {"token": "$response.body#/token"}},
        {
            "stepId": "b",
            "parameters": [
                {"name": "Authorization", "in": "header", "value": "Bearer {$steps.a.outputs.token}"}
            ],
            "onSuccess": [goto("more", "a", "$response.body#/done == false")],
        },
    ]
    api.answer("/a", {"token": token})
    api.answer("/b", Answer(200, {"done": False}, {"Retry-After": "6"}), {"done": True})
    dag = workflow_dag(workflow("w", *steps), operations=["GET /a", "GET /b"])
    ran = run_dag(dag, connections={"api": api.connection(password=key)})
    assert ran.state == "success"
    assert "giving the slot back" in ran.log
    assert api.paths == ["/a", "/b", "/a", "/b"]
    assert api.requests[3].headers["Authorization"] == f"Bearer {token}"
    assert leaks(key, token) == []


def token_workflow() -> dict[str, Any]:
    return workflow(
        "w",
        {
            "stepId": "a",
            "outputs": {
                "token": "$response.body#/token",
                "all": "$response.body",
                "plain": "$response.body#/plain",
            },
        },
        {
            "stepId": "b",
            "parameters": [
                {"name": "Authorization", "in": "header", "value": "Bearer {$steps.a.outputs.token}"}
            ],
            "outputs": {"echo": "$response.body#/echo"},
        },
        outputs={"token": "$steps.a.outputs.token", "echo": "$steps.b.outputs.echo"},
    )


def test_tokens_that_steps_produce(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """Encrypted in XCom, readable by later steps, masked everywhere else."""
    token = "tok-" + secrets.token_urlsafe(24)
    api.answer("/a", {"token": token, "plain": "p"})
    api.answer("/b", {"echo": f"you sent Bearer {token}"})
    dag = workflow_dag(token_workflow(), operations=["POST /a", "POST /b"])
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.state == "success"
    assert api.requests[1].headers["Authorization"] == f"Bearer {token}"
    outputs = ran.xcom("a")
    assert set(outputs["token"]) == {"$secret"}
    assert set(outputs["all"]) == {"$secret"}
    assert outputs["plain"] == "p"
    assert ran.xcom("b") == {"echo": "you sent Bearer ***"}
    assert set(ran.xcom("b", "workflow_outputs")["token"]) == {"$secret"}
    assert token not in ran.log
    assert leaks(token) == []


def test_a_token_inside_an_object(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """The token is masked where it is echoed; what came beside it is an ordinary value."""
    token = "tok-" + secrets.token_urlsafe(24)
    steps = [
        {"stepId": "a", "outputs": {"all": "$response.body", "user": "$response.body#/user"}},
        {
            "stepId": "b",
            "parameters": [
                {
                    "name": "Authorization",
                    "in": "header",
                    "value": "Bearer {$steps.a.outputs.all#/auth/token}",
                }
            ],
            "outputs": {"echo": "$response.body"},
        },
        {
            "stepId": "c",
            "requestBody": {
                "contentType": "application/json",
                "payload": {"customer": "$steps.a.outputs.all#/user"},
            },
            "outputs": {"echo": "$response.body"},
        },
    ]
    api.answer("/a", {"auth": {"token": token, "type": "bearer"}, "user": "customer-of-ours"})
    api.answer("/b", {"you": f"Bearer {token}", "for": "customer-of-ours", "type": "bearer"})
    api.answer("/c", Answer(500, {"error": f"no {token} for customer-of-ours"}))
    dag = workflow_dag(workflow("w", *steps), operations=["POST /a", "POST /b", "POST /c"])
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.states == {"a": "success", "b": "success", "c": "failed"}
    assert api.requests[1].headers["Authorization"] == f"Bearer {token}"
    assert api.bodies[2] == '{"customer":"customer-of-ours"}'
    assert set(ran.xcom("a")["all"]) == {"$secret"}
    assert ran.xcom("a")["user"] == "customer-of-ours"
    assert ran.xcom("b")["echo"] == {"you": "Bearer ***", "for": "customer-of-ours", "type": "bearer"}
    assert token not in ran.log
    assert leaks(token) == []


def test_no_key_no_tokens(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.crypto import _NullFernet

    monkeypatch.setattr("airflow_arazzo.operators.exchange.get_fernet", _NullFernet)
    dag = workflow_dag(token_workflow(), operations=["POST /a", "POST /b"])
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.states == {"a": "failed", "b": "upstream_failed"}
    assert "Nothing was sent." in ran.log
    assert "fernet_key" in ran.log
    assert api.requests == []


def test_secret_inputs(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """A secret in a body comes from the connection of its source, also in a step of another source."""
    secret = "pin-" + secrets.token_urlsafe(24)
    inputs = {
        "type": "object",
        "required": ["pin"],
        "properties": {"pin": {"type": "string", "format": "password"}},
    }
    body = {"contentType": "application/json", "payload": {"pin": "$inputs.pin"}}
    steps = [{"stepId": "a", "requestBody": body}, {"stepId": "b", "requestBody": body}]
    dag = workflow_dag(workflow("w", *steps, inputs=inputs), operations=["POST /a", "POST /b"])
    assert list(dag.params) == []
    ran = run_dag(dag, connections={"api": api.connection(extra={"secrets": {"pin": secret}})})
    assert ran.state == "success"
    assert api.bodies == [f'{{"pin":"{secret}"}}'] * 2
    assert leaks(secret) == []
    api.requests.clear()
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.state == "failed"
    assert "The secret input 'pin' has no value" in ran.log
    assert api.requests == []


def test_a_credential_without_a_value(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["POST /a"])
    ran = run_dag(dag, connections={"api": api.connection(password=None)})
    assert ran.state == "failed"
    assert "Nothing was sent." in ran.log
    assert api.requests == []


def test_a_later_step_that_cannot_run(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """Nothing is sent by the first step, either."""
    inputs = {"type": "object", "properties": {"id": {"type": "string"}}}
    later = {"stepId": "b", "operationPath": "{$sourceDescriptions.api.url}#/paths/~1b~1{id}/post"}
    later["parameters"] = [{"name": "id", "in": "path", "value": "$inputs.id"}]  # type: ignore[assignment]
    dag = workflow_dag(
        workflow("w", {"stepId": "a"}, later, inputs=inputs), operations=["POST /a", "POST /b/{id}"]
    )
    ran = run_dag(dag, {}, connections={"api": api.connection()})
    assert ran.states == {"a": "failed", "b": "upstream_failed"}
    assert "Nothing was sent." in ran.log
    assert api.requests == []
    ran = run_dag(dag, {"id": "x"}, connections={"api": api.connection()})
    assert ran.state == "success"
    assert api.paths == ["/a", "/b/x"]


def told(ran: Any) -> list[str]:
    """What the operator wrote into its log."""
    lines = [line for line in ran.log.splitlines() if "ArazzoStepOperator]" in line]
    return [line.split("]", 1)[1].split(" [airflow.task")[0].strip() for line in lines]


def test_the_log_tells_no_query_values(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    step = {
        "stepId": "a",
        "parameters": [{"name": "filter", "in": "query", "value": "private-value"}],
        "outputs": {"first": "$response.body#/x", "second": "$statusCode"},
    }
    dag = workflow_dag(workflow("w", step), operations=["GET /a"])
    api.answer("/a", {"x": "private-answer"})
    ran = run_dag(dag, connections={"api": api.connection()})
    assert api.requests[0].target == "/a?filter=private-value"
    texts = told(ran)
    assert texts[0] == "step 'a' of workflow 'w': a, GET /a of api"
    assert texts[1] == "a: GET /a"
    assert re.fullmatch(r"a: status 200, 23 bytes, after \d+ ms", texts[2])
    assert texts[3] == "a: criterion holds: status 200 is 2xx (no successCriteria)"
    assert texts[4] == "outputs: first, second"
    assert "private" not in "".join(texts)


@pytest.mark.parametrize("asked", [False, True])
def test_bodies_only_on_request(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, key: str, asked: bool
) -> None:
    pin, token = "pin-" + secrets.token_urlsafe(24), "tok-" + secrets.token_urlsafe(24)
    inputs = {"type": "object", "properties": {"pin": {"type": "string", "writeOnly": True}}}
    json_body = {"contentType": "application/json", "payload": {"amount": 7, "pin": "$inputs.pin"}}
    steps = [
        {"stepId": "a", "requestBody": json_body, "outputs": {"token": "$response.body#/token"}},
        {
            "stepId": "b",
            "parameters": [{"name": "api-key", "in": "header", "value": "$steps.a.outputs.token"}],
        },
        {"stepId": "c"},
    ]
    api.answer("/a", {"token": token, "plain": "in-a"})
    api.answer("/b", {"line": f"one\ntwo {token} {key}", "plain": "in-b"})
    api.answer("/c", Answer(200, b"\xff\xfe"))
    dag = workflow_dag(workflow("w", *steps, inputs=inputs), operations=["POST /a", "POST /b", "GET /c"])
    extra = {"secrets": {"pin": pin}, **({"log_bodies": True} if asked else {})}
    ran = run_dag(dag, connections={"api": api.connection(password=key, extra=extra)})
    assert ran.state == "success"
    bodies = [line.partition(": body of the ")[2] for line in told(ran) if ": body of the " in line]
    assert bodies == (
        [
            'request: {"amount":7,"pin":"***"}',
            "response: (not shown, it holds a credential)",
            'response: {"line": "one\\ntwo *** ***", "plain": "in-b"}',
            "response: 2 bytes that are no text",
        ]
        if asked
        else []
    )
    assert leaks(key, pin, token) == []
    assert not any(each in ran.log for each in (key, pin, token))
