"""What a fork of an Airflow service finds there already, and what everybody else is spared."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

HOME = Path(os.environ["AIRFLOW_HOME"])
NEEDED = "airflow_arazzo.operators.step_run"
"""A module that runs steps, and which no DAG file imports."""

_DAG_FILE = """
import os, sys
with open({file!r}, "a") as told:
    print({needed!r} in sys.modules, file=told)

from airflow.sdk import dag, task

@dag(schedule=None)
def plain():
    @task
    def hello():
        with open({file!r}, "a") as told:
            print({needed!r} in sys.modules, file=told)

    hello()

plain()
"""

Told = Callable[..., list[str]]


@pytest.fixture
def told(tmp_path: Path, database: None) -> Told:
    """Runs a command of Airflow; what its DAG file, and its tasks, saw of the module."""
    with (
        closing(sqlite3.connect(HOME / "airflow.db")) as made,
        closing(sqlite3.connect(tmp_path / "airflow.db")) as own,
    ):
        made.backup(own)
    file = tmp_path / "told"
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "plain.py").write_text(_DAG_FILE.format(file=str(file), needed=NEEDED))
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
    }

    def run(*command: str) -> list[str]:
        file.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return file.read_text().split()

    return run


def test_the_dag_processor_loads_the_package_once_for_all_parses(told: Told) -> None:
    assert told("dag-processor", "--num-runs", "1") == ["True"]
    # A command, and a task that is none of ours, are spared it.
    assert told("tasks", "test", "plain", "hello") == ["False", "False"]


def test_what_cannot_be_loaded_in_advance_leaves_the_plugin_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_arazzo.plugin import ArazzoPlugin

    monkeypatch.setattr(sys, "argv", ["airflow", "dag-processor"])
    monkeypatch.setitem(sys.modules, "airflow_arazzo.preload", None)
    with pytest.raises(ImportError):
        import airflow_arazzo.preload  # noqa: F401
    ArazzoPlugin.on_load()
