"""``python -m demo.backfill``: bill a year of many customers' usage, count, and do it all once more.

A table with a row for every customer and day goes through ``dags/nightly_usage.py`` by ``airflow backfill
create``, with a real scheduler on SQLite. Afterwards the sandbox's ledger has to add up to the table, to the
event and to the cent; and the same backfill again, of every day, must change nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from demo.__main__ import ROOT, Sandbox, connections
from demo.airflow import Airflow
from demo.leaks import find_leaks
from demo.processes import Processes, run
from demo.usage import Totals, billed_by, seeds, write_usage

DAG_ID = "nightly-usage"
FIRST = date(2025, 1, 1)
PAGE = 5000
"""Effects of the sandbox that are read at once."""

WRITERS = ("scheduler", "dag-processor")

SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "6",
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "60",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
}
"""As much at once as two cores bear."""


class Backfill:
    """The demonstration.

    :param home: folder for everything that it writes.
    """

    def __init__(self, home: Path, customers: int, days: int, processes: Processes) -> None:
        self.home = home
        self.days = days
        self.customers = [f"customer-{number:03d}" for number in range(1, customers + 1)]
        self.table = home / "usage.db"
        self.keys = {
            "amberflo": f"amberflo-{secrets.token_hex(24)}",
            "stripe": f"sk_test_{secrets.token_hex(24)}",
        }
        kept = str(4 * customers * days + 1000)
        self.sandbox = Sandbox(processes, self.keys, "--request-log-size", kept)
        self.airflow = Airflow(home / "airflow", ROOT / "dags", processes, SETTINGS)
        self.processes = processes
        self.seconds = 0.0

    def prepare(self) -> None:
        """The table, the customers, and an Airflow that runs."""
        write_usage(self.table, self.customers, FIRST, self.days)
        self.sandbox.call("POST", "seed", seeds(self.customers))
        known = connections(self.sandbox.url, self.keys)
        self.airflow.prepare({**known, "usage_db": {"conn_type": "sqlite", "host": str(self.table)}})
        self.airflow.start()
        self.airflow.wait_for_dags({DAG_ID})
        self.airflow.api("PATCH", f"/dags/{DAG_ID}", {"is_paused": False})

    def bill(self, *options: str, seconds: float) -> dict[str, int]:
        """Backfill all days, with the command that a person would use; states of the runs by number."""
        last = FIRST + timedelta(days=self.days - 1)
        command = ["backfill", "create", "--dag-id", DAG_ID, "--max-active-runs", "6", *options]
        command += ["--from-date", f"{FIRST}T00:00:00+00:00", "--to-date", f"{last}T00:00:00+00:00"]
        print(f"\n$ airflow {' '.join(command)}", flush=True)
        # Airflow does not bear two writers of SQLite here: what it has read would be stale once it writes.
        for name in WRITERS:
            self.processes.end(name)
        run([sys.executable, "-m", "airflow", *command], self.airflow.environment)
        self.processes.revive(WRITERS)
        began = time.monotonic()
        return self._settled(began, seconds)

    def _settled(self, began: float, seconds: float) -> dict[str, int]:
        """Wait until no run is queued or running."""
        shown = time.monotonic()
        while True:
            states = self.airflow.run_states(DAG_ID, run_type="backfill")
            over = not states["queued"] + states["running"] and sum(states.values()) >= self.days
            if over and self._is_completed():
                return dict(states)
            if not over:
                self.seconds = time.monotonic() - began
            if time.monotonic() > began + seconds:
                raise RuntimeError(f"the backfill is not through in time: {dict(states)}")
            if time.monotonic() - shown > 30:
                shown = time.monotonic()
                print(f"  {states['success']} of {self.days} runs succeeded", flush=True)
            time.sleep(1)

    def _is_completed(self) -> bool:
        """Whether Airflow takes the backfill for completed, which it notices some time later."""
        backfills = self.airflow.api("GET", f"/backfills?dag_id={DAG_ID}")["backfills"]
        return all(backfill["completed_at"] for backfill in backfills)

    def billed(self) -> Totals:
        """What the sandbox's ledger adds up to."""
        return billed_in(self.sandbox.url)

    def received(self) -> int:
        """How many requests have reached the services."""
        return int(self.sandbox.call("GET", "summary")["requests"])


def billed_in(sandbox: str) -> Totals:
    """What the ledger of a sandbox adds up to.

    :param sandbox: its address.
    """
    events = [effect["data"] for effect in _effects(sandbox, "amberflo.event.ingested")]
    orders = [effect["data"] for effect in _effects(sandbox, "amberflo.prepaid.created")]
    quantity = sum(int(event["meterValue"]) for event in events)
    return Totals(len(events), quantity, len(orders), sum((o["amount"] for o in orders), Decimal(0)))


def _effects(sandbox: str, kind: str) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        url = f"{sandbox}/_sandbox/ledger?kind={kind}&after={after}&limit={PAGE}"
        with urllib.request.urlopen(url, timeout=60) as response:
            page = json.loads(response.read(), parse_float=Decimal, parse_int=Decimal)
        yield from page
        if len(page) < PAGE:
            return
        after = int(page[-1]["seq"])


def demonstrate(demo: Backfill, seconds: float) -> list[str]:
    """Run everything and print it; what went wrong, a line each."""
    days, customers = demo.days, len(demo.customers)
    print(f"{days} days of {customers} customers; preparing the database …", flush=True)
    demo.prepare()
    wanted = billed_by(demo.table)
    print(f"to bill:  {wanted}")
    problems = []
    states = demo.bill(seconds=seconds)
    found, received = demo.billed(), demo.received()
    print(f"billed:   {found}\n          {received:,} requests in {demo.seconds:.0f} s; runs: {states}")
    if found != wanted:
        problems.append("the sandbox's ledger and the table do not agree")
    if states["success"] != days:
        problems.append(f"{days - states['success']} runs did not succeed")
    states = demo.bill("--reprocess-behavior", "completed", seconds=seconds)
    again = demo.billed()
    print(f"again:    {again}\n          {demo.received() - received:,} requests in {demo.seconds:.0f} s")
    if again != found:
        problems.append("the second backfill has billed something")
    if states["success"] != days:
        problems.append(f"{days - states['success']} runs of the second backfill did not succeed")
    leaks = find_leaks(demo.home, demo.keys.values())
    print(f"API keys found below {demo.home.name}/: {len(leaks)}")
    return problems + [f"an API key is in {leak}" for leak in leaks]


def main() -> int:
    """Exit status 0 when table and ledger agree, and the repetition changed nothing."""
    parser = argparse.ArgumentParser(prog="demo.backfill", description="A year of usage, billed twice over")
    parser.add_argument("--home", type=Path, default=ROOT / ".backfill", help="folder for Airflow's files")
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--time-limit", type=float, default=7200, help="seconds for each backfill")
    given = parser.parse_args()
    home = given.home.resolve()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    processes = Processes(home / "processes")
    try:
        problems = demonstrate(Backfill(home, given.customers, given.days, processes), given.time_limit)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        problems = [str(error)]
    finally:
        processes.stop()
    for problem in problems:
        print(f"✗ {problem}")
    print("the demonstration failed" if problems else "\n✓ billed once, to the event and to the cent")
    sys.stdout.flush()
    return 1 if problems else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
