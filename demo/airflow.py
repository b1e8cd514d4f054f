"""An Airflow of the demonstration's own: SQLite, LocalExecutor, a real scheduler, the public REST API."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psutil
from cryptography.fernet import Fernet

from demo.processes import Processes, free_port, run

USER = "admin"

SERVICES = ("api-server", "scheduler", "dag-processor")


class Airflow:
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
        self.password = secrets.token_urlsafe(12)
        self._processes = processes
        self._token = ""
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

    @property
    def url(self) -> str:
        """Address of the UI and of the API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """What shows that one has logged in, for the API and the UI."""
        return self._token

    def prepare(self, connections: Mapping[str, Mapping[str, Any]]) -> None:
        """Make the database, and the connections in it, encrypted as Airflow keeps them."""
        # Tasks are forks of the scheduler: what it has imported, none of them has to import anew.
        settings = Path(self.environment["AIRFLOW_HOME"]) / "config" / "airflow_local_settings.py"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("from airflow_arazzo import arazzo_dags\n")
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
        self._wait("the API server", 120, self._log_in)

    def _log_in(self) -> bool:
        try:
            answer = self._call("POST", "/auth/token", {"username": USER, "password": self.password})
        except OSError:
            return False
        self._token = answer["access_token"]
        return True

    def _wait(self, what: str, seconds: float, ready: Any) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            self._processes.check()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} was not ready after {seconds:g} s")
            time.sleep(0.25)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read() or b"null")

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call the public REST API; the path is relative to ``/api/v2``.

        :raises RuntimeError: when the answer is an error, with its text.
        """
        try:
            return self._call(method, "/api/v2" + path, body)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from None

    def descendants(self, name: str) -> list[psutil.Process]:
        """Processes below one of Airflow's own, for those who want to end them."""
        try:
            return psutil.Process(self._processes.pid(name)).children(recursive=True)
        except psutil.Error:
            return []

    def wait_for_dags(self, dag_ids: set[str]) -> None:
        """Wait until the DAG processor has found the DAGs, and print what it could not import."""

        def found() -> bool:
            dags = self.api("GET", "/dags?limit=100")["dags"]
            errors = self.api("GET", "/importErrors")["import_errors"]
            if errors:
                raise RuntimeError("\n".join(f"{e['filename']}: {e['stack_trace']}" for e in errors))
            return dag_ids <= {dag["dag_id"] for dag in dags}

        self._wait("the list of DAGs", 120, found)

    def run_states(self, dag_id: str = "~", **filters: str) -> Counter[str]:
        """How many runs are in which state; by default those of all DAGs."""
        states: Counter[str] = Counter()
        for state in ("queued", "running", "success", "failed"):
            query = urlencode({**filters, "state": state, "limit": 1})
            states[state] = self.api("GET", f"/dags/{quote(dag_id)}/dagRuns?{query}")["total_entries"]
        return states

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Unpause a DAG and run it once; returns the run's id."""
        path = f"/dags/{quote(dag_id)}"
        self.api("PATCH", path, {"is_paused": False})
        return str(self.api("POST", f"{path}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def wait_for_runs(self, runs: Mapping[str, str], *, seconds: float = 300) -> dict[str, str]:
        """Wait until runs have ended; returns their states by DAG id."""
        states: dict[str, str] = {}

        def ended() -> bool:
            for dag_id, run_id in runs.items():
                path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"
                states[dag_id] = self.api("GET", path)["state"]
            return all(state in ("success", "failed") for state in states.values())

        self._wait("the last run", seconds, ended)
        return states

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Task instances of a run, in the order in which they started."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        found = self.api("GET", path)["task_instances"]
        return sorted(found, key=lambda task: task["start_date"] or "9")

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """The value of an XCom, or None where there is none."""
        run_path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"
        path = f"{run_path}/taskInstances/{quote(task_id)}/xcomEntries/{key}"
        try:
            value = self._call("GET", "/api/v2" + path + "?deserialize=false")["value"]
        except urllib.error.HTTPError:
            return None
        return json.loads(value) if isinstance(value, str) else value

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """The log of a task as text."""
        run_path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"
        answer = self.api("GET", f"{run_path}/taskInstances/{quote(task_id)}/logs/{try_number}")
        return "\n".join(
            line.get("event", "") if isinstance(line, dict) else str(line) for line in answer["content"]
        )
