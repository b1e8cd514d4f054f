"""Steps side by side (``parallel=True``): shape, failures, outputs; and what tasks ask Airflow for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes import Store, context
from scripted import ScriptedApi, goto, workflow, write

OPERATIONS = [f"POST /{name}" for name in "abcde"]
N = {"n": "$response.body#/n"}


def reading(name: str, *others: str, **fields: Any) -> dict[str, Any]:
    payload = {other: f"$steps.{other}.outputs.n" for other in others}
    body = {"contentType": "application/json", "payload": payload}
    return {"stepId": name, "outputs": N, **({"requestBody": body} if others else {}), **fields}


STEPS = [reading("a"), reading("b"), reading("c", "a"), reading("d", "a", "b"), reading("e")]


def edges(dag: Any) -> dict[str, set[str]]:
    return {task.task_id: set(task.upstream_task_ids) for task in dag.tasks}


def run(run_dag: Any, dag: Any, api: ScriptedApi, **kwargs: Any) -> Any:
    return run_dag(dag, connections={"api": api.connection()}, **kwargs)


def test_one_after_the_other_unless_asked(workflow_dag: Any) -> None:
    dag = workflow_dag(workflow("w", *STEPS), operations=OPERATIONS)
    assert edges(dag) == {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"c"}, "e": {"d"}}


def test_side_by_side(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """The workflow's outputs come from all ends; a value that an API gave is read where it is named."""
    outputs = {"x": "$steps.c.outputs.n", "y": "$steps.e.outputs.n", "z": "$inputs.z"}
    inputs = {"type": "object", "properties": {"z": {"type": "integer", "default": 5}}}
    dag = workflow_dag(
        workflow("w", *STEPS, outputs=outputs, inputs=inputs), operations=OPERATIONS, parallel=True
    )
    assert edges(dag) == {
        "a": set(),
        "b": set(),
        "c": {"a"},
        "d": {"a", "b"},
        "e": set(),
        "outputs": {"c", "d", "e"},
    }
    for number, name in enumerate("abcde"):
        api.answer(f"/{name}", {"n": number})
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    assert set(ran.states.values()) == {"success"}
    assert sorted(api.paths) == ["/a", "/b", "/c", "/d", "/e"]
    bodies = {request.target: request.body for request in api.requests}
    assert (bodies["/c"], bodies["/d"]) == ('{"a":0}', '{"a":0,"b":1}')
    assert ran.xcom("outputs", "workflow_outputs") == {"x": 2, "y": 4, "z": 5}
    assert [key for key in ran.xcoms() if key[1] == "workflow_outputs"] == [("outputs", "workflow_outputs")]
    assert "goes on with" not in ran.log


