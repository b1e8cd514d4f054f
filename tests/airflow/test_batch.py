"""Workflows over rows in Airflow: what each row asks for, what becomes of it, and what runs again."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from scripted import Answer, ScriptedApi, end, goto, retry, workflow

OPERATIONS = ["POST /a", "GET /b", "POST /c", "POST /d"]
INPUTS = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "amount": {"type": "number"}, "kind": {"type": "string"}},
    "required": ["id"],
}
BODY = {"contentType": "application/json", "payload": {"id": "$inputs.id", "amount": "$inputs.amount"}}
KEYED = {"api": {"header": "Idempotency-Key"}}


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"c-{number}", "amount": number} for number in range(count)]


def pay(**fields: Any) -> dict[str, Any]:
    return {"stepId": "a", "requestBody": BODY, "outputs": {"n": "$response.body#/n"}, **fields}


def states(ran: Any) -> dict[str, list[str]]:
    """States of all instances by task, in the order of chunks."""
    found: dict[str, list[tuple[int, str]]] = {}
    for each in ran.run.get_task_instances():
        found.setdefault(each.task_id, []).append((each.map_index, str(each.state)))
    return {task: [state for _, state in sorted(listed)] for task, listed in found.items()}


def report(ran: Any) -> dict[str, Any]:
    found: dict[str, Any] = ran.xcom("report")
    return found


@pytest.fixture
def batch_dag(workflow_dag: Any, tmp_path: Path) -> Callable[..., Any]:
    """A DAG over rows: ``batch_dag(*steps, for_each=…)``."""

    def make(*steps: Any, outputs: Any = None, operations: Any = OPERATIONS, **kwargs: Any) -> Any:
        fields = {"outputs": outputs} if outputs else {}
        kwargs = {"row_key": "id", "rows_folder": f"file://{tmp_path}/rows", **kwargs}
        return workflow_dag(
            workflow("w", *steps, inputs=INPUTS, **fields), operations=operations, **kwargs
        )

    return make


def run(run_dag: Any, dag: Any, api: ScriptedApi, **kwargs: Any) -> Any:
    for task in dag.tasks:
        if task.task_id.startswith("chunks."):
            from datetime import timedelta

            task.retry_policy = None
            task.retry_delay = timedelta(0)
    return run_dag(dag, connections={"api": api.connection(), **kwargs.pop("connections", {})}, **kwargs)


def ids(api: ScriptedApi, path: str = "/a") -> Counter[str]:
    return Counter(
        json.loads(request.body)["id"] for request in api.requests if request.target.startswith(path)
    )


def test_rows_of_a_list(batch_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    api.answer("/a", {"n": 7})
    dag = batch_dag(
        pay(), {"stepId": "b"}, for_each=rows(7), batch_size=3, outputs={"n": "$steps.a.outputs.n"}
    )
    ran = run(run_dag, dag, api)
    assert ran.state == "success", ran.log
    ok = ["success"] * 3
    assert states(ran) == {"rows": ["success"], "chunks.a": ok, "chunks.b": ok, "report": ["success"]}
    assert ids(api) == {f"c-{number}": 1 for number in range(7)}
    assert api.paths.count("/b") == 7
    found = report(ran)
    assert {name: found[name] for name in ("rows", "succeeded", "failed", "set_aside")} == {
        "rows": 7,
        "succeeded": 7,
        "failed": 0,
        "set_aside": 0,
    }
    assert [(each["key"], each["outputs"]) for each in found["outputs"]] == [
        (f"c-{number}", {"n": 7}) for number in range(7)
    ]
