"""Secrets that an API echoes, in every form and place, are nowhere in what a run leaves behind.

Looked through are all files that Airflow, the plan cache and the ledger have written, and the log.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from scripted import Answer, ScriptedApi, goto, retry, workflow, write
from test_secrets import leaks

HOME = Path(os.environ["AIRFLOW_HOME"])
LEDGER = HOME / "arazzo_ledger.db"


def forms(*values: str) -> dict[str, Any]:
    """Values as services echo them."""
    found: dict[str, Any] = {}
    for number, value in enumerate(values):
        texts = [value, f"Bearer {value}", f'{{"k": "{value}"}}', f"a={value}&b=c"]
        found[f"plain {number}"] = texts
        found[f"base64 {number}"] = [b64encode(text.encode()).decode() for text in texts]
        found[f"base64url {number}"] = [urlsafe_b64encode(text.encode()).decode() for text in texts]
        found[f"quoted {number}"] = [quote(text, safe="") for text in texts] + [quote(quote(value, safe=""))]
        found[f"form {number}"] = [quote_plus(text) for text in texts]
        found[f"name {number}"] = {value: 1, f"x-{value}": {value: value}}
    return found


def headers(*values: str) -> dict[str, str]:
    """Headers that echo values; a session that nobody asked for is one, too."""
    coded = [b64encode(value.encode()).decode() for value in values]
    return {
        "X-Echo": " ".join((*values, *coded, *map(quote_plus, values))),
        "Set-Cookie": f"session={quote_plus(values[0])}",
        "WWW-Authenticate": f'Bearer error="bad token {values[0]}"',
        "Location": f"http://127.0.0.1:9/{quote(values[0], safe='')}?k={quote_plus(values[0])}&c={coded[0]}",
    }


class Secrets:
    """Secrets of one run, different in every encoding."""

    def __init__(self) -> None:
        def new(prefix: str) -> str:
            return f'{prefix}/{secrets.token_urlsafe(24)}+"='

        self.key, self.pin, self.hook = new("sk"), new("pin"), new("hook")
        self.token = "tok." + secrets.token_urlsafe(24)
        self.inner = "inner." + secrets.token_urlsafe(24)

    @property
    def all(self) -> tuple[str, ...]:
        return self.key, self.pin, self.hook, self.token, self.inner


@pytest.fixture
def hidden() -> Secrets:
    return Secrets()


def billing() -> dict[str, Any]:
    """A login, an order that carries every secret, and a look at what came of it."""
    send = {"contentType": "application/json"}
    token = {"name": "api-key", "in": "header", "value": "$steps.login.outputs.token"}
    inner = {
        "name": "Authorization",
        "in": "header",
        "value": "Bearer {$steps.login.outputs.all#/deep/inner}",
    }
    criteria = [
        {"condition": "$statusCode == 200"},
        {"condition": "$response.body#/n != $inputs.pin"},
        {"condition": "$response.header.X-Echo != 'x'"},
        {"context": "$response.body", "type": "jsonpath", "condition": "$.n != 'x'"},
    ]
    outputs = {"all": "$response.body", "n": "$response.body#/n", "header": "$response.header.X-Echo"}
    return workflow(
        "w",
        {
            "stepId": "login",
            "requestBody": {**send, "payload": {"pin": "$inputs.pin"}},
            "outputs": {"token": "$response.body#/token", "all": "$response.body"},
        },
        {
            "stepId": "order",
            "parameters": [
                {"name": "access_token", "in": "query", "value": "$steps.login.outputs.token"},
                inner,
            ],
            "requestBody": {**send, "payload": {"pin": "$inputs.pin", "hook": "$inputs.hook", "amount": 7}},
            "successCriteria": criteria,
            "outputs": outputs,
        },
        {"stepId": "look", "parameters": [token, inner], "outputs": {"more": "$response.body"}},
        inputs={
            "type": "object",
            "required": ["pin"],
            "properties": {
                "pin": {"type": "string", "format": "password"},
                "hook": {"type": "string", "writeOnly": True},
            },
        },
        outputs={"all": "$steps.order.outputs.all", "more": "$steps.look.outputs.more"},
    )


OPERATIONS = ["POST /login", "POST /order", "GET /look"]


def answers(api: ScriptedApi, hidden: Secrets, order: int) -> None:
    """Every answer echoes every secret that the service knows by then."""
    early = (hidden.key, hidden.pin)
    api.answer(
        "/login",
        Answer(
            200,
            {"token": hidden.token, "deep": {"inner": hidden.inner}, "echo": forms(*early)},
            headers(*early),
        ),
    )
    body = {"n": hidden.key, "echo": forms(*hidden.all)}
    api.answer("/order", Answer(order, body, headers(*hidden.all)))
    api.answer("/look", Answer(200, body, headers(*hidden.all)))


def connection(api: ScriptedApi, hidden: Secrets, **extra: Any) -> dict[str, Any]:
    given = {"secrets": {"pin": hidden.pin, "hook": hidden.hook}, **extra}
    return api.connection(password=hidden.key, extra=given)


def ledgered() -> list[dict[str, Any]]:
    """Rows of the ledger."""
    with sqlite3.connect(LEDGER) as opened:
        opened.row_factory = sqlite3.Row
        return [dict(row) for row in opened.execute("SELECT * FROM arazzo_effect")]


@pytest.mark.parametrize(
    ("order", "bodies"),
    [(status, False) for status in (200, 201, 303, 307, 400, 401, 409, 429, 500)]
    + [(200, True), (500, True)],
)
def test_an_api_that_echoes_everything(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, hidden: Secrets, order: int, bodies: bool
) -> None:
    answers(api, hidden, order)
    dag = workflow_dag(billing(), operations=OPERATIONS, ledger=True)
    ran = run_dag(dag, connections={"api": connection(api, hidden, log_bodies=bodies)})
    assert ran.states["order"] == ("success" if order == 200 else "failed")
    sent = api.requests[1]
    assert sent.headers["Authorization"] == f"Bearer {hidden.inner}"
    assert all(each in str(api.requests) for each in (hidden.token, hidden.inner))
    rows = [row for row in ledgered() if dag.dag_id in row["run"] and row["step"] == "order"]
    assert rows
    assert "***" in rows[-1]["request"]
    assert '"amount":7' in rows[-1]["request"]
    if order == 200:
        assert b"***" in rows[-1]["response"]
        assert ran.xcom("order")["n"] == "***"
        assert "***" in str(ran.xcom("look")["more"])
    assert leaks(*hidden.all) == []
    for each in hidden.all:
        assert each not in ran.log
        assert quote_plus(each) not in ran.log
        assert b64encode(each.encode()).decode() not in ran.log


def test_a_task_that_waits_and_is_cleared(
    workflow_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi, hidden: Secrets
) -> None:
    """In the task's stored state, in XComs of two attempts, and in what the ledger gives back."""
    document = billing()
    order, look = document["steps"][1], document["steps"][2]
    order["onFailure"] = [retry("again", "$statusCode == 429", retryAfter=6, retryLimit=2)]
    look["onSuccess"] = [goto("more", "look", "$response.body#/open == true")]
    answers(api, hidden, 200)
    echo = {"n": hidden.key, "echo": forms(*hidden.all)}
    limited = Answer(429, echo, {**headers(*hidden.all), "Retry-After": "6"})
    api.answer("/order", limited, Answer(200, echo, headers(*hidden.all)))
    open_, closed = {**echo, "open": True}, {**echo, "open": False}
    api.answer("/look", Answer(200, open_, {"Retry-After": "6"}), Answer(200, closed))
    dag = workflow_dag(document, operations=OPERATIONS, ledger=True)
    ran = run_dag(dag, connections={"api": connection(api, hidden)})
    assert ran.state == "success"
    assert ran.log.count("giving the slot back") == 2
    again = clear_and_run(ran, dag, "order")
    assert again.state == "success"
    assert api.paths.count("/order") == 2
    assert "its stored response is read again" in again.log
    assert again.xcom("order")["n"] == "***"
    assert leaks(*hidden.all) == []
    assert not any(each in ran.log + again.log for each in hidden.all)


