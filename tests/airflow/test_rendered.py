"""The Rendered Templates tab: the request that was sent, and what came of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from scripted import KEY, Answer, ScriptedApi, retry, workflow

JSON = {"contentType": "application/json", "payload": {"amount": 7, "note": "$inputs.note"}}
INPUTS = {"type": "object", "properties": {"note": {"type": "string"}}}


def rendered(ran: Any, task_id: str) -> dict[str, Any]:
    """What the tab shows, out of the API server's own table."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return dict(
            session.scalars(
                select(RenderedTaskInstanceFields.rendered_fields).where(
                    RenderedTaskInstanceFields.dag_id == ran.run.dag_id,
                    RenderedTaskInstanceFields.run_id == ran.run.run_id,
                    RenderedTaskInstanceFields.task_id == task_id,
                )
            ).one()
        )


def order(**fields: Any) -> dict[str, Any]:
    parameters = [
        {"name": "limit", "in": "query", "value": "private"},
        {"name": "X-Tenant", "in": "header", "value": "private"},
    ]
    return {"stepId": "a", "parameters": parameters, "requestBody": JSON, **fields}


@pytest.mark.parametrize("bodies", [False, True])
def test_request_and_response(workflow_dag: Any, run_dag: Any, api: ScriptedApi, bodies: bool) -> None:
    dag = workflow_dag(workflow("w", order(), inputs=INPUTS), operations=["POST /a"])
    headers = {"Set-Cookie": "session=private", "X-Account": "private-too", "Request-Id": "r1"}
    api.answer("/a", Answer(200, {"id": 5, "echo": KEY}, headers))
    ran = run_dag(dag, {"note": "hi"}, connections={"api": api.connection(extra={"log_bodies": bodies})})
    assert ran.state == "success"
    shown = rendered(ran, "a")
    request, response = shown["request"], shown["response"]
    assert request["method"] == "POST"
    assert request["url"] == f"{api.url}/a?limit=…"
    assert request["step"] == "a"
    assert request["headers"]["Content-Type"] == "application/json"
    assert "Authorization" not in json.dumps(request)
    assert response["status"] == 200
    assert response["milliseconds"] >= 0
    assert response["headers"]["Request-Id"] == "r1"
    assert "Set-Cookie" in response["headers"]["(not shown)"]
    assert KEY not in json.dumps(shown)
    assert "session=private" not in json.dumps(shown)
    if bodies:
        assert request["body"] == '{"amount":7,"note":"hi"}'
        assert response["body"] == '{"id": 5, "echo": "***"}'
        assert request["headers"]["X-Tenant"] == "private"
        assert response["headers"]["X-Account"] == "private-too"
    else:
        assert re.fullmatch(r"24 bytes, not shown: .*log_bodies.*", request["body"])
        assert "X-Tenant" in request["headers"]["(not shown)"]
        assert "private" not in json.dumps(shown)
        assert "echo" not in json.dumps(response)


def test_a_failed_task(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """It shows the last of its requests."""
    dag = workflow_dag(
        workflow("w", order(onFailure=[retry("again", retryLimit=1, retryAfter=0)]), inputs=INPUTS),
        operations=["POST /a"],
    )
    api.answer("/a", Answer(404), Answer(422, {"error": "no"}))
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.states == {"a": "failed"}
    shown = rendered(ran, "a")
    assert shown["request"]["note"] == "the last of 2 requests"
    assert shown["response"]["status"] == 422


def test_no_response(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = workflow_dag(workflow("w", {"stepId": "a"}), operations=["POST /a"])
    api.decide = lambda _: None
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.states == {"a": "failed"}
    shown = rendered(ran, "a")
    assert shown["request"]["url"] == "/a"
    assert "status" not in shown["response"]
    assert shown["response"]["note"]


def test_a_stored_response(workflow_dag: Any, run_dag: Any, clear_and_run: Any, api: ScriptedApi) -> None:
    dag = workflow_dag(workflow("w", order(), inputs=INPUTS), operations=["POST /a"], ledger=True)
    ran = run_dag(dag, {"note": "hi"}, connections={"api": api.connection()})
    again = clear_and_run(ran, dag, "a")
    assert api.paths == ["/a"]
    assert rendered(again, "a")["response"]["note"] == "read from the ledger; nothing was sent"
    assert rendered(again, "a")["response"]["status"] == 200


def test_nothing_is_written_again_where_nothing_was_sent(
    workflow_dag: Any, run_dag: Any, api: ScriptedApi
) -> None:
    body = {"contentType": "application/json", "payload": {"text": "evt-{$inputs.note}"}}
    dag = workflow_dag(
        workflow("w", {"stepId": "a", "requestBody": body}, inputs=INPUTS), operations=["POST /a"]
    )
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.states == {"a": "failed"}
    assert api.requests == []
    assert rendered(ran, "a")["request"] is None
