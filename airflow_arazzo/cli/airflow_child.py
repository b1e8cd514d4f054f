"""The child process of ``run --airflow``: ``python -m airflow_arazzo.cli.airflow_child HOME FD``.

It reads its order from standard input and writes a report to the file descriptor. Airflow reads its
settings when it is imported, so they come first.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from base64 import urlsafe_b64encode
from pathlib import Path

from airflow_arazzo.cli.airflow_run import Order


def main(home: Path, result: int) -> None:
    """Do what is asked."""
    order = Order.decode(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, args=(home,), daemon=True).start()
    dags = home / "dags"
    dags.mkdir()
    os.environ.update(_settings(home, dags))

    from airflow.utils.db import initdb

    from airflow_arazzo.cli.dag_test import run_order

    initdb()
    report = run_order(order, dags / "workflow.py")
    with os.fdopen(result, "wb") as pipe:
        pipe.write(report.as_json().encode())


def _settings(home: Path, dags: Path) -> dict[str, str]:
    """Airflow's settings, its key among them. What a process puts into its own environment is not listed."""
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": urlsafe_b64encode(os.urandom(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__SECRETS__BACKEND": "airflow_arazzo.cli.dag_test.GivenConnections",
        "ARAZZO_CACHE_DIR": str(home / "plans"),
    }


def _end_with_parent(home: Path) -> None:
    """End at once when the parent is gone: nobody would see what the run does, or clear up after it."""
    if not os.read(sys.stdin.fileno(), 1):
        shutil.rmtree(home, ignore_errors=True)
        os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
