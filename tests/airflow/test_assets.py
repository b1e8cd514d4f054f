"""Workflows that update assets, and DAGs that are scheduled on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from scripted import KEY, Answer, ScriptedApi, end, workflow, write

OUTPUTS = {"n": "$response.body#/n", "long": "$response.body#/long"}
LINEAR = workflow(
    "w",
    {"stepId": "a", "outputs": OUTPUTS},
    {"stepId": "b"},
    outputs={"n": "$steps.a.outputs.n", "long": "$steps.a.outputs.long"},
)
BRANCHING = workflow(
    "w",
    {"stepId": "a", "outputs": OUTPUTS, "onSuccess": [end("enough", "$response.body#/n == 1")]},
    {"stepId": "b"},
    outputs={"n": "$steps.a.outputs.n", "long": "$steps.a.outputs.long"},
)
OPERATIONS = ["POST /a", "POST /b"]


def source(document: Path, more: str = "") -> str:
    return (
        "from airflow.sdk import DAG, Asset\n"
        "from airflow_arazzo import ArazzoDag, ArazzoTaskGroup\n"
        f"document = {str(document)!r}\n"
        "billed = Asset('billed')\n"
    ) + more


PRODUCER = "dag = ArazzoDag(document, 'w', dag_id='producer', outlets=[billed])\n"


@pytest.fixture
def events(database: None) -> Callable[..., list[tuple[str, Any]]]:
    """Events of the asset ``billed`` of a run: the task that caused each, and its extra."""

    def found(ran: Any) -> list[tuple[str, Any]]:
        from airflow.models.asset import AssetEvent
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            rows = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == ran.run.run_id))
            return [(row.source_task_id, row.extra) for row in rows if row.asset.name == "billed"]

    return found


def run(run_dag: Any, dag: Any, api: ScriptedApi, **kwargs: Any) -> Any:
    return run_dag(dag, connections={"api": api.connection()}, **kwargs)


def test_a_workflow_that_succeeds_updates_its_assets(
    tmp_path: Path, dag_file: Any, run_dag: Any, api: ScriptedApi, events: Any
) -> None:
    document = write(tmp_path, LINEAR, operations=OPERATIONS)
    dag = dag_file("producer", source(document, PRODUCER)).dag
    assert dag.task_ids == ["a", "b"]
    api.answer("/a", Answer(200, b'{"n": 10.10, "long": "x"}'))
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    assert events(ran) == [("b", {"n": {"$decimal": "10.10"}, "long": "x"})]


def test_a_workflow_that_fails_updates_none(
    tmp_path: Path, dag_file: Any, run_dag: Any, api: ScriptedApi, events: Any
) -> None:
    document = write(tmp_path, LINEAR, operations=OPERATIONS)
    dag = dag_file("producer", source(document, PRODUCER)).dag
    api.answer("/b", 400)
    ran = run(run_dag, dag, api)
    assert ran.state == "failed"
    assert events(ran) == []


@pytest.mark.parametrize("n", [1, 2])
def test_wherever_it_ends(
    tmp_path: Path, dag_file: Any, run_dag: Any, api: ScriptedApi, events: Any, n: int
) -> None:
    document = write(tmp_path, BRANCHING, operations=OPERATIONS)
    dag = dag_file("producer", source(document, PRODUCER)).dag
    assert dag.task_ids == ["a", "b", "outputs"]
    api.answer("/a", {"n": n, "long": "x" * 2000})
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    assert events(ran) == [("outputs", {"n": n})]
    api.answer("/a", {"n": 2})
    api.answer("/b", 500)
    ran = run(run_dag, dag, api)
    assert ran.state == "failed"
    assert events(ran) == []


def test_secrets_are_not_in_events(
    tmp_path: Path, dag_file: Any, run_dag: Any, api: ScriptedApi, events: Any
) -> None:
    """A token that later steps send, and a key that the API echoes."""
    written = workflow(
        "w",
        {"stepId": "a", "outputs": {"token": "$response.body#/token", "echo": "$response.body#/echo"}},
        {
            "stepId": "b",
            "parameters": [
                {"name": "Authorization", "in": "header", "value": "Bearer {$steps.a.outputs.token}"}
            ],
        },
        outputs={"token": "$steps.a.outputs.token", "echo": "$steps.a.outputs.echo"},
    )
    document = write(tmp_path, written, operations=OPERATIONS)
    dag = dag_file("producer", source(document, PRODUCER)).dag
    api.answer("/a", {"token": "t0ken-of-a-step", "echo": f"you sent {KEY}"})
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    ((task, extra),) = events(ran)
    assert (task, list(extra)) == ("b", ["echo"])
    assert KEY not in str(extra)


@pytest.mark.parametrize("written", [LINEAR, BRANCHING], ids=["linear", "branching"])
def test_a_task_group(
    tmp_path: Path, dag_file: Any, run_dag: Any, api: ScriptedApi, events: Any, written: Mapping[str, Any]
) -> None:
    document = write(tmp_path, written, operations=OPERATIONS)
    host = "with DAG('host') as dag:\n    ArazzoTaskGroup(document, outlets=[billed])\n"
    dag = dag_file("host", source(document, host)).dag
    api.answer("/a", {"n": 1})
    ran = run(run_dag, dag, api)
    assert ran.state == "success"
    assert events(ran) == [("w.b" if written is LINEAR else "w.outputs", {"n": 1})]


def test_the_scheduler_runs_what_is_scheduled_on_them(
    tmp_path: Path, dag_file: Any, run_dag: Any, api: ScriptedApi
) -> None:
    """From the event of one workflow to the run of another, which is for itself and has no period."""
    document = write(tmp_path, LINEAR, operations=OPERATIONS)
    arguments = "dag_id='consumer', schedule=[billed], is_paused_upon_creation=False"
    dag_file("consumer", source(document, f"dag = ArazzoDag(document, 'w', {arguments})\n"))
    dag = dag_file("producer", source(document, PRODUCER)).dag
    api.answer("/a", {"n": 1})
    assert run(run_dag, dag, api).state == "success"
    (created,) = scheduled_on_assets("consumer")
    assert created.run_type == "asset_triggered"
    assert created.data_interval_start is None

    from airflow_arazzo.operators.effects import identity_of

    identity = identity_of({"ti": None, "dag_run": created}, "consumer")
    assert identity.run == f"run {created.run_id}"


def scheduled_on_assets(dag_id: str) -> list[Any]:
    """Let the scheduler create the runs that events have asked for."""
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    runner = SchedulerJobRunner(Job())
    with create_session() as session:
        query, triggered = DagModel.dags_needing_dagruns(session)
        wanted = [model for model in query if model.dag_id in triggered]
        runner._create_dag_runs_asset_triggered(dag_models=wanted, session=session)
        session.flush()
        found = list(session.scalars(select(DagRun).where(DagRun.dag_id == dag_id)))
        session.expunge_all()
    return found
