"""``python -m cluster.trial``: seed workflows, a batch and chaos, on what docker-compose.yml describes.

Two Celery workers, Airflow's database and the ledger on PostgreSQL, a Redis of the trial's own. Workers are
killed in the middle of the batch; parts of the cluster, during chaos. Afterwards the services have to have
been made to do what was intended, once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from chaos.metadata import Metadata
from chaos.settings import Scale
from cluster.batch import DAG_ID, Batch
from cluster.billing import Billing
from cluster.environment import ROOT, generated
from cluster.local import PROBLEMS, Cluster
from demo.__main__ import Sandbox, connections, unexpected_effects
from demo.leaks import find_in, find_leaks
from demo.processes import Processes
from demo.report import print_effects, print_runs
from demo.workflows import SEEDS, WORKFLOWS

TIMEOUT = 10
"""Seconds that a request of the batch may take; 10 more, and what a killed worker had sent is unknown."""

SETTINGS = {
    "PARALLELISM": "9",
    "WORKER_CONCURRENCY": "3",  # fewer slots than tasks, so that some wait in Redis
    "HEARTBEAT_TIMEOUT": "20",
    "HEARTBEAT_CHECK": "5",
    "HEARTBEAT_EVERY": "5",
    "QUEUED_TIMEOUT": "45",
    "QUEUED_CHECK": "5",
    "ORPHANS_CHECK": "10",
    "VISIBILITY_TIMEOUT": "60",
}
"""As much at once as two cores bear; and what is lost is noticed sooner than in production."""


class Trial:
    """The parts, on one cluster.

    :param home: folder for everything that it writes.
    :param rows: rows of the batch.
    """

    def __init__(self, home: Path, rows: int, scale: Scale) -> None:
        self.home = home
        self.keys = {
            "amberflo": f"amberflo-{os.urandom(24).hex()}",
            "stripe": f"sk_test_{os.urandom(24).hex()}",
        }
        project = home / "project"
        for name in ("dags", "specs"):
            shutil.copytree(ROOT / name, project / name)
        database = f"arazzo_trial_{os.getpid()}"
        names = {"AIRFLOW_DATABASE": database, "LEDGER_DATABASE": f"{database}_ledger"}
        self.secrets = generated()
        self.cluster = Cluster(home / "cluster", {**self.secrets, **names, **SETTINGS}, project=project)
        self.others = Processes(home / "others")
        self.sandbox = Sandbox(self.cluster.processes, self.keys, "--request-log-size", str(4 * rows + 1000))
        self.batch = Batch(rows, project, self.cluster, self.sandbox)
        self.billing = Billing(scale, project / "dags", self.cluster, self.others)

    def start(self) -> None:
        """A cluster that runs, with connections to the sandbox."""
        print("starting the services of docker-compose.yml …", flush=True)
        client = self.cluster.client
        self.cluster.start(lambda line: print(line, flush=True))
        known = connections(self.sandbox.url, self.keys)
        extra = json.dumps({"timeout": TIMEOUT})
        for conn_id, each in known.items():
            client.api("POST", "/connections", {"connection_id": conn_id, **each, "extra": extra})
        usage = {"connection_id": "usage_db", "conn_type": "sqlite", "host": str(self.batch.table)}
        client.api("POST", "/connections", usage)
        client.wait_for_dags({DAG_ID, *(each.dag_id for each in WORKFLOWS)})

    def workflows(self) -> Iterator[str]:
        """The five shipped documents, once each; what went wrong, a line each."""
        client = self.cluster.client
        self.sandbox.call("POST", "seed", SEEDS)
        runs = {each.dag_id: client.trigger(each.dag_id, each.conf) for each in WORKFLOWS}
        states = client.wait_for_runs(runs)
        print_runs(client, runs, states)
        effects = self.sandbox.call("GET", "ledger")
        print_effects(effects)
        yield from (f"{dag_id}: {state}" for dag_id, state in states.items() if state != "success")
        yield from unexpected_effects([effect["kind"] for effect in effects], WORKFLOWS)
        self._pause(*runs)

    def _pause(self, *dag_ids: str) -> None:
        for dag_id in dag_ids:
            self.cluster.client.api("PATCH", f"/dags/{dag_id}", {"is_paused": True})

    def leaks(self) -> Iterator[str]:
        """Secrets where none may be: API keys anywhere, and those of the environment file in logs."""
        keys = [*self.keys.values(), *self.billing.keys.values()]
        found = find_leaks(self.home, keys)
        for name in self.cluster.databases:
            found += find_in(Metadata(self.cluster.postgresql.url(name), name).contents(), keys)
        logs = [self.cluster.home / "processes", self.cluster.folder("logs")]
        ours = [leak for folder in logs for leak in find_leaks(folder, self.secrets.values())]
        print(
            f"API keys found in both databases, files and logs: {len(found)}; passwords in logs: {len(ours)}"
        )
        yield from (f"a secret is in {leak}" for leak in [*found, *ours][:20])

    def stop(self) -> None:
        """End everything, and drop the databases."""
        self.others.stop()
        self.cluster.stop()


def _run(trial: Trial, rows: int, seconds: float) -> list[str]:
    began = time.monotonic()
    trial.start()
    problems: list[str] = []
    parts: list[tuple[str, Callable[[], Iterator[str]]]] = [
        ("the five shipped workflows", trial.workflows),
        (f"a batch of {rows:,} rows, whose workers are killed", trial.batch.run),
        ("billing under faults, kills and clears", lambda: trial.billing.run(seconds)),
        ("secrets", trial.leaks),
    ]
    for title, part in parts:
        print(f"\n== {title} ({time.monotonic() - began:.0f} s)", flush=True)
        problems += part()
    for title, summary in (("the batch", trial.batch.summary()), ("billing", trial.billing.summary())):
        print(f"\n{title}")
        for line in summary:
            print(line)
    print(f"took {time.monotonic() - began:.0f} s")
    return problems


def main() -> int:
    """Exit status 0 when everything was billed once, nothing was lost, and no key leaked."""
    parser = argparse.ArgumentParser(prog="cluster.trial", description="Billing on Celery and PostgreSQL")
    parser.add_argument("--home", type=Path, default=ROOT / ".cluster-test", help="folder for what it writes")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of the batch")
    parser.add_argument("--customers", type=int, default=3, help="customers of the chaos")
    parser.add_argument("--days", type=int, default=3, help="days of the chaos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time-limit", type=float, default=900, help="seconds for each pass of the chaos")
    given = parser.parse_args()
    home = given.home.resolve()
    shutil.rmtree(home, ignore_errors=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    trial = None
    try:
        trial = Trial(home, given.rows, Scale(given.customers, given.days, given.seed))
        problems = _run(trial, given.rows, given.time_limit)
    except PROBLEMS as error:
        problems = [str(error)]
    finally:
        if trial is not None:
            with suppress(SQLAlchemyError):
                trial.stop()
    for problem in problems:
        print(f"✗ {problem}")
    print("not as it must be" if problems else "✓ nothing twice, nothing lost, nothing leaked")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