def test_a_failed_branch(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """What depends on it does not run, what does not may; the run never ends green."""
    dag = workflow_dag(workflow("w", *STEPS), operations=OPERATIONS, parallel=True)
    assert "outputs" not in edges(dag)
    api.answer("/b", 404)
    ran = run(run_dag, dag, api)
    assert ran.states == {
        "a": "success",
        "b": "failed",
        "c": "success",
        "d": "upstream_failed",
        "e": "success",
    }
    assert ran.state == "failed"


def test_an_output_that_cannot_be_had(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = workflow_dag(
        workflow("w", reading("a"), reading("b"), outputs={"x": "is {$steps.a.outputs.n}"}),
        operations=OPERATIONS,
        parallel=True,
    )
    ran = run(run_dag, dag, api)
    assert ran.states == {"a": "success", "b": "success", "outputs": "failed"}
    assert "an output of the workflow cannot be had" in ran.log


def test_jumps_keep_their_meaning(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """Everything before a jump comes first, everything behind its target later."""
    steps = [
        reading("a"),
        reading("b"),
        reading("c", onSuccess=[goto("on", "d", "$statusCode == 200")]),
        reading("d"),
        reading("e"),
    ]
    steps.insert(3, {"stepId": "x", "operationId": "e"})
    dag = workflow_dag(workflow("w", *steps), operations=OPERATIONS, parallel=True)
    ran = run(run_dag, dag, api)
    assert ran.states == {
        "a": "success",
        "b": "success",
        "c": "success",
        "x": "skipped",
        "d": "success",
        "e": "success",
    }
    assert api.paths[-3:] == ["/c", "/d", "/e"]


def test_every_first_task_looks_before_it_sends(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    """A run that cannot succeed sends nothing, whichever task comes first."""
    needed = {"contentType": "application/json", "payload": {"n": "is {$inputs.n}"}}
    inputs = {"type": "object", "properties": {"n": {"type": "integer"}}}
    steps = [{"stepId": "a"}, {"stepId": "b", "requestBody": needed}, {"stepId": "c"}]
    dag = workflow_dag(workflow("w", *steps, inputs=inputs), operations=OPERATIONS, parallel=True)
    ran = run(run_dag, dag, api)
    assert set(ran.states.values()) == {"failed"}
    assert api.requests == []


def test_dependencies_run_once(workflow_dag: Any, run_dag: Any, api: ScriptedApi) -> None:
    before = workflow("before", {"stepId": "d", "outputs": N}, outputs={"n": "$steps.d.outputs.n"})
    named = {"contentType": "application/json", "payload": {"n": "$workflows.before.outputs.n"}}
    dag = workflow_dag(
        workflow(
            "w", {"stepId": "a"}, {"stepId": "b"}, {"stepId": "c", "requestBody": named}, dependsOn=["before"]
        ),
        before,
        operations=OPERATIONS,
        parallel=True,
    )
    assert edges(dag) == {"a": set(), "b": {"a"}, "c": {"a"}}
    api.answer("/d", {"n": 4})
    assert run(run_dag, dag, api).state == "success"
    assert sorted(api.paths) == ["/a", "/b", "/c", "/d"]
    assert next(r.body for r in api.requests if r.target == "/c") == '{"n":4}'


def test_in_a_task_group(tmp_path: Any, dag_file: Any, run_dag: Any, api: ScriptedApi) -> None:
    """One task comes last, for those after the group."""
    document = write(
        tmp_path, workflow("w", *STEPS, outputs={"n": "$steps.e.outputs.n"}), operations=OPERATIONS
    )
    source = f"""
from airflow.sdk import DAG, task
from airflow_arazzo import ArazzoTaskGroup

with DAG("host") as dag:
    group = ArazzoTaskGroup({str(document)!r}, parallel=True)

    @task
    def after(given, one):
        print("given", given, one)

    after(group.output, group.output["n"])
"""
    api.answer("/e", {"n": 8})
    dag = dag_file("host", source).dag
    assert dag.get_task("after").upstream_task_ids == {"w.outputs"}
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    assert "given {'n': 8} 8" in ran.log
    api.answer("/e", 404)
    failed = run(run_dag, dag, api)
    assert failed.state == "failed"
    assert failed.states["after"] == "upstream_failed"


@pytest.mark.parametrize(
    ("task", "asked"),
    [
        ("a", {}),
        ("b", {}),
        ("c", {"xcom_pull": 1}),
        ("d", {"xcom_pull": 2}),
    ],
)
def test_what_a_plain_step_asks_airflow_for(
    workflow_dag: Any, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch, task: str, asked: dict[str, int]
) -> None:
    """Its connection, and the outputs that it reads. Nothing of it may become more by and by."""
    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps(api.connection()))
    dag = workflow_dag(workflow("w", *STEPS[:4], reading("e")), operations=OPERATIONS, ledger=False)
    given = context(
        Store(),
        states=dict.fromkeys("abcde", "success"),
        xcoms={(name, "return_value"): {"n": 1} for name in "abcde"},
    )
    counts: dict[str, int] = {}

    def counting(name: str) -> Any:
        method = getattr(given["ti"], name)

        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name] = counts.get(name, 0) + 1
            return method(*args, **kwargs)

        return call

    for name in ("get_task_states", "xcom_pull", "xcom_push"):
        setattr(given["ti"], name, counting(name))
    dag.get_task(task).execute(given)
    assert counts == {name: count for name, count in asked.items() if count}
