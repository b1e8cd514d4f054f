"""``python -m cluster.trial``: seed workflows, a batch and chaos, on what docker-compose.yml describes.

Two Celery workers, Airflow's database and the ledger on PostgreSQL, a Redis of the trial's own. Afterwards
the services have to have been made to do what was intended, once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from airflow_arazzo.ledger.model import Outcome
from airflow_arazzo.ledger.store import Store
from chaos.metadata import Metadata
from chaos.settings import Scale
from cluster.billing import Billing
from cluster.environment import ROOT, generated
from cluster.local import PROBLEMS, Cluster
from demo.__main__ import Sandbox, connections, unexpected_effects
from demo.backfill import billed_in
from demo.leaks import find_in, find_leaks
from demo.processes import Processes
from demo.report import print_effects, print_runs
from demo.usage import Totals, billed_by, seeds, write_usage
from demo.workflows import SEEDS, WORKFLOWS

BATCH = "nightly-usage"
DAY = {"period_start": "2025-03-01", "period_end": "2025-03-02"}
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
        self.rows = rows
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
        self.table = self.cluster.folder("rows") / "usage.db"
        self.sandbox = Sandbox(self.cluster.processes, self.keys, "--request-log-size", str(4 * rows + 1000))
        self.billing = Billing(scale, project / "dags", self.cluster, self.others)

    def start(self) -> None:
        """A cluster that runs, with connections to the sandbox."""
        print("starting the services of docker-compose.yml …", flush=True)
        client = self.cluster.client
        self.cluster.start(lambda line: print(line, flush=True))
        known = connections(self.sandbox.url, self.keys)
        for conn_id, each in known.items():
            client.api("POST", "/connections", {"connection_id": conn_id, **each})
        usage = {"connection_id": "usage_db", "conn_type": "sqlite", "host": str(self.table)}
        client.api("POST", "/connections", usage)
        client.wait_for_dags({BATCH, *(each.dag_id for each in WORKFLOWS)})

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

    def batch(self) -> Iterator[str]:
        """A day of many customers; what went wrong, a line each."""
        client = self.cluster.client
        customers = [f"customer-{number:05d}" for number in range(1, self.rows + 1)]
        write_usage(self.table, customers, date.fromisoformat(DAY["period_start"]), 1)
        self.sandbox.call(
            "POST", "seed", {"amberflo": {"customers": seeds(customers)["amberflo"]["customers"]}}
        )
        before, shares = billed_in(self.sandbox.url), self._shares()
        began = time.monotonic()
        run = client.trigger(BATCH, DAY)
        state = client.wait_for_runs({BATCH: run}, seconds=1800)[BATCH]
        took = time.monotonic() - began
        wanted, found = billed_by(self.table), _difference(billed_in(self.sandbox.url), before)
        print(f"to bill:  {wanted}\nbilled:   {found}\n          in {took:.0f} s; the run: {state}")
        shares = {name: number - shares[name] for name, number in self._shares().items()}
        print("tasks:    " + ", ".join(f"{number} on {name}" for name, number in shares.items()))
        if state != "success":
            yield f"{BATCH}: {state}"
        if found != wanted:
            yield "the sandbox's ledger and the usage table do not agree"
        if not all(shares.values()):
            yield "a worker had nothing to do"
        yield from self._not_settled(2 * self.rows)
        self._pause(BATCH)

    def _not_settled(self, expected: int) -> Iterator[str]:
        store = Store(self.cluster.ledger_url)
        entries = store.entries(limit=4 * expected + 1000)
        store.close()
        of_batch = [entry for entry in entries if entry.description.run.startswith(f"{BATCH} ")]
        settled = sum(entry.outcome is Outcome.EFFECT for entry in of_batch)
        print(f"ledger:   {len(of_batch):,} entries on PostgreSQL, {settled:,} settled")
        if not len(of_batch) == settled == expected:
            yield f"the ledger has {settled} settled entries; expected {expected}"

    def _shares(self) -> dict[str, int]:
        """How many tasks each worker has been given so far."""
        logs = {
            name: self.cluster.home / "processes" / f"{name}.log" for name in self.cluster.instances("worker")
        }
        return {
            name: path.read_text(errors="replace").count("Executing workload") for name, path in logs.items()
        }

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


def _difference(after: Totals, before: Totals) -> Totals:
    return Totals(
        after.events - before.events,
        after.quantity - before.quantity,
        after.orders - before.orders,
        after.money - before.money,
    )


def _run(trial: Trial, seconds: float) -> list[str]:
    began = time.monotonic()
    trial.start()
    problems: list[str] = []
    parts: list[tuple[str, Callable[[], Iterator[str]]]] = [
        ("the five shipped workflows", trial.workflows),
        (f"a batch of {trial.rows:,} rows", trial.batch),
        ("billing under faults, kills and clears", lambda: trial.billing.run(seconds)),
        ("secrets", trial.leaks),
    ]
    for title, part in parts:
        print(f"\n== {title} ({time.monotonic() - began:.0f} s)", flush=True)
        problems += part()
    print()
    for line in trial.billing.summary():
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
        problems = _run(trial, given.time_limit)
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
