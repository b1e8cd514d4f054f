"""Lookups that settle unknown outcomes, in real runs of tasks."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from scripted import Answer, ScriptedApi, workflow

from airflow_arazzo.operators.effects import ledger_url

STEPS = [
    {"stepId": "a", "outputs": {"ref": "$response.body#/ref"}},
    {
        "stepId": "b",
        "requestBody": {"contentType": "application/json", "payload": {"amount": 7}},
        "outputs": {"id": "$response.body#/id"},
    },
]
PROBE = {
    "operationId": "found-{id}",
    "parameters": [{"name": "id", "in": "path", "value": "$steps.a.outputs.ref"}],
    "happened": ["$response.body#/id != null"],
    "not_happened": ["$statusCode == 404"],
    "response": True,
    "wait": 6,
}
OPERATIONS = ["POST /a", "POST /b", "GET /found/{id}"]


def audit() -> list[str]:
    with sqlite3.connect(ledger_url().removeprefix("sqlite:///")) as opened:
        rows = opened.execute("SELECT action FROM arazzo_effect_audit WHERE key != '' ORDER BY id").fetchall()
    return [str(action) for (action,) in rows]


def test_what_happened_is_found(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """The lookup reads what another task has left."""
    api.answer("/a", {"ref": "r-1"})
    api.answer("/b", 500)
    api.answer("/found/r-1", {"id": "b-1"})
    dag = workflow_dag(workflow("w", *STEPS), operations=OPERATIONS, probes={"b": PROBE})
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.state == "success"
    assert ran.xcom("b") == {"id": "b-1"}
    assert api.paths == ["/a", "/b", "/found/r-1"]
    assert "b: it took effect: GET /found/{id}: status 200; happened if" in ran.log
    assert "b (lookup): GET /found/r-1" in ran.log
    assert audit()[-1] == "probe-happened"


def test_what_did_not_happen_is_sent_anew(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """After a wait without a slot, by Airflow's retry."""
    api.answer("/a", {"ref": "r-2"})
    api.answer("/b", Answer(503), Answer(200, {"id": "b-2"}))
    api.answer("/found/r-2", 404)
    dag = workflow_dag(workflow("w", *STEPS), operations=OPERATIONS, probes={"b": PROBE})
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.state == "success"
    assert ran.xcom("b") == {"id": "b-2"}
    assert api.paths == ["/a", "/b", "/found/r-2", "/found/r-2", "/b"]
    assert "not known yet whether it took effect" in ran.log
    assert "giving the slot back" in ran.log
    assert "it was sent and had no effect" in ran.log
    assert audit()[-1] == "probe-not-happened"


def test_what_cannot_be_told_is_left_for_a_person(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    api.answer("/a", {"ref": "r-3"})
    api.answer("/b", 500)
    api.answer("/found/r-3", 500)
    dag = workflow_dag(workflow("w", *STEPS), operations=OPERATIONS, probes={"b": {**PROBE, "wait": 0}})
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.states == {"a": "success", "b": "failed"}
    assert api.paths == ["/a", "/b", "/found/r-3"]
    assert "The lookup does not tell: GET /found/{id}: status 500" in ran.log


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"probes": {"c": PROBE}}, "probes['c']:1:1: error: there is no step 'c' [unknown-step]"),
        ({"probes": {"b": {**PROBE, "operationId": "a"}}}, "error: POST /a may change something"),
        ({"probes": {"b": PROBE}, "ledger": False}, "probes: lookups settle what the ledger does not know"),
    ],
)
def test_what_a_deployment_gets_wrong(workflow_dag: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        workflow_dag(workflow("w", *STEPS), operations=OPERATIONS, **given)
    assert said in str(caught.value)


def test_a_step_of_a_called_workflow(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    api.answer("/b", 500)
    api.answer("/found/seven", {"id": "b-1"})
    inner = workflow("inner", STEPS[1], outputs={"id": "$steps.b.outputs.id"})
    outer = workflow("w", {"stepId": "call", "workflowId": "inner"}, outputs={"id": "$steps.call.outputs.id"})
    probe = {**PROBE, "parameters": [{"name": "id", "in": "path", "value": "seven"}]}
    dag = workflow_dag(outer, inner, operations=OPERATIONS, probes={"inner.b": probe})
    ran = run_dag(dag, connections={"api": api.connection()})
    assert ran.state == "success"
    assert ran.xcom("call.b", "workflow_outputs") == {"id": "b-1"}
    assert api.paths == ["/b", "/found/seven"]
