"""A batch on the cluster, two of whose workers die while they send: every effect is there once in the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from airflow_arazzo.ledger.model import Entry, Outcome
from airflow_arazzo.ledger.store import Store
from cluster.death import MIDDLE, Death, NotInTheMiddle, Reaper
from cluster.local import Cluster
from cluster.person import Decided, clear_chunks_with_failures, decide
from demo.__main__ import Sandbox
from demo.backfill import PAGE, billed_in
from demo.usage import Totals, billed_by, seeds, write_usage

DAG_ID = "nightly-usage"
DAY = {"period_start": "2025-03-01", "period_end": "2025-03-02"}
EVENT, ORDER = "amberflo.event.ingested", "amberflo.prepaid.created"
ORDERS_TASK = "chunks.topUpPrepaid"

KILLS = (MIDDLE[0], 0.55)
"""Shares of the effects from which on a worker is killed: while events are sent, and while orders are."""

ANSWER = 0.2
"""Seconds that the service takes for an answer, half of the time before the effect and half of it after."""

RETRY = "    max_active_runs=4,\n"
"""The line of the DAG file behind which the shorter delay goes; Airflow's is five minutes."""


class Effect(NamedTuple):
    """What a row must cause once."""

    kind: str
    customer: str


@dataclass
class Account:
    """What became of the effects.

    :param found: how often each stands in the sandbox's ledger.
    :param requests: how many reached the service.
    :param repeated: how many effects were asked for again, with the key of the first time.
    :param decided: what a person has said of those that have no key.
    """

    intended: frozenset[Effect]
    found: Counter[Effect] = field(default_factory=Counter)
    requests: int = 0
    repeated: int = 0
    decided: Decided = field(default_factory=Decided)

    @property
    def twice(self) -> list[Effect]:
        """Effects that happened more than once."""
        return sorted(effect for effect, times in self.found.items() if times > 1)

    @property
    def lost(self) -> list[Effect]:
        """Effects that did not happen."""
        return sorted(effect for effect in self.intended if not self.found[effect])

    @property
    def strangers(self) -> list[Effect]:
        """Effects that nobody intended."""
        return sorted(set(self.found) - self.intended)

    def problems(self) -> Iterator[str]:
        """What must not be, a line each."""
        for what, effects in (
            ("happened twice", self.twice),
            ("were lost", self.lost),
            ("were never intended", self.strangers),
        ):
            if effects:
                first = effects[0]
                yield f"batch: {len(effects)} effects {what}, the first: {first.kind} of {first.customer}"


