"""An Airflow of the tests' own. Its settings must be in the environment before Airflow is imported."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HOME = Path(tempfile.mkdtemp(prefix="airflow-arazzo-tests-"))
DAGS = HOME / "dags"
DAGS.mkdir()
os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
        "ARAZZO_CACHE_DIR": str(HOME / "plans"),
    }
)
sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests together, in one process or another for each half: they share a database."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            group = "equivalence" if item.path.stem.startswith("test_equivalence") else "airflow"
            item.add_marker(pytest.mark.xdist_group(group))
            item.add_marker(pytest.mark.airflow)


@pytest.fixture(scope="session")
def database() -> None:
    """A migrated metadata database."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    """Tasks read Airflow's settings once in a process; here every test is one."""
    from airflow_arazzo.operators import effects, observation

    yield
    effects.executor.cache_clear()
    observation.metrics_are_on.cache_clear()


@pytest.fixture
def api() -> Iterator[Any]:
    """A scripted API."""
    from scripted import running_api

    with running_api() as running:
        yield running


@pytest.fixture
def workflow_dag(tmp_path: Path, dag_file: Any) -> Callable[..., Any]:
    """The DAG of a document written for it: ``workflow_dag(*workflows, operations=[…], **kwargs)``."""
    from scripted import write

    def make(*workflows: Any, operations: Any, document: Any = None, **kwargs: Any) -> Any:
        path = write(tmp_path / "documents", *workflows, operations=operations, **(document or {}))
        kwargs.setdefault("workflow_id", workflows[0]["workflowId"])
        module = dag_file(
            "made",
            f"from airflow_arazzo import ArazzoDag\ndag = ArazzoDag({str(path)!r}, **{kwargs!r})\n",
        )
        return module.dag

    return make


@dataclass
class Ran:
    """A finished run.

    :param states: task states by task id.
    :param log: what the tasks wrote, and Airflow around them.
    """

    run: Any
    states: dict[str, str]
    log: str = ""
    instances: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """State of the run."""
        return str(self.run.state)

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """An XCom as it stands in the database; None when there is none."""
        return self.xcoms().get((task_id, key))

    def xcoms(self) -> dict[tuple[str, str], Any]:
        """All XComs of the run by task id and key."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            rows = session.execute(
                select(XComModel.task_id, XComModel.key, XComModel.value).where(
                    XComModel.run_id == self.run.run_id, XComModel.dag_id == self.run.dag_id
                )
            ).all()
        return {(task, key): value for task, key, value in rows}


@pytest.fixture
def dag_file() -> Iterator[Callable[[str, str], Any]]:
    """Writes a DAG file into the DAGs folder and imports it: ``dag_file(name, source)`` is its module."""
    written: list[Path] = []

    def write(name: str, source: str) -> Any:
        path = DAGS / f"{name}.py"
        path.write_text(source)
        written.append(path)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield write
    for path in written:
        path.unlink(missing_ok=True)


@pytest.fixture
def run_dag(
    database: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Runs a DAG to its end: ``run_dag(dag, conf, connections={id: fields})``."""

    def run(
        dag: Any, conf: Mapping[str, Any] | None = None, *, connections: Mapping[str, Any], **kwargs: Any
    ) -> Ran:
        for conn_id, fields in connections.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))
        capfd.readouterr()
        result = dag.test(run_conf=dict(conf or {}), **kwargs)
        instances = {task.task_id: task for task in result.get_task_instances()}
        log = "".join(capfd.readouterr())
        return Ran(result, {name: str(task.state) for name, task in instances.items()}, log, instances)

    return run


@pytest.fixture
def clear_and_run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Clears a task of a run, with all downstream of it, and runs on: ``clear_and_run(ran, dag, task_id)``.

    The runs of ``dag.test()`` are new ones each time, so this is its loop once more.
    """

    def run(ran: Ran, dag: Any, task_id: str) -> Ran:
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import clear_task_instances
        from airflow.sdk.definitions.dag import _run_task
        from airflow.serialization.serialized_objects import DagSerialization
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState, TaskInstanceState

        cleared = {
            task_id,
            *(task.task_id for task in dag.get_task(task_id).get_flat_relatives(upstream=False)),
        }
        capfd.readouterr()
        with create_session() as session:
            found = session.get(DagRun, ran.run.id)
            found.dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
            instances = [ti for ti in found.get_task_instances(session=session) if ti.task_id in cleared]
            clear_task_instances(instances, session)
            found.state = DagRunState.RUNNING
            session.commit()
            while found.state == DagRunState.RUNNING:
                session.expire_all()
                for ti in found.update_state(session=session)[0]:
                    ti.try_number += 1
                    ti.state = TaskInstanceState.SCHEDULED
                session.commit()
                waiting = [t for t in found.get_task_instances(session=session) if t.state == "scheduled"]
                for ti in waiting:
                    _run_task(ti=ti, task=dag.get_task(ti.task_id))
            after = {task.task_id: task for task in found.get_task_instances(session=session)}
            states = {name: str(task.state) for name, task in after.items()}
            session.expunge_all()
        return Ran(found, states, "".join(capfd.readouterr()), after)

    return run
