"""What goes wrong on our side: workers killed, tasks cleared, the service's port closed for a moment."""

from __future__ import annotations

import random
import threading
import urllib.error
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import psutil

from demo.api import Client


class Disturber(threading.Thread):
    """Disturbs a running Airflow at random moments until it is stopped.

    :param tasks: processes, among which may be those of tasks.
    :param refuse: closes the service's port for a number of seconds.
    :param dag_ids: DAGs whose tasks may be cleared.
    :param limit: how often at most, so that a run comes to its end.
    """

    def __init__(
        self,
        airflow: Client,
        tasks: Callable[[], list[psutil.Process]],
        refuse: Callable[[float], Any],
        dag_ids: list[str],
        *,
        seed: int,
        limit: int,
    ) -> None:
        super().__init__(daemon=True)
        self.counts: Counter[str] = Counter()
        self._airflow = airflow
        self._tasks = tasks
        self._refuse = refuse
        self._dag_ids = dag_ids
        self._random = random.Random(seed)
        self._limit = limit
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Stop, and wait until the last disturbance is over."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Disturb."""
        while self.counts.total() < self._limit and not self._stopping.wait(self._random.uniform(0.8, 3.0)):
            choice = self._random.random()
            if choice < 0.6:
                self._kill()
            elif choice < 0.95:
                self._clear()
            else:
                self._interrupt(0.3)

    def _interrupt(self, seconds: float) -> None:
        """Let the service be unreachable for a moment."""
        try:
            self._refuse(seconds)
            self.counts[f"service unreachable for {seconds} s"] += 1
        except OSError:
            return  # it is already

    def _kill(self) -> None:
        """SIGKILL to a task's process, or now and then to the worker that supervises it."""
        tasks = []
        for process in self._tasks():
            try:
                title = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if title.startswith("airflow worker -- ") and "Local" not in title:
                tasks.append(process)
        if not tasks:
            return
        victim = self._random.choice(tasks)
        what = "tasks killed"
        try:
            if self._random.random() < 0.15:
                victim, what = victim.parent() or victim, "workers killed"
            victim.kill()
            self.counts[what] += 1
        except psutil.Error:
            return

    def _clear(self) -> None:
        """Clear one task that has ended, as a person would who presses the button once too often."""
        dag_id = self._random.choice(self._dag_ids)
        path = f"/dags/{quote(dag_id)}"
        query = f"{path}/dagRuns/~/taskInstances?state=success&state=failed&limit=50"
        try:
            ended = self._airflow.api("GET", query)["task_instances"]
            if not ended:
                return
            task = self._random.choice(ended)
            body = {
                "dry_run": False,
                "only_failed": False,
                "task_ids": [task["task_id"]],
                "dag_run_id": task["dag_run_id"],
                "include_downstream": True,
            }
            self._airflow.api("POST", f"{path}/clearTaskInstances", body)
            self.counts["tasks cleared"] += 1
        except (RuntimeError, urllib.error.URLError, OSError):
            return
