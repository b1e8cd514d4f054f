"""The endpoints of the tab. Airflow serves the apps of plugins to anybody: each endpoint asks for the login
and the permissions that Airflow's own endpoints ask for.
"""

from __future__ import annotations

import json
from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.dagbag import get_dag_for_run_or_latest_version
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from airflow_arazzo.operators.exchange import NEXT_STEP
from airflow_arazzo.view.picture import Drawn, page

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""No scripts, nothing from elsewhere, and in no frame but Airflow's own."""


def may_see(*entities: DagAccessEntity) -> list[Any]:
    """Dependencies by which a request needs a login that may read these parts of the DAG."""
    return [Depends(requires_access_dag("GET", entity)) for entity in entities]


app = FastAPI(title="Arazzo workflows", docs_url=None, redoc_url=None, openapi_url=None)
# Without links it would keep links from all DAGs that this process reads afterwards.
bag = DBDagBag(load_op_links=True)


@app.get("/dags/{dag_id}", dependencies=may_see(DagAccessEntity.TASK))
def workflow_of_a_dag(dag_id: str, session: SessionDep) -> HTMLResponse:
    """The workflow of a DAG as it is now."""
    dag = bag.get_latest_version_of_dag(dag_id, session=session)
    return _answer(dag_id, _drawn(dag, {}, {}))


@app.get(
    "/dags/{dag_id}/runs/{run_id:path}",
    dependencies=may_see(
        DagAccessEntity.TASK, DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM
    ),
)
def workflow_of_a_run(dag_id: str, run_id: str, session: SessionDep) -> HTMLResponse:
    """The workflow of a run, with the states of its tasks and the way that it took."""
    run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    if run is None:
        raise HTTPException(404, "there is no such run")
    states = session.execute(
        select(TaskInstance.task_id, TaskInstance.state).where(
            TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.map_index == -1
        )
    )
    told = session.execute(
        select(XComModel.task_id, XComModel.value).where(
            XComModel.dag_id == dag_id,
            XComModel.run_id == run_id,
            XComModel.key == NEXT_STEP,
            XComModel.map_index == -1,
        )
    )
    dag = get_dag_for_run_or_latest_version(bag, run, dag_id, session)
    drawn = _drawn(
        dag,
        {task: str(state or "none") for task, state in states},
        {task: _text(value) for task, value in told},
    )
    return _answer(f"{dag_id} {run_id}", drawn)


def _answer(title: str, drawn: list[Drawn]) -> HTMLResponse:
    return HTMLResponse(page(title, drawn), headers=HEADERS)


def _text(value: Any) -> str:
    """A text out of XCom's JSON, however the database keeps it."""
    try:
        read = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        read = value
    return str(read)


def _drawn(dag: Any, states: dict[str, str], told: dict[str, str]) -> list[Drawn]:
    """The steps of a stored DAG, in the order of its tasks.

    :raises HTTPException: where there is no such DAG.
    """
    if dag is None:
        raise HTTPException(404, "there is no such DAG")
    found: list[tuple[str, int, list[Drawn]]] = []
    for task in dag.task_dict.values():
        if task.task_type != "ArazzoStepOperator" or not getattr(task, "doc_json", None):
            continue
        known = json.loads(task.doc_json)
        # Several task groups of a DAG may have steps of the same name.
        prefix = task.task_id[: len(task.task_id) - len(known["name"])]
        state = states.get(task.task_id, "")
        # A task that was skipped or cleared may still have what it said before.
        said = _within(prefix, told.get(task.task_id)) if state == "success" else None
        steps = []
        for each in known["steps"]:
            ways = [{**way, "to": _within(prefix, way["to"])} for way in each["ways"]]
            steps.append(Drawn(prefix + each["id"], each["calls"], ways, state, said))
        found.append((prefix, int(known["number"]), steps))
    return [step for *_, steps in sorted(found, key=lambda each: each[:2]) for step in steps]


def _within(prefix: str, position: str | None) -> str | None:
    """A position with the name of the group around the workflow; the end is the same for all."""
    return prefix + position if position else position
