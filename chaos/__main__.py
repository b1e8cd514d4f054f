"""``python -m chaos``: bill months under faults, kills and clears, and print the account."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
from sqlalchemy.exc import SQLAlchemyError

from chaos.answers import answers
from chaos.disturb import Disturber
from chaos.harness import Chaos
from chaos.metadata import Metadata
from chaos.report import bad, print_account
from chaos.settings import ROOT, Scale, faults, intended
from demo.__main__ import Sandbox
from demo.airflow import SERVICES, Airflow
from demo.leaks import find_in, find_leaks
from demo.processes import Processes

POSTGRESQL = os.environ.get("ARAZZO_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/test")

SETTINGS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
    "AIRFLOW__CORE__PARALLELISM": "6",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "6",
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "60",
}
"""Airflow notices dead workers sooner than by default, and runs as much as two cores bear."""


class Local:
    """Chaos on an Airflow of its own, with the LocalExecutor.

    :param home: folder for everything that it writes.
    :param metadata: Airflow's database.
    """

    def __init__(self, scale: Scale, home: Path, processes: Processes, metadata: Metadata) -> None:
        self.home = home
        self.keys = {
            "amberflo": f"amberflo-{os.urandom(24).hex()}",
            "stripe": f"sk_test_{os.urandom(24).hex()}",
        }
        sandbox = Sandbox(processes, self.keys, "--pending-items", "exclude")
        self.metadata = metadata
        self.processes = processes
        self.revived: Counter[str] = Counter()
        settings = {**SETTINGS, **metadata.make()}
        self.airflow = Airflow(home / "airflow", home / "dags", processes, settings)
        ledger = f"sqlite:///{home}/airflow/arazzo_ledger.db"
        self.chaos = Chaos(scale, home, self.airflow, sandbox, ledger=ledger, revive=self._revive)

    def prepare(self) -> None:
        """Documents, DAGs, customers, connections, and an Airflow that runs."""
        self.chaos.write()
        self.chaos.seed()
        self.airflow.prepare(self.chaos.connections(self.keys))
        self.airflow.start()
        self.airflow.wait_for_dags(set(self.chaos.dag_ids))

    def tasks(self) -> list[psutil.Process]:
        """Processes that run tasks, or supervise them."""
        return self.airflow.descendants("scheduler")

    def _revive(self) -> None:
        self.processes.check_all_but(SERVICES)
        self.revived.update(self.processes.revive(SERVICES))


def main() -> int:
    """Exit status 0 when nothing was billed twice, nothing was lost, and no key leaked."""
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--customers", type=int, default=20)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, default=ROOT / ".chaos")
    parser.add_argument("--unsafe", action="store_true", help="without ledger and keys: must show duplicates")
    parser.add_argument("--time-limit", type=float, default=3600, help="seconds for each of the two passes")
    parser.add_argument("--postgresql", default=POSTGRESQL, help="server for Airflow's own database")
    given = parser.parse_args()
    scale = Scale(given.customers, given.days, given.seed, safe=not given.unsafe)
    home = given.home.resolve()
    shutil.rmtree(home, ignore_errors=True)
    processes = Processes(home / "processes")
    metadata = Metadata(given.postgresql, f"arazzo_chaos_{os.getpid()}")
    try:
        return _run(Local(scale, home, processes, metadata), given.time_limit)
    except (RuntimeError, OSError, SQLAlchemyError, subprocess.SubprocessError) as error:
        print(f"✗ {error}")
        return 1
    finally:
        processes.stop()
        with suppress(SQLAlchemyError):
            metadata.drop()


def _run(local: Local, seconds: float) -> int:
    chaos = local.chaos
    scale = chaos.scale
    total = len(list(intended(scale)))
    print(
        f"{scale.customers} customers x {scale.days} days, {total} effects to bill; seed {scale.seed}",
        flush=True,
    )
    local.prepare()
    rules = faults(scale)
    chaos.sandbox.call("POST", "faults", rules)
    disturber = Disturber(
        chaos.airflow,
        local.tasks,
        lambda pause: chaos.sandbox.call("POST", "refuse", {"seconds": pause}),
        chaos.dag_ids,
        seed=scale.seed,
        limit=len(chaos.dag_ids) * scale.days * 3 // 2,
    )
    disturber.start()
    started = time.monotonic()
    print("backfill under faults, kills and clears:", flush=True)
    chaos.backfill("none", seconds)
    disturber.stop()
    time.sleep(1)  # the service may be unreachable for a moment yet
    chaos.settle(seconds)
    print_account(chaos.account(), total, "after the backfill")
    print("the same backfill again, reprocessing everything, without faults:", flush=True)
    chaos.sandbox.call("DELETE", "faults")
    chaos.backfill("completed", seconds)
    account = chaos.account()
    took = time.monotonic() - started
    print_account(account, total, f"in the end, after {took:.0f} s")
    print("disturbances: " + ", ".join(f"{n} {what}" for what, n in sorted(disturber.counts.items())))
    if local.revived:
        print(f"died by themselves and were started again: {dict(local.revived)}")
    told = list(answers(chaos.airflow))
    keys = list(local.keys.values())
    leaks = find_leaks(local.home, keys) + find_in(told, keys) + find_in(local.metadata.contents(), keys)
    refused = Counter(path for path, text in told if text.startswith(b'{"error"'))
    print(f"API keys found in database, logs, files and {len(told)} answers of Airflow's API: {len(leaks)}")
    print(f"  answers that were errors: {', '.join(refused) or 'none'}")
    for leak in leaks[:20]:
        print(f"  {leak}")
    if not scale.safe:
        shown = bool(account.duplicated)
        print("✓ without the ledger effects happen twice" if shown else "✗ nothing happened twice")
        return int(not shown)
    wrong = bad(account) or bool(leaks)
    print("✗ not as it must be" if wrong else "✓ nothing twice, nothing lost, nothing leaked")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
