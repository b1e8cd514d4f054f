"""What goes wrong in a cluster: a worker, Redis and the scheduler end at once, and are started again."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable

import psutil
import redis

from cluster.local import Cluster

TASK = "airflow worker -- "
"""Title of a process that runs a task."""


class Cuts(threading.Thread):
    """Ends a worker, then Redis with all that is in it, then the scheduler; each with SIGKILL, at work.

    It is the restart policy, too: what has ended it starts again, whoever ended it.

    :param gap: seconds between one and the next.
    """

    def __init__(self, cluster: Cluster, *, gap: float) -> None:
        super().__init__(daemon=True)
        self.done: list[str] = []
        self.revived: Counter[str] = Counter()
        self.problem = ""
        self._cluster = cluster
        self._gap = gap
        self._stopping = threading.Event()
        self._left: list[Callable[[], str]] = [self._worker, self._redis, self._scheduler]

    @property
    def all_done(self) -> bool:
        """Whether everything that was to end has ended."""
        return not self._left

    def run(self) -> None:
        """Cut, and start again."""
        try:
            due = time.monotonic() + self._gap
            while not self._stopping.wait(1):
                self.revived.update(name.split()[0] for name in self._cluster.revive())
                if self._left and time.monotonic() > due and self._busy():
                    self.done.append(self._left.pop(0)())
                    print(f"  {self.done[-1]}", flush=True)
                    due = time.monotonic() + self._gap
        except Exception as error:  # of this thread nobody would see it
            self.problem = f"{type(error).__name__}: {error}"

    def stop(self) -> None:
        """Stop, and wait until what was ended runs again."""
        self._stopping.set()
        self.join()

    def tasks(self) -> list[psutil.Process]:
        """Processes of workers that run tasks."""
        return [process for process in self._cluster.descendants("worker") if _is_task(process)]

    def _busy(self) -> bool:
        return bool(tasks_of(self._cluster, self._cluster.instances("worker")[0]))

    def _worker(self) -> str:
        instance = self._cluster.instances("worker")[0]
        tasks = len(tasks_of(self._cluster, instance))
        number = self._cluster.kill(instance)
        self._pause_and_revive(instance)
        return f"{instance}: {number} processes killed, {tasks} of them at a task"

    def _redis(self) -> str:
        client = redis.Redis.from_url(self._cluster.environment("scheduler")["AIRFLOW__CELERY__BROKER_URL"])
        waiting, unacked = client.llen("default"), client.hlen("unacked")
        client.close()
        self._cluster.kill("redis")
        shutil.rmtree(self._cluster.folder("redis"))
        self._cluster.folder("redis").mkdir()
        self._pause_and_revive("redis")
        return f"redis: killed and emptied, {waiting} tasks in its queue and {unacked} that workers had taken"

    def _scheduler(self) -> str:
        number = self._cluster.kill("scheduler")
        self._pause_and_revive("scheduler")
        return f"scheduler: {number} processes killed"

    def _pause_and_revive(self, instance: str) -> None:
        time.sleep(4)
        self._cluster.revive(instance)


def tasks_of(cluster: Cluster, instance: str) -> list[psutil.Process]:
    """Processes of a worker that run tasks."""
    children = psutil.Process(cluster.processes.pid(instance)).children(recursive=True)
    return [process for process in children if _is_task(process)]


def _is_task(process: psutil.Process) -> bool:
    try:
        return " ".join(process.cmdline()).startswith(TASK)
    except psutil.Error:
        return False
