"""An Airflow of its own for measurements: SQLite, LocalExecutor, a real scheduler and API server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.batch import plan_of
from bench.contenders.calls import connections
from bench.harness import REPOSITORY
from demo.airflow import Airflow
from demo.processes import Processes


@contextmanager
def airflow_at_work(
    url: str, dag_file: str, dag_ids: set[str], settings: Mapping[str, str] | None = None
) -> Iterator[tuple[Airflow, Path]]:
    """An Airflow that knows the DAGs of a file, and its folder; the ledger is named in its environment.

    :param url: of the service that the connections lead to.
    :param dag_file: the file's text, in which ``{folder}`` is the folder; the documents of
        :mod:`bench.batch` are in it, as ``bench.arazzo.json``.
    :param dag_ids: what is in it.
    :param settings: further environment variables, with the same place for the folder.
    """
    with tempfile.TemporaryDirectory(prefix="bench-airflow-") as name:
        folder = Path(name)
        plan_of("reads", folder)  # for the documents that it writes
        dags = folder / "dags"
        dags.mkdir()
        (dags / "measured.py").write_text(dag_file.format(folder=folder))
        environment = {
            "PYTHONPATH": str(REPOSITORY),
            "ARAZZO_LEDGER": f"sqlite:///{folder}/ledger.db",
            **{option: value.format(folder=folder) for option, value in (settings or {}).items()},
        }
        processes = Processes(folder / "logs")
        try:
            airflow = Airflow(folder / "airflow", dags, processes, environment)
            airflow.prepare(connections(url))
            airflow.start()
            airflow.wait_for_dags(dag_ids)
            yield airflow, folder
        finally:
            processes.stop()