@pytest.mark.parametrize(
    ("scheme", "fields"),
    [
        ({"type": "http", "scheme": "basic"}, {"login": "me-and-nobody-else"}),
        ({"type": "http", "scheme": "bearer"}, {}),
        ({"type": "apiKey", "in": "query", "name": "access"}, {}),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, {}),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_keys_of_every_scheme(
    tmp_path: Path, dag_file: Any, run_dag: Any, api: ScriptedApi, scheme: Any, fields: Any, status: int
) -> None:
    """What is derived from a key, such as the header of basic authentication, is as secret as the key."""
    import json

    key = "sk_" + secrets.token_urlsafe(24)
    path = write(
        tmp_path, workflow("w", {"stepId": "a", "outputs": {"all": "$response.body"}}), operations=["POST /a"]
    )
    description = json.loads((tmp_path / "api.json").read_text())
    description["components"]["securitySchemes"]["key"] = scheme
    (tmp_path / "api.json").write_text(json.dumps(description))
    pair = b64encode(f"{fields.get('login', '')}:{key}".encode()).decode()
    derived = [key, pair] if fields else [key]
    api.answer("/a", Answer(status, {"n": key, "echo": forms(*derived)}, headers(*derived)))
    module = dag_file(
        "schemed", f"from airflow_arazzo import ArazzoDag\ndag = ArazzoDag({str(path)!r}, ledger=True)\n"
    )
    ran = run_dag(module.dag, connections={"api": api.connection(password=key, **fields)})
    assert ran.state == ("success" if status == 200 else "failed")
    assert any(each in str(api.requests[0]) for each in derived)
    assert leaks(*derived) == []
    assert not any(each in ran.log for each in derived)


def test_the_search_finds_what_the_ledger_has(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi, hidden: Secrets
) -> None:
    """The tests above can fail: what is no secret is there."""
    api.answer("/order", {"n": hidden.key})
    step = {"stepId": "order", "outputs": {"n": "$response.body#/n"}}
    ran = run_dag(
        workflow_dag(workflow("w", step), operations=["POST /order"], ledger=True),
        connections={"api": api.connection()},
    )
    assert ran.state == "success"
    assert any(each.startswith(LEDGER.name) for each in leaks(hidden.key))