class Batch:
    """A day of many customers.

    :param rows: how many customers.
    :param project: folder of the copy of ``dags`` that the cluster reads.
    """

    def __init__(self, rows: int, project: Path, cluster: Cluster, sandbox: Sandbox) -> None:
        self.table = cluster.folder("rows") / "usage.db"
        customers = [f"customer-{number:05d}" for number in range(1, rows + 1)]
        self.account = Account(frozenset(Effect(kind, name) for kind in (EVENT, ORDER) for name in customers))
        self._customers = customers
        self._cluster = cluster
        self._sandbox = sandbox
        self._reaper = Reaper(cluster, sandbox.url, self._share)
        self._before: dict[str, int] = {}
        with_short_delay(project / "dags" / "nightly_usage.py")

    def run(self, seconds: float = 1800) -> Iterator[str]:
        """Bill it, with workers that die meanwhile; what went wrong, a line each."""
        client, sandbox = self._cluster.client, self._sandbox
        write_usage(self.table, self._customers, date.fromisoformat(DAY["period_start"]), 1)
        sandbox.call(
            "POST", "seed", {"amberflo": {"customers": seeds(self._customers)["amberflo"]["customers"]}}
        )
        sandbox.call("POST", "faults", slowness())
        print(f"the service takes {ANSWER} s for every answer, so that requests are under way at any moment")
        before, shares, last = billed_in(sandbox.url), self._shares(), self._sum()["effects"]
        self._before = self._sum()
        began = time.monotonic()
        run = client.trigger(DAG_ID, DAY)
        yield from self._kill_workers()
        state = client.wait_for_runs({DAG_ID: run}, seconds=seconds)[DAG_ID]
        yield from self._decide(run, state, last)
        state = client.wait_for_runs({DAG_ID: run}, seconds=seconds)[DAG_ID]
        took = time.monotonic() - began
        sandbox.call("DELETE", "faults")
        wanted, found = billed_by(self.table), _difference(billed_in(sandbox.url), before)
        print(f"to bill:  {wanted}\nbilled:   {found}\n          in {took:.0f} s; the run: {state}")
        shares = {name: number - shares[name] for name, number in self._shares().items()}
        print("tasks:    " + ", ".join(f"{number} on {name}" for name, number in shares.items()))
        if state != "success":
            yield f"{DAG_ID}: {state}"
        if found != wanted:
            yield "the sandbox's ledger and the usage table do not agree"
        if not all(shares.values()):
            yield "a worker had nothing to do"
        yield from self._settle(last)
        client.api("PATCH", f"/dags/{DAG_ID}", {"is_paused": True})

    # --- workers that die ------------------------------------------------------------------------

    def _kill_workers(self) -> Iterator[str]:
        try:
            for least in KILLS:
                print(f"  {told(self._reaper.kill(least))}", flush=True)
        except NotInTheMiddle as error:
            yield f"batch: {error}"
        else:
            yield from one_sided(self._reaper.deaths)

    def _share(self) -> float:
        done = sum(self._sum()[kind] - self._before[kind] for kind in (EVENT, ORDER))
        return done / len(self.account.intended)

    def _sum(self) -> Counter[str]:
        """How many requests and effects the service has had, those of some kinds apart."""
        summary = self._sandbox.call("GET", "summary")
        counts = {name: int(summary[name]) for name in ("requests", "effects")}
        return Counter(counts | {kind: summary["by_kind"].get(kind, 0) for kind in (EVENT, ORDER)})

    def _shares(self) -> dict[str, int]:
        """How many tasks each worker has been given so far."""
        logs = self._cluster.home / "processes"
        names = self._cluster.instances("worker")
        texts = {name: (logs / f"{name}.log").read_text(errors="replace") for name in names}
        return {name: text.count("Executing workload") for name, text in texts.items()}

    # --- what nobody knows -----------------------------------------------------------------------

    def _decide(self, run: str, state: str, last: int) -> Iterator[str]:
        """Be the person whom the failed run asks."""
        client, ledger = self._cluster.client, self._cluster.ledger_url
        unknown = self._entries(Outcome.UNKNOWN)
        others = [entry for entry in unknown if entry.key not in self._reaper.left]
        if others:
            note = others[0].note or "no outcome was ever written"
            yield f"batch: {len(others)} effects are unknown, and no killed worker had sent them: {note}"
        keyed = [entry for entry in unknown if entry.description.protection]
        if keyed:
            yield f"batch: {len(keyed)} effects with a key are unknown and were not sent again"
        failed = (client.xcom(DAG_ID, run, "report") or {}).get("failed")
        print(f"  the run: {state}; {len(unknown)} orders for a person to decide", flush=True)
        if failed != len(unknown):
            yield f"batch: the report has {failed} failed rows, the ledger {len(unknown)} unknown effects"
        if not unknown:
            return
        orders = {effect["data"]["customerId"]: effect["id"] for effect in self._effects(ORDER, last)}
        self.account.decided = decide(unknown, orders, ledger)
        cleared = clear_chunks_with_failures(client, DAG_ID, run, ORDERS_TASK)
        print(f"  decided by 'ledger resolve'; {cleared} tasks with failed rows cleared", flush=True)

    def _settle(self, last: int) -> Iterator[str]:
        """Count every row's effects, and compare the ledger."""
        account = self.account
        for kind in (EVENT, ORDER):
            found = (Effect(kind, each["data"]["customerId"]) for each in self._effects(kind, last))
            account.found.update(found)
        account.requests = self._sum()["requests"] - self._before["requests"]
        entries = self._entries()
        account.repeated = sum(bool(e.description.protection) and e.attempts > 1 for e in entries)
        settled, expected = sum(e.outcome is Outcome.EFFECT for e in entries), len(account.intended)
        print(f"ledger:   {len(entries):,} entries on PostgreSQL, {settled:,} settled")
        if not len(entries) == settled == expected:
            yield f"the ledger has {settled} settled entries; expected {expected}"
        yield from account.problems()

    def _entries(self, outcome: str = "") -> list[Entry]:
        store = Store(self._cluster.ledger_url)
        try:
            found = store.entries(
                outcome=outcome, run=f"{DAG_ID} ", limit=2 * len(self.account.intended) + 1000
            )
        finally:
            store.close()
        return found

    def _effects(self, kind: str, after: int) -> Iterator[dict[str, Any]]:
        """What the service has of a kind, behind a number of effects of all kinds."""
        while True:
            page = self._sandbox.call("GET", f"ledger?kind={kind}&after={after}&limit={PAGE}")
            yield from page
            if len(page) < PAGE:
                return
            after = int(page[-1]["seq"])

    def summary(self) -> Iterator[str]:
        """Who died and when, what was intended, what was found."""
        account = self.account
        intended, decided = len(account.intended), account.decided
        killed = [told(death) for death in self._reaper.deaths] or ["nobody in the middle"]
        yield "killed:    " + "\n           ".join(killed)
        yield f"intended:  {intended:,} effects, once each; the service took {ANSWER} s for every answer"
        yield f"repeated:  {account.repeated} requests, with the key of the first time"
        yield f"decided:   {decided.total} orders without a key, by 'ledger resolve':"
        yield f"           {decided.happened} had happened, {decided.not_happened} had not and were sent then"
        yield f"arrived:   {account.requests:,} requests, {account.requests - intended} more than effects"
        found = sum(1 for times in account.found.values() if times)
        yield f"found:     {found:,}, of which {len(account.twice)} twice"
        yield f"lost:      {len(account.lost)}"


