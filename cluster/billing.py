"""Billing under chaos on the cluster: faults of the services, and parts of the cluster that end."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from chaos.account import Account
from chaos.disturb import Disturber
from chaos.harness import Chaos
from chaos.report import bad, missing, print_account
from chaos.settings import Scale, faults, intended
from cluster.cuts import Cuts
from cluster.local import Cluster
from demo.__main__ import Sandbox
from demo.processes import Processes

GAP = 8.0
"""Seconds between one cut and the next."""


class Billing:
    """Months of billing in small, and what came of them.

    :param dags: folder of DAG files; below it a folder of its own is made.
    :param processes: the sandbox's; not the cluster's, since it is another one than that of other parts.
    """

    def __init__(self, scale: Scale, dags: Path, cluster: Cluster, processes: Processes) -> None:
        self.keys = {
            "amberflo": f"amberflo-{os.urandom(24).hex()}",
            "stripe": f"sk_test_{os.urandom(24).hex()}",
        }
        self.total = len(list(intended(scale)))
        self._cluster = cluster
        self._sandbox = Sandbox(processes, self.keys, "--pending-items", "exclude")
        self._chaos = Chaos(
            scale,
            dags / "chaos",
            cluster.client,
            self._sandbox,
            ledger=cluster.ledger_url,
            revive=lambda: time.sleep(1),  # the cuts do that
        )
        self._chaos.write()
        self.account = Account(scale)
        self.ended: list[str] = []
        self.revived: Counter[str] = Counter()

    def run(self, seconds: float) -> Iterator[str]:
        """Bill under faults, bill everything again without; what went wrong, a line each."""
        chaos, scale = self._chaos, self._chaos.scale
        chaos.seed()
        for conn_id, each in chaos.connections(self.keys).items():
            body = {"connection_id": conn_id, **each, "extra": json.dumps(each["extra"])}
            chaos.airflow.api("PATCH", f"/connections/{conn_id}", body)
        chaos.airflow.wait_for_dags(set(chaos.dag_ids))
        chaos.begin()
        self._sandbox.call("POST", "faults", faults(scale))
        cuts = Cuts(self._cluster, gap=GAP)
        disturber = Disturber(
            chaos.airflow,
            cuts.tasks,
            lambda pause: self._sandbox.call("POST", "refuse", {"seconds": pause}),
            chaos.dag_ids,
            seed=scale.seed,
            limit=len(chaos.dag_ids) * scale.days // 2,
        )
        cuts.start()
        disturber.start()
        try:
            chaos.backfill("none", seconds)
            disturber.stop()
            time.sleep(1)  # the service may be unreachable for a moment yet
            chaos.settle(seconds)
            print_account(chaos.account(), self.total, "after the backfill")
            print("the same backfill again, reprocessing everything, without faults:", flush=True)
            self._sandbox.call("DELETE", "faults")
            chaos.backfill("completed", seconds)
        finally:
            cuts.stop()
        yield from self._not_cut(cuts)
        self.account = chaos.account()
        print_account(self.account, self.total, "in the end")
        self.ended = [*cuts.done, *(f"{n} {what}" for what, n in sorted(disturber.counts.items()))]
        self.revived = cuts.revived
        if bad(self.account):
            yield "chaos: effects happened twice, were lost, or cannot be explained"

    @staticmethod
    def _not_cut(cuts: Cuts) -> Iterator[str]:
        if cuts.problem:
            yield f"chaos: {cuts.problem}"
        if not cuts.all_done:
            yield "chaos: the backfills were over before everything had been killed; more days are needed"

    def summary(self) -> Iterator[str]:
        """What was killed, what was intended, what was found."""
        account = self.account
        found = sum(1 for times in account.found.values() if times)
        happened = sum(1 for effect in account.unknown if account.found[effect])
        unsure, gone = len(account.unknown), len(account.lost) + missing(account)
        behind = self.total - found - (unsure - happened) - missing(account)
        yield "killed:    " + "\n           ".join(self.ended)
        if self.revived:
            yield f"           ended by themselves and were started again: {dict(self.revived)}"
        yield f"intended:  {self.total} effects, once each"
        yield f"found:     {found}, of which {len(account.duplicated)} twice"
        yield f"lost:      {gone}"
        yield f"for a person to decide: {unsure}, of which {happened} happened; none was sent again"
        yield f"waiting behind those, never sent: {behind}"
