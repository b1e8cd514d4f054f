"""``python -m chaos.poll``: a poll over a long job on a real scheduler, its worker killed three times.

The loop is one task. It must ask as often as the job needs, go on where it was after each kill, and hold no
slot while it waits. Waits are 6 s, just longer than those that a task sits out in its slot; so that it need
not stay away for longer, Airflow notices the end of a slot sooner than by default.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

from chaos.settings import ROOT
from demo.airflow import Airflow
from demo.processes import Processes

KEY = "key-of-the-job-service"
SETTINGS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__CORE__PARALLELISM": "2",
}
"""Airflow notices a dead worker, and the end of a task, sooner than by default."""

SLOW_EXIT = 1.5
"""Seconds in which the process of a task may end after its slot was given back."""

DESCRIPTION = {
    "openapi": "3.0.3",
    "info": {"title": "jobs", "version": "1"},
    "paths": {
        "/job": {"get": {"operationId": "job"}},
        "/result": {"get": {"operationId": "result"}},
    },
}
DOCUMENT = {
    "arazzo": "1.0.1",
    "info": {"title": "poll", "version": "1"},
    "sourceDescriptions": [{"name": "jobs", "url": "jobs.json", "type": "openapi"}],
    "workflows": [
        {
            "workflowId": "poll",
            "steps": [
                {
                    "stepId": "wait",
                    "operationId": "job",
                    "onSuccess": [
                        {
                            "name": "again",
                            "type": "goto",
                            "stepId": "wait",
                            "criteria": [{"condition": "$response.body#/done == false"}],
                        }
                    ],
                    "outputs": {"polls": "$response.body#/polls"},
                },
                {"stepId": "result", "operationId": "result"},
            ],
            "outputs": {"polls": "$steps.wait.outputs.polls"},
        }
    ],
}
DAG = """
from datetime import timedelta
from airflow_arazzo import ArazzoDag
from airflow_arazzo.operators import step_run

step_run.SHORTEST_ABSENCE = 6.0
ArazzoDag({document!r}, default_args={{"retry_delay": timedelta(seconds=1)}})
"""


class Job:
    """A job that is done after a number of polls, and the kills on the way.

    :param pause: seconds that it asks to wait between two polls.
    :param kill: ends the worker that is asking; its argument is the how-manieth kill this is.
    """

    def __init__(self, polls: int, pause: int) -> None:
        self.polls = polls
        self.pause = pause
        self.asked = 0
        self.answered = 0
        self.kills: list[str] = []
        self.kill_at = [polls * number // 4 for number in (1, 2, 3)]
        self.kill: Any = None

    def poll(self) -> dict[str, Any] | None:
        """The answer to a poll; None when who asked is dead."""
        self.asked += 1
        if self.kill_at and self.answered + 1 == self.kill_at[0]:
            self.kill_at.pop(0)
            self.kills.append(self.kill(len(self.kills) + 1))
            return None
        self.answered += 1
        return {"done": self.answered >= self.polls, "polls": self.answered}


def serve(job: Job) -> ThreadingHTTPServer:
    """The job's service, in a thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            value = job.poll() if self.path == "/job" else {}
            if value is None:
                self.close_connection = True
                return
            data = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After", str(job.pause))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def task_processes(airflow: Airflow) -> list[psutil.Process]:
    """Processes that run a task just now."""
    found = []
    for process in airflow.descendants("scheduler"):
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if title.startswith("airflow worker -- ") and "Local" not in title:
            found.append(process)
    return found


def kill_worker(airflow: Airflow, number: int) -> str:
    """SIGKILL to the process of the task; the third time also to the worker that supervises it."""
    victims = task_processes(airflow)
    parents = [parent for victim in victims if (parent := victim.parent())] if number == 3 else []
    for victim in (*parents, *victims):
        victim.kill()
    return f"{len(victims)} task{f' and {len(parents)} worker' if parents else ''}"


