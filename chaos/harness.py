"""Billing under chaos on an Airflow that runs, whatever its executor."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_arazzo.ledger.model import Entry
from airflow_arazzo.ledger.store import Store
from chaos.account import Account, take_account
from chaos.settings import TIMEOUT, Scale, write_dags, write_documents
from demo.__main__ import Sandbox, connections
from demo.api import Client


class Chaos:
    """DAGs that bill customers for days, their backfills, and the account of what came of them.

    :param home: folder for documents; DAG files are below it, in ``dags``.
    :param ledger: SQLAlchemy URL of the ledger that the workers use.
    :param revive: starts what has died of Airflow's services again.
    """

    def __init__(
        self,
        scale: Scale,
        home: Path,
        airflow: Client,
        sandbox: Sandbox,
        *,
        ledger: str,
        revive: Callable[[], object],
    ) -> None:
        self.scale = scale
        self.home = home
        self.airflow = airflow
        self.sandbox = sandbox
        self._ledger = ledger
        self._revive = revive
        self._others: Counter[str] = Counter()

    @property
    def dag_ids(self) -> list[str]:
        """Ids of all DAGs."""
        return [f"{kind}-{name}" for name in self.scale.names for kind in ("topup", "invoice")]

    def write(self) -> None:
        """Write documents and DAG files."""
        write_documents(self.home / "specs")
        write_dags(self.home / "dags", self.home / "specs", self.scale)

    def seed(self) -> None:
        """Make the customers."""
        numbers = range(1, self.scale.customers + 1)
        amberflo = [{"customerId": name, "customerName": name} for name in self.scale.names]
        stripe = [{"id": f"cus_{number:02d}"} for number in numbers]
        self.sandbox.call(
            "POST", "seed", {"amberflo": {"customers": amberflo}, "stripe": {"customers": stripe}}
        )

    def begin(self) -> None:
        """Leave the runs that are there already, and have ended, out of account."""
        self._others = self.airflow.run_states()

    def connections(self, keys: dict[str, str]) -> dict[str, dict[str, Any]]:
        """Connections for Airflow to make."""
        known = connections(self.sandbox.url, keys)
        for connection in known.values():
            connection["extra"] = {"timeout": TIMEOUT}
        return known

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
                return self.airflow.run_states() - self._others
            except OSError:
                if time.monotonic() > deadline:
                    raise
                self._revive()
            time.sleep(1)

    def account(self) -> Account:
        """What became of every effect so far."""
        entries = self._entries() if self.scale.safe else []
        effects = self.sandbox.call("GET", "ledger")
        return take_account(self.scale, effects, self.sandbox.call("GET", "requests"), entries)

    def _entries(self) -> list[Entry]:
        """What the ledger has of these DAGs."""
        store = Store(self._ledger)
        try:
            found = store.entries(limit=1_000_000)
        finally:
            store.close()
        return [entry for entry in found if entry.description.run.partition(" ")[0] in self.dag_ids]
