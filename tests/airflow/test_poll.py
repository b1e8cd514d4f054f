"""A poll over a long job whose worker process is killed three times in the middle.

The worker is a process of its own that runs every slot of the task through Airflow's task runner against a
real database, and that really is killed; the scheduler around it is the loop of ``DAG.test()``, and waits
are over at once. ``python -m chaos.poll`` shows the same with a real scheduler and real waits.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scripted import goto, workflow, write

POLLS = 200
PAUSE = 30
WORKER = Path(__file__).with_name("poll_worker.py")
pytestmark = pytest.mark.xdist_group("equivalence")


class Job:
    """A job that is done after 200 polls. Whoever asks at some of them is killed."""

    def __init__(self) -> None:
        self.asked = self.answered = 0
        self.kills_before_the_answer = [50, 150]
        self.kills_after_the_answer = [100]
        self.worker: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        assert self.worker is not None
        os.kill(self.worker.pid, signal.SIGKILL)
        self.worker.wait()


@contextmanager
def serving(job: Job) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/poll":
                job.asked += 1
                if job.answered + 1 in job.kills_before_the_answer:
                    job.kills_before_the_answer.remove(job.answered + 1)
                    job.kill()
                    return
                job.answered += 1
            data = json.dumps({"done": job.answered >= POLLS, "polls": job.answered}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            if self.path == "/poll" and job.answered in job.kills_after_the_answer:
                job.kills_after_the_answer.remove(job.answered)
                job.kill()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_poll_that_is_killed_three_times_goes_on_where_it_was(tmp_path: Path) -> None:
    again = goto("again", "poll", "$response.body#/done == false")
    steps = [
        {"stepId": "poll", "onSuccess": [again], "outputs": {"polls": "$response.body#/polls"}},
        {"stepId": "result"},
    ]
    polling = workflow("w", *steps, outputs={"polls": "$steps.poll.outputs.polls"})
    document = write(tmp_path, polling, operations=["GET /poll", "GET /result"])
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__FERNET_KEY": os.environ["AIRFLOW__CORE__FERNET_KEY"],
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
        "ARAZZO_CACHE_DIR": str(tmp_path / "plans"),
    }
    (tmp_path / "dags").mkdir()
    migrate = [sys.executable, "-c", "from airflow.utils.db import initdb; initdb()"]
    subprocess.run(migrate, env=environment, capture_output=True, check=True)
    job = Job()
    statuses = []
    with serving(job) as url:
        environment["AIRFLOW_CONN_API"] = json.dumps({"conn_type": "arazzo", "host": url, "password": "key"})
        while not statuses or statuses[-1] == -signal.SIGKILL:
            with (tmp_path / "output").open("ab") as output:
                command = [sys.executable, str(WORKER), str(document), str(tmp_path)]
                job.worker = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
                job.worker.wait()
                statuses.append(job.worker.returncode)
    assert statuses == [-signal.SIGKILL] * 3 + [0], (tmp_path / "output").read_text()[-3000:]
    notes = [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]

    # It asked as often as the job needs; two of the three kills cost an answer, and with it one more request.
    assert job.answered == POLLS
    assert job.asked == POLLS + 2
    visits = [each["visit"] for each in notes if "visit" in each]
    assert visits[-1] == 1  # of the step that follows
    # It went on where it was: the visit under way is made again, and none from the start.
    polls = visits[:-1]
    repeated = [n for a, n in pairwise(polls) if n == a]
    assert all(b - a in (0, 1) for a, b in pairwise(polls))
    assert len(repeated) in (2, 3)
    assert polls[-1] in (POLLS - 1, POLLS)

    # Every wait was one without a slot: no attempt went over more than one poll.
    states = [each["state"] for each in notes if each.get("task") == "poll"]
    assert states.count("up_for_retry") == 3
    assert states.count("up_for_reschedule") == len(polls) - 4
    assert states[-1] == "success"
    waits = [each["waits"] for each in notes if "waits" in each]
    assert all(PAUSE - 1 < seconds <= PAUSE for seconds in waits)
    held = sum(each["held"] for each in notes if "held" in each)
    assert held < sum(waits) / 50
    print(f"{len(waits)} waits of {sum(waits):.0f} s in all, {held:.1f} s in a slot")
    assert max(each.get("attempt", 0) for each in notes) == 4
