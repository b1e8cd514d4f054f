"""An Airflow of the demonstration's own: SQLite, LocalExecutor, a real scheduler, the public REST API."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from cryptography.fernet import Fernet

from demo.api import USER, Client
from demo.processes import Processes, free_port, run

SERVICES = ("api-server", "scheduler", "dag-processor")


class Airflow(Client):
    """An Airflow in a folder of its own.

    :param home: the folder; must not exist yet or be an earlier one's.
    :param dags: the folder of DAG files.
    :param settings: further environment variables.
    """

    def __init__(
        self, home: Path, dags: Path, processes: Processes, settings: Mapping[str, str] | None = None
    ) -> None:
        self.home = home
        self.port = free_port()
        super().__init__(f"http://127.0.0.1:{self.port}", secrets.token_urlsafe(12), processes.check)
        self._processes = processes
        home.mkdir(parents=True, exist_ok=True)
        passwords = home / "passwords.json"
        passwords.write_text(json.dumps({USER: self.password}))
        passwords.chmod(0o600)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "ARAZZO_CACHE_DIR": str(home / "plans"),
            "PYTHONPATH": "",
            **(settings or {}),
        }

    def prepare(self, connections: Mapping[str, Mapping[str, Any]]) -> None:
        """Make the database, and the connections in it, encrypted as Airflow keeps them."""
        airflow = [sys.executable, "-m", "airflow"]
        run([*airflow, "db", "migrate"], self.environment)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "connections.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(connections))
            run([*airflow, "connections", "import", str(file)], self.environment)

    def start(self) -> None:
        """Start API server, scheduler and DAG processor, and wait for the API."""
        for name in SERVICES:
            self._processes.start(name, [sys.executable, "-m", "airflow", name], self.environment)
        self.wait_until_ready()

    def descendants(self, name: str) -> list[psutil.Process]:
        """Processes below one of Airflow's own, for those who want to end them."""
        try:
            return psutil.Process(self._processes.pid(name)).children(recursive=True)
        except psutil.Error:
            return []