class Sampler(threading.Thread):
    """Looks several times a second at the state of the task, and at whether a process runs it."""

    def __init__(self, airflow: Airflow) -> None:
        super().__init__(daemon=True)
        self.seconds: Counter[str] = Counter()
        self.lingering = 0
        self.waits = 0
        self._airflow = airflow
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Stop."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Look."""
        last, state, since = time.monotonic(), "", 0.0
        while not self._stopping.wait(0.15):
            now = time.monotonic()
            found = self._state()
            if found != state:
                state, since = found, now
                self.waits += state == "up_for_reschedule"
            self.seconds[state] += now - last  # type: ignore[assignment]
            if state == "up_for_reschedule" and now - since > SLOW_EXIT:
                self.lingering += bool(task_processes(self._airflow)) and self._state() == state
            last = now

    def _state(self) -> str:
        try:
            with closing(
                sqlite3.connect(f"file:{self._airflow.home}/airflow.db?mode=ro", uri=True)
            ) as database:
                row = database.execute("select state from task_instance where task_id = 'wait'").fetchone()
        except sqlite3.Error:
            return "unknown"
        return str(row[0]) if row else "none"


def main() -> int:
    """Exit status 0 when the poll ended right."""
    parser = argparse.ArgumentParser(prog="chaos.poll")
    parser.add_argument("--polls", type=int, default=200)
    parser.add_argument("--pause", type=int, default=6, help="seconds between two polls")
    parser.add_argument("--home", type=Path, default=ROOT / ".chaos-poll")
    parser.add_argument("--time-limit", type=float, default=7200, help="seconds")
    given = parser.parse_args()
    home = given.home.resolve()
    shutil.rmtree(home, ignore_errors=True)
    (home / "dags").mkdir(parents=True)
    (home / "jobs.json").write_text(json.dumps(DESCRIPTION))
    (home / "poll.arazzo.json").write_text(json.dumps(DOCUMENT))
    (home / "dags" / "poll.py").write_text(DAG.format(document=str(home / "poll.arazzo.json")))
    processes = Processes(home / "processes")
    job = Job(given.polls, given.pause)
    server = serve(job)
    try:
        return _run(
            Airflow(home / "airflow", home / "dags", processes, SETTINGS), job, server, given.time_limit
        )
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"✗ {error}")
        return 1
    finally:
        processes.stop()
        server.shutdown()


def _run(airflow: Airflow, job: Job, server: ThreadingHTTPServer, seconds: float) -> int:
    job.kill = lambda number: kill_worker(airflow, number)
    url = f"http://127.0.0.1:{server.server_port}"
    airflow.prepare({"jobs": {"conn_type": "arazzo", "host": url, "password": KEY}})
    airflow.start()
    airflow.wait_for_dags({"poll"})
    sampler = Sampler(airflow)
    sampler.start()
    started = time.monotonic()
    run = airflow.trigger("poll", {})
    state = airflow.wait_for_runs({"poll": run}, seconds=seconds)["poll"]
    took = time.monotonic() - started
    sampler.stop()
    task = next(each for each in airflow.tasks("poll", run) if each["task_id"] == "wait")
    outputs = airflow.xcom("poll", run, "result", "workflow_outputs")
    print(f"the run: {state} after {took:.0f} s; the task's tries: {task['try_number']}; outputs: {outputs}")
    print(f"polls: {job.asked} asked, {job.answered} answered, of a job of {job.polls}")
    print(f"kills: {', '.join(job.kills)}")
    print(
        "seconds by state of the task: " + ", ".join(f"{s} {n:.0f}" for s, n in sampler.seconds.most_common())
    )
    print(
        f"waits without a slot that were seen: {sampler.waits}; a process in one: {sampler.lingering} times"
    )
    good = (
        state == "success"
        and job.answered == job.polls
        and job.asked == job.polls + len(job.kills)
        and len(job.kills) == 3
        and outputs == {"polls": job.polls}
        and task["try_number"] == 4
        and not sampler.lingering
    )
    print("✓ every poll once, and no slot held while waiting" if good else "✗ not as it must be")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
