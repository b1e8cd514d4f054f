"""``python -m chaos``: bill months under faults, kills and clears, and print the account."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from airflow_arazzo.ledger.store import Store
from chaos.account import Account, take_account
from chaos.answers import answers
from chaos.disturb import Disturber
from chaos.metadata import Metadata
from chaos.settings import ROOT, TIMEOUT, Scale, faults, intended, write_dags, write_documents
from demo.__main__ import Sandbox, connections
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


class Chaos:
    """A chaos run.

    :param home: folder for everything that it writes.
    :param metadata: Airflow's database.
    """

    def __init__(self, scale: Scale, home: Path, processes: Processes, metadata: Metadata) -> None:
        self.scale = scale
        self.home = home
        self.keys = {
            "amberflo": f"amberflo-{os.urandom(24).hex()}",
            "stripe": f"sk_test_{os.urandom(24).hex()}",
        }
        self.sandbox = Sandbox(processes, self.keys, "--pending-items", "exclude")
        self.metadata = metadata
        self.processes = processes
        self.revived: Counter[str] = Counter()
        settings = {**SETTINGS, **metadata.make()}
        self.airflow = Airflow(home / "airflow", home / "dags", processes, settings)
        self.ledger = home / "airflow" / "arazzo_ledger.db"

    @property
    def dag_ids(self) -> list[str]:
        """Ids of all DAGs."""
        return [f"{kind}-{name}" for name in self.scale.names for kind in ("topup", "invoice")]

    def prepare(self) -> None:
        """Documents, DAGs, customers, connections, and an Airflow that runs."""
        write_documents(self.home / "specs")
        write_dags(self.home / "dags", self.home / "specs", self.scale)
        numbers = range(1, self.scale.customers + 1)
        amberflo = [{"customerId": name, "customerName": name} for name in self.scale.names]
        stripe = [{"id": f"cus_{number:02d}"} for number in numbers]
        self.sandbox.call(
            "POST", "seed", {"amberflo": {"customers": amberflo}, "stripe": {"customers": stripe}}
        )
        known = connections(self.sandbox.url, self.keys)
        for connection in known.values():
            connection["extra"] = {"timeout": TIMEOUT}
        self.airflow.prepare(known)
        self.airflow.start()
        self.airflow.wait_for_dags(set(self.dag_ids))

    def backfill(self, behaviour: str, seconds: float) -> dict[str, Counter[str]]:
        """Run the backfills of all DAGs; returns the states of runs and tasks when nothing moves any more."""
        first, last = self.scale.dates[0], self.scale.dates[-1] + timedelta(hours=1)
        for dag_id in self.dag_ids:
            self.airflow.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
            body = {
                "dag_id": dag_id,
                "from_date": first.isoformat(),
                "to_date": last.isoformat(),
                "reprocess_behavior": behaviour,
                "max_active_runs": 4,
            }
            self._create(body)
        return self.settle(seconds)

    def _create(self, body: dict[str, Any]) -> None:
        """Create a backfill, once Airflow takes the one before it for completed and the database is free."""
        deadline = time.monotonic() + 180
        while True:
            try:
                self.airflow.api("POST", "/backfills", body)
                return
            except RuntimeError as error:
                if not re.search(": (409|503) ", str(error)) or time.monotonic() > deadline:
                    raise
            except OSError:
                if time.monotonic() > deadline:
                    raise
                self._revive()
            time.sleep(2)

    def settle(self, seconds: float) -> dict[str, Counter[str]]:
        """Wait until no run is queued or running."""
        deadline = time.monotonic() + seconds
        expected = len(self.dag_ids) * self.scale.days
        shown = 0.0
        while True:
            states = self._states_or_revive()
            moving = states["queued"] + states["running"]
            if not moving and sum(states.values()) >= expected:
                return {"runs": states}
            if time.monotonic() - shown > 30:
                print(f"  {dict(states)}", flush=True)
                shown = time.monotonic()
            if time.monotonic() > deadline:
                raise RuntimeError(f"the backfills are not through after {seconds:g} s: {dict(states)}")
            time.sleep(1)

    def _states_or_revive(self) -> Counter[str]:
        """How many runs are in which state; a service of Airflow that died is one more disturbance."""
        deadline = time.monotonic() + 120
        while True:
            try:
                return self.airflow.run_states()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                self._revive()
            time.sleep(1)

    def _revive(self) -> None:
        self.processes.check_all_but(SERVICES)
        self.revived.update(self.processes.revive(SERVICES))

    def account(self) -> Account:
        """What became of every effect so far."""
        entries = []
        if self.ledger.exists():
            store = Store(f"sqlite:///{self.ledger}")
            entries = store.entries(limit=1_000_000)
            store.close()
        effects = self.sandbox.call("GET", "ledger")
        return take_account(self.scale, effects, self.sandbox.call("GET", "requests"), entries)


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
        return _run(Chaos(scale, home, processes, metadata), given.time_limit)
    except (RuntimeError, OSError, SQLAlchemyError, subprocess.SubprocessError) as error:
        print(f"✗ {error}")
        return 1
    finally:
        processes.stop()
        with suppress(SQLAlchemyError):
            metadata.drop()


def _run(chaos: Chaos, seconds: float) -> int:
    scale = chaos.scale
    total = len(list(intended(scale)))
    print(
        f"{scale.customers} customers x {scale.days} days, {total} effects to bill; seed {scale.seed}",
        flush=True,
    )
    chaos.prepare()
    rules = faults(scale)
    chaos.sandbox.call("POST", "faults", rules)
    disturber = Disturber(
        chaos.airflow,
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
    _print(chaos.account(), total, "after the backfill")
    print("the same backfill again, reprocessing everything, without faults:", flush=True)
    chaos.sandbox.call("DELETE", "faults")
    chaos.backfill("completed", seconds)
    account = chaos.account()
    took = time.monotonic() - started
    _print(account, total, f"in the end, after {took:.0f} s")
    print("disturbances: " + ", ".join(f"{n} {what}" for what, n in sorted(disturber.counts.items())))
    if chaos.revived:
        print(f"died by themselves and were started again: {dict(chaos.revived)}")
    told = list(answers(chaos.airflow))
    keys = list(chaos.keys.values())
    leaks = find_leaks(chaos.home, keys) + find_in(told, keys) + find_in(chaos.metadata.contents(), keys)
    refused = Counter(path for path, text in told if text.startswith(b'{"error"'))
    print(f"API keys found in database, logs, files and {len(told)} answers of Airflow's API: {len(leaks)}")
    print(f"  answers that were errors: {', '.join(refused) or 'none'}")
    for leak in leaks[:20]:
        print(f"  {leak}")
    if not scale.safe:
        shown = bool(account.duplicated)
        print("✓ without the ledger effects happen twice" if shown else "✗ nothing happened twice")
        return int(not shown)
    bad = bool(account.duplicated or account.lost or account.unproven or account.strangers or leaks)
    bad = bad or _missing(account, total) != 0
    print("✗ not as it must be" if bad else "✓ nothing twice, nothing lost, nothing leaked")
    return int(bad)


def _missing(account: Account, total: int) -> int:
    """Effects that neither happened nor are left for a person, nor wait for a step that is."""
    blocked = {(e.dag_id, e.day) for e in (*account.unknown, *account.spoiled)}
    return sum(
        1 for e in intended(account.scale) if not account.found[e] and (e.dag_id, e.day) not in blocked
    )


def _print(account: Account, total: int, when: str) -> None:
    found = sum(1 for times in account.found.values() if times)
    happened = sum(1 for effect in account.unknown if account.found[effect])
    causes = Counter(account.ambiguous.values())
    left, unproven = len(account.unknown), len(account.unproven)
    print(f"{when}:")
    print(f"  effects to bill {total}, found {found}")
    print(f"  duplicated {len(account.duplicated)}, lost {len(account.lost)}")
    print(f"  left for a person {left}, of which {happened} happened; unproven {unproven}")
    print(f"  took effect, and a person has to give the response: {len(account.spoiled)}")
    missing, without = _missing(account, total), left - happened
    waiting = total - found - without - missing
    print(f"  {found} found + {without} left for a person without effect + {waiting} steps behind those")
    print(f"  that wait and were never sent = {total - missing}; neither: {missing}")
    for cause, times in causes.most_common():
        print(f"    {times:>4} {cause}")
    for effect in account.duplicated[:5]:
        print(f"    twice: {effect}")
    for effect in account.lost[:5]:
        print(f"    lost: {effect}")
    for stranger in account.strangers[:5]:
        print(f"    stranger: {stranger}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
