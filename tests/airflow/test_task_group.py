"""Workflows as task groups inside other DAGs."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from scripted import Answer, ScriptedApi, end, goto, workflow, write

INPUTS = {
    "type": "object",
    "required": ["x"],
    "properties": {"x": {"type": "integer"}, "y": {"type": "number"}},
}
SEND = {"requestBody": {"contentType": "application/json", "payload": {"x": "$inputs.x", "y": "$inputs.y"}}}
OUTPUTS = {"n": "$response.body#/n"}
LINEAR = workflow(
    "w",
    {"stepId": "a", **SEND, "outputs": OUTPUTS},
    {"stepId": "b"},
    inputs=INPUTS,
    outputs={"n": "$steps.a.outputs.n"},
)
BRANCHING = workflow(
    "w",
    {"stepId": "a", **SEND, "onSuccess": [end("enough", "$response.body#/n == 1")], "outputs": OUTPUTS},
    {"stepId": "b", "onSuccess": [goto("skip", "d", "$statusCode == 202")]},
    {"stepId": "c"},
    {"stepId": "d"},
    inputs=INPUTS,
    outputs={"n": "$steps.a.outputs.n"},
)
OPERATIONS = ["POST /a", "POST /b", "POST /c", "POST /d"]


@pytest.fixture
def host(tmp_path: Path, dag_file: Any) -> Any:
    """A DAG around groups: ``host(workflow, source)``, where the source may use ``document``."""

    def make(written: Any, source: str, **kwargs: Any) -> Any:
        document = write(tmp_path, written, operations=OPERATIONS)
        head = (
            "from airflow.sdk import DAG, TaskGroup, task\n"
            "from airflow_arazzo import ArazzoTaskGroup\n"
            f"document = {str(document)!r}\n"
        )
        return dag_file("host", head + textwrap.dedent(source)).dag

    return make


def run(run_dag: Any, dag: Any, api: ScriptedApi, conf: Any = None, **more: Any) -> Any:
    return run_dag(dag, conf, connections={"api": api.connection(), **more})


def test_inputs_from_upstream_and_output_for_downstream(host: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = host(
        LINEAR,
        """
        with DAG("host") as dag:
            @task(multiple_outputs=True)
            def before():
                return {"x": 3}

            @task
            def after(found, n):
                return found["n"] + n

            group = ArazzoTaskGroup(document, inputs={"x": before()["x"], "y": "{{ '10.10' }}"})
            after(group.output, group.output["n"])
        """,
    )
    assert dag.task_ids == ["before", "w.a", "w.b", "after"]
    assert dag.get_task("w.a").upstream_task_ids >= {"before"}
    assert list(dag.params) == []
    api.answer("/a", {"n": 7})
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    assert api.bodies == ['{"x":3,"y":10.10}', ""]
    assert ran.xcom("after") == 14


def test_the_configuration_of_the_host_is_its_own(host: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = host(LINEAR, 'with DAG("host") as dag:\n    ArazzoTaskGroup(document, inputs={"x": 1})\n')
    ran = run(run_dag, dag, api, {"x": 5, "anything": 1})
    assert ran.state == "success"
    assert api.bodies == ['{"x":1}', ""]


def test_missing_input(host: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = host(LINEAR, 'with DAG("host") as dag:\n    ArazzoTaskGroup(document)\n')
    ran = run(run_dag, dag, api)
    assert ran.state == "failed"
    assert "Nothing was sent. Input 'x' is required" in ran.log
    assert api.requests == []


def test_two_groups_of_the_same_document(host: Any, run_dag: Any, api: ScriptedApi) -> None:
    """The second takes its input from the first, digits and all."""
    dag = host(
        LINEAR,
        """
        with DAG("host") as dag:
            one = ArazzoTaskGroup(document, group_id="one", inputs={"x": 1})
            two = ArazzoTaskGroup(document, group_id="two", inputs={"x": 2, "y": one.output["n"]})
            one >> two
        """,
    )
    assert dag.task_ids == ["one.a", "one.b", "two.a", "two.b"]
    api.answer("/a", Answer(200, b'{"n": 10.10}'), {"n": 2})
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    assert api.bodies == ['{"x":1}', "", '{"x":2,"y":10.10}', ""]


def test_groups_without_prefix_and_in_groups(host: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = host(
        BRANCHING,
        """
        with DAG("host") as dag:
            with TaskGroup("outer"):
                ArazzoTaskGroup(document, group_id="inner", inputs={"x": 1})
            with TaskGroup("flat", prefix_group_id=False):
                ArazzoTaskGroup(document, group_id="bare", prefix_group_id=False, inputs={"x": 2})
        """,
    )
    names = ["a", "b", "c", "d", "outputs"]
    assert dag.task_ids == [*(f"outer.inner.{name}" for name in names), *names]
    api.answer("/a", {"n": 2})
    api.answer("/b", 202)
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    skipped = {"c", "outer.inner.c"}
    assert ran.states == {name: "skipped" if name in skipped else "success" for name in dag.task_ids}
    assert sorted(api.paths) == ["/a", "/a", "/b", "/b", "/d", "/d"]


@pytest.mark.parametrize("n", [1, 2])
def test_tasks_after_a_group_with_several_ends(host: Any, run_dag: Any, api: ScriptedApi, n: int) -> None:
    """They are not skipped with the way that was not taken, wherever the workflow has ended."""
    dag = host(
        BRANCHING,
        """
        with DAG("host") as dag:
            @task
            def after(found, n):
                return [found["n"], n]

            @task
            def last():
                return "ran"

            group = ArazzoTaskGroup(document, inputs={"x": 1})
            after(group.output, group.output["n"])
            group >> last()
        """,
    )
    api.answer("/a", {"n": n})
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    assert ran.xcom("after") == [n, n]
    assert ran.xcom("last") == "ran"
    assert api.paths == (["/a"] if n == 1 else ["/a", "/b", "/c", "/d"])


def test_a_failed_group_fails_its_host(host: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = host(
        BRANCHING,
        """
        with DAG("host") as dag:
            @task
            def after(found):
                return found

            after(ArazzoTaskGroup(document, inputs={"x": 1}).output)
        """,
    )
    api.answer("/c", 500)
    ran = run(run_dag, dag, api)
    assert ran.state == "failed"
    assert ran.states["w.outputs"] == "upstream_failed"
    assert ran.states["after"] == "upstream_failed"


def test_a_host_that_skips_the_group(host: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = host(
        BRANCHING,
        """
        from airflow.sdk.exceptions import AirflowSkipException

        with DAG("host") as dag:
            @task
            def before():
                raise AirflowSkipException("not today")

            @task
            def after(found):
                return found

            group = ArazzoTaskGroup(document, inputs={"x": 1})
            before() >> group
            after(group.output)
        """,
    )
    ran = run(run_dag, dag, api)
    assert set(ran.states.values()) == {"skipped"}
    assert api.requests == []


def test_connections_by_source(host: Any, run_dag: Any, api: ScriptedApi) -> None:
    dag = host(
        LINEAR,
        """
        with DAG("host") as dag:
            ArazzoTaskGroup(document, inputs={"x": 1}, connections={"api": "mine"})
        """,
    )
    ran = run_dag(dag, connections={"mine": api.connection(password="another key")})
    assert ran.state == "success"
    assert api.requests[0].headers["X-API-KEY"] == "another key"


@pytest.mark.parametrize("kind", ["linear", "branching"])
def test_mapped_group(host: Any, run_dag: Any, api: ScriptedApi, kind: str) -> None:
    """Every copy of a mapped group goes its own way, with its own outputs."""
    dag = host(
        LINEAR if kind == "linear" else BRANCHING,
        """
        from airflow.sdk import task_group

        with DAG("host") as dag:
            @task_group
            def each(x):
                ArazzoTaskGroup(document, inputs={"x": x})

            each.expand(x=[1, 2])
        """,
    )
    api.answer("/a", {"n": 1}, {"n": 2})
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    if kind == "linear":
        assert sorted(api.paths) == ["/a", "/a", "/b", "/b"]
    else:
        assert sorted(api.paths) == ["/a", "/a", "/b", "/c", "/d"]
