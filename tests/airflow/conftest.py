"""An Airflow of the tests' own. Its settings must be in the environment before Airflow is imported."""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests together in one process: they share a database."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("airflow"))
            item.add_marker(pytest.mark.airflow)


@pytest.fixture(scope="session")
def database() -> None:
    """A migrated metadata database."""
    from airflow.utils.db import initdb

    initdb()


@dataclass
class Ran:
    """A finished run.

    :param states: task states by task id.
    """

    run: Any
    states: dict[str, str]

    @property
    def state(self) -> str:
        """State of the run."""
        return str(self.run.state)

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """An XCom as it stands in the database."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            query = XComModel.get_many(run_id=self.run.run_id, dag_ids=self.run.dag_id, task_ids=task_id, key=key)
            row = session.execute(query).scalars().first() if hasattr(query, "subquery") else query.first()
            value = row.value if row is not None else None
        return json.loads(value) if isinstance(value, str) else value


@pytest.fixture
def dag_file(tmp_path: Path) -> Callable[[str, str], Any]:
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

    return write


@pytest.fixture
def run_dag(database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Ran]]:
    """Runs a DAG to its end: ``run_dag(dag, conf, connections={id: fields})``."""

    def run(dag: Any, conf: Mapping[str, Any] | None = None, *, connections: Mapping[str, Any], **kwargs: Any) -> Ran:
        for conn_id, fields in connections.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))
        result = dag.test(run_conf=dict(conf or {}), **kwargs)
        states = {task.task_id: str(task.state) for task in result.get_task_instances()}
        return Ran(result, states)

    yield run
