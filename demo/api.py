"""What the demonstrations ask of an Airflow, by its public REST API."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

USER = "admin"


class Client:
    """Asks an Airflow that runs, wherever it does.

    :param url: address of the UI and of the API.
    :param password: of the user ``admin``.
    :param check: called while waiting; raises when there is nothing left to wait for.
    """

    def __init__(self, url: str, password: str, check: Callable[[], None]) -> None:
        self.url = url
        self.password = password
        self._check = check
        self._token = ""

    @property
    def token(self) -> str:
        """What shows that one has logged in, for the API and the UI."""
        return self._token

    def wait_until_ready(self, seconds: float = 120) -> None:
        """Wait for the API, and log in."""
        self._wait("the API server", seconds, self._log_in)

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
            self._check()
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
