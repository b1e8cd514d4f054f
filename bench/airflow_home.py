"""An Airflow folder for measurements, gone afterwards. Nothing in it is started and nothing migrated."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.harness import REPOSITORY

BY_HAND = "airflow.providers.http.operators.http"
OURS = "airflow_arazzo.factory"
"""Modules that a DAG file needs, of either kind."""


@contextmanager
def airflow_home() -> Iterator[tuple[Path, dict[str, str]]]:
    """The folder, and what a process needs in its environment before it imports Airflow."""
    with tempfile.TemporaryDirectory(prefix="bench-airflow-") as name:
        home = Path(name)
        dags = home / "dags"
        dags.mkdir()
        yield (
            home,
            {
                "AIRFLOW_HOME": name,
                "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "900",  # slow is what is measured, not an error
                "AIRFLOW__CORE__FERNET_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{name}/airflow.db",
                "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{name}/logs",
                "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
                "ARAZZO_CACHE_DIR": f"{name}/plans",
                "ARAZZO_LEDGER": f"sqlite:///{name}/ledger.db",
                "PYTHONPATH": str(REPOSITORY),
            },
        )