def one_sided(deaths: Sequence[Death]) -> Iterator[str]:
    """A line when requests of one kind only were under way, so that the other was not put to the test."""
    keyed, all_left = sum(death.keyed for death in deaths), sum(len(death.left) for death in deaths)
    for kind, number in (("with", keyed), ("without", all_left - keyed)):
        if not number:
            yield f"batch: no request {kind} a key was under way when a worker was killed"


def told(death: Death) -> str:
    """A death in a line."""
    rows, keyed = len(death.left), death.keyed
    return (
        f"{death.instance} at {death.share:.0%} of the batch: {death.processes} processes, tasks at sending: "
        f"{death.sending}, rows under way: {rows}, of which {keyed} with a key"
    )


def slowness() -> list[dict[str, Any]]:
    """Rules for the sandbox: every answer takes its time."""
    before = {"action": "delay", "when": "before", "seconds": ANSWER, "probability": 0.5, "seed": 1}
    return [before, {"action": "delay", "when": "after", "seconds": ANSWER}]


def with_short_delay(path: Path) -> None:
    """Let tasks of a DAG file be retried after a second.

    :raises RuntimeError: when the file is not as it was.
    """
    text = path.read_text()
    if text.count(RETRY) != 1:
        raise RuntimeError(f"expected {RETRY.strip()!r} once in {path.name}")
    path.write_text(text.replace(RETRY, f'{RETRY}    default_args={{"retry_delay": 1}},\n'))


def _difference(after: Totals, before: Totals) -> Totals:
    return Totals(
        after.events - before.events,
        after.quantity - before.quantity,
        after.orders - before.orders,
        after.money - before.money,
    )
